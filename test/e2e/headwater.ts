import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { onTestFailed, TestRunner } from 'vitest';
import type { PipelineStatus } from '../../src/observability/status.ts';

const MAIN = resolve(import.meta.dirname, '../../src/main.ts');
const POLL_MS = 25;
const LINES_OF_FAILED = 40;

export type Exit = number | NodeJS.Signals;

export interface Finished {
  readonly exit: Exit;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly code?: string;
  readonly advice?: string;
  readonly pipeline?: string;
  readonly [field: string]: unknown;
}

/** The command line in a process of its own, as its users run it. */
export class Headwater implements AsyncDisposable {
  readonly exited: Promise<Finished>;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';
  #lastStatus: PipelineStatus | null = null;
  #watchers = new Set<() => void>();

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#tellOnFailure(args);
    const changed = (): void => {
      for (const watcher of this.#watchers) watcher();
    };
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      changed();
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      changed();
    });
    this.exited = once(this.#child, 'close').then(([code, signal]) => {
      changed();
      return {
        exit: (signal as NodeJS.Signals | null) ?? (code as number),
        stdout: this.#stdout,
        stderr: this.#stderr,
      };
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get log(): readonly LogLine[] {
    return logLines(this.#stderr);
  }

  /** The first log line that satisfies `wanted`; fails when the process ends before. */
  async line(wanted: (line: LogLine) => boolean): Promise<LogLine> {
    return this.#watch(() => this.log.find(wanted));
  }

  async output(wanted: (stdout: string) => boolean): Promise<string> {
    return this.#watch(() => (wanted(this.#stdout) ? this.#stdout : undefined));
  }

  /** `http://host:port`, once it listens. */
  async address(): Promise<string> {
    const { host, port } = await this.line(({ msg }) => msg === 'HTTP interface is up');
    return `http://${String(host)}:${String(port)}`;
  }

  async get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const response = await fetch(`${await this.address()}${path}`);
    return { status: response.status, body: await response.text() };
  }

  async status(): Promise<readonly PipelineStatus[]> {
    const { body } = await this.get('/status');
    return (JSON.parse(body) as { readonly pipelines: readonly PipelineStatus[] }).pipelines;
  }

  /** Asks /status until `wanted` of the pipeline (the first unless named) holds. */
  async until(wanted: (status: PipelineStatus) => boolean, name?: string): Promise<PipelineStatus> {
    for (;;) {
      if (!this.alive) throw new Error(`ended meanwhile:\n${this.#stderr}`);
      // One that ends in between is reported above, with what it said.
      const all = await this.status().catch((): readonly PipelineStatus[] => []);
      const status = name === undefined ? all[0] : all.find((each) => each.name === name);
      this.#lastStatus = status ?? null;
      if (status !== undefined && wanted(status)) return status;
      await new Promise((settle) => setTimeout(settle, POLL_MS));
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<Finished> {
    this.signal('SIGTERM');
    return this.exited;
  }

  async kill(): Promise<Finished> {
    this.signal('SIGKILL');
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.alive) return;
    this.signal('SIGCONT');
    await this.kill();
  }

  /** A test that times out while it waits for a daemon would leave it running, and say nothing of what it did. */
  #tellOnFailure(args: readonly string[]): void {
    if (TestRunner.getCurrentTest() === undefined) return;
    onTestFailed(() => {
      const lines = this.#stderr.trimEnd().split('\n').slice(-LINES_OF_FAILED);
      const told = [
        `headwater ${args.join(' ')}`,
        `last status: ${JSON.stringify(this.#lastStatus)}`,
        ...lines,
      ];
      process.stderr.write(`${told.join('\n')}\n`);
      this.signal('SIGKILL');
    });
  }

  async #watch<T>(look: () => T | undefined): Promise<T> {
    return new Promise((settle, reject) => {
      const watcher = (): void => {
        const found = look();
        if (found === undefined && this.alive) return;
        this.#watchers.delete(watcher);
        if (found === undefined) reject(new Error(`ended without it:\n${this.#stderr}`));
        else settle(found);
      };
      this.#watchers.add(watcher);
      watcher();
    });
  }
}

/** Runs a command to its end. */
export async function headwater(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  return new Headwater(args, env).exited;
}

/** `headwater run FILE` until it has ended by itself: a job, or a daemon that cannot start. */
export async function runToEnd(...files: readonly string[]): Promise<Finished> {
  return headwater(['run', '--until-caught-up', ...files]);
}

export function logLines(stderr: string): readonly LogLine[] {
  return stderr
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);
}

export interface Workspace extends AsyncDisposable {
  readonly dir: string;
  path(name: string): string;
  /** Writes a file and returns its path. */
  write(name: string, text: string): Promise<string>;
}

export async function workspace(): Promise<Workspace> {
  const dir = await mkdtemp(join(tmpdir(), 'headwater-e2e-'));
  return {
    dir,
    path: (name) => join(dir, name),
    async write(name, text) {
      await writeFile(join(dir, name), text);
      return join(dir, name);
    },
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

export interface PipelineFile {
  readonly name: string;
  readonly url: string;
  readonly tables: readonly string[];
  /** A broker, or a directory for the file sink. */
  readonly brokers?: string;
  readonly path?: string;
  /** Further lines below `source:`, `emit:`, and at the top; each line indented as it has to be. */
  readonly source?: readonly string[];
  readonly emit?: readonly string[];
  readonly kafka?: readonly string[];
  readonly more?: readonly string[];
  readonly http?: string;
}

/** One partition a topic, so that the order of all records of a table can be looked at. */
export function pipelineFile(file: PipelineFile): string {
  const sink =
    file.brokers === undefined
      ? [`  file: { path: ${JSON.stringify(file.path)} }`]
      : [
          '  kafka:',
          `    brokers: [${JSON.stringify(file.brokers)}]`,
          '    topics: { partitions: 1 }',
          ...(file.kafka ?? []).map((line) => `    ${line}`),
        ];
  const listen = JSON.stringify(file.http ?? '127.0.0.1:0');
  return [
    `name: ${file.name}`,
    'source:',
    `  url: ${JSON.stringify(file.url)}`,
    `  tables: ${JSON.stringify(file.tables)}`,
    ...(file.source ?? []).map((line) => `  ${line}`),
    'emit:',
    ...sink,
    ...(file.emit ?? []).map((line) => `  ${line}`),
    // Where there are statements clients are listened to, on a port that only one process at a time could have.
    `http: { listen: ${listen}, sql: "127.0.0.1:0" }`,
    ...(file.more ?? []),
    '',
  ].join('\n');
}
