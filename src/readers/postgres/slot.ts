import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Log } from '../../observability/log.ts';
import { serverLsn } from './position.ts';
import type { PgConnection } from './wire/connection.ts';
import type { TextRows } from './wire/messages.ts';
import { quoteIdent, quoteLiteral } from './wire/quoting.ts';

export interface SlotInfo {
  readonly plugin: string | null;
  readonly database: string | null;
  readonly activePid: number | null;
  readonly restartLsn: number | null;
  readonly confirmedLsn: number | null;
  /** reserved, extended, unreserved, lost; null before anything was decoded. */
  readonly walStatus: string | null;
  /** Why it can be used no more (17+ says it in words); null where it can. */
  readonly invalidation: string | null;
}

/** Null where there is none. */
export async function readSlot(
  query: (sql: string) => Promise<TextRows>,
  name: string,
  serverVersion: number,
): Promise<SlotInfo | null> {
  const conflicting = serverVersion >= 160_000 ? 'conflicting' : 'NULL';
  const reason = serverVersion >= 170_000 ? 'invalidation_reason' : 'NULL';
  const [row] = await query(
    `SELECT plugin, database, active_pid, restart_lsn, confirmed_flush_lsn, wal_status, ${conflicting}, ${reason}
    FROM pg_catalog.pg_replication_slots WHERE slot_name = ${quoteLiteral(name)}`,
  );
  if (row === undefined) return null;
  const [plugin, database, pid, restart, confirmed, walStatus, conflict, why] = row;
  const invalidation =
    why ?? (walStatus === 'lost' ? 'wal_removed' : conflict === 't' ? 'conflict with recovery' : null);
  return {
    plugin: plugin ?? null,
    database: database ?? null,
    activePid: pid == null ? null : Number(pid),
    restartLsn: restart == null ? null : serverLsn(restart),
    confirmedLsn: confirmed == null ? null : serverLsn(confirmed),
    walStatus: walStatus ?? null,
    invalidation,
  };
}

/** What is known of a slot that was just made. */
export interface SlotCreation {
  /** Everything that commits behind it will be in the stream; everything before is in the snapshot. */
  readonly consistentPoint: number;
  /** For SET TRANSACTION SNAPSHOT, until `release`. */
  readonly snapshotName: string;
  /** True while the snapshot can be imported. */
  readonly held: boolean;
  /** Closes the session that holds the snapshot. */
  release(): Promise<void>;
}

const WAITING_AFTER_MS = 5_000;

/** Makes the slot on a replication session that stays open for as long as its snapshot is needed. */
export async function createSlot(
  connection: PgConnection,
  options: { readonly name: string; readonly failover: boolean; readonly log: Log },
  signal: AbortSignal,
): Promise<SlotCreation> {
  const { name, log } = options;
  const version = connection.serverVersion;
  // Failover slots are copied to standbys that ask for it; one made on a standby cannot be one.
  const failover = version >= 170_000 && options.failover ? ', FAILOVER true' : '';
  const how = version >= 150_000 ? `(SNAPSHOT 'export'${failover})` : 'EXPORT_SNAPSHOT';
  const waiting = setTimeout(
    () => log.info({ slot: name }, 'waiting for running transactions to end, so that the slot can begin'),
    WAITING_AFTER_MS,
  );
  try {
    const [row] = await connection.query(
      `CREATE_REPLICATION_SLOT ${quoteIdent(name)} LOGICAL pgoutput ${how}`,
      signal,
    );
    return {
      consistentPoint: serverLsn(row?.[1]),
      snapshotName: row?.[2] ?? '',
      get held() {
        return connection.open;
      },
      release: () => connection.close(),
    };
  } finally {
    clearTimeout(waiting);
  }
}

export async function dropSlot(query: (sql: string) => Promise<TextRows>, name: string): Promise<void> {
  await query(`SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(name)})`);
}

/** How long a slot that is in use is waited for: the server needs a moment to notice that its reader died. */
export const RELEASE_MS = 5_000;
const POLL_MS = 100;

/** The slot when nobody reads it any more. Throws `source.slot-in-use` with who does. */
export async function awaitInactive(
  query: (sql: string) => Promise<TextRows>,
  {
    read,
    name,
    patienceMs,
  }: {
    readonly read: () => Promise<SlotInfo | null>;
    readonly name: string;
    readonly patienceMs: number;
  },
  signal: AbortSignal,
): Promise<SlotInfo | null> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const slot = await read();
    if (slot === null || slot.activePid === null) return slot;
    if (performance.now() >= deadline) {
      const [row] = await query(
        `SELECT application_name, usename, client_addr FROM pg_catalog.pg_stat_activity WHERE pid = ${slot.activePid}`,
      );
      const [application, user, address] = row ?? [];
      throw new HeadwaterError(
        'source.slot-in-use',
        `The replication slot ${name} is being read by process ${slot.activePid} (application ${application ?? 'unknown'}, role ${user ?? 'unknown'}, from ${address ?? 'a local socket'}).`,
        { details: { slot: name, pid: slot.activePid, application: application ?? null } },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    signal.throwIfAborted();
  }
}

export interface SystemInfo {
  readonly systemId: string;
  readonly timeline: number;
  /** End of the flushed log; on a standby of the replayed one. */
  readonly flushedLsn: number;
}

/** On a replication session. */
export async function identifySystem(connection: PgConnection, signal: AbortSignal): Promise<SystemInfo> {
  const [row] = await connection.query('IDENTIFY_SYSTEM', signal);
  return { systemId: row?.[0] ?? '', timeline: Number(row?.[1]), flushedLsn: serverLsn(row?.[2]) };
}

/**
 * Where the server's history left `timeline`; null where it never was on it. The history file has a line
 * `timeline <tab> LSN <tab> reason` per switch.
 */
export async function timelineEnd(
  connection: PgConnection,
  timeline: number,
  current: number,
  signal: AbortSignal,
): Promise<number | null> {
  const [row] = await connection.query(`TIMELINE_HISTORY ${current}`, signal);
  for (const line of (row?.[1] ?? '').split('\n')) {
    const [number, lsn] = line.trim().split(/\s+/);
    if (number !== undefined && lsn !== undefined && Number(number) === timeline) return serverLsn(lsn);
  }
  return null;
}
