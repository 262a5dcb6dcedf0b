/** The Connect schemas of a table's records: row, key, envelope. Made once per table version. */
import type { TableSchema } from '../model/table.ts';
import { isOptional, type Profile, typeSchema } from './column-schema.ts';
import { type ConnectSchema, INT64, OPTIONAL_INT64, STRING, struct } from './connect-schema.ts';

export interface TableForm {
  /** Null for a table without a key. */
  readonly key: ConnectSchema | null;
  /** The row, optional, as `before` and `after` have it. */
  readonly row: ConnectSchema;
  readonly envelope: ConnectSchema;
}

export interface TableFormOptions {
  readonly table: TableSchema;
  /** Indexes into the table's columns; may differ from the table's own key by settings. */
  readonly key: readonly number[];
  /** Indexes of the columns that rows show. */
  readonly fields: readonly number[];
  readonly topic: string;
  readonly profile: Profile;
  readonly source: ConnectSchema;
  /** JSON text of each column's default, undefined where the schema has none. */
  readonly defaults: readonly (string | undefined)[];
}

/** Debezium's block that places a change within its transaction. */
export const TRANSACTION_BLOCK: ConnectSchema = struct({ name: 'event.block', version: 1, optional: true }, [
  ['id', STRING],
  ['total_order', INT64],
  ['data_collection_order', INT64],
]);

/** Names are not adjusted to any format yet. */
export function tableForm(options: TableFormOptions): TableForm {
  const { table, key, fields, topic, profile, defaults } = options;
  const columns = table.columns.map((column, i): readonly [string, ConnectSchema] => {
    const defaultJson = defaults[i];
    return [
      column.name,
      {
        ...typeSchema(column.type, profile),
        optional: isOptional(column, key.includes(i), profile),
        ...(defaultJson === undefined ? {} : { defaultJson }),
      },
    ];
  });
  const row = struct(
    { name: `${topic}.Value`, optional: true },
    fields.map((i) => columns[i]!),
  );
  return {
    key:
      key.length === 0
        ? null
        : struct(
            { name: `${topic}.Key` },
            key.map((i) => columns[i]!),
          ),
    row,
    envelope: envelopeSchema(topic, row, options.source),
  };
}

/** Of an envelope: its source block. */
export function sourceIn(envelope: ConnectSchema): ConnectSchema {
  return envelope.fields!.find(({ field }) => field === 'source')!.schema;
}

function envelopeSchema(topic: string, row: ConnectSchema, source: ConnectSchema): ConnectSchema {
  return struct({ name: `${topic}.Envelope`, version: 2 }, [
    ['before', row],
    ['after', row],
    ['source', source],
    ['transaction', TRANSACTION_BLOCK],
    ['op', STRING],
    ['ts_ms', OPTIONAL_INT64],
    ['ts_us', OPTIONAL_INT64],
    ['ts_ns', OPTIONAL_INT64],
  ]);
}
