import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { RowChange, SourceInfo, TruncateChange } from '../../model/change.ts';
import { type TableSchema, tableName } from '../../model/table.ts';
import type { Image } from '../../model/raw-row.ts';
import type { Log } from '../../observability/log.ts';
import type { SourceBlock } from '../../schema/source-block.ts';
import type { CapturedSource, RowReader } from '../sources/captured-source.ts';
import type { StreamEvent } from './event.ts';
import type { EventReader } from './query.ts';
import type { Replica } from '../state/replica.ts';
import { type RowCodec, rowCodec } from '../state/row-text.ts';
import type { Problem } from '../sql/frame.ts';

export interface LogIntakeOptions<S extends SourceInfo> {
  readonly replicas: readonly Replica[];
  /** Replicas that show a later state than the log's position, by index. */
  readonly ahead: ReadonlySet<number>;
  /** Tables of which the snapshot reads some rows only: joined ones are read by ourselves. */
  readonly partly: ReadonlyMap<string, string>;
  readonly block: SourceBlock<S>;
  /** Whether a captured table is still as it was when the statements were compiled. */
  readonly unchanged: (table: string) => Promise<boolean>;
  readonly note: (problem: Problem) => void;
  /** An event of the transaction under way, of about so many bytes. */
  readonly add: (input: number, event: StreamEvent, bytes: number) => void;
  readonly log: Log;
}

/** One change stream of a captured table with the queries that read it. */
export interface Input {
  readonly index: number;
  readonly captured: CapturedSource;
  readonly queries: readonly EventReader[];
  readonly usesChange: boolean;
  readonly codec: RowCodec;
}

/** What one version of a captured table means to the statements. */
interface TableUse {
  readonly replicas: readonly Replica[];
  readonly inputs: readonly Input[];
}

/** Changes of captured tables on their way into the joined tables, and as events to the queries that read them. */
export class LogIntake<S extends SourceInfo> {
  readonly #options: LogIntakeOptions<S>;
  readonly #inputs = new Map<number, Input>();
  readonly #uses = new Map<TableSchema, TableUse>();
  #nextInput = 0;

  constructor(options: LogIntakeOptions<S>) {
    this.#options = options;
  }

  addInput(captured: CapturedSource, queries: readonly EventReader[], usesChange: boolean): void {
    const index = this.#nextInput++;
    const codec = rowCodec(captured.used.map(({ type }) => type));
    this.#inputs.set(index, { index, captured, queries, usesChange, codec });
    this.#uses.clear();
  }

  removeInput(of: CapturedSource): void {
    for (const [index, { captured }] of this.#inputs) if (captured === of) this.#inputs.delete(index);
    this.#uses.clear();
  }

  /** Undefined for one that was removed. */
  input(index: number): Input | undefined {
    return this.#inputs.get(index);
  }

  isPrepared(table: TableSchema): boolean {
    return this.#uses.has(table);
  }

  /**
   * Sees to it that rows of that version can be read. One that does not fit the statements is an older one, where the
   * table is still as it was when they were compiled; else they are to be compiled anew: throws `enrich.table-changed`.
   */
  async prepare(table: TableSchema): Promise<void> {
    try {
      this.#use(table);
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.code !== 'enrich.table-changed') throw error;
      const { unchanged, log } = this.#options;
      const name = tableName(table.id);
      if (!(await unchanged(name))) throw error;
      log.warn({ table: name }, 'rows of an older version of the table are cast to what it is now');
      for (const { captured } of [...this.#inputs.values(), ...this.#options.replicas])
        if (tableName(captured.id) === name) captured.takeOlder();
    }
  }

  #use(table: TableSchema): TableUse {
    let use = this.#uses.get(table);
    if (use === undefined) {
      const name = tableName(table.id);
      use = {
        replicas: this.#options.replicas.filter(({ captured }) => tableName(captured.id) === name),
        inputs: [...this.#inputs.values()].filter(
          (input) => input.queries.length > 0 && tableName(input.captured.id) === name && fits(input, table),
        ),
      };
      for (const replica of use.replicas) replica.captured.reader(table);
      // Each version of a table is an object of its own.
      if (this.#uses.size > 1_000) this.#uses.clear();
      this.#uses.set(table, use);
    }
    return use;
  }

  /** A row that cannot be read lies in the dead-letter topic, as the emitter puts it there. */
  take(change: RowChange<S>, bytes: number): void {
    if (change.unreadable !== undefined) return;
    try {
      this.#row(change, bytes);
    } catch (error) {
      this.#passOver(error);
    }
  }

  /** A row of a table that is read from the database itself. */
  load(replica: Replica, { table, after, unreadable }: RowChange<S>): void {
    if (unreadable !== undefined) return;
    try {
      this.#upsert(replica, replica.captured.reader(table), null, after, 0);
    } catch (error) {
      this.#passOver(error);
    }
  }

  #passOver(error: unknown): void {
    if (!(error instanceof HeadwaterError) || error.code !== 'source.value-unreadable') throw error;
    this.#options.note('value-not-representable');
  }

  #row(change: RowChange<S>, bytes: number): void {
    const { replicas, inputs } = this.#use(change.table);
    if (replicas.length === 0 && inputs.length === 0) return;
    const { op, before, after, seq } = change;
    const { partly, ahead, add } = this.#options;
    for (const replica of replicas) {
      // What is read again of a table that is complete says nothing new.
      if (op === 'r' && (replica.ready || partly.has(tableName(change.table.id)))) continue;
      const reader = replica.captured.reader(change.table);
      // A table that was read later holds what the change has come to, in its present types.
      if (reader.adapted && ahead.has(replica.index)) continue;
      this.#upsert(replica, reader, before, op === 'd' ? null : after, seq);
    }
    for (const input of inputs) {
      const event = this.#event(input, change);
      if (event !== null) add(input.index, event, bytes);
    }
  }

  #upsert(replica: Replica, reader: RowReader, before: Image | null, after: Image | null, seq: number): void {
    const { note } = this.#options;
    const old = before === null ? null : reader.key(before, note);
    if (after === null) {
      if (old !== null) replica.delete(old, seq);
      return;
    }
    const key = reader.key(after, note);
    const known = replica.current(old ?? key ?? '');
    if (old !== null && old !== key) replica.delete(old, seq);
    if (key !== null) replica.put(key, reader.row(after, { before, known }, note), seq);
  }

  truncate({ table, seq }: TruncateChange<S>): void {
    for (const replica of this.#use(table).replicas) replica.clear(seq);
  }

  /** Null for a change that says nothing of the row. */
  #event({ captured, usesChange }: Input, change: RowChange<S>): StreamEvent | null {
    const { table, op, before, after, seq, tx, at } = change;
    const image = op === 'd' ? before : after;
    if (image === null) return null;
    const { block, note } = this.#options;
    const reader = captured.reader(table);
    return {
      row: op === 'd' ? reader.remains(image, note) : reader.row(image, { before, known: null }, note),
      hasValue: op !== 'd',
      seq,
      time: block.commitTimeMs(at),
      change: usesChange
        ? {
            op,
            before: before === null ? null : reader.image(before, note),
            tx: tx?.id ?? null,
            position: block.transactionId(at),
          }
        : null,
      headers: null,
    };
  }
}

/**
 * Whether rows of that version of the table can be read for the input: a client's query ends where not; for statements
 * that throws `enrich.table-changed`.
 */
function fits({ captured, queries }: Input, table: TableSchema): boolean {
  try {
    captured.reader(table);
    return true;
  } catch (error) {
    if (!(error instanceof HeadwaterError) || queries.some(({ misfit }) => misfit === undefined)) throw error;
    for (const query of queries) query.misfit?.(error);
    return false;
  }
}
