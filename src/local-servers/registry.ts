/** A schema registry (Apicurio, which speaks Confluent's API) of a test's own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { registryProgram } from './downloads.ts';
import { requireJava } from './java.ts';
import { freePort, run, type ServerProcess, startServerProcess } from './processes.ts';

/** Where Apicurio has Confluent's API. */
const BASE_PATH = '/apis/ccompat/v7';
const PATIENCE_MS = 120_000;

export interface RegistryServer extends AsyncDisposable {
  /** Of Confluent's API, base path included. Stays the same over restarts. */
  readonly url: string;
  /** Of the server; Apicurio's own API is at `/apis/registry/v3`. */
  readonly origin: string;
  readonly logFile: string;
  /** With the same port and data; resolves when it answers. */
  start(): Promise<void>;
  /** The data stays. */
  stop(): Promise<void>;
}

export interface RegistryOptions {
  readonly heapMb?: number;
}

/** Throws ServerUnavailable if this machine cannot run it. `signal` ends starting, not what has started. */
export async function startRegistry(
  options: RegistryOptions = {},
  signal?: AbortSignal,
): Promise<RegistryServer> {
  await requireJava('The schema registry');
  const jar = await registryProgram(signal);
  const scratch = await mkdtemp(join(tmpdir(), 'headwater-registry-'));
  const port = await freePort();
  const logFile = join(scratch, 'log');
  const origin = `http://127.0.0.1:${port}`;
  const url = origin + BASE_PATH;
  let server: ServerProcess | null = null;

  const start = async (): Promise<void> => {
    if (server?.alive === true) return;
    const starting = startServerProcess({
      command: 'java',
      args: [
        `-Xmx${options.heapMb ?? 384}m`,
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        '-Dquarkus.http.host=127.0.0.1',
        `-Dquarkus.http.port=${port}`,
        // Data survive a restart.
        `-Dapicurio.datasource.url=jdbc:h2:file:${join(scratch, 'data')}`,
        '-jar',
        jar,
      ],
      cwd: scratch,
      logFile,
      orphanSignal: 'KILL',
      scratchDir: scratch,
    });
    server = starting;
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const answers = await fetch(`${url}/subjects`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (answers) return;
      if (starting.alive && Date.now() < deadline) {
        await sleep(100, undefined, signal === undefined ? {} : { signal });
        continue;
      }
      const log = (await run('tail', ['-n', '30', logFile]).catch(() => ({ stdout: '' }))).stdout;
      await starting.stop('SIGKILL');
      throw new Error(`The schema registry did not start:\n${log}`);
    }
  };

  const result: RegistryServer = {
    url,
    origin,
    logFile,
    start,
    stop: async () => server?.stop('SIGTERM', 30_000),
    async [Symbol.asyncDispose]() {
      await server?.stop('SIGKILL');
      await rm(scratch, { recursive: true, force: true });
    },
  };
  try {
    await start();
    return result;
  } catch (error) {
    await result[Symbol.asyncDispose]();
    throw error;
  }
}
