import { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableId, tableName } from '../model/table.ts';

/** A chunk was asked for again and again, and the table was another one than planned each time. */
export function changesTooFast(id: TableId): HeadwaterError {
  return unsettled(id, 'is altered, truncated or rewritten faster than a chunk of it can be read');
}

/** Chunks that were cut by one key cannot go on by another. */
export function chunkKeyChanged(id: TableId): HeadwaterError {
  return unsettled(id, 'has another key than when its snapshot began');
}

function unsettled(id: TableId, how: string): HeadwaterError {
  const name = tableName(id);
  return new HeadwaterError('snapshot.table-unsettled', `The table ${name} ${how}.`, {
    details: { table: name },
  });
}
