/** The records of a table in Protobuf, compiled per table version. Message layout: src/schema/protobuf-schema.ts. */
import { type Image, valuesOf } from '../../model/raw-row.ts';
import type { Row } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import { sourceIn } from '../../schema/table-form.ts';
import { type BinaryField, type RecordPrefixes, writeFields } from './binary-fields.ts';
import { BinaryWriter } from './binary-writer.ts';
import { BlockCache } from './block-cache.ts';
import type { Envelope, Header, TableEncoder } from './encoder.ts';
import { notedHeaders } from './json-form.ts';
import { columnField, jsonField, LENGTH, tag, VARINT } from './protobuf-fields.ts';
import type { RowForm } from './row-fields.ts';

/** One record at a time is under way in the process. */
const keys = new BinaryWriter(1024);
const values = new BinaryWriter(16 * 1024);

/** Numbers of the envelope's fields. */
const BEFORE = 1;
const AFTER = 2;
const SOURCE = 3;
const TRANSACTION = 4;
const OP = 5;
const TS_MS = 6;
const TS_US = 7;
const TS_NS = 8;

/** What `key`, `value` and `row` return lies in a buffer of the process and is good until the next call. */
export class ProtobufTableEncoder implements TableEncoder {
  readonly #form: RowForm;
  readonly #prefixes: RecordPrefixes;
  readonly #row: readonly BinaryField[];
  readonly #key: readonly BinaryField[];
  readonly #source: BlockCache;
  /** ts_ms, ts_us and ts_ns of the last record: neighbours share them. */
  #times: Buffer = Buffer.alloc(0);
  #timeUs = NaN;

  constructor(form: RowForm, prefixes: RecordPrefixes, profile: Profile) {
    this.#form = form;
    this.#prefixes = prefixes;
    this.#row = form.row.map((field, i) => columnField(field, i + 1, profile));
    this.#key = form.key.map((field, i) => columnField(field, i + 1, profile));
    const blocks = sourceIn(form.form.envelope).fields ?? [];
    this.#source = new BlockCache(blocks.map(({ schema }, i) => jsonField(schema, i + 1, 'source')));
  }

  key(row: Image): Uint8Array | null {
    if (this.#key.length === 0) return null;
    keys.begin();
    keys.bytes(this.#prefixes.key);
    writeFields(this.#key, valuesOf(row), keys);
    return keys.end();
  }

  value(envelope: Envelope): Uint8Array {
    const out = values;
    out.begin();
    out.bytes(this.#prefixes.value);
    if (envelope.before !== null) this.#image(BEFORE, valuesOf(envelope.before), out);
    if (envelope.after !== null) this.#image(AFTER, valuesOf(envelope.after), out);
    tag(SOURCE, LENGTH, out);
    const source = out.at;
    this.#source.write(envelope.sourceValues, out);
    out.prefix(source);
    const { place } = envelope;
    if (place !== null) {
      tag(TRANSACTION, LENGTH, out);
      const start = out.at;
      tag(1, LENGTH, out);
      out.string(place.id, 0);
      tag(2, VARINT, out);
      out.varint(place.totalOrder);
      tag(3, VARINT, out);
      out.varint(place.collectionOrder);
      out.prefix(start);
    }
    tag(OP, LENGTH, out);
    out.byte(1);
    out.byte(envelope.op.charCodeAt(0));
    if (envelope.timeUs !== this.#timeUs) this.#keepTimes(envelope.timeUs);
    out.bytes(this.#times);
    return out.end();
  }

  row(row: Image): Uint8Array {
    values.begin();
    values.bytes(this.#prefixes.value);
    writeFields(this.#row, valuesOf(row), values);
    return values.end();
  }

  takeHeaders(): readonly Header[] | null {
    return notedHeaders(this.#form.notes);
  }

  #image(number: number, row: Row, out: BinaryWriter): void {
    tag(number, LENGTH, out);
    const start = out.at;
    writeFields(this.#row, row, out);
    out.prefix(start);
  }

  #keepTimes(timeUs: number): void {
    const out = new BinaryWriter(64);
    tag(TS_MS, VARINT, out);
    out.varint(Math.floor(timeUs / 1000));
    tag(TS_US, VARINT, out);
    out.varint(timeUs);
    tag(TS_NS, VARINT, out);
    out.varintBig(BigInt(timeUs) * 1000n);
    this.#times = out.copyFrom(0);
    this.#timeUs = timeUs;
  }
}
