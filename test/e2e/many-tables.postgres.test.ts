/**
 * One database with many tables: 5,000 with HEADWATER_TEST_FULL, 300 otherwise. Nothing is missing, nothing comes twice,
 * and what a start asks of the database does not grow with their number.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { COSTS } from '../../bench/cost-model.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import type { Delivered } from './topic-records.ts';

const TABLES = process.env['HEADWATER_TEST_FULL'] === '1' ? 5000 : 300;
const ADDED = 20;
/** Tables a statement, so that their locks fit the server's default. */
const AT_ONCE = 250;
/** What docs/scale.md gives a process and each table of it, and half as much again for what no collection has been after. */
const RESIDENT_BYTES = 1.5 * (COSTS.processMb * 1e6 + TABLES * COSTS.tableKb * 1000);

let database: TestDatabase;
let files: Workspace;
let file: string;

beforeAll(async () => {
  [database, files] = await Promise.all([testDatabase(), workspace()]);
  await make(0, TABLES);
  const text = pipelineFile({
    name: 'many',
    url: database.url,
    tables: ['public.*'],
    path: files.path('out'),
    source: [`postgres: { slot: ${database.name} }`],
  });
  file = await files.write('many.yaml', text);
}, 300_000);

afterAll(async () => {
  await files?.[Symbol.asyncDispose]();
  await database?.drop();
});

async function make(from: number, to: number): Promise<void> {
  for (let i = from; i < to; i += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, to - i) }, (_, k) => i + k);
    await database.query(
      numbers
        .map((n) => `CREATE TABLE t${n} (id int PRIMARY KEY, v text); INSERT INTO t${n} VALUES (1, 'a')`)
        .join(';'),
    );
  }
}

/** One row into each table, in few transactions. */
async function insertEverywhere(id: number, tables: number): Promise<void> {
  for (let i = 0; i < tables; i += AT_ONCE) {
    await database.query(`DO $$ BEGIN FOR n IN ${i}..${Math.min(i + AT_ONCE, tables) - 1} LOOP
      EXECUTE format('INSERT INTO t%s VALUES (${id})', n); END LOOP; END $$`);
  }
}

async function records(): Promise<readonly Delivered[]> {
  const dir = files.path('out');
  const segments = (await readdir(dir)).filter((each) => each.endsWith('.jsonl')).toSorted();
  const texts = await Promise.all(segments.map((each) => readFile(join(dir, each), 'utf8')));
  return texts.flatMap((text) =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Delivered),
  );
}

/** Transactions of the database so far: each query outside of a transaction is one. */
async function transactions(): Promise<number> {
  await database.query('SELECT pg_stat_force_next_flush()');
  const [row] = await database.query<{ count: number }>(
    'SELECT (xact_commit + xact_rollback)::int AS count FROM pg_stat_database WHERE datname = current_database()',
  );
  return row!.count;
}

it(
  'delivers all of them once, over restarts and with tables that come later',
  async () => {
    const expected = (tables: number, ids: (table: number) => readonly string[]): readonly string[] =>
      Array.from({ length: tables }, (_, i) => ids(i).map((id) => `t${i} ${id}`))
        .flat()
        .toSorted();
    {
      await using run = new Headwater(['run', file]);
      await run.until(
        ({ state, snapshot }) => state === 'streaming' && snapshot !== null && snapshot.completedAt !== null,
      );
      await insertEverywhere(2, TABLES);
      await run.until(({ counters }) => counters.creates >= TABLES);
      const { body } = await run.get('/metrics');
      const series = body.split('\n').filter((line) => line.startsWith('headwater_table_events_total{'));
      expect(series).toHaveLength(Math.min(TABLES, 1001));
      const resident = Number(/^process_resident_memory_bytes (\d+)/m.exec(body)?.[1]);
      expect(resident).toBeLessThan(RESIDENT_BYTES);
      await run.stop();
    }
    const before = await transactions();
    {
      await using run = new Headwater(['run', file]);
      await run.until(({ state, caughtUp }) => state === 'streaming' && caughtUp);
      await run.stop();
      // Neither tables nor their columns are asked for one by one.
      expect((await transactions()) - before).toBeLessThan(100);
    }
    await make(TABLES, TABLES + ADDED);
    {
      await using run = new Headwater(['run', file]);
      await run.until(({ state, counters }) => state === 'streaming' && counters.reads === ADDED);
      await insertEverywhere(3, TABLES + ADDED);
      await run.until(({ counters }) => counters.creates >= TABLES + ADDED);
      await run.stop();
    }
    const wanted = expected(TABLES + ADDED, (i) => (i < TABLES ? ['r:1', 'c:2', 'c:3'] : ['r:1', 'c:3']));
    const seen = (await records()).map(
      ({ topic, value }) =>
        `${topic.slice(topic.lastIndexOf('.') + 1)} ${value?.op}:${String(value?.after?.['id'])}`,
    );
    expect(seen.toSorted()).toEqual(wanted);
    const checked = await headwater(['doctor', file]);
    expect(checked.exit).toBe(0);
  },
  20 * 60_000,
);
