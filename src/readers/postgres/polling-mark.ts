import type { PollMark } from '../poll-dialect.ts';
import type { Query } from './types/type-registry.ts';

/** Of a standby its primary's, as far as it has come: what committed before is to be seen. */
const CLOCK = `SELECT pg_catalog.floor(1000000 * extract(epoch FROM CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN coalesce(pg_catalog.pg_last_xact_replay_timestamp(), pg_catalog.pg_postmaster_start_time())
    ELSE pg_catalog.clock_timestamp() END))::pg_catalog.int8, pg_catalog.pg_is_in_recovery()`;

/**
 * Every transaction holds a lock on its own virtual id, from before it asks for the time, and any role sees these
 * locks; when it began only roles with pg_read_all_stats see. A prepared one is listed under its transaction's id, and
 * when it began nobody knows any more. Transactions of other databases do not touch our tables.
 */
const RUNNING = `SELECT l.virtualtransaction, pg_catalog.floor(1000000 * extract(epoch FROM a.xact_start))::pg_catalog.int8
  FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
  WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
    AND (a.datname IS NULL OR a.datname = pg_catalog.current_database())
  UNION ALL
  SELECT 'prepared ' || transaction::text, NULL FROM pg_catalog.pg_prepared_xacts
  WHERE database = pg_catalog.current_database()`;

/**
 * The oldest transaction of this database that has a number and runs, prepared ones included; a snapshot lists those of
 * all databases. In recovery it lists none, and its xmin is all there is.
 */
const VERSIONS = `WITH s AS MATERIALIZED (SELECT pg_catalog.pg_current_snapshot() AS s),
  others AS (
    SELECT backend_xid::text::int8 AS xid FROM pg_catalog.pg_stat_activity
    WHERE datname <> pg_catalog.current_database() AND backend_xid IS NOT NULL
    UNION ALL
    SELECT transaction::text::int8 FROM pg_catalog.pg_prepared_xacts WHERE database <> pg_catalog.current_database())
  SELECT pg_catalog.pg_snapshot_xmax(s), CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_snapshot_xmin(s)::text
    ELSE coalesce((SELECT min(x::text::int8)::text FROM pg_catalog.pg_snapshot_xip(s) x
      WHERE x::text::int8 & 4294967295 NOT IN (SELECT xid FROM others)), pg_catalog.pg_snapshot_xmax(s)::text) END
  FROM s`;

/** In this order, each in a snapshot of its own: see PollMark. */
export async function takeMark(query: Query): Promise<PollMark> {
  const [clock] = await query(CLOCK);
  const standby = clock?.[1] === 't';
  const running = await query(RUNNING);
  const [versions] = await query(VERSIONS);
  const started = running.map(([, startedUs]) => (startedUs == null ? null : Number(startedUs)));
  return {
    clockUs: Number(clock?.[0]),
    clockRuns: !standby,
    // What runs on the primary is not seen from a standby before it has a number.
    running: standby ? [] : running.map(([name]) => name ?? ''),
    startedUs:
      started.includes(null) || started.length === 0
        ? null
        : Math.min(...started.filter((us) => us !== null)),
    told: !standby,
    hidden: false,
    versions: { next: BigInt(versions?.[0] ?? 0), oldest: BigInt(versions?.[1] ?? 0) },
  };
}
