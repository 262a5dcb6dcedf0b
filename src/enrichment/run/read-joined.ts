/** Joined tables that nothing has filled, read from the database as it shows them now. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { SourceInfo } from '../../model/change.ts';
import type { PositionCodec } from '../../model/position.ts';
import { tableName } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';
import { unreadable } from '../sources/captured-source.ts';
import type { ReplicaImage } from '../state/image.ts';
import type { Replica } from '../state/replica.ts';
import type { LogIntake } from './log-intake.ts';

export interface JoinedReading<P, S extends SourceInfo> {
  readonly source: SnapshotSource<P, S>;
  readonly intake: LogIntake<S>;
  readonly image: ReplicaImage;
  readonly codec: PositionCodec<P>;
  /** The table is complete, as of that position. */
  readonly onRead: (replica: Replica, position: P) => void;
  readonly log: Log;
}

/** Throws `enrich.table-unreadable`, `enrich.table-changed`. */
export async function readJoined<P, S extends SourceInfo>(
  missing: readonly Replica[],
  { source, intake, image, codec, onRead, log }: JoinedReading<P, S>,
  signal: AbortSignal,
): Promise<void> {
  const tables = missing.map(({ captured }) => captured.id);
  await using view = await source.openOwnView({ parallelism: 1, tables }, signal);
  for (const replica of missing) {
    const { captured } = replica;
    const table = tableName(captured.id);
    replica.clear(0);
    try {
      const plan = await view.plan(captured.id, { chunkRows: Number.MAX_SAFE_INTEGER, where: null }, signal);
      for (const range of plan.chunks) {
        for await (const { rows } of view.rows(plan, range, signal)) {
          for (const row of rows) intake.load(replica, row);
          image.write();
        }
      }
    } catch (error) {
      const changed = error instanceof HeadwaterError && error.code === 'enrich.table-changed';
      if (signal.aborted || changed) throw error;
      throw unreadable(table, error);
    }
    signal.throwIfAborted();
    onRead(replica, view.position);
    log.info(
      { table, rows: replica.size, position: codec.encode(view.position) },
      'a joined table was read from the database',
    );
  }
}
