import type { RowChange } from '../../../model/change.ts';
import type { TableSchema } from '../../../model/table.ts';
import type { MysqlSource } from '../source-info.ts';

/** A note for the dead-letter topic and the table's status, about changes that have no values. */
export function unreadableChange(
  table: TableSchema,
  unreadable: Error,
  { op = 'u', seq, at }: { readonly op?: 'c' | 'u' | 'd'; readonly seq: number; readonly at: MysqlSource },
): RowChange<MysqlSource> {
  return {
    kind: 'row',
    op,
    table,
    before: null,
    after: null,
    tx: at.tx,
    seq,
    at,
    snapshot: null,
    unreadable,
  };
}
