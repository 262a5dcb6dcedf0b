import type { Batch } from '../../src/model/batch.ts';
import type { Change, RowChange, SourceInfo } from '../../src/model/change.ts';
import type { JsonValue, PositionCodec } from '../../src/model/position.ts';
import { type Column, type TableSchema, tableName } from '../../src/model/table.ts';
import { valuesOf } from '../../src/model/raw-row.ts';
import { type Row, UNCHANGED, type Value } from '../../src/model/value.ts';
import type {
  ChunkRange,
  PlanOptions,
  RowBlock,
  SnapshotSource,
  SnapshotView,
  TablePlan,
  WindowChunk,
  WindowReader,
} from '../../src/snapshot/snapshot-source.ts';

/** A position as (end of the last whole transaction, changes of the next one delivered). */
export interface ModelPosition {
  readonly lsn: number;
  readonly done: number;
}

export const MODEL_POSITIONS: PositionCodec<ModelPosition> = {
  encode: ({ lsn, done }) => ({ lsn, done }),
  decode: (json) => json as unknown as ModelPosition & JsonValue,
  compare: (a, b) => a.lsn - b.lsn || a.done - b.done,
  insideTransaction: ({ done }) => done > 0,
};

export interface ModelSource extends SourceInfo {
  readonly connector: 'polling';
}
const AT: ModelSource = { connector: 'polling' };

/** Small, seeded, good enough: the run must be the same for the same seed. */
class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }
  below(n: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % n;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}

const column = (name: string): Column => ({
  name,
  type: { kind: 'int32' },
  nullable: name !== 'id',
  default: undefined,
  nativeType: 'int4',
  length: null,
  scale: null,
});

/** Column `big` stands for a TOASTed one: the log leaves it out of updates that don't touch it. */
export function modelTable(table: string, keyed: boolean): TableSchema {
  return {
    id: { schema: 'public', table },
    version: 1,
    columns: ['id', 'value', 'big'].map(column),
    key: keyed ? [0] : [],
  };
}

interface Transaction {
  readonly id: string;
  readonly end: number;
  readonly changes: readonly Change<ModelSource>[];
  readonly effects: readonly Effect[];
  visible: boolean;
}

interface Effect {
  readonly table: string;
  readonly id: number;
  /** Null: deleted. */
  readonly row: Row | null;
}

const KEYS = 24;

/**
 * A database with one writer: transactions get into the log in commit order, and become visible to readers only
 * some time after; what is in the log is flushed, and can be streamed, only some time after too.
 */
export class ModelDatabase {
  readonly log: Transaction[] = [];
  readonly tables: readonly TableSchema[];
  readonly random: Random;
  insert = 100;
  flushed = 100;
  /** Of a hundred steps, how many make a transaction visible: few where it waits for a standby. */
  readonly #visibility: number;
  #nextXid = 1;
  #nextValue = 1;
  #steps: number;

  /** Whether the log leaves `big` out of rows that move, too. */
  readonly #minimal: boolean;

  constructor(
    tables: readonly TableSchema[],
    seed: number,
    steps: number,
    { visibility = 30, minimal = false }: { readonly visibility?: number; readonly minimal?: boolean } = {},
  ) {
    this.#visibility = visibility;
    this.#minimal = minimal;
    this.tables = tables;
    this.random = new Random(seed);
    this.#steps = steps;
  }

  get quiet(): boolean {
    return this.#steps <= 0;
  }

  /** Rows by table as someone sees them who sees the transactions that `sees` says. */
  state(sees: (transaction: Transaction) => boolean): Map<string, Map<number, Row>> {
    const state = new Map(this.tables.map((table) => [tableName(table.id), new Map<number, Row>()]));
    for (const transaction of this.log) {
      if (!sees(transaction)) continue;
      for (const { table, id, row } of transaction.effects) {
        if (row === null) state.get(table)!.delete(id);
        else state.get(table)!.set(id, row);
      }
    }
    return state;
  }

  /** Something happens, or nothing. */
  step(): void {
    const { random } = this;
    if (random.chance(40)) this.flushed = this.insert;
    for (const transaction of this.log)
      if (!transaction.visible && random.chance(this.#visibility)) transaction.visible = true;
    if (this.#steps <= 0) {
      this.flushed = this.insert;
      return;
    }
    if (random.chance(60)) {
      this.#steps--;
      this.write();
    }
  }

  /** Commits one transaction. Rows that an invisible one wrote are locked and left alone. */
  write(): void {
    const { random } = this;
    const id = String(this.#nextXid++);
    const tx = { id, commitTimeUs: this.insert };
    const latest = this.state(() => true);
    const locked = new Set(
      this.log.flatMap((other) =>
        other.visible ? [] : other.effects.map((effect) => `${effect.table}/${effect.id}`),
      ),
    );
    const changes: Change<ModelSource>[] = [];
    const effects: Effect[] = [];
    const apply = (table: TableSchema, op: 'c' | 'u' | 'd', before: Row | null, after: Row | null): void => {
      const seq = changes.length;
      changes.push({ kind: 'row', op, table, before, after, tx, seq, at: AT, snapshot: null });
    };
    const put = (table: TableSchema, rowId: number, row: Row | null): void => {
      const name = tableName(table.id);
      effects.push({ table: name, id: rowId, row });
      if (row === null) latest.get(name)!.delete(rowId);
      else latest.get(name)!.set(rowId, row);
    };
    for (let n = 1 + random.below(4); n > 0; n--) {
      const table = this.tables[random.below(this.tables.length)]!;
      const name = tableName(table.id);
      const keyed = table.key.length > 0;
      const key = random.below(KEYS);
      if (locked.has(`${name}/${key}`)) continue;
      const old = latest.get(name)!.get(key);
      const value = this.#nextValue++;
      if (random.chance(2) && !this.log.some((other) => !other.visible)) {
        changes.push({ kind: 'truncate', table, tx, seq: changes.length, at: AT });
        for (const rowId of latest.get(name)!.keys()) put(table, rowId, null);
      } else if (old === undefined) {
        const row: Row = [key, value, value];
        put(table, key, row);
        apply(table, 'c', null, row);
      } else if (random.chance(35)) {
        put(table, key, null);
        apply(table, 'd', keyed ? [key, null, null] : old, null);
      } else {
        const moved = random.chance(15) ? random.below(KEYS) : key;
        // Moved with a value left out from a part of the table that is still to be read into one that has been, the row
        // must be read by its key.
        const keepsBig = (this.#minimal || moved === key) && random.chance(50);
        const row: Row = [moved, value, keepsBig ? old[2]! : value];
        if (moved !== key && (latest.get(name)!.has(moved) || locked.has(`${name}/${moved}`))) continue;
        if (moved !== key) put(table, key, null);
        put(table, moved, row);
        const logged: Row = keyed && keepsBig ? [moved, value, UNCHANGED] : row;
        apply(table, 'u', keyed ? (moved === key ? null : [key, null, null]) : old, logged);
      }
    }
    if (changes.length === 0) return;
    this.insert += 10;
    this.log.push({ id, end: this.insert, changes, effects, visible: random.chance(60) });
  }

  async pause(): Promise<void> {
    for (let n = this.random.below(3); n >= 0; n--) {
      this.step();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The log from a position on, cut into batches anywhere, with reports of progress where it is idle. */
  async *stream(from: ModelPosition): AsyncGenerator<Batch<ModelPosition, ModelSource>> {
    let at = from;
    for (;;) {
      await this.pause();
      const next = this.log.find((transaction) => transaction.end > at.lsn);
      if (next === undefined || next.end > this.flushed) {
        if (next === undefined && this.flushed > at.lsn) at = { lsn: this.flushed, done: 0 };
        yield { changes: [], bytes: 0, resume: at };
        continue;
      }
      const rest = next.changes.slice(at.done);
      const cut = this.random.chance(30) ? 1 + this.random.below(rest.length) : rest.length;
      at = cut < rest.length ? { lsn: at.lsn, done: at.done + cut } : { lsn: next.end, done: 0 };
      yield {
        changes: rest.slice(0, cut),
        bytes: 1,
        resume: at.done > 0 && this.random.chance(50) ? null : at,
      };
    }
  }
}

const BLOCK = 3;

/** Reads the model database the way a real source would. */
export class ModelSnapshotSource implements SnapshotSource<ModelPosition, ModelSource> {
  readonly #db: ModelDatabase;
  readonly #fresh: ModelPosition | null;
  readonly #frozen: Map<string, Map<number, Row>> | null;
  readonly #blocks: ReadonlySet<string>;

  /** `fresh`: the log begins to be kept now, and there is a view of now. `blocks`: tables read by block. */
  constructor(db: ModelDatabase, fresh: boolean, blocks: ReadonlySet<string> = new Set()) {
    this.#db = db;
    this.#blocks = blocks;
    this.#fresh = fresh ? { lsn: db.insert, done: 0 } : null;
    this.#frozen = fresh ? db.state(() => true) : null;
  }

  get start(): ModelPosition {
    return this.#fresh!;
  }

  async openView(): Promise<SnapshotView<ModelPosition, ModelSource> | null> {
    await this.#db.pause();
    return this.#fresh === null ? null : this.#view(this.#fresh, this.#frozen!);
  }

  /** As a slot's snapshot: made of the log, whatever is visible. */
  async openOwnView(): Promise<SnapshotView<ModelPosition, ModelSource>> {
    await this.#db.pause();
    const position = { lsn: this.#db.insert, done: 0 };
    const state = this.#db.state(() => true);
    await this.#db.pause();
    return this.#view(position, state);
  }

  openWindows(): Promise<WindowReader<ModelPosition, ModelSource>> {
    return Promise.resolve({
      keyed: (ids) => Promise.resolve(ids.map((id) => this.#schema(id).key.length > 0)),
      plan: async (id, options) => {
        await this.#db.pause();
        return this.#plan(this.#schema(id), options);
      },
      chunk: (plan, range, limit) =>
        this.#read(plan, (rows) => {
          const found = inRange(rows, range);
          const some = found.slice(0, Math.min(limit.maxRows, 1 + this.#db.random.below(5)));
          return { rows: some, lastKey: some.length < found.length ? String(some.at(-1)![0]) : null };
        }),
      rowsOf: (plan, keys) =>
        this.#read(plan, (rows) => ({
          rows: keys.map(([id]) => rows.get(Number(id))).filter((row) => row !== undefined),
          lastKey: null,
        })),
      unseen: () => Promise.resolve(this.#db.log.filter(({ visible }) => !visible).map(({ id }) => id)),
      settled: () => Promise.resolve(null),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  }

  async #read(
    plan: TablePlan,
    pick: (rows: ReadonlyMap<number, Row>) => {
      readonly rows: readonly Row[];
      readonly lastKey: string | null;
    },
  ): Promise<WindowChunk<ModelPosition, ModelSource>> {
    const db = this.#db;
    await db.pause();
    const seen = new Set(db.log.filter((transaction) => transaction.visible).map(({ id }) => id));
    const { rows, lastKey } = pick(db.state(({ id }) => seen.has(id)).get(tableName(plan.id))!);
    await db.pause();
    const high = { lsn: db.insert, done: 0 };
    await db.pause();
    return {
      rows: rows.map((row) => read(plan.schema, row)),
      bytes: 1,
      lastKey,
      high,
      sees: (tx) => seen.has(tx),
      plan,
    };
  }

  #view(
    position: ModelPosition,
    state: Map<string, Map<number, Row>>,
  ): SnapshotView<ModelPosition, ModelSource> {
    const db = this.#db;
    return {
      position,
      sees: (tx) => db.log.find(({ id }) => id === tx)!.end <= position.lsn,
      plan: async (id, options) => {
        await db.pause();
        return this.#plan(this.#schema(id), options);
      },
      async *rows(plan, range, signal): AsyncGenerator<RowBlock<ModelSource>> {
        const rows = inRange(state.get(tableName(plan.id))!, range);
        for (let at = 0; at < rows.length; at += BLOCK) {
          await db.pause();
          if (signal.aborted) return;
          const block = rows.slice(at, at + BLOCK);
          yield {
            rows: block.map((row) => read(plan.schema, row)),
            bytes: 1_000_000,
            lastKey: plan.by === 'key' ? String(block.at(-1)![0]) : null,
          };
        }
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  #schema(id: { readonly table: string }): TableSchema {
    return this.#db.tables.find((table) => table.id.table === id.table)!;
  }

  #plan(schema: TableSchema, { chunks }: PlanOptions): TablePlan {
    const by = schema.key.length > 0 && !this.#blocks.has(tableName(schema.id)) ? 'key' : 'block';
    return {
      id: schema.id,
      schema,
      by:
        by === 'block' && schema.key.length > 0 && chunks === undefined && this.#fresh === null ? 'key' : by,
      key: schema.key,
      chunks: chunks ?? [
        { from: null, to: '7' },
        { from: '7', to: '15' },
        { from: '15', to: null },
      ],
      estimatedRows: null,
    };
  }
}

function inRange(rows: ReadonlyMap<number, Row>, { from, to }: ChunkRange): Row[] {
  return [...rows.values()]
    .filter(
      ([id]) => (from === null || Number(id) > Number(from)) && (to === null || Number(id) <= Number(to)),
    )
    .toSorted((a, b) => Number(a[0]) - Number(b[0]));
}

function read(table: TableSchema, after: Row): RowChange<ModelSource> {
  return { kind: 'row', op: 'r', table, before: null, after, tx: null, seq: 0, at: AT, snapshot: 'true' };
}

/** What a consumer makes of the topics: the latest row by key; a value left out is the one before. */
export function replay(state: Map<string, Map<string, Row>>, changes: readonly Change<ModelSource>[]): void {
  for (const change of changes) {
    if (change.kind !== 'row' && change.kind !== 'truncate') continue;
    const rows = state.get(tableName(change.table.id))!;
    if (change.kind === 'truncate') {
      rows.clear();
      continue;
    }
    const before = valuesOf(change.before);
    const after = valuesOf(change.after);
    const oldKey = before === null ? null : String(before[0]);
    const newKey = after === null ? null : String(after[0]);
    const old = rows.get(oldKey ?? newKey!);
    if (oldKey !== null && oldKey !== newKey) rows.delete(oldKey);
    if (after !== null) {
      rows.set(
        newKey!,
        after.map((value, i): Value => (value === UNCHANGED ? (old?.[i] ?? UNCHANGED) : value)),
      );
    }
  }
}
