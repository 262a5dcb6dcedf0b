import type { Batch } from '../../../model/batch.ts';
import type { Change } from '../../../model/change.ts';
import type { OraclePosition } from '../position.ts';
import type { OracleSource } from '../source-info.ts';

const MAX_BYTES = 256 * 1024;

/** What goes into the next batch. */
export class Outbox {
  readonly #most: number;
  #changes: Change<OracleSource>[] = [];
  #bytes = 0;

  constructor(mostChanges: number) {
    this.#most = mostChanges;
  }

  push(change: Change<OracleSource>, bytes: number): void {
    this.#changes.push(change);
    this.#bytes += bytes;
  }

  get empty(): boolean {
    return this.#changes.length === 0;
  }

  get full(): boolean {
    return this.#changes.length >= this.#most || this.#bytes >= MAX_BYTES;
  }

  take(
    resume: OraclePosition,
    state: ReadonlyMap<string, string | null> | undefined,
  ): Batch<OraclePosition, OracleSource> {
    const batch = { changes: this.#changes, bytes: this.#bytes, resume };
    this.#changes = [];
    this.#bytes = 0;
    return state === undefined ? batch : { ...batch, state };
  }
}
