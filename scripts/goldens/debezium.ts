/**
 * A real Debezium 3.2.0.Final in Kafka Connect standalone, as the recorder runs it. Needs Java 17, and Maven once.
 */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cached } from '../../src/local-servers/cache.ts';
import { fetchJars, KAFKA_VERSION } from '../../src/local-servers/downloads.ts';
import { freePort, run, startServerProcess } from '../../src/local-servers/processes.ts';

export const DEBEZIUM_VERSION = '3.2.0.Final';
const LOG4J_VERSION = '2.24.3';

export interface RecorderConnector {
  readonly prefix: string;
  readonly databaseUrl: string;
  readonly slot: string;
  readonly publication: string;
  /** Over the settings below. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface RunningConnect extends AsyncDisposable {
  readonly logFile: string;
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
  const plugins = await cached(`debezium-postgres-${DEBEZIUM_VERSION}`, fetchPlugin);
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
    'plugin.path': plugins,
    'plugin.discovery': 'service_load',
    listeners: `http://127.0.0.1:${await freePort()}`,
  });
  const files = [];
  for (const connector of connectors) {
    files.push(await file(`${connector.prefix}.properties`, connectorSettings(connector)));
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
    logFile,
    async [Symbol.asyncDispose]() {
      await server.stop('SIGTERM');
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

async function fetchPlugin(dir: string): Promise<void> {
  await run('mvn', [
    '-q',
    '-B',
    'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy',
    `-Dartifact=io.debezium:debezium-connector-postgres:${DEBEZIUM_VERSION}:tar.gz:plugin`,
    `-DoutputDirectory=${dir}`,
  ]);
  const archive = (await readdir(dir)).find((name) => name.endsWith('.tar.gz'));
  if (archive === undefined) throw new Error('Maven left no archive of the Debezium connector.');
  await run('tar', ['-xzf', join(dir, archive), '-C', dir]);
  await rm(join(dir, archive));
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
