/** The join on a real PostgreSQL, with the process killed again and again. */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { type Enriched, keepShop, mistakes, SHOP, statements } from './enriched-shop.ts';
import { Headwater, headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readFiles } from './topic-records.ts';

let files: Workspace;
let database: TestDatabase;
let name: string;
let count = 0;

beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());
beforeEach(async () => {
  database = await testDatabase();
  name = `enriched-${++count}`;
  await database.query(SHOP);
});
afterEach(() => database.drop());

/** Each pipeline has its own directory of records and of local state. */
async function file(sql: string | null): Promise<string> {
  const text = pipelineFile({
    name,
    url: database.url,
    tables: ['public.customers', 'public.orders'],
    path: files.path(`${name}-records`),
    source: [`postgres: { slot: ${database.name}, publication: pub }`],
    more: [
      `state: { dir: ${JSON.stringify(files.path(`${name}-state`))} }`,
      ...(sql === null ? [] : [`enrich: { sql: [${JSON.stringify(sql)}] }`]),
    ],
  });
  return files.write(`${name}.yaml`, text);
}

interface Line {
  readonly topic: string;
  readonly value: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

async function enriched(): Promise<
  readonly { readonly value: Enriched; readonly headers: Line['headers'] }[]
> {
  const records = (await readFiles(files.path(`${name}-records`))) as unknown as readonly Line[];
  return records
    .filter(({ topic }) => topic === 'enriched')
    .map(({ value, headers }) => ({ value: value as Enriched, headers }));
}

describe('enrich', () => {
  it('joins each order with its customer as of the commit, exactly once through snapshot, kills and restarts', async () => {
    const path = await file(statements(name, 'enriched'));
    const stop = new AbortController();
    const shop = keepShop(database.url, stop.signal);
    for (let round = 0; round < 6; round++) {
      await using run = new Headwater(['run', path]);
      if (round % 2 === 1) await run.until(({ state }) => state === 'streaming');
      await sleep(300 * round);
      await run.kill();
    }
    stop.abort();
    const orders = await shop;
    expect(await runToEnd(path)).toMatchObject({ exit: 0 });
    const records = await enriched();
    const seen = records.map(({ value, headers }) => ({ ...value, marked: headers.__asof === 'snapshot' }));
    expect(mistakes(seen, orders)).toEqual([]);
    // Behind the first snapshot nothing is marked, whatever is killed.
    expect(seen.slice(-100).filter(({ marked }) => marked)).toEqual([]);
    expect(records.find(({ value }) => value.id === 7)?.value).toMatchObject({ twice: 14, op: 'r' });
  });

  it('reads a table anew where local state is lost, and says so until the log has passed that point', async () => {
    const path = await file(statements(name, 'enriched'));
    expect(await runToEnd(path)).toMatchObject({ exit: 0 });
    await rm(files.path(`${name}-state`), { recursive: true });
    await database.query(
      `INSERT INTO orders VALUES (501, 3, 1, NULL); UPDATE customers SET club = 'gold' WHERE id = 3`,
    );
    expect(await runToEnd(path)).toMatchObject({ exit: 0 });
    await database.query(`INSERT INTO orders VALUES (502, 3, 1, 'gold')`);
    expect(await runToEnd(path)).toMatchObject({ exit: 0 });
    await database.query(`INSERT INTO orders VALUES (503, 3, 1, 'gold')`);
    expect(await runToEnd(path)).toMatchObject({ exit: 0 });
    const found = (await enriched()).slice(500);
    expect(found.map(({ value }) => [value.id, value.club])).toEqual([
      [501, 'gold'],
      [502, 'gold'],
      [503, 'gold'],
    ]);
    // Whether the log has passed that point before 502 depends on when the server says so.
    expect([found[0]?.headers.__asof, found[2]?.headers.__asof]).toEqual(['snapshot', undefined]);
  });

  it('pauses only what no longer fits a table that is altered while the log is read', async () => {
    const both = `${statements(name, 'enriched')}
      CREATE STREAM prices WITH (KAFKA_TOPIC = 'prices') AS SELECT id, price FROM orders;`;
    const path = await file(both);
    expect(await runToEnd(path)).toMatchObject({ exit: 0 });
    const priced = async (): Promise<number> =>
      (await readFiles(files.path(`${name}-records`))).filter(({ topic }) => topic === 'prices').length;
    await using run = new Headwater(['run', path]);
    await run.until(({ state }) => state === 'streaming');
    await database.query(`INSERT INTO orders VALUES (501, 3, 1, 'bronze')`);
    while ((await priced()) < 501) await sleep(50);
    await database.query(`ALTER TABLE orders DROP COLUMN expected; INSERT INTO orders VALUES (502, 3, 1)`);
    while ((await priced()) < 502) await sleep(50);
    await run.kill();
    expect((await enriched()).at(-1)?.value).toMatchObject({ id: 501, club: 'bronze' });
    await database.query(
      `ALTER TABLE orders ADD COLUMN expected text; INSERT INTO orders VALUES (503, 3, 1, 'bronze')`,
    );
    const { exit, stderr } = await runToEnd(path);
    expect([exit, stderr]).toEqual([0, expect.stringContaining('a statement that was paused goes on')]);
    expect((await enriched()).at(-1)?.value).toMatchObject({ id: 503, club: 'bronze' });
    expect(await priced()).toBe(503);
  });

  it('is added to a pipeline that runs already, taken away, and added again without old rows', async () => {
    expect(await runToEnd(await file(null))).toMatchObject({ exit: 0 });
    await database.query(`UPDATE customers SET club = 'silver' WHERE id = 1`);
    expect(await runToEnd(await file(statements(name, 'enriched')))).toMatchObject({ exit: 0 });
    await database.query(`INSERT INTO orders VALUES (501, 1, 1, NULL)`);
    expect(await runToEnd(await file(statements(name, 'enriched')))).toMatchObject({ exit: 0 });
    await database.query(`UPDATE customers SET club = 'gold' WHERE id = 1`);
    expect(await runToEnd(await file(null))).toMatchObject({ exit: 0 });
    expect(await runToEnd(await file(statements(name, 'enriched')))).toMatchObject({ exit: 0 });
    await database.query(`INSERT INTO orders VALUES (502, 1, 1, NULL)`);
    expect(await runToEnd(await file(statements(name, 'enriched')))).toMatchObject({ exit: 0 });
    expect((await enriched()).map(({ value }) => [value.id, value.club])).toEqual([
      [501, 'silver'],
      [502, 'gold'],
    ]);
  });

  it('refuses statements that do not fit, with file, line, column and what was probably meant', async () => {
    const sql = statements(name, 'enriched').replace('C.club', 'C.clup');
    const { exit, stderr } = await headwater(['run', '--until-caught-up', await file(sql)]);
    expect(exit).toBe(2);
    expect(stderr).toContain('line 4:73: there is no column CLUP in CUSTOMERS; did you mean CLUB?');
    const validated = await headwater(['validate', await file('CREATE STREM x AS SELECT 1 FROM y')]);
    expect(validated.exit).toBe(2);
    expect(validated.stderr).toContain(
      'line 1:8: expected STREAM or TABLE, found STREM; did you mean STREAM?',
    );
  });
});
