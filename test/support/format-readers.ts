/** Readers of the formats that nobody here wrote: avsc, protobufjs, ajv and JSON.parse. */
import { Ajv } from 'ajv';
import protobuf from 'protobufjs';
import { parseExact } from '../../src/emitter/encoders/connect-json.ts';
import type { ConnectSchema } from '../../src/schema/connect-schema.ts';
import { avscType, type Tree, treeOfAvro, treeOfJson, treeOfProtobuf } from './connect-trees.ts';

/** What a record holds behind magic byte and id, read with nothing but the registered text. */
export function readerOf(
  format: 'avro' | 'protobuf' | 'json-schema',
  text: string,
  schema: ConnectSchema,
): (bytes: Buffer) => Tree {
  switch (format) {
    case 'avro': {
      const type = avscType(text);
      return (bytes) => treeOfAvro(schema, type.fromBuffer(bytes));
    }
    case 'protobuf': {
      const type = protobufType(text, schema.name ?? '');
      return (bytes) => {
        // Which message of the file: the first.
        if (bytes[0] !== 0) throw new Error(`message index ${bytes[0]}`);
        const message = type.decode(bytes.subarray(1));
        return treeOfProtobuf(schema, type.toObject(message, { longs: String, arrays: true, objects: true }));
      };
    }
    case 'json-schema': {
      const validate = new Ajv({ strict: false }).compile(JSON.parse(text) as object);
      return (bytes) => {
        const json = bytes.toString();
        // What JSON has no number for is a string, here as in Confluent's converter.
        const special = /"(?:NaN|-?Infinity)"/.test(json);
        if (!special && !validate(JSON.parse(json))) throw new Error(JSON.stringify(validate.errors));
        return treeOfJson(schema, parseExact(json));
      };
    }
  }
}

export const CONFLUENT_DECIMAL = `syntax = "proto3"; package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`;

function protobufType(text: string, name: string): protobuf.Type {
  const root = new protobuf.Root();
  protobuf.parse(CONFLUENT_DECIMAL, root, { keepCase: true });
  protobuf.parse(text, root, { keepCase: true });
  return root.resolveAll().lookupType(name);
}
