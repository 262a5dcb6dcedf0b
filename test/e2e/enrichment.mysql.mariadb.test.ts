/** Joins and tables of tables over a MySQL and a MariaDB log: as of the commit, and the same bytes whatever is killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestMysql, testMariadb, testMysql } from '../support/servers.ts';
import { Headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readFiles } from './topic-records.ts';

let files: Workspace;

beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());

/** Topics, and how many records of the first snapshot each holds: those carry the time at which it was read. */
const TOPICS = [
  ['joined', 1],
  ['seen', 1],
  ['clubs', 2],
  ['spent', 1],
  ['gold', 1],
] as const;

function statements(pipeline: string, database: string): string {
  return `
  CREATE STREAM orders WITH (CDC_TABLE = '${pipeline}.${database}.orders');
  CREATE TABLE customers WITH (CDC_TABLE = '${pipeline}.${database}.customers');
  CREATE STREAM joined WITH (KAFKA_TOPIC = 'joined', FIELD_CASE = 'LOWER') AS
    SELECT o.id AS id, o.customer AS customer, c.name AS name, o.amount * 2 AS twice
    FROM orders o LEFT JOIN customers c ON o.customer = c.id;
  CREATE STREAM seen WITH (KAFKA_TOPIC = 'seen', FIELD_CASE = 'LOWER') AS
    SELECT o.id AS id, c.name AS name
    FROM orders o LEFT JOIN customers c FOR SYSTEM_TIME AS OF STATEMENT ON o.customer = c.id PARTITION BY o.id;
  CREATE TABLE clubs WITH (KAFKA_TOPIC = 'clubs', FIELD_CASE = 'LOWER') AS
    SELECT club, COUNT(*) AS n, SUM(limits) AS total FROM customers GROUP BY club;
  CREATE TABLE spent WITH (KAFKA_TOPIC = 'spent', FIELD_CASE = 'LOWER') AS
    SELECT customer, COUNT(*) AS n, SUM(amount) AS amount FROM orders GROUP BY customer;
  CREATE TABLE gold WITH (KAFKA_TOPIC = 'gold', FIELD_CASE = 'LOWER') AS
    SELECT id, name FROM customers WHERE club = 'gold';`;
}

describe.each<[string, () => Promise<TestMysql>]>([
  ['MySQL', () => testMysql()],
  ['MariaDB', () => testMariadb()],
])('%s', (product, testServer) => {
  async function pipeline(db: TestMysql, name: string): Promise<string> {
    const text = pipelineFile({
      name,
      url: db.url,
      tables: [`${db.name}.customers`, `${db.name}.orders`],
      path: files.path(`${product}-${name}-records`),
      more: [
        // One keeps tables and groups in memory, the other on disk.
        `state: { dir: ${JSON.stringify(files.path(`${product}-${name}-state`))}, durable: ${name === 'killed'} }`,
        `enrich: { sql: [${JSON.stringify(statements(name, db.name))}] }`,
      ],
    });
    return files.write(`${product}-${name}.yaml`, text);
  }

  async function results(name: string): Promise<readonly unknown[]> {
    const records = await readFiles(files.path(`${product}-${name}-records`));
    return TOPICS.map(([topic, read]) =>
      records
        .filter((record) => record.topic === topic)
        .map((record, i) => (i < read ? { ...record, timestamp: null } : record)),
    );
  }

  it('joins as of the commit, and a run that is killed writes the bytes of one that is not', async () => {
    await using db = await testServer();
    await db.query(`
      CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40), club VARCHAR(20), limits DECIMAL(8,2));
      CREATE TABLE orders (id BIGINT PRIMARY KEY, customer INT, amount DECIMAL(8,2));
      INSERT INTO customers VALUES (1, 'Ada', 'gold', 10.50), (2, 'Bob', 'silver', 1);
      INSERT INTO orders VALUES (1, 1, 0.35)`);
    const [calm, killed] = [await pipeline(db, 'calm'), await pipeline(db, 'killed')];
    for (const file of [calm, killed]) expect((await runToEnd(file)).exit).toBe(0);
    // The order first, its customer behind it, in one transaction.
    await db.query(`BEGIN; INSERT INTO orders VALUES (2, 7, 1.10);
      INSERT INTO customers VALUES (7, 'Eve', 'gold', 5.25); INSERT INTO orders VALUES (3, 7, 2); COMMIT`);
    const stop = new AbortController();
    const writing = (async (): Promise<void> => {
      for (let id = 10; !stop.signal.aborted; id++) {
        await db.query(`BEGIN; INSERT INTO orders VALUES (${id}, ${id % 9}, ${id});
          UPDATE customers SET club = '${id % 2 === 0 ? 'gold' : 'silver'}', name = 'n${id}' WHERE id = ${1 + (id % 2)};
          COMMIT`);
        await sleep(3);
      }
    })();
    for (let round = 0; round < 4; round++) {
      await using run = new Headwater(['run', killed]);
      await run.until(({ state }) => state === 'streaming');
      await sleep(150 * round);
      await run.kill();
    }
    stop.abort();
    await writing;
    await db.query(`DELETE FROM customers WHERE id = 7; UPDATE customers SET club = 'silver' WHERE id = 1;
      UPDATE customers SET club = 'silver' WHERE id = 2`);
    for (const file of [calm, killed]) expect((await runToEnd(file)).exit).toBe(0);
    const expected = await results('calm');
    expect(await results('killed')).toEqual(expected);
    const [joined, seen, clubs, spent, gold] = expected as readonly (readonly {
      key: unknown;
      value: unknown;
    }[])[];
    expect(joined?.slice(0, 3).map(({ value }) => value)).toEqual([
      { id: 1, name: 'Ada', twice: 0.7 },
      { id: 2, name: 'Eve', twice: 2.2 },
      { id: 3, name: 'Eve', twice: 4 },
    ]);
    expect(seen?.slice(0, 3).map(({ value }) => value)).toEqual([
      { name: 'Ada' },
      { name: null },
      { name: 'Eve' },
    ]);
    expect(clubs?.slice(0, 3).map(({ value }) => value)).toEqual([
      { n: 1, total: 10.5 },
      { n: 1, total: 1 },
      { n: 2, total: 15.75 },
    ]);
    expect(spent?.slice(0, 3).map(({ value }) => value)).toEqual([
      { n: 1, amount: 0.35 },
      { n: 1, amount: 1.1 },
      { n: 2, amount: 3.1 },
    ]);
    // In the end nobody is in the club of gold, and the group is gone.
    expect(clubs?.findLast(({ key }) => key === clubs[0]?.key)?.value).toBeNull();
    expect(clubs?.findLast(({ key }) => key === clubs[1]?.key)?.value).toEqual({ n: 2, total: 11.5 });
    const left = new Map(gold?.map(({ key, value }) => [key, value]));
    expect([...left.values()].every((value) => value === null)).toBe(true);
  });
});
