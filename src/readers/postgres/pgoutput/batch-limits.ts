import type { RelationMessage } from './messages.ts';

/** When `decode` has enough for one batch, in changes. */
export interface BatchLimits {
  /** At the end of a transaction, or outside of one. */
  readonly soft: number;
  /** Inside of one, unless an earlier batch ended in it: then there is nothing to wait for. */
  readonly hard: number;
}

/** What stopped `decode` before the chunk's end. */
export interface Stop {
  /** The frame to go on with. */
  readonly frame: number;
  /** The shape of this relation must be resolved first (`define`); null: enough for one batch. */
  readonly relation: RelationMessage | null;
}
