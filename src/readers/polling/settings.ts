import type { TableId } from '../../model/table.ts';
import type { PollTableOptions } from '../poll-dialect.ts';

/** What of each row is kept on local disk: what the overlap needs; key and hash; the row too. */
export type Remember = 'overlap' | 'keys' | 'rows';

export interface PolledTableSettings extends PollTableOptions {
  readonly everyMs: number;
  /** How often the keys are compared; null: never. */
  readonly sweepMs: number | null;
  readonly remember: Remember;
}

export interface PollReaderOptions {
  readonly settingsOf: (id: TableId) => PolledTableSettings;
  /** So long rows may come late beside what the server tells of running transactions: clocks, and what it hides. */
  readonly overlapMs: number;
  /** Rows of one statement at most. */
  readonly batchRows: number;
  /** File of the local row state, made when it is needed, and its greatest size. */
  readonly statePath: string;
  readonly stateLimitBytes: number;
  readonly onGap: 'resnapshot' | 'fail' | 'skip_with_marker';
  /** Whether the log could be read instead, where that is to be preferred; null: it is not. */
  readonly logIsReadable: ((signal: AbortSignal) => Promise<boolean>) | null;
  /** Whether tables are read from their beginning when they are new. */
  readonly snapshots: boolean;
  readonly clocks: PollClocks;
}

/** Our own, in milliseconds: the source's clock is measured by them. */
export interface PollClocks {
  /** Since the epoch. */
  readonly wall: () => number;
  /** Only goes forward, from wherever the process began. */
  readonly steady: () => number;
}
