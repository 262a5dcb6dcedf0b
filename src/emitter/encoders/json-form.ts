/** What both ways of writing JSON share: everything that doesn't change between rows, made once per table version. */
import type { Column, ColumnType, TableSchema } from '../../model/table.ts';
import { isOptional, type Profile, typeSchema } from '../../schema/column-schema.ts';
import { renderConnectSchema } from '../../schema/connect-schema.ts';
import { tableForm } from '../../schema/table-form.ts';
import { columnDefaultJson } from './default-json.ts';
import type { Header, TableEncoderOptions } from './encoder.ts';
import { absentJson, unavailableJson } from './placeholders.ts';
import { type RowNotes, valueWriter } from './value-json.ts';
import type { WriteValue } from './write-value.ts';

export interface JsonOptions {
  readonly profile: Profile;
  /** Records are such as a schema describes: no null where it has none, arrays nested as deep as it says. */
  readonly withSchema: boolean;
  /** The schema lies in a registry, not in the record. */
  readonly registered?: boolean;
  /**
   * `bytes`: keys and values of rows are UTF-8 in buffers that are used again, valid until the encoder's next
   * record; for sinks that take bytes anyway. Otherwise text, the same JSON.
   */
  readonly rows?: 'text' | 'bytes';
}

/** Text before a field and the function for its value. */
export interface FieldWriter {
  readonly column: number;
  readonly type: ColumnType;
  readonly lead: string;
  readonly write: WriteValue;
}

/** What a table's records are made of. */
export interface JsonForm {
  readonly profile: Profile;
  readonly row: readonly FieldWriter[];
  readonly key: readonly FieldWriter[];
  /** What stands before key, envelope and row, and behind each. */
  readonly keyOpen: string;
  readonly valueOpen: string;
  readonly rowOpen: string;
  readonly close: string;
  /** The writers' notes on the record under way. */
  readonly notes: RowNotes;
}

/** What the JSON encoders of one table version have in common. */
export function jsonForm(
  { table, key, fields: shown, topic, source }: TableEncoderOptions,
  json: JsonOptions,
): JsonForm {
  const notes: RowNotes = { absent: null, unavailable: null, special: null };
  const writers = table.columns.map((column, i) =>
    valueWriter(column, {
      profile: json.profile,
      withSchema: json.withSchema,
      optional: isOptional(column, key.includes(i), json.profile),
      required: requiredValue(column, key.includes(i), json),
      unavailable: unavailableJson(column, json.profile),
      notes,
    }),
  );
  const parts = {
    profile: json.profile,
    row: fields(table, shown, writers),
    key: fields(table, key, writers),
    notes,
  };
  if (!json.withSchema || json.registered === true)
    return { ...parts, keyOpen: '', valueOpen: '', rowOpen: '', close: '' };
  const defaults = table.columns.map((column) => columnDefaultJson(column, json.profile));
  const form = tableForm({ table, key, fields: shown, topic, profile: json.profile, source, defaults });
  return {
    ...parts,
    keyOpen: form.key === null ? '' : `{"schema":${renderConnectSchema(form.key)},"payload":`,
    valueOpen: `{"schema":${renderConnectSchema(form.envelope)},"payload":`,
    rowOpen: `{"schema":${renderConnectSchema(form.row)},"payload":`,
    close: '}',
  };
}

/** The end of an envelope from behind its op on; neighbours share it. */
export function timesText(close: string): (timeUs: number) => string {
  let last = NaN;
  let text = '';
  return (timeUs) => {
    if (timeUs !== last) {
      last = timeUs;
      text = `","ts_ms":${Math.floor(timeUs / 1000)},"ts_us":${timeUs},"ts_ns":${timeUs}000}${close}`;
    }
    return text;
  };
}

/** What the notes say, as headers; forgets them. */
export function notedHeaders(notes: RowNotes): readonly Header[] | null {
  const { absent, unavailable, special } = notes;
  if (absent === null && unavailable === null && special === null) return null;
  const headers: Header[] = [];
  if (absent !== null) headers.push(['__headwater.absent', JSON.stringify(absent)]);
  if (unavailable !== null) headers.push(['__headwater.unavailable', JSON.stringify(unavailable)]);
  if (special !== null) headers.push(['__headwater.special', JSON.stringify(special)]);
  notes.absent = null;
  notes.unavailable = null;
  notes.special = null;
  return headers;
}

function fields(
  table: TableSchema,
  columns: readonly number[],
  writers: readonly WriteValue[],
): readonly FieldWriter[] {
  return columns.map((column, i) => ({
    column,
    type: table.columns[column]!.type,
    lead: `${i === 0 ? '{' : ','}${JSON.stringify(table.columns[column]!.name)}:`,
    write: writers[column]!,
  }));
}

/** Bare JSON has no schema that would forbid null. Debezium fills in the default where the schema has one. */
function requiredValue(column: Column, inKey: boolean, json: JsonOptions): string | null {
  if (!json.withSchema || isOptional(column, inKey, json.profile)) return null;
  const defaultJson = columnDefaultJson(column, json.profile);
  if (column.type.kind === 'hstore') return '"{}"';
  return defaultJson ?? absentJson(typeSchema(column.type, json.profile));
}
