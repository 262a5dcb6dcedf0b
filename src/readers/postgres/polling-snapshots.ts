import type { ReadOptions, SnapshotSource, SnapshotView } from '../../snapshot/snapshot-source.ts';
import { mapping } from './errors.ts';
import type { Planner } from './snapshot-plan.ts';
import { openPgView } from './snapshot-view.ts';
import { PgWindows } from './snapshot-windows.ts';
import type { PgConnection } from './wire/connection.ts';
import { PgConnectionError } from './wire/pg-error.ts';

/** So long a table is waited for before the others have their turn. */
const LOCK_TIMEOUT_MS = 1_000;

/** Snapshots without a slot: a session's own, which needs no privilege. Positions in the log mean nothing here. */
export function pollSnapshots(
  connect: (signal: AbortSignal) => Promise<PgConnection>,
  planner: Planner,
): SnapshotSource<unknown> {
  const open = ({ parallelism }: ReadOptions, signal: AbortSignal): Promise<SnapshotView<unknown>> =>
    mapping('Opening the snapshot', async () => {
      await using session = await connect(signal);
      await session.command('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', signal);
      const [row] = await session.query('SELECT pg_catalog.pg_export_snapshot()', signal);
      const view = await openPgView(
        {
          position: { lsn: 0, mid: null },
          snapshotName: row?.[0] ?? '',
          parallelism,
          lockTimeoutMs: LOCK_TIMEOUT_MS,
          connect,
          planner,
        },
        signal,
      );
      if (view === null) {
        throw new PgConnectionError('lost', 'The session that exported a snapshot ended too early');
      }
      return view;
    });
  return {
    openView: open,
    openOwnView: open,
    openWindows: ({ parallelism }) =>
      Promise.resolve(new PgWindows({ parallelism, lockTimeoutMs: LOCK_TIMEOUT_MS, connect, planner })),
  };
}
