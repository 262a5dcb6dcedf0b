/**
 * The peer: Debezium's connectors in Kafka Connect standalone, both from Maven Central.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { randomInt } from 'node:crypto';
import type { Contender, RunSpec } from './contender.ts';
import { startProcess } from './daemon-process.ts';
import { PROJECT_ROOT } from './headwater.ts';
import { DEFAULT_HEAP, JVM_FLAGS } from './jvm.ts';
import type { Product } from './source.ts';

export const CONNECT_VERSION = '4.3.1';
/** The newest that resolve. */
export const DEBEZIUM_VERSIONS: Readonly<Record<Product, string>> = {
  postgres: '3.7.0.Final',
  mysql: '3.6.1.Final',
  mariadb: '3.5.0.Final',
};

export type PeerName = 'default' | 'tuned' | 'small' | 'poll5';

export interface PeerFiles {
  /** Directory with Kafka Connect's jars. */
  readonly connect: string;
  /** Connect's `plugin.path`. */
  readonly plugins: string;
}

/** Downloads the peer once, into .cache. Needs Java 17 and Maven. */
export async function preparePeer(product: Product): Promise<PeerFiles> {
  const cache = join(PROJECT_ROOT, '.cache', 'bench');
  await mkdir(cache, { recursive: true });
  const connect = join(cache, `connect-${CONNECT_VERSION}`);
  await once(connect, async (directory) => {
    await maven(
      `-Dkafka.version=${CONNECT_VERSION}`,
      'dependency:copy-dependencies',
      `-DoutputDirectory=${directory}`,
      '-DincludeScope=runtime',
    );
  });
  const version = DEBEZIUM_VERSIONS[product];
  const plugins = join(cache, `debezium-${product}-${version}`);
  await once(plugins, async (directory) => {
    const artifact = `io.debezium:debezium-connector-${product}:${version}:tar.gz:plugin`;
    const download = `${directory}-download`;
    await maven('dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${download}`);
    const [archive] = await readdir(download);
    if (archive === undefined) throw new Error(`Maven downloaded nothing for ${artifact}`);
    await mkdir(directory, { recursive: true });
    await run('tar', ['-xzf', join(download, archive), '-C', directory]);
    await rm(download, { recursive: true });
  });
  return { connect, plugins };
}

export function debezium(name: PeerName, files: PeerFiles): Contender {
  const { heap, worker, connector, says } = VARIANTS[name];
  return {
    name: `Debezium ${name}`,
    ours: false,
    slug: `dbz_${name}`,
    settings: says,
    start: (spec) => {
      mkdirSync(spec.directory, { recursive: true });
      const workerFile = join(spec.directory, 'worker.properties');
      const connectorFile = join(spec.directory, 'connector.properties');
      const logging = join(spec.directory, 'log4j2.properties');
      writeFileSync(workerFile, properties({ ...workerSettings(spec, files), ...worker }));
      writeFileSync(connectorFile, properties({ ...connectorSettings(spec), ...connector }));
      writeFileSync(logging, LOG4J);
      return startProcess({
        file: 'java',
        args: [
          ...heap,
          ...JVM_FLAGS,
          `-Dlog4j2.configurationFile=${logging}`,
          '-cp',
          join(files.connect, '*'),
          'org.apache.kafka.connect.cli.ConnectStandalone',
          workerFile,
          connectorFile,
        ],
        log: join(spec.directory, 'connect.log'),
        cwd: spec.directory,
      });
    },
  };
}

interface Variant {
  readonly heap: readonly string[];
  readonly worker: Readonly<Record<string, string>>;
  readonly connector: Readonly<Record<string, string>>;
  readonly says: string;
}

const TUNED = {
  worker: {
    'producer.compression.type': 'lz4',
    'producer.linger.ms': '50',
    'producer.batch.size': String(256 * 1024),
  },
  connector: { 'max.batch.size': '8192', 'max.queue.size': '32768' },
};

const VARIANTS: Readonly<Record<PeerName, Variant>> = {
  default: {
    heap: DEFAULT_HEAP,
    worker: {},
    connector: {},
    says: 'JSON without schemas, everything else as it comes (no compression), heap up to 2 GB',
  },
  tuned: {
    heap: DEFAULT_HEAP,
    ...TUNED,
    says: 'JSON without schemas, lz4, max.batch.size 8192, max.queue.size 32768, linger 50 ms, batches of 256 KB, heap up to 2 GB',
  },
  small: {
    heap: ['-Xms64M', '-Xmx384M'],
    ...TUNED,
    says: 'as tuned, with -Xmx384M',
  },
  poll5: {
    heap: DEFAULT_HEAP,
    worker: { 'producer.compression.type': 'lz4' },
    connector: { 'poll.interval.ms': '5' },
    says: 'JSON without schemas, lz4, poll.interval.ms 5',
  },
};

function workerSettings({ broker, directory }: RunSpec, { plugins }: PeerFiles): Record<string, string> {
  return {
    'bootstrap.servers': broker,
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'key.converter.schemas.enable': 'false',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter.schemas.enable': 'false',
    'offset.storage.file.filename': join(directory, 'connect.offsets'),
    'plugin.path': plugins,
    'plugin.discovery': 'service_load',
    listeners: 'http://127.0.0.1:0',
  };
}

function connectorSettings({ id, source, snapshot, directory }: RunSpec): Record<string, string> {
  const url = new URL(source.databaseUrl);
  return {
    name: id,
    'tasks.max': '1',
    'database.hostname': url.hostname,
    'database.port': url.port,
    'database.user': decodeURIComponent(url.username),
    'database.password': decodeURIComponent(url.password),
    'topic.prefix': id,
    'table.include.list': `${source.schema}.orders`,
    'snapshot.mode': snapshot ? 'initial' : 'no_data',
    ...(source.product === 'postgres' ? postgresSettings(id, url) : mysqlSettings(source.product, directory)),
  };
}

function postgresSettings(id: string, url: URL): Record<string, string> {
  return {
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'database.dbname': url.pathname.slice(1),
    'plugin.name': 'pgoutput',
    'slot.name': id,
    'publication.name': id,
    'publication.autocreate.mode': 'filtered',
  };
}

function mysqlSettings(product: 'mysql' | 'mariadb', directory: string): Record<string, string> {
  return {
    ...(product === 'mysql'
      ? { 'connector.class': 'io.debezium.connector.mysql.MySqlConnector', 'database.ssl.mode': 'disabled' }
      : {
          'connector.class': 'io.debezium.connector.mariadb.MariaDbConnector',
          'database.ssl.mode': 'disable',
        }),
    'database.server.id': String(randomInt(10_000, 1_000_000)),
    'schema.history.internal': 'io.debezium.storage.file.history.FileSchemaHistory',
    'schema.history.internal.file.filename': join(directory, 'schema-history'),
    'schema.history.internal.store.only.captured.tables.ddl': 'true',
  };
}

function properties(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('');
}

const LOG4J = `appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1} %m%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
`;

const run = promisify(execFile);

/** Fills a directory under another name first, so that a download cut short is not taken for a whole one. */
async function once(directory: string, fill: (directory: string) => Promise<void>): Promise<void> {
  if (existsSync(directory)) return;
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  await fill(partial);
  await rename(partial, directory);
}

async function maven(...goal: readonly string[]): Promise<void> {
  await run('mvn', ['-q', '-B', '-f', join(import.meta.dirname, 'peer', 'pom.xml'), ...goal]);
}
