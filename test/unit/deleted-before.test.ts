/** Deletes of rows that were delivered before changes were found in this way: when they are told, and of what. */
import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { Batch } from '../../src/model/batch.ts';
import type { Change, SourceInfo } from '../../src/model/change.ts';
import type { PositionCodec } from '../../src/model/position.ts';
import { valuesOf } from '../../src/model/raw-row.ts';
import { type TableId, tableName, type TableSchema } from '../../src/model/table.ts';
import { ABSENT, type Row } from '../../src/model/value.ts';
import { type Log, SILENT } from '../../src/observability/log.ts';
import { type DeletedBeforeOptions, withDeletedBefore } from '../../src/pipeline/deleted-before.ts';
import type { DeliveredBefore, GoneRows } from '../../src/readers/delivered-before.ts';
import type { SnapshotSource, TablePlan, WindowReader } from '../../src/snapshot/snapshot-source.ts';

/** A log whose positions are numbers; halves lie inside of transactions. */
const CODEC: PositionCodec<number> = {
  encode: (position) => position,
  decode: Number,
  compare: (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? null : a - b),
  insideTransaction: (position) => !Number.isInteger(position),
};
const AT: SourceInfo = { connector: 'postgresql' };
const ORD: TableId = { schema: 'q', table: 'ord' };
const ITEM: TableId = { schema: 'q', table: 'item' };
const FINISHED = new Map([['before', null]]);
const never = new AbortController().signal;

function schemaOf(id: TableId): TableSchema {
  const column = { nativeType: 'text', type: { kind: 'string' }, nullable: true, default: null } as const;
  const columns = ['note', 'id'].map((name) => ({ ...column, name })) as unknown as TableSchema['columns'];
  return { id, version: 1, columns, key: [1] };
}

interface Script {
  /** Rows gone, by table, as [column names, rows]. */
  readonly gone?: Readonly<Record<string, readonly (readonly [readonly string[], readonly Row[]])[]>>;
  readonly tables?: readonly TableId[];
  /** Answers of the source, one after the other; the last one stays. */
  readonly settled?: readonly (number | null)[];
  /** Thrown where the table is compared, or planned. */
  readonly compareFails?: Readonly<Record<string, Error>>;
  readonly planFails?: Readonly<Record<string, Error>>;
  readonly from?: number;
  /** Of the snapshot: done from the nth question on. */
  readonly doneAfter?: number;
  readonly onCompare?: () => void;
}

/** What was asked and told, in order. */
class Pipeline {
  readonly steps: string[] = [];
  readonly warnings: string[] = [];
  nudges = 0;
  openReaders = 0;
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
  }

  async run(batches: AsyncIterable<Batch<number>>, signal: AbortSignal = never): Promise<Batch<number>[]> {
    const out: Batch<number>[] = [];
    for await (const batch of withDeletedBefore(batches, this.options(), signal)) {
      out.push(batch);
      const kinds = batch.changes.map((change) => (change.kind === 'row' ? change.op : change.kind));
      this.steps.push(`batch ${batch.resume ?? 'inside'} ${kinds.join('')}`.trim());
    }
    return out;
  }

  options(): DeletedBeforeOptions<number, SourceInfo> {
    const { gone = {}, tables = [ORD], from = 0, compareFails = {}, doneAfter = 0 } = this.#script;
    let asked = 0;
    const log: Log = {
      ...SILENT,
      warn: (fields, text) => void this.warnings.push(`${JSON.stringify(fields)} ${text}`),
    };
    const before: DeliveredBefore = {
      untold: [],
      tables,
      finished: FINISHED,
      compare: (id) => {
        this.steps.push(`compare ${tableName(id)}`);
        this.#script.onCompare?.();
        const error = compareFails[tableName(id)];
        return error === undefined ? Promise.resolve() : Promise.reject(error);
      },
      saw: (changes) => (changes.length === 0 ? null : new Map([['seen', String(changes.length)]])),
      gone: (id): GoneRows[] =>
        (gone[tableName(id)] ?? []).map(([columns, rows]) => ({
          parts: [{ columns, rows }],
          state: new Map([[`gone ${tableName(id)}`, 'told']]),
        })),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    return {
      before,
      source: this.#source(),
      codec: CODEC,
      snapshot: {
        get done() {
          return asked++ >= doneAfter;
        },
      },
      from,
      originAt: () => AT,
      nudge: () => void this.nudges++,
      onTold: () => this.steps.push('told'),
      log,
    };
  }

  #source(): SnapshotSource<number> {
    const { settled = [5], planFails = {} } = this.#script;
    let asked = 0;
    const reader = (): WindowReader<number> => ({
      keyed: () => Promise.reject(new Error('not asked here')),
      chunk: () => Promise.reject(new Error('not asked here')),
      plan: (id) => {
        const error = planFails[tableName(id)];
        if (error !== undefined) return Promise.reject(error);
        return Promise.resolve({ id, schema: schemaOf(id) } as TablePlan);
      },
      settled: (ageMs) => {
        expect(ageMs).toBeGreaterThanOrEqual(0);
        this.steps.push('settled');
        return Promise.resolve(settled[Math.min(asked++, settled.length - 1)]!);
      },
      [Symbol.asyncDispose]: () => {
        this.openReaders--;
        return Promise.resolve();
      },
    });
    return {
      openView: () => Promise.reject(new Error('not asked here')),
      openOwnView: () => Promise.reject(new Error('not asked here')),
      openWindows: () => {
        this.openReaders++;
        return Promise.resolve(reader());
      },
    };
  }
}

const change = (): Change => ({
  kind: 'row',
  op: 'c',
  table: schemaOf(ORD),
  before: null,
  after: ['n', 'k'],
  tx: null,
  seq: 0,
  at: AT,
  snapshot: null,
});

async function* batchesAt(...positions: readonly (number | null)[]): AsyncGenerator<Batch<number>> {
  for (const resume of positions) {
    await Promise.resolve();
    yield { changes: [change()], bytes: 1, resume };
  }
}

const quarantine = new HeadwaterError('snapshot.table-unreadable', 'The table cannot be read.');
const GONE = { 'q.ord': [[['id'], [['a'], ['b']]]] } as const;

test('the tables are compared when the snapshot is done, and deletes told when the log has come to where it stood then', async () => {
  const pipeline = new Pipeline({ gone: GONE, doneAfter: 2, settled: [null, 4] });
  const out = await pipeline.run(batchesAt(1, 2, 3, 4, 5));
  expect(pipeline.steps).toEqual([
    'batch 1 c', // asked at the beginning and here: the snapshot is not done
    'batch 2 c',
    'compare q.ord',
    'settled',
    'settled',
    'batch 3 c',
    'batch 4 c',
    'batch 4 dd',
    'batch 4',
    'told',
    'batch 5 c',
  ]);
  const deletes = out[4]!;
  expect(deletes.changes.map((each) => each.kind === 'row' && valuesOf(each.before))).toEqual([
    [ABSENT, 'a'],
    [ABSENT, 'b'],
  ]);
  expect(deletes.changes.map((each) => each.kind === 'row' && [each.after, each.seq, each.at])).toEqual([
    [null, 0, AT],
    [null, 1, AT],
  ]);
  expect(deletes.state).toEqual(new Map([['gone q.ord', 'told']]));
  expect(out[5]!.state).toBe(FINISHED);
  // What is seen is noted until all has been told.
  expect(out.map(({ state }) => state?.get('seen'))).toEqual([
    '1',
    '1',
    '1',
    '1',
    undefined,
    undefined,
    undefined,
  ]);
  expect(pipeline.openReaders).toBe(0);
});

test('the state of a batch stays with it', async () => {
  const own = (async function* (): AsyncGenerator<Batch<number>> {
    await Promise.resolve();
    yield { changes: [change()], bytes: 1, resume: 1, state: new Map([['own', 'x']]) };
    yield { changes: [], bytes: 0, resume: 2 };
  })();
  const [first, second] = await new Pipeline({ doneAfter: 9 }).run(own);
  expect(first!.state).toEqual(
    new Map([
      ['own', 'x'],
      ['seen', '1'],
    ]),
  );
  expect(second!.state).toBeUndefined();
});

test('never inside of a transaction, nor where nothing may be committed', async () => {
  const pipeline = new Pipeline({ gone: GONE, from: 0.5, settled: [1] });
  await pipeline.run(batchesAt(0.7, null, 1));
  expect(pipeline.steps).toEqual([
    'batch 0.7 c',
    'batch inside c',
    'batch 1 c',
    'compare q.ord',
    'settled',
    'batch 1 dd',
    'batch 1',
    'told',
  ]);
});

test('the log stands there already: told before anything is read', async () => {
  const pipeline = new Pipeline({ gone: GONE, from: 7 });
  await pipeline.run(batchesAt(8));
  expect(pipeline.steps).toEqual(['compare q.ord', 'settled', 'batch 7 dd', 'batch 7', 'told', 'batch 8 c']);
});

test('positions that are not ordered are not there yet', async () => {
  const pipeline = new Pipeline({ gone: GONE, settled: [NaN] });
  await pipeline.run(batchesAt(1));
  // Only the log's end, behind which nothing comes, ends the waiting.
  expect(pipeline.steps).toEqual(['compare q.ord', 'settled', 'batch 1 c', 'batch 1 dd', 'batch 1', 'told']);
});

test('a snapshot was all that was wanted: told at the end, whatever has been reached', async () => {
  const pipeline = new Pipeline({ gone: GONE, doneAfter: 9, settled: [99] });
  await pipeline.run(batchesAt(1));
  expect(pipeline.steps).toEqual(['batch 1 c', 'compare q.ord', 'settled', 'batch 1 dd', 'batch 1', 'told']);
});

test('a table that cannot be read is left out, with a warning, and the others are told of', async () => {
  const pipeline = new Pipeline({
    tables: [ITEM, ORD],
    gone: { ...GONE, 'q.item': [[['id'], [['z']]]] },
    compareFails: { 'q.item': quarantine },
    settled: [0],
  });
  await pipeline.run(batchesAt(1));
  expect(pipeline.steps.filter((step) => step.includes(' d'))).toEqual(['batch 0 dd']);
  expect(pipeline.warnings).toEqual([
    expect.stringContaining('"table":"q.item","code":"snapshot.table-unreadable"'),
  ]);
});

test('one that is gone by the time its deletes are told', async () => {
  const pipeline = new Pipeline({ gone: GONE, planFails: { 'q.ord': quarantine }, settled: [0] });
  await pipeline.run(batchesAt(1));
  expect(pipeline.steps).toEqual(['compare q.ord', 'settled', 'batch 0', 'told', 'batch 1 c']);
  expect(pipeline.warnings).toHaveLength(1);
});

test('no table can be looked at: nothing is waited for', async () => {
  const pipeline = new Pipeline({ compareFails: { 'q.ord': quarantine } });
  await pipeline.run(batchesAt(1));
  expect(pipeline.steps).toEqual(['compare q.ord', 'batch 0', 'told', 'batch 1 c']);
});

test('any other error ends the attempt', async () => {
  const lost = new HeadwaterError('source.connection-lost', 'The connection was lost.');
  const pipeline = new Pipeline({ compareFails: { 'q.ord': lost } });
  await expect(pipeline.run(batchesAt(1))).rejects.toBe(lost);
  expect(pipeline.steps).toEqual(['compare q.ord']);
});

test('rows that are known by other columns than the key’s have no delete, and that is said', async () => {
  const pipeline = new Pipeline({
    gone: {
      'q.ord': [
        [['note'], [['x'], ['y']]],
        [['note', 'id'], [['n', 'c']]],
      ],
    },
    settled: [0],
  });
  const out = await pipeline.run(batchesAt());
  expect(pipeline.steps).toEqual(['compare q.ord', 'settled', 'batch 0', 'batch 0 d', 'batch 0', 'told']);
  expect(out[1]!.changes.map((each) => each.kind === 'row' && valuesOf(each.before))).toEqual([['n', 'c']]);
  expect(pipeline.warnings).toEqual([expect.stringContaining('"table":"q.ord","rows":2')]);
});

test('stopped while it waits for the source, or between two tables: nothing is said to be told', async () => {
  const waiting = new AbortController();
  const pipeline = new Pipeline({ settled: [null], onCompare: () => setTimeout(() => waiting.abort(), 5) });
  await pipeline.run(batchesAt(1), waiting.signal).catch((error: unknown) => {
    expect(error).toMatchObject({ name: 'AbortError' });
  });
  expect(pipeline.steps).not.toContain('told');
  expect(pipeline.openReaders).toBe(0);

  const comparing = new AbortController();
  const stopped = new Pipeline({ gone: GONE, onCompare: () => comparing.abort() });
  await stopped.run(batchesAt(), comparing.signal);
  expect(stopped.steps).toEqual(['compare q.ord', 'settled']);

  const failing = new AbortController();
  const broken = new Pipeline({ compareFails: { 'q.ord': quarantine }, onCompare: () => failing.abort() });
  await expect(broken.run(batchesAt(1), failing.signal)).rejects.toBe(quarantine);
  expect(broken.warnings).toEqual([]);

  const telling = new AbortController();
  const told = new Pipeline({ gone: { 'q.ord': [...GONE['q.ord'], ...GONE['q.ord']] }, settled: [0] });
  const one = (async function* (): AsyncGenerator<Batch<number>> {
    await Promise.resolve();
    yield { changes: [], bytes: 0, resume: 1 };
  })();
  const steps = withDeletedBeforeOf(told, one, telling.signal);
  expect((await steps.next()).value).toMatchObject({ changes: [{ op: 'd' }, { op: 'd' }] });
  telling.abort();
  expect(told.steps).not.toContain('told');
  // Of the second part nothing; what the log still has is for whoever reads it.
  for (let next = await steps.next(); next.done !== true; next = await steps.next())
    expect(next.value.changes).toEqual([]);
  expect(told.steps).not.toContain('told');
});

function withDeletedBeforeOf(
  pipeline: Pipeline,
  batches: AsyncIterable<Batch<number>>,
  signal: AbortSignal,
): AsyncGenerator<Batch<number>> {
  return withDeletedBefore(batches, pipeline.options(), signal);
}

test('an idle source is asked for its position until all is told, and not after that', async () => {
  const pipeline = new Pipeline({ gone: GONE, settled: [1] });
  await pipeline.run(
    (async function* (): AsyncGenerator<Batch<number>> {
      while (pipeline.nudges === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      yield { changes: [], bytes: 0, resume: 1 };
      const nudges = pipeline.nudges;
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(pipeline.nudges).toBe(nudges);
      yield { changes: [], bytes: 0, resume: 2 };
    })(),
  );
  expect(pipeline.steps).toContain('told');
});
