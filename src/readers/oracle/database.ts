import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { OracleSession } from './session/oracle-session.ts';
import { serverScn } from './scn.ts';

/** What V$DATABASE and the session say of themselves. */
export interface Database {
  readonly name: string;
  readonly dbid: string;
  /** The incarnation: SCN and time of the last RESETLOGS. */
  readonly resetlogs: string;
  readonly multitenant: boolean;
  readonly archiving: boolean;
  readonly role: string;
  readonly readOnly: boolean;
  /** Supplemental logging of the whole database. */
  readonly minimalLogging: boolean;
  /** Of primary keys alone. */
  readonly keyLogging: boolean;
  readonly allColumnLogging: boolean;
  readonly currentScn: bigint;
}

const DATABASE = `SELECT NAME, TO_CHAR(DBID), CDB, LOG_MODE, DATABASE_ROLE, OPEN_MODE, TO_CHAR(RESETLOGS_CHANGE#), TO_CHAR(RESETLOGS_TIME,'YYYY-MM-DD HH24:MI:SS'), SUPPLEMENTAL_LOG_DATA_MIN, SUPPLEMENTAL_LOG_DATA_PK, SUPPLEMENTAL_LOG_DATA_ALL, TO_CHAR(CURRENT_SCN) FROM V$DATABASE`;

export async function readDatabase(session: OracleSession): Promise<Database> {
  const [row] = await session.query(DATABASE);
  if (row === undefined) throw new HeadwaterError('internal.bug', 'V$DATABASE has no row.');
  const [name, dbid, cdb, mode, role, open, resetlogs, resetTime, minimal, keys, all, scn] = row.map(String);
  return {
    name: name!,
    dbid: dbid!,
    resetlogs: `${resetlogs!} ${resetTime!}`,
    multitenant: cdb === 'YES',
    archiving: mode === 'ARCHIVELOG',
    role: role!,
    readOnly: open!.startsWith('READ ONLY'),
    minimalLogging: minimal === 'YES' || minimal === 'IMPLICIT',
    keyLogging: keys === 'YES',
    allColumnLogging: all === 'YES',
    currentScn: serverScn(scn),
  };
}

const CURRENT_SCN = 'SELECT TO_CHAR(CURRENT_SCN) FROM V$DATABASE';

export async function currentScn(session: OracleSession): Promise<bigint> {
  const [row] = await session.query(CURRENT_SCN);
  return serverScn(row?.[0]);
}

const SERVER_CLOCK = `SELECT TO_CHAR(SYSTIMESTAMP,'TZH:TZM') FROM DUAL`;

/** Minutes the server's clock is ahead of UTC: LogMiner's times are its. */
export async function serverOffsetMinutes(session: OracleSession): Promise<number> {
  const [row] = await session.query(SERVER_CLOCK);
  const match = /^([+-])(\d\d):(\d\d)$/.exec(String(row?.[0]));
  if (match === null)
    throw new HeadwaterError('internal.bug', 'The server sent something else than a time zone.');
  return (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
}

export const CHARACTER_SETS = `SELECT PARAMETER, VALUE FROM NLS_DATABASE_PARAMETERS WHERE PARAMETER IN ('NLS_CHARACTERSET','NLS_NCHAR_CHARACTERSET')`;

export async function characterSet(session: OracleSession): Promise<string> {
  const rows = await session.query(CHARACTER_SETS);
  return String(rows.find(([parameter]) => parameter === 'NLS_CHARACTERSET')?.[1] ?? 'AL32UTF8');
}
