import type { SchemaChange } from '../../model/change.ts';
import type { TableId } from '../../model/table.ts';
import { describeTable } from './describe-table.ts';
import type { KnownTable } from './known-tables.ts';
import type { MysqlSource, StreamPlace } from './source-info.ts';

/** The element of the stream that says what became of a table: null where it is gone. */
export function tableChange(
  id: TableId,
  now: KnownTable | null,
  before: KnownTable | null,
  { place, ddl }: { readonly place: StreamPlace; readonly ddl: string | null },
): SchemaChange<MysqlSource> {
  return {
    kind: 'schema',
    id,
    table: now?.schema ?? null,
    previous: before === null || before.awaits?.before === null ? null : before.schema,
    // MySQL's mark of CREATE TABLE … SELECT is no part of what was asked for.
    ddl: ddl?.replace(/ START TRANSACTION$/, '') ?? null,
    description: now === null ? null : describeTable(now.table),
    tx: place.tx(),
    at: place.at(),
  };
}
