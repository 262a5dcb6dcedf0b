/** Rows of MySQL that stay as they came, from the binlog and from the text protocol, beside the same rows decoded. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TableSchema } from '../../src/model/table.ts';
import { type Image, RawRow, valuesOf } from '../../src/model/raw-row.ts';
import { ByteCursor } from '../../src/readers/mysql/binlog/byte-cursor.ts';
import { decimalBytes } from '../../src/readers/mysql/binlog/decimal.ts';
import { EVENT, TYPE } from '../../src/readers/mysql/binlog/event-types.ts';
import { BinlogRows } from '../../src/readers/mysql/binlog/raw-rows.ts';
import { readRowsHead, RowReader } from '../../src/readers/mysql/binlog/rows.ts';
import type { CapturedState } from '../../src/readers/mysql/binlog/table-state.ts';
import { openColumn } from '../../src/readers/mysql/log-table.ts';
import { RawTextRows } from '../../src/readers/mysql/raw-text-rows.ts';
import { TextRowReader } from '../../src/readers/mysql/snapshot-rows.ts';
import { binlogDecoder } from '../../src/readers/mysql/types/decode-binlog.ts';
import { cellDecoder } from '../../src/readers/mysql/types/decode-text.ts';
import { columnOf, type MysqlColumn } from '../../src/readers/mysql/types/mysql-column.ts';
import { jsonOfValues } from './same-json.ts';

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ maxLength: 300 }),
  fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', '\u0001', '\u007f', 'é', '€', '😀') }),
);
const utf8 = text.map((each) => Buffer.from(each));
const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((each) => Buffer.from(each));
/** Its length, and whatever follows it. */
const prefixed = (width: number, of: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  of.map((each) => {
    const head = Buffer.alloc(width);
    const whole = width === 1 ? each.subarray(0, 255) : each;
    head.writeUIntLE(whole.length, 0, width);
    return Buffer.concat([head, whole]);
  });
const anything = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each));
const digits = fc.oneof(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), fc.bigInt(-99n, 99n)).map(String);
const two = (most: number): fc.Arbitrary<string> =>
  fc.integer({ min: 0, max: most }).map((n) => String(n).padStart(2, '0'));
/** Dates of the calendar, dates that no calendar has, and none. */
const date = fc
  .tuple(fc.constantFrom('0000', '0001', '1969', '1970', '2024', '9999'), two(12), two(31))
  .map((parts) => parts.join('-'));
const time = fc.tuple(two(23), two(59), two(59)).map((parts) => parts.join(':'));
const datetime = (fraction: string): fc.Arbitrary<string> =>
  fc.tuple(date, time).map(([day, clock]) => `${day} ${clock}${fraction}`);

interface Kind {
  readonly column: Partial<MysqlColumn>;
  readonly log: { readonly type: number; readonly meta: number; readonly bytes: fc.Arbitrary<Buffer> };
  /** As the text protocol has it. */
  readonly text: fc.Arbitrary<string | Buffer>;
}

const kind = (
  column: Partial<MysqlColumn>,
  [type, meta, logged]: readonly [type: number, meta: number, bytes: fc.Arbitrary<Buffer>],
  printed: fc.Arbitrary<string | Buffer>,
): Kind => ({ column, log: { type, meta, bytes: logged }, text: printed });

const LABELS = ['small', 'l,arge', 'größer'];
const utf8Column = { charset: 'utf8mb4', collation: 'utf8mb4_general_ci' };
const KINDS: readonly Kind[] = [
  kind({ dataType: 'int' }, [TYPE.long, 0, bytes(4)], fc.integer().map(String)),
  kind({ dataType: 'tinyint', unsigned: true }, [TYPE.tiny, 0, bytes(1)], fc.nat(255).map(String)),
  kind(
    { dataType: 'smallint' },
    [TYPE.short, 0, bytes(2)],
    fc.integer({ min: -32768, max: 32767 }).map(String),
  ),
  // ZEROFILL
  kind(
    { dataType: 'mediumint', unsigned: true },
    [TYPE.int24, 0, bytes(3)],
    fc.constantFrom('00000012', '12'),
  ),
  kind({ dataType: 'bigint' }, [TYPE.longlong, 0, bytes(8)], digits),
  kind(
    { dataType: 'bigint', unsigned: true },
    [TYPE.longlong, 0, bytes(8)],
    fc.bigInt(0n, 2n ** 64n - 1n).map(String),
  ),
  kind(
    { dataType: 'decimal', length: 10, scale: 2 },
    [TYPE.newdecimal, (10 << 8) | 2, bytes(decimalBytes(10, 2))],
    fc.constantFrom('0.00', '-0.01', '12345678.90', '-99999999.99', '0000001.50'),
  ),
  kind(
    { dataType: 'decimal', length: 30, scale: 0 },
    [TYPE.newdecimal, 30 << 8, bytes(decimalBytes(30, 0))],
    fc.bigInt(-(10n ** 30n) + 1n, 10n ** 30n - 1n).map(String),
  ),
  kind({ dataType: 'float' }, [TYPE.float, 4, bytes(4)], fc.constantFrom('1.5', '-3.4028234663852886e38')),
  kind(
    { dataType: 'double' },
    [TYPE.double, 8, bytes(8)],
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  ),
  kind({ dataType: 'varchar', length: 80, ...utf8Column }, [TYPE.varchar, 320, prefixed(2, utf8)], utf8),
  // What no UTF-8 is, too.
  kind({ dataType: 'char', length: 9, ...utf8Column }, [TYPE.string, 36, prefixed(1, anything)], anything),
  kind({ dataType: 'varchar', charset: 'latin1' }, [TYPE.varchar, 80, prefixed(1, anything)], anything),
  kind({ dataType: 'text', charset: 'utf16' }, [TYPE.blob, 2, prefixed(2, anything)], anything),
  kind({ dataType: 'text', charset: 'sjis' }, [TYPE.blob, 2, prefixed(2, utf8)], utf8),
  kind({ dataType: 'blob' }, [TYPE.blob, 2, prefixed(2, anything)], anything),
  kind({ dataType: 'binary', length: 4 }, [TYPE.string, 4, prefixed(1, bytes(3))], bytes(4)),
  kind(
    { dataType: 'enum', values: LABELS, ...utf8Column },
    [TYPE.enum, 1, fc.nat(LABELS.length).map((index) => Buffer.from([index]))],
    fc.constantFrom('', ...LABELS),
  ),
  kind({ dataType: 'bit', length: 1 }, [TYPE.bit, 1, bytes(1)], bytes(1)),
  kind({ dataType: 'bit', length: 12 }, [TYPE.bit, 12, bytes(2)], bytes(2)),
  kind({ dataType: 'year' }, [TYPE.year, 0, bytes(1)], fc.constantFrom('0000', '1901', '2155')),
  kind({ dataType: 'date' }, [TYPE.date, 0, bytes(3)], date),
  kind({ dataType: 'time', fraction: 0 }, [TYPE.time2, 0, bytes(3)], time),
  kind(
    { dataType: 'time', fraction: 3 },
    [TYPE.time2, 3, bytes(5)],
    time.map((clock) => `-${clock}.250`),
  ),
  kind({ dataType: 'datetime', fraction: 0 }, [TYPE.datetime2, 0, bytes(5)], datetime('')),
  kind({ dataType: 'datetime', fraction: 6 }, [TYPE.datetime2, 6, bytes(8)], datetime('.000120')),
  kind({ dataType: 'timestamp', fraction: 0 }, [TYPE.timestamp2, 0, bytes(4)], datetime('')),
  kind({ dataType: 'timestamp', fraction: 3 }, [TYPE.timestamp2, 3, bytes(6)], datetime('.120')),
];

const columns = KINDS.map(({ column }, i): MysqlColumn => ({ ...openColumn(`c${i}`), ...column }));
const table: TableSchema = {
  id: { schema: 's', table: 't' },
  version: 1,
  columns: columns.map((column) => columnOf(column, { zeroDates: 'null', unsignedOverflow: 'string' })),
  key: [10, 0],
};
const log = KINDS.map(({ log: { type, meta } }) => ({ type, meta, nullable: true }));
const decoders = columns.map((column, i) => binlogDecoder(column, log[i]!)!);
const decoded: CapturedState = {
  schema: table,
  decoders,
  raw: null,
  json: [],
  inserted: [],
  versions: null,
  unreadable: null,
  undecodable: false,
};
const raw: CapturedState = { ...decoded, raw: BinlogRows.of(columns, log, decoders) };
const cellDecoders = columns.map(cellDecoder);
const rawText = new RawTextRows(table.id, columns);

const image = fc
  .tuple(...KINDS.map((each) => fc.option(each.log.bytes, { freq: 8 })))
  .map((cells: readonly (Buffer | null)[]) => {
    const nulls = Buffer.alloc((cells.length + 7) >> 3);
    cells.forEach((cell, i) => {
      if (cell === null) nulls[i >> 3]! |= 1 << (i & 7);
    });
    return Buffer.concat([nulls, ...cells.filter((cell) => cell !== null)]);
  });

/** The images of an UPDATE_ROWS event, from behind the table's number and flags, among other bytes. */
function updated(state: CapturedState, before: Buffer, after: Buffer): readonly [Image, Image] {
  const all = Buffer.alloc((KINDS.length + 7) >> 3, 0xff);
  const body = Buffer.concat([Buffer.from([2, 0, KINDS.length]), all, all, before, after]);
  const event = Buffer.concat([Buffer.from('head'), body, Buffer.from('behind')]);
  const cursor = new ByteCursor(event, 4, 4 + body.length);
  const head = readRowsHead(EVENT.updateRows, cursor, state);
  const reader = new RowReader();
  expect(reader.read(head, cursor, state)).toBe(true);
  expect(cursor.left).toBe(0);
  expect(reader.unreadable).toBe(null);
  return [reader.before!, reader.after!];
}

type Printed = readonly (Buffer | null)[];

/** The cells of a row of the text protocol. */
const printed: fc.Arbitrary<Printed> = fc
  .tuple(...KINDS.map((each) => fc.option(each.text, { freq: 8 })))
  .map((cells: readonly (string | Buffer | null)[]) =>
    cells.map((cell) => (cell === null ? null : Buffer.from(cell))),
  );

function packet(cells: Printed): Buffer {
  return Buffer.concat(
    cells.map((cell) => {
      if (cell === null) return Buffer.from([0xfb]);
      const head = cell.length < 251 ? [cell.length] : [0xfc, cell.length & 0xff, cell.length >> 8];
      return Buffer.concat([Buffer.from(head), cell]);
    }),
  );
}

function read(printedRows: readonly Printed[]): readonly Image[] {
  const of = { schema: table, rows: rawText, at: { connector: 'polling' } as const };
  const reader = new TextRowReader(of);
  const frames: number[] = [];
  let length = 0;
  const rows = printedRows.map(packet);
  for (const row of rows) frames.push(length, (length += row.length));
  reader.push({ buffer: Buffer.concat(rows), frames });
  return reader.take(null).rows.map(({ after, unreadable }) => {
    expect(unreadable).toBe(undefined);
    return after!;
  });
}

function asRaw(of: Image): RawRow {
  expect(of).toBeInstanceOf(RawRow);
  return of as RawRow;
}

test('rows of the binlog have the values that they have decoded', () => {
  fc.assert(
    fc.property(image, image, (before, after) => {
      const rows = updated(raw, before, after).map(asRaw);
      expect(rows.map((row) => valuesOf(row))).toEqual(updated(decoded, before, after));
    }),
    { numRuns: 500 },
  );
});

test('rows of the text protocol have the values that they have decoded', () => {
  fc.assert(
    fc.property(fc.array(printed, { minLength: 1, maxLength: 3 }), (rows) => {
      const decodedRows = rows.map((row) =>
        row.map((cell, i) => (cell === null ? null : cellDecoders[i]!(cell, 0, cell.length))),
      );
      expect(read(rows).map(asRaw).map(valuesOf)).toEqual(decodedRows);
    }),
    { numRuns: 500 },
  );
});

test('cells of the same bytes are found the same, and of others not', () => {
  fc.assert(
    fc.property(image, image, (a, b) => {
      const [left, right] = updated(raw, a, b).map(asRaw) as [RawRow, RawRow];
      const [values, others] = updated(decoded, a, b) as [readonly unknown[], readonly unknown[]];
      for (let i = 0; i < KINDS.length; i++) {
        if (left.sameCell(right, i)) expect(values[i]).toEqual(others[i]);
        expect(left.sameCell(asRaw(updated(raw, a, b)[0]), i)).toBe(true);
      }
    }),
  );
});

test('a row with an ENUM value that the column has not is decoded, and says which column it was', () => {
  const place = columns.findIndex(({ dataType }) => dataType === 'enum');
  const nulls = Buffer.alloc((KINDS.length + 7) >> 3, 0xff);
  nulls[place >> 3]! &= ~(1 << (place & 7));
  const all = Buffer.alloc(nulls.length, 0xff);
  const event = Buffer.concat([Buffer.from([2, 0, KINDS.length]), all, nulls, Buffer.from([4])]);
  const cursor = new ByteCursor(event, 0, event.length);
  const head = readRowsHead(EVENT.writeRows, cursor, raw);
  const reader = new RowReader();
  expect(reader.read(head, cursor, raw)).toBe(true);
  expect(reader.unreadable?.message).toContain(`c${place}`);
});

describe.each([
  ['debezium', false],
  ['debezium', true],
  ['safe', false],
] as const)('JSON of rows as they came, profile %s, schema %s', (profile, withSchema) => {
  const expectSame = jsonOfValues(table, { profile, withSchema });

  test('from the binlog is the JSON of their values', () => {
    fc.assert(
      fc.property(image, image, (before, after) => {
        const [first, second] = updated(raw, before, after);
        expectSame(asRaw(first), asRaw(second));
      }),
      { numRuns: 300 },
    );
  });

  test('from the text protocol is the JSON of their values', () => {
    fc.assert(
      fc.property(printed, printed, (before, after) => {
        const [first, second] = read([before, after]);
        expectSame(asRaw(first!), asRaw(second!));
      }),
      { numRuns: 300 },
    );
  });
});
