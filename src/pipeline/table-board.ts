import type { Emitter } from '../emitter/emitter.ts';
import type { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableId, tableName } from '../model/table.ts';
import type { TableStatus } from '../observability/status.ts';
import type { CapturedTable } from '../readers/reader.ts';
import type { TableProgress } from '../snapshot/progress.ts';

/** What is known of each captured table in one attempt: from the source, the snapshot and the emitter. */
export class TableBoard {
  readonly #tables: readonly CapturedTable[];
  readonly #topicOf: (id: TableId) => string;
  readonly #quarantined = new Map<string, HeadwaterError>();
  readonly #progress: () => readonly TableProgress[];
  readonly #emitted: () => ReturnType<Emitter['tables']>;

  constructor(
    tables: readonly CapturedTable[],
    ask: {
      readonly topicOf: (id: TableId) => string;
      readonly progress: () => readonly TableProgress[];
      readonly emitted: () => ReturnType<Emitter['tables']>;
    },
  ) {
    this.#tables = tables;
    this.#topicOf = ask.topicOf;
    this.#progress = ask.progress;
    this.#emitted = ask.emitted;
  }

  /** Answers whether this is news. */
  quarantine(id: TableId, error: HeadwaterError): boolean {
    const name = tableName(id);
    if (this.#quarantined.has(name)) return false;
    this.#quarantined.set(name, error);
    return true;
  }

  status(): readonly TableStatus[] {
    const progress = new Map(this.#progress().map((entry) => [entry.table, entry]));
    const emitted = new Map([...this.#emitted()].map((entry) => [tableName(entry.id), entry]));
    return this.#tables.map(({ id, estimatedRows, limitation }) => {
      const table = tableName(id);
      const read = progress.get(table);
      const sent = emitted.get(table);
      const error = this.#quarantined.get(table);
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
        reason: error?.message ?? null,
        limitation,
        rowsSnapshotted: read?.rows ?? 0,
        estimatedRows: read?.estimatedRows ?? estimatedRows,
        events: sent?.events ?? 0,
        lastEventAt:
          sent === undefined || sent.lastEventAt === 0 ? null : new Date(sent.lastEventAt).toISOString(),
      };
    });
  }
}
