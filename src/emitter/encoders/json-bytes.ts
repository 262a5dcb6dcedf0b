/**
 * The same JSON as `json.ts` makes, written as bytes into buffers that are used again: no text is put together
 * per record, which is half of what a record costs. The types that tables mostly consist of are written digit
 * by digit here; all others, and null, placeholders and specials of any type, by the functions for text.
 */
import type { Row, Value } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { Envelope, Header, TableEncoder } from './encoder.ts';
import { type FieldWriter, type JsonForm, notedHeaders, timesText } from './json-form.ts';
import { Utf8Writer } from './utf8-writer.ts';

type WriteField = (value: Value, out: Utf8Writer) => void;

interface Field {
  readonly column: number;
  readonly lead: Buffer;
  readonly write: WriteField;
}

/** One record at a time is under way in the process. */
const keys = new Utf8Writer(1024);
const values = new Utf8Writer(16 * 1024);

const NULL = Buffer.from('null');
const EMPTY = Buffer.from('{}');
const CLOSE = Buffer.from('}');
const AFTER = Buffer.from(',"after":');

export class JsonBytesEncoder implements TableEncoder {
  readonly #form: JsonForm;
  readonly #row: readonly Field[];
  readonly #key: readonly Field[];
  readonly #keyOpen: Buffer;
  readonly #valueOpen: Buffer;
  readonly #rowOpen: Buffer;
  readonly #close: Buffer;
  readonly #times: (timeUs: number) => string;
  /** The end of the last envelope, from `source` on: rows of a snapshot share theirs. */
  #tail = EMPTY;
  #tailSource = '';
  #tailTransaction = '';
  #tailOp = '';
  #tailTimeUs = NaN;

  constructor(form: JsonForm) {
    this.#form = form;
    this.#row = form.row.map((field) => byteField(field, form.profile));
    this.#key = form.key.map((field) => byteField(field, form.profile));
    this.#keyOpen = Buffer.from(form.keyOpen);
    this.#valueOpen = Buffer.from(`${form.valueOpen}{"before":`);
    this.#rowOpen = Buffer.from(form.rowOpen);
    this.#close = Buffer.from(form.close);
    this.#times = timesText(form.close);
  }

  key(row: Row): Uint8Array | null {
    if (this.#key.length === 0) return null;
    keys.begin();
    keys.bytes(this.#keyOpen);
    writeFields(this.#key, row, keys);
    keys.bytes(this.#close);
    return keys.end();
  }

  value(envelope: Envelope): Uint8Array {
    const { before, after } = envelope;
    values.begin();
    values.bytes(this.#valueOpen);
    if (before === null) values.bytes(NULL);
    else writeFields(this.#row, before, values);
    values.bytes(AFTER);
    if (after === null) values.bytes(NULL);
    else writeFields(this.#row, after, values);
    this.#writeTail(envelope);
    return values.end();
  }

  #writeTail(envelope: Envelope): void {
    const { source, transaction, op, timeUs } = envelope;
    if (source === this.#tailSource && transaction === this.#tailTransaction) {
      if (op !== this.#tailOp || timeUs !== this.#tailTimeUs) {
        this.#tailOp = op;
        this.#tailTimeUs = timeUs;
        this.#tail = Buffer.from(this.#tailText(envelope));
      }
      values.bytes(this.#tail);
      return;
    }
    this.#tailSource = source;
    this.#tailTransaction = transaction;
    this.#tailOp = '';
    values.text(this.#tailText(envelope));
  }

  #tailText({ source, transaction, op, timeUs }: Envelope): string {
    return ',"source":' + source + ',"transaction":' + transaction + ',"op":"' + op + this.#times(timeUs);
  }

  row(row: Row): Uint8Array {
    values.begin();
    values.bytes(this.#rowOpen);
    writeFields(this.#row, row, values);
    values.bytes(this.#close);
    return values.end();
  }

  takeHeaders(): readonly Header[] | null {
    return notedHeaders(this.#form.notes);
  }
}

function writeFields(fields: readonly Field[], row: Row, out: Utf8Writer): void {
  const count = fields.length;
  if (count === 0) {
    out.bytes(EMPTY);
    return;
  }
  for (let i = 0; i < count; i++) {
    const field = fields[i]!;
    out.bytes(field.lead);
    field.write(row[field.column] as Value, out);
  }
  out.bytes(CLOSE);
}

function byteField({ column, lead, type, write }: FieldWriter, profile: Profile): Field {
  return { column, lead: Buffer.from(lead), write: byteWriter(type, write, profile) };
}

function byteWriter(type: FieldWriter['type'], text: FieldWriter['write'], profile: Profile): WriteField {
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
