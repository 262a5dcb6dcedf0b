import type { Code } from '../../errors/catalogue.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type { Finding } from '../reader.ts';
import type { TablePatterns } from '../table-patterns.ts';
import { capturedTables, leftOutColumns, limitationOf } from './catalogue.ts';
import { CHARACTER_SETS, type Database, readDatabase } from './database.ts';
import { classify, mapOracleError, pastIsGone } from './errors.ts';
import { VALID_DESTINATIONS } from './logs/log-files.ts';
import { quoteIdent, quoteTable } from './quoting.ts';
import { type ConnectOracle, OracleError, type OracleSession } from './session/oracle-session.ts';
import type { OracleReaderOptions } from './settings.ts';

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

const WHO = `SELECT SYS_CONTEXT('USERENV','CON_NAME'), SYS_CONTEXT('USERENV','SESSION_USER'), SYS_CONTEXT('USERENV','CLOUD_SERVICE') FROM DUAL`;
const PDB = 'SELECT OPEN_MODE FROM V$PDBS WHERE NAME = :pdb';
const THREADS = 'SELECT THREAD# FROM V$THREAD';
/** Lists only what the user may run. */
const MAY_BUILD = `SELECT 1 FROM ALL_PROCEDURES WHERE OWNER = 'SYS' AND OBJECT_NAME = 'DBMS_LOGMNR_D' AND ROWNUM = 1`;
const VERSION = `SELECT MAX(VERSION) FROM PRODUCT_COMPONENT_VERSION WHERE PRODUCT LIKE 'Oracle%'`;
const PRIVILEGES = 'SELECT PRIVILEGE FROM SESSION_PRIVS';
const ONLINE_LOGS = 'SELECT TO_CHAR(BYTES) FROM V$LOG';
/** How often logs were switched within the last day. */
const SWITCHES = 'SELECT TO_CHAR(COUNT(*)) FROM V$LOG_HISTORY WHERE FIRST_TIME > SYSDATE - 1';
const PROBE_LOGMINER = 'BEGIN SYS.DBMS_LOGMNR.END_LOGMNR; END;';

const SMALL_LOG = 100 * 1024 ** 2;
const MANY_SWITCHES = 6 * 24;
/** What every capture needs; SELECT and FLASHBACK may instead be granted table by table. */
const SYSTEM_PRIVILEGES = ['CREATE SESSION', 'LOGMINING', 'SELECT ANY TRANSACTION'] as const;

interface Checked {
  readonly session: OracleSession;
  readonly connect: ConnectOracle;
  readonly options: OracleReaderOptions;
  readonly database: Database;
  readonly user: string;
  readonly findings: Finding[];
  readonly signal: AbortSignal;
}

/** Everything that can be known beforehand; changes nothing. Describes rather than throws. */
export async function preflight(
  connect: ConnectOracle,
  options: OracleReaderOptions,
  patterns: TablePatterns,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    await using session = await connect('utility', signal);
    const [who] = await session.query(WHO);
    const [container, user, cloud] = (who ?? []).map((value) => (value === null ? '' : String(value)));
    const [version] = await session.query(VERSION);
    findings.push(
      ok(
        'connection',
        `Connected to ${options.place} (Oracle ${String(version?.[0])}) as ${user ?? options.user}.`,
      ),
    );
    if (!(await readable(session, 'V$DATABASE', { options, user: user ?? options.user, findings }))) {
      return findings;
    }
    const database = await readDatabase(session);
    const checked: Checked = {
      session,
      connect,
      options,
      database,
      user: user ?? options.user,
      findings,
      signal,
    };
    await checkContainer(checked, container ?? '', cloud ?? '');
    if (findings.some(({ level }) => level === 'error')) return findings; // nothing else would be looked at in the right place
    checkLogging(checked);
    await checkPrivileges(checked);
    await checkDictionary(checked);
    await checkLogs(checked);
    await checkCharacterSets(checked);
    if (!findings.some(({ level }) => level === 'error')) await checkTables(checked, patterns);
  } catch (error) {
    signal.throwIfAborted();
    const mapped = mapOracleError(error, `Checking ${options.place}`);
    if (!(mapped instanceof HeadwaterError)) throw mapped;
    findings.push(
      failed(findings.length === 0 ? 'connection' : 'checks', mapped.code, mapped.message, mapped.fix),
    );
  }
  return findings;
}

async function checkContainer(
  { session, options, database, findings }: Checked,
  container: string,
  cloud: string,
): Promise<void> {
  const { pdb } = options;
  if (cloud !== '') {
    findings.push(
      warning(
        'container',
        `This is the cloud service ${cloud}: LogMiner’s ADD_LOGFILE may not be available.`,
      ),
    );
  }
  if (!database.multitenant) {
    if (pdb !== null) {
      findings.push(
        failed(
          'container',
          'source.container',
          `source.oracle.pdb names ${pdb}, and ${database.name} is not a multitenant database.`,
          'Remove source.oracle.pdb.',
        ),
      );
    }
    return;
  }
  if (container !== 'CDB$ROOT') {
    findings.push(
      failed(
        'container',
        'source.container',
        `The session is in the container ${container}; LogMiner runs in CDB$ROOT.`,
        `Let source.url name a service of CDB$ROOT and a common user (C##…), and source.oracle.pdb the PDB${pdb === null ? ` ${container}` : ''}.`,
      ),
    );
  } else if (pdb === null) {
    findings.push(
      warning('container', 'source.oracle.pdb is not set: only tables of CDB$ROOT itself are captured.'),
    );
  } else {
    const [row] = await session.query(PDB, { pdb });
    if (row === undefined || !String(row[0]).startsWith('READ')) {
      findings.push(
        failed(
          'container',
          'source.container',
          row === undefined ? `There is no PDB ${pdb}.` : `The PDB ${pdb} is ${String(row[0])}.`,
          row === undefined ? undefined : `ALTER PLUGGABLE DATABASE ${quoteIdent(pdb)} OPEN;`,
        ),
      );
    } else {
      findings.push(ok('container', `LogMiner runs in CDB$ROOT; the PDB ${pdb} is open.`));
    }
  }
}

function checkLogging({ options, database, findings }: Checked): void {
  if (!database.archiving) {
    findings.push(
      failed('archive mode', 'source.archive-mode', `${database.name} is not in ARCHIVELOG mode.`),
    );
  } else {
    findings.push(ok('archive mode', `${database.name} archives its redo logs.`));
  }
  if (!database.minimalLogging && !database.allColumnLogging) {
    findings.push(
      failed(
        'supplemental logging',
        'source.supplemental-logging',
        `${database.name} has no supplemental logging.`,
        "ALTER DATABASE ADD SUPPLEMENTAL LOG DATA; (on RDS: exec rdsadmin.rdsadmin_util.alter_supplemental_logging('ADD');)",
      ),
    );
  } else {
    findings.push(ok('supplemental logging', `${database.name} has supplemental logging.`));
  }
  const standby = database.role !== 'PRIMARY' || database.readOnly;
  if (standby && !options.archiveOnly) {
    findings.push(
      failed(
        'role',
        'source.read-only',
        `${database.name} is a ${database.role.toLowerCase()} that is open read-only.`,
        'Set source.oracle.archive_only: true, or name the primary in source.url.',
      ),
    );
  }
  if (standby && options.flushTable !== null) {
    findings.push(
      warning(
        'role',
        'The flush table cannot be written to here; it is left alone.',
        'Remove source.oracle.flush_table.',
      ),
    );
  }
}

async function checkPrivileges(checked: Checked): Promise<void> {
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
    if (!(error instanceof OracleError)) throw error;
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
async function checkDictionary({ session, options, database, user, findings }: Checked): Promise<void> {
  if (options.strategy !== 'redo_log_catalog') return;
  if (database.readOnly) {
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
async function readable(
  session: OracleSession,
  view: string,
  { options, user, findings }: Pick<Checked, 'options' | 'user' | 'findings'>,
): Promise<boolean> {
  try {
    await session.query(probe(view));
    return true;
  } catch (error) {
    if (!(error instanceof OracleError)) throw error;
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

async function checkLogs({ session, options, findings }: Checked): Promise<void> {
  if (findings.some(({ level }) => level === 'error')) return;
  const found = (await session.query(VALID_DESTINATIONS)).map(([name]) => String(name));
  const wrong = options.archiveDestinations.filter((name) => !found.includes(name));
  if (wrong.length > 0) {
    findings.push(
      failed(
        'archive destinations',
        'settings.invalid',
        `source.oracle.archive_destinations names ${wrong.join(', ')}, which ${wrong.length === 1 ? 'is' : 'are'} not local and valid.`,
        `Local and valid are: ${found.join(', ') || 'none'}.`,
      ),
    );
  } else if (options.archiveDestinations.length === 0 && found.length > 1) {
    findings.push(
      warning(
        'archive destinations',
        `Logs are archived to several places (${found.join(', ')}).`,
        `Say in source.oracle.archive_destinations which to read, such as [${found[0]!}].`,
      ),
    );
  } else {
    findings.push(
      ok('archive destinations', `Archived logs are read from ${found.join(', ') || 'nowhere'}.`),
    );
  }
  const sizes = (await session.query(ONLINE_LOGS)).map(([bytes]) => Number(bytes));
  const smallest = Math.min(...sizes);
  const [switches] = await session.query(SWITCHES);
  if (smallest < SMALL_LOG || Number(switches?.[0]) > MANY_SWITCHES) {
    findings.push(
      warning(
        'online logs',
        `The smallest online log has ${Math.round(smallest / 1024 ** 2)} MB, and logs were switched ${String(switches?.[0])} times within a day.`,
        'Larger online logs (500 MB or more) make mining cheaper.',
      ),
    );
  }
}

async function checkCharacterSets({ session, findings }: Checked): Promise<void> {
  const sets = new Map(
    (await session.query(CHARACTER_SETS)).map(([name, value]) => [String(name), String(value)]),
  );
  const national = sets.get('NLS_NCHAR_CHARACTERSET');
  if (national !== undefined && national !== 'AL16UTF16') {
    findings.push(
      warning(
        'character sets',
        `The national character set is ${national}; the driver’s thin mode reads NCHAR, NVARCHAR2 and NCLOB in AL16UTF16 only.`,
      ),
    );
  } else {
    findings.push(
      ok('character sets', `The database character set is ${sets.get('NLS_CHARACTERSET') ?? 'unknown'}.`),
    );
  }
}

async function checkTables(
  { connect, options, database, user, findings, signal }: Checked,
  patterns: TablePatterns,
): Promise<void> {
  await using session = await connect('catalogue', signal);
  const { tables, unmatched } = await capturedTables(session, patterns, options.place);
  if (unmatched !== null) {
    findings.push(failed('tables', unmatched.code, unmatched.message, unmatched.fix));
    return;
  }
  findings.push(ok('tables', `${tables.length} ${tables.length === 1 ? 'table' : 'tables'} to capture.`));
  for (const table of tables) {
    const name = tableName(table.id);
    if (table.obstacle === null) await checkFlashback(session, table.id, { user, database, findings });
    if (table.obstacle !== null) {
      findings.push(
        warning(
          'tables',
          `${name} is left out: ${table.obstacle}.`,
          `Leave it out of source.tables: "!${name}".`,
        ),
      );
      continue;
    }
    const limitation = limitationOf(table, database);
    if (limitation !== null) {
      const { message, fix, fatal } = limitation;
      findings.push(
        fatal || options.requireAllColumns
          ? failed('supplemental logging', 'source.supplemental-logging', message, fix)
          : warning('supplemental logging', message, fix),
      );
    }
    const leftOut = leftOutColumns(table);
    if (leftOut.length > 0) {
      findings.push(warning('columns', `Columns of ${name} are left out: ${leftOut.join(', ')}.`));
    }
    const long = [table.id.table, ...table.version.columns.map((column) => column.name)].filter(
      (text) => text.length > 30,
    );
    if (long.length > 0) {
      findings.push(
        warning(
          'names',
          `${name} has names longer than 30 characters (${long.join(', ')}); LogMiner of many releases does not show such tables.`,
        ),
      );
    }
  }
}

/** Whether a table can be read as it was: what the snapshot does. */
async function checkFlashback(
  session: OracleSession,
  id: TableId,
  { user, database, findings }: Pick<Checked, 'user' | 'database' | 'findings'>,
): Promise<void> {
  try {
    await session.query(`SELECT 1 FROM ${quoteTable(id)} AS OF SCN ${database.currentScn} WHERE ROWNUM = 1`);
  } catch (error) {
    if (!(error instanceof OracleError)) throw error;
    if (pastIsGone(error)) return; // made or altered just now
    if (classify(error).code !== 'source.privilege-missing') throw error;
    findings.push(
      failed(
        'privileges',
        'source.privilege-missing',
        `${user} cannot read ${tableName(id)} as it was at an SCN.`,
        `GRANT SELECT, FLASHBACK ON ${quoteTable(id)} TO ${quoteIdent(user)};`,
      ),
    );
  }
}

function ok(check: string, message: string): Finding {
  return { check, level: 'ok', message };
}

function warning(check: string, message: string, fix?: string): Finding {
  return fix === undefined ? { check, level: 'warning', message } : { check, level: 'warning', message, fix };
}

function failed(check: string, code: Code, message: string, fix?: string): Finding {
  const finding = { check, level: 'error', message, code } as const;
  return fix === undefined ? finding : { ...finding, fix };
}
