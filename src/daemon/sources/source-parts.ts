import type { SourceInfo } from '../../model/change.ts';
import type { PositionCodec } from '../../model/position.ts';
import type { Reader } from '../../readers/reader.ts';
import type { SourceBlock } from '../../schema/source-block.ts';

/** What the daemon needs of a kind of source. */
export interface Source<P, S extends SourceInfo> {
  readonly positions: PositionCodec<P>;
  readonly openReader: () => Reader<P, S>;
  readonly block: SourceBlock<S>;
  /** The origin of what is told of at a position, and is no change of the log's. */
  readonly originAt: (position: P) => S;
}
