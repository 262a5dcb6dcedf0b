import { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableId, tableName } from '../model/table.ts';

/** A view that can no longer show the table as it was: see SnapshotView. */
export function rewritten(id: TableId, cause?: unknown): HeadwaterError {
  const name = tableName(id);
  return new HeadwaterError(
    'snapshot.table-rewritten',
    `The table ${name} was truncated, rewritten or altered after the snapshot's position.`,
    { details: { table: name }, cause },
  );
}
