import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type { PollTableOptions } from '../poll-dialect.ts';
import { columnIndex } from '../polled-column.ts';
import { describeTables, fromItem, type MysqlTable } from './catalogue.ts';
import { queryOf } from './snapshot-plan.ts';
import { columnOfResult, isEnumeration } from './types/result-column.ts';
import type { CatalogueSession } from './wire/row-session.ts';

/** Tables, views and queries, with the keys of the settings. */
export async function describePolled(
  session: CatalogueSession,
  ids: readonly TableId[],
  optionsOf: (id: TableId) => PollTableOptions,
  signal: AbortSignal,
): Promise<readonly MysqlTable[]> {
  const isTable = (id: TableId): boolean => optionsOf(id).query === null;
  const real = ids.filter(isTable);
  const found =
    real.length === 0
      ? []
      : await describeTables(queryOf(session, signal), session.server, real, { views: true });
  const byName = new Map(found.map((table) => [tableName(table.id), table]));
  const tables: MysqlTable[] = [];
  for (const id of ids) {
    const { query } = optionsOf(id);
    const table =
      query === null ? byName.get(tableName(id)) : await describeQuery(session, id, query, signal);
    if (table !== undefined) tables.push(keyed(table, optionsOf(id)));
  }
  return tables;
}

/** A query's result as a table. */
async function describeQuery(
  session: CatalogueSession,
  id: TableId,
  query: string,
  signal: AbortSignal,
): Promise<MysqlTable> {
  const columns = await session.columns(`SELECT * FROM ${fromItem({ id, query })} LIMIT 0`, signal);
  return {
    id,
    columns: columns.map(columnOfResult),
    key: [],
    charset: null,
    comment: null,
    query,
    enumerations: columns.filter(isEnumeration).map(({ name }) => name),
  };
}

function keyed(table: MysqlTable, { key }: PollTableOptions): MysqlTable {
  if (key === null) return table;
  const enumeration = key.find((column) => table.enumerations?.includes(column));
  if (enumeration === undefined) {
    return { ...table, key: key.map((column) => columnIndex(table, column)) };
  }
  throw new HeadwaterError(
    'settings.column-missing',
    `The key column ${enumeration} of the query ${tableName(table.id)} is an enumeration, which has one order and compares in another.`,
    {
      fix: `Let the query say CAST(${enumeration} AS CHAR) AS ${enumeration}.`,
      details: { table: tableName(table.id) },
    },
  );
}
