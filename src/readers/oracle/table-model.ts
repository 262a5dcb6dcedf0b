import type { Column, TableId, TableSchema } from '../../model/table.ts';
import { ABSENT, UNCHANGED, type Value } from '../../model/value.ts';
import { type ColumnDecoder, columnDecoder, type DecoderContext } from './types/column-decoder.ts';
import type { OracleColumn } from './types/column-metadata.ts';
import { defaultValue } from './types/default-value.ts';

/** The shape of a table from one SCN on: plain data, kept in the durable state. */
export interface TableVersion {
  /** As TableSchema.version. */
  readonly version: number;
  /** SCN of the DDL that made it; 0 for the first one known. */
  readonly from: bigint;
  /** What redo without a dictionary calls the table: OBJECT_ID and the DATA_OBJECT_IDs of it and its partitions. */
  readonly objectId: string | null;
  readonly dataObjectIds: readonly string[];
  /** All columns but computed ones in the order of INTERNAL_COLUMN_ID, also those the model leaves out. */
  readonly columns: readonly OracleColumn[];
  /** Names of the key's columns; empty without one. */
  readonly key: readonly string[];
  /** Taken from the catalogue at a later SCN, since the DDL was not understood. */
  readonly approximate: boolean;
}

/** A version with what is needed to read rows. */
export interface TableModel {
  readonly version: TableVersion;
  readonly schema: TableSchema;
  /** One per column of `schema`. */
  readonly decoders: readonly ColumnDecoder[];
  /** Column name → index in `schema`; LEFT_OUT for hidden columns, and those of types that the model leaves out. */
  readonly places: ReadonlyMap<string, number>;
  /** Names of the columns that have bytes in the segment, in its order. */
  readonly stored: readonly string[];
  /** The old row of a statement that mentions no column: one value per column of `schema`. */
  readonly unmentioned: readonly Value[];
}

export const LEFT_OUT = -1;

export function tableModel(id: TableId, version: TableVersion, context: DecoderContext): TableModel {
  const columns: Column[] = [];
  const decoders: ColumnDecoder[] = [];
  const places = new Map<string, number>();
  for (const column of version.columns) {
    const decoder = column.hidden === true ? null : columnDecoder(column, context);
    if (decoder === null) {
      places.set(column.name, LEFT_OUT);
      continue;
    }
    places.set(column.name, columns.length);
    columns.push({
      name: column.name,
      type: decoder.type,
      nullable: column.nullable,
      ...columnDefault(column, decoder),
      nativeType: column.dataType,
      length: column.length ?? column.precision,
      scale: column.scale,
    });
    decoders.push(decoder);
  }
  const key = version.key.map((name) => places.get(name) ?? LEFT_OUT);
  return {
    version,
    schema: { id, version: version.version, columns, key: key.includes(LEFT_OUT) ? [] : key },
    decoders,
    places,
    stored: version.columns.flatMap(({ name, apart }) => (apart === true ? [] : [name])),
    unmentioned: decoders.map(({ large }) => (large ? UNCHANGED : ABSENT)),
  };
}

/** Where a name of SQL_REDO lies; `COL n` is LogMiner's for the nth column of the segment where it has no dictionary. */
export function placeOf({ places, stored }: TableModel, name: string): number | undefined {
  const place = places.get(name);
  if (place !== undefined || !name.startsWith('COL ')) return place;
  const column = stored[Number(name.slice(4)) - 1];
  return column === undefined ? undefined : places.get(column);
}

/** Constants are kept as values; anything else is computed by the database. */
function columnDefault(
  column: OracleColumn,
  decoder: ColumnDecoder,
): { readonly default: Value | undefined; readonly computedDefault?: true } {
  const text = column.default?.trim();
  if (text === undefined || text === '' || /^null$/i.test(text)) return { default: undefined };
  const value = defaultValue(text, decoder);
  if (value !== ABSENT) return { default: value };
  // Debezium has a placeholder for what the database computes only where the column cannot be null.
  return column.nullable ? { default: undefined } : { default: undefined, computedDefault: true };
}
