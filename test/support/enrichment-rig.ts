/** A database of a few tables with a log of transactions, and the enrichment stage that reads it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BulkState, Sink, SinkRecord, TopicHandle } from '../../src/emitter/sink.ts';
import { declareEnrichment } from '../../src/enrichment/plan/declared.ts';
import { openEnrichment } from '../../src/enrichment/enrichment.ts';
import type { RegistryAccess } from '../../src/enrichment/formats/registry-access.ts';
import { QueryDesk } from '../../src/enrichment/queries/query-desk.ts';
import type { TopicAccess } from '../../src/enrichment/run/topic-queries.ts';
import type { BulkGroups } from '../../src/enrichment/state/bulk-groups.ts';
import { keepsOnDisk, openGroups } from '../../src/enrichment/state/open-tables.ts';
import type { EnrichmentStage } from '../../src/enrichment/run/stage.ts';
import type { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { Batch } from '../../src/model/batch.ts';
import type { Change, RowChange, SourceInfo, Tx } from '../../src/model/change.ts';
import type { PositionCodec } from '../../src/model/position.ts';
import { type Column, type ColumnType, type TableSchema, tableName } from '../../src/model/table.ts';
import type { Row } from '../../src/model/value.ts';
import type { Log } from '../../src/observability/log.ts';
import { SILENT } from '../../src/observability/log.ts';
import type { SourceBlock } from '../../src/schema/source-block.ts';
import type { SnapshotSource, TablePlan } from '../../src/snapshot/snapshot-source.ts';

/** (transactions delivered, changes of the next one delivered) */
export interface At {
  readonly tx: number;
  readonly mid: number;
}

const AT: PositionCodec<At> = {
  encode: ({ tx, mid }) => [tx, mid],
  decode: (json) => ({ tx: (json as number[])[0] ?? 0, mid: (json as number[])[1] ?? 0 }),
  compare: (a, b) => a.tx - b.tx || a.mid - b.mid,
  insideTransaction: ({ mid }) => mid > 0,
};

interface Source extends SourceInfo {
  readonly connector: 'postgresql';
  readonly timeMs: number;
  readonly position: string;
}

export function column(name: string, type: ColumnType, nullable = true): Column {
  return { name, type, nullable, default: undefined, nativeType: type.kind, length: null, scale: null };
}

export function table(
  name: string,
  columns: readonly Column[],
  key: readonly number[],
  version = 1,
): TableSchema {
  return { id: { schema: 'public', table: name }, version, columns, key };
}

/** One change as a test writes it; `before` and `after` are whole rows. */
export interface LogChange {
  readonly table: TableSchema;
  readonly op: 'c' | 'u' | 'd' | 't';
  readonly before?: Row | null;
  readonly after?: Row | null;
}

/** Transactions in the order of their commits. */
export type LogTransaction = readonly LogChange[];

export interface WrittenRecord {
  readonly topic: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly timestamp: number;
  readonly headers: readonly (readonly [string, unknown])[] | null;
}

const BLOCK = {
  commitTimeMs: (at: Source) => at.timeMs,
  transactionId: (at: Source) => at.position,
} as unknown as SourceBlock<Source>;

/** The rows of each table after so many transactions, by the text of the key. */
export function stateAt(
  tables: readonly TableSchema[],
  log: readonly LogTransaction[],
  count: number,
): ReadonlyMap<TableSchema, readonly Row[]> {
  const state = new Map(tables.map((each) => [each, new Map<string, Row>()]));
  for (const transaction of log.slice(0, count)) {
    for (const { table, op, before, after } of transaction) {
      // Whatever version of the table the change was made in.
      const now = tables.find((each) => tableName(each.id) === tableName(table.id));
      const rows = now === undefined ? undefined : state.get(now);
      if (rows === undefined) continue;
      const keyOf = (row: Row): string => JSON.stringify(table.key.map((index) => String(row[index])));
      if (op === 't') rows.clear();
      if (before != null) rows.delete(keyOf(before));
      if (after != null) rows.set(keyOf(after), after);
    }
  }
  return new Map([...state].map(([each, rows]) => [each, [...rows.values()]]));
}

export interface RigOptions {
  readonly sql: string;
  readonly tables: readonly TableSchema[];
  readonly log: readonly LogTransaction[];
  /** Transactions that are in the first snapshot. */
  readonly snapshotAt: number;
  readonly dialect?: 'friendly' | 'ksqldb';
  readonly spoolBytes?: number;
  /** Kafka; left out: there is none. */
  readonly topics?: TopicAccess;
  readonly registry?: RegistryAccess;
  readonly offerRetryMs?: number;
  /** Topics that cannot be had, and why. */
  readonly refusedTopics?: ReadonlyMap<string, HeadwaterError>;
  /** Joined tables on disk. */
  readonly durable?: boolean;
  readonly memoryLimit?: number;
}

/** The durable side: what a sink keeps, and the log. Attempts come and go. */
export class EnrichmentRig implements Disposable {
  readonly options: RigOptions;
  readonly dir = mkdtempSync(join(tmpdir(), 'headwater-enrich-'));
  readonly committed: WrittenRecord[] = [];
  readonly warnings: string[] = [];
  readonly errors: { readonly statement?: string; readonly error?: string }[] = [];
  /** Where clients ask. */
  readonly desk = new QueryDesk();
  position: At | null = null;
  state = new Map<string, string>();
  epoch = 0;
  /** Where a view that is opened while the log is read stands. */
  viewAt = 0;

  constructor(options: RigOptions) {
    this.options = options;
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  async attempt(): Promise<Attempt> {
    const { sql, tables, spoolBytes, dialect, offerRetryMs, refusedTopics } = this.options;
    const pending: WrittenRecord[] = [];
    const sink = {
      topic: (name: string) => openedTopic(name, refusedTopics),
      append: ({ name }: { name: string }, record: SinkRecord) => pending.push(written(name, record)),
      ready: () => undefined,
    } as unknown as Sink;
    const log: Log = {
      ...SILENT,
      warn: (fields, msg) => this.warnings.push(`${msg} ${JSON.stringify(fields)}`),
      error: (fields) => this.errors.push(fields),
    };
    const durable = this.options.durable ?? false;
    const enrichDir = join(this.dir, 'enrich');
    const onDisk = keepsOnDisk({ dir: enrichDir, pipeline: 'shop', durable });
    const groups = await openGroups({ dir: enrichDir, name: 'shop' }, onDisk);
    const known = restoredState(this.state, groups);
    const fresh = this.position === null;
    const epoch = this.epoch + 1;
    const stage = await openEnrichment<At, Source>(
      {
        pipeline: 'shop',
        declared: declareEnrichment(
          { texts: [{ name: 'test.sql', text: sql }], dialect: dialect ?? 'friendly' },
          'shop',
        ),
        shown: (table) => table.columns.map((column, index) => ({ index, column, write: null })),
        block: BLOCK,
        stateDir: this.dir,
        joinedTables: {
          memoryLimit: this.options.memoryLimit ?? Infinity,
          durable,
          mostStaged: 4,
        },
        topics: this.options.topics ?? null,
        join: { skewMs: 0, maxWaitMs: 1_000 },
        registry: this.options.registry ?? null,
        desk: this.desk,
        ...(spoolBytes === undefined ? {} : { spoolBytes }),
        ...(offerRetryMs === undefined ? {} : { offerRetryMs }),
      },
      {
        sink,
        codec: AT,
        source: this.#source(),
        captured: tables.map(({ id }) => id),
        partly: new Map(),
        topicOf: (id) => `shop.${tableName(id)}`,
        known,
        groups,
        epoch,
        continuous: !fresh,
        interrupted: [],
        head: () => Promise.resolve({ tx: this.options.log.length, mid: 0 }),
        nudge: () => {},
        log,
        first: true,
      },
      new AbortController().signal,
    );
    const attempt = new Attempt(this, stage, { pending, epoch, groups });
    if (fresh) {
      attempt.begin({ tx: this.options.snapshotAt, mid: 0 });
      attempt.commit();
    }
    return attempt;
  }

  /** As the pipeline does: the attempt ends, and the next begins with the edited state and commits it. */
  async change(attempt: Attempt, edits: ReadonlyMap<string, string | null>): Promise<Attempt> {
    await attempt.end();
    for (const [key, value] of edits) {
      if (value === null) this.state.delete(key);
      else this.state.set(key, value);
    }
    const next = await this.attempt();
    if (this.position !== null) next.begin(this.position);
    this.viewAt = next.next;
    await this.load(next);
    next.commit();
    return next;
  }

  async load(attempt: Attempt): Promise<void> {
    attempt.note(await attempt.stage.load(this.#source(), new AbortController().signal));
  }

  #source(): SnapshotSource<At, Source> {
    const { log } = this.options;
    const plan = (id: TableSchema['id']): Promise<TablePlan> => {
      const schema = this.options.tables.find((each) => tableName(each.id) === tableName(id))!;
      const chunks = [{ from: null, to: null }];
      return Promise.resolve({ id, schema, by: 'key', key: schema.key, chunks, estimatedRows: null });
    };
    const close = { [Symbol.asyncDispose]: () => Promise.resolve() };
    return {
      openView: () => Promise.resolve(null),
      openWindows: () => Promise.resolve({ plan, ...close }),
      openOwnView: () => {
        const state = stateAt(this.options.tables, log, this.viewAt);
        return Promise.resolve({
          position: { tx: this.viewAt, mid: 0 },
          plan,
          async *rows({ schema }: TablePlan) {
            await Promise.resolve();
            const rows = (state.get(schema) ?? []).map((row) => readRow(schema, row));
            if (rows.length > 0) yield { rows, bytes: 1, lastKey: null };
          },
          ...close,
        });
      },
    } as unknown as SnapshotSource<At, Source>;
  }
}

export class Attempt {
  readonly stage: EnrichmentStage<At, Source>;
  readonly #rig: EnrichmentRig;
  readonly #pending: WrittenRecord[];
  #state: Map<string, string | null>;
  readonly #epoch: number;
  readonly #groups: BulkGroups;
  /** Commits under way, the oldest first. */
  readonly #sealed: {
    readonly position: At;
    readonly state: ReadonlyMap<string, string | null>;
    readonly records: readonly WrittenRecord[];
  }[] = [];
  #resume: At | null = null;
  #next: number;

  constructor(
    rig: EnrichmentRig,
    stage: EnrichmentStage<At, Source>,
    { pending, epoch, groups }: { pending: WrittenRecord[]; epoch: number; groups: BulkGroups },
  ) {
    this.#rig = rig;
    this.stage = stage;
    this.#pending = pending;
    this.#epoch = epoch;
    this.#groups = groups;
    this.#state = new Map(stage.state);
    this.#next = rig.position?.tx ?? rig.options.snapshotAt;
  }

  /** The transaction that is read next. */
  get next(): number {
    return this.#next;
  }

  /** What has been written and is not committed. */
  get pending(): readonly WrittenRecord[] {
    return this.#pending;
  }

  /** The rows of the first snapshot, tables that are joined before the others. */
  async snapshot(joined: readonly TableSchema[]): Promise<void> {
    const { tables, log, snapshotAt } = this.#rig.options;
    const state = stateAt(tables, log, snapshotAt);
    const resume = { tx: snapshotAt, mid: 0 };
    for (const group of [joined, tables.filter((each) => !joined.includes(each))]) {
      for (const each of group) {
        const changes = (state.get(each) ?? []).map((row) => readRow(each, row));
        await this.absorb({ changes, bytes: 1, resume });
      }
      if (group === joined) await this.stage.snapshotRead(new Set(joined.map(({ id }) => tableName(id))));
    }
    await this.absorb({ changes: [], bytes: 0, resume });
  }

  /** The log from where the attempt stands up to a transaction, cut into batches of so many changes. */
  async read(until: number, batchSizes: () => number): Promise<void> {
    const { log } = this.#rig.options;
    let changes: Change<Source>[] = [];
    let size = batchSizes();
    for (let tx = this.#next; tx < Math.min(until, log.length); tx++) {
      const transaction = log[tx]!;
      const shared: Tx = { id: String(tx), commitTimeUs: timeOf(tx) * 1000 };
      for (const [seq, change] of transaction.entries()) {
        changes.push(logChange(change, { tx: shared, index: tx, seq }));
        if (changes.length < size || seq === transaction.length - 1) continue;
        await this.absorb({ changes, bytes: changes.length * 100, resume: { tx, mid: seq + 1 } });
        changes = [];
        size = batchSizes();
      }
      if (changes.length < size && tx + 1 < Math.min(until, log.length)) continue;
      await this.absorb({ changes, bytes: changes.length * 100, resume: { tx: tx + 1, mid: 0 } });
      this.#next = tx + 1;
      changes = [];
      size = batchSizes();
    }
  }

  async absorb(batch: Batch<At, Source>): Promise<void> {
    const { batch: absorbed } = await this.stage.absorb(batch);
    for (const [key, value] of absorbed.state ?? []) this.#state.set(key, value);
    this.#resume = absorbed.resume;
  }

  /** The position of a new log. */
  begin(at: At): void {
    this.#resume = at;
    this.#next = at.tx;
  }

  /** Becomes durable with the next commit. */
  note(state: ReadonlyMap<string, string | null>): void {
    for (const [key, value] of state) this.#state.set(key, value);
  }

  /** As the committer does; answers whether it was allowed here. */
  commit(): boolean {
    if (!this.seal()) return false;
    this.settle();
    return true;
  }

  /** A commit begins. */
  seal(): boolean {
    if (this.#resume === null) return false;
    this.stage.committing();
    const groups = this.#groups;
    for (const [key, value] of this.#state) if (key.startsWith(groups.prefix)) groups.set(key, value);
    this.#sealed.push({ position: this.#resume, state: this.#state, records: this.#pending.splice(0) });
    this.#state = new Map();
    return true;
  }

  /** The oldest commit under way is durable. */
  settle(): void {
    const commit = this.#sealed.shift();
    if (commit === undefined) throw new Error('no commit has begun');
    this.stage.committed();
    this.#rig.position = commit.position;
    this.#rig.epoch = this.#epoch;
    for (const [key, value] of commit.state) {
      if (value === null) this.#rig.state.delete(key);
      else this.#rig.state.set(key, value);
    }
    for (const record of commit.records) this.#rig.committed.push(record);
  }

  /** Whatever is not committed is lost. */
  async end(): Promise<void> {
    await this.stage[Symbol.asyncDispose]();
    await this.#groups[Symbol.asyncDispose]();
  }
}

/** As a sink opens it. */
export function openedTopic(
  name: string,
  refused: ReadonlyMap<string, HeadwaterError> = new Map(),
): Promise<TopicHandle> {
  const error = refused.get(name);
  return error === undefined ? Promise.resolve({ name }) : Promise.reject(error);
}

/** As a sink restores it: groups where they belong, the rest in the answer. */
export function restoredState(state: ReadonlyMap<string, string>, bulk: BulkState): Map<string, string> {
  const known = new Map<string, string>();
  bulk.clear();
  for (const [key, value] of state)
    if (key.startsWith(bulk.prefix)) bulk.set(key, value);
    else known.set(key, value);
  return known;
}

function timeOf(tx: number): number {
  return 1_700_000_000_000 + tx * 1_000;
}

function readRow(schema: TableSchema, after: Row): RowChange<Source> {
  const at: Source = { connector: 'postgresql', timeMs: timeOf(-1), position: 'snapshot' };
  return { kind: 'row', op: 'r', table: schema, before: null, after, tx: null, seq: 0, at, snapshot: 'true' };
}

function logChange(
  { table, op, before, after }: LogChange,
  { tx, index, seq }: { tx: Tx; index: number; seq: number },
): Change<Source> {
  const at: Source = { connector: 'postgresql', timeMs: timeOf(index), position: `${index}:${seq}` };
  if (op === 't') return { kind: 'truncate', table, tx, seq, at };
  return {
    kind: 'row',
    op,
    table,
    before: before ?? null,
    after: after ?? null,
    tx,
    seq,
    at,
    snapshot: null,
  };
}

function written(topic: string, { key, value, timestamp, headers }: SinkRecord): WrittenRecord {
  const text = (bytes: string | Uint8Array | null): string | null =>
    bytes === null ? null : typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('hex');
  return { topic, key: text(key), value: text(value), timestamp, headers };
}
