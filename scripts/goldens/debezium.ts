/**
 * A real Debezium 3.2.0.Final in Kafka Connect standalone, as the recorder runs it. Needs Java 17, and Maven once.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cached } from '../../src/local-servers/cache.ts';
import { fetchJars, KAFKA_VERSION } from '../../src/local-servers/downloads.ts';
import { freePort, run, startServerProcess } from '../../src/local-servers/processes.ts';
import type { GoldenProduct } from './source.ts';

export const DEBEZIUM_VERSION = '3.2.0.Final';
const LOG4J_VERSION = '2.24.3';

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
  const libraries = await cached(`connect-${KAFKA_VERSION}`, (dir) =>
    fetchJars(dir, [
      `org.apache.kafka:connect-runtime:${KAFKA_VERSION}`,
      `org.apache.kafka:connect-json:${KAFKA_VERSION}`,
      `org.apache.kafka:connect-transforms:${KAFKA_VERSION}`,
      `org.apache.logging.log4j:log4j-slf4j-impl:${LOG4J_VERSION}`,
      `org.apache.logging.log4j:log4j-core:${LOG4J_VERSION}`,
    ]),
  );
  const products = new Set(connectors.map(({ product }) => product));
  const plugins = await Promise.all(
    [...products].map((product) =>
      cached(`debezium-${product}-${DEBEZIUM_VERSION}`, (dir) => fetchPlugin(product, dir)),
    ),
  );
  const scratch = await mkdtemp(join(tmpdir(), 'headwater-record-'));
  const file = async (name: string, settings: Readonly<Record<string, string>>): Promise<string> => {
    const path = join(scratch, name);
    await writeFile(
      path,
      Object.entries(settings)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    );
    return path;
  };
  const worker = await file('worker.properties', {
    'bootstrap.servers': brokers,
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'offset.storage.file.filename': join(scratch, 'offsets'),
    'plugin.path': plugins.join(','),
    'plugin.discovery': 'service_load',
    listeners: `http://127.0.0.1:${await freePort()}`,
  });
  const files = [];
  for (const connector of connectors) {
    files.push(await file(`${connector.prefix}.properties`, connectorSettings(connector, scratch)));
  }
  const logging = await file('log4j2.properties', {
    'appender.out.type': 'Console',
    'appender.out.name': 'out',
    'appender.out.layout.type': 'PatternLayout',
    'appender.out.layout.pattern': '%d %p %c{1} %m%n',
    'rootLogger.level': 'info',
    'rootLogger.appenderRef.out.ref': 'out',
  });
  const logFile = join(scratch, 'connect.log');
  const server = startServerProcess({
    command: 'java',
    args: [
      '-Xmx512M',
      `-Dlog4j2.configurationFile=${logging}`,
      '-cp',
      join(libraries, '*'),
      'org.apache.kafka.connect.cli.ConnectStandalone',
      worker,
      ...files,
    ],
    cwd: scratch,
    logFile,
    orphanSignal: 'KILL',
    scratchDir: scratch,
  });
  return {
    async check() {
      const log = await readFile(logFile, 'utf8');
      const at = log.search(/^\S+ \S+ ERROR /m);
      if (at !== -1) throw new Error(`Debezium failed:\n${log.slice(at, at + 6000)}`);
    },
    async [Symbol.asyncDispose]() {
      await server.stop('SIGTERM');
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

async function fetchPlugin(product: GoldenProduct, dir: string): Promise<void> {
  await run('mvn', [
    '-q',
    '-B',
    'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy',
    `-Dartifact=io.debezium:debezium-connector-${product}:${DEBEZIUM_VERSION}:tar.gz:plugin`,
    `-DoutputDirectory=${dir}`,
  ]);
  const archive = (await readdir(dir)).find((name) => name.endsWith('.tar.gz'));
  if (archive === undefined) throw new Error('Maven left no archive of the Debezium connector.');
  await run('tar', ['-xzf', join(dir, archive), '-C', dir]);
  await rm(join(dir, archive));
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
