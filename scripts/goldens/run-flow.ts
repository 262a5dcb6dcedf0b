/** Runs a recording's SQL through Headwater itself: the command line, the file sink, two runs to the end of the log. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { type GoldenRecord, parseRecord, type Recording } from './recording.ts';

export interface FlowOptions {
  /** An empty database of PostgreSQL 15 with contrib; superuser. */
  readonly databaseUrl: string;
  readonly recording: Recording;
  readonly profile: 'debezium' | 'safe';
  readonly format: 'json' | 'json-with-schema';
}

/** The records in the order Headwater wrote them. */
export async function runFlow(options: FlowOptions): Promise<readonly GoldenRecord[]> {
  const { recording } = options;
  const folder = await mkdtemp(join(tmpdir(), 'headwater-goldens-'));
  const client = new pg.Client({ connectionString: options.databaseUrl });
  await client.connect();
  try {
    const file = join(folder, 'pipeline.yaml');
    await writeFile(file, settings(options, folder));
    for (const statement of recording.before) await client.query(statement);
    await runToTheEnd(file);
    for (const statement of recording.during) await client.query(statement);
    await runToTheEnd(file);
    const records: GoldenRecord[] = [];
    const out = join(folder, 'out');
    for (const segment of (await readdir(out)).filter((name) => name.endsWith('.jsonl')).sort()) {
      const lines = (await readFile(join(out, segment), 'utf8')).split('\n');
      for (const line of lines) if (line !== '') records.push(parseRecord(line));
    }
    return records;
  } finally {
    await client.end();
    await rm(folder, { recursive: true, force: true });
  }
}

function settings({ databaseUrl, recording, profile, format }: FlowOptions, folder: string): string {
  // Slots belong to the whole server.
  const own = new URL(databaseUrl).pathname.slice(1);
  return `name: ${recording.prefix}
source:
  url: ${databaseUrl}
  tables: ['/.*/']
  postgres: { slot: ${own}, publication: ${own} }
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

async function runToTheEnd(file: string): Promise<void> {
  const main = join(import.meta.dirname, '../../src/main.ts');
  try {
    await promisify(execFile)(process.execPath, [main, 'run', '--until-caught-up', '--json', file], {
      maxBuffer: 64 * 1024 * 1024,
      timeout: 120_000,
    });
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(`Headwater failed: ${(stderr ?? message).slice(-4000)}`, { cause: error });
  }
}
