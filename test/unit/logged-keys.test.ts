import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Change, RowChange } from '../../src/model/change.ts';
import type { PositionCodec } from '../../src/model/position.ts';
import type { TableSchema } from '../../src/model/table.ts';
import { ABSENT, type Row } from '../../src/model/value.ts';
import { LoggedKeys } from '../../src/readers/polling/logged-keys.ts';
import { keptOf } from '../../src/readers/polling/polled-before.ts';
import { RowState } from '../../src/readers/polling/row-state.ts';

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'logged-keys-'))));
afterEach(() => rmSync(dir, { recursive: true }));

const codec: PositionCodec<number> = {
  encode: (position) => position,
  decode: Number,
  compare: (a, b) => a - b,
  insideTransaction: () => false,
};
const column = (name: string): TableSchema['columns'][number] => ({
  name,
  type: { kind: 'int32' },
  nullable: false,
  default: undefined,
  nativeType: 'int',
  length: null,
  scale: null,
});
const T: TableSchema = {
  id: { schema: 's', table: 't' },
  version: 1,
  columns: [column('id'), column('v')],
  key: [0],
};
const OTHER: TableSchema = { ...T, id: { schema: 's', table: 'other' } };

const change = (op: RowChange['op'], before: Row | null, after: Row | null, table = T): RowChange => ({
  kind: 'row',
  op,
  table,
  before,
  after,
  tx: null,
  seq: 0,
  at: { connector: 'mysql' },
  snapshot: null,
});

const file = (limitBytes = 1e9): { path: string; limitBytes: number } => ({
  path: join(dir, 'keys.sqlite'),
  limitBytes,
});

function opened(state: Iterable<readonly [string, string]> = [], snapshots = true): LoggedKeys<number> {
  return new LoggedKeys({ file: file(), codec, tables: [T.id], state: new Map(state), snapshots });
}

/** As polling that takes over finds it. */
function known(
  record: string,
  limitBytes = 1e9,
): { readonly keys: readonly string[]; readonly complete: boolean } {
  const state = new RowState(file(limitBytes), keptOf(record));
  const keys = state.unseen('s.t', 1, 1_000).map((key) => Buffer.from(key).toString());
  const complete = state.isComplete('s.t');
  state.close();
  return { keys, complete };
}

async function noted(changes: readonly Change[]): Promise<ReturnType<typeof known>> {
  const keys = opened();
  const record = keys.note({ changes, bytes: 0, resume: 1 })?.get('logged') ?? '';
  await keys[Symbol.asyncDispose]();
  return known(record);
}

describe('keys that the log has delivered', () => {
  it('are those of the rows that are there, whatever the before image holds', async () => {
    const changes = [
      change('r', null, [1, 1]),
      change('c', null, [2, 2]),
      change('c', null, [3, 3]),
      change('c', null, [3, 3], OTHER),
      change('u', null, [1, 10]),
      change('u', [2, 2], [20, 2]),
      change('u', [1, ABSENT], [ABSENT, 11]),
      change('u', null, [4, 4]),
      change('d', [3, ABSENT], null),
    ];
    expect(await noted(changes)).toEqual({ keys: ['[1]', '[20]', '[4]'], complete: true });
  });

  it('are none after TRUNCATE, but of what was inserted since', async () => {
    const truncate: Change = { kind: 'truncate', table: T, tx: null, seq: 0, at: { connector: 'mysql' } };
    const changes = [
      change('c', null, [1, 1]),
      change('c', null, [2, 2]),
      truncate,
      change('c', null, [2, 2]),
    ];
    expect((await noted(changes)).keys).toEqual(['[2]']);
  });

  it('are begun anew where the table’s key has become another, and are not all then', async () => {
    const other = { ...T, key: [1] };
    const changes = [change('c', null, [1, 7]), change('c', null, [2, 8], other)];
    expect(await noted(changes)).toEqual({ keys: ['[8]'], complete: false });
  });

  it('are not those of rows in the dead letters', async () => {
    const unreadable = { ...change('c', null, [1, 1]), unreadable: new Error('x') };
    expect((await noted([unreadable, change('c', null, [2, 2])])).keys).toEqual(['[2]']);
  });

  it('are not all where the table had been read before they were kept, or is not read at all', async () => {
    for (const [state, snapshots] of [
      [[['table/s.t', '{}']], true],
      [[], false],
    ] as const) {
      const keys = opened(state, snapshots);
      const record = keys.note({ changes: [change('c', null, [1, 1])], bytes: 0, resume: 1 })!.get('logged')!;
      await keys[Symbol.asyncDispose]();
      expect(known(record)).toEqual({ keys: ['[1]'], complete: false });
    }
  });

  it('are forgotten of a table of which they are not kept any more', async () => {
    const keys = opened();
    const record = keys.note({ changes: [change('c', null, [1, 1])], bytes: 0, resume: 1 })!.get('logged')!;
    await keys[Symbol.asyncDispose]();
    const state = new Map([['logged', record]]);
    const without = new LoggedKeys({ file: file(), codec, tables: [OTHER.id], state, snapshots: true });
    const later = without
      .note({ changes: [change('c', null, [1, 1], OTHER)], bytes: 0, resume: 2 })!
      .get('logged')!;
    await without[Symbol.asyncDispose]();
    expect(known(later)).toEqual({ keys: [], complete: false });
  });

  it('say nothing where nothing has changed', async () => {
    await using keys = opened();
    expect(keys.note({ changes: [], bytes: 0, resume: 1 })).toBeNull();
    expect(keys.note({ changes: [change('c', null, [1, 1], OTHER)], bytes: 0, resume: 1 })).toBeNull();
    keys.note({ changes: [change('c', null, [1, 1])], bytes: 0, resume: 1 });
    expect(keys.note({ changes: [change('u', null, [1, 2])], bytes: 0, resume: 1 })).toBeNull();
  });

  it('are exactly those of the checkpoint, whatever was noted behind it, confirmed or not', async () => {
    const step = fc.record({
      ids: fc.array(fc.tuple(fc.nat(9), fc.boolean()), { maxLength: 4 }),
      durable: fc.boolean(),
      confirmed: fc.boolean(),
      restart: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        rmSync(file().path, { force: true });
        let keys = opened();
        let there = new Set<number>();
        let durable = { there, record: null as string | null };
        let record: string | null = null;
        for (const [i, { ids, durable: isDurable, confirmed, restart }] of steps.entries()) {
          there = new Set(there);
          const changes = ids.map(([id, gone]) => {
            if (gone) there.delete(id);
            else there.add(id);
            return gone ? change('d', [id, 0], null) : change('c', null, [id, 0]);
          });
          record = keys.note({ changes, bytes: 0, resume: i })?.get('logged') ?? record;
          if (isDurable) durable = { there, record };
          if (isDurable && confirmed) keys.confirm(i);
          if (!restart) continue;
          await keys[Symbol.asyncDispose]();
          keys = opened(durable.record === null ? [] : [['logged', durable.record]]);
          ({ there, record } = durable);
        }
        await keys[Symbol.asyncDispose]();
        if (durable.record === null) return;
        expect(known(durable.record).keys).toEqual([...durable.there].map((id) => `[${id}]`).toSorted());
      }),
      { numRuns: 40 },
    );
  });
});
