import { setTimeout as pause } from 'node:timers/promises';
import type { PollMark } from '../poll-dialect.ts';
import type { Query } from './catalogue.ts';
import type { TextRows } from './wire/connection.ts';

/** Threads that never end, and write nothing of their own. */
const RESIDENT: ReadonlySet<string> = new Set(['Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID']);

/** A fixed moment before all others of the mark. */
const CLOCK = 'SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)';

/** Of a moment of the server's own zone; of one that comes twice either. */
const INSTANT = (local: string): string => `UNIX_TIMESTAMP(CONVERT_TZ(${local}, 'SYSTEM', '+00:00'))`;

/**
 * InnoDB's transactions, those that were prepared (XA) and belong to no thread any more among them. A thread has one at
 * a time: with the second in which it began that is a name. InnoDB tells times in the server's own zone; where its clock
 * was put back, what lies two hours before tells which of two hours is the earlier one.
 */
const TRANSACTIONS = `trx_mysql_thread_id, trx_started, trx_id,
  LEAST(${INSTANT('trx_started')}, ${INSTANT('trx_started - INTERVAL 2 HOUR')} + 7200),
  trx_mysql_thread_id = CONNECTION_ID(), trx_query FROM information_schema.INNODB_TRX`;
/**
 * InnoDB shows its transactions as they were until nobody has looked at them for 100 ms (CACHE_MIN_IDLE_TIME in its
 * trx0i_s.cc): whoever is asked more often, by anybody, never tells of a new one.
 */
const REST_MS = 120;
const LOOKS = 3;

const PROCESSES = 'SHOW PROCESSLIST';

/**
 * In this order: see PollMark. `told`: whether the user has PROCESS, and the server is no replica, whose times and
 * transactions are another server's.
 */
export async function takeMark(query: Query, told: boolean): Promise<PollMark> {
  const clockUs = Number((await query(CLOCK))[0]?.[0]);
  if (!told)
    return { clockUs, clockRuns: true, running: [], startedUs: null, told, hidden: false, versions: null };
  // A statement takes its time when it begins, and InnoDB hears of it only behind its locks.
  const statements = (await query(PROCESSES)).filter(
    ([, , , , command, , , info]) => !RESIDENT.has(command ?? '') && info !== PROCESSES,
  );
  const transactions = await lookAtTransactions(query);
  if (transactions === null) {
    return { clockUs, clockRuns: true, running: [], startedUs: null, told, hidden: true, versions: null };
  }
  const running = transactions.map(([thread, started, id]) =>
    thread === '0' || thread === null ? `prepared ${id}` : `${thread} ${started}`,
  );
  let startedUs = clockUs;
  for (const [, , , seconds] of transactions) {
    startedUs = seconds == null ? 0 : Math.min(startedUs, Number(seconds) * 1_000_000);
  }
  for (const [id, , , , , time] of statements) {
    const began = Math.floor(clockUs / 1_000_000) - Number(time ?? 0);
    startedUs = Math.min(startedUs, (began - 1) * 1_000_000);
    // Seconds are rounded: one and the same statement has at least one of these names each time.
    for (const second of [began - 1, began, began + 1]) running.push(`statement ${id} ${second}`);
  }
  return {
    clockUs,
    clockRuns: true,
    running,
    startedUs: startedUs === 0 ? null : startedUs,
    told,
    hidden: false,
    versions: null,
  };
}

let looks = 0;

/**
 * InnoDB's transactions but our own, as they are now. That is told by our own: it is shown with the statement that asks,
 * which is another each time. Null where others look at them all the time, so that they are shown as they were.
 */
async function lookAtTransactions(query: Query): Promise<TextRows | null> {
  await query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
  try {
    for (let look = 1; ; look++) {
      const name = `look ${++looks}`;
      const rows = await query(`SELECT '${name}', ${TRANSACTIONS}`);
      const others = rows.filter((row) => row[OWN] !== '1').map((row) => row.slice(1));
      if (rows.some((row) => row[OWN] === '1' && row[STATEMENT]?.includes(`'${name}'`))) return others;
      if (look === LOOKS) return null;
      // Not in step with another that does the same.
      await pause(REST_MS * (1 + Math.random()));
    }
  } finally {
    await query('ROLLBACK');
  }
}

const OWN = 5;
const STATEMENT = 6;
