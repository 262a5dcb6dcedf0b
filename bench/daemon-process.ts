import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { usageOf, type Usage } from './process-usage.ts';

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Standard output and error go here. */
  readonly log: string;
  readonly cwd: string;
}

/** One of the programs that are measured, running. */
export interface DaemonProcess extends AsyncDisposable {
  /** Milliseconds since the epoch at which the process was started. */
  readonly startedAt: number;
  readonly log: string;
  usage(): Usage;
  /** Aborted with an error that holds the end of the log when the process ends without being asked. */
  readonly ended: AbortSignal;
  /** SIGTERM, and SIGKILL after 30 s. Resolves with what it had used up to the signal. */
  stop(): Promise<Usage>;
}

const STOP_TIMEOUT_MS = 30_000;

export function startProcess(command: Command): DaemonProcess {
  const output = openSync(command.log, 'a');
  const startedAt = performance.timeOrigin + performance.now();
  const child: ChildProcess = spawn(command.file, command.args, {
    stdio: ['ignore', output, output],
    cwd: command.cwd,
    env: { ...process.env, ...command.env },
  });
  closeSync(output);
  const ended = new AbortController();
  let stopping = false;
  const exited = new Promise<void>((resolve) => {
    const finish = (why: string): void => {
      if (!stopping) {
        ended.abort(new Error(`${command.file} ${why}. The end of its log:\n${tail(command.log)}`));
      }
      resolve();
    };
    child.on('error', (error) => finish(`could not be started: ${error.message}`));
    child.on('exit', (code, signal) => finish(`ended with ${signal ?? code ?? 'nothing'}`));
  });
  const pid = child.pid ?? 0;
  const stop = async (): Promise<Usage> => {
    const usage = usageOf(pid);
    if (!stopping) {
      stopping = true;
      child.kill('SIGTERM');
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
    return usage;
  };
  return {
    startedAt,
    log: command.log,
    usage: () => usageOf(pid),
    ended: ended.signal,
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-25).join('\n');
}
