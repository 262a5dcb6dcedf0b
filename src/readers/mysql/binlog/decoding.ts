import type { TableId } from '../../../model/table.ts';
import type { MysqlPosition } from '../position.ts';
import type { QueryEvent } from './events.ts';
import type { TableMap } from './table-map.ts';
import type { TransactionPayload } from './transaction-payload.ts';

export interface DecoderOptions {
  readonly connector: 'mysql' | 'mariadb';
  readonly from: MysqlPosition;
  /** Begin and end of transactions as elements. */
  readonly transactionMarkers: boolean;
  readonly includeQuery: boolean;
  /** Events end in a checksum also before the first format description says so. */
  readonly checksum: boolean;
  isCaptured(id: TableId): boolean;
}

/** When `decode` has enough for one batch, in changes. */
export interface BatchLimits {
  /** At the end of a transaction, or outside of one. */
  readonly soft: number;
  /** Inside of one, unless an earlier batch ended in it: then there is nothing to wait for. */
  readonly hard: number;
}

/** What stopped `decode` before the chunk's end: enough for one batch, or something that takes time. */
export interface Stop {
  /** The frame to go on with. */
  readonly frame: number;
  /** This table must be resolved first (`define`); the frame is its table map again, `body` what stands in it. */
  readonly table: { readonly map: TableMap; readonly body: Buffer } | null;
  /** A statement that may have changed tables; it has been passed. */
  readonly statement: QueryEvent | null;
  /** Events to be decoded before the frame (with `decode` and `inner`). */
  readonly payload: TransactionPayload | null;
}

/** Enough for one batch. */
export const FULL_BATCH = { table: null, statement: null, payload: null } as const;
