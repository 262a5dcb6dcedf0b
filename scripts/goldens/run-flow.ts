/** Runs a recording's SQL through Headwater itself: the command line, the file sink, two runs to the end of the log. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type GoldenRecord, parseRecord, type Recording } from './recording.ts';
import type { GoldenSource } from './source.ts';

export interface FlowOptions {
  /** Empty as yet. */
  readonly source: GoldenSource;
  readonly recording: Pick<Recording, 'prefix' | 'before' | 'during'>;
  readonly profile: 'debezium' | 'safe';
  readonly format: 'json' | 'json-with-schema';
}

/** The records in the order Headwater wrote them. */
export async function runFlow(options: FlowOptions): Promise<readonly GoldenRecord[]> {
  const { recording, source } = options;
  const folder = await mkdtemp(join(tmpdir(), 'headwater-goldens-'));
  try {
    const file = join(folder, 'pipeline.yaml');
    await writeFile(file, settings(options, folder));
    for (const script of recording.before) await source.run(script);
    await runToTheEnd(file);
    for (const script of recording.during) await source.run(script);
    await runToTheEnd(file);
    const records: GoldenRecord[] = [];
    const out = join(folder, 'out');
    for (const segment of (await readdir(out)).filter((name) => name.endsWith('.jsonl')).sort()) {
      const lines = (await readFile(join(out, segment), 'utf8')).split('\n');
      for (const line of lines) if (line !== '') records.push(parseRecord(line));
    }
    return records;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function settings({ source, recording, profile, format }: FlowOptions, folder: string): string {
  return `name: ${recording.prefix}
source:
${source.settings.map((line) => `  ${line}\n`).join('')}emit:
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
