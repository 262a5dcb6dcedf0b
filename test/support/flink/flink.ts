/** Apache Flink from Maven's central repository, in a process of its own that runs one script. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cached } from '../../../src/local-servers/cache.ts';
import { fetchJars } from '../../../src/local-servers/downloads.ts';
import { requireJava } from '../../../src/local-servers/java.ts';
import { startServerProcess } from '../../../src/local-servers/processes.ts';

const FLINK_VERSION = '2.2.0';
const KAFKA_CONNECTOR_VERSION = '5.0.0-2.2';

const ARTIFACTS = [
  ...['table-api-java-bridge', 'table-planner-loader', 'table-runtime', 'clients', 'connector-base'],
  ...['json', 'csv', 'sql-avro-confluent-registry'],
].map((name) => `org.apache.flink:flink-${name}:${FLINK_VERSION}`);

export interface RunningFlink extends AsyncDisposable {
  /** What it has said so far: of a failure, the reason. */
  said(): Promise<string>;
}

/** Runs the script's statements one after the other, and goes on until it is disposed of. Throws ServerUnavailable. */
export async function runFlinkScript(script: string): Promise<RunningFlink> {
  await requireJava('Flink');
  const libraries = await cached(`flink-${FLINK_VERSION}`, (dir) =>
    fetchJars(dir, [...ARTIFACTS, `org.apache.flink:flink-sql-connector-kafka:${KAFKA_CONNECTOR_VERSION}`]),
  );
  const scratch = await mkdtemp(join(tmpdir(), 'headwater-flink-'));
  const file = join(scratch, 'script.sql');
  await writeFile(file, script);
  const logFile = join(scratch, 'log');
  const program = join(import.meta.dirname, 'RunScript.java');
  const server = startServerProcess({
    command: 'java',
    args: ['-Xmx1g', '-cp', join(libraries, '*'), program, file],
    cwd: scratch,
    logFile,
    orphanSignal: 'KILL',
    scratchDir: scratch,
  });
  return {
    said: () => readFile(logFile, 'utf8').catch(() => ''),
    async [Symbol.asyncDispose]() {
      await server.stop('SIGKILL');
      await rm(scratch, { recursive: true, force: true });
    },
  };
}
