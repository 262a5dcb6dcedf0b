/** Tables in memory and on disk against a Map: the same answers to anything, also after a crash. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDiskTables } from '../../src/enrichment/state/disk-tables.ts';
import { MemoryTables } from '../../src/enrichment/state/memory-tables.ts';
import { decodeRow, encodeRow } from '../../src/enrichment/state/row-bytes.ts';
import type { StoredRow, TableStore } from '../../src/enrichment/state/table-store.ts';
import { Decimal } from '../../src/enrichment/sql/decimal.ts';
import type { KeyValue, SqlValue } from '../../src/enrichment/sql/value.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
  fc.integer({ min: 150, max: 40_000 }).map((length) => 'x'.repeat(length)),
);
const number = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true }),
  fc.constantFrom(0, -0, 127, 128, -128, -129, 2 ** 47 - 1, 2 ** 47, -(2 ** 47), NaN, Infinity),
);
const scalar: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  number,
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  text,
  fc.uint8Array({ maxLength: 300 }),
  fc.tuple(fc.bigInt(), fc.nat(30)).map(([coefficient, scale]) => new Decimal(coefficient, scale)),
);
const value: fc.Arbitrary<SqlValue> = fc.oneof(
  { weight: 5, arbitrary: scalar },
  { weight: 1, arbitrary: fc.array(scalar, { maxLength: 4 }) },
  {
    weight: 1,
    arbitrary: fc.array(fc.tuple(fc.string(), scalar), { maxLength: 3 }).map((list) => new Map(list)),
  },
);
const row = fc.array(value, { maxLength: 6 });

const KEYS = {
  numbers: fc.constantFrom<KeyValue>(0, 1, -1, 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER, 0.5, -7.25),
  bigints: fc.constantFrom<KeyValue>(3, 2n ** 62n, -(2n ** 60n), 2n ** 53n),
  texts: fc.constantFrom<KeyValue>(
    '',
    'a',
    'ä',
    '\u{1F600}',
    'k'.repeat(200),
    'k'.repeat(5_000),
    'l'.repeat(5_000),
  ),
  booleans: fc.constantFrom<KeyValue>(true, false),
};

type Step =
  | { readonly kind: 'put'; readonly key: KeyValue; readonly row: StoredRow }
  | { readonly kind: 'delete'; readonly key: KeyValue }
  | { readonly kind: 'clear' | 'complete' | 'begin' | 'end' };

const steps = fc.constantFrom(...Object.values(KEYS)).chain((key) =>
  fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), key, row }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constantFrom('begin', 'end', 'end', 'complete', 'clear' as const) }),
      },
    ),
    { maxLength: 30 },
  ),
) as fc.Arbitrary<readonly Step[]>;

/** Rows as text that tells all values apart. */
function told(rows: Iterable<readonly [KeyValue, StoredRow]>): readonly string[] {
  return [...rows]
    .map(([key, each]) => `${typeof key} ${String(key)} ${encodeRow(each).toString('hex')}`)
    .toSorted();
}

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'headwater-state-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('rows as bytes', () => {
  it('are what they were, whatever is in them', () => {
    fc.assert(
      fc.property(row, (each) => {
        expect(decodeRow(Buffer.from(encodeRow(each)))).toStrictEqual(each);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('tables in memory and on disk', () => {
  it('take each NaN for the same key, whatever bits it has', async () => {
    const memory = new MemoryTables({ limit: Infinity, onExceeded: () => {} }).table(0);
    await using disk = await openDiskTables(dir, 'nan', 1);
    expect(disk.open(['shape'])).toBeNull();
    disk.restored({ image: 'i', frames: 0 }, new Map());
    for (const table of [memory, disk.table(0)]) {
      for (const bits of ['7ff8000000000000', 'fff8000000000000', '7ff8000000000123'])
        table.put(Buffer.from(bits, 'hex').readDoubleBE(), [bits]);
      expect([...table.entries()]).toEqual([[NaN, ['7ff8000000000123']]]);
    }
  });

  it('answer alike, and those on disk are found as of the last durable commit', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 6 }), async (list, mostStaged) => {
        const name = `run-${run++}`;
        const memory = new MemoryTables({ limit: Infinity, onExceeded: () => {} }).table(0);
        const model = new Map<KeyValue, StoredRow>();
        let durable: { rows: readonly string[]; frames: number } = { rows: [], frames: 0 };
        const pending: { rows: readonly string[]; frames: number }[] = [];
        let written: number;
        let isComplete = false;
        {
          await using disk = await openDiskTables(dir, name, mostStaged);
          const table = disk.table(0);
          expect(disk.open(['shape'])).toBeNull();
          disk.restored({ image: 'i', frames: 0 }, new Map());
          let frames = 0;
          const states = new Map<number, { readonly asOf: null }>();
          for (const step of list) {
            frames++;
            if (step.kind === 'put') {
              for (const each of [memory, table]) each.put(step.key, step.row);
              model.set(step.key, step.row);
            } else if (step.kind === 'delete') {
              const was = model.delete(step.key);
              for (const each of [memory, table]) expect(each.delete(step.key)).toBe(was);
            } else if (step.kind === 'clear') {
              for (const each of [memory, table]) each.clear();
              model.clear();
            } else if (step.kind === 'complete') {
              isComplete = true;
              states.set(0, { asOf: null });
              disk.complete(0);
            } else if (step.kind === 'begin') {
              disk.committing({ image: 'i', frames }, states);
              if (isComplete) pending.push({ rows: told(model), frames });
            } else {
              disk.committed();
              durable = pending.shift() ?? durable;
            }
            expectSame([memory, table], model);
          }
          written = frames;
        }
        // What is not on disk yet is in the image, from the mark on.
        await using again = await openDiskTables(dir, name, mostStaged);
        const table = again.table(0);
        const found = again.open(['shape']);
        expect(found?.mark.frames).toBeLessThanOrEqual(written);
        if (found !== null && found.states.has(0)) {
          expect(found.mark.frames).toBeLessThanOrEqual(durable.frames);
          if (found.mark.frames === durable.frames) expect(told(table.entries())).toEqual(durable.rows);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('refuses more than it may take, in memory', () => {
    let exceeded = 0;
    const tables = new MemoryTables({ limit: 3 * 1024 * 1024, onExceeded: () => exceeded++ });
    const table = tables.table(0);
    const fill = (): void => {
      for (let key = 0; key < 1_000_000; key++) table.put(key, [key, 'some text', null]);
    };
    expect(fill).toThrow(/take more than 3 MiB/);
    expect(exceeded).toBe(1);
    expect(table.size).toBeGreaterThan(10_000);
  });

  it('takes the memory of deleted rows again', () => {
    const spent = { bytes: 0 };
    const tables = new MemoryTables({ limit: 8 * 1024 * 1024, onExceeded: () => spent.bytes++ });
    const table = tables.table(0);
    for (let key = 0; key < 500_000; key++) {
      table.put(key, [key, 'a row of some sixty characters, which is replaced and deleted']);
      if (key >= 20_000) table.delete(key - 20_000);
    }
    expect(table.size).toBe(20_000);
  });
});

function expectSame(tables: readonly TableStore[], model: ReadonlyMap<KeyValue, StoredRow>): void {
  for (const table of tables) {
    expect(table.size).toBe(model.size);
    expect(told(table.entries())).toEqual(told(model));
    expect(new Set(table.keys())).toEqual(new Set(model.keys()));
    for (const [key, each] of model) expect(table.get(key)).toStrictEqual(each);
    expect(table.get('nothing')).toBeUndefined();
  }
}

describe('rows in memory', () => {
  const KEYS_OF_MANY = 400;
  const change = fc.record({
    key: fc.nat(KEYS_OF_MANY - 1).map((n) => (n % 3 === 0 ? n : `key ${n}`)),
    row: fc.option(
      fc.array(
        fc.nat(9).map((n) => 'x'.repeat(n * n)),
        { maxLength: 2 },
      ),
      { freq: 2 },
    ),
  });
  const set = (
    rows: TableStore,
    map: Map<KeyValue, StoredRow>,
    { key, row: each }: { key: KeyValue; row: StoredRow | null },
  ): void => {
    if (each === null) expect(rows.delete(key)).toBe(map.delete(key));
    else {
      rows.put(key, each);
      map.set(key, each);
    }
  };

  it('of many keys are found, changed and deleted as in a Map', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3_000, size: 'max' }), (changes) => {
        const rows = new MemoryTables({ limit: Infinity, onExceeded: () => {} }).table(0);
        const map = new Map<KeyValue, StoredRow>();
        for (const each of changes) set(rows, map, each);
        expect(rows.size).toBe(map.size);
        for (let n = 0; n < KEYS_OF_MANY; n++)
          for (const key of [n, `key ${n}`]) expect(rows.get(key)).toEqual(map.get(key));
        expect(told(rows.entries())).toEqual(told(map));
      }),
      { numRuns: 60 },
    );
  });

  it('that stay are met once by who walks over them while others come and go', () => {
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 100, maxLength: 400, size: 'max' }),
        fc.array(change, { maxLength: 400, size: 'max' }),
        (before, meanwhile) => {
          const rows = new MemoryTables({ limit: Infinity, onExceeded: () => {} }).table(0);
          const map = new Map<KeyValue, StoredRow>();
          for (const each of before) set(rows, map, each);
          const stayed = new Set(map.keys());
          for (const { key, row: each } of meanwhile) if (each === null) stayed.delete(key);
          const met: KeyValue[] = [];
          const rest = meanwhile.values();
          for (const key of rows.keys()) {
            met.push(key);
            for (const each of rest.take(3)) set(rows, map, each);
          }
          const names = (keys: Iterable<KeyValue>): string[] => Array.from(keys, String).toSorted();
          expect(names(met.filter((key) => stayed.has(key)))).toEqual(names(stayed));
        },
      ),
    );
  });
});
