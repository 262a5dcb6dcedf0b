import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asHeadwaterError, HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { RowChange } from '../../src/model/change.ts';
import { RawRow, valuesOf } from '../../src/model/raw-row.ts';
import { ABSENT, type Row, UNCHANGED } from '../../src/model/value.ts';
import { ByteQueue } from '../../src/snapshot/byte-queue.ts';
import { TableSnapshot } from '../../src/snapshot/captured-table.ts';
import { Ledger } from '../../src/snapshot/ledger.ts';
import { rowKey } from '../../src/snapshot/row-key.ts';
import { Window } from '../../src/snapshot/window.ts';
import type { ChunkRange, TablePlan } from '../../src/snapshot/snapshot-source.ts';
import { endOfRecords } from '../../src/readers/postgres/snapshot-windows.ts';
import { CopyRows } from '../../src/readers/postgres/snapshot-rows.ts';
import { Visibility } from '../../src/readers/postgres/snapshot-visibility.ts';
import type { PostgresSource } from '../../src/readers/postgres/source-info.ts';
import { type ModelPosition, type ModelSource, modelTable } from '../property/snapshot-model.ts';

const NOW = new Date(0);
const WHOLE: ChunkRange = { from: null, to: null };

describe('Ledger', () => {
  const chunks = [
    { from: null, to: '["5"]' },
    { from: '["5"]', to: null },
  ];

  test('goes on where its text says', () => {
    const ledger = Ledger.begin('key', chunks, NOW);
    ledger.advance(1, '["7"]', 2);
    expect(ledger.finish(0)).toBe(false);
    const again = Ledger.decode(ledger.encode(), 'table/a');
    expect([again.remaining(0), again.remaining(1), again.rows]).toEqual([
      null,
      { from: '["7"]', to: null },
      2,
    ]);
    expect(again.ranges()).toEqual(chunks);
    expect(again.finish(1)).toBe(true);
    again.complete(NOW);
    expect(Ledger.decode(again.encode(), 'table/a').completed).toBe(true);
  });

  test('refuses what it has not written', () => {
    const text = Ledger.begin('key', chunks, NOW).encode();
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.nat(text.length - 1).map((n) => text.slice(0, n)),
        ),
        (bad) => {
          try {
            Ledger.decode(bad, 'table/a');
            return false;
          } catch (error) {
            return error instanceof HeadwaterError && error.code === 'state.snapshot-invalid';
          }
        },
      ),
    );
  });
});

describe('ByteQueue', () => {
  test('holds producers back, lets a huge item in, and ends in order', async () => {
    const queue = new ByteQueue<string>(10);
    expect(await queue.push('huge', 100)).toBe(true);
    let second = false;
    const pushed = queue.push('b', 1).then((open) => (second = open));
    await Promise.resolve();
    expect(second).toBe(false);
    expect(await queue.take()).toBe('huge');
    expect(await pushed).toBe(true);
    queue.close();
    expect(await queue.push('late', 1)).toBe(false);
    expect([await queue.take(), await queue.take()]).toEqual(['b', null]);
  });

  test('throws what it failed with, to the consumer', async () => {
    const queue = new ByteQueue<string>(10);
    await queue.push('lost', 1);
    queue.fail(new Error('broken'));
    await expect(queue.take()).rejects.toThrow('broken');
  });
});

describe('Window', () => {
  const table = modelTable('a', true);
  const at: ModelSource = { connector: 'polling' };
  const change = (op: 'c' | 'u' | 'd', before: Row | null, after: Row | null): RowChange<ModelSource> => ({
    kind: 'row',
    op,
    table,
    before,
    after,
    tx: { id: '1', commitTimeUs: 0 },
    seq: 0,
    at,
    snapshot: null,
  });
  const opened = (rows: readonly Row[], owes = false): Window<ModelPosition, ModelSource> => {
    const plan: TablePlan = {
      id: table.id,
      schema: table,
      by: 'key',
      key: [0],
      chunks: [WHOLE],
      estimatedRows: null,
    };
    const snapshot = new TableSnapshot(
      { id: table.id, key: ['id'], estimatedRows: null, limitation: null },
      { where: null, requested: false, ledger: null },
    );
    const window = new Window<ModelPosition, ModelSource>({
      table: snapshot,
      part: { kind: 'chunk', index: 0, range: WHOLE },
      plan,
      openedAt: 0,
      attempt: 0,
      owes,
    });
    window.chunk = {
      rows: rows.map((row) => ({ ...change('c', null, row), op: 'r', tx: null, snapshot: 'true' })),
      bytes: 1,
      lastKey: null,
      high: { lsn: 1, done: 0 },
      sees: () => true,
      plan,
    };
    return window;
  };
  const left = (window: Window<ModelPosition, ModelSource>): readonly (Row | null)[] | null =>
    window.survivors()?.map((row) => valuesOf(row.after)) ?? null;

  test('drops what the stream touched, under the old key and the new', () => {
    const window = opened([
      [1, 1, 1],
      [2, 2, 2],
      [3, 3, 3],
      [4, 4, 4],
    ]);
    window.observe(change('u', [1, null, null], [2, 9, 9]));
    window.observe(change('d', [3, ABSENT, ABSENT], null));
    expect(left(window)).toEqual([[4, 4, 4]]);
  });

  test('fills what the log left out from the chunk, under the latest image', () => {
    const window = opened([
      [1, 1, 'big'],
      [2, 2, 'two'],
    ]);
    window.observe(change('u', null, [1, 5, UNCHANGED]));
    window.observe(change('u', null, [1, 6, UNCHANGED]));
    window.observe(change('u', null, [2, 5, 'new']));
    window.observe(change('u', null, [2, 6, UNCHANGED]));
    expect(left(window)).toEqual([[1, 6, 'big']]);
  });

  test('is read again where a key is not in the log, or a row moved with a value left out', () => {
    const keyless = opened([[1, 1, 1]]);
    keyless.observe(change('d', [ABSENT, 1, ABSENT], null));
    expect(left(keyless)).toBe(null);
    const moved = opened([[1, 1, 1]]);
    moved.observe(change('u', [1, null, null], [7, 1, UNCHANGED]));
    expect(left(moved)).toBe(null);
  });

  test('leaves a row that moved with a value left out to those who read it by its key', () => {
    const window = opened(
      [
        [1, 1, 1],
        [7, 7, 7],
        [8, 8, 8],
      ],
      true,
    );
    window.observe(change('u', [1, null, null], [7, 1, UNCHANGED]));
    window.observe(change('u', [7, null, null], [7, 2, UNCHANGED]));
    expect(left(window)).toEqual([[8, 8, 8]]);
  });

  test('is read again where the table changed its shape', () => {
    const window = opened([[1, 1, 1]]);
    const [first] = table.columns;
    const wider = { ...table, columns: [...table.columns, { ...first!, name: 'more' }] };
    window.observe({ kind: 'schema', id: table.id, table: wider, previous: table, ddl: null, tx: null, at });
    expect(left(window)).toBe(null);
  });

  test('goes on where a key cannot be read: such a row is for the dead-letter topic', () => {
    const text = (id: string): RawRow => {
      const bytes = Buffer.from(id);
      return new RawRow(bytes, 0, bytes.length, {
        columns: 1,
        decode: (cells, from, to) => {
          const cell = cells.toString('utf8', from, to);
          if (!/^\d+$/.test(cell)) throw new HeadwaterError('source.value-unreadable', 'What is this?');
          return Number(cell);
        },
        locate: (_, start, end, into) => into.set([start, end - start]),
      });
    };
    const window = opened([]);
    const rows = ['1', '2', '3', 'x', 'y'].map((id) => ({ ...change('c', null, null), after: text(id) }));
    window.chunk = { ...window.chunk!, rows };
    window.observe({ ...change('u', null, null), before: text('1'), after: text('z') });
    window.observe({ ...change('u', null, null), before: text('x'), after: text('2') });
    window.observe({ ...change('d', null, null), before: text('y') });
    window.observe({ ...change('c', null, null), after: text('q') });
    expect(window.survivors()).toEqual([rows[2], rows[3], rows[4]]);
  });

  test('is empty after a truncation', () => {
    const window = opened([[1, 1, 1]]);
    window.observe({ kind: 'truncate', table, tx: { id: '1', commitTimeUs: 0 }, seq: 0, at });
    expect(left(window)).toEqual([]);
  });
});

test('composite keys are told apart, whatever is in them', () => {
  const value = fc.oneof(fc.string(), fc.integer(), fc.bigInt(), fc.uint8Array(), fc.boolean());
  fc.assert(
    fc.property(fc.tuple(value, value), fc.tuple(value, value), (a, b) => {
      const print = (row: Row): string =>
        row
          .map((part) => `${typeof part}:${part instanceof Uint8Array ? part.join() : String(part)}`)
          .join('|');
      // Print alone may be ambiguous for strings with '|': compare part by part.
      const same = a.every((part, i) => print([part]) === print([b[i]!]));
      return (rowKey(a, [0, 1]) === rowKey(b, [0, 1])) === same;
    }),
  );
});

test('what a snapshot of PostgreSQL sees, across the wrap of 32-bit ids', () => {
  const wrap = 2 ** 32;
  const visibility = new Visibility(`${wrap - 2}:${wrap + 3}:${wrap - 2},${wrap + 1}`);
  const sees = (xid: number): boolean => visibility.sees(String(xid % wrap));
  expect([wrap - 3, wrap - 2, wrap - 1, wrap + 0, wrap + 1, wrap + 2, wrap + 3, wrap + 9].map(sees)).toEqual([
    true,
    false,
    true,
    true,
    false,
    true,
    false,
    false,
  ]);
});

test('the last record ends before a page header', () => {
  expect([0x2000028, 0x2002018, 0x2002019, 0x2002040].map((lsn) => endOfRecords(lsn, 8192))).toEqual([
    0x2000000, 0x2002000, 0x2002019, 0x2002040,
  ]);
});

describe('rows of COPY', () => {
  const at: PostgresSource = {
    connector: 'postgresql',
    lsn: 1,
    tx: { id: '1', xid: 1, commitTimeUs: 0, commitLsn: 0, beginLsn: 0, lastCommitLsn: null },
  };
  const format = {
    schema: modelTable('a', true),
    decoders: [String, String, String],
    wide: [true, true, true],
    at,
  };
  const chunkOf = (lines: readonly Uint8Array[]): { buffer: Buffer; frames: Int32Array } => {
    const frames: number[] = [];
    const parts: Uint8Array[] = [];
    let length = 0;
    for (const line of lines) {
      frames.push(length + 5, length + 5 + line.length);
      parts.push(new Uint8Array(5), line);
      length += 5 + line.length;
    }
    return { buffer: Buffer.concat(parts), frames: Int32Array.from(frames) };
  };
  const escaped = (cell: string | null): string =>
    cell === null
      ? '\\N'
      : cell.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r');

  test('are what went in, whatever the cells hold', () => {
    const cell = fc.option(
      fc.oneof(
        fc.string(),
        fc.string({ unit: fc.constantFrom('\\', '\t', '\n', 'N', 'é', '漢', '😀', 'a') }),
      ),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell, cell), { minLength: 1 }),
        fc.integer({ min: 1, max: 5 }),
        (table, step) => {
          const chunk = chunkOf(table.map((row) => Buffer.from(`${row.map(escaped).join('\t')}\n`)));
          const rows = new CopyRows(format);
          const got: (Row | null)[] = [];
          for (let frame = 0; frame < table.length;) {
            frame = rows.push(chunk, frame, step);
            expect(rows.lastTexts([0, 2])[0]).toBe(table[frame - 1]![0] ?? 'N');
            got.push(...rows.take(null).rows.map((row) => valuesOf(row.after)));
          }
          expect(got).toEqual(table);
        },
      ),
    );
  });

  test('of the wrong width are refused, and garbage never makes another error', () => {
    const valuesIn = (line: Uint8Array): readonly (Row | null)[] => {
      const rows = new CopyRows(format);
      rows.push(chunkOf([line]), 0, 9);
      return rows.take(null).rows.map(({ after }) => valuesOf(after));
    };
    expect(() => valuesIn(Buffer.from('a\tb\n'))).toThrow(HeadwaterError);
    expect(() => valuesIn(Buffer.from('a\tb\tc\td\n'))).toThrow(HeadwaterError);
    const likely = fc
      .string({ unit: fc.constantFrom('\\', '\t', '\t', '\n', 'N', 'a', 'é'), minLength: 1 })
      .map((text) => Buffer.from(text));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ minLength: 1 }), likely), (bytes) => {
        try {
          valuesIn(bytes);
        } catch (error) {
          expect(error).toBe(asHeadwaterError(error));
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
