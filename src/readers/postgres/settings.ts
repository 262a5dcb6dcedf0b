import type { PgConnectOptions } from './wire/connect-options.ts';

/** What the PostgreSQL reader is made from; settings/ fills it from YAML. */
export interface PostgresReaderOptions {
  /** The pipeline's name. */
  readonly name: string;
  readonly connect: PgConnectOptions;
  /** `source.tables`: globs on `schema.table`, `!pattern`, `/regex/`. */
  readonly tables: readonly string[];
  readonly slot: string;
  /** The main publication; the one for tables without a replica identity is `<publication>_insert_only`. */
  readonly publication: string;
  /** Create the slot so that standbys may take it over (17 and later); so unless false. */
  readonly failover?: boolean;
  /** With `fail`, `open` throws `source.position-lost` before anything is changed at the source. */
  readonly onGap: 'resnapshot' | 'fail' | 'skip_with_marker';
  /** For the check against `max_slot_wal_keep_size`; null: no budget. */
  readonly walBudgetBytes: number | null;
  /** Emit `begin` and `end` of each transaction. */
  readonly transactionMetadata: boolean;
  /** Capture pg_logical_emit_message. */
  readonly messages: boolean;
}

/** Both publications are always named in START_REPLICATION and always exist (see publication.ts). */
export function publicationNames({ publication }: PostgresReaderOptions): readonly [string, string] {
  return [publication, `${publication}_insert_only`];
}
