import type { Row } from '../../model/value.ts';
import type { RecordPrefixes } from './binary-fields.ts';
import { BinaryWriter } from './binary-writer.ts';
import type { Envelope, Header, TableEncoder } from './encoder.ts';

/** One record at a time is under way in the process. */
const keys = new BinaryWriter(1024);
const values = new BinaryWriter(16 * 1024);

/** Another encoder's records with the schema's id in front of them. */
export class PrefixedTableEncoder implements TableEncoder {
  readonly #inner: TableEncoder;
  readonly #prefixes: RecordPrefixes;

  constructor(inner: TableEncoder, prefixes: RecordPrefixes) {
    this.#inner = inner;
    this.#prefixes = prefixes;
  }

  key(row: Row): Uint8Array | null {
    const key = this.#inner.key(row);
    return key === null ? null : together(this.#prefixes.key, key, keys);
  }

  value(envelope: Envelope): Uint8Array {
    return together(this.#prefixes.value, this.#inner.value(envelope), values);
  }

  row(row: Row): Uint8Array {
    return together(this.#prefixes.value, this.#inner.row(row), values);
  }

  takeHeaders(): readonly Header[] | null {
    return this.#inner.takeHeaders();
  }
}

function together(prefix: Uint8Array, record: string | Uint8Array, out: BinaryWriter): Uint8Array {
  out.begin();
  out.bytes(prefix);
  out.bytes(typeof record === 'string' ? Buffer.from(record) : record);
  return out.end();
}
