/** Runs the demo as somebody at a shell would, in a temporary directory of its own that tells what it leaves. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

export interface DemoResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

export interface DemoRun extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly finished: Promise<DemoResult>;
  /** Resolves when this has been written; rejects when the demo ends without it. */
  wrote(text: string): Promise<void>;
  /** Names of files and command lines of processes that are there because of the demo. */
  left(): Promise<readonly string[]>;
  /** The same, once nothing is left, or after half a minute. */
  leftAtLast(): Promise<readonly string[]>;
}

/** Through `npm run demo`, or, where `tools` are given, directly and with nothing but them on the PATH. */
export async function startDemo(
  args: readonly string[],
  { tools }: { readonly tools?: readonly string[] } = {},
): Promise<DemoRun> {
  const dir = await mkdtemp(join(tmpdir(), 'demo-test-'));
  const bin = join(dir, 'bin');
  const temporary = join(dir, 'tmp');
  await mkdir(temporary, { mode: 0o711 });
  await run('chmod', ['711', dir]);
  const env: NodeJS.ProcessEnv = { ...process.env, TMPDIR: temporary, NODE_DISABLE_COMPILE_CACHE: '1' };
  let command = ['npm', 'run', '--silent', 'demo', '--', ...args];
  if (tools !== undefined) {
    await mkdir(bin);
    for (const tool of tools) {
      const place = await placeOf(tool);
      if (place !== null) await symlink(place, join(bin, tool));
    }
    env['PATH'] = bin;
    command = [process.execPath, 'src/main.ts', 'demo', ...args];
  }
  // A group of its own: a terminal's Ctrl-C goes to all of a group.
  const child = spawn(command[0]!, command.slice(1), { cwd: ROOT, env, detached: true });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const finished = new Promise<DemoResult>((settle, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => settle({ code, signal, output, errors }));
  });
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const left = async (): Promise<readonly string[]> => {
    const { stdout } = await run('ps', ['-A', '-o', 'pid=,args=']);
    return [...(await readdir(temporary)), ...stdout.split('\n').filter((line) => line.includes(temporary))];
  };
  return {
    process: child,
    finished,
    async wrote(text) {
      while (!output.includes(text)) {
        if (ended()) throw new Error(`The demo ended without writing ${text}:\n${output}${errors}`);
        await sleep(20);
      }
    },
    left,
    async leftAtLast() {
      for (let attempt = 0; attempt < 60 && (await left()).length > 0; attempt++) await sleep(500);
      return left();
    },
    async [Symbol.asyncDispose]() {
      if (!ended()) process.kill(-child.pid!, 'SIGKILL');
      await finished;
      await rm(dir, { recursive: true, force: true, maxRetries: 20 });
    },
  };
}

async function placeOf(tool: string): Promise<string | null> {
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    const found = await run('test', ['-x', join(dir, tool)]).then(
      () => true,
      () => false,
    );
    if (found) return join(dir, tool);
  }
  return null;
}
