import { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableId, tableName } from '../model/table.ts';
import type { PollTableOptions } from './poll-dialect.ts';

/** Where a column that source.poll names stands in its table. Throws `settings.column-missing`. */
export function columnIndex(
  { id, columns }: { readonly id: TableId; readonly columns: readonly { readonly name: string }[] },
  column: string,
): number {
  const index = columns.findIndex(({ name }) => name === column);
  if (index >= 0) return index;
  const table = tableName(id);
  throw new HeadwaterError(
    'settings.column-missing',
    `source.poll names the column ${column} of ${table}, which has none of that name.`,
    { fix: `It has ${columns.map(({ name }) => name).join(', ')}.`, details: { table, column } },
  );
}

/** Throws `settings.column-missing` where nothing puts rows in order that have the same timestamp. */
export function assertOrdered(id: TableId, { mode }: PollTableOptions, order: readonly number[]): void {
  if (mode === 'bulk' || order.length > 0) return;
  const name = tableName(id);
  throw new HeadwaterError(
    'settings.column-missing',
    `${name} has no key that rows can be put in order by, so rows of one timestamp cannot be told apart.`,
    { fix: `Name columns of a unique key as source.poll.tables.${name}.key.`, details: { table: name } },
  );
}
