/** What people do to tables while they are captured: the others go on, no attempt fails, and nothing is missing. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import type { Delivered } from './topic-records.ts';

let database: TestDatabase;
let files: Workspace;
let run: Headwater;
let canaries = 0;

const SETUP = `
  CREATE TABLE canary (id int PRIMARY KEY);
  CREATE SCHEMA "We.ird ""schema""";
  CREATE TABLE "We.ird ""schema"""."a.b ""c"" é $1 %" ("select" int PRIMARY KEY, "Über.Spalte ""x""" text, "{name}" text);
  INSERT INTO "We.ird ""schema"""."a.b ""c"" é $1 %" VALUES (1, 'one', NULL);
  CREATE TABLE nothing ();
  INSERT INTO nothing DEFAULT VALUES;
  CREATE TABLE many (id int PRIMARY KEY, ${Array.from({ length: 1599 }, (_, i) => `c${i} int DEFAULT ${i}`).join(', ')});
  INSERT INTO many (id) VALUES (1);
  CREATE TABLE big (id int PRIMARY KEY, t text);
  CREATE TYPE mood AS ENUM ('sad', 'ok');
  CREATE DOMAIN small AS int CHECK (VALUE < 10);
  CREATE TYPE pair AS (a int, b text);
  CREATE TABLE typed (id int PRIMARY KEY, m mood, s small, p pair);
  CREATE TABLE identity (id int PRIMARY KEY, u int NOT NULL UNIQUE, v text);
  CREATE TABLE parts (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
  CREATE SCHEMA old_name;
  CREATE TABLE old_name.t (id int PRIMARY KEY, v text);
`;

beforeAll(async () => {
  database = await testDatabase();
  files = await workspace();
  await database.query(SETUP);
  const text = pipelineFile({
    name: 'h',
    url: database.url,
    tables: ['/.+/'],
    path: files.path('out'),
    source: [`postgres: { slot: ${database.name} }`],
  });
  run = new Headwater(['run', await files.write('h.yaml', text)]);
  await run.until(({ state, snapshot }) => state === 'streaming' && snapshot !== null);
});

afterAll(async () => {
  await run?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
  await database?.drop();
});

async function records(): Promise<readonly Delivered[]> {
  const dir = files.path('out');
  const segments = (await readdir(dir)).filter((name) => name.endsWith('.jsonl')).sort();
  const texts = await Promise.all(segments.map((name) => readFile(join(dir, name), 'utf8')));
  return texts.flatMap((text) =>
    text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Delivered),
  );
}

/** All records up to a change that is made now. */
async function settled(): Promise<readonly Delivered[]> {
  const id = ++canaries;
  await database.query('INSERT INTO public.canary VALUES ($1)', [id]);
  let all: readonly Delivered[] = [];
  await expect
    .poll(
      async () => {
        all = await records();
        return all.some(({ topic, value }) => topic === 'h.public.canary' && value?.after?.id === id);
      },
      { timeout: 60_000 },
    )
    .toBe(true);
  return all;
}

/** What has come of a topic since `before`, without tombstones. */
async function since(
  before: readonly Delivered[],
  topic: string,
): Promise<readonly { readonly op: string; readonly before: unknown; readonly after: unknown }[]> {
  return (await settled())
    .slice(before.length)
    .filter((each) => each.topic === topic && each.value !== null)
    .map(({ value }) => ({ op: value!.op, before: value!.before, after: value!.after }));
}

async function expectUndisturbed(): Promise<void> {
  const [status] = await run.status();
  expect(status, JSON.stringify(run.log)).toMatchObject({ state: 'streaming', attempts: 1, lastError: null });
}

it('any name', async () => {
  const topic = 'h.We.ird__schema_.a.b__c_____1__';
  const before = await settled();
  expect(before.filter((each) => each.topic === topic).map(({ value }) => value!.after)).toEqual([
    { select: 1, 'Über.Spalte "x"': 'one', '{name}': null },
  ]);
  await database.query(`
    INSERT INTO "We.ird ""schema"""."a.b ""c"" é $1 %" VALUES (2, 'two', 'x');
    UPDATE "We.ird ""schema"""."a.b ""c"" é $1 %" SET "{name}" = 'y' WHERE "select" = 2;
    DELETE FROM "We.ird ""schema"""."a.b ""c"" é $1 %" WHERE "select" = 1;`);
  expect((await since(before, topic)).map(({ op }) => op)).toEqual(['c', 'u', 'd']);
  await expectUndisturbed();
});

it('no columns, 1,600 columns, a value of 4 MB', async () => {
  const before = await settled();
  await database.query(`
    INSERT INTO nothing DEFAULT VALUES;
    INSERT INTO many (id) VALUES (2);
    INSERT INTO big VALUES (1, repeat('0123456789', 400000));`);
  expect(await since(before, 'h.public.nothing')).toEqual([{ op: 'c', before: null, after: {} }]);
  const [wide] = await since(before, 'h.public.many');
  expect(wide).toMatchObject({ op: 'c', after: { id: 2, c0: 0, c1598: 1598 } });
  const [big] = await since(before, 'h.public.big');
  expect((big!.after as { t: string }).t).toHaveLength(4_000_000);
  await database.query('DELETE FROM big');
  await expectUndisturbed();
});

it('types that change', async () => {
  const before = await settled();
  await database.query(`INSERT INTO typed VALUES (1, 'ok', 5, (1, 'x'))`);
  await database.query(`ALTER TYPE mood ADD VALUE 'great'`);
  await database.query(`INSERT INTO typed VALUES (2, 'great', 6, (2, 'y'))`);
  await database.query(
    `ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'; INSERT INTO typed VALUES (3, 'blue', 7, NULL)`,
  );
  await database.query(
    `ALTER DOMAIN small DROP CONSTRAINT small_check; INSERT INTO typed VALUES (4, NULL, 700, NULL)`,
  );
  await database.query(
    `ALTER TABLE typed ALTER COLUMN s TYPE text; INSERT INTO typed VALUES (5, 'ok', 'many', NULL)`,
  );
  await database.query(`ALTER TYPE mood RENAME TO feeling; INSERT INTO typed VALUES (6, 'great', 'x', NULL)`);
  await database.query(
    `ALTER TABLE typed DROP COLUMN p; DROP TYPE pair; INSERT INTO typed VALUES (7, 'ok', 'y')`,
  );
  expect((await since(before, 'h.public.typed')).map(({ after }) => after)).toMatchObject([
    { id: 1, m: 'ok', s: 5 },
    { id: 2, m: 'great', s: 6 },
    { id: 3, m: 'blue', s: 7 },
    { id: 4, m: null, s: 700 },
    { id: 5, m: 'ok', s: 'many' },
    { id: 6, m: 'great', s: 'x' },
    { id: 7, m: 'ok', s: 'y' },
  ]);
  await expectUndisturbed();
});

it('replica identities that change', async () => {
  const before = await settled();
  const change = (v: string): Promise<unknown> =>
    database.query(`UPDATE identity SET v = '${v}' WHERE id = 1`);
  await database.query(`INSERT INTO identity VALUES (1, 10, 'a')`);
  await change('b');
  await database.query('ALTER TABLE identity REPLICA IDENTITY FULL');
  await change('c');
  await database.query('ALTER TABLE identity REPLICA IDENTITY USING INDEX identity_u_key');
  await change('d');
  await database.query('ALTER TABLE identity REPLICA IDENTITY DEFAULT');
  await change('e');
  const seen = await since(before, 'h.public.identity');
  expect(seen.map(({ op, after }) => [op, (after as { v: string }).v])).toEqual([
    ['c', 'a'],
    ['u', 'b'],
    ['u', 'c'],
    ['u', 'd'],
    ['u', 'e'],
  ]);
  expect(seen[2]!.before).toEqual({ id: 1, u: 10, v: 'b' });
  await expectUndisturbed();
});

it('partitions that come and go', async () => {
  const before = await settled();
  await database.query(`
    INSERT INTO parts VALUES (1, 1, 'a');
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
    INSERT INTO parts VALUES (2, 2, 'b');
    CREATE TABLE parts_3 (v text, k int NOT NULL, gone int, id int NOT NULL);
    ALTER TABLE parts_3 DROP COLUMN gone;
    ALTER TABLE parts ATTACH PARTITION parts_3 FOR VALUES IN (3);
    INSERT INTO parts VALUES (3, 3, 'c');
    UPDATE parts SET k = 2 WHERE id = 3;
    ALTER TABLE parts DETACH PARTITION parts_1;`);
  await database.query(`INSERT INTO parts_1 VALUES (9, 1, 'alone'); INSERT INTO parts VALUES (4, 2, 'd')`);
  const seen = await since(before, 'h.public.parts');
  expect(seen.map(({ op, after }) => [op, (after as { v?: string } | null)?.v ?? null])).toEqual([
    ['c', 'a'],
    ['c', 'b'],
    ['c', 'c'],
    ['d', null],
    ['c', 'c'],
    ['c', 'd'],
  ]);
  await expectUndisturbed();
});

it('other names, and another table of the same name', async () => {
  const before = await settled();
  await database.query(`
    BEGIN;
    INSERT INTO old_name.t VALUES (1, 'a');
    ALTER SCHEMA old_name RENAME TO new_name;
    INSERT INTO new_name.t VALUES (2, 'b');
    ALTER TABLE new_name.t RENAME COLUMN v TO w;
    UPDATE new_name.t SET w = 'c' WHERE id = 1;
    ALTER TABLE new_name.t RENAME TO t2;
    INSERT INTO new_name.t2 VALUES (3, 'd');
    COMMIT;`);
  expect(await since(before, 'h.old_name.t')).toMatchObject([{ op: 'c', after: { id: 1, v: 'a' } }]);
  expect(await since(before, 'h.new_name.t')).toMatchObject([
    { op: 'c', after: { id: 2, v: 'b' } },
    { op: 'u', after: { id: 1, w: 'c' } },
  ]);
  expect(await since(before, 'h.new_name.t2')).toMatchObject([{ op: 'c', after: { id: 3, w: 'd' } }]);
  await expectUndisturbed();
});

it('dropped and made again, otherwise', async () => {
  const before = await settled();
  await database.query(`
    DROP TABLE identity;
    CREATE TABLE identity (code text PRIMARY KEY, id numeric);
    INSERT INTO identity VALUES ('x', 1.5);`);
  // It is another table: the publications have to be changed, and it is read.
  await run.until(({ attempts, state }) => attempts > 1 && state === 'streaming');
  await database.query(`INSERT INTO identity VALUES ('y', 2)`);
  const codes = async (): Promise<unknown> =>
    Object.fromEntries(
      (await since(before, 'h.public.identity')).map(({ op, after }) => [codeOf(after), op]),
    );
  // A row that streams before its chunk is read comes twice, with one state.
  await expect
    .poll(codes, { timeout: 60_000 })
    .toMatchObject({ x: 'r', y: expect.stringMatching(/^[cr]$/) as string });
});

function codeOf(row: unknown): string {
  return (row as { readonly code: string }).code;
}

it('the publication dropped, and then the slot, while it streams', async () => {
  const slot = database.name;
  const before = (await run.status())[0]!.attempts;
  await database.query('DROP PUBLICATION headwater_h; INSERT INTO big VALUES (2, NULL)');
  await run.until(({ attempts, state }) => attempts > before && state === 'streaming');
  const seen = await settled();
  expect(seen.some(({ topic, value }) => topic === 'h.public.big' && value?.after?.id === 2)).toBe(true);
  expect(await database.query(`SELECT FROM pg_publication WHERE pubname = 'headwater_h'`)).toHaveLength(1);
  const then = (await run.status())[0]!.attempts;
  await expect
    .poll(
      () =>
        database
          .query(
            `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${slot}';
             SELECT pg_drop_replication_slot('${slot}')`,
          )
          .then(
            () => true,
            () => false,
          ),
      { timeout: 60_000, interval: 5 },
    )
    .toBe(true);
  await database.query('INSERT INTO big VALUES (3, NULL)');
  await run.until(({ attempts, state }) => attempts > then && state === 'streaming');
  const all = await settled();
  expect(all.some(({ topic, value }) => topic === 'h.public.big' && value?.after?.id === 3)).toBe(true);
});
