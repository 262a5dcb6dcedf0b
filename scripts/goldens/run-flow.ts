/**
 * Runs a recording's SQL through Headwater itself, as it ran through Debezium: the command line, the file sink, a
 * snapshot and then the changes while it streams.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fieldOf, type GoldenRecord, parseRecord, type Recording } from './recording.ts';
import type { GoldenSource } from './source.ts';

export interface FlowOptions {
  /** Empty as yet. */
  readonly source: GoldenSource;
  readonly recording: Pick<Recording, 'prefix' | 'tables' | 'before' | 'during'>;
  readonly profile: 'debezium' | 'safe';
  readonly format: 'json' | 'json-with-schema';
}

const PATIENCE_MS = 120_000;

/** The records in the order Headwater wrote them. */
export async function runFlow(options: FlowOptions): Promise<readonly GoldenRecord[]> {
  const { recording, source } = options;
  const folder = await mkdtemp(join(tmpdir(), 'headwater-goldens-'));
  try {
    const file = join(folder, 'pipeline.yaml');
    await writeFile(file, settings(options, folder));
    const [schema] = source.marker.split('.');
    await source.run({
      sql: `CREATE SCHEMA IF NOT EXISTS ${schema};\nCREATE TABLE ${source.marker} (id int PRIMARY KEY);\n`,
    });
    for (const script of recording.before) await source.run(script);
    const daemon = startDaemon(file);
    try {
      await daemon.until((log) => log.includes('"snapshot complete"'));
      const marker = `${recording.prefix}.${source.marker}`;
      let records: readonly GoldenRecord[] = [];
      for (const [i, script] of recording.during.entries()) {
        await source.run(script);
        await source.run({ sql: `INSERT INTO ${source.marker} VALUES (${i});\n` });
        await daemon.until(async () => {
          records = await recordsIn(join(folder, 'out'));
          return records.filter(({ topic }) => topic === marker).length > i;
        });
      }
      return withoutMarker(records, marker);
    } finally {
      await daemon.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function recordsIn(out: string): Promise<readonly GoldenRecord[]> {
  const records: GoldenRecord[] = [];
  for (const segment of (await readdir(out)).filter((name) => name.endsWith('.jsonl')).sort()) {
    const text = await readFile(join(out, segment), 'utf8');
    // What is behind the last line's end is still being written.
    for (const line of text.split('\n').slice(0, -1)) records.push(parseRecord(line));
  }
  return records;
}

/** Without the marker, and the transactions that wrote it. PostgreSQL's ids have a place in the log behind them. */
function withoutMarker(records: readonly GoldenRecord[], marker: string): readonly GoldenRecord[] {
  const idOf = (json: unknown): string => (typeof json === 'string' ? json.split(/:(?=\d+$)/)[0]! : '');
  const isPostgres = marker.includes('.public.');
  const own = records
    .filter(({ topic }) => topic === marker)
    .map(({ value }) => fieldOf(fieldOf(fieldOf(value, 'payload'), 'transaction'), 'id'));
  const same = (id: unknown): boolean =>
    own.some((each) => each === id || (isPostgres && idOf(each) === idOf(id)));
  return records.filter(({ topic, value }) => {
    const id = fieldOf(fieldOf(value, 'payload'), 'id');
    return topic !== marker && !(topic.endsWith('.transaction') && same(id));
  });
}

function settings({ source, recording, profile, format }: FlowOptions, folder: string): string {
  const tables = [...recording.tables, source.marker];
  return `name: ${recording.prefix}
source:
${source.settings.map((line) => `  ${line}\n`).join('')}  tables: ${JSON.stringify(tables)}
emit:
  file: { path: ${join(folder, 'out')} }
  format: ${format}
  profile: ${profile}
  transaction_metadata: true
  truncates: true
  heartbeat: 500ms
state: { dir: ${join(folder, 'state')} }
http: { listen: 127.0.0.1:0 }
`;
}

interface Daemon {
  /** Waits until the condition holds; throws with what the daemon says when it ends before, or takes too long. */
  until(condition: (log: string) => boolean | Promise<boolean>): Promise<void>;
  stop(): Promise<void>;
}

function startDaemon(file: string): Daemon {
  const main = join(import.meta.dirname, '../../src/main.ts');
  const child: ChildProcess = spawn(process.execPath, [main, 'run', '--json', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => (log += text));
  }
  const ended = once(child, 'exit');
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    async until(condition) {
      const deadline = Date.now() + PATIENCE_MS;
      while (!(await condition(log))) {
        if (hasEnded() || Date.now() > deadline) {
          const how = hasEnded() ? 'ended' : 'does not go on';
          throw new Error(`Headwater ${how}: ${log.slice(-4000)}`);
        }
        await sleep(50);
      }
    },
    async stop() {
      if (!hasEnded()) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await ended;
      clearTimeout(timer);
    },
  };
}
