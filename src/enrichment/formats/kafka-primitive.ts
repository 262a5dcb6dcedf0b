/** Single values as Kafka's own serializers write them. */
import { Utf8Writer } from '../../emitter/encoders/utf8-writer.ts';
import type { SqlType } from '../sql/sql-type.ts';
import { bigintValue, type SqlValue } from '../sql/value.ts';

/** Whether Kafka's serializers have a form for values of that type. */
export function isKafkaType(type: SqlType): boolean {
  return ['INTEGER', 'BIGINT', 'DOUBLE', 'STRING'].includes(type.kind);
}

/** As IntegerSerializer, LongSerializer, DoubleSerializer and StringSerializer; bytes are valid until the next call. */
export function kafkaWriter(type: SqlType): (value: SqlValue) => Uint8Array {
  switch (type.kind) {
    case 'INTEGER': {
      const bytes = Buffer.alloc(4);
      return (value) => {
        bytes.writeInt32BE(Number(value));
        return bytes;
      };
    }
    case 'BIGINT': {
      const bytes = Buffer.alloc(8);
      return (value) => {
        bytes.writeBigInt64BE(BigInt(value as number | bigint));
        return bytes;
      };
    }
    case 'DOUBLE': {
      const bytes = Buffer.alloc(8);
      return (value) => {
        bytes.writeDoubleBE(Number(value));
        return bytes;
      };
    }
    default: {
      const out = new Utf8Writer(64);
      return (value) => {
        out.begin();
        out.text(value as string);
        return out.end();
      };
    }
  }
}

/** Undefined where the bytes are no value of that type. */
export function kafkaValue(type: SqlType, bytes: Uint8Array): SqlValue | undefined {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type.kind) {
    case 'INTEGER':
      return buffer.length === 4 ? buffer.readInt32BE() : undefined;
    case 'BIGINT':
      return buffer.length === 8 ? (bigintValue(buffer.readBigInt64BE()) ?? undefined) : undefined;
    case 'DOUBLE':
      return buffer.length === 8 ? buffer.readDoubleBE() : undefined;
    case 'STRING':
      return buffer.utf8Slice(0, buffer.length);
    default:
      return undefined;
  }
}
