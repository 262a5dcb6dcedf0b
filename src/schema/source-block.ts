import type { SnapshotMarker, SourceInfo } from '../model/change.ts';
import type { TableId } from '../model/table.ts';
import { type ConnectSchema, INT64, OPTIONAL_INT64, OPTIONAL_STRING, STRING } from './connect-schema.ts';

/** The Debezium version whose format this is; consumers switch on it. */
export const FORMAT_VERSION = '3.2.0.Final';

const SNAPSHOT_FIELD: ConnectSchema = {
  type: 'string',
  optional: true,
  name: 'io.debezium.data.Enum',
  version: 1,
  parameters: {
    allowed: 'true,first,first_in_data_collection,last_in_data_collection,last,false,incremental',
  },
  defaultJson: '"false"',
};

/** What every source's block begins with (Debezium's AbstractSourceInfoStructMaker). Times are when it happened. */
export const COMMON_FIELDS: readonly (readonly [field: string, schema: ConnectSchema])[] = [
  ['version', STRING],
  ['connector', STRING],
  ['name', STRING],
  ['ts_ms', INT64],
  ['snapshot', SNAPSHOT_FIELD],
  ['db', STRING],
  ['sequence', OPTIONAL_STRING],
  ['ts_us', OPTIONAL_INT64],
  ['ts_ns', OPTIONAL_INT64],
];

/** What a field of the block can hold. Of integers past 2^53 the `bigint`. */
export type BlockValue = null | boolean | number | bigint | string;

/** Where bytes of JSON go. */
export interface BytesOut {
  /** UTF-8, as it is. */
  bytes(bytes: Uint8Array): void;
  text(text: string): void;
  /** A safe integer in decimal. */
  integer(n: number): void;
}

/** Writes the JSON of a change's block. */
export type WriteBlock<S extends SourceInfo> = (
  at: S,
  snapshot: SnapshotMarker | null,
  out: BytesOut,
) => void;

/**
 * How a source writes itself into the envelope's `source` field. Each reader provides one; the emitter knows
 * nothing of log positions beyond it.
 */
export interface SourceBlock<S extends SourceInfo = SourceInfo> {
  readonly schema: ConnectSchema;
  /**
   * JSON text of the block for a change of `table` (null: a change of no table, such as a logical message).
   * The function is made once per table; it may keep what changes only with the transaction.
   */
  forTable(table: TableId | null): (at: S, snapshot: SnapshotMarker | null) => string;
  /**
   * The same for binary formats: the values of `schema.fields`, in their order. The array belongs to the
   * function, which fills it again for the next change: what is the same for two changes should stay the same
   * object, since encoders keep what they made of it.
   */
  valuesForTable(table: TableId | null): (at: S, snapshot: SnapshotMarker | null) => readonly BlockValue[];
  /** The same for formats written as bytes: the JSON text, written. Without it the text is made and written. */
  writerForTable?(table: TableId | null): WriteBlock<S>;
  /** Debezium's transaction id of the change, position included: `txid:lsn`, a GTID, an Oracle xid. */
  transactionId(at: S): string;
  /** Commit time of the change's transaction, milliseconds since the epoch. */
  commitTimeMs(at: S): number;
}
