/** The formats whose schemas lie in a registry: each record begins with a zero byte and its schema's id. */
import type { Profile } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';
import { renderAvroSchema } from '../../schema/avro-schema.ts';
import type { NamedSchema, SchemaPlace } from '../../schema/registry/named-schema.ts';
import { adjustNames, checkNames, type NameAdjustment } from '../../schema/schema-names.ts';
import { AvroStructEncoder, AvroTableEncoder } from './avro.ts';
import type { Encoding, TableEncoderOptions } from './encoder.ts';
import { rowForm } from './row-fields.ts';

export interface RegisteredOptions {
  readonly format: 'avro';
  readonly profile: Profile;
  readonly names: NameAdjustment;
  /** The id of a schema in the registry. */
  readonly idOf: (place: SchemaPlace, schema: NamedSchema) => Promise<number>;
}

export function registeredEncoding(options: RegisteredOptions): Encoding {
  switch (options.format) {
    case 'avro':
      return avroEncoding(options);
  }
}

/** The magic byte, and the id as four bytes, most significant first. */
export function registeredPrefix(id: number): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(id, 1);
  return prefix;
}

const NOTHING = Buffer.alloc(0);

function avroEncoding({ profile, names, idOf }: RegisteredOptions): Encoding {
  const prefix = async (place: SchemaPlace, schema: ConnectSchema): Promise<Buffer> => {
    checkNames(schema, 'Avro');
    const text = renderAvroSchema(schema);
    const id = await idOf(place, { type: 'AVRO', text, references: [], name: schema.name ?? '' });
    return registeredPrefix(id);
  };
  return {
    profile,
    blocks: 'values',
    async table(table: TableEncoderOptions) {
      const { topic, envelope } = table;
      const form = rowForm(table, { profile, names });
      const { key, row, envelope: full } = form.form;
      const value = envelope === 'full' ? full : { ...row, optional: false };
      const prefixes = {
        key: key === null ? NOTHING : await prefix({ topic, part: 'key' }, key),
        value: await prefix({ topic, part: 'value' }, value),
      };
      return new AvroTableEncoder(form, prefixes, profile);
    },
    async struct(schema, place) {
      const adjusted = adjustNames(schema, names);
      return new AvroStructEncoder(adjusted, await prefix(place, adjusted));
    },
  };
}
