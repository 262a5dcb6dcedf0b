import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isoTimestamp } from '../../src/emitter/encoders/iso-time.ts';
import type { Column, TableSchema } from '../../src/model/table.ts';
import { RawRow, valuesOf } from '../../src/model/raw-row.ts';
import { isTextual } from '../../src/readers/postgres/types/textual-kinds.ts';
import { ABSENT } from '../../src/model/value.ts';
import { TextTuple, tupleEnd } from '../../src/readers/postgres/pgoutput/text-tuple.ts';
import { CopyRows } from '../../src/readers/postgres/snapshot-rows.ts';
import { builtinType } from '../../src/readers/postgres/types/builtin-types.ts';
import { jsonOfValues } from './same-json.ts';

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ maxLength: 300 }),
  fc.string({
    unit: fc.constantFrom('a', '"', '\\', '\n', '\t', '\r', '\u0001', '\u007f', 'é', '€', '😀', 'N'),
  }),
);
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const fraction = fc.constantFrom('', '.1', '.123', '.123456', '.000001');
/** As the server prints them, years past 9999 and before Christ too. */
const clock = fc
  .tuple(fc.bigInt({ min: -60_000_000_000n, max: 250_000_000_000n }), fraction)
  .map(([seconds, part]) => {
    const iso = isoTimestamp(seconds * 1_000_000n, 0).replace(/^\+/, '');
    const [date = '', time = ''] = iso.slice(0, -1).split('T');
    const year = /^-?\d+/.exec(date)![0];
    const before = Number(year) <= 0;
    const shown = before ? String(1 - Number(year)).padStart(4, '0') : year;
    return [`${shown}${date.slice(year.length)} ${time}${part}`, before ? ' BC' : ''] as const;
  });
const timestamp = fc.oneof(
  { weight: 8, arbitrary: clock.map(([time, era]) => time + era) },
  fc.constantFrom('infinity', '-infinity', '2024-02-29 23:59:59.999999'),
);
const timestamptz = fc.oneof(
  { weight: 8, arbitrary: clock.map(([time, era]) => `${time}+00${era}`) },
  fc.constantFrom('infinity', '-infinity', '2024-02-29 23:59:59.9+02', '2024-02-29 23:59:59.9-03:30'),
);
const numeric = (scale: number): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
      fc.bigInt({ min: -70_000n, max: 70_000n }),
      fc.constantFrom(2n ** 47n, -(2n ** 47n), 2n ** 47n - 1n),
    )
    .map((unscaled) => {
      const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
      const point = digits.length - scale;
      return `${unscaled < 0n ? '-' : ''}${digits.slice(0, point)}${scale > 0 ? '.' : ''}${digits.slice(point)}`;
    });

/** Type, modifier, and what the server sends. */
const kinds: readonly (readonly [string, number, fc.Arbitrary<string>])[] = [
  ['int4', -1, fc.integer().map(String)],
  ['int8', -1, fc.oneof(int64, fc.bigInt({ min: -20n, max: 20n })).map(String)],
  ['varchar', -1, text],
  ['numeric', (10 << 16) + 2 + 4, fc.oneof(numeric(2), fc.constantFrom('NaN', 'Infinity'))],
  ['numeric', (10 << 16) + 4, numeric(0)],
  ['numeric', -1, fc.oneof(numeric(0), numeric(3))],
  ['bool', -1, fc.constantFrom('t', 'f')],
  ['float8', -1, fc.double().map(String)],
  ['jsonb', -1, fc.json()],
  ['uuid', -1, fc.uuid()],
  ['bytea', -1, fc.uint8Array().map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`)],
  ['date', -1, timestamp.map((each) => each.replace(/ \d\d:[\d:.]+/, ''))],
  ['time', -1, fraction.map((part) => `23:59:01${part}`)],
  ['timestamp', -1, timestamp],
  ['timestamp', 3, timestamp],
  ['timestamptz', -1, timestamptz],
  ['timestamptz', 0, timestamptz],
  ['timestamptz', 3, timestamptz],
];

const types = kinds.map(([name, typmod]) => builtinType(name, typmod) ?? builtinType('varchar', -1)!);
const columns = types.map(({ type, length, scale }, i): Column => ({
  name: `c${i}`,
  type,
  nativeType: kinds[i]![0],
  nullable: true,
  default: undefined,
  length,
  scale,
}));
const decoders = types.map(({ decode }) => decode);
const table: TableSchema = { id: { schema: 's', table: 't' }, version: 1, columns, key: [2, 1] };
const cells = fc.tuple(...kinds.map(([, , cell]) => fc.option(cell, { freq: 8 })));
type Cells = readonly (string | null)[];

function tuple(row: Cells): Buffer {
  const parts = row.map((cell) => {
    if (cell === null) return Buffer.from('n');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(cell));
    return Buffer.concat([Buffer.from('t'), length, Buffer.from(cell)]);
  });
  const count = Buffer.alloc(2);
  count.writeUInt16BE(row.length);
  // A tuple stands within a message.
  return Buffer.concat([Buffer.from('before'), count, ...parts, Buffer.from('behind')]);
}

const whole = new TextTuple(decoders, null);

function streamed(row: Cells, format = whole): RawRow {
  const message = tuple(row);
  const end = tupleEnd(message, 6, message.length, row.length);
  expect(end).toBe(message.length - 6);
  return new RawRow(message, 6, end, format);
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function copied(rows: readonly Cells[]): readonly RawRow[] {
  const frames: number[] = [];
  const lines = rows.map((row) =>
    Buffer.from(
      `\0\0\0\0\0${row.map((cell) => cell?.replaceAll(/[\\\t\n\r]/g, (c) => ESCAPES[c]!) ?? '\\N').join('\t')}\n`,
    ),
  );
  let length = 0;
  for (const line of lines) {
    frames.push(length + 5, (length += line.length));
  }
  const tx = { id: '1', xid: 1, commitTimeUs: 0, commitLsn: 0, beginLsn: 0, lastCommitLsn: null };
  const copy = new CopyRows({
    schema: table,
    decoders,
    wide: columns.map(() => true),
    at: { connector: 'postgresql', lsn: 1, tx },
  });
  const chunk = { buffer: Buffer.concat(lines), frames: Int32Array.from(frames) };
  for (let frame = 0; frame < rows.length;) frame = copy.push(chunk, frame, Infinity);
  return copy.take(null).rows.map(({ after }) => {
    expect(after).toBeInstanceOf(RawRow);
    return after as RawRow;
  });
}

test('every one of these types may stay text', () => {
  expect(types.every(({ type }) => isTextual(type))).toBe(true);
});

test('rows as text have the values of their text, from the stream and from a copy', () => {
  fc.assert(
    fc.property(fc.array(cells, { minLength: 1, maxLength: 4 }), (rows) => {
      const expected = rows.map((row) => row.map((cell, i) => (cell === null ? null : decoders[i]!(cell))));
      expect(rows.map((row) => valuesOf(streamed(row)))).toEqual(expected);
      const copies = copied(rows);
      // The cells of one are forgotten when another's are looked at.
      expect(copies.map((row) => row.value(2))).toEqual(expected.map((row) => row[2]));
      expect(copies.map(valuesOf)).toEqual(expected);
    }),
  );
});

test('a key-only image holds its key and nothing else', () => {
  const identity = columns.map((_, i) => table.key.includes(i));
  const format = new TextTuple(decoders, identity);
  fc.assert(
    fc.property(cells, (row) => {
      const values = valuesOf(streamed(row, format));
      expect(values).toEqual(valuesOf(streamed(row)).map((value, i) => (identity[i]! ? value : ABSENT)));
    }),
  );
});

test('the same text is found the same, and other text is not', () => {
  fc.assert(
    fc.property(cells, cells, (a, b) => {
      const [left, right] = [streamed(a), streamed(b)];
      for (let i = 0; i < columns.length; i++) {
        expect(left.sameCell(right, i)).toBe(a[i] === b[i]);
        expect(left.sameCell(streamed(a), i)).toBe(true);
      }
    }),
  );
});

describe.each([
  ['debezium', false],
  ['debezium', true],
  ['safe', false],
] as const)('JSON of rows as text, profile %s, schema %s', (profile, withSchema) => {
  test('is the JSON of their values', () => {
    const expectSame = jsonOfValues(table, { profile, withSchema });
    fc.assert(
      fc.property(cells, cells, (first, second) => {
        expectSame(streamed(first), streamed(second));
        const [before, after] = copied([first, second]);
        expectSame(before!, after!);
      }),
      { numRuns: 300 },
    );
  });
});
