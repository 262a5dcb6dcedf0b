import { setTimeout as sleep } from 'node:timers/promises';
import { asHeadwaterError } from '../errors/headwater-error.ts';
import type { Batch } from '../model/batch.ts';
import type { RowChange, SourceInfo } from '../model/change.ts';
import type { PositionCodec } from '../model/position.ts';
import { tableName, type TableId, type TableSchema } from '../model/table.ts';
import { ABSENT, type Row } from '../model/value.ts';
import type { Log } from '../observability/log.ts';
import type { DeliveredBefore, GoneRows } from '../readers/delivered-before.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { SnapshotSource } from '../snapshot/snapshot-source.ts';

/** How often an idle source is asked for its position, and whether a comparison has settled. */
const PAUSE_MS = 50;

export interface DeletedBeforeOptions<P, S extends SourceInfo> {
  readonly before: DeliveredBefore;
  readonly source: SnapshotSource<P, S>;
  readonly codec: PositionCodec<P>;
  readonly snapshot: Pick<Snapshot<P, S>, 'done'>;
  /** Where the log begins, or goes on. */
  readonly from: P;
  /** What changes say of their origin that are none of the log's. */
  readonly originAt: (position: P) => S;
  readonly nudge: () => void;
  /** All has been told. */
  readonly onTold: () => void;
  readonly log: Log;
}

/**
 * The changes, with deletes put among them: of rows that were delivered before changes were found in this way, and were gone
 * by then. When the snapshot has been read the tables' keys are looked at; then the changes are read to where the source stood
 * behind that. What is neither in the table nor told of by then was deleted before, whatever the snapshot had seen of
 * it, and however often this was broken off. The deletes come at the end of a transaction.
 */
export async function* withDeletedBefore<P, S extends SourceInfo>(
  changes: AsyncIterable<Batch<P, S>>,
  options: DeletedBeforeOptions<P, S>,
  signal: AbortSignal,
): AsyncGenerator<Batch<P, S>> {
  const { before, codec, from, snapshot, nudge, onTold } = options;
  let compared: Compared<P> | null = null;
  let told = false;
  const tell = async function* (at: P, last: boolean): AsyncGenerator<Batch<P, S>> {
    if (!snapshot.done && !last) return;
    compared ??= await compareTables(options, signal);
    if (signal.aborted) return;
    const { high, tables } = compared;
    if (!last && high !== null && (codec.compare(at, high) ?? -1) < 0) return;
    yield* deletes(options, { tables, position: at }, signal);
    if (signal.aborted) return;
    told = true;
    onTold();
  };
  const nudging = setInterval(nudge, PAUSE_MS);
  let last = from;
  try {
    if (!codec.insideTransaction(from)) yield* tell(from, false);
    for await (const batch of changes) {
      const state = told ? null : before.saw(batch.changes);
      yield state === null ? batch : { ...batch, state: new Map([...(batch.state ?? []), ...state]) };
      if (batch.resume === null) continue;
      last = batch.resume;
      if (!told && !codec.insideTransaction(last)) yield* tell(last, false);
      if (told) clearInterval(nudging);
    }
    // Nothing more is read of the log: a snapshot was all that was wanted.
    if (!told && !signal.aborted) yield* tell(last, true);
  } finally {
    clearInterval(nudging);
  }
}

interface Compared<P> {
  /** That could be looked at. */
  readonly tables: readonly TableId[];
  /** Where the source stood behind that; null: nothing had to be looked at. */
  readonly high: P | null;
}

async function compareTables<P, S extends SourceInfo>(
  { before, source, log }: Pick<DeletedBeforeOptions<P, S>, 'before' | 'source' | 'log'>,
  signal: AbortSignal,
): Promise<Compared<P>> {
  const tables: TableId[] = [];
  for (const id of before.tables) {
    const compare = async (): Promise<true> => {
      await before.compare(id, signal);
      return true;
    };
    if ((await readable({ id, log }, compare, signal)) !== null) tables.push(id);
  }
  if (tables.length === 0) return { tables, high: null };
  const comparedAt = performance.now();
  await using windows = await source.openWindows({ parallelism: 1 }, signal);
  for (;;) {
    const high = await windows.settled(performance.now() - comparedAt, signal);
    if (high !== null || signal.aborted) return { tables, high };
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

async function* deletes<P, S extends SourceInfo>(
  { before, source, originAt, log }: DeletedBeforeOptions<P, S>,
  { tables, position }: { readonly tables: readonly TableId[]; readonly position: P },
  signal: AbortSignal,
): AsyncGenerator<Batch<P, S>> {
  await using windows = await source.openWindows({ parallelism: 1 }, signal);
  const at = originAt(position);
  for (const id of tables) {
    // As it is in the snapshot and in the log.
    const plan = await readable({ id, log }, () => windows.plan(id, WHOLE, signal), signal);
    if (plan === null) continue;
    for (const gone of before.gone(id)) {
      const changes = gone.parts.flatMap((part) => deletesOf(part, plan.schema, at));
      const known = gone.parts.reduce((sum, { rows }) => sum + rows.length, 0);
      if (changes.length < known) {
        log.warn(
          { table: tableName(id), rows: known - changes.length },
          'rows were deleted before changes were found in this way that are known by other columns than those of the key: the topic has no delete of them',
        );
      }
      yield { changes, bytes: 0, resume: position, state: gone.state };
      if (signal.aborted) return;
    }
  }
  yield { changes: [], bytes: 0, resume: position, state: before.finished };
}

const WHOLE = { chunkRows: Number.MAX_SAFE_INTEGER, where: null, chunks: [{ from: null, to: null }] };

/** Null where that one table cannot be read. */
async function readable<T>(
  { id, log }: { readonly id: TableId; readonly log: Log },
  read: () => Promise<T>,
  signal: AbortSignal,
): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    const { code, entry } = asHeadwaterError(error);
    if (signal.aborted || entry.fate !== 'quarantine') throw error;
    log.warn(
      { table: tableName(id), code },
      'rows that were deleted before changes were found in this way cannot be told of, since the table cannot be read',
    );
    return null;
  }
}

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
