/** The queries of clients over one running program. What they show is what durable commits hold. */
import { asHeadwaterError, HeadwaterError } from '../../errors/headwater-error.ts';
import { Aggregation } from '../run/aggregation.ts';
import type { CapturedSource } from '../sources/captured-source.ts';
import type { Source, StreamSource, TableSource } from '../sources/catalog.ts';
import type { TableId } from '../../model/table.ts';
import type { Program } from '../plan/program.ts';
import { GroupStore, ofNoRun } from '../state/group-store.ts';
import type { ProcessingLog } from '../run/processing-log.ts';
import { type EventReader, Query } from '../run/query.ts';
import { QueryProblems } from '../run/query-problems.ts';
import { Replica } from '../state/replica.ts';
import type { Dialect } from '../sql/token-cursor.ts';
import { TopicTable } from '../topics/topic-table.ts';
import type { StoredRow } from '../state/table-store.ts';
import type { ProgramBasis } from './program-basis.ts';
import { PullQuery } from './pull-query.ts';
import { StreamRows, TableRows } from './push-query.ts';
import type { ResultRow } from './result-rows.ts';
import type { ResultTable } from '../state/result-table.ts';
import { type QueryEnd, RowQueue, tooManyGroups } from './row-queue.ts';
import { replay } from './stream-replay.ts';
import {
  planSelect,
  type PullPlan,
  type SelectPlan,
  type SelectRequest,
  type StreamPlan,
  type TablePushPlan,
} from './select-plan.ts';
import type { CommittedRows } from '../state/committed-rows.ts';

/** Queries of clients at one time. */
const MAX_PUSH_QUERIES = 100;
/** Groups that a client's query has in memory. */
const MAX_GROUPS = 100_000;

/** Where events come by. */
export interface Taps {
  /** Runs the work now, or when the transaction under way is over. */
  between(work: () => void): void;
  addReader(of: CapturedSource | StreamSource, reader: EventReader, usesChange: boolean): void;
  removeReader(of: CapturedSource | StreamSource, reader: EventReader): void;
  /** Replicas that show a later state than the log's position. */
  readonly ahead: ReadonlySet<number>;
}

export interface LiveOptions {
  readonly program: Program;
  /** Of a captured table's own records. */
  readonly topicOf: (table: TableId) => string;
  readonly dialect: Dialect;
  readonly results: ReadonlyMap<StreamSource, ResultTable>;
  /** Whether tables made of tables hold all their rows. */
  readonly filled: () => boolean;
  readonly processing: ProcessingLog;
  readonly taps: Taps;
  readonly basis: ProgramBasis;
}

/** A SELECT under way. */
export interface RunningSelect {
  readonly plan: SelectPlan;
  /** Durable rows; ends where no more come. */
  rows(): AsyncGenerator<readonly ResultRow[]>;
  /** Null while rows may come, and for one that was closed. */
  readonly end: QueryEnd | null;
  close(): void;
}

/** Whose commits make rows durable: the pipeline's, or those of the producer beside it, of queries over topics. */
export type CommitsOf = 'log' | 'topics';

interface Push {
  readonly of: CommitsOf;
  readonly queue: RowQueue;
  readonly groups: GroupStore | null;
}

export class LiveQueries {
  readonly #options: LiveOptions;
  readonly #replicas = new Map<Replica, CommittedRows>();
  readonly #pushes = new Set<Push>();
  readonly #underWay: Record<CommitsOf, number> = { log: 0, topics: 0 };
  #ended = false;

  constructor(options: LiveOptions) {
    this.#options = options;
    for (const replica of options.program.replicas) {
      const rows = replica.observe();
      if (replica.ready) rows.show();
      this.#replicas.set(replica, rows);
    }
  }

  get program(): Program {
    return this.#options.program;
  }

  get basis(): ProgramBasis {
    return this.#options.basis;
  }

  topicOf(source: Source): string {
    if (source.captured !== null) return this.#options.topicOf(source.captured.id);
    const stream = source.kind === 'STREAM' ? source : source.result;
    return source.topic?.topic ?? stream?.sink?.topic ?? '';
  }

  /** Rows of the tables that events are joined with, and whether those are all that there are. */
  keptRows(source: Source): { readonly rows: number; readonly complete: boolean } | null {
    const kept = source.kind === 'TABLE' ? source.rows : null;
    if (kept instanceof Replica) return { rows: kept.size, complete: kept.ready };
    if (kept instanceof TopicTable) return { rows: kept.size, complete: kept.timeline !== null };
    return null;
  }

  /** Of the table as it is now; null where nobody counts its rows. */
  rowCount(source: Source): number | null {
    const groups = source.kind === 'TABLE' && source.rows instanceof GroupStore ? source.rows.size : null;
    return this.keptRows(source)?.rows ?? groups;
  }

  /** Clients' queries with EMIT CHANGES. */
  get pushQueries(): number {
    return this.#pushes.size;
  }

  get dialect(): Dialect {
    return this.#options.dialect;
  }

  /** Throws what is wrong with the statement, and `query.not-ready`, `query.too-many`. */
  async select(request: SelectRequest, signal: AbortSignal): Promise<RunningSelect> {
    const { program, dialect } = this.#options;
    const plan = planSelect(request, program, dialect);
    if (plan.kind === 'pull' && plan.over === 'table') return this.#pull(plan);
    if (this.#pushes.size >= MAX_PUSH_QUERIES)
      throw new HeadwaterError(
        'query.too-many',
        `There are ${MAX_PUSH_QUERIES} queries with EMIT CHANGES already, which is as many as there may be.`,
      );
    if (plan.over === 'table') return await this.#pushTable(plan, signal);
    return plan.fromBeginning ? this.#replay(plan) : await this.#pushStream(plan, signal);
  }

  /** A commit begins that makes durable what has been absorbed so far. */
  committing(of: CommitsOf): void {
    this.#underWay[of]++;
    const { results, filled } = this.#options;
    if (of === 'log') for (const [{ ready }, rows] of this.#replicas) rows.committing(ready);
    for (const [target, { rows }] of results)
      if (this.#commitsOf(target) === of) rows.committing(of === 'topics' || filled());
    for (const { of: whose, queue, groups } of this.#pushes) {
      if (whose !== of) continue;
      queue.committing();
      // What a persistent query would put into the checkpoint.
      groups?.flush();
    }
  }

  /** The oldest commit under way is durable. */
  committed(of: CommitsOf): void {
    this.#underWay[of] = Math.max(0, this.#underWay[of] - 1);
    if (of === 'log') for (const rows of this.#replicas.values()) rows.committed();
    for (const [target, { rows }] of this.#options.results)
      if (this.#commitsOf(target) === of) rows.committed();
    for (const { of: whose, queue } of this.#pushes) if (whose === of) queue.committed();
  }

  #commitsOf(stream: StreamSource): CommitsOf {
    if (stream.topic !== null) return 'topics';
    const plan = this.program.queries.find(({ target }) => target === stream);
    return plan?.ofTopic === true ? 'topics' : 'log';
  }

  /** The pipeline stops, or begins anew. */
  end(): void {
    this.#ended = true;
    for (const { queue } of this.#pushes) queue.finish(ended());
  }

  #pull(plan: PullPlan): RunningSelect {
    const committed = this.#rowsOf(plan.table);
    const rows =
      plan.keys === null
        ? committed.rows()
        : plan.keys.flatMap((key): StoredRow[] => {
            const row = committed.get(key);
            return row === null ? [] : [row];
          });
    return new PullQuery(plan, rows, MAX_GROUPS);
  }

  async #pushTable(plan: TablePushPlan, signal: AbortSignal): Promise<RunningSelect> {
    const rows = this.#rowsOf(plan.table);
    const { result } = plan.table;
    const of = result === null ? 'log' : this.#commitsOf(result);
    const queue = new RowQueue(plan.limit, this.#underWay[of]);
    const listener = new TableRows(plan, queue);
    await this.#between(signal, () => {
      if (plan.fromBeginning) listener.begin(rows.current(), rows.settled);
      rows.listen(listener);
    });
    return this.#running(plan, { of, queue, groups: null }, () => rows.unlisten(listener));
  }

  #replay(plan: StreamPlan): RunningSelect {
    const { taps, processing, basis } = this.#options;
    this.#refuseUnready(plan);
    const { access, registry } = basis;
    if (access === null)
      throw new HeadwaterError(
        'enrich.not-supported',
        `The past of ${plan.query.input.name} is not read back: results are not written to Kafka.`,
      );
    const queue = new RowQueue(plan.limit, 0);
    const { ahead } = taps;
    const closing = new AbortController();
    const options = { plan, queue, access, registry, processing, ahead, maxGroups: MAX_GROUPS };
    replay(options, closing.signal).catch((error: unknown) => queue.finish(asHeadwaterError(error)));
    return this.#running(plan, { of: 'topics', queue, groups: null }, () => closing.abort());
  }

  #refuseUnready({ query }: StreamPlan): void {
    for (const { table, rows } of query.joins)
      if (rows.replicas.some(({ ready }) => !ready)) throw notReady(table.name);
  }

  async #pushStream(plan: StreamPlan, signal: AbortSignal): Promise<RunningSelect> {
    const { taps, processing } = this.#options;
    this.#refuseUnready(plan);
    const of = this.#commitsOf(plan.query.input);
    const queue = new RowQueue(plan.limit, this.#underWay[of]);
    const target = new StreamRows(plan, queue);
    const { group, store: groups } = plan.query;
    const note = (): void => {};
    groups?.restore(ofNoRun(note));
    const aggregation =
      group === null || groups === null ? null : new Aggregation({ group, store: groups, target, note });
    const problems = new QueryProblems(plan.query, processing, null);
    const query = new Query(plan.query, { target, problems, ahead: taps.ahead, aggregation });
    const reader: EventReader = {
      process(event, fromSnapshot) {
        if (!queue.open) return;
        try {
          query.process(event, fromSnapshot);
          if (groups !== null && groups.size > MAX_GROUPS) queue.finish(tooManyGroups(MAX_GROUPS));
        } catch (error) {
          // A client's query never stops the pipeline.
          queue.finish(asHeadwaterError(error));
        }
      },
      misfit: (error) => queue.finish(error),
    };
    const source = plan.captured ?? plan.query.input;
    await this.#between(signal, () => taps.addReader(source, reader, plan.query.usesChange));
    return this.#running(plan, { of, queue, groups }, () =>
      taps.between(() => taps.removeReader(source, reader)),
    );
  }

  #between(signal: AbortSignal, work: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      this.#options.taps.between(() => {
        signal.removeEventListener('abort', onAbort);
        if (this.#ended) reject(ended());
        if (!signal.aborted && !this.#ended) work();
        resolve();
      });
    });
  }

  #running(plan: SelectPlan, push: Push, detach: () => void): RunningSelect {
    const { queue } = push;
    this.#pushes.add(push);
    let attached = true;
    const close = (): void => {
      queue.finish('closed');
      if (!attached) return;
      attached = false;
      this.#pushes.delete(push);
      detach();
    };
    return {
      plan,
      rows: async function* rows() {
        try {
          yield* queue.read();
        } finally {
          close();
        }
      },
      get end() {
        return queue.end;
      },
      close,
    };
  }

  #rowsOf({ name, result, rows: read }: TableSource): CommittedRows {
    const rows =
      result !== null
        ? this.#options.results.get(result)?.rows
        : read instanceof TopicTable
          ? read.observe()
          : read instanceof Replica
            ? this.#replicas.get(read)
            : undefined;
    if (rows === undefined)
      throw new HeadwaterError(
        'enrich.not-supported',
        `The table ${name} has no rows to be asked for: its query was terminated.`,
      );
    if (!rows.visible) throw notReady(name);
    return rows;
  }
}

function ended(): HeadwaterError {
  return new HeadwaterError('query.ended', 'The pipeline behind the query stops or begins anew.');
}

function notReady(table: string): HeadwaterError {
  return new HeadwaterError('query.not-ready', `The table ${table} is still being read.`);
}
