/** What becomes of a pipeline with `mode: auto` when privileges appear that it runs without. */
import { expect } from 'vitest';
import { Headwater, type Workspace } from './headwater.ts';
import {
  changeText,
  delivered,
  polledPipeline,
  type PolledRow,
  polledRows,
  replayed,
} from './polling-support.ts';

export interface AutoSource {
  /** Of a user who may read the table `t`, and the log not yet. */
  readonly url: string;
  /** `schema.t`: `id`, `v`, `updated_at`, which is set by itself when a row is inserted. */
  readonly table: string;
  readonly connector: string;
  readonly query: (sql: string) => Promise<readonly unknown[]>;
  /** Gives the user what the log takes. */
  readonly grant: () => Promise<unknown>;
}

async function sample(daemon: Headwater): Promise<string | undefined> {
  const { body } = await daemon.get('/metrics');
  return /^headwater_polling\{[^}]*\} (\d)$/m.exec(body)?.[1];
}

/** Rows are inserted, changed and deleted all along; the daemon is never restarted. */
export async function followChangeOver(files: Workspace, source: AutoSource): Promise<void> {
  const { query } = source;
  const polled = await polledPipeline(files, {
    url: source.url,
    mode: 'auto',
    tables: [source.table],
    poll: `{ every: 200ms, tables: { ${source.table}: { timestamp: updated_at, remember: keys, delete_sweep: 1h } } }`,
  });
  await using daemon = new Headwater(['run', polled.file]);
  const before = await daemon.until(
    ({ state, capture }) => state === 'streaming' && capture?.mode === 'poll',
  );
  expect(before.capture?.reason).toContain('the log cannot be read');
  expect(await sample(daemon)).toBe('1');
  expect((await daemon.get('/readyz')).status).toBe(200);

  let count = 0;
  // Between the last sweep and the log's beginning is a moment in which a delete is seen by neither.
  let deleting = true;
  const stop = new AbortController();
  const writing = (async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const id = ++count;
      await query(`INSERT INTO t (id, v) VALUES (${id}, ${id})`);
      if (id % 3 === 0) await query(`UPDATE t SET v = -v, updated_at = now() WHERE id = ${id - 1}`);
      if (deleting && id % 5 === 0) await query(`DELETE FROM t WHERE id = ${id - 3}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  await delivered(polled, (rows) => rows.length > 20);
  deleting = false;
  await source.grant();
  const after = await daemon.until(({ state, capture }) => state === 'streaming' && capture?.mode === 'log');
  expect(after.capture?.reason).toContain('the log can be read');
  expect(await sample(daemon)).toBe('0');
  const changedOver = count;
  deleting = true;
  await delivered(polled, (rows) => rows.filter(isOf(source.connector)).length > changedOver + 20);
  stop.abort();
  await writing;
  const last = ++count;
  await query(`INSERT INTO t (id, v) VALUES (${last}, ${last})`);
  await delivered(polled, (rows) => rows.some(({ after: row }) => row?.['id'] === last));
  await daemon.stop();

  const told = daemon.log.flatMap(({ mode, msg }) => (mode === undefined ? [] : [[mode, msg]]));
  expect(told).toEqual([
    ['poll', 'changes are found by polling'],
    ['log', 'changes are read from the log'],
  ]);
  const all = await polledRows(polled);
  const shown = (row: unknown): string => JSON.stringify(row, ['id', 'v']);
  expect(replayed(all).map(shown).toSorted()).toEqual(
    (await query('SELECT id, v FROM t')).map(shown).toSorted(),
  );
  // What comes twice is marked as read, and read once by each of both.
  const polling = all.filter(isOf('polling'));
  const log = all.filter(isOf(source.connector));
  expect(all.length).toBe(polling.length + log.length);
  expect(all.indexOf(log[0]!)).toBe(polling.length);
  const changes = all.filter(({ op }) => op !== 'r').map((row) => changeText(row, ['id', 'v']));
  expect(repeated(changes.map((text) => text.replace(/^[cu] (?:\S+ ){2}/, 'is ')))).toEqual([]);
  for (const part of [polling, log])
    expect(repeated(part.filter(({ op }) => op === 'r').map(({ key }) => key))).toEqual([]);
}

const isOf =
  (connector: string) =>
  ({ source }: PolledRow): boolean =>
    source['connector'] === connector;

function repeated(texts: readonly string[]): readonly string[] {
  return texts.filter((text, i) => texts.indexOf(text) !== i);
}
