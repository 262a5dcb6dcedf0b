/** The queries of clients over one running program. What they show is what durable commits hold. */
import { setImmediate as breathe } from 'node:timers/promises';
import { asHeadwaterError, HeadwaterError } from '../../errors/headwater-error.ts';
import { Aggregation } from '../aggregation.ts';
import type { CapturedSource } from '../captured-source.ts';
import type { Source, StreamSource, TableSource } from '../catalog.ts';
import type { TableId } from '../../model/table.ts';
import type { Program } from '../program.ts';
import type { GroupStore } from '../group-store.ts';
import type { ProcessingLog } from '../processing-log.ts';
import { type EventReader, Query } from '../query.ts';
import type { Replica } from '../replica.ts';
import type { Frame } from '../sql/frame.ts';
import type { Dialect } from '../sql/token-cursor.ts';
import type { StoredRow } from '../state/table-store.ts';
import type { ProgramBasis } from './program-basis.ts';
import { StreamRows, TableRows } from './push-query.ts';
import { type ResultRow, rowText } from './result-rows.ts';
import type { ResultTable } from './result-table.ts';
import { type QueryEnd, RowQueue } from './row-queue.ts';
import {
  planSelect,
  type PullPlan,
  type SelectPlan,
  type SelectRequest,
  type StreamPushPlan,
  type TablePushPlan,
} from './select-plan.ts';
import type { CommittedRows } from './committed-rows.ts';

/** Queries of clients at one time. */
const MAX_PUSH_QUERIES = 100;
/** Groups that a client's query has in memory. */
const MAX_GROUPS = 100_000;
/** Rows that are looked at before others have their turn. */
const ROWS_A_BREATH = 2_000;

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

interface Push {
  readonly queue: RowQueue;
  readonly groups: GroupStore | null;
}

export class LiveQueries {
  readonly #options: LiveOptions;
  readonly #replicas = new Map<Replica, CommittedRows>();
  readonly #pushes = new Set<Push>();
  #underWay = 0;
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
    return stream?.topic?.topic ?? stream?.sink?.topic ?? '';
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
    if (plan.kind === 'pull') return this.#pull(plan);
    if (this.#pushes.size >= MAX_PUSH_QUERIES)
      throw new HeadwaterError(
        'query.too-many',
        `There are ${MAX_PUSH_QUERIES} queries with EMIT CHANGES already, which is as many as there may be.`,
      );
    return plan.over === 'table' ? await this.#pushTable(plan, signal) : await this.#pushStream(plan, signal);
  }

  /** A commit begins that makes durable what has been absorbed so far. */
  committing(): void {
    this.#underWay++;
    const { results, filled } = this.#options;
    for (const [{ ready }, rows] of this.#replicas) rows.committing(ready);
    for (const { rows } of results.values()) rows.committing(filled());
    for (const { queue, groups } of this.#pushes) {
      queue.committing();
      // What a persistent query would put into the checkpoint.
      groups?.flush();
    }
  }

  /** The oldest commit under way is durable. */
  committed(): void {
    this.#underWay = Math.max(0, this.#underWay - 1);
    for (const rows of this.#replicas.values()) rows.committed();
    for (const { rows } of this.#options.results.values()) rows.committed();
    for (const { queue } of this.#pushes) queue.committed();
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
    let closed = false;
    return {
      plan,
      rows: () => matching(plan, rows, () => closed),
      end: null,
      close: () => (closed = true),
    };
  }

  async #pushTable(plan: TablePushPlan, signal: AbortSignal): Promise<RunningSelect> {
    const rows = this.#rowsOf(plan.table);
    const queue = new RowQueue(plan.limit, this.#underWay);
    const listener = new TableRows(plan, queue);
    await this.#between(signal, () => {
      if (plan.fromBeginning) listener.begin(rows.current(), rows.settled);
      rows.listen(listener);
    });
    return this.#running(plan, { queue, groups: null }, () => rows.unlisten(listener));
  }

  async #pushStream(plan: StreamPushPlan, signal: AbortSignal): Promise<RunningSelect> {
    const { taps, processing } = this.#options;
    for (const { table, rows } of plan.query.joins)
      if (rows.replicas.some(({ ready }) => !ready)) throw notReady(table.name);
    const queue = new RowQueue(plan.limit, this.#underWay);
    const target = new StreamRows(plan, queue);
    const { group, store: groups } = plan.query;
    const note = (): void => {};
    groups?.restore({ known: new Map(), continuous: false, epoch: 0, note });
    const aggregation =
      group === null || groups === null ? null : new Aggregation({ group, store: groups, target, note });
    const query = new Query(plan.query, { target, processing, ahead: taps.ahead, aggregation });
    const reader: EventReader = {
      process(event, fromSnapshot) {
        if (!queue.open) return;
        try {
          query.process(event, fromSnapshot);
          if (groups !== null && groups.size > MAX_GROUPS) queue.finish(tooManyGroups());
        } catch (error) {
          // A client's query never stops the pipeline.
          queue.finish(asHeadwaterError(error));
        }
      },
      misfit: (error) => queue.finish(error),
    };
    const source = plan.captured ?? plan.query.input;
    await this.#between(signal, () => taps.addReader(source, reader, plan.query.usesChange));
    return this.#running(plan, { queue, groups }, () =>
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
      result === null
        ? [...this.#replicas].find(([replica]) => replica === read)?.[1]
        : this.#options.results.get(result)?.rows;
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
  return new HeadwaterError('query.not-ready', `The table ${table} is still being read from the database.`);
}

function tooManyGroups(): HeadwaterError {
  return new HeadwaterError(
    'query.cut-off',
    `The query was cut off: it has more than ${MAX_GROUPS} groups, which only a table made by CREATE TABLE … AS SELECT may have.`,
  );
}

async function* matching(
  { columns, where, limit }: PullPlan,
  rows: readonly StoredRow[],
  closed: () => boolean,
): AsyncGenerator<readonly ResultRow[]> {
  const frame: Frame = { rows: [null], time: 0, change: null, note: () => {} };
  const text = rowText(columns);
  let left = limit ?? Infinity;
  for (let from = 0; from < rows.length && left > 0 && !closed(); from += ROWS_A_BREATH) {
    const found: ResultRow[] = [];
    for (const row of rows.slice(from, from + ROWS_A_BREATH)) {
      if (left === 0) break;
      frame.rows[0] = row;
      if (where !== null && where(frame) !== true) continue;
      found.push({ text: text(columns.map(({ run }) => run(frame))), tombstone: false });
      left--;
    }
    if (found.length > 0) yield found;
    await breathe();
  }
}
