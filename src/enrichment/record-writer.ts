/** Rows of a query's result → records of its topic. */
import type { SinkRecord } from '../emitter/sink.ts';
import { renderAvroSchema } from '../schema/avro-schema.ts';
import { registeredPrefix } from '../schema/registry/record-prefix.ts';
import type { SqlColumn } from './captured-source.ts';
import type { Sinkable } from './catalog.ts';
import { avroSchema } from './formats/avro-writer.ts';
import { partWriter, type PartOptions, type WritePart, type WrittenColumn } from './formats/part-writer.ts';
import type { SchemaWriter } from './formats/registry-access.ts';
import type { SqlValue } from './sql/value.ts';
import type { Spelling } from './value-json.ts';

/** How records are written. */
export interface RecordForm extends Omit<Sinkable, 'timestamp' | 'onError' | 'wish'> {
  /** Left out, or null, where a record has the time of its row. */
  readonly timestamp?: Sinkable['timestamp'];
}

/** Registers the schemas of the topic's records where they have any. `schemas` is null without a registry. */
export async function recordWriter(
  columns: readonly SqlColumn[],
  sink: RecordForm,
  schemas: SchemaWriter | null,
): Promise<RecordWriter> {
  const spelling = spellingOf(sink);
  const written = (key: boolean): readonly WrittenColumn[] => writtenColumns(columns, sink, key);
  const options = async (part: 'key' | 'value'): Promise<PartOptions> => {
    const format = part === 'key' ? sink.keyFormat : sink.valueFormat;
    const own = written(part === 'key');
    const bare = part === 'key' ? own.length === 1 : !sink.wrapSingleValue && own.length === 1;
    let prefix: Uint8Array | null = null;
    if (format === 'AVRO' && own.length > 0) {
      if (schemas === null) throw new TypeError('AVRO needs a registry.');
      const name = sink.schemaNames[part];
      const text = renderAvroSchema(avroSchema(own, { name, bare, spelling }));
      prefix = registeredPrefix(
        await schemas.id({ topic: sink.topic, part }, { type: 'AVRO', text, references: [], name }),
      );
    }
    return {
      format: own.length === 0 && part === 'key' ? 'NONE' : format,
      delimiter: sink.delimiter,
      bare,
      spelling,
      prefix,
    };
  };
  const [key, value] = [await options('key'), await options('value')];
  return new RecordWriter(sink.timestamp ?? null, {
    key: partWriter(written(true), key),
    /** A record without key columns that are set has no key. */
    keyIndex: written(true).length === 1 ? (written(true)[0]?.index ?? null) : null,
    value: partWriter(written(false), value),
  });
}

function spellingOf({ fieldCase }: RecordForm): Spelling {
  return fieldCase === 'LOWER' ? (name) => name.toLowerCase() : (name) => name;
}

function writtenColumns(
  columns: readonly SqlColumn[],
  sink: RecordForm,
  ofKey: boolean,
): readonly WrittenColumn[] {
  const spelling = spellingOf(sink);
  return columns.flatMap(({ name, spelling: own, type, key }, index) =>
    key === ofKey ? [{ index, type, label: sink.fieldCase === 'SOURCE' ? own : spelling(name) }] : [],
  );
}

interface Parts {
  readonly key: WritePart;
  /** Of a single key column: where it is NULL there is no key. */
  readonly keyIndex: number | null;
  readonly value: WritePart;
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
   */
  write(record: SinkRecord, row: readonly SqlValue[] | null, { keyed, timeMs, window }: RecordContext): void {
    const { key: writeKey, keyIndex, value: writeValue } = this.#parts;
    const key = keyIndex !== null && (keyed[keyIndex] ?? null) === null ? null : writeKey(keyed);
    record.key = window === null || key === null ? key : windowedKey(key, window);
    record.value = row === null ? null : writeValue(row);
    const timestamp = this.#timestamp;
    const own = timestamp === null || row === null ? null : (row[timestamp.index] ?? null);
    record.timestamp = own === null ? timeMs : (timestamp?.read(own) ?? timeMs);
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
