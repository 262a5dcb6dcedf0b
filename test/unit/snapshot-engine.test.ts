import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { Batch } from '../../src/model/batch.ts';
import type { RowChange } from '../../src/model/change.ts';
import type { TableSchema } from '../../src/model/table.ts';
import { valueOf } from '../../src/model/raw-row.ts';
import { UNCHANGED } from '../../src/model/value.ts';
import { SILENT } from '../../src/observability/log.ts';
import { createSnapshot, type Snapshot, type SnapshotOptions } from '../../src/snapshot/snapshot.ts';
import {
  MODEL_POSITIONS,
  ModelDatabase,
  type ModelPosition,
  ModelSnapshotSource,
  type ModelSource,
  modelTable,
} from '../property/snapshot-model.ts';

type Options = SnapshotOptions<ModelPosition, ModelSource>;

const TABLES = [modelTable('a', true), modelTable('b', true)];
const never = new AbortController().signal;

function database(): ModelDatabase {
  const db = new ModelDatabase(TABLES, 7, 0);
  for (let i = 0; i < 30; i++) db.write();
  for (const transaction of db.log) transaction.visible = true;
  return db;
}

function snapshotOf(
  source: Options['source'],
  options: Partial<Options> = {},
  tables: readonly TableSchema[] = TABLES,
): Snapshot<ModelPosition, ModelSource> {
  return createSnapshot<ModelPosition, ModelSource>({
    source,
    codec: MODEL_POSITIONS,
    tables: tables.map(({ id }) => ({ id, key: ['id'], estimatedRows: 10, limitation: null })),
    restored: new Map(),
    mode: 'initial',
    parallelism: 2,
    chunkRows: 5,
    where: new Map(),
    walLimitBytes: null,
    retainedBytes: () => Promise.resolve(null),
    freshStart: true,
    onTableError: (_, error) => {
      throw error;
    },
    log: SILENT,
    ...options,
  });
}

interface Outcome {
  rows: number;
  state: Map<string, string>;
}

async function collect(
  batches: AsyncIterable<Batch<ModelPosition, ModelSource>>,
  into: Outcome,
): Promise<Outcome> {
  for await (const batch of batches) {
    into.rows += batch.changes.filter((change) => change.kind === 'row' && change.op === 'r').length;
    for (const [key, value] of batch.state ?? []) {
      if (value === null) into.state.delete(key);
      else into.state.set(key, value);
    }
  }
  return into;
}

/** A view, and nothing else. */
async function read(options: Partial<Options> = {}, db = database()): Promise<Outcome> {
  const snapshot = snapshotOf(new ModelSnapshotSource(db, true), options);
  return collect(snapshot.readView(never), { rows: 0, state: new Map(options.restored) });
}

test('what is complete is not read again; what is new is; what is gone is forgotten', async () => {
  const db = database();
  const { rows, state } = await read({}, db);
  expect(rows).toBeGreaterThan(0);
  const next = snapshotOf(new ModelSnapshotSource(db, false), { restored: state, freshStart: false });
  expect([next.pending, next.done]).toEqual([false, true]);
  const stream: Batch<ModelPosition, ModelSource>[] = [];
  async function* empty(): AsyncGenerator<Batch<ModelPosition, ModelSource>> {
    yield* stream;
  }
  const given = empty();
  expect(next.merge(given, () => undefined, never)).toBe(given);
  const fewer = snapshotOf(new ModelSnapshotSource(db, false), { restored: state, freshStart: false }, [
    TABLES[0]!,
  ]);
  stream.push({ changes: [], bytes: 0, resume: { lsn: 1, done: 0 } });
  const after = await collect(
    fewer.merge(empty(), () => undefined, never),
    { rows: 0, state: new Map(state) },
  );
  expect([...after.state.keys()].toSorted((a, b) => a.localeCompare(b))).toEqual([
    'snapshot',
    'table/public.a',
  ]);
});

test('mode always begins again when the former one is complete, but not in a further attempt', async () => {
  const { rows, state } = await read({ now: () => 1_000 });
  const again = await read({ mode: 'always', restored: state, beganBefore: 2_000 });
  expect(again.rows).toBe(rows);
  const { startedAt } = JSON.parse(again.state.get('snapshot')!) as { startedAt: string };
  const beganBefore = Date.parse(startedAt) - 1;
  expect((await read({ mode: 'always', restored: again.state, beganBefore })).rows).toBe(0);
});

test('mode always, killed in the middle, goes on with all that it had begun', async () => {
  const db = database();
  const { rows, state } = await read({}, db);
  const durable = new Map(state);
  const snapshot = snapshotOf(new ModelSnapshotSource(db, true), {
    mode: 'always',
    restored: state,
    parallelism: 1,
  });
  let read1 = 0;
  // Killed after the first batch.
  for await (const batch of snapshot.readView(never)) {
    read1 += batch.changes.length;
    for (const [key, value] of batch.state ?? []) {
      if (value === null) durable.delete(key);
      else durable.set(key, value);
    }
    break;
  }
  expect(read1).toBeGreaterThan(0);
  const rest = await read({ mode: 'always', restored: durable }, db);
  expect(read1 + rest.rows).toBeGreaterThanOrEqual(rows);
});

test('a table that fails is reported and left for the next start; the others go on', async () => {
  const db = database();
  const source = new ModelSnapshotSource(db, true);
  const broken: Options['source'] = {
    openWindows: () => source.openWindows(),
    openOwnView: () => source.openOwnView(),
    async openView() {
      const view = (await source.openView())!;
      return {
        position: view.position,
        sees: (tx) => view.sees(tx),
        plan: (id, options, signal) =>
          id.table === 'b'
            ? Promise.reject(new HeadwaterError('snapshot.table-unreadable', 'The table public.b is gone.'))
            : view.plan(id, options, signal),
        rows: (plan, range, signal) => view.rows(plan, range, signal),
        [Symbol.asyncDispose]: () => view[Symbol.asyncDispose](),
      };
    },
  };
  const errors: string[] = [];
  const snapshot = snapshotOf(broken, {
    onTableError: (id, error) => errors.push(`${id.table} ${error.code}`),
  });
  const { state } = await collect(snapshot.readView(never), { rows: 0, state: new Map() });
  expect(errors).toEqual(['b snapshot.table-unreadable']);
  expect(snapshot.done).toBe(true);
  expect(state.has('table/public.b')).toBe(false);
  expect(snapshot.tableProgress().map((table) => table.state)).toEqual(['done', 'failed']);
  expect(snapshotOf(source, { restored: state }).pending).toBe(true);
});

test.each([1, 2])(
  'a table that is locked is read when the others are through, by plan or by rows (%i lanes)',
  async (parallelism) => {
    const db = database();
    const source = new ModelSnapshotSource(db, true);
    const locked = new HeadwaterError('snapshot.table-locked', 'The table is locked.');
    const order: string[] = [];
    const attempts = { plan: 0, rows: 0 };
    const through = (table: string): boolean => order.includes(table);
    const slow: Options['source'] = {
      openWindows: () => source.openWindows(),
      openOwnView: () => source.openOwnView(),
      async openView() {
        const view = (await source.openView())!;
        return {
          position: view.position,
          sees: (tx) => view.sees(tx),
          plan: async (id, options, signal) => {
            if (id.table === 'a' && ++attempts.plan < 4) throw locked;
            return view.plan(id, options, signal);
          },
          async *rows(plan, range, signal) {
            // Its first chunk, until b has been read; by then its plan has long been made.
            if (plan.id.table === 'a') {
              // As a lock is: found out after a while.
              for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
              const rest = order.filter((table) => table === 'a').length < 2;
              if (!through('b') || (range.to === null && (rest || ++attempts.rows < 4))) throw locked;
            }
            yield* view.rows(plan, range, signal);
            order.push(plan.id.table);
          },
          [Symbol.asyncDispose]: () => view[Symbol.asyncDispose](),
        };
      },
    };
    const snapshot = snapshotOf(slow, { parallelism });
    const { rows, state } = await collect(snapshot.readView(never), { rows: 0, state: new Map() });
    expect(order.slice(0, 3)).toEqual(['b', 'b', 'b']);
    expect(order.slice(3)).toEqual(['a', 'a', 'a']);
    expect([attempts.plan, attempts.rows]).toEqual([4, 4]);
    expect(rows).toBe((await read({}, db)).rows);
    expect(snapshotOf(source, { restored: state }).pending).toBe(false);
  },
);

test('in windows too a table that is locked keeps nobody waiting', async () => {
  const db = database();
  const source = new ModelSnapshotSource(db, false);
  const locked = new HeadwaterError('snapshot.table-locked', 'The table is locked.');
  const done: string[] = [];
  let plans = 0;
  const slow: Options['source'] = {
    openView: () => Promise.resolve(null),
    openOwnView: () => source.openOwnView(),
    async openWindows() {
      const reader = await source.openWindows();
      return {
        ...reader,
        plan: async (id, options, signal) => {
          if (id.table === 'a' && ++plans === 1) throw locked;
          return reader.plan(id, options, signal);
        },
        chunk: async (plan, range, limit, signal) => {
          if (plan.id.table === 'a' && !done.includes('b')) throw locked;
          const chunk = await reader.chunk(plan, range, limit, signal);
          if (chunk.lastKey === null && range.to === null) done.push(plan.id.table);
          return chunk;
        },
      };
    },
  };
  const snapshot = snapshotOf(slow, { freshStart: false, parallelism: 1, mode: 'initial_only' });
  const { state } = await collect(
    snapshot.merge(db.stream({ lsn: db.insert, done: 0 }), () => undefined, never),
    { rows: 0, state: new Map() },
  );
  expect([...new Set(done)]).toEqual(['b', 'a']);
  expect(plans).toBeGreaterThan(1);
  expect([...state.keys()]).toContain('table/public.a');
  expect(snapshot.done).toBe(true);
});

test('an idle stream is asked for its position, and ends with mode initial_only', async () => {
  const db = database();
  let wake: (() => void) | null = null;
  let nudges = 0;
  async function* idle(): AsyncGenerator<Batch<ModelPosition, ModelSource>> {
    for (;;) {
      await new Promise<void>((resolve) => (wake = resolve));
      yield { changes: [], bytes: 0, resume: { lsn: db.insert, done: 0 } };
    }
  }
  const snapshot = snapshotOf(new ModelSnapshotSource(db, false), {
    freshStart: false,
    mode: 'initial_only',
  });
  const nudge = (): void => {
    nudges++;
    wake?.();
  };
  const ended = new AbortController();
  const { rows } = await collect(snapshot.merge(finite(idle(), ended), nudge, never), {
    rows: 0,
    state: new Map(),
  });
  expect(rows).toBe(snapshot.progress().rows);
  expect(rows).toBeGreaterThan(0);
  expect(nudges).toBeGreaterThan(0);
  expect(snapshot.done).toBe(true);
});

/** A generator that waits for ever cannot be ended from outside; a real reader's stream can. */
function finite<T>(stream: AsyncGenerator<T>, ended: AbortController): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]: () => ({
      next: () =>
        Promise.race([
          stream.next(),
          new Promise<IteratorResult<T>>((resolve) => {
            ended.signal.addEventListener('abort', () => resolve({ done: true, value: undefined }));
          }),
        ]),
      return: () => {
        ended.abort();
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
}

test('a source that answers at once that it is too early does not keep the loop from resting', async () => {
  const db = database();
  const model = new ModelSnapshotSource(db, false);
  let asked = 0;
  const source: Options['source'] = {
    openView: () => Promise.resolve(null),
    openOwnView: () => model.openOwnView(),
    async openWindows() {
      const windows = await model.openWindows();
      const settled = (): Promise<null> => {
        // One that is asked without a pause is so in one turn of the event loop, in which no timer comes.
        if (++asked > 10_000) throw new Error('asked again and again');
        return Promise.resolve(null);
      };
      return { ...windows, settled };
    },
  };
  const snapshot = snapshotOf(source, { freshStart: false });
  async function* late(): AsyncGenerator<Batch<ModelPosition, ModelSource>> {
    while (!snapshot.done) {
      yield { changes: [], bytes: 0, resume: { lsn: asked < 4 ? 0 : db.insert, done: 0 } };
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  const { rows } = await collect(
    snapshot.merge(late(), () => undefined, never),
    { rows: 0, state: new Map() },
  );
  expect(rows).toBe(snapshot.progress().rows);
  expect(snapshot.done).toBe(true);
});

test('when the process is told to stop, windows end without an error', async () => {
  const db = database();
  const ending = new AbortController();
  const snapshot = snapshotOf(new ModelSnapshotSource(db, false), { freshStart: false });
  let batches = 0;
  for await (const _ of snapshot.merge(
    db.stream({ lsn: db.insert, done: 0 }),
    () => undefined,
    ending.signal,
  )) {
    if (++batches === 2) ending.abort();
  }
  expect(batches).toBeLessThan(5);
  expect(snapshot.done).toBe(false);
});

test('a table without a key that cannot be read leaves no view open: it would hold the source’s vacuum back', async () => {
  const tables = [modelTable('a', false), modelTable('b', true)];
  const db = new ModelDatabase(tables, 7, 0);
  for (let i = 0; i < 30; i++) db.write();
  for (const transaction of db.log) transaction.visible = true;
  const model = new ModelSnapshotSource(db, false);
  let open = 0;
  const source: Options['source'] = {
    openView: () => Promise.resolve(null),
    openWindows: () => model.openWindows(),
    async openOwnView() {
      const view = await model.openOwnView();
      open++;
      return {
        position: view.position,
        sees: (tx) => view.sees(tx),
        plan: () => Promise.reject(new HeadwaterError('snapshot.table-unreadable', 'Not for this role.')),
        rows: (plan, range, signal) => view.rows(plan, range, signal),
        async [Symbol.asyncDispose]() {
          open--;
          await view[Symbol.asyncDispose]();
        },
      };
    },
  };
  const failed: string[] = [];
  const snapshot = snapshotOf(
    source,
    { freshStart: false, onTableError: (id) => failed.push(id.table) },
    tables,
  );
  let wake: (() => void) | null = null;
  async function* idle(): AsyncGenerator<Batch<ModelPosition, ModelSource>> {
    for (;;) {
      await new Promise<void>((resolve) => (wake = resolve));
      yield { changes: [], bytes: 0, resume: { lsn: db.insert, done: 0 } };
    }
  }
  const ended = new AbortController();
  const nudging = setInterval(() => {
    wake?.();
    if (snapshot.done) ended.abort();
  }, 5);
  await collect(
    snapshot.merge(finite(idle(), ended), () => undefined, never),
    { rows: 0, state: new Map() },
  );
  clearInterval(nudging);
  expect(failed).toEqual(['a']);
  expect(snapshot.done).toBe(true);
  expect(open).toBe(0);
});

test('where the keys of very many rows change, and the log has not all of them, the table is read again', async () => {
  const db = database();
  const truth = [
    ...db
      .state(() => true)
      .get('public.a')!
      .keys(),
  ];
  const snapshot = snapshotOf(new ModelSnapshotSource(db, false), { freshStart: false });
  const tx = { id: db.log[0]!.id, commitTimeUs: 0 };
  const moved = Array.from({ length: 5_001 }, (_, i): RowChange<ModelSource> => ({
    kind: 'row',
    op: 'u',
    table: TABLES[0]!,
    before: [-1 - i, null, null],
    after: [1_000 + i, 1, UNCHANGED],
    tx,
    seq: i,
    at: { connector: 'polling' },
    snapshot: null,
  }));
  let read: unknown[] = [];
  async function* stream(): AsyncGenerator<Batch<ModelPosition, ModelSource>> {
    let told = false;
    while (!snapshot.done) {
      await db.pause();
      const tell: boolean = !told && read.length > 0;
      told ||= tell;
      yield { changes: tell ? moved : [], bytes: 0, resume: { lsn: db.insert, done: 0 } };
    }
  }
  const ledgers: unknown[] = [];
  for await (const batch of snapshot.merge(stream(), () => undefined, never)) {
    if (batch.state?.has('table/public.a') === true) ledgers.push(batch.state.get('table/public.a'));
    if (batch.changes.length > 5_000) read = [];
    for (const change of batch.changes)
      if (change.kind === 'row' && change.op === 'r' && change.table.id.table === 'a')
        read.push(valueOf(change.after!, 0));
  }
  expect(ledgers).toContain(null);
  expect(read).toHaveLength(truth.length);
  expect(new Set(read)).toEqual(new Set(truth));
  expect(JSON.parse(String(ledgers.at(-1)))).not.toHaveProperty('owed');
});
