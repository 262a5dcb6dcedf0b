/** The schema registry as statements need it: schemas of records that are read, and ids for those that are written. */
import type { NamedSchema, SchemaPlace, SchemaText } from '../../schema/registry/named-schema.ts';
import { type AvroNames, AvroSchemaError, type AvroType, parseAvro } from './avro-type.ts';

export interface SchemaReader {
  /** Null where the registry has none of that id. */
  byId(id: number, signal: AbortSignal): Promise<SchemaText | null>;
  /** The latest version of a subject; null where there is none. */
  latest(subject: string, signal: AbortSignal): Promise<SchemaText | null>;
  version(subject: string, version: number, signal: AbortSignal): Promise<SchemaText | null>;
}

/** Where schemas of results get their ids. */
export interface SchemaWriter {
  /** Registers the schema where it is new. Throws `schema.…`, `registry.…`. */
  id(place: SchemaPlace, schema: NamedSchema): Promise<number>;
  /** New ids since the last call, to be made durable with the records. */
  takeChanged(): ReadonlyMap<string, string | null> | undefined;
}

export interface RegistryAccess {
  readonly reader: SchemaReader;
  /** `known`: the durable state of the producer that the records go with. */
  writer(known: ReadonlyMap<string, string>, signal: AbortSignal): SchemaWriter;
  /** Deletes the schemas of a topic that is gone, where they are registered under its name. Throws `registry.…`. */
  forget(place: SchemaPlace, signal: AbortSignal): Promise<void>;
}

/** References to references end somewhere. */
const MOST_REFERENCES = 100;

/** The schema with all that it refers to. Throws AvroSchemaError where it is none of Avro. */
export async function wholeAvro(
  schema: SchemaText,
  reader: SchemaReader,
  signal: AbortSignal,
): Promise<AvroType> {
  const names: AvroNames = new Map();
  const seen = new Set<string>();
  const whole = async (each: SchemaText): Promise<AvroType> => {
    if (each.type !== 'AVRO') throw new AvroSchemaError(`it is one of ${each.type}`);
    for (const { subject, version } of each.references) {
      const place = `${subject} ${version}`;
      if (seen.has(place)) continue;
      if (seen.add(place).size > MOST_REFERENCES) throw new AvroSchemaError('it refers to too many others');
      const referred = await reader.version(subject, version, signal);
      if (referred === null)
        throw new AvroSchemaError(`it refers to version ${version} of ${subject}, which is not there`);
      await whole(referred);
    }
    return parseAvro(each.text, names);
  };
  return await whole(schema);
}
