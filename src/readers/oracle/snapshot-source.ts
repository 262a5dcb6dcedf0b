import type {
  ReadOptions,
  SnapshotSource,
  SnapshotView,
  WindowReader,
} from '../../snapshot/snapshot-source.ts';
import { currentScn } from './database.ts';
import { mapping } from './errors.ts';
import { type OraclePosition, positionAt } from './position.ts';
import { OracleView } from './snapshot-view.ts';
import { OracleWindows, type WindowsOptions } from './snapshot-windows.ts';
import type { OracleSource } from './source-info.ts';

export interface OracleSnapshotOptions extends Omit<WindowsOptions, 'parallelism'> {
  /** Where the log begins to be kept just now; null on a restart. */
  readonly start: OraclePosition | null;
}

/** Rows of Oracle's tables, by flashback queries over ranges of ROWIDs. */
export class OracleSnapshotSource implements SnapshotSource<OraclePosition, OracleSource> {
  readonly #options: OracleSnapshotOptions;
  #start: OraclePosition | null;

  constructor(options: OracleSnapshotOptions) {
    this.#options = options;
    this.#start = options.start;
  }

  openView({ parallelism }: ReadOptions): Promise<SnapshotView<OraclePosition, OracleSource> | null> {
    const start = this.#start;
    this.#start = null;
    return Promise.resolve(
      start === null ? null : new OracleView({ ...this.#options, position: start, parallelism }),
    );
  }

  async openOwnView(
    { parallelism }: ReadOptions,
    signal: AbortSignal,
  ): Promise<SnapshotView<OraclePosition, OracleSource>> {
    return mapping('Asking for the current SCN', async () => {
      await using session = await this.#options.connect(signal);
      return new OracleView({
        ...this.#options,
        position: positionAt(await currentScn(session)),
        parallelism,
      });
    });
  }

  openWindows({ parallelism }: ReadOptions): Promise<WindowReader<OraclePosition, OracleSource>> {
    return Promise.resolve(new OracleWindows({ ...this.#options, parallelism }));
  }
}
