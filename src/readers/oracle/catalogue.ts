import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type { CapturedTable } from '../reader.ts';
import type { TablePatterns } from '../table-patterns.ts';
import type { Database } from './database.ts';
import { quoteTable } from './quoting.ts';
import type { OracleRow, OracleSession } from './session/oracle-session.ts';
import type { TableVersion } from './table-model.ts';
import { type OracleColumn, visibleColumns } from './types/column-metadata.ts';
import { columnDecoder } from './types/column-decoder.ts';

/** Schemas that come with the database: never captured. */
export const BUILT_IN_OWNERS = [
  'APPQOSSYS',
  'AUDSYS',
  'CTXSYS',
  'DVSYS',
  'DBSFWUSER',
  'DBSNMP',
  'GGSHAREDCAP',
  'GSMADMIN_INTERNAL',
  'LBACSYS',
  'MDSYS',
  'OJVMSYS',
  'OLAPSYS',
  'ORDDATA',
  'ORDSYS',
  'OUTLN',
  'SYS',
  'SYSTEM',
  'VECSYS',
  'WMSYS',
  'XDB',
] as const;

/** Segments of other things, and what Oracle keeps in the shape of tables. */
const NOT_TABLES = /^(SYS_IOT_OVER_|MDRT_|MDRS_|MDXT_|CMP[34]\$\d+|MLOG\$_|BIN\$)/;

export function isOrdinaryName(table: string): boolean {
  return !NOT_TABLES.test(table);
}

export interface SourceTable {
  readonly id: TableId;
  readonly estimatedRows: number | null;
  /** Why LogMiner cannot capture the table; null where it can. */
  readonly obstacle: string | null;
  readonly key: readonly string[];
  /** ALL COLUMN supplemental logging, of the table itself. */
  readonly allColumns: boolean;
  /** Supplemental logging of the table itself that has the key, or may have it: a group its owner has made. */
  readonly keyLogged: boolean;
  readonly version: Omit<TableVersion, 'version' | 'from'>;
}

export const TABLES = `SELECT OWNER, TABLE_NAME, IOT_TYPE, NESTED, TEMPORARY, TO_CHAR(NUM_ROWS) FROM ALL_TABLES WHERE OWNER NOT IN (${BUILT_IN_OWNERS.map((owner) => `'${owner}'`).join(',')}) ORDER BY OWNER, TABLE_NAME`;

const LOG_GROUPS = `SELECT LOG_GROUP_TYPE FROM ALL_LOG_GROUPS WHERE OWNER = :o AND TABLE_NAME = :t`;

const KEY_GROUPS: ReadonlySet<string> = new Set([
  'PRIMARY KEY LOGGING',
  'UNIQUE KEY LOGGING',
  'USER LOG GROUP',
]);

const COLUMNS = `SELECT COLUMN_NAME, DATA_TYPE, TO_CHAR(DATA_LENGTH), TO_CHAR(CHAR_LENGTH), TO_CHAR(DATA_PRECISION), TO_CHAR(DATA_SCALE), NULLABLE, HIDDEN_COLUMN, VIRTUAL_COLUMN, DATA_TYPE_OWNER, DATA_DEFAULT FROM ALL_TAB_COLS WHERE OWNER = :o AND TABLE_NAME = :t ORDER BY INTERNAL_COLUMN_ID`;

const PRIMARY_KEY = `SELECT CC.COLUMN_NAME FROM ALL_CONSTRAINTS C JOIN ALL_CONS_COLUMNS CC ON CC.OWNER = C.OWNER AND CC.CONSTRAINT_NAME = C.CONSTRAINT_NAME WHERE C.CONSTRAINT_TYPE = 'P' AND C.OWNER = :o AND C.TABLE_NAME = :t ORDER BY CC.POSITION`;

/** Expressions and hidden columns are called SYS_NC…$. */
const UNIQUE_INDEXES = `SELECT I.INDEX_NAME, IC.COLUMN_NAME FROM ALL_INDEXES I JOIN ALL_IND_COLUMNS IC ON IC.INDEX_OWNER = I.OWNER AND IC.INDEX_NAME = I.INDEX_NAME WHERE I.UNIQUENESS = 'UNIQUE' AND I.TABLE_OWNER = :o AND I.TABLE_NAME = :t ORDER BY I.INDEX_NAME, IC.COLUMN_POSITION`;

const OBJECTS = `SELECT TO_CHAR(OBJECT_ID), TO_CHAR(DATA_OBJECT_ID), OBJECT_TYPE FROM ALL_OBJECTS WHERE OWNER = :o AND OBJECT_NAME = :t AND OBJECT_TYPE IN ('TABLE','TABLE PARTITION','TABLE SUBPARTITION')`;

/** The tables that the patterns match, with all that is known of them. */
export async function capturedTables(
  session: OracleSession,
  patterns: TablePatterns,
  place: string,
): Promise<{ readonly tables: readonly SourceTable[]; readonly unmatched: HeadwaterError | null }> {
  const all = (await session.query(TABLES)).map((row) => ({
    id: { schema: String(row[0]), table: String(row[1]) },
    obstacle: obstacleOf(row.map((value) => (value === null ? null : String(value)))),
    estimatedRows: row[5] === null || row[5] === undefined ? null : Number(row[5]),
  }));
  const usual = all.filter(({ id }) => isOrdinaryName(id.table));
  const captured = usual.filter(({ id }) => patterns.matches(id));
  const unmatched = patterns.unmatched(usual.map(({ id }) => id));
  const tables: SourceTable[] = [];
  for (const table of captured) {
    const version = await describeTable(session, table.id);
    if (version === null) continue; // dropped in this moment
    const groups = await session.query(LOG_GROUPS, { o: table.id.schema, t: table.id.table });
    tables.push({
      ...table,
      key: version.key,
      allColumns: groups.some(([type]) => type === 'ALL COLUMN LOGGING'),
      keyLogged: groups.some(([type]) => KEY_GROUPS.has(String(type))),
      version,
    });
  }
  if (unmatched.length === 0 && captured.length > 0) return { tables, unmatched: null };
  const which =
    unmatched.length > 0 ? `source.tables: ${unmatched.join(', ')} matches` : 'source.tables matches';
  const visible = usual
    .slice(0, 20)
    .map(({ id }) => tableName(id))
    .join(', ');
  return {
    tables,
    unmatched: new HeadwaterError('settings.no-table-matches', `${which} no table in ${place}.`, {
      fix: 'Names are as Oracle has them, mostly in capitals; in a multitenant database source.oracle.pdb has to name the PDB.',
      details: { visible },
    }),
  };
}

function obstacleOf([, , iotType, nested, temporary]: readonly (string | null)[]): string | null {
  if (iotType != null) return 'it is index-organized, and LogMiner does not show changes of such tables';
  if (nested === 'YES') return 'it is the storage of a nested table';
  if (temporary === 'Y') return 'it is temporary, and its changes are not logged';
  return null;
}

/** The table as the catalogue has it now; null where there is none. */
export async function describeTable(
  session: OracleSession,
  id: TableId,
): Promise<Omit<TableVersion, 'version' | 'from'> | null> {
  const binds = { o: id.schema, t: id.table };
  const columns = (await session.query(COLUMNS, binds)).flatMap((row) => columnOf(row) ?? []);
  if (visibleColumns(columns).length === 0) return null;
  const objects = await session.query(OBJECTS, binds);
  const primary = (await session.query(PRIMARY_KEY, binds)).map(([name]) => String(name));
  return {
    objectId: objects.flatMap(([object, , type]) => (type === 'TABLE' ? [String(object)] : []))[0] ?? null,
    dataObjectIds: objects.flatMap(([, data]) => (data == null ? [] : [String(data)])),
    columns,
    key: primary.length > 0 ? primary : await uniqueKey(session, id, columns),
    approximate: false,
  };
}

/** Null for columns that are computed, which the redo log does not have. */
function columnOf(row: OracleRow): OracleColumn | null {
  const [name, type, bytes, characters, precision, scale, nullable, hidden, virtual, owner, expression] =
    row.map((v) => (v == null ? null : String(v)));
  // Columns of object types, XMLTYPE among them, are called virtual too, since hidden ones hold their bytes.
  if (virtual === 'YES' && owner == null) return null;
  const dataType = type!.replaceAll(/\(\d+\)/g, '');
  const texts = dataType.endsWith('CHAR') || dataType.endsWith('CHAR2');
  const length = texts ? characters : dataType === 'RAW' ? bytes : null;
  const numeric = dataType === 'NUMBER';
  return {
    name: name!,
    dataType,
    length: length == null ? null : Number(length),
    precision: precision == null ? (numeric && scale === '0' ? 38 : null) : Number(precision),
    scale: scale == null ? null : Number(scale),
    nullable: nullable !== 'N',
    default: expression == null ? null : expression.trim(),
    ...(hidden === 'YES' ? { hidden: true } : {}),
    ...(virtual === 'YES' ? { apart: true } : {}),
  };
}

/** The first unique index whose columns are all NOT NULL. */
async function uniqueKey(
  session: OracleSession,
  { schema, table }: TableId,
  columns: readonly OracleColumn[],
): Promise<readonly string[]> {
  const required = new Set(
    visibleColumns(columns)
      .filter(({ nullable }) => !nullable)
      .map(({ name }) => name),
  );
  const indexes = new Map<string, string[]>();
  for (const [index, column] of await session.query(UNIQUE_INDEXES, { o: schema, t: table })) {
    const names = indexes.get(String(index)) ?? [];
    names.push(String(column));
    indexes.set(String(index), names);
  }
  return [...indexes.values()].find((names) => names.every((name) => required.has(name))) ?? [];
}

/** Oracle's own hidden columns: of indexes, of object types, unused ones, the state of row archival. */
const OWN_COLUMNS = /^(?:SYS_|ORA_ARCHIVE_STATE$)/;

/** Columns of users that the model leaves out, and why. */
export function leftOutColumns({ version }: SourceTable): readonly string[] {
  const context = { text: () => '', onForeignDate: () => undefined };
  return version.columns.flatMap((column) => {
    const { name, dataType, hidden } = column;
    if (hidden === true) return OWN_COLUMNS.test(name) ? [] : [`${name} (invisible)`];
    return columnDecoder(column, context) === null ? [`${name} (${dataType})`] : [];
  });
}

export type SupplementalLogging = Pick<Database, 'keyLogging' | 'allColumnLogging'>;

/** What the log will not have of a table, and what changes that; null for a table without limits. */
export function limitationOf(
  table: SourceTable,
  logging: SupplementalLogging,
): { readonly message: string; readonly fix: string; readonly fatal: boolean } | null {
  const name = tableName(table.id);
  const fix = `ALTER TABLE ${quoteTable(table.id)} ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS;`;
  if (logging.allColumnLogging || table.allColumns) return null;
  if (table.key.length === 0) {
    return {
      message: `${name} has neither a key nor ALL COLUMNS supplemental logging: its updates and deletes could not be told apart.`,
      fix,
      fatal: true,
    };
  }
  return {
    message:
      `${name} has no ALL COLUMNS supplemental logging: of an update only the changed columns are known` +
      (logging.keyLogging || table.keyLogged
        ? ' and the key.'
        : ', and not the key, without which it cannot be read.'),
    fix,
    fatal: false,
  };
}

export function describeCaptured(table: SourceTable, logging: SupplementalLogging): CapturedTable {
  const limitation = limitationOf(table, logging);
  return {
    id: table.id,
    key: table.key.length === 0 ? null : table.key,
    estimatedRows: table.estimatedRows,
    limitation: limitation === null ? null : `${limitation.message} ${limitation.fix}`,
  };
}
