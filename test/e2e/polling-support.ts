/** Pipelines that poll, and what they have delivered. */
import { expect } from 'vitest';
import { type Envelope, readFiles } from './topic-records.ts';
import { pipelineFile, runToEnd, type Workspace } from './headwater.ts';

export interface PolledRow extends Envelope {
  readonly key: string;
}

export interface PolledPipeline {
  readonly file: string;
  readonly dir: string;
  readonly stateDir: string;
}

let count = 0;

export async function polledPipeline(
  files: Workspace,
  of: {
    readonly url: string;
    readonly tables: readonly string[];
    readonly poll: string;
    readonly mode?: string;
    readonly port?: number;
  },
): Promise<PolledPipeline> {
  const name = `poll${++count}`;
  const dir = files.path(`${name}-records`);
  const stateDir = files.path(`${name}-state`);
  const text = pipelineFile({
    name,
    url: of.url,
    tables: of.tables,
    path: dir,
    source: [`mode: ${of.mode ?? 'poll'}`, `poll: ${of.poll}`],
    more: [`state: { dir: ${stateDir} }`],
    http: `127.0.0.1:${of.port ?? 0}`,
  });
  return { file: await files.write(`${name}.yaml`, text), dir, stateDir };
}

/** All committed records of rows, in order. */
export async function polledRows({ dir }: PolledPipeline): Promise<readonly PolledRow[]> {
  return (await readFiles(dir)).flatMap(({ key, value }): PolledRow[] => {
    if (value === null || !('op' in value)) return [];
    const { op, before, after, source } = value;
    return [{ op, key: JSON.stringify(key), before, after, source }];
  });
}

export async function caughtUp({ file }: PolledPipeline): Promise<string> {
  const { exit, stderr } = await runToEnd(file);
  expect(exit, stderr).toBe(0);
  return stderr;
}

/** What a consumer that takes the last record of each key holds. */
export function replayed(all: readonly PolledRow[]): readonly Readonly<Record<string, unknown>>[] {
  const rows = new Map<string, Readonly<Record<string, unknown>>>();
  for (const { op, key, after } of all) {
    if (op === 'd' || after === null) rows.delete(key);
    else rows.set(key, after);
  }
  return [...rows.values()];
}

const GIVE_UP_MS = 120_000;

/** All records, once they satisfy `enough`; what they come to is for the caller to assert. */
export async function delivered(
  polled: PolledPipeline,
  enough: (rows: readonly PolledRow[]) => boolean,
): Promise<readonly PolledRow[]> {
  for (const until = Date.now() + GIVE_UP_MS; ;) {
    const rows = await polledRows(polled).catch((): readonly PolledRow[] => []);
    if (enough(rows)) return rows;
    if (Date.now() > until)
      throw new Error(
        `Waited for ${String(enough)}, and got ${rows.map(({ op, key }) => `${op} ${key}`).join(', ')}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * Per key its changes, as `changeText` has them. Polling promises no order between keys: a sweep finds a delete while
 * the rows of a transaction that committed before still wait for an older one to end.
 */
export function changesByKey(
  rows: readonly PolledRow[],
  columns: readonly string[],
): Readonly<Record<string, readonly string[]>> {
  const changes: Record<string, string[]> = {};
  for (const row of rows) (changes[row.key] ??= []).push(changeText(row, columns));
  return changes;
}

/** `u 1 2 1 3`: the operation, and columns of the row before and after. */
export function changeText({ op, before, after }: PolledRow, columns: readonly string[]): string {
  const cells = [before, after].flatMap((row) => columns.map((column) => row?.[column] ?? '-'));
  return [op, ...cells.map((cell) => (typeof cell === 'string' ? cell : JSON.stringify(cell)))].join(' ');
}
