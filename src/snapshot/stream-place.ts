import type { Batch } from '../model/batch.ts';
import type { PositionCodec } from '../model/position.ts';

/** Where the stream stands that rows are put in between. */
export class StreamPlace<P> {
  readonly #codec: PositionCodec<P>;
  /** The stream's last position, null where it may not be committed there or nothing has come yet. */
  resume: P | null = null;
  /** Whether it stands between two transactions. */
  between = false;

  constructor(codec: PositionCodec<P>) {
    this.#codec = codec;
  }

  moved({ resume }: Batch<P>): void {
    this.resume = resume;
    this.between = resume !== null && !this.#codec.insideTransaction(resume);
  }

  /** Whether everything up to the position has come, and it stands between two transactions. */
  passed(position: P): boolean {
    if (!this.between || this.resume === null) return false;
    return (this.#codec.compare(this.resume, position) ?? -1) >= 0;
  }
}
