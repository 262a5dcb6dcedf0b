/** The records of a table in Avro binary, compiled per table version. */
import { type Image, valuesOf } from '../../model/raw-row.ts';
import type { Row } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import { sourceIn } from '../../schema/table-form.ts';
import { columnField, FIRST, jsonWriter, SECOND } from './avro-fields.ts';
import { type BinaryField, type RecordPrefixes, writeFields } from './binary-fields.ts';
import { BinaryWriter } from './binary-writer.ts';
import { BlockCache } from './block-cache.ts';
import type { Envelope, Header, TableEncoder } from './encoder.ts';
import { notedHeaders } from './json-form.ts';
import type { RowForm } from './row-fields.ts';

/** One record at a time is under way in the process. */
const keys = new BinaryWriter(1024);
const values = new BinaryWriter(16 * 1024);

/** What `key`, `value` and `row` return lies in a buffer of the process and is good until the next call. */
export class AvroTableEncoder implements TableEncoder {
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
    this.#row = form.row.map((field) => columnField(field, profile));
    this.#key = form.key.map((field) => columnField(field, profile));
    const blocks = sourceIn(form.form.envelope).fields ?? [];
    this.#source = new BlockCache(blocks.map(({ schema }) => jsonWriter(schema, 'source')));
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
    this.#image(valuesOf(envelope.before), out);
    this.#image(valuesOf(envelope.after), out);
    this.#source.write(envelope.sourceValues, out);
    const { place } = envelope;
    if (place === null) {
      out.byte(FIRST);
    } else {
      out.byte(SECOND);
      out.string(place.id, 1);
      out.zigzag(place.totalOrder);
      out.zigzag(place.collectionOrder);
    }
    out.byte(2); // a string of one byte
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

  #image(row: Row | null, out: BinaryWriter): void {
    if (row === null) {
      out.byte(FIRST);
      return;
    }
    out.byte(SECOND);
    writeFields(this.#row, row, out);
  }

  #keepTimes(timeUs: number): void {
    const out = new BinaryWriter(64);
    out.begin();
    out.byte(SECOND);
    out.zigzag(Math.floor(timeUs / 1000));
    out.byte(SECOND);
    out.zigzag(timeUs);
    out.byte(SECOND);
    out.zigzagBig(BigInt(timeUs) * 1000n);
    this.#times = out.copyFrom(0);
    this.#timeUs = timeUs;
  }
}
