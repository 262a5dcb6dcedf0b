import type { SinkRecord } from '../../sink.ts';

/**
 * One record a line: `{"topic","key","value","headers","timestamp"}`. Keys and values that are text are JSON
 * already and stand as they are, plain text becomes a JSON string, bytes (Avro, Protobuf) are base64.
 */
export function jsonLine(topicJson: string, record: SinkRecord): string {
  const plain = record.plain === true;
  return `{"topic":${topicJson},"key":${body(record.key, plain)},"value":${body(record.value, plain)},"headers":${headers(record)},"timestamp":${record.timestamp}}\n`;
}

function body(value: SinkRecord['value'], plain: boolean): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return plain ? JSON.stringify(value) : value;
  return `"${base64(value)}"`;
}

function headers(record: SinkRecord): string {
  if (record.headers === null || record.headers.length === 0) return '{}';
  const parts = record.headers.map(
    ([name, value]) =>
      `${JSON.stringify(name)}:${value === null || typeof value === 'string' ? JSON.stringify(value) : `"${base64(value)}"`}`,
  );
  return `{${parts.join(',')}}`;
}

function base64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}
