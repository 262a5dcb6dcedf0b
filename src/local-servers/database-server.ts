import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificates } from './certificates.ts';
import { run, type ServerProcess } from './processes.ts';

/** What every database server of ours can do. */
export interface DatabaseServer extends AsyncDisposable {
  readonly host: '127.0.0.1';
  /** Stays the same over restarts. */
  readonly port: number;
  readonly dataDir: string;
  readonly logFile: string;
  /** Null without `tls`. */
  readonly certificates: Certificates | null;
  /** The same server with another database, user or password. */
  urlFor(parts: { database?: string; user?: string; password?: string }): string;
  start(): Promise<void>;
  /** Orderly: clients are cut off, the log is flushed. The data stays. */
  stop(): Promise<void>;
  /** At once: the next start recovers from the log. Does not start again. */
  crash(): Promise<void>;
}

const READY_MS = 60_000;

/** Until `connect` succeeds. Throws with the end of the log when the process has ended or takes longer than a minute. */
export async function untilReady(
  server: ServerProcess,
  {
    connect,
    logFile,
    product,
    kill,
  }: {
    readonly connect: () => Promise<void>;
    readonly logFile: string;
    readonly product: string;
    /** What ends the product at once. */
    readonly kill: NodeJS.Signals;
  },
): Promise<void> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    try {
      await connect();
      return;
    } catch (error) {
      if (!server.alive || Date.now() > deadline) {
        const ended = server.alive ? 'did not answer within 60 s' : `ended with ${await server.exited}`;
        const log = (await run('tail', ['-n', '20', logFile]).catch(() => ({ stdout: '' }))).stdout;
        await server.stop(kill);
        throw new Error(`${product} ${ended}:\n${log}`, { cause: error });
      }
      await sleep(50);
    }
  }
}
