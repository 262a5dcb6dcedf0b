import { createHash } from 'node:crypto';

/** What the Oracle reader is made from; settings/ fills it from YAML. */
export interface OracleReaderOptions {
  /** The pipeline's name. */
  readonly name: string;
  /** `service on host:port`, for messages. */
  readonly place: string;
  /** The user of source.url, as it is written there. */
  readonly user: string;
  /** `source.tables`: globs on `SCHEMA.TABLE`, `!pattern`, `/regex/`. */
  readonly tables: readonly string[];
  /** The pluggable database whose tables are captured; null outside of multitenant databases. */
  readonly pdb: string | null;
  /**
   * hybrid: rows that LogMiner cannot name, since a DDL came in between, are rebuilt from the tables' history.
   * redo_log_catalog: a dictionary is written into the redo log after each switch, and LogMiner takes names from it.
   */
  readonly strategy: 'hybrid' | 'online_catalog' | 'redo_log_catalog';
  /** Read archived logs alone; null: on a standby. */
  readonly archiveOnly: boolean | null;
  /** DEST_NAMEs in order of preference; empty: whichever are local and valid. */
  readonly archiveDestinations: readonly string[];
  /** Follow writes into LOBs and XML, and strings past 4,000 bytes. */
  readonly lobs: boolean;
  /** Ask the table for values of large columns that the log does not have. */
  readonly lobReselect: boolean;
  /** Changes by these users are left out. */
  readonly excludeUsers: readonly string[];
  /** A change that cannot be read: stop, or send it to the dead-letter topic and go on. */
  readonly onUnreadable: 'fail' | 'dead-letter';
  /**
   * A changed row has columns that the log leaves out: they are marked; null where they may be; or the change is one
   * that cannot be read.
   */
  readonly absentColumns: 'unavailable' | 'as-null' | 'fail';
  /** A LogMiner session that has grown old is followed by one on another connection. */
  readonly sessionReconnect: boolean;
  /** Refuse tables without ALL COLUMNS supplemental logging. */
  readonly requireAllColumns: boolean;
  /** A table of the user's own that is written to, so that an idle instance flushes its log; null: nothing is. */
  readonly flushTable: string | null;
  /** RAC: `host:port` or `host:port/service` of each instance, for the flush table. */
  readonly racNodes: readonly string[];
  readonly onGap: 'resnapshot' | 'fail' | 'skip_with_marker';
  /** Emit `begin` and `end` of each transaction. */
  readonly transactionMetadata: boolean;
  /** Directory for transactions that do not fit in memory: scratch. */
  readonly spillDirectory: string;
  readonly limits: OracleLimits;
}

/** Sizes in SCNs, bytes and milliseconds. */
export interface OracleLimits {
  readonly windowStart: bigint;
  readonly windowLeast: bigint;
  readonly windowMost: bigint;
  /** Redo mined in one session, in sizes of the largest online log, per thread. */
  readonly logsPerSession: number;
  /** How long a LogMiner session is kept, since its memory grows. */
  readonly sessionMs: number;
  readonly sessionMemoryBytes: number;
  /** How often that memory is looked at. */
  readonly memoryCheckMs: number;
  /** At the log's end, and in archive-only mode. */
  readonly idleMs: number;
  readonly archivePollMs: number;
  /** First wait for a log that is not there yet; doubles up to ten times as much. */
  readonly logRetryMs: number;
  readonly logRetries: number;
  /** How long an instance may keep redo to itself that is older than what others have flushed. */
  readonly settleMs: number;
  /** Of one transaction in memory, and of all. */
  readonly transactionBytes: number;
  readonly bufferBytes: number;
  /** How long a transaction that has written nothing captured holds the start of mining back. */
  readonly startPinMs: number;
  /** One statement. */
  readonly statementBytes: number;
  /** Mining starts so many SCNs before the snapshot, for transactions that were committing when it was taken. */
  readonly overlap: bigint;
  /** Changes after which a batch ends. */
  readonly batchChanges: number;
  /** Blocks of one chunk of a snapshot. */
  readonly chunkBlocks: number;
  /**
   * First wait for a table that was altered just now; doubles up to fifty times as much. The server knows the SCNs of
   * moments to about three seconds, and shows nothing as of one that may lie before the table's last DDL.
   */
  readonly alteredRetryMs: number;
}

export const DEFAULT_LIMITS: OracleLimits = {
  windowStart: 20_000n,
  windowLeast: 1_000n,
  windowMost: 1_000_000n,
  logsPerSession: 4,
  sessionMs: 30 * 60_000,
  sessionMemoryBytes: 1024 ** 3,
  memoryCheckMs: 60_000,
  idleMs: 500,
  archivePollMs: 10_000,
  logRetryMs: 1_000,
  logRetries: 5,
  settleMs: 10_000,
  transactionBytes: 16 * 1024 ** 2,
  bufferBytes: 256 * 1024 ** 2,
  startPinMs: 15 * 60_000,
  statementBytes: 64 * 1024 ** 2,
  overlap: 2_000n,
  batchChanges: 1_000,
  chunkBlocks: 8_192,
  alteredRetryMs: 100,
};

/** What decides how many changes a transaction has: a count made under other settings means nothing. */
export function filterOf({ tables, lobs, pdb }: OracleReaderOptions): string {
  return createHash('sha256')
    .update(JSON.stringify([tables, lobs, pdb]))
    .digest('hex')
    .slice(0, 12);
}
