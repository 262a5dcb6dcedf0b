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
import { contents, insertEverywhere, makeTables, transactions, wantedContents } from './many-tables.ts';
import type { Delivered } from './topic-records.ts';

const TABLES = process.env['HEADWATER_TEST_FULL'] === '1' ? 5000 : 300;
const ADDED = 20;
/** Twice what docs/scale.md gives a process and each table of it: here it runs from its sources, without the service's flags. */
const RESIDENT_BYTES = 2 * (COSTS.processMb * 1e6 + TABLES * COSTS.tableKb * 1000);

let database: TestDatabase;
let files: Workspace;
let file: string;

beforeAll(async () => {
  [database, files] = await Promise.all([testDatabase(), workspace()]);
  await makeTables(database, 0, TABLES);
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

it(
  'delivers all of them once, over restarts and with tables that come later',
  async () => {
    {
      await using run = new Headwater(['run', file]);
      await run.until(
        ({ state, snapshot }) => state === 'streaming' && snapshot !== null && snapshot.completedAt !== null,
      );
      await insertEverywhere(database, 2, TABLES);
      await run.until(({ counters }) => counters.creates >= TABLES);
      const { body } = await run.get('/metrics');
      const series = body.split('\n').filter((line) => line.startsWith('headwater_table_events_total{'));
      expect(series).toHaveLength(Math.min(TABLES, 1001));
      const resident = Number(/^process_resident_memory_bytes (\d+)/m.exec(body)?.[1]);
      expect(resident).toBeLessThan(RESIDENT_BYTES);
      await run.stop();
    }
    const before = await transactions(database);
    {
      await using run = new Headwater(['run', file]);
      await run.until(({ state, caughtUp }) => state === 'streaming' && caughtUp);
      await run.stop();
      // Neither tables nor their columns are asked for one by one.
      expect((await transactions(database)) - before).toBeLessThan(100);
    }
    await makeTables(database, TABLES, TABLES + ADDED);
    {
      await using run = new Headwater(['run', file]);
      await run.until(({ state, counters }) => state === 'streaming' && counters.reads === ADDED);
      await insertEverywhere(database, 3, TABLES + ADDED);
      await run.until(({ counters }) => counters.creates >= TABLES + ADDED);
      await run.stop();
    }
    const wanted = wantedContents(TABLES + ADDED, (i) =>
      i < TABLES ? ['r:1', 'c:2', 'c:3'] : ['r:1', 'c:3'],
    );
    const seen = (await records()).map(({ topic, value }) => ({
      topic,
      op: value?.op ?? '-',
      id: value?.after?.['id'],
    }));
    expect(contents(seen)).toEqual(wanted);
    const checked = await headwater(['doctor', file]);
    expect(checked.exit).toBe(0);
  },
  20 * 60_000,
);
