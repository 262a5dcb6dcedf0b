/** What information_schema says of tables, as their present shape. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { TableId, TableSchema } from '../../model/table.ts';
import { tableName } from '../../model/table.ts';
import { charsetName } from './types/collations.ts';
import { parseColumnType } from './types/column-type.ts';
import {
  columnOf,
  type MysqlColumn,
  type MysqlDefault,
  type MysqlTypeOptions,
} from './types/mysql-column.ts';
import type { TextRows } from './wire/connection.ts';
import { quoteLiteral, quoteTable, unescapeLiteral } from './wire/quoting.ts';
import type { ServerInfo } from './wire/server-info.ts';

/** Runs one statement; every value as text. */
export type Query = (sql: string) => Promise<TextRows>;

/** The shape of a table. Plain JSON: the schema history stores it. */
export interface MysqlTable {
  readonly id: TableId;
  /** In ordinal order, generated and invisible ones included: as the log has them. */
  readonly columns: readonly MysqlColumn[];
  /**
   * Indexes into `columns`: the primary key in index order, else the first unique index, by name, none of whose
   * columns may be NULL; empty where there is neither.
   */
  readonly key: readonly number[];
  /** The table's default character set; null where it is not known. */
  readonly charset: string | null;
  readonly comment: string | null;
  /** Polling: a SELECT of the operator's own in place of the table. */
  readonly query?: string;
  /** Of a query: columns that are of type ENUM or SET, which its result does not say more of. */
  readonly enumerations?: readonly string[];
}

/** What stands behind FROM. */
export function fromItem({ id, query }: Pick<MysqlTable, 'id' | 'query'>): string {
  return query === undefined ? quoteTable(id) : `(${query}\n) AS polled`;
}

export interface ListedTable {
  readonly id: TableId;
  readonly engine: string;
  /** The storage engine's estimate; null where it has none. */
  readonly estimatedRows: number | null;
  /** Names of the key's columns; null without one. */
  readonly key: readonly string[] | null;
}

/** Neither views nor sequences. */
const ROW_TABLES = `'BASE TABLE', 'SYSTEM VERSIONED'`;
const ROW_TABLES_AND_VIEWS = `${ROW_TABLES}, 'VIEW'`;
const MAX_ATTEMPTS = 5;

const SYSTEM = `('mysql', 'information_schema', 'performance_schema', 'sys')`;

const TRANSACTIONAL: ReadonlySet<string> = new Set(['innodb', 'rocksdb', 'tokudb', 'ndbcluster']);

/** Whether tables of the engine can be seen as they were at one moment. */
export function isTransactional(engine: string): boolean {
  return TRANSACTIONAL.has(engine.toLowerCase());
}

/** Which tables: only those that hold rows, unless views are asked for. */
export interface TableKinds {
  readonly views?: boolean;
}

/** All tables that the user can see, but those of the server itself. */
export async function listTables(
  query: Query,
  { views = false }: TableKinds = {},
): Promise<readonly ListedTable[]> {
  const tables = await query(
    `SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_ROWS FROM information_schema.TABLES
     WHERE TABLE_TYPE IN (${views ? ROW_TABLES_AND_VIEWS : ROW_TABLES}) AND TABLE_SCHEMA NOT IN ${SYSTEM}
     ORDER BY TABLE_SCHEMA, TABLE_NAME`,
  );
  const keys = groupKeys(await query(keyQuery(`TABLE_SCHEMA NOT IN ${SYSTEM}`)));
  return tables.map(([schema, table, engine, rows]) => {
    const id = { schema: schema ?? '', table: table ?? '' };
    return {
      id,
      engine: engine ?? '',
      estimatedRows: rows === null || rows === undefined ? null : Number(rows),
      key: keys.get(tableName(id)) ?? null,
    };
  });
}

/** The tables that are there, in the order they are asked for. */
export async function describeTables(
  query: Query,
  server: ServerInfo,
  ids: readonly TableId[],
  kinds: TableKinds = {},
): Promise<readonly MysqlTable[]> {
  const bySchema = new Map<string, string[]>();
  for (const { schema, table } of ids) {
    const tables = bySchema.get(schema);
    if (tables === undefined) bySchema.set(schema, [table]);
    else tables.push(table);
  }
  const found = new Map<string, MysqlTable>();
  for (const [schema, tables] of bySchema) {
    // With constants for both the server opens these tables alone.
    const names = tables.map(quoteLiteral);
    const where = `TABLE_SCHEMA = ${quoteLiteral(schema)} AND TABLE_NAME ${names.length === 1 ? `= ${names[0]}` : `IN (${names.join(', ')})`}`;
    for (const table of await describeAtRest(query, server, where, kinds))
      found.set(tableName(table.id), table);
  }
  return ids.flatMap((id) => found.get(tableName(id)) ?? []);
}

/** Columns and keys are asked for one after the other: a table that is altered in between is asked for again. */
async function describeAtRest(
  query: Query,
  server: ServerInfo,
  where: string,
  kinds: TableKinds,
): Promise<readonly MysqlTable[]> {
  for (let attempt = 1; ; attempt++) {
    const tables = await describe(query, server, where, kinds);
    const torn = tables.filter(({ key }) => key.includes(-1));
    if (torn.length === 0) return tables;
    if (attempt === MAX_ATTEMPTS) {
      throw new HeadwaterError(
        'snapshot.table-unsettled',
        `The table ${tableName(torn[0]!.id)} is altered faster than its columns and keys can be read.`,
      );
    }
  }
}

async function describe(
  query: Query,
  server: ServerInfo,
  where: string,
  { views = false }: TableKinds,
): Promise<readonly MysqlTable[]> {
  const srid = server.flavour === 'mysql' && server.version >= 80_000 ? 'SRS_ID' : 'NULL';
  const columns = await query(
    `SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME,
       IS_NULLABLE, COLUMN_DEFAULT, EXTRA, COLUMN_COMMENT, ${srid}
     FROM information_schema.COLUMNS WHERE ${where} ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION`,
  );
  const tables = await query(
    `SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_COLLATION, TABLE_COMMENT FROM information_schema.TABLES
     WHERE TABLE_TYPE IN (${views ? ROW_TABLES_AND_VIEWS : ROW_TABLES}) AND ${where}`,
  );
  const keys = groupKeys(await query(keyQuery(where)));
  return tables.map(([schema, table, collation, comment]) => {
    const id = { schema: schema ?? '', table: table ?? '' };
    const own = columns
      .filter((row) => row[0] === schema && row[1] === table)
      .map((row) => readColumn(row, server));
    return {
      id,
      columns: own,
      key: (keys.get(tableName(id)) ?? []).map((name) => own.findIndex((column) => column.name === name)),
      charset: namedCharset(collation?.split('_')[0]),
      comment: comment || null,
    };
  });
}

function namedCharset(name: string | null | undefined): string | null {
  return name == null ? null : charsetName(name);
}

type TextRow = TextRows[number];

function readColumn(row: TextRow, server: ServerInfo): MysqlColumn {
  const [
    ,
    ,
    name,
    dataType,
    columnType,
    charset,
    collation,
    nullable,
    defaultText,
    extraText,
    comment,
    srid,
  ] = row;
  const extra = (extraText ?? '').toLowerCase();
  const type = parseColumnType(columnType ?? '');
  return {
    name: name ?? '',
    dataType: (dataType ?? '').toLowerCase(),
    columnType: columnType ?? null,
    unsigned: type.unsigned,
    length: type.length,
    scale: type.scale,
    fraction: type.fraction,
    charset: namedCharset(charset),
    collation: collation ?? null,
    values: type.values,
    nullable: nullable === 'YES',
    default: readDefault(defaultText ?? null, { extra, server, dataType: dataType ?? '' }),
    autoIncrement: extra.includes('auto_increment'),
    generated: generatedOf(extra),
    comment: comment || null,
    srid: srid === null || srid === undefined ? null : Number(srid),
    invisible: /\binvisible\b/.test(extra),
  };
}

function generatedOf(extra: string): MysqlColumn['generated'] {
  if (extra.includes('virtual generated')) return 'virtual';
  return /\b(?:stored|persistent) generated/.test(extra) ? 'stored' : null;
}

/**
 * COLUMN_DEFAULT. MariaDB (10.2.7 and later) prints it as SQL: quoted, or NULL, or an expression. MySQL prints
 * literals bare and, from 8.0 on, marks expressions in EXTRA; before, only the present time was one.
 */
function readDefault(
  text: string | null,
  { extra, server, dataType }: { extra: string; server: ServerInfo; dataType: string },
): MysqlDefault | null {
  if (text === null) return null;
  if (server.flavour === 'mariadb') {
    if (text === 'NULL') return null;
    if (text.startsWith("'")) return { literal: unescapeLiteral(text.slice(1, -1)) };
    return /^(?:[-+]?[\d.]|[bx]')/i.test(text) ? { literal: text } : { expression: text };
  }
  const now = /^(?:datetime|timestamp)$/i.test(dataType) && /^current_timestamp/i.test(text);
  return now || extra.includes('default_generated') ? { expression: text } : { literal: text };
}

/** The columns of all indexes without duplicates, NULLs and expressions, the primary key's first. */
function keyQuery(where: string): string {
  return `SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, NULLABLE FROM information_schema.STATISTICS
    WHERE ${where} AND NON_UNIQUE = 0
    ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX`;
}

/** Per table the names of its key's columns. */
function groupKeys(rows: TextRows): ReadonlyMap<string, readonly string[]> {
  const indexes = new Map<string, Map<string, (string | null)[]>>();
  for (const [schema, table, index, column, nullable] of rows) {
    const name = tableName({ schema: schema ?? '', table: table ?? '' });
    let own = indexes.get(name);
    if (own === undefined) indexes.set(name, (own = new Map()));
    const part = nullable === 'YES' ? null : (column ?? null);
    const parts = own.get(index ?? '');
    if (parts === undefined) own.set(index ?? '', [part]);
    else parts.push(part);
  }
  const keys = new Map<string, readonly string[]>();
  for (const [name, own] of indexes) {
    for (const parts of own.values()) {
      if (!parts.every((part) => part !== null)) continue;
      keys.set(name, parts);
      break;
    }
  }
  return keys;
}

/** The model's schema, without a version of its own: 0. */
export function schemaOf(table: MysqlTable, options: MysqlTypeOptions): TableSchema {
  return {
    id: table.id,
    version: 0,
    columns: table.columns.map((column) => columnOf(column, options)),
    key: table.key,
  };
}
