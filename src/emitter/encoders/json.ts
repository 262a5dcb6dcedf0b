/**
 * JSON, bare (`json`) or as `{"schema","payload"}` (`json-with-schema`, Connect's JsonConverter). Everything
 * that doesn't change between rows is text made once per table version.
 */
import type { Column, TableSchema } from '../../model/table.ts';
import type { Row, Value } from '../../model/value.ts';
import { isOptional, type Profile, typeSchema } from '../../schema/column-schema.ts';
import { type ConnectSchema, renderConnectSchema } from '../../schema/connect-schema.ts';
import { tableForm } from '../../schema/table-form.ts';
import { columnDefaultJson } from './default-json.ts';
import type {
  Encoding,
  Envelope,
  Header,
  StructEncoder,
  TableEncoder,
  TableEncoderOptions,
} from './encoder.ts';
import { absentJson, unavailableJson } from './placeholders.ts';
import { type RowNotes, valueWriter, type WriteValue } from './value-json.ts';

export interface JsonOptions {
  readonly profile: Profile;
  readonly withSchema: boolean;
}

export function jsonEncoding(options: JsonOptions): Encoding {
  return {
    profile: options.profile,
    table: (table) => new JsonTableEncoder(table, options),
    struct: (schema) => (options.withSchema ? new Wrapped(schema) : BARE),
  };
}

const BARE: StructEncoder = { encode: (payload) => payload };

class Wrapped implements StructEncoder {
  readonly #open: string;

  constructor(schema: ConnectSchema) {
    this.#open = `{"schema":${renderConnectSchema(schema)},"payload":`;
  }

  encode(payload: string): string {
    return `${this.#open}${payload}}`;
  }
}

/** Text before a field and the function for its value. */
interface FieldWriter {
  readonly column: number;
  readonly lead: string;
  readonly write: WriteValue;
}

class JsonTableEncoder implements TableEncoder {
  readonly #notes: RowNotes = { absent: null, unavailable: null, special: null };
  readonly #row: readonly FieldWriter[];
  readonly #key: readonly FieldWriter[];
  readonly #keyOpen: string;
  readonly #valueOpen: string;
  readonly #rowOpen: string;
  readonly #close: string;
  #timeUs = NaN;
  #times = '';

  constructor(options: TableEncoderOptions, json: JsonOptions) {
    const { table, key, topic, source } = options;
    const writers = table.columns.map((column, i) =>
      valueWriter(column, {
        profile: json.profile,
        withSchema: json.withSchema,
        required: requiredValue(column, key.includes(i), json),
        unavailable: unavailableJson(column, json.profile),
        notes: this.#notes,
      }),
    );
    const all = table.columns.map((_, i) => i);
    this.#row = fields(table, all, writers);
    this.#key = fields(table, key, writers);
    if (!json.withSchema) {
      this.#keyOpen = this.#valueOpen = this.#rowOpen = this.#close = '';
      return;
    }
    const defaults = table.columns.map((column) => columnDefaultJson(column, json.profile));
    const form = tableForm({ table, key, topic, profile: json.profile, source, defaults });
    this.#keyOpen = form.key === null ? '' : `{"schema":${renderConnectSchema(form.key)},"payload":`;
    this.#valueOpen = `{"schema":${renderConnectSchema(form.envelope)},"payload":`;
    this.#rowOpen = `{"schema":${renderConnectSchema(form.row)},"payload":`;
    this.#close = '}';
  }

  key(row: Row): string | null {
    if (this.#key.length === 0) return null;
    return this.#keyOpen + writeFields(this.#key, row) + this.#close;
  }

  value(envelope: Envelope): string {
    const { before, after, timeUs } = envelope;
    if (timeUs !== this.#timeUs) {
      this.#timeUs = timeUs;
      this.#times = `","ts_ms":${Math.floor(timeUs / 1000)},"ts_us":${timeUs},"ts_ns":${timeUs}000}${this.#close}`;
    }
    return (
      this.#valueOpen +
      '{"before":' +
      (before === null ? 'null' : writeFields(this.#row, before)) +
      ',"after":' +
      (after === null ? 'null' : writeFields(this.#row, after)) +
      ',"source":' +
      envelope.source +
      ',"transaction":' +
      envelope.transaction +
      ',"op":"' +
      envelope.op +
      this.#times
    );
  }

  row(row: Row): string {
    return this.#rowOpen + writeFields(this.#row, row) + this.#close;
  }

  takeHeaders(): readonly Header[] | null {
    const { absent, unavailable, special } = this.#notes;
    if (absent === null && unavailable === null && special === null) return null;
    const headers: Header[] = [];
    if (absent !== null) headers.push(['__headwater.absent', JSON.stringify(absent)]);
    if (unavailable !== null) headers.push(['__headwater.unavailable', JSON.stringify(unavailable)]);
    if (special !== null) headers.push(['__headwater.special', JSON.stringify(special)]);
    this.#notes.absent = null;
    this.#notes.unavailable = null;
    this.#notes.special = null;
    return headers;
  }
}

function fields(
  table: TableSchema,
  columns: readonly number[],
  writers: readonly WriteValue[],
): readonly FieldWriter[] {
  return columns.map((column, i) => ({
    column,
    lead: `${i === 0 ? '{' : ','}${JSON.stringify(table.columns[column]!.name)}:`,
    write: writers[column]!,
  }));
}

function writeFields(writers: readonly FieldWriter[], row: Row): string {
  const count = writers.length;
  if (count === 0) return '{}';
  let text = '';
  for (let i = 0; i < count; i++) {
    const field = writers[i]!;
    text += field.lead + field.write(row[field.column] as Value);
  }
  return text + '}';
}

/** Bare JSON has no schema that would forbid null. Debezium fills in the default where the schema has one. */
function requiredValue(column: Column, inKey: boolean, json: JsonOptions): string | null {
  if (!json.withSchema || isOptional(column, inKey, json.profile)) return null;
  const defaultJson = columnDefaultJson(column, json.profile);
  if (column.type.kind === 'hstore') return '"{}"';
  return defaultJson ?? absentJson(typeSchema(column.type, column.nativeType, json.profile));
}
