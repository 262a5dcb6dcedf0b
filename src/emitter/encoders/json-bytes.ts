/**
 * The same JSON as `json.ts` makes, written as bytes into buffers that are used again: no text is put together
 * per record, which is half of what a record costs. The types that tables mostly consist of are written digit
 * by digit here, from Values or, without making any, from the source's text (model/raw-row.ts); all others, and
 * null, placeholders and specials of any type, by the functions for text.
 */
import type { SnapshotMarker, SourceInfo } from '../../model/change.ts';
import { type Image, RawRow } from '../../model/raw-row.ts';
import type { Row, Value } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { WriteBlock } from '../../schema/source-block.ts';
import type { Envelope, Header, TableEncoder } from './encoder.ts';
import { type FieldWriter, type JsonForm, notedHeaders, timesText } from './json-form.ts';
import { Utf8Writer } from './utf8-writer.ts';

type WriteField = (value: Value, out: Utf8Writer) => void;

/** False, with nothing written, where the Value has to be made first. */
type WriteText = (source: Buffer, from: number, to: number, out: Utf8Writer) => boolean;

interface Field {
  readonly column: number;
  readonly lead: Buffer;
  readonly write: WriteField;
  /** Null where a Value is always made. */
  readonly writeText: WriteText | null;
}

/** One record at a time is under way in the process. */
const keys = new Utf8Writer(1024);
const values = new Utf8Writer(16 * 1024);

const NULL = Buffer.from('null');
const EMPTY = Buffer.from('{}');
const CLOSE = Buffer.from('}');
const AFTER = Buffer.from(',"after":');
const SOURCE = Buffer.from(',"source":');

/** What `key` and `value` return lies in a buffer of the process and is good until the next call. */
export class JsonBytesEncoder implements TableEncoder {
  readonly #form: JsonForm;
  readonly #writeSource: WriteBlock<SourceInfo>;
  readonly #row: readonly Field[];
  readonly #key: readonly Field[];
  readonly #keyOpen: Buffer;
  readonly #valueOpen: Buffer;
  readonly #rowOpen: Buffer;
  readonly #close: Buffer;
  readonly #times: (timeUs: number) => string;
  /** The end of the last envelope, from `source` on: rows of a snapshot share theirs. Null before it was seen twice. */
  #tail: Uint8Array | null = null;
  #tailAt: SourceInfo | null = null;
  #tailSnapshot: SnapshotMarker | null = null;
  /** Its end, from `transaction` on: neighbours share it, whatever their source block. */
  #closing = EMPTY;
  #closingTransaction = '';
  #closingOp = '';
  #closingTimeUs = NaN;

  constructor(form: JsonForm, writeSource: WriteBlock<SourceInfo>) {
    this.#form = form;
    this.#writeSource = writeSource;
    this.#row = form.row.map((field) => byteField(field, form.profile));
    this.#key = form.key.map((field) => byteField(field, form.profile));
    this.#keyOpen = Buffer.from(form.keyOpen);
    this.#valueOpen = Buffer.from(`${form.valueOpen}{"before":`);
    this.#rowOpen = Buffer.from(form.rowOpen);
    this.#close = Buffer.from(form.close);
    this.#times = timesText(form.close);
  }

  key(row: Image): Uint8Array | null {
    if (this.#key.length === 0) return null;
    keys.begin();
    keys.bytes(this.#keyOpen);
    writeImage(this.#key, row, keys);
    keys.bytes(this.#close);
    return keys.end();
  }

  value(envelope: Envelope): Uint8Array {
    const { before, after } = envelope;
    values.begin();
    values.bytes(this.#valueOpen);
    if (before === null) values.bytes(NULL);
    else writeImage(this.#row, before, values);
    values.bytes(AFTER);
    if (after === null) values.bytes(NULL);
    else writeImage(this.#row, after, values);
    this.#writeTail(envelope);
    return values.end();
  }

  #writeTail(envelope: Envelope): void {
    const { at, snapshot } = envelope;
    const same = this.#sameClosing(envelope) && at === this.#tailAt && snapshot === this.#tailSnapshot;
    if (same && this.#tail !== null) {
      values.bytes(this.#tail);
      return;
    }
    const from = values.length;
    values.bytes(SOURCE);
    this.#writeSource(at!, snapshot, values);
    values.bytes(this.#closing);
    this.#tailAt = at;
    this.#tailSnapshot = snapshot;
    this.#tail = same ? values.copyFrom(from) : null;
  }

  /** Whether `#closing` was the envelope's already; else makes it so. */
  #sameClosing({ transaction, op, timeUs }: Envelope): boolean {
    if (
      timeUs === this.#closingTimeUs &&
      op === this.#closingOp &&
      transaction === this.#closingTransaction
    ) {
      return true;
    }
    this.#closingTransaction = transaction;
    this.#closingOp = op;
    this.#closingTimeUs = timeUs;
    this.#closing = Buffer.from(`,"transaction":${transaction},"op":"${op}${this.#times(timeUs)}`);
    return false;
  }

  row(row: Image): Uint8Array {
    values.begin();
    values.bytes(this.#rowOpen);
    writeImage(this.#row, row, values);
    values.bytes(this.#close);
    return values.end();
  }

  takeHeaders(): readonly Header[] | null {
    return notedHeaders(this.#form.notes);
  }
}

function writeImage(fields: readonly Field[], image: Image, out: Utf8Writer): void {
  if (fields.length === 0) {
    out.bytes(EMPTY);
    return;
  }
  if (image instanceof RawRow) writeText(fields, image, out);
  else writeValues(fields, image, out);
  out.bytes(CLOSE);
}

function writeValues(fields: readonly Field[], row: Row, out: Utf8Writer): void {
  const count = fields.length;
  for (let i = 0; i < count; i++) {
    const field = fields[i]!;
    out.bytes(field.lead);
    field.write(row[field.column] as Value, out);
  }
}

function writeText(fields: readonly Field[], row: RawRow, out: Utf8Writer): void {
  const { bytes } = row;
  const cells = row.cells();
  const count = fields.length;
  for (let i = 0; i < count; i++) {
    const { column, lead, write, writeText: direct } = fields[i]!;
    out.bytes(lead);
    const from = cells[2 * column]!;
    const length = cells[2 * column + 1]!;
    if (length < 0 || direct === null || !direct(bytes, from, from + length, out)) {
      write(row.value(column), out);
    }
  }
}

function byteField({ column, lead, type, write }: FieldWriter, profile: Profile): Field {
  return {
    column,
    lead: Buffer.from(lead),
    write: valueWriter(type, write, profile),
    writeText: textWriter(type, profile),
  };
}

function valueWriter(type: FieldWriter['type'], text: FieldWriter['write'], profile: Profile): WriteField {
  switch (type.kind) {
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'year':
      return (v, out) => (typeof v === 'number' ? out.integer(v) : out.text(text(v)));
    case 'string':
    case 'xml':
    case 'enum':
    case 'set':
    case 'ltree':
    case 'tsvector':
      return (v, out) => (typeof v === 'string' ? out.quoted(v) : out.text(text(v)));
    case 'decimal': {
      const { scale } = type;
      if (profile === 'safe' || scale === null) break;
      return (v, out) => {
        if (typeof v !== 'string' || !out.decimal(v, scale)) out.text(text(v));
      };
    }
    case 'timestamp':
      if (type.precision !== null && type.precision > 6) break;
      if (profile === 'safe') return instant(type.precision ?? 6, text);
      if (type.precision !== null && type.precision <= 3) break;
      return (v, out) => (typeof v === 'number' && Number.isFinite(v) ? out.integer(v) : out.text(text(v)));
    case 'timestamptz':
      if (type.precision !== null && type.precision > 6) break;
      return instant(type.precision ?? 6, text);
    default:
  }
  return (v, out) => out.text(text(v));
}

function instant(digits: number, text: FieldWriter['write']): WriteField {
  return (v, out) =>
    typeof v === 'number' && Number.isFinite(v) ? out.instant(v, digits) : out.text(text(v));
}

/** For types whose JSON is, in the usual case, their text or close to it. */
function textWriter(type: FieldWriter['type'], profile: Profile): WriteText | null {
  switch (type.kind) {
    case 'int16':
    case 'int32':
    case 'int64':
      return (source, from, to, out) => out.integerText(source, from, to);
    case 'string':
    case 'xml':
    case 'enum':
    case 'ltree':
    case 'tsvector':
    case 'uuid':
      return (source, from, to, out) => out.quotedText(source, from, to);
    case 'decimal': {
      const { scale } = type;
      if (profile === 'safe' || scale === null) return null;
      return (source, from, to, out) => out.decimalText(source, from, to, scale);
    }
    case 'timestamp': {
      if (profile !== 'safe') return null;
      const form = { digits: type.precision ?? 6, zoned: false };
      return (source, from, to, out) => out.instantText(source, from, to, form);
    }
    case 'timestamptz': {
      const form = { digits: type.precision ?? 6, zoned: true };
      return (source, from, to, out) => out.instantText(source, from, to, form);
    }
    default:
      return null;
  }
}
