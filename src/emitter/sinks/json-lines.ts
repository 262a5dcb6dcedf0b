import type { SinkRecord } from '../sink.ts';

/**
 * One record a line: `{"topic","key","value","headers","timestamp"}`. Keys and values that are text are JSON
 * already and stand as they are; bytes (Avro, Protobuf) are base64.
 */
export function jsonLine(topicJson: string, record: SinkRecord): string {
  return `{"topic":${topicJson},"key":${body(record.key)},"value":${body(record.value)},"headers":${headers(record)},"timestamp":${record.timestamp}}\n`;
}

function body(value: SinkRecord['value']): string {
  if (value === null) return 'null';
  return typeof value === 'string' ? value : `"${base64(value)}"`;
}

function headers(record: SinkRecord): string {
  if (record.headers === null || record.headers.length === 0) return '{}';
  const parts = record.headers.map(
    ([name, value]) =>
      `${JSON.stringify(name)}:${typeof value === 'string' ? JSON.stringify(value) : `"${base64(value)}"`}`,
  );
  return `{${parts.join(',')}}`;
}

function base64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}
