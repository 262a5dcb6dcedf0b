/**
 * JSON, bare (`json`) or as `{"schema","payload"}` (`json-with-schema`, Connect's JsonConverter). Everything
 * that doesn't change between rows is text made once per table version.
 */
import { type Image, valuesOf } from '../../model/raw-row.ts';
import type { Row, Value } from '../../model/value.ts';
import { type ConnectSchema, renderConnectSchema } from '../../schema/connect-schema.ts';
import type {
  Encoding,
  Envelope,
  Header,
  StructEncoder,
  TableEncoder,
  TableEncoderOptions,
} from './encoder.ts';
import { JsonBytesEncoder } from './json-bytes.ts';
import {
  type FieldWriter,
  type JsonForm,
  jsonForm,
  type JsonOptions,
  notedHeaders,
  timesText,
} from './json-form.ts';

/** Needs no registry, so its encoders are there at once. */
export interface JsonEncoding extends Encoding {
  table(options: TableEncoderOptions): TableEncoder;
  struct(schema: ConnectSchema): StructEncoder;
}

/** JSON, with a schema around each payload where the options ask for it. */
export function jsonEncoding(options: JsonOptions): JsonEncoding {
  return {
    profile: options.profile,
    blocks: options.rows === 'bytes' ? 'bytes' : 'text',
    table: (table) => {
      const form = jsonForm(table, options);
      return options.rows === 'bytes'
        ? new JsonBytesEncoder(form, table.writeSource)
        : new JsonTableEncoder(form);
    },
    struct: (schema) => (options.withSchema && options.registered !== true ? new Wrapped(schema) : BARE),
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

class JsonTableEncoder implements TableEncoder {
  readonly #form: JsonForm;
  readonly #times: (timeUs: number) => string;

  constructor(form: JsonForm) {
    this.#form = form;
    this.#times = timesText(form.close);
  }

  key(row: Image): string | null {
    const { key, keyOpen, close } = this.#form;
    return key.length === 0 ? null : keyOpen + writeFields(key, valuesOf(row)) + close;
  }

  value(envelope: Envelope): string {
    const { row, valueOpen } = this.#form;
    const before = valuesOf(envelope.before);
    const after = valuesOf(envelope.after);
    return (
      valueOpen +
      '{"before":' +
      (before === null ? 'null' : writeFields(row, before)) +
      ',"after":' +
      (after === null ? 'null' : writeFields(row, after)) +
      ',"source":' +
      envelope.source +
      ',"transaction":' +
      envelope.transaction +
      ',"op":"' +
      envelope.op +
      this.#times(envelope.timeUs)
    );
  }

  row(row: Image): string {
    const { row: writers, rowOpen, close } = this.#form;
    return rowOpen + writeFields(writers, valuesOf(row)) + close;
  }

  takeHeaders(): readonly Header[] | null {
    return notedHeaders(this.#form.notes);
  }
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
