/**
 * Records that are not rows: transaction boundaries, logical messages, heartbeats. Their schemas are Debezium's
 * (SchemaFactory of 3.2).
 */
import type { MessageChange, SourceInfo, TxMarker } from '../model/change.ts';
import { plainTableName, tableOfName } from '../model/table.ts';
import { type ConnectSchema, INT64, OPTIONAL_INT64, STRING, struct } from '../schema/connect-schema.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import { TRANSACTION_BLOCK } from '../schema/table-form.ts';
import type { Encoding, StructEncoder } from './encoders/encoder.ts';

export interface KeyAndValue {
  readonly key: string | Uint8Array;
  readonly value: string | Uint8Array;
}

const EVENT_COLLECTION = struct({ name: 'event.collection', version: 1, optional: true }, [
  ['data_collection', STRING],
  ['event_count', INT64],
]);

const TRANSACTION_KEY = struct({ name: 'io.debezium.connector.common.TransactionMetadataKey', version: 1 }, [
  ['id', STRING],
]);

const TRANSACTION_VALUE = struct(
  { name: 'io.debezium.connector.common.TransactionMetadataValue', version: 1 },
  [
    ['status', STRING],
    ['id', STRING],
    ['event_count', OPTIONAL_INT64],
    ['data_collections', { type: 'array', optional: true, items: EVENT_COLLECTION }],
    ['ts_ms', INT64],
  ],
);

/** How many changes of each table (`schema.table`) a transaction has had so far. */
export interface TransactionCounts {
  total: number;
  readonly tables: Map<string, number>;
}

export type TransactionRecords<S extends SourceInfo> = (
  marker: TxMarker<S>,
  counts: TransactionCounts,
) => KeyAndValue;

/** The encoders of a side topic's keys and values. */
export async function encodersOf(
  encoding: Encoding,
  topic: string,
  schemas: { readonly key: ConnectSchema; readonly value: ConnectSchema },
): Promise<{ readonly key: StructEncoder; readonly value: StructEncoder }> {
  return {
    key: await encoding.struct(schemas.key, { topic, part: 'key' }),
    value: await encoding.struct(schemas.value, { topic, part: 'value' }),
  };
}

/** Begin and end of transactions (`emit.transaction_metadata`), as Debezium has them. */
export async function transactionRecords<S extends SourceInfo>(
  encoding: Encoding,
  block: SourceBlock<S>,
  topic: string,
): Promise<TransactionRecords<S>> {
  const { key, value } = await encodersOf(encoding, topic, {
    key: TRANSACTION_KEY,
    value: TRANSACTION_VALUE,
  });
  return (marker, counts) => {
    const id = JSON.stringify(block.transactionId(marker.at));
    const ended = marker.kind === 'end';
    const collections = [...counts.tables]
      .map(([table, count]) => `{"data_collection":${JSON.stringify(plain(table))},"event_count":${count}}`)
      .join(',');
    const totals = ended
      ? `"event_count":${counts.total},"data_collections":[${collections}]`
      : '"event_count":null,"data_collections":null';
    return {
      key: key.encode(`{"id":${id}}`),
      value: value.encode(
        `{"status":"${ended ? 'END' : 'BEGIN'}","id":${id},${totals},"ts_ms":${block.commitTimeMs(marker.at)}}`,
      ),
    };
  };
}

/** What is counted: a table, or logical messages. */
function plain(name: string): string {
  const id = tableOfName(name);
  return id === null ? name : plainTableName(id);
}

/** Debezium names these schemas after the connector. */
function messageSchemas(
  connector: string,
  source: ConnectSchema,
): { key: ConnectSchema; value: ConnectSchema } {
  const base = `io.debezium.connector.${connector}`;
  return {
    key: struct({ name: `${base}.MessageKey`, version: 1 }, [['prefix', { type: 'string', optional: true }]]),
    value: struct({ name: `${base}.MessageValue`, version: 1 }, [
      ['op', STRING],
      ['ts_ms', OPTIONAL_INT64],
      ['source', source],
      ['transaction', TRANSACTION_BLOCK],
      [
        'message',
        struct({ name: `${base}.Message`, version: 1 }, [
          ['prefix', { type: 'string', optional: true }],
          ['content', { type: 'bytes', optional: true }],
        ]),
      ],
    ]),
  };
}

export type MessageRecord<S extends SourceInfo> = (
  change: MessageChange<S>,
  transaction: string,
  timeUs: number,
) => KeyAndValue;

/** Logical messages (pg_logical_emit_message), content in base64. */
export async function messageRecords<S extends SourceInfo>(
  encoding: Encoding,
  block: SourceBlock<S>,
  { connector, topic }: { readonly connector: string; readonly topic: string },
): Promise<MessageRecord<S>> {
  const { key, value } = await encodersOf(encoding, topic, messageSchemas(connector, block.schema));
  const source = block.forTable(null);
  return (change, transaction, timeUs) => {
    const prefix = JSON.stringify(change.prefix);
    const content = Buffer.from(change.content).toString('base64');
    return {
      key: key.encode(`{"prefix":${prefix}}`),
      value: value.encode(
        `{"op":"m","ts_ms":${Math.floor(timeUs / 1000)},"source":${source(change.at, null)},"transaction":${transaction},"message":{"prefix":${prefix},"content":"${content}"}}`,
      ),
    };
  };
}

const HEARTBEAT_KEY = struct({ name: 'io.debezium.connector.common.ServerNameKey', version: 1 }, [
  ['serverName', STRING],
]);

const HEARTBEAT_VALUE = struct({ name: 'io.debezium.connector.common.Heartbeat', version: 1 }, [
  ['ts_ms', INT64],
]);

/** The key is always the same; the value has the time in milliseconds. */
export async function heartbeatRecords(
  encoding: Encoding,
  { name, topic }: { readonly name: string; readonly topic: string },
): Promise<(nowMs: number) => KeyAndValue> {
  const { key, value } = await encodersOf(encoding, topic, { key: HEARTBEAT_KEY, value: HEARTBEAT_VALUE });
  const keyText = key.encode(`{"serverName":${JSON.stringify(name)}}`);
  return (nowMs) => ({ key: keyText, value: value.encode(`{"ts_ms":${Math.floor(nowMs)}}`) });
}

const NOTIFICATION_KEY = struct({ name: 'io.debezium.connector.common.NotificationKey', version: 1 }, [
  ['id', STRING],
]);

const NOTIFICATION_VALUE = struct({ name: 'io.debezium.connector.common.Notification', version: 1 }, [
  ['id', STRING],
  ['aggregate_type', STRING],
  ['type', STRING],
  ['additional_data', { type: 'map', optional: true, items: STRING }],
  ['timestamp', INT64],
]);

/** What consumers of the topics must be told beside the records: a gap in the log that was skipped. */
export interface Notification {
  readonly aggregateType: 'Gap';
  readonly type: 'SKIPPED';
  readonly data: Readonly<Record<string, string>>;
}

export type NotificationRecord = (notification: Notification, id: string, nowMs: number) => KeyAndValue;

/** In the shape of Debezium's notification channel for Kafka. */
export async function notificationRecords(encoding: Encoding, topic: string): Promise<NotificationRecord> {
  const { key, value } = await encodersOf(encoding, topic, {
    key: NOTIFICATION_KEY,
    value: NOTIFICATION_VALUE,
  });
  return ({ aggregateType, type, data }, id, nowMs) => {
    const idText = JSON.stringify(id);
    return {
      key: key.encode(`{"id":${idText}}`),
      value: value.encode(
        `{"id":${idText},"aggregate_type":"${aggregateType}","type":"${type}","additional_data":${JSON.stringify(data)},"timestamp":${Math.floor(nowMs)}}`,
      ),
    };
  };
}
