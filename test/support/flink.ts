/** Apache Flink, which nobody here wrote, as a reader of our topics and a peer of our joins. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, run, startServerProcess } from '../../src/local-servers/processes.ts';
import { flinkLibraries } from './flink-libraries.ts';

/** Null, booleans and integers of up to 32 bits are JSON's, ROWs and arrays are arrays, all else is text. */
export type FlinkCell = null | boolean | number | string | readonly FlinkCell[];

export interface FlinkResult {
  readonly columns: readonly string[];
  /** In the order in which they came: what happened to a row (`+I`, `-U`, `+U`, `-D`), and its cells. */
  readonly changes: readonly (readonly ['+I' | '-U' | '+U' | '-D', ...FlinkCell[]])[];
}

export type FlinkRow = Readonly<Record<string, FlinkCell>>;

export interface Flink extends AsyncDisposable {
  /**
   * Runs one statement to its end, which INSERT and SELECT have only where their tables are bounded: give those in
   * Kafka `'scan.bounded.mode' = 'latest-offset'`. One after another; rejects with what Flink says.
   */
  run(statement: string): Promise<FlinkResult>;
}

export interface FlinkOptions {
  readonly heapMb?: number;
  /** Flink's own, over the smallest set-up that runs. */
  readonly settings?: Readonly<Record<string, string>>;
}

const SETTINGS: Readonly<Record<string, string>> = {
  'parallelism.default': '1',
  'taskmanager.memory.managed.size': '16m',
  'taskmanager.memory.network.min': '16m',
  'taskmanager.memory.network.max': '16m',
  'table.local-time-zone': 'UTC',
};

const LOG4J = `status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
`;

/**
 * One process, in which each job runs on a cluster of its own. Needs Java 17 with its compiler, and Maven once for
 * 156 MB. Throws ServerUnavailable.
 */
export async function startFlink(options: FlinkOptions = {}): Promise<Flink> {
  const libraries = await flinkLibraries();
  const scratch = await mkdtemp(join(tmpdir(), 'headwater-flink-'));
  await writeFile(join(scratch, 'log4j2.properties'), LOG4J);
  const logFile = join(scratch, 'flink.log');
  const port = await freePort();
  const ready = Promise.withResolvers<void>();
  const settings = { ...SETTINGS, 'io.tmp.dirs': scratch, ...options.settings };
  const server = startServerProcess({
    command: 'java',
    args: [
      `-Xmx${options.heapMb ?? 512}m`,
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      `-Dlog4j2.configurationFile=${join(scratch, 'log4j2.properties')}`,
      '-cp',
      join(libraries, '*'),
      join(import.meta.dirname, 'java/FlinkSql.java'),
      String(port),
      ...Object.entries(settings).map(([key, value]) => `${key}=${value}`),
    ],
    cwd: scratch,
    logFile,
    orphanSignal: 'KILL',
    scratchDir: scratch,
    onOutput: (text) => {
      if (text.includes('Flink takes SQL')) ready.resolve();
    },
  });
  const flink: Flink = {
    async run(statement) {
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: statement });
      const answer = await response.text();
      if (!response.ok) throw new Error(`${answer}\nin: ${statement}`);
      return JSON.parse(answer) as FlinkResult;
    },
    async [Symbol.asyncDispose]() {
      await server.stop('SIGKILL'); // nothing of it is to be kept
      await rm(scratch, { recursive: true, force: true });
    },
  };
  const patience = 120_000;
  const timer = setTimeout(
    () => ready.reject(new Error(`it did not say so within ${patience / 1000} s`)),
    patience,
  );
  void server.exited.then((how) => ready.reject(new Error(`it ended with ${how}`)));
  try {
    await ready.promise;
  } catch (error) {
    const log = (await run('tail', ['-n', '30', logFile]).catch(() => ({ stdout: '' }))).stdout;
    await flink[Symbol.asyncDispose]();
    throw new Error(`Flink did not start: ${(error as Error).message}\n${log}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
  return flink;
}

/** What the changes leave. Throws where one takes away a row that is not there. */
export function rowsOf({ columns, changes }: FlinkResult): readonly FlinkRow[] {
  const counts = new Map<string, number>();
  for (const [kind, ...cells] of changes) {
    const text = JSON.stringify(cells);
    const count = (counts.get(text) ?? 0) + (kind === '+I' || kind === '+U' ? 1 : -1);
    if (count < 0) throw new Error(`${kind} of a row that is not there`);
    counts.set(text, count);
  }
  return [...counts].flatMap(([text, count]) => {
    const cells = JSON.parse(text) as FlinkCell[];
    const row = Object.fromEntries(columns.map((name, i) => [name, cells[i] ?? null]));
    return Array.from({ length: count }, () => row);
  });
}
