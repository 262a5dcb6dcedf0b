import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import type { PollTableOptions } from '../poll-dialect.ts';
import { assertOrdered, columnIndex } from '../polled-column.ts';
import { choosePolled, type PolledNames } from '../polled-names.ts';
import type { CapturedTable } from '../reader.ts';
import { BUILT_IN_OWNERS, describeTable, isOrdinaryName, TABLES } from './catalogue.ts';
import { isOrderable, TIME_TYPES } from './polling-places.ts';
import type { OraclePolledTable } from './polling-sql.ts';
import { quoteTable } from './quoting.ts';
import type { OracleSession, ResultColumn } from './session/oracle-session.ts';
import type { Described } from './table-history.ts';
import { tableModel } from './table-model.ts';
import type { OracleColumn } from './types/column-metadata.ts';

const VIEWS = `SELECT OWNER, VIEW_NAME FROM ALL_VIEWS WHERE OWNER NOT IN (${BUILT_IN_OWNERS.map((owner) => `'${owner}'`).join(',')}) ORDER BY OWNER, VIEW_NAME`;

/** Its times are whole seconds: what was altered just now may be altered again within the same one. */
const OBJECT = `SELECT TO_CHAR(OBJECT_ID), TO_CHAR(LAST_DDL_TIME,'YYYY-MM-DD HH24:MI:SS'), CASE WHEN LAST_DDL_TIME > SYSDATE - 5/86400 THEN 'Y' ELSE 'N' END FROM ALL_OBJECTS WHERE OWNER = :o AND OBJECT_NAME = :t AND OBJECT_TYPE IN ('TABLE','VIEW')`;

export interface OraclePolledNames extends PolledNames {
  readonly place: string;
}

export interface PolledObject {
  readonly id: TableId;
  readonly kind: 'table' | 'view' | 'query';
  readonly estimatedRows: number | null;
}

/** What the settings ask to poll. Throws `settings.no-table-matches`, as `Reader.tables` does. */
export async function listPolled(
  session: OracleSession,
  names: OraclePolledNames,
  onUnmatched?: (message: string) => void,
): Promise<readonly PolledObject[]> {
  const tables = (await session.query(TABLES)).flatMap(
    ([schema, table, iot, nested, temporary, rows]): readonly PolledObject[] => {
      const id = { schema: String(schema), table: String(table) };
      // Rows of temporary tables are their session's; of index-organized ones there are pieces of their own.
      if (temporary === 'Y' || nested === 'YES' || (iot !== null && iot !== 'IOT')) return [];
      if (!isOrdinaryName(id.table)) return [];
      return [{ id, kind: 'table', estimatedRows: rows == null ? null : Number(rows) }];
    },
  );
  const views = (await session.query(VIEWS)).map(([schema, view]): PolledObject => ({
    id: { schema: String(schema), table: String(view) },
    kind: 'view',
    estimatedRows: null,
  }));
  return choosePolled(
    {
      all: [...tables, ...views],
      isView: ({ kind }) => kind !== 'table',
      ofQuery: (id) => ({ id, kind: 'query', estimatedRows: null }),
    },
    names,
    {
      where: `in ${names.place}`,
      advice: (visible) => ({
        fix: 'Names are as Oracle has them, mostly in capitals; the user has to have SELECT on the table.',
        details: { visible },
      }),
      onUnmatched,
    },
  );
}

export function capturedOf({ id, estimatedRows }: PolledObject, key: readonly string[]): CapturedTable {
  return { id, key: key.length === 0 ? null : key, estimatedRows, limitation: null };
}

/** The shape of a table, view or query now; null where it is gone. With the key of the settings. */
export async function describePolled(
  session: OracleSession,
  id: TableId,
  options: PollTableOptions,
): Promise<Described | null> {
  const described =
    options.query === null
      ? await describeTable(session, id)
      : queryShape(await session.columns(`SELECT * FROM ${queryItem(options.query)}`), options);
  return described === null || options.key === null ? described : { ...described, key: options.key };
}

function queryShape(columns: readonly ResultColumn[], { key }: PollTableOptions): Described {
  return {
    objectId: null,
    dataObjectIds: [],
    columns: columns.map((column): OracleColumn => {
      const { name, dataType, bytes, precision, scale } = column;
      const length = bytes !== null && dataType.startsWith('N') ? Math.floor(bytes / 2) : bytes;
      const nullable = !(key ?? []).includes(name);
      return { name, dataType, length, precision, scale, nullable, default: null };
    }),
    key: [],
    approximate: false,
  };
}

/** Text that changes with the table's definition; null where that may just be changing, or nothing tells. */
export async function definitionMark(session: OracleSession, id: TableId): Promise<string | null> {
  const [row] = await session.query(OBJECT, { o: id.schema, t: id.table });
  if (row === undefined || row[2] === 'Y') return null;
  return `${String(row[0])} ${String(row[1])}`;
}

function queryItem(query: string): string {
  return `(${query}\n)`;
}

/** Throws `settings.column-missing` where the settings name a column that is not there or cannot be used so. */
export function polledTable(
  id: TableId,
  described: Described,
  of: { readonly options: PollTableOptions; readonly number: (schema: TableSchema) => TableSchema },
): OraclePolledTable {
  const { options } = of;
  const name = tableName(id);
  // Nothing here comes from the redo log.
  const context = { text: () => '', onForeignDate: () => undefined };
  const made = tableModel(id, { ...described, version: 1, from: 0n }, context);
  const keyed =
    options.key === null
      ? made.schema
      : { ...made.schema, key: options.key.map((column) => columnIndex(made.schema, column)) };
  const schema = of.number(keyed);
  const typeOf = (index: number): string => schema.columns[index]!.nativeType;
  const timestamp = options.timestamp.map((column) => columnIndex(schema, column));
  const types = new Set(timestamp.map(typeOf));
  if (types.size > 1 || [...types].some((type) => !TIME_TYPES.has(type))) {
    throw new HeadwaterError(
      'settings.column-missing',
      `The timestamp columns of ${name} have to be all DATE, or all TIMESTAMP of one kind.`,
      { details: { table: name } },
    );
  }
  const order = options.incrementing === null ? schema.key : [columnIndex(schema, options.incrementing)];
  const orderable = (indexes: readonly number[]): readonly number[] =>
    indexes.every((index) => isOrderable(typeOf(index))) ? indexes : [];
  const ordered = orderable(order);
  assertOrdered(id, options, ordered);
  return {
    schema,
    options,
    versioned: false,
    timestamp,
    order: ordered,
    nullable: timestamp.length > 0 && timestamp.every((index) => schema.columns[index]!.nullable),
    model: { ...made, schema },
    from: options.query === null ? quoteTable(id) : queryItem(options.query),
    chunkKey: orderable(schema.key),
  };
}
