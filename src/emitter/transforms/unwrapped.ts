/**
 * Records that are the row alone, with what else of the envelope is asked for: as fields `__name` behind the
 * row's own, or as headers of the same name. As Debezium's ExtractNewRecordState has them.
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Column, ColumnType } from '../../model/table.ts';
import type { Row, Value } from '../../model/value.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';
import type { BlockValue } from '../../schema/source-block.ts';
import type { Envelope, Header } from '../encoders/encoder.ts';

export interface UnwrappedOptions {
  /**
   * A delete is a record without value, nothing at all, or the old row with `__deleted` `"true"` (all others have
   * `"false"` then).
   */
  readonly deletes: 'tombstone' | 'drop' | 'rewrite';
  /** `op`, `ts_ms`, or a field of the source block: `table`, or `source.ts_ms`. */
  readonly fields: readonly string[];
  readonly headers: readonly string[];
}

/** What an envelope's fields are read from. */
export interface EnvelopeParts {
  readonly op: Envelope['op'];
  readonly sourceValues: readonly BlockValue[];
  /** Microseconds since the epoch. */
  readonly timeUs: number;
}

interface Field {
  readonly name: string;
  readonly type: ColumnType;
  readonly read: (parts: EnvelopeParts) => Value;
}

/** The fields of the envelope that stand in unwrapped rows, and in their headers. */
export class UnwrappedFields {
  readonly #fields: readonly Field[];
  readonly #headers: readonly Field[];

  constructor({ deletes, fields, headers }: UnwrappedOptions, source: ConnectSchema) {
    this.#fields = [
      ...(deletes === 'rewrite' ? [DELETED] : []),
      ...fields.map((name) => envelopeField(name, source)),
    ];
    this.#headers = headers.map((name) => envelopeField(name, source));
  }

  get columns(): readonly Column[] {
    return this.#fields.map(({ name, type }) => ({
      name,
      type,
      nullable: true,
      default: undefined,
      nativeType: type.kind,
      length: null,
      scale: null,
    }));
  }

  /** Whether the parts of an envelope are asked for at all. */
  get any(): boolean {
    return this.#fields.length > 0 || this.#headers.length > 0;
  }

  extend(row: Row, parts: EnvelopeParts): Row {
    if (this.#fields.length === 0) return row;
    const extended = row.slice();
    for (const field of this.#fields) extended.push(field.read(parts));
    return extended;
  }

  headers(parts: EnvelopeParts): readonly Header[] {
    return this.#headers.map(({ name, read }) => [name, String(read(parts) ?? '')]);
  }
}

const DELETED: Field = {
  name: '__deleted',
  type: { kind: 'string' },
  read: ({ op }) => (op === 'd' ? 'true' : 'false'),
};

function envelopeField(asked: string, source: ConnectSchema): Field {
  switch (asked) {
    case 'op':
      return { name: '__op', type: { kind: 'string' }, read: ({ op }) => op };
    case 'ts_ms':
      return { name: '__ts_ms', type: { kind: 'int64' }, read: ({ timeUs }) => Math.floor(timeUs / 1000) };
    case 'ts_us':
      return { name: '__ts_us', type: { kind: 'int64' }, read: ({ timeUs }) => timeUs };
    case 'ts_ns':
      return { name: '__ts_ns', type: { kind: 'int64' }, read: ({ timeUs }) => BigInt(timeUs) * 1000n };
  }
  const fields = source.fields ?? [];
  const name = asked.replace(/^source\./, '');
  const index = fields.findIndex(({ field }) => field === name);
  const field = fields[index];
  if (field === undefined) {
    throw new HeadwaterError(
      'settings.invalid',
      `emit.unwrapped asks for ${asked}, which is none of op, ts_ms, ts_us, ts_ns and ${fields.map((each) => each.field).join(', ')}.`,
    );
  }
  return {
    name: `__${asked.replaceAll('.', '_')}`,
    type: { kind: columnKind(field.schema.type) },
    read: ({ sourceValues }) => sourceValues[index] ?? null,
  };
}

/** Blocks hold scalars alone. */
function columnKind(type: ConnectSchema['type']): 'boolean' | 'int32' | 'int64' | 'string' {
  switch (type) {
    case 'boolean':
    case 'int32':
    case 'int64':
      return type;
    default:
      return 'string';
  }
}
