/** A one-node Kafka (KRaft) of a test's own, with the listeners, logins and ACLs it needs. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Certificates, makeCertificates } from './certificates.ts';
import { kafkaLibraries } from './downloads.ts';
import { requireJava } from './java.ts';
import { freePort, run, type ServerProcess, startServerProcess } from './processes.ts';

export type KafkaListener = 'SASL_PLAINTEXT' | 'SASL_SSL' | 'SSL';

export interface KafkaOptions {
  /** server.properties, over the defaults below. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Listeners beside the plain one. SASL listeners take PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
  readonly listeners?: readonly KafkaListener[];
  /** Who may log in on SASL listeners, with every mechanism. */
  readonly users?: readonly { readonly name: string; readonly password: string }[];
  /** The SSL listener refuses clients without a certificate of ours. */
  readonly clientCertificates?: boolean;
  /**
   * StandardAuthorizer: users of the SASL and SSL listeners may do only what ACLs allow. Whoever comes over the
   * plain listener (`brokers`) is a super user: make the ACLs there.
   */
  readonly acls?: boolean;
  /** Java heap in MB. */
  readonly heapMb?: number;
  /** Its files go into a directory made in this one; the system's temporary directory unless given. */
  readonly parentDir?: string;
  /** For benchmarks: all of Java's compiler, and the collector it takes by itself. */
  readonly fullSpeed?: boolean;
}

export interface KafkaServer extends AsyncDisposable {
  /** The plain listener, `127.0.0.1:port`. Stays the same over restarts. */
  readonly brokers: string;
  /** Address of each listener that was asked for. */
  readonly listeners: Readonly<Partial<Record<KafkaListener, string>>>;
  /** PEM files, if there is an SSL or SASL_SSL listener. */
  readonly certificates: Certificates | null;
  readonly pid: number;
  readonly logFile: string;
  /** With the same ports and data; resolves when the broker serves clients. */
  start(): Promise<void>;
  /** Controlled shutdown. The data stays. */
  stop(): Promise<void>;
  /** SIGKILL. The data stays. */
  kill(): Promise<void>;
  /** Stops answering without closing connections (SIGSTOP). */
  pause(): void;
  resume(): void;
}

const DEFAULTS: Readonly<Record<string, string>> = {
  'process.roles': 'broker,controller',
  'node.id': '1',
  'controller.listener.names': 'CONTROLLER',
  'inter.broker.listener.name': 'PLAINTEXT',
  'offsets.topic.replication.factor': '1',
  'offsets.topic.num.partitions': '4',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'transaction.state.log.num.partitions': '4',
  'share.coordinator.state.topic.replication.factor': '1',
  'share.coordinator.state.topic.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  'num.partitions': '3',
  // Records keep the times that their writers give them, however old: a broker of an hour deletes none.
  'log.retention.ms': '-1',
  'log.cleaner.dedupe.buffer.size': '8388608',
  // A killed broker comes back under its old id: the controller must not wait for the old session to run out.
  'broker.session.timeout.ms': '3000',
  'broker.heartbeat.interval.ms': '500',
};

const LOG4J = `status=error
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %c %m%n
rootLogger.level=warn
rootLogger.appenderRef.c.ref=C
logger.started.name=kafka.server.KafkaRaftServer
logger.started.level=info
`;

/** Throws ServerUnavailable if this machine cannot run Kafka. `signal` ends starting, not what has started. */
export async function startKafka(options: KafkaOptions = {}, signal?: AbortSignal): Promise<KafkaServer> {
  await requireJava('Kafka');
  const libraries = await kafkaLibraries(signal);
  const scratch = await mkdtemp(join(options.parentDir ?? tmpdir(), 'headwater-kafka-'));
  try {
    const wanted = options.listeners ?? [];
    const ports = new Map<string, number>();
    for (const name of ['PLAINTEXT', 'CONTROLLER', ...wanted]) ports.set(name, await newPort(ports));
    const certificates = wanted.some((name) => name.endsWith('SSL')) ? await setUpTls(scratch) : null;
    const properties = propertiesOf({ options, ports, scratch, certificates });
    await writeFile(join(scratch, 'server.properties'), properties);
    await writeFile(join(scratch, 'log4j2.properties'), LOG4J);
    const java = javaArguments(libraries, scratch, options);
    await format({ java, scratch, options, signal });
    const server = createServer({ java, scratch, ports, certificates, wanted });
    const abort = (): void => void server.kill();
    signal?.addEventListener('abort', abort);
    try {
      await server.start();
    } finally {
      signal?.removeEventListener('abort', abort);
    }
    signal?.throwIfAborted();
    return server;
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    throw error;
  }
}

async function newPort(taken: ReadonlyMap<string, number>): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (![...taken.values()].includes(port)) return port;
  }
}

async function setUpTls(scratch: string): Promise<Certificates> {
  const dir = join(scratch, 'tls');
  await mkdir(dir);
  const certificates = await makeCertificates(dir, 'client');
  // Kafka takes a PEM key store as one file: key, then chain.
  const pem = await Promise.all(
    [certificates.serverKey, certificates.serverCert].map((file) => readFile(file, 'utf8')),
  );
  await writeFile(join(dir, 'server.pem'), pem.join(''));
  return certificates;
}

interface Layout {
  readonly options: KafkaOptions;
  readonly ports: ReadonlyMap<string, number>;
  readonly scratch: string;
  readonly certificates: Certificates | null;
}

function propertiesOf({ options, ports, scratch, certificates }: Layout): string {
  const addresses = [...ports].map(([name, port]) => `${name}://127.0.0.1:${port}`);
  const properties: Record<string, string> = {
    ...DEFAULTS,
    'controller.quorum.bootstrap.servers': `127.0.0.1:${ports.get('CONTROLLER')}`,
    listeners: addresses.join(','),
    'advertised.listeners': addresses.filter((address) => !address.startsWith('CONTROLLER')).join(','),
    'listener.security.protocol.map': [...ports.keys()]
      .map((name) => `${name}:${name === 'CONTROLLER' ? 'PLAINTEXT' : name}`)
      .join(','),
    'log.dirs': join(scratch, 'data'),
  };
  if (certificates !== null)
    Object.assign(properties, {
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': join(scratch, 'tls/server.pem'),
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': certificates.ca,
      'listener.name.ssl.ssl.client.auth': options.clientCertificates === true ? 'required' : 'requested',
    });
  for (const name of ports.keys())
    if (name.startsWith('SASL')) Object.assign(properties, sasl(name, options));
  if (options.acls === true)
    Object.assign(properties, {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
    });
  Object.assign(properties, options.settings);
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

function sasl(listener: string, options: KafkaOptions): Record<string, string> {
  const prefix = `listener.name.${listener.toLowerCase()}`;
  const logins = (options.users ?? []).map(({ name, password }) => ` user_${name}="${password}"`).join('');
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  return {
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    [`${prefix}.plain.sasl.jaas.config`]: `org.apache.kafka.common.security.plain.PlainLoginModule required${logins};`,
    [`${prefix}.scram-sha-256.sasl.jaas.config`]: scram,
    [`${prefix}.scram-sha-512.sasl.jaas.config`]: scram,
  };
}

function javaArguments(libraries: string, scratch: string, options: KafkaOptions): string[] {
  return [
    `-Xmx${options.heapMb ?? 512}m`,
    // Half the time to start; no test measures the broker.
    ...(options.fullSpeed === true ? [] : ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']),
    `-Dlog4j2.configurationFile=${join(scratch, 'log4j2.properties')}`,
    '-cp',
    join(libraries, '*'),
  ];
}

async function format({
  java,
  scratch,
  options,
  signal,
}: {
  readonly java: readonly string[];
  readonly scratch: string;
  readonly options: KafkaOptions;
  readonly signal: AbortSignal | undefined;
}): Promise<void> {
  // 16 random bytes as Kafka writes ids. One that begins with "-" would be taken for an option.
  let id = randomBytes(16).toString('base64url');
  while (id.startsWith('-')) id = randomBytes(16).toString('base64url');
  const args = ['format', '-t', id, '-c', join(scratch, 'server.properties'), '--standalone'];
  for (const { name, password } of options.users ?? [])
    for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512'])
      args.push('--add-scram', `${mechanism}=[name=${name},password=${password}]`);
  await run('java', [...java, 'kafka.tools.StorageTool', ...args], { cwd: scratch, signal });
}

interface Parts {
  readonly java: readonly string[];
  readonly scratch: string;
  readonly ports: ReadonlyMap<string, number>;
  readonly certificates: Certificates | null;
  readonly wanted: readonly KafkaListener[];
}

function createServer({ java, scratch, ports, certificates, wanted }: Parts): KafkaServer {
  const logFile = join(scratch, 'log');
  let server: ServerProcess | null = null;

  const start = async (): Promise<void> => {
    if (server?.alive === true) return;
    const ready = Promise.withResolvers<void>();
    const starting = startServerProcess({
      command: 'java',
      args: [...java, 'kafka.Kafka', join(scratch, 'server.properties')],
      cwd: scratch,
      logFile,
      orphanSignal: 'KILL',
      scratchDir: scratch,
      onOutput: (text) => {
        if (text.includes('Kafka Server started')) ready.resolve();
      },
    });
    server = starting;
    const timer = setTimeout(
      () => ready.reject(new Error('no "Kafka Server started" within 120 s')),
      120_000,
    );
    void starting.exited.then((how) => ready.reject(new Error(`it ended with ${how}`)));
    try {
      await ready.promise;
    } catch (error) {
      const log = (await run('tail', ['-n', '30', logFile]).catch(() => ({ stdout: '' }))).stdout;
      await starting.stop('SIGKILL');
      throw new Error(`Kafka did not start: ${(error as Error).message}\n${log}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  };
  const address = (name: string): string => `127.0.0.1:${ports.get(name)}`;

  return {
    brokers: address('PLAINTEXT'),
    listeners: Object.fromEntries(wanted.map((name) => [name, address(name)])),
    certificates,
    get pid() {
      return server?.pid ?? -1;
    },
    logFile,
    start,
    async stop() {
      server?.kill('SIGCONT'); // a paused broker would not hear the next signal
      await server?.stop('SIGTERM', 30_000);
    },
    kill: async () => server?.stop('SIGKILL'),
    pause: () => server?.kill('SIGSTOP'),
    resume: () => server?.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await server?.stop('SIGKILL');
      await rm(scratch, { recursive: true, force: true });
    },
  };
}
