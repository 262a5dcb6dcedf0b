import { failed, ok, warning } from '../finding.ts';
import type { CheckedDatabase } from './checked-database.ts';
import { classify } from './errors.ts';
import { quoteIdent } from './quoting.ts';
import { assertOracleError, type OracleSession } from './session/oracle-session.ts';

const VIEWS = [
  'V$LOG',
  'V$LOGFILE',
  'V$ARCHIVED_LOG',
  'V$ARCHIVE_DEST_STATUS',
  'V$TRANSACTION',
  'V$LOGMNR_LOGS',
  'V$LOGMNR_CONTENTS',
  'V$LOG_HISTORY',
  'V$MYSTAT',
  'V$STATNAME',
] as const;

const THREADS = 'SELECT THREAD# FROM V$THREAD';
/** Lists only what the user may run. */
const MAY_BUILD = `SELECT 1 FROM ALL_PROCEDURES WHERE OWNER = 'SYS' AND OBJECT_NAME = 'DBMS_LOGMNR_D' AND ROWNUM = 1`;
const PRIVILEGES = 'SELECT PRIVILEGE FROM SESSION_PRIVS';
const PROBE_LOGMINER = 'BEGIN SYS.DBMS_LOGMNR.END_LOGMNR; END;';

/** What every capture needs; SELECT and FLASHBACK may instead be granted table by table. */
const SYSTEM_PRIVILEGES = ['CREATE SESSION', 'LOGMINING', 'SELECT ANY TRANSACTION'] as const;

/** With the statements that grant what is missing. */
export async function checkPrivileges(checked: CheckedDatabase): Promise<void> {
  const { session, database, user, findings } = checked;
  const held = new Set((await session.query(PRIVILEGES)).map(([privilege]) => String(privilege)));
  const all = database.multitenant ? ' CONTAINER=ALL' : '';
  const who = quoteIdent(user);
  const missing: string[] = [];
  for (const privilege of SYSTEM_PRIVILEGES) {
    if (!held.has(privilege)) missing.push(`GRANT ${privilege} TO ${who}${all};`);
  }
  if (database.multitenant && checked.options.pdb !== null && !held.has('SET CONTAINER')) {
    missing.push(`GRANT SET CONTAINER TO ${who}${all};`);
  }
  if (missing.length > 0) {
    findings.push(
      failed('privileges', 'source.privilege-missing', `${user} lacks system privileges.`, missing.join(' ')),
    );
  } else {
    findings.push(ok('privileges', `${user} has the system privileges that are needed.`));
  }
  for (const view of VIEWS) await readable(session, view, checked);
  // A cluster's open transactions are in this view alone.
  const threads = (await readable(session, 'V$THREAD', checked)) ? await session.query(THREADS) : [];
  if (threads.length > 1) await readable(session, 'GV$TRANSACTION', checked);
  try {
    await session.execute(PROBE_LOGMINER);
  } catch (error) {
    assertOracleError(error);
    if (!error.has(1307)) {
      // No session to end is what is expected.
      if (classify(error).code !== 'source.privilege-missing') throw error;
      findings.push(
        failed(
          'privileges',
          'source.privilege-missing',
          `${user} may not run DBMS_LOGMNR.`,
          `GRANT EXECUTE ON SYS.DBMS_LOGMNR TO ${who}${all};`,
        ),
      );
    }
  }
}

/** Writing the dictionary into the redo log, which only one strategy does. */
export async function checkDictionary({
  session,
  options,
  database,
  user,
  findings,
}: CheckedDatabase): Promise<void> {
  if (options.strategy !== 'redo_log_catalog') return;
  if (database.standby) {
    findings.push(
      failed(
        'dictionary',
        'source.read-only',
        `${database.name} is open read-only, and no dictionary can be written into its redo log.`,
        'Use source.oracle.strategy: hybrid.',
      ),
    );
  } else if ((await session.query(MAY_BUILD)).length === 0) {
    findings.push(
      failed(
        'privileges',
        'source.privilege-missing',
        `${user} may not run DBMS_LOGMNR_D, which source.oracle.strategy: redo_log_catalog needs.`,
        `GRANT EXECUTE ON SYS.DBMS_LOGMNR_D TO ${quoteIdent(user)}${options.pdb === null ? '' : ' CONTAINER=ALL'};`,
      ),
    );
  } else {
    findings.push(
      warning(
        'dictionary',
        'After each log switch a dictionary of hundreds of megabytes is written into the redo log.',
        'Use source.oracle.strategy: hybrid, unless redo of before a DDL cannot be read with it.',
      ),
    );
  }
}

/** Looks into a view; a missing grant is a finding. */
export async function readable(
  session: OracleSession,
  view: string,
  { options, user, findings }: Pick<CheckedDatabase, 'options' | 'user' | 'findings'>,
): Promise<boolean> {
  try {
    await session.query(probe(view));
    return true;
  } catch (error) {
    assertOracleError(error);
    if (error.has(1306, 1307)) return true; // V$LOGMNR_CONTENTS outside of a LogMiner session
    if (classify(error).code !== 'source.privilege-missing') throw error;
    findings.push(
      failed(
        'privileges',
        'source.privilege-missing',
        `${user} cannot read ${view}.`,
        `GRANT SELECT ON SYS.${view.replace('V$', 'V_$')} TO ${quoteIdent(user)}${options.pdb === null ? '' : ' CONTAINER=ALL'};`,
      ),
    );
    return false;
  }
}

function probe(view: string): string {
  return `SELECT 1 FROM ${view} WHERE ROWNUM = 1`;
}
