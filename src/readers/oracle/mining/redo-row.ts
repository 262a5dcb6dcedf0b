import { quoteLiteral } from '../quoting.ts';
import { BUILT_IN_OWNERS } from '../catalogue.ts';
import { serverScn } from '../scn.ts';
import type { OracleRow } from '../session/oracle-session.ts';

/** OPERATION_CODE of V$LOGMNR_CONTENTS. */
export const INTERNAL = 0;
export const INSERT = 1;
export const DELETE = 2;
export const UPDATE = 3;
export const DDL = 5;
export const START = 6;
export const COMMIT = 7;
export const SELECT_LOB_LOCATOR = 9;
export const LOB_WRITE = 10;
export const LOB_TRIM = 11;
export const REPLICATION_MARKER = 27;
export const LOB_ERASE = 29;
export const MISSING_SCN = 34;
export const ROLLBACK = 36;
export const XML_BEGIN = 68;
export const XML_WRITE = 70;
export const XML_END = 71;
export const LONG_STRING_BEGIN = 91;
export const LONG_STRING_WRITE = 92;
export const LONG_STRING_END = 93;
export const UNSUPPORTED = 255;

/** Operations on LOBs, XML and long strings. */
const LOB_CODES = [
  SELECT_LOB_LOCATOR,
  LOB_WRITE,
  LOB_TRIM,
  LOB_ERASE,
  XML_BEGIN,
  XML_WRITE,
  XML_END,
  LONG_STRING_BEGIN,
  LONG_STRING_WRITE,
  LONG_STRING_END,
] as const;

export function isLob(code: number): boolean {
  return (LOB_CODES as readonly number[]).includes(code);
}

/** One row of V$LOGMNR_CONTENTS; of continued rows, all of them together. */
export interface RedoRow {
  readonly scn: bigint;
  readonly thread: number;
  readonly rsId: string;
  readonly ssn: number;
  /** 16 hex digits, lower case. */
  readonly xid: string;
  readonly code: number;
  /** In the server's zone, `YYYY-MM-DD HH24:MI:SS`. */
  readonly time: string | null;
  /** Made by undoing. */
  readonly undo: boolean;
  readonly continued: boolean;
  /** 2: the text could not be rebuilt, and `info` says why. */
  readonly status: number;
  readonly info: string | null;
  readonly owner: string | null;
  readonly table: string | null;
  readonly rowId: string | null;
  readonly objectId: string | null;
  readonly dataObjectId: string | null;
  readonly user: string | null;
  readonly sql: string | null;
}

const SELECT = `SELECT TO_CHAR(SCN), TO_CHAR(THREAD#), RS_ID, TO_CHAR(SSN), RAWTOHEX(XID), TO_CHAR(OPERATION_CODE), TO_CHAR(TIMESTAMP,'YYYY-MM-DD HH24:MI:SS'), TO_CHAR(ROLLBACK), TO_CHAR(CSF), TO_CHAR(STATUS), INFO, SEG_OWNER, TABLE_NAME, ROW_ID, TO_CHAR(DATA_OBJ#), TO_CHAR(DATA_OBJD#), USERNAME, SQL_REDO FROM V$LOGMNR_CONTENTS`;

/** They name no table; most of what is internal has no ROWID. */
const STATEMENT_ENDS = ` OR (OPERATION_CODE = ${INTERNAL} AND ROLLBACK = 0 AND ROW_ID NOT LIKE '%AAAAAAAAAAAA')`;

/** Rows of tables that the dictionary does not know any more. */
const NAMELESS = ` OR TABLE_NAME LIKE 'OBJ#%' OR TABLE_NAME LIKE 'BIN$%' OR TABLE_NAME = 'UNKNOWN'`;

/** More tables than this and the list costs the server more than it saves. */
const MOST_TABLES = 3_000;

export interface RedoFilter {
  readonly pdb: string | null;
  /** `SCHEMA.TABLE`. */
  readonly tables: readonly string[];
  readonly lobs: boolean;
  /** Rows that tell where statements on tables with LOBs end: undo needs them. */
  readonly statementEnds: boolean;
}

/**
 * Binds `low` and `high`, and `pdb` with one. No ORDER BY: rows come in the order of the redo, threads merged by
 * SCN, and sorting would spill at the server. All that the filter does the reader does again.
 */
export function redoStatement({ pdb, tables, lobs, statementEnds }: RedoFilter): string {
  const codes = [INSERT, DELETE, UPDATE, REPLICATION_MARKER, UNSUPPORTED, ...(lobs ? LOB_CODES : [])].join(
    ',',
  );
  const owners = BUILT_IN_OWNERS.map(quoteLiteral).join(',');
  const within = tableCondition(tables);
  return (
    `${SELECT} WHERE SCN > TO_NUMBER(:low) AND SCN <= TO_NUMBER(:high)${pdb === null ? '' : ' AND SRC_CON_NAME = :pdb'}` +
    ` AND (OPERATION_CODE IN (${START},${COMMIT},${MISSING_SCN},${ROLLBACK})` +
    ` OR (OPERATION_CODE IN (${codes}) AND (SEG_OWNER IS NULL OR SEG_OWNER NOT IN (${owners}))${within})` +
    ` OR (OPERATION_CODE = ${DDL} AND (INFO IS NULL OR INFO NOT LIKE 'INTERNAL DDL%')${within})` +
    `${statementEnds ? STATEMENT_ENDS : ''})`
  );
}

function tableCondition(tables: readonly string[]): string {
  if (tables.length > MOST_TABLES) return '';
  const lists: string[] = [];
  for (let i = 0; i < tables.length; i += 1000) {
    lists.push(
      `SEG_OWNER||'.'||TABLE_NAME IN (${tables
        .slice(i, i + 1000)
        .map(quoteLiteral)
        .join(',')})`,
    );
  }
  return ` AND (TABLE_NAME IS NULL OR ${lists.join(' OR ')}${NAMELESS})`;
}

export function redoRow(row: OracleRow): RedoRow {
  const text = (i: number): string | null => {
    const value = row[i];
    return typeof value === 'string' ? value : null;
  };
  return {
    scn: serverScn(row[0]),
    thread: Number(row[1] ?? 0),
    rsId: (text(2) ?? '').trim(),
    ssn: Number(row[3] ?? 0),
    xid: (text(4) ?? '').toLowerCase(),
    code: Number(row[5]),
    time: text(6),
    undo: row[7] === '1',
    continued: row[8] === '1',
    status: Number(row[9] ?? 0),
    info: text(10),
    owner: text(11),
    table: text(12),
    rowId: text(13),
    objectId: text(14),
    dataObjectId: text(15),
    user: row[16] === 'UNKNOWN' ? null : text(16), // of what began before what is mined
    sql: text(17),
  };
}

/** The sequence of an XID that LogMiner could not tell, since the transaction began before what is mined. */
export function isIncomplete(xid: string): boolean {
  return xid.endsWith('ffffffff');
}
