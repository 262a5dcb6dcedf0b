/** Reads what was written in the formats of a registry, to files or topics, with schemas asked from it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import avsc from 'avsc';
import protobuf from 'protobufjs';
import type { TestRegistry } from './servers.ts';
import { CONFLUENT_DECIMAL } from './format-readers.ts';

export interface RegisteredRecord {
  readonly topic: string;
  readonly keyId: number | null;
  readonly valueId: number | null;
  readonly key: Plain | null;
  readonly value: Plain | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** Plain objects: what is said of a record in a test is said of these. */
export type Plain = { readonly [field: string]: unknown };

interface Registered {
  readonly schema: string;
  readonly schemaType?: string;
  readonly references?: readonly { readonly subject: string; readonly version: number }[];
}

export async function registeredRecords(
  dir: string,
  registry: Pick<TestRegistry, 'ask'>,
): Promise<readonly RegisteredRecord[]> {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.jsonl')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(dir, name), 'utf8')));
  const lines = texts.flatMap((text) => text.split('\n').slice(0, -1));
  const readBytes = registeredReader(registry);
  const read = async (text: string | null): Promise<{ id: number | null; plain: Plain | null }> => {
    if (text === null) return { id: null, plain: null };
    const bytes = Buffer.from(text, 'base64');
    return { id: bytes.readUInt32BE(1), plain: await readBytes(bytes) };
  };
  const records: RegisteredRecord[] = [];
  for (const line of lines) {
    const { topic, key, value, headers } = JSON.parse(line) as {
      readonly topic: string;
      readonly key: string | null;
      readonly value: string | null;
      readonly headers: Record<string, string>;
    };
    if (topic.endsWith('.dead-letter')) continue;
    const [ofKey, ofValue] = [await read(key), await read(value)];
    records.push({
      topic,
      keyId: ofKey.id,
      valueId: ofValue.id,
      key: ofKey.plain,
      value: ofValue.plain,
      headers,
    });
  }
  return records;
}

/** Reads keys and values with magic byte and id in front. */
function registeredReader(registry: Pick<TestRegistry, 'ask'>): (bytes: Buffer) => Promise<Plain> {
  const readers = new Map<number, (bytes: Buffer) => Plain>();
  return async (bytes) => {
    const id = bytes.readUInt32BE(1);
    let reader = readers.get(id);
    if (reader === undefined) readers.set(id, (reader = await readerFor(id, registry)));
    return reader(bytes.subarray(5));
  };
}

/** The same, without the classes of who read it. */
export function plainReader(
  registry: Pick<TestRegistry, 'ask'>,
): (bytes: Buffer | null) => Promise<Plain | null> {
  const read = registeredReader(registry);
  return async (bytes) => (bytes === null ? null : (JSON.parse(JSON.stringify(await read(bytes))) as Plain));
}

async function readerFor(id: number, registry: Pick<TestRegistry, 'ask'>): Promise<(bytes: Buffer) => Plain> {
  const {
    schema,
    schemaType = 'AVRO',
    references = [],
  } = (await registry.ask(`/schemas/ids/${id}`)) as Registered;
  switch (schemaType) {
    case 'JSON':
      return (bytes) => JSON.parse(bytes.toString()) as Plain;
    case 'PROTOBUF': {
      const root = new protobuf.Root();
      protobuf.parse(CONFLUENT_DECIMAL, root, { keepCase: true });
      protobuf.parse(schema, root, { keepCase: true });
      root.resolveAll();
      const name = /^package ([\w.]+);/m.exec(schema)![1]!;
      const message = /^message (\w+)/m.exec(schema)![1]!;
      const type = root.lookupType(`${name}.${message}`);
      return (bytes) => type.toObject(type.decode(bytes.subarray(1)), { longs: Number, bytes: String });
    }
    default: {
      const known: { [name: string]: avsc.Type } = { long: LONG };
      for (const { subject, version } of references) {
        const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`;
        const referred = (await registry.ask(path)) as Registered;
        avsc.Type.forSchema(JSON.parse(referred.schema) as avsc.Schema, { registry: known, typeHook });
      }
      const type = avsc.Type.forSchema(JSON.parse(schema) as avsc.Schema, {
        registry: known,
        wrapUnions: 'never',
        typeHook,
      });
      return (bytes) => type.fromBuffer(bytes) as Plain;
    }
  }
}

/** ts_ns is past what avsc reads by itself. */
const LONG = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => Number(buffer.readBigInt64LE()),
  toBuffer: () => Buffer.alloc(8),
  fromJSON: Number,
  toJSON: Number,
  isValid: (n: unknown) => typeof n === 'number',
  compare: (a: number, b: number) => a - b,
});

/** Also where it has properties. */
function typeHook(of: avsc.Schema): avsc.Type | undefined {
  return typeof of === 'object' && 'type' in of && of.type === 'long' ? LONG : undefined;
}
