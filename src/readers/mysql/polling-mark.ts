import type { PollMark } from '../poll-dialect.ts';
import type { Query } from './catalogue.ts';

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
const TRANSACTIONS = `SELECT trx_mysql_thread_id, trx_started, trx_id,
  LEAST(${INSTANT('trx_started')}, ${INSTANT('trx_started - INTERVAL 2 HOUR')} + 7200)
  FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id <> CONNECTION_ID()`;

const PROCESSES = 'SHOW PROCESSLIST';

/**
 * In this order: see PollMark. `told`: whether the user has PROCESS, and the server is no replica, whose times and
 * transactions are another server's.
 */
export async function takeMark(query: Query, told: boolean): Promise<PollMark> {
  const clockUs = Number((await query(CLOCK))[0]?.[0]);
  if (!told) return { clockUs, clockRuns: true, running: [], startedUs: null, told, versions: null };
  // A statement takes its time when it begins, and InnoDB hears of it only behind its locks.
  const statements = (await query(PROCESSES)).filter(
    ([, , , , command, , , info]) => !RESIDENT.has(command ?? '') && info !== PROCESSES,
  );
  const transactions = await query(TRANSACTIONS);
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
    versions: null,
  };
}
