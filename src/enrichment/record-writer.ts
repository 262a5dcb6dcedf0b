/** Rows of a query's result → records of its topic. */
import type { SinkRecord } from '../emitter/sink.ts';
import type { SqlColumn } from './captured-source.ts';
import type { Sinkable } from './catalog.ts';
import { kafkaBytes } from './formats/kafka-primitive.ts';
import { type SqlType, STRING } from './sql/sql-type.ts';
import type { SqlValue } from './sql/value.ts';
import { type JsonWriter, jsonWriter, type Spelling } from './value-json.ts';

interface Field {
  readonly index: number;
  readonly lead: string;
  readonly write: JsonWriter;
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
  readonly #value: readonly Field[];
  readonly #key: readonly Field[];
  readonly #keyTypes: readonly SqlType[];
  readonly #sink: Sinkable;
  readonly #bare: boolean;

  constructor(columns: readonly SqlColumn[], sink: Sinkable) {
    const spelling: Spelling = sink.fieldCase === 'LOWER' ? (name) => name.toLowerCase() : (name) => name;
    const fields = columns.map((column, index) => ({
      key: column.key,
      type: column.type,
      index,
      label: JSON.stringify(spelled(column, sink.fieldCase)),
      write: jsonWriter(column.type, spelling),
    }));
    const lead = ({ index, label, write }: (typeof fields)[number], i: number): Field => ({
      index,
      lead: `${i === 0 ? '{' : ','}${label}:`,
      write,
    });
    const keys = fields.filter(({ key }) => key);
    this.#key = keys.map(lead);
    this.#keyTypes = keys.map(({ type }) => type);
    this.#value = fields.filter(({ key }) => !key).map(lead);
    this.#sink = sink;
    this.#bare = !sink.wrapSingleValue && this.#value.length === 1;
  }

  /**
   * Fills the record; `row` null is a record without value, whose key is `keyed`'s.
   */
  write(record: SinkRecord, row: readonly SqlValue[] | null, { keyed, timeMs, window }: RecordContext): void {
    const key = this.#keyOf(keyed);
    record.key = window === null || key === null ? key : windowedKey(key, window);
    record.value = row === null ? null : this.#valueOf(row);
    const { timestampColumn } = this.#sink;
    const own = timestampColumn === null || row === null ? null : row[timestampColumn];
    record.timestamp = own == null ? timeMs : Number(own);
  }

  #valueOf(row: readonly SqlValue[]): string {
    const [only] = this.#value;
    if (this.#bare && only !== undefined) return only.write(row[only.index] ?? null);
    return object(this.#value, row);
  }

  #keyOf(row: readonly SqlValue[]): string | Uint8Array | null {
    const [first] = this.#key;
    if (first === undefined || this.#sink.keyFormat === 'NONE') return null;
    if (this.#key.length > 1) return object(this.#key, row);
    const value = row[first.index] ?? null;
    if (value === null) return null;
    return this.#sink.keyFormat === 'KAFKA'
      ? kafkaBytes(this.#keyTypes[0] ?? STRING, value)
      : first.write(value);
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

function object(fields: readonly Field[], row: readonly SqlValue[]): string {
  if (fields.length === 0) return '{}';
  let text = '';
  for (const { index, lead, write } of fields) text += lead + write(row[index] ?? null);
  return `${text}}`;
}
