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
  /** Takes it away again. */
  readonly revoke: () => Promise<unknown>;
}

async function sample(daemon: Headwater): Promise<string | undefined> {
  const { body } = await daemon.get('/metrics');
  return /^headwater_polling\{[^}]*\} (\d)$/m.exec(body)?.[1];
}

/** Rows are inserted, changed and deleted all along; the daemon is never restarted. */
export async function followChangeOver(files: Workspace, source: AutoSource): Promise<void> {
  const polled = await polledPipeline(files, {
    url: source.url,
    mode: 'auto',
    tables: [source.table],
    poll: `{ every: 200ms, tables: { ${source.table}: { timestamp: updated_at, remember: keys } } }`,
  });
  await using daemon = new Headwater(['run', polled.file]);
  const before = await daemon.until(
    ({ state, capture }) => state === 'streaming' && capture?.mode === 'poll',
  );
  expect(before.capture?.reason).toContain('the log cannot be read');
  expect(await sample(daemon)).toBe('1');
  expect((await daemon.get('/readyz')).status).toBe(200);

  const writer = writeTo(source);
  await delivered(polled, (rows) => rows.length > 20);
  await source.grant();
  const after = await daemon.until(({ state, capture }) => state === 'streaming' && capture?.mode === 'log');
  expect(after.capture?.reason).toContain('the log can be read');
  expect(after.warnings).toEqual([]);
  expect(await sample(daemon)).toBe('0');
  const changedOver = writer.written();
  await delivered(polled, (rows) => rows.filter(isOf(source.connector)).length > changedOver + 20);
  const last = await writer.stop();
  await delivered(polled, (rows) => rows.some(({ after: row }) => row?.['id'] === last));
  await daemon.stop();

  const told = daemon.log.flatMap(({ mode, msg }) => (mode === undefined ? [] : [[mode, msg]]));
  expect(told).toEqual([
    ['poll', 'changes are found by polling'],
    ['log', 'changes are read from the log'],
  ]);
  const all = await polledRows(polled);
  await expectTable(all, source);
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

/**
 * The daemon is killed again and again while it goes over, each time at another place, and rows that polling knows are
 * deleted each time. What was deleted before the log began has its delete, once, and no row that is there.
 */
export async function killAtChangeOver(files: Workspace, source: AutoSource): Promise<void> {
  const polled = await polledPipeline(files, {
    url: source.url,
    mode: 'auto',
    tables: [source.table],
    poll: `{ every: 200ms, tables: { ${source.table}: { timestamp: updated_at, remember: rows } } }`,
  });
  const known = Array.from({ length: 30 }, (_, i) => -1 - i);
  await source.query(`INSERT INTO t (id, v) VALUES ${known.map((id) => `(${id}, ${id})`).join(', ')}`);
  const deleteKnown = async (): Promise<void> => {
    for (const id of known.splice(0, 3)) await source.query(`DELETE FROM t WHERE id = ${id}`);
  };
  const writer = writeTo(source);
  {
    await using daemon = new Headwater(['run', polled.file]);
    await delivered(polled, (rows) => rows.length > 50);
    await daemon.kill();
  }
  await deleteKnown();
  await source.grant();
  for (const place of [
    'slot-created:1',
    'before-commit:1',
    'after-commit:1',
    'before-commit:2',
    'after-commit:2',
    'before-commit:3',
    'after-commit:3',
  ]) {
    await using daemon = new Headwater(['run', polled.file], { HEADWATER_FAILPOINT: place });
    expect((await daemon.exited).exit, place).toBe('SIGKILL');
    await deleteKnown();
  }
  await using daemon = new Headwater(['run', polled.file]);
  const last = await writer.stop();
  await daemon.until(({ snapshot }) => snapshot !== null && snapshot.completedAt !== null);
  await delivered(polled, (rows) => rows.some(({ after: row }) => row?.['id'] === last));
  const [left] = await source.query('SELECT count(*) AS n FROM t');
  const count = Number((left as Readonly<Record<string, unknown>>)['n']);
  await delivered(polled, (rows) => replayed(rows).length === count);
  await daemon.stop();
  const all = await polledRows(polled);
  await expectTable(all, source);
  expect(repeated(all.filter(({ op }) => op === 'd').map(({ key }) => key))).toEqual([]);
}

/**
 * The log is out of reach at a start, and rows have been deleted since it was read last; the daemon is killed while polling
 * takes over. Each delete is told once.
 */
export async function leaveLog(files: Workspace, source: AutoSource): Promise<void> {
  const { query } = source;
  const polled = await polledPipeline(files, {
    url: source.url,
    mode: 'auto',
    tables: [source.table],
    poll: `{ every: 200ms, tables: { ${source.table}: { timestamp: updated_at, delete_sweep: 1s } } }`,
  });
  const left = Array.from({ length: 40 }, (_, i) => i + 1);
  await query(`INSERT INTO t (id, v) VALUES ${left.map((id) => `(${id}, ${id})`).join(', ')}`);
  await source.grant();
  {
    await using daemon = new Headwater(['run', polled.file]);
    // Rows that were not delivered have no delete.
    await daemon.until(({ capture, snapshot }) => capture?.mode === 'log' && snapshot?.completedAt != null);
    await delivered(polled, (rows) => replayed(rows).length === left.length);
    await query('INSERT INTO t (id, v) VALUES (101, 1), (102, 2), (103, 3)');
    await query('UPDATE t SET id = 104 WHERE id = 103');
    await query('DELETE FROM t WHERE id = 101');
    await delivered(polled, (rows) => rows.some(({ op, key }) => op === 'd' && key.includes('101')));
    await daemon.kill();
  }
  const deleteSome = async (): Promise<void> => {
    for (const id of left.splice(0, 3)) await query(`DELETE FROM t WHERE id = ${id}`);
  };
  await query('DELETE FROM t WHERE id >= 102');
  await deleteSome();
  await source.revoke();
  for (const place of ['before-commit:1', 'after-commit:1', 'before-commit:2', 'after-commit:2']) {
    await using daemon = new Headwater(['run', polled.file], { HEADWATER_FAILPOINT: place });
    expect((await daemon.exited).exit, place).toBe('SIGKILL');
    await deleteSome();
  }
  await using daemon = new Headwater(['run', polled.file]);
  const { warnings } = await daemon.until(
    ({ state, capture }) => state === 'streaming' && capture?.mode === 'poll',
  );
  expect(warnings).toEqual([]);
  await delivered(polled, (rows) => replayed(rows).length === left.length);
  await query('INSERT INTO t (id, v) VALUES (200, 200)');
  await delivered(polled, (rows) => rows.some(({ after }) => after?.['id'] === 200));
  await daemon.stop();
  const all = await polledRows(polled);
  await expectTable(all, source);
  const deleted = all.filter(({ op }) => op === 'd').map(({ key }) => key);
  expect(repeated(deleted)).toEqual([]);
  // Of 103, which became 104, the log has told.
  expect(deleted).toHaveLength(3 + 1 + 40 - left.length);
}

interface Writer {
  /** Rows so far. */
  readonly written: () => number;
  /** Answers the id of the last row, which is written behind all else. */
  readonly stop: () => Promise<number>;
}

/** Inserts, updates and deletes rows until it is stopped. */
function writeTo({ query }: AutoSource): Writer {
  let count = 0;
  const stop = new AbortController();
  const insert = (): Promise<unknown> => {
    count++;
    return query(`INSERT INTO t (id, v) VALUES (${count}, ${count})`);
  };
  const writing = (async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await insert();
      if (count % 3 === 0) await query(`UPDATE t SET v = -v, updated_at = now() WHERE id = ${count - 1}`);
      if (count % 5 === 0) await query(`DELETE FROM t WHERE id = ${count - 3}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return {
    written: () => count,
    stop: async () => {
      stop.abort();
      await writing;
      await insert();
      return count;
    },
  };
}

/** What a consumer holds is what there is. */
async function expectTable(all: readonly PolledRow[], { query }: AutoSource): Promise<void> {
  const shown = (row: unknown): string => JSON.stringify(row, ['id', 'v']);
  expect(replayed(all).map(shown).toSorted()).toEqual(
    (await query('SELECT id, v FROM t')).map(shown).toSorted(),
  );
}

const isOf =
  (connector: string) =>
  ({ source }: PolledRow): boolean =>
    source['connector'] === connector;

function repeated(texts: readonly string[]): readonly string[] {
  return texts.filter((text, i) => texts.indexOf(text) !== i);
}
