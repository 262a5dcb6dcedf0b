/** What is said of a table that is not what it was when its snapshot was planned, whatever the source. */
import type { Code } from '../errors/catalogue.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableId, tableName } from '../model/table.ts';

/** A view that can no longer show the table as it was: see SnapshotView. */
export function rewritten(id: TableId, cause?: unknown): HeadwaterError {
  const how = "was truncated, rewritten or altered after the snapshot's position";
  return errorOf('snapshot.table-rewritten', id, how, cause);
}

/** A chunk was asked for again and again, and the table was another one than planned each time. */
export function changesTooFast(id: TableId): HeadwaterError {
  const how = 'is altered, truncated or rewritten faster than a chunk of it can be read';
  return errorOf('snapshot.table-unsettled', id, how);
}

/** Chunks that were cut by one key cannot go on by another. */
export function chunkKeyChanged(id: TableId): HeadwaterError {
  return errorOf('snapshot.table-unsettled', id, 'has another key than when its snapshot began');
}

function errorOf(code: Code, id: TableId, how: string, cause?: unknown): HeadwaterError {
  const table = tableName(id);
  return new HeadwaterError(code, `The table ${table} ${how}.`, { details: { table }, cause });
}
