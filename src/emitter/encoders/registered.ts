/** The formats whose schemas lie in a registry: each record begins with a zero byte and its schema's id. */
import type { Profile } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';
import { renderAvroSchema } from '../../schema/avro-schema.ts';
import { renderJsonSchema } from '../../schema/json-schema.ts';
import { renderProtobufSchema } from '../../schema/protobuf-schema.ts';
import { registeredPrefix } from '../../schema/registry/record-prefix.ts';
import type { NamedSchema, SchemaPlace, SchemaReference } from '../../schema/registry/named-schema.ts';
import { sourceIn, type TableForm } from '../../schema/table-form.ts';
import { adjustNames, checkNames, type NameAdjustment } from '../../schema/schema-names.ts';
import { AvroTableEncoder } from './avro.ts';
import { jsonWriter } from './avro-fields.ts';
import { type RecordPrefixes, structEncoder } from './binary-fields.ts';
import type { Encoding, TableEncoderOptions } from './encoder.ts';
import { jsonEncoding } from './json.ts';
import { PrefixedTableEncoder } from './prefixed.ts';
import { ProtobufTableEncoder } from './protobuf.ts';
import { structBody } from './protobuf-fields.ts';
import { rowForm, tableFormOf } from './row-fields.ts';

/** Where schemas get their ids. */
export interface SchemaIds {
  /** The id of a schema in the registry, where it is registered if it is new. Throws `schema.…`, `registry.…`. */
  id(place: SchemaPlace, schema: NamedSchema): Promise<number>;
  /** Registers a schema under its own name, for others to refer to. */
  reference(schema: NamedSchema): Promise<SchemaReference>;
  /** New ids since the last call, to be made durable with the records. */
  takeChanged(): ReadonlyMap<string, string | null> | undefined;
}

export interface RegisteredOptions {
  readonly format: 'avro' | 'protobuf' | 'json-schema';
  readonly profile: Profile;
  readonly names: NameAdjustment;
  /** Avro: rows and source blocks are schemas of their own. */
  readonly references: boolean;
  readonly registrar: SchemaIds;
}

/** Encoders come when the registry has given their ids: `table` and `struct` throw `schema.…` and `registry.…`. */
export function registeredEncoding(options: RegisteredOptions): Encoding {
  switch (options.format) {
    case 'avro':
      return avroEncoding(options);
    case 'protobuf':
      return protobufEncoding(options);
    case 'json-schema':
      return jsonSchemaEncoding(options);
  }
}

const NOTHING = Buffer.alloc(0);

function avroEncoding({ profile, names, references, registrar }: RegisteredOptions): Encoding {
  const prefix = async (
    place: SchemaPlace,
    schema: ConnectSchema,
    parts: readonly ConnectSchema[] = [],
  ): Promise<Buffer> => {
    checkNames(schema, 'Avro');
    const referred: SchemaReference[] = [];
    for (const part of parts) {
      const name = part.name ?? '';
      referred.push(
        await registrar.reference({ type: 'AVRO', text: renderAvroSchema(part), references: [], name }),
      );
    }
    const text = renderAvroSchema(schema, new Set(parts.map(({ name }) => name ?? '')));
    const id = await registrar.id(place, {
      type: 'AVRO',
      text,
      references: referred,
      name: schema.name ?? '',
    });
    return registeredPrefix(id);
  };
  return {
    profile,
    blocks: 'values',
    async table(table: TableEncoderOptions) {
      const { topic, envelope } = table;
      const form = rowForm(table, { profile, names });
      const { key, row, envelope: full } = form.form;
      const alone: ConnectSchema = { ...row, optional: false };
      const source = sourceIn(full);
      const place = { topic, part: 'value' } as const;
      const prefixes = {
        key: key === null ? NOTHING : await prefix({ topic, part: 'key' }, key),
        value:
          envelope === 'full'
            ? await prefix(place, full, references ? [alone, source] : [])
            : await prefix(place, alone),
      };
      return new AvroTableEncoder(form, prefixes, profile);
    },
    async struct(schema, place) {
      const adjusted = adjustNames(schema, names);
      return structEncoder(await prefix(place, adjusted), jsonWriter(adjusted, adjusted.name ?? ''));
    },
    takeState: () => registrar.takeChanged(),
  };
}

/** What begins the records of a table, of formats where each schema stands for itself. */
async function prefixesOf(
  prefix: (place: SchemaPlace, schema: ConnectSchema) => Promise<Buffer>,
  { topic, envelope }: TableEncoderOptions,
  form: TableForm,
): Promise<RecordPrefixes> {
  const value = envelope === 'full' ? form.envelope : { ...form.row, optional: false };
  return {
    key: form.key === null ? NOTHING : await prefix({ topic, part: 'key' }, form.key),
    value: await prefix({ topic, part: 'value' }, value),
  };
}

/** Records are in the file's first message. */
const FIRST_MESSAGE = 0;

function protobufEncoding({ profile, names, registrar }: RegisteredOptions): Encoding {
  const prefix = async (place: SchemaPlace, schema: ConnectSchema): Promise<Buffer> => {
    checkNames(schema, 'Protobuf');
    const text = renderProtobufSchema(schema);
    const id = await registrar.id(place, { type: 'PROTOBUF', text, references: [], name: schema.name ?? '' });
    return Buffer.concat([registeredPrefix(id), Buffer.from([FIRST_MESSAGE])]);
  };
  return {
    profile,
    blocks: 'values',
    async table(table: TableEncoderOptions) {
      const form = rowForm(table, { profile, names });
      const prefixes = await prefixesOf(prefix, table, form.form);
      return new ProtobufTableEncoder(form, prefixes, profile);
    },
    async struct(schema, place) {
      const adjusted = adjustNames(schema, names);
      return structEncoder(await prefix(place, adjusted), structBody(adjusted, adjusted.name ?? ''));
    },
    takeState: () => registrar.takeChanged(),
  };
}

function jsonSchemaEncoding({ profile, registrar }: RegisteredOptions): Encoding {
  const prefix = async (place: SchemaPlace, schema: ConnectSchema): Promise<Buffer> => {
    const text = renderJsonSchema(schema);
    const id = await registrar.id(place, { type: 'JSON', text, references: [], name: schema.name ?? '' });
    return registeredPrefix(id);
  };
  const json = jsonEncoding({ profile, withSchema: true, registered: true, rows: 'bytes' });
  return {
    profile,
    blocks: json.blocks,
    async table(table: TableEncoderOptions) {
      // JSON has any name.
      const form = tableFormOf(table, { profile, names: 'none' });
      return new PrefixedTableEncoder(json.table(table), await prefixesOf(prefix, table, form));
    },
    async struct(schema, place) {
      const before = await prefix(place, schema);
      return { encode: (payload) => Buffer.concat([before, Buffer.from(payload)]) };
    },
    takeState: () => registrar.takeChanged(),
  };
}
