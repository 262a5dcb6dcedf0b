/** Rows of a query's result → records of its topic. */
import type { Sink, SinkRecord } from '../../emitter/sink.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { renderAvroSchema } from '../../schema/avro-schema.ts';
import { registeredPrefix } from '../../schema/registry/record-prefix.ts';
import type { SqlColumn } from '../sources/captured-source.ts';
import type { Sinkable, StreamSource } from '../sources/catalog.ts';
import { avroSchema } from '../formats/avro-writer.ts';
import type { Format } from '../formats/format.ts';
import { partWriter, type WritePart, type WrittenColumn } from '../formats/part-writer.ts';
import type { SchemaWriter } from '../formats/registry-access.ts';
import type { SqlValue } from '../sql/value.ts';
import type { Spelling } from '../formats/value-json.ts';

/** How records are written. */
export interface RecordForm extends Omit<Sinkable, 'timestamp' | 'onError' | 'wish'> {
  /** Left out, or null, where a record has the time of its row. */
  readonly timestamp?: Sinkable['timestamp'];
}

/**
 * Registers the schemas of the topic's records where they have any. `schemas` is null without a registry. Throws
 * `enrich.schema-refused`, `enrich.schema-refused-stop`, `registry.…`. `json`: as the sink takes it.
 */
export async function recordWriter(
  { columns, keyOrder }: Pick<StreamSource, 'columns' | 'keyOrder'>,
  form: RecordForm,
  schemas: SchemaWriter | null,
  json: Sink['json'] = 'text',
): Promise<RecordWriter> {
  const keys = writtenColumns(columns, keyOrder, form);
  const valueOrder = [...columns.keys()].filter((index) => columns[index]?.key === false);
  const values = writtenColumns(columns, valueOrder, form);
  const [only] = keys;
  const key: PartForm =
    only === undefined
      ? { part: 'key', format: 'NONE', bare: false }
      : { part: 'key', format: form.keyFormat, bare: keys.length === 1 };
  const bare = !form.wrapSingleValue && values.length === 1;
  const value: PartForm = { part: 'value', format: form.valueFormat, bare };
  return new RecordWriter(form.timestamp ?? null, {
    key: await writerOf(keys, key, { form, schemas, json }),
    keyIndex: key.bare ? (only?.index ?? null) : null,
    value: await writerOf(values, value, { form, schemas, json }),
  });
}

interface PartForm {
  readonly part: 'key' | 'value';
  readonly format: Format;
  readonly bare: boolean;
}

interface FormContext {
  readonly form: RecordForm;
  readonly schemas: SchemaWriter | null;
  readonly json: Sink['json'];
}

async function writerOf(
  columns: readonly WrittenColumn[],
  { part, format, bare }: PartForm,
  { form, schemas, json }: FormContext,
): Promise<WritePart> {
  const { topic, delimiter, schemaNames } = form;
  const spelling = spellingOf(form);
  const options = { format, delimiter, bare, spelling, json };
  if (format !== 'AVRO') return partWriter(columns, { ...options, prefix: null });
  if (schemas === null) throw new TypeError('AVRO needs a registry.');
  const name = schemaNames[part];
  const text = renderAvroSchema(avroSchema(columns, { name, bare, spelling }));
  const schema = { type: 'AVRO', text, references: [], name } as const;
  const id = await schemas.id({ topic, part }, schema).catch((error: unknown) => {
    throw refusedSchema(topic, error);
  });
  return partWriter(columns, { ...options, prefix: registeredPrefix(id) });
}

/** What is a table's matter elsewhere is a statement's here. */
function refusedSchema(topic: string, error: unknown): unknown {
  if (!(error instanceof HeadwaterError) || !error.code.startsWith('schema.')) return error;
  return new HeadwaterError(
    error.entry.fate === 'quarantine' ? 'enrich.schema-refused' : 'enrich.schema-refused-stop',
    `The results of a statement cannot be written to ${topic}: ${error.message}`,
    { details: { ...error.details, topic }, cause: error },
  );
}

function spellingOf({ fieldCase }: RecordForm): Spelling {
  return fieldCase === 'LOWER' ? (name) => name.toLowerCase() : (name) => name;
}

function writtenColumns(
  columns: readonly SqlColumn[],
  order: readonly number[],
  { fieldCase }: RecordForm,
): readonly WrittenColumn[] {
  return order.flatMap((index) => {
    const column = columns[index];
    return column === undefined ? [] : [{ index, type: column.type, label: spelled(column, fieldCase) }];
  });
}

interface Parts {
  readonly key: WritePart;
  /** Of a single key column: where it is NULL there is no key. */
  readonly keyIndex: number | null;
  readonly value: WritePart;
}

/** The name of a column's field. */
export function spelled(
  { name, spelling }: Pick<SqlColumn, 'name' | 'spelling'>,
  fieldCase: Sinkable['fieldCase'],
): string {
  if (fieldCase === 'SOURCE') return spelling;
  return fieldCase === 'LOWER' ? name.toLowerCase() : name;
}

export class RecordWriter {
  readonly #parts: Parts;
  readonly #timestamp: Sinkable['timestamp'];

  constructor(timestamp: Sinkable['timestamp'], parts: Parts) {
    this.#timestamp = timestamp;
    this.#parts = parts;
  }

  /**
   * Fills the record; `row` null is a record without value, whose key is `keyed`'s. Bytes are valid until the next call.
   * False where the column that TIMESTAMP names holds no time, and the record has that of its event.
   */
  write(
    record: SinkRecord,
    row: readonly SqlValue[] | null,
    { keyed, timeMs, window }: RecordContext,
  ): boolean {
    const { key: writeKey, keyIndex, value: writeValue } = this.#parts;
    const key = keyIndex !== null && (keyed[keyIndex] ?? null) === null ? null : writeKey(keyed);
    record.key = window === null || key === null ? key : windowedKey(key, window);
    record.value = row === null ? null : writeValue(row);
    record.timestamp = timeMs;
    const timestamp = this.#timestamp;
    if (timestamp === null || row === null) return true;
    const own = row[timestamp.index] ?? null;
    const time = own === null ? null : timestamp.read(own);
    // Kafka's times begin in 1970, and so do windows.
    if (time === null || time < 0) return false;
    record.timestamp = time;
    return true;
  }
}

export interface RecordContext {
  /** The row whose key it is. */
  readonly keyed: readonly SqlValue[];
  readonly timeMs: number;
  /** Null without a window. */
  readonly window: RecordWindow | null;
}

export interface RecordWindow {
  readonly start: number;
  readonly end: number;
  readonly session: boolean;
}

/** As Kafka Streams' serializers of windows: behind the key stands the start, of a session its end and start. */
function windowedKey(key: string | Uint8Array, { start, end, session }: RecordWindow): Uint8Array {
  const bytes = Buffer.from(key);
  const windowed = Buffer.alloc(bytes.length + (session ? 16 : 8), bytes);
  let at = bytes.length;
  if (session) at = windowed.writeBigInt64BE(BigInt(end), at);
  windowed.writeBigInt64BE(BigInt(start), at);
  return windowed;
}
