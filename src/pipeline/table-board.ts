import type { Emitter } from '../emitter/emitter.ts';
import type { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableId, tableName } from '../model/table.ts';
import type { TableStatus } from '../observability/status.ts';
import type { CapturedTable } from '../readers/reader.ts';
import type { TableProgress } from '../snapshot/progress.ts';
import type { DeadLetterTally } from './monitor.ts';

type ListedTable = Pick<CapturedTable, 'id' | 'estimatedRows' | 'limitation'>;

/** What is known of each captured table in one attempt: from the source, the snapshot and the emitter. */
export class TableBoard {
  readonly #tables: readonly ListedTable[];
  readonly #topicOf: (id: TableId) => string;
  readonly #quarantined = new Map<string, { readonly id: TableId; readonly error: HeadwaterError }>();
  readonly #progress: () => readonly TableProgress[];
  readonly #emitted: () => ReturnType<Emitter['tables']>;
  readonly #deadLetters: ReadonlyMap<string, DeadLetterTally>;
  /** Had events in an attempt before this one: where they are no longer captured, they are gone. */
  readonly #metBefore: ReadonlySet<string>;

  constructor(
    tables: readonly ListedTable[],
    ask: {
      readonly topicOf: (id: TableId) => string;
      readonly progress: () => readonly TableProgress[];
      readonly emitted: () => ReturnType<Emitter['tables']>;
      /** By `schema.table`; asked at each status. */
      readonly deadLetters: ReadonlyMap<string, DeadLetterTally>;
    },
  ) {
    this.#tables = tables;
    this.#topicOf = ask.topicOf;
    this.#progress = ask.progress;
    this.#emitted = ask.emitted;
    this.#deadLetters = ask.deadLetters;
    this.#metBefore = new Set([...ask.emitted()].map(({ id }) => tableName(id)));
  }

  /** Something of the table had to be given up: its snapshot, or all that follows a schema nobody accepts. */
  quarantine(id: TableId, error: HeadwaterError): void {
    this.#quarantined.set(tableName(id), { id, error });
  }

  /** `schema.table`, in the order of the captured tables. */
  get quarantined(): readonly string[] {
    return this.#all([...this.#emitted()].map(({ id }) => id))
      .map(({ id }) => tableName(id))
      .filter((name) => this.#quarantined.has(name));
  }

  /** The captured tables, then those that were made since, by the order in which they were met. */
  #all(met: readonly TableId[]): readonly ListedTable[] {
    const names = new Set(this.#tables.map(({ id }) => tableName(id)));
    const more: ListedTable[] = [];
    const given = [...this.#quarantined.values()].map(({ id }) => id);
    for (const id of [...met.filter((each) => !this.#metBefore.has(tableName(each))), ...given]) {
      if (names.has(tableName(id))) continue;
      names.add(tableName(id));
      more.push({ id, estimatedRows: null, limitation: null });
    }
    return more.length === 0 ? this.#tables : [...this.#tables, ...more];
  }

  status(): readonly TableStatus[] {
    const progress = new Map(this.#progress().map((entry) => [entry.table, entry]));
    const emitted = new Map([...this.#emitted()].map((entry) => [tableName(entry.id), entry]));
    const met = [...emitted.values()].map(({ id }) => id);
    return this.#all(met).map(({ id, estimatedRows, limitation }) => {
      const table = tableName(id);
      const read = progress.get(table);
      const sent = emitted.get(table);
      const error = this.#quarantined.get(table)?.error;
      const letters = this.#deadLetters.get(table);
      return {
        table,
        topic: sent?.topic ?? this.#topicOf(id),
        state:
          error !== undefined
            ? 'quarantined'
            : read?.state === 'reading'
              ? 'snapshotting'
              : read?.state === 'waiting'
                ? 'waiting'
                : 'streaming',
        code: error?.code ?? null,
        reason: error?.message ?? null,
        advice: error?.advice ?? null,
        snapshot: read?.state ?? null,
        deadLetters: letters?.count ?? 0,
        lastDeadLetter: letters?.last ?? null,
        limitation,
        rowsSnapshotted: read?.rows ?? 0,
        estimatedRows: read?.estimatedRows ?? estimatedRows,
        schemaVersion: sent?.version ?? null,
        events: sent?.events ?? 0,
        lastEventAt:
          sent === undefined || sent.lastEventAt === 0 ? null : new Date(sent.lastEventAt).toISOString(),
      };
    });
  }
}
