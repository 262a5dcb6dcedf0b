/** Child processes that never outlive us: stopped by pid, also when this process dies by SIGKILL. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import { createWriteStream } from 'node:fs';

export const run = promisify(execFile);

export interface ServerProcess {
  readonly pid: number;
  /** Resolves with a description of the exit once the process is gone. */
  readonly exited: Promise<string>;
  readonly alive: boolean;
  kill(signal: NodeJS.Signals): void;
  /** Sends `signal` and waits until it is gone; SIGKILL after `graceMs`. */
  stop(signal: NodeJS.Signals, graceMs?: number): Promise<void>;
}

export interface ServerProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Standard output and error are appended here. */
  readonly logFile: string;
  /** What the watchdog sends when this process has died. */
  readonly orphanSignal: 'QUIT' | 'KILL';
  /** Removed by the watchdog, after the process, when this process has died. */
  readonly scratchDir: string;
  /** Called with each piece of output. */
  readonly onOutput?: (text: string) => void;
}

/**
 * The watchdog is a shell that waits for the end of its standard input, which only we hold open: when we are
 * gone, however that came about, it ends the server and removes its data. A session of its own keeps Ctrl-C
 * from ending the watchdog before its work is done. Unlike PR_SET_PDEATHSIG this works on every Unix, and does
 * not depend on the thread that spawned.
 */
const WATCHDOG = `read -r line; [ "$line" = done ] && exit 0
kill -"$2" "$1" 2>/dev/null
n=0; while kill -0 "$1" 2>/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done
kill -KILL "$1" 2>/dev/null; sleep 0.2; rm -rf "$3"`;

export function startServerProcess(options: ServerProcessOptions): ServerProcess {
  const log = createWriteStream(options.logFile, { flags: 'a' });
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Not in our process group: Ctrl-C must reach us first, so that servers are stopped in order.
    detached: true,
  });
  let spawnError: Error | null = null;
  child.once('error', (error) => (spawnError = error));
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      log.write(text);
      options.onOutput?.(text);
    });
  }
  const watchdog =
    child.pid === undefined
      ? null
      : spawn(
          'sh',
          ['-c', WATCHDOG, 'watchdog', String(child.pid), options.orphanSignal, options.scratchDir],
          {
            stdio: ['pipe', 'ignore', 'ignore'],
            detached: true,
          },
        );
  if (watchdog !== null) letGo(watchdog);
  child.unref();
  for (const stream of [child.stdout, child.stderr]) (stream as unknown as { unref(): void }).unref();

  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => {
      watchdog?.stdin.end('done\n');
      log.end();
      resolve(signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
  });
  const alive = (): boolean => spawnError === null && child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid ?? -1,
    exited,
    get alive() {
      return alive();
    },
    kill(signal) {
      if (alive()) child.kill(signal);
    },
    stop: (signal, graceMs = 15_000) => stopChild(child, { signal, graceMs, exited, alive }),
  };
}

/**
 * Runs a command when this process has died without calling what this returns: for what is nobody's child, such
 * as directories and containers.
 */
export function whenOrphaned(command: string, ...args: readonly string[]): () => void {
  const script = 'read -r line; [ "$line" = done ] || exec "$@"';
  const watchdog = spawn('sh', ['-c', script, 'watchdog', command, ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  letGo(watchdog);
  return () => void watchdog.stdin.end('done\n');
}

/** Neither holds this process back nor brings it down. */
function letGo(watchdog: ChildProcess): void {
  watchdog.on('error', () => {}); // without a shell there is none, and the rest works all the same
  watchdog.unref();
  watchdog.stdin?.on('error', () => {}); // it may be gone already when we say goodbye
  (watchdog.stdin as { unref?: () => void } | null)?.unref?.();
}

async function stopChild(
  child: ChildProcess,
  how: { signal: NodeJS.Signals; graceMs: number; exited: Promise<string>; alive: () => boolean },
): Promise<void> {
  if (!how.alive()) return;
  child.ref();
  child.kill(how.signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), how.graceMs);
  await how.exited;
  clearTimeout(timer);
}

/**
 * A free port below the range that the kernel gives to outgoing connections: a client that keeps trying to reach
 * a stopped server on a port in that range can end up connected to itself, and hold the port.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(20_000, 32_000);
    const server = createServer();
    try {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      return port;
    } catch {
      // taken: try another
    } finally {
      server.close();
    }
  }
  throw new Error('No free port between 20000 and 32000 was found in 100 attempts.');
}

export async function onPath(command: string): Promise<boolean> {
  return run('sh', ['-c', 'command -v "$1"', 'sh', command]).then(
    () => true,
    () => false,
  );
}
