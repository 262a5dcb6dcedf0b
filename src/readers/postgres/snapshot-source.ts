import type {
  ReadOptions,
  SnapshotSource,
  SnapshotView,
  WindowReader,
} from '../../snapshot/snapshot-source.ts';
import type { TableSchema } from '../../model/table.ts';
import { describeTables } from './catalogue.ts';
import { mapping } from './errors.ts';
import { type PostgresPosition, serverLsn } from './position.ts';
import { Planner } from './snapshot-plan.ts';
import { openPgView } from './snapshot-view.ts';
import { PgWindows } from './snapshot-windows.ts';
import type { PostgresSource } from './source-info.ts';
import type { PgConnection } from './wire/connection.ts';
import { PgConnectionError } from './wire/pg-error.ts';
import { quoteIdent } from './wire/quoting.ts';

/** So long a table is waited for before the others have their turn; the server logs each time that it was in vain. */
const LOCK_TIMEOUT_MS = 1_000;

export interface PgSnapshotOptions {
  /** A plain session. Throws PgError or PgConnectionError. */
  readonly connect: (signal: AbortSignal) => Promise<PgConnection>;
  /** A session for the replication protocol. */
  readonly connectReplication: (signal: AbortSignal) => Promise<PgConnection>;
  /**
   * The snapshot a new slot exported; null where there is none (a restart). Once `openView` has resolved the
   * session that exported it may go on.
   */
  readonly exported: { readonly snapshotName: string; readonly position: PostgresPosition } | null;
  /** First part of the names of temporary slots for tables without a key. */
  readonly temporarySlot: string;
  /** As the stream has them. */
  readonly generatedColumns: 'stored' | 'none';
  /** Gives a schema the version number it has in the stream (SchemaVersions.number). */
  readonly number: (schema: TableSchema) => TableSchema;
}

/** Rows of PostgreSQL's tables, by COPY in text form through the decoders of the stream. */
export function createPgSnapshotSource(
  options: PgSnapshotOptions,
): SnapshotSource<PostgresPosition, PostgresSource> {
  return new PgSnapshotSource(options);
}

class PgSnapshotSource implements SnapshotSource<PostgresPosition, PostgresSource> {
  readonly #options: PgSnapshotOptions;
  #exported: PgSnapshotOptions['exported'];
  #ownViews = 0;

  constructor(options: PgSnapshotOptions) {
    this.#options = options;
    this.#exported = options.exported;
  }

  async openView(
    { parallelism }: ReadOptions,
    signal: AbortSignal,
  ): Promise<SnapshotView<PostgresPosition, PostgresSource> | null> {
    const { connect } = this.#options;
    const exported = this.#exported;
    this.#exported = null;
    if (exported === null) return null;
    return openPgView(
      { ...exported, parallelism, lockTimeoutMs: LOCK_TIMEOUT_MS, connect, planner: this.#planner() },
      signal,
    );
  }

  async openOwnView(
    { parallelism }: ReadOptions,
    signal: AbortSignal,
  ): Promise<SnapshotView<PostgresPosition, PostgresSource>> {
    const { connect, connectReplication, temporarySlot } = this.#options;
    return mapping('Making a temporary slot for a table without a key', async () => {
      // The slot goes with this session: as soon as the snapshot has been taken over.
      await using session = await connectReplication(signal);
      // 63 bytes at most, and free in the whole cluster: sessions of other processes have other ids.
      const name = `${temporarySlot.slice(0, 40)}_${session.processId}_${++this.#ownViews}`;
      const [row] = await session.query(
        `CREATE_REPLICATION_SLOT ${quoteIdent(name)} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`,
        signal,
      );
      const position: PostgresPosition = { lsn: serverLsn(row?.[1]), mid: null };
      const snapshotName = row?.[2] ?? '';
      const planner = this.#planner();
      const view = await openPgView(
        { position, snapshotName, parallelism, lockTimeoutMs: LOCK_TIMEOUT_MS, connect, planner },
        signal,
      );
      if (view === null) {
        throw new PgConnectionError('lost', 'The session that exported a snapshot ended too early');
      }
      return view;
    });
  }

  openWindows({ parallelism }: ReadOptions): Promise<WindowReader<PostgresPosition, PostgresSource>> {
    const { connect } = this.#options;
    return Promise.resolve(
      new PgWindows({ parallelism, connect, lockTimeoutMs: LOCK_TIMEOUT_MS, planner: this.#planner() }),
    );
  }

  #planner(): Planner {
    const { generatedColumns, number } = this.#options;
    return new Planner(
      (query, registry, ids) => describeTables(query, registry, { ids }, { generatedColumns }),
      number,
    );
  }
}
