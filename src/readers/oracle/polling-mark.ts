import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { PollMark } from '../poll-dialect.ts';
import { OracleError, type OracleSession } from './session/oracle-session.ts';

const CLOCK = `SELECT TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP),'YYYY-MM-DD"T"HH24:MI:SS.FF6') FROM DUAL`;

/** Of all instances. In a PDB these views show what is its own, and no other container's transaction writes to it. */
const TRANSACTIONS = `SELECT RAWTOHEX(XID), TO_CHAR(ROUND((SYSDATE - START_DATE) * 86400)) FROM GV$TRANSACTION`;

/**
 * A statement takes its time when it begins, and a transaction is there only when it has changed something: until then
 * the call tells of it. What waits for something to do has begun nothing, but for PL/SQL that sleeps.
 */
const CALLS = `SELECT TO_CHAR(INST_ID)||'.'||TO_CHAR(SID)||'.'||TO_CHAR(SERIAL#), TO_CHAR(LAST_CALL_ET) FROM GV$SESSION WHERE TYPE = 'USER' AND STATUS = 'ACTIVE' AND NOT (STATE = 'WAITING' AND WAIT_CLASS = 'Idle' AND EVENT <> 'PL/SQL lock timer') AND NOT (SID = TO_NUMBER(SYS_CONTEXT('USERENV','SID')) AND INST_ID = TO_NUMBER(SYS_CONTEXT('USERENV','INSTANCE')))`;

const VIEWS = ['GV$TRANSACTION', 'GV$SESSION'] as const;

/** Of these views those that the user may not look into. */
export async function hiddenViews(session: OracleSession): Promise<readonly string[]> {
  const hidden: string[] = [];
  for (const view of VIEWS) {
    try {
      await session.query(`SELECT 1 FROM ${view} WHERE ROWNUM = 1`);
    } catch (error) {
      if (!(error instanceof OracleError) || !error.has(942, 1031)) throw error;
      hidden.push(view);
    }
  }
  return hidden;
}

/**
 * In this order: see PollMark. `told`: whether the views may be looked into, and the database is no standby, whose rows
 * are written by another one's transactions.
 */
export async function takeMark(session: OracleSession, told: boolean): Promise<PollMark> {
  const [clock] = await session.query(CLOCK);
  const clockUs = microseconds(String(clock?.[0]));
  if (!told)
    return { clockUs, clockRuns: true, running: [], startedUs: null, told, hidden: false, versions: null };
  const calls = await session.query(CALLS);
  const transactions = await session.query(TRANSACTIONS);
  const now = Math.floor(clockUs / 1_000_000);
  const running: string[] = [];
  let started = now;
  for (const [call, seconds] of calls) {
    const began = now - Number(seconds ?? 0);
    started = Math.min(started, began - 1);
    // Seconds are rounded: one and the same call has at least one of these names each time.
    for (const second of [began - 1, began, began + 1]) running.push(`call ${String(call)} ${second}`);
  }
  let known = true;
  for (const [xid, seconds] of transactions) {
    running.push(String(xid));
    if (seconds == null) known = false;
    else started = Math.min(started, now - Number(seconds) - 1);
  }
  const startedUs = known ? Math.min(clockUs, started * 1_000_000) : null;
  return { clockUs, clockRuns: true, running, startedUs, told, hidden: false, versions: null };
}

function microseconds(text: string): number {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})$/.exec(text);
  if (match === null) {
    throw new HeadwaterError('internal.bug', 'The server sent something else than the time.');
  }
  return Date.parse(`${match[1]}Z`) * 1000 + Number(match[2]);
}
