import type { RowChange } from './change.ts';
import type { Row } from './value.ts';

/**
 * What a table's filter says of a change. `leave`: the row was, or may have been, one of those the topic holds and is
 * no more: its update is a delete.
 */
export type RowVerdict = 'keep' | 'skip' | 'leave';

export type RowFilter = (op: RowChange['op'], before: Row | null, after: Row | null) => RowVerdict;
