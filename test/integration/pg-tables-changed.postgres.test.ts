import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Headwater, logLines, pipelineFile, runToEnd, type Workspace, workspace } from '../e2e/headwater.ts';
import { readFiles, summary } from '../e2e/topic-records.ts';
import { testDatabase, type TestDatabase } from '../support/servers.ts';

let files: Workspace;
let db: TestDatabase;

beforeAll(async () => {
  files = await workspace();
});
afterAll(() => files[Symbol.asyncDispose]());
beforeEach(async () => {
  db = await testDatabase();
  await db.query(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)`);
  await db.query(`INSERT INTO a VALUES (1); INSERT INTO b VALUES (10)`);
});
afterEach(() => db.drop());

async function pipeline(onGap: string): Promise<{ readonly file: string; readonly dir: string }> {
  const dir = files.path(db.name);
  const text = pipelineFile({
    name: db.name,
    url: db.url,
    tables: ['public.*'],
    path: dir,
    source: [`on_gap: ${onGap}`, `postgres: { slot: ${db.name}, publication: ${db.name} }`],
  });
  return { file: await files.write(`${db.name}.yaml`, text), dir };
}

async function recordsOf(dir: string, topic: string): Promise<readonly string[]> {
  return summary((await readFiles(dir)).filter((record) => record.topic.endsWith(topic)));
}

describe('a table whose changes were not published for a while', () => {
  it.each([
    [
      'taken out by hand',
      (name: string) => `ALTER PUBLICATION ${name} DROP TABLE b; INSERT INTO b VALUES (11)`,
      ['r:10', 'r:10', 'r:11'],
    ],
    [
      'dropped and made again',
      () => `DROP TABLE b; CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (11)`,
      ['r:10', 'r:11'],
    ],
  ])('is read again, alone: %s', async (_, how, expected) => {
    const { file, dir } = await pipeline('resnapshot');
    const first = await runToEnd(file);
    expect(first.exit, first.stderr).toBe(0);
    await db.query(how(db.name));
    await db.query(`INSERT INTO a VALUES (2)`);
    const second = await runToEnd(file);
    expect(second.exit, second.stderr).toBe(0);
    expect(await recordsOf(dir, 'public.b')).toEqual(expected);
    expect(await recordsOf(dir, 'public.a')).toEqual(['r:1', 'c:2']);
    expect(logLines(second.stderr).filter(({ tables }) => Array.isArray(tables))).toMatchObject([
      { level: 'warn', tables: ['public.b'], msg: expect.stringContaining('read again') as string },
    ]);
    const third = await runToEnd(file);
    expect(third.exit, third.stderr).toBe(0);
    expect(await recordsOf(dir, 'public.b')).toEqual(expected);
  });

  it('is said to lack changes where gaps are skipped', async () => {
    const { file, dir } = await pipeline('skip_with_marker');
    expect((await runToEnd(file)).exit).toBe(0);
    await db.query(`ALTER PUBLICATION ${db.name} DROP TABLE b; INSERT INTO b VALUES (11)`);
    const second = await runToEnd(file);
    expect(second.exit, second.stderr).toBe(0);
    await db.query(`INSERT INTO b VALUES (12)`);
    expect((await runToEnd(file)).exit).toBe(0);
    expect(await recordsOf(dir, 'public.b')).toEqual(['r:10', 'c:12']);
    const markers = (await readFiles(dir)).filter(({ topic }) => topic.endsWith('.notification'));
    expect(markers).toHaveLength(1);
    expect(markers[0]!.value).toMatchObject({ additional_data: { tables: 'public.b' } });
  });
});

describe('a table that loses its primary key while the daemon runs', () => {
  it('leaves the publication of updates, so that those of the application do not fail', async () => {
    await db.query(`CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (100); INSERT INTO parted VALUES (1)`);
    const { file, dir } = await pipeline('resnapshot');
    await using daemon = new Headwater(['run', file]);
    await daemon.until((status) => status.state === 'streaming' && status.caughtUp);
    for (const table of ['b', 'parted']) {
      await db.query(`ALTER TABLE ${table} DROP CONSTRAINT ${table}_pkey`);
      await daemon.line(
        ({ code, msg }) => code === 'source.tables-changed' && msg.includes(`public.${table}`),
      );
      await daemon.until(
        ({ state, tables }) =>
          state === 'streaming' &&
          tables.some((entry) => entry.table === `public.${table}` && entry.limitation !== null),
      );
      await db.query(`UPDATE ${table} SET id = id + 1`);
    }
    await db.query(`INSERT INTO b VALUES (12); INSERT INTO parted VALUES (3)`);
    await daemon.until(({ tables }) =>
      tables.every(({ table, events }) => table === 'public.a' || events > 1),
    );
    expect((await daemon.stop()).exit).toBe(0);
    expect((await recordsOf(dir, 'public.b')).at(-1)).toBe('c:12');
    expect((await recordsOf(dir, 'public.parted')).at(-1)).toBe('c:3');
  });
});

// The daemon looks every half minute.
describe.runIf(process.env['HEADWATER_TEST_FULL'] === '1')('a table that comes while the daemon runs', () => {
  it('is captured, with what it held, and nobody has to do anything', async () => {
    const { file, dir } = await pipeline('resnapshot');
    await using daemon = new Headwater(['run', file]);
    await daemon.until((status) => status.state === 'streaming' && status.caughtUp);
    await db.query(`CREATE TABLE c (id int PRIMARY KEY); INSERT INTO c VALUES (100)`);
    await daemon.until(({ tables }) =>
      tables.some((entry) => entry.table === 'public.c' && entry.state === 'streaming'),
    );
    await db.query(`INSERT INTO c VALUES (101); INSERT INTO a VALUES (2)`);
    await daemon.until(({ tables }) =>
      tables.some((entry) => entry.table === 'public.a' && entry.events > 0),
    );
    const { exit } = await daemon.stop();
    expect(exit).toBe(0);
    expect(await recordsOf(dir, 'public.c')).toEqual(['r:100', 'c:101']);
    expect(await recordsOf(dir, 'public.a')).toEqual(['r:1', 'c:2']);
    expect(daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
