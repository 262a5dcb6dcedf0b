import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join, resolve } from 'node:path';

const MAIN = resolve(import.meta.dirname, '../../src/main.ts');

/** Headwater as its users run it: the CLI in a process of its own, its log appended to a file. */
export class DaemonProcess {
  readonly #child: ChildProcess;
  readonly exited: Promise<number | NodeJS.Signals>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.exited = new Promise((settle) => {
      child.once('exit', (code, signal) => settle(signal ?? code ?? -1));
    });
  }

  static start(
    settingsFile: string,
    options: { readonly logFile: string; readonly args?: readonly string[]; readonly failpoint?: string },
  ): DaemonProcess {
    const child = spawn(process.execPath, [MAIN, 'run', settingsFile, ...(options.args ?? [])], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...process.env,
        ...(options.failpoint === undefined ? {} : { HEADWATER_FAILPOINT: options.failpoint }),
      },
    });
    const log = createWriteStream(options.logFile, { flags: 'a' });
    log.write(`--- ${new Date().toISOString()} start ${options.failpoint ?? ''}\n`);
    child.stderr?.pipe(log);
    return new DaemonProcess(child);
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async signal(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.#child.kill(signal);
    return this.exited;
  }
}

export function logFileIn(dir: string): string {
  return join(dir, 'headwater.log');
}
