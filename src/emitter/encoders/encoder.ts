import type { TableSchema } from '../../model/table.ts';
import type { SnapshotMarker, SourceInfo } from '../../model/change.ts';
import type { Image } from '../../model/raw-row.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';
import type { SchemaPlace } from '../../schema/registry/named-schema.ts';
import type { BlockValue, WriteBlock } from '../../schema/source-block.ts';
import type { SinkRecord } from '../sink.ts';

/** Header of a record: name and value. */
export type Header = NonNullable<SinkRecord['headers']>[number];

/** Where a record stands within its source transaction; Debezium's transaction block. */
export interface TransactionPlace {
  readonly id: string;
  readonly totalOrder: number;
  readonly collectionOrder: number;
}

/** One record's envelope around the row. The emitter reuses the object. */
export interface Envelope {
  op: 'c' | 'u' | 'd' | 'r' | 't';
  before: Image | null;
  after: Image | null;
  /** JSON text of the source block; left empty where the encoding does not take blocks as `text`. */
  source: string;
  /** Values of the source block's fields, in order; left empty where it takes them as `text`. */
  sourceValues: readonly BlockValue[];
  /** What the source block is about; for encodings that take it as `bytes`, by `TableEncoderOptions.writeSource`. */
  at: SourceInfo | null;
  snapshot: SnapshotMarker | null;
  /** JSON text of the transaction block, or `null`; always that where the encoding takes `values`. */
  transaction: string;
  /** The transaction block; always null where the encoding takes `text` or `bytes`. */
  place: TransactionPlace | null;
  /** Microseconds since the epoch: when Headwater made the record. */
  timeUs: number;
}

/**
 * Compiled for one version of one table. Bytes are valid until the next key (a key) or the next value or row
 * (the others) of any encoder: append them to the sink, or copy them.
 */
export interface TableEncoder {
  /** The key of the row; null for a table without a key. */
  key(row: Image): string | Uint8Array | null;
  value(envelope: Envelope): string | Uint8Array;
  /** The row alone, for unwrapped records. */
  row(row: Image): string | Uint8Array;
  /** Headers about what the last `value` or `row` could not say; null mostly. Asking forgets them. */
  takeHeaders(): readonly Header[] | null;
}

export interface TableEncoderOptions {
  readonly table: TableSchema;
  /** Indexes of the key's columns, in order; by settings not always the table's own. */
  readonly key: readonly number[];
  /** Indexes of the columns that rows show; a column of the key is not always one of them. */
  readonly fields: readonly number[];
  readonly topic: string;
  readonly source: ConnectSchema;
  /** Writes the source block of a change; used by encodings that take blocks as `bytes`. */
  readonly writeSource: WriteBlock<SourceInfo>;
  /** What values are: the envelope, or the row alone. */
  readonly envelope: 'full' | 'unwrapped';
}

/** A record that is not a row: transaction metadata, heartbeats, messages. */
export interface StructEncoder {
  /** `payload` is JSON text of a struct of `schema`. */
  encode(payload: string): string | Uint8Array;
}

/** A serialised form of records. */
export interface Encoding {
  readonly profile: Profile;
  /** In which form envelopes carry the source and transaction blocks. */
  readonly blocks: 'text' | 'values' | 'bytes';
  /**
   * A promise where the schemas must be made known to a registry first. Throws codes `schema.…`, of which those
   * with the fate quarantine are about this table alone.
   */
  table(options: TableEncoderOptions): TableEncoder | Promise<TableEncoder>;
  struct(schema: ConnectSchema, place: SchemaPlace): StructEncoder | Promise<StructEncoder>;
  /** What it has to find again after a restart, and became new since the last call. */
  takeState?(): ReadonlyMap<string, string | null> | undefined;
}
