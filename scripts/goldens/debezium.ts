/**
 * A real Debezium 3.2.0.Final in Kafka Connect standalone, as the recorder runs it. Needs Java 17, and Maven once.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debeziumPlugin, startConnectWorker } from '../../src/local-servers/connect.ts';
import type { GoldenProduct } from './source.ts';

const DEBEZIUM_VERSION = '3.2.0.Final';

export interface RecorderConnector {
  readonly product: GoldenProduct;
  readonly prefix: string;
  readonly databaseUrl: string;
  /** Over the settings below. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface RunningConnect extends AsyncDisposable {
  /** Throws with what the log says, once a connector has failed. */
  check(): Promise<void>;
}

/** Resolves when the worker runs; its connectors take their snapshots then. */
export async function startConnect(
  brokers: string,
  connectors: readonly RecorderConnector[],
): Promise<RunningConnect> {
  const products = [...new Set(connectors.map(({ product }) => product))];
  const scratch = await mkdtemp(join(tmpdir(), 'headwater-record-'));
  const worker = await startConnectWorker({
    brokers,
    plugins: await Promise.all(products.map((product) => debeziumPlugin(product, DEBEZIUM_VERSION))),
    discovery: 'service_load',
    connectors: connectors.map((connector) => connectorSettings(connector, scratch)),
  });
  return {
    async check() {
      const log = await readFile(worker.logFile, 'utf8');
      const at = log.search(/^\S+ \S+ ERROR /m);
      if (at !== -1) throw new Error(`Debezium failed:\n${log.slice(at, at + 6000)}`);
    },
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

function connectorSettings(connector: RecorderConnector, scratch: string): Record<string, string> {
  const url = new URL(connector.databaseUrl);
  return {
    name: connector.prefix,
    'tasks.max': '1',
    'database.hostname': url.hostname,
    'database.port': url.port,
    'database.user': decodeURIComponent(url.username),
    'database.password': decodeURIComponent(url.password),
    'topic.prefix': connector.prefix,
    'snapshot.mode': 'initial',
    'provide.transaction.metadata': 'true',
    'skipped.operations': 'none',
    'heartbeat.interval.ms': '500',
    'topic.creation.default.partitions': '1',
    'topic.creation.default.replication.factor': '1',
    // Headers as JSON: Connect's own default prints a struct with toString.
    'header.converter': 'org.apache.kafka.connect.json.JsonConverter',
    ...(connector.product === 'postgres'
      ? postgresSettings(url)
      : mysqlSettings(connector.product, join(scratch, `${connector.prefix}.history`))),
    ...connector.settings,
  };
}

function postgresSettings(url: URL): Record<string, string> {
  return {
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'database.dbname': url.pathname.slice(1),
    'plugin.name': 'pgoutput',
    'publication.autocreate.mode': 'disabled',
  };
}

function mysqlSettings(product: 'mysql' | 'mariadb', historyFile: string): Record<string, string> {
  const name = product === 'mysql' ? 'mysql.MySqlConnector' : 'mariadb.MariaDbConnector';
  return {
    'connector.class': `io.debezium.connector.${name}`,
    'database.server.id': String(randomInt(10_000, 1_000_000)),
    'include.query': 'true',
    'schema.history.internal': 'io.debezium.storage.file.history.FileSchemaHistory',
    'schema.history.internal.file.filename': historyFile,
    // The server may have no TLS.
    'database.ssl.mode': product === 'mysql' ? 'disabled' : 'disable',
  };
}
