import type { RowChange, Tx } from '../../model/change.ts';
import type { PollBlock, PollDialect, PollMark } from '../poll-dialect.ts';
import type { Horizon } from './horizon.ts';
import type { RowState } from './row-state.ts';
import type { PollSource } from './source-info.ts';

/** What one block of rows has come to. */
export interface PolledBlock {
  readonly changes: readonly RowChange<PollSource>[];
  readonly bytes: number;
  readonly state: ReadonlyMap<string, string | null> | undefined;
  readonly release?: PollBlock['release'];
}

export const NOTHING: PolledBlock = { changes: [], bytes: 0, state: undefined };

export interface PassContext {
  readonly dialect: PollDialect;
  readonly mark: PollMark;
  /** TableCursor.aheadUs as of the mark. */
  readonly aheadUs: number | null;
  /** The mark has been added. */
  readonly horizon: Horizon;
  readonly overlapUs: number;
  readonly batchRows: number;
  readonly rowState: RowState | null;
  /** Number and origin of the next batch. */
  readonly next: () => PollSource;
}

/** Changes of one batch, and with them what is known of their rows. */
export function madeTogether(
  { next, rowState }: PassContext,
  make: (of: { readonly at: PollSource; readonly tx: Tx }) => RowChange<PollSource>[],
): RowChange<PollSource>[] {
  const at = next();
  rowState?.begin(at.batch);
  try {
    const changes = make({ at, tx: { id: String(at.batch), commitTimeUs: at.readUs } });
    rowState?.end();
    return changes;
  } catch (error) {
    rowState?.abandon();
    throw error;
  }
}
