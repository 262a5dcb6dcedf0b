/**
 * A real Debezium 3.2.0.Final in Kafka Connect standalone, as the recorder runs it. Needs Java 17, and Maven once.
 */
import { debeziumPlugin, type RunningConnect, startConnectWorker } from '../../src/local-servers/connect.ts';

export const DEBEZIUM_VERSION = '3.2.0.Final';

export interface RecorderConnector {
  readonly prefix: string;
  readonly databaseUrl: string;
  readonly slot: string;
  readonly publication: string;
  /** Over the settings below. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Resolves when the worker runs; its connectors take their snapshots then. */
export async function startConnect(
  brokers: string,
  connectors: readonly RecorderConnector[],
): Promise<RunningConnect> {
  return startConnectWorker({
    brokers,
    plugins: [await debeziumPlugin('postgres', DEBEZIUM_VERSION)],
    discovery: 'service_load',
    connectors: connectors.map(connectorSettings),
  });
}

function connectorSettings(connector: RecorderConnector): Record<string, string> {
  const url = new URL(connector.databaseUrl);
  return {
    name: connector.prefix,
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'tasks.max': '1',
    'database.hostname': url.hostname,
    'database.port': url.port,
    'database.user': decodeURIComponent(url.username),
    'database.password': decodeURIComponent(url.password),
    'database.dbname': url.pathname.slice(1),
    'topic.prefix': connector.prefix,
    'plugin.name': 'pgoutput',
    'slot.name': connector.slot,
    'publication.name': connector.publication,
    'publication.autocreate.mode': 'disabled',
    'snapshot.mode': 'initial',
    'provide.transaction.metadata': 'true',
    'skipped.operations': 'none',
    'heartbeat.interval.ms': '500',
    'topic.creation.default.partitions': '1',
    'topic.creation.default.replication.factor': '1',
    // Headers as JSON: Connect's own default prints a struct with toString.
    'header.converter': 'org.apache.kafka.connect.json.JsonConverter',
    ...connector.settings,
  };
}
