import { asHeadwaterError } from '../errors/headwater-error.ts';
import type { Batch } from '../model/batch.ts';
import type { RowChange, SourceInfo } from '../model/change.ts';
import { tableName, type TableId, type TableSchema } from '../model/table.ts';
import { ABSENT, type Row } from '../model/value.ts';
import type { DeliveredBefore, GoneRows } from '../readers/delivered-before.ts';
import type { SnapshotSource } from '../snapshot/snapshot-source.ts';
import type { Log } from '../observability/log.ts';

export interface DeletedBeforeOptions<P, S extends SourceInfo> {
  readonly before: DeliveredBefore;
  readonly tables: readonly TableId[];
  readonly source: SnapshotSource<P, S>;
  /** Where the log begins, and what its changes say of their origin. */
  readonly from: P;
  readonly at: S;
  readonly log: Log;
}

/** A snapshot's batches, whose rows are noted. */
export async function* noted<P, S extends SourceInfo>(
  batches: AsyncIterable<Batch<P, S>>,
  before: DeliveredBefore,
): AsyncGenerator<Batch<P, S>> {
  for await (const batch of batches) {
    before.saw(batch.changes);
    yield batch;
  }
}

/** Deletes of the rows that were delivered before the log began, and are gone. They lie before all that is in the log. */
export async function* deletedBefore<P, S extends SourceInfo>(
  { before, tables, source, from, at, log }: DeletedBeforeOptions<P, S>,
  signal: AbortSignal,
): AsyncGenerator<Batch<P, S>> {
  await using windows = await source.openWindows({ parallelism: 1 }, signal);
  for (const id of tables) {
    try {
      for await (const gone of before.gone(id, signal)) {
        // As it is in the snapshot and in the log.
        const { schema } = await windows.plan(id, WHOLE, signal);
        const changes = gone.parts.flatMap((part) => deletesOf(part, schema, at));
        const known = gone.parts.reduce((sum, { rows }) => sum + rows.length, 0);
        if (changes.length < known) {
          log.warn(
            { table: tableName(id), rows: known - changes.length },
            'rows were deleted before the log began that are known by other columns than those of the key: the topic has no delete of them',
          );
        }
        yield { changes, bytes: 0, resume: from, state: gone.state };
      }
    } catch (error) {
      const known = asHeadwaterError(error);
      if (signal.aborted || known.entry.fate !== 'quarantine') throw error;
      log.warn(
        { table: tableName(id), code: known.code },
        'rows that were deleted before the log began cannot be told of, since the table cannot be read',
      );
    }
    if (signal.aborted) return;
  }
  yield { changes: [], bytes: 0, resume: from, state: before.finished };
}

const WHOLE = { chunkRows: Number.MAX_SAFE_INTEGER, where: null, chunks: [{ from: null, to: null }] };

/** None where the key is not known. */
function deletesOf<S extends SourceInfo>(
  { columns, rows }: GoneRows['parts'][number],
  table: TableSchema,
  at: S,
): readonly RowChange<S>[] {
  const places = table.columns.map(({ name }) => columns.indexOf(name));
  if (table.key.some((index) => places[index]! < 0)) return [];
  const image = (row: Row): Row => places.map((place) => (place < 0 ? ABSENT : row[place]!));
  return rows.map((row, seq) => ({
    kind: 'row',
    op: 'd',
    table,
    before: image(row),
    after: null,
    tx: null,
    seq,
    at,
    snapshot: null,
  }));
}
