/** Kafka Connect standalone, with whatever connectors: the other programs that records are made or read by. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { fetchFile, fetchJars, KAFKA_VERSION } from './downloads.ts';
import { requireJava } from './java.ts';
import { freePort, run, startServerProcess } from './processes.ts';

const LOG4J_VERSION = '2.24.3';

export interface ConnectOptions {
  readonly brokers: string;
  /** Directories of connectors. */
  readonly plugins: readonly string[];
  /** `service_load` needs plugins that declare themselves; `hybrid_warn` also looks through their classes. */
  readonly discovery: 'service_load' | 'hybrid_warn';
  /** Properties of each connector, `name` among them. */
  readonly connectors: readonly Readonly<Record<string, string>>[];
}

export interface RunningConnect extends AsyncDisposable {
  readonly logFile: string;
}

/** Resolves when the worker is started; its connectors take up their work by and by. Throws ServerUnavailable. */
export async function startConnectWorker(options: ConnectOptions): Promise<RunningConnect> {
  await requireJava('Kafka Connect');
  const libraries = await cached(`connect-${KAFKA_VERSION}`, (dir) =>
    fetchJars(dir, [
      `org.apache.kafka:connect-runtime:${KAFKA_VERSION}`,
      `org.apache.kafka:connect-json:${KAFKA_VERSION}`,
      `org.apache.kafka:connect-transforms:${KAFKA_VERSION}`,
      `org.apache.logging.log4j:log4j-slf4j-impl:${LOG4J_VERSION}`,
      `org.apache.logging.log4j:log4j-core:${LOG4J_VERSION}`,
    ]),
  );
  const scratch = await mkdtemp(join(tmpdir(), 'headwater-connect-'));
  const file = async (name: string, settings: Readonly<Record<string, string>>): Promise<string> => {
    const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
    await writeFile(join(scratch, name), lines.join(''));
    return join(scratch, name);
  };
  const worker = await file('worker.properties', {
    'bootstrap.servers': options.brokers,
    'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
    'offset.storage.file.filename': join(scratch, 'offsets'),
    'plugin.path': options.plugins.join(','),
    'plugin.discovery': options.discovery,
    listeners: `http://127.0.0.1:${await freePort()}`,
  });
  const files: string[] = [];
  for (const [i, connector] of options.connectors.entries())
    files.push(await file(`${i}.properties`, connector));
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

/** A directory with a Debezium connector's plugin: `postgres` at 3.2.0.Final, `jdbc` at 3.6.0.Final. */
export async function debeziumPlugin(name: string, version: string, signal?: AbortSignal): Promise<string> {
  return cached(
    `debezium-${name}-${version}`,
    async (dir) => {
      const archive = await fetchFile(
        dir,
        `io.debezium:debezium-connector-${name}:${version}:tar.gz:plugin`,
        signal,
      );
      await run('tar', ['-xzf', archive, '-C', dir]);
      await rm(archive);
    },
    signal,
  );
}
