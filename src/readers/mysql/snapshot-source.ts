import type {
  ReadOptions,
  SnapshotSource,
  SnapshotView,
  WindowReader,
} from '../../snapshot/snapshot-source.ts';
import type { MysqlPosition } from './position.ts';
import { takeSnapshot, type TakenSnapshot } from './snapshot-lock.ts';
import { Planner, type PlannerOptions } from './snapshot-plan.ts';
import { MysqlView } from './snapshot-view.ts';
import { MysqlWindows, noCommonPosition } from './snapshot-windows.ts';
import type { MysqlSource } from './source-info.ts';
import type { RowSession } from './wire/row-session.ts';

export interface MysqlSnapshotOptions extends PlannerOptions {
  readonly connector: MysqlSource['connector'];
  /** A session for reading rows. */
  readonly connect: (signal: AbortSignal) => Promise<RowSession>;
  /** How far the stream has come, or where it will begin. */
  readonly delivered: () => MysqlPosition;
  /** What was taken where the log begins to be read; null on a restart, or where nothing could be. */
  readonly taken: TakenSnapshot | null;
}

/** Rows of MySQL's and MariaDB's tables, by the text protocol through decoders that agree with the binlog's. */
export function createMysqlSnapshotSource(
  options: MysqlSnapshotOptions,
): SnapshotSource<MysqlPosition, MysqlSource> {
  let { taken } = options;
  const { connector, connect, delivered } = options;
  const planner = new Planner(options);
  return {
    openView(): Promise<SnapshotView<MysqlPosition, MysqlSource> | null> {
      const mine = taken;
      taken = null;
      return Promise.resolve(
        mine === null ? null : new MysqlView({ connector, taken: mine, planner, own: false }),
      );
    },
    async openOwnView(
      { parallelism, tables = [] }: ReadOptions,
      signal: AbortSignal,
    ): Promise<SnapshotView<MysqlPosition, MysqlSource>> {
      const own = await takeSnapshot({ connect, sessions: parallelism, tables, longLived: false }, signal);
      if (own === null) throw noCommonPosition(tables[0] ?? null);
      return new MysqlView({ connector, taken: own, planner, own: true });
    },
    openWindows({ parallelism }: ReadOptions): Promise<WindowReader<MysqlPosition, MysqlSource>> {
      return Promise.resolve(new MysqlWindows({ connector, parallelism, connect, planner, delivered }));
    },
  };
}
