import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { MemoryTables } from '../../src/enrichment/state/memory-tables.ts';
import { MemoryTopics, startTopics } from '../support/memory-topics.ts';
import { column, EnrichmentRig, type LogTransaction, table } from '../support/enrichment-rig.ts';

const INT = { kind: 'int32' } as const;
const TEXT = { kind: 'string' } as const;
const CUSTOMERS = table('customers', [column('id', INT), column('name', TEXT)], [0]);
const ORDERS = table('orders', [column('id', INT), column('customer', INT)], [0]);
const SQL = `
  CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');
  CREATE TABLE customers WITH (CDC_TABLE = 'shop.public.customers');
  CREATE STREAM named AS SELECT o.id AS id, o.customer, c.name FROM orders o LEFT JOIN customers c ON o.customer = c.id;
`;
const LOG: readonly LogTransaction[] = [
  [{ table: CUSTOMERS, op: 'c', after: [1, 'Ada'] }],
  [{ table: CUSTOMERS, op: 'c', after: [2, 'Bo'] }],
  [{ table: ORDERS, op: 'c', after: [10, 1] }],
  [{ table: CUSTOMERS, op: 'u', before: [1, 'Ada'], after: [1, 'Ada L.'] }],
  [{ table: ORDERS, op: 'c', after: [11, 1] }],
];

it('keeps joined tables on disk from the attempt after they have become too large for memory', async () => {
  using rig = new EnrichmentRig({
    sql: SQL,
    tables: [CUSTOMERS, ORDERS],
    log: LOG,
    snapshotAt: 1,
    memoryLimit: 1024 * 1024,
  });
  const first = await rig.attempt();
  await expect(first.snapshot([CUSTOMERS])).rejects.toMatchObject({ code: 'enrich.memory-limit' });
  await first.end();
  expect(readdirSync(join(rig.dir, 'enrich'))).toContain('shop.lmdb');

  rig.viewAt = 1;
  const second = await rig.attempt();
  await rig.load(second);
  await second.read(4, () => 10);
  second.commit();
  await second.end();
  const third = await rig.attempt();
  await rig.load(third);
  await third.read(LOG.length, () => 10);
  third.commit();
  await third.end();
  expect(rig.committed.map(({ value }) => value)).toEqual([
    '{"ID":10,"NAME":"Ada"}',
    '{"ID":11,"NAME":"Ada L."}',
  ]);
});

it('keeps groups on disk from then on where there have come to be too many, and what clients ask for', async () => {
  const customers = 100;
  const log = Array.from({ length: 3 * customers }, (_, i): LogTransaction => [
    { table: ORDERS, op: 'c', after: [i, i % customers] },
  ]);
  const sql = `
    CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');
    CREATE TABLE counted AS SELECT customer, COUNT(*) AS n, MAX(id) AS last FROM orders GROUP BY customer;`;
  // Room for some of the groups.
  using rig = new EnrichmentRig({
    sql,
    tables: [ORDERS],
    log,
    snapshotAt: 0,
    memoryLimit: 1024 * 1024 + 60_000,
  });
  const first = await rig.attempt();
  await first.snapshot([]);
  await first.read(30, () => 10);
  first.commit();
  await expect(first.read(log.length, () => 10)).rejects.toMatchObject({ code: 'enrich.memory-limit' });
  await first.end();
  for (const until of [150, 290, log.length]) {
    const next = await rig.attempt();
    await next.read(until, () => 7);
    next.commit();
    await next.end();
  }
  expect(readdirSync(join(rig.dir, 'enrich'))).toEqual(
    expect.arrayContaining(['shop.lmdb', 'shop.groups.lmdb']),
  );
  expect(rig.committed.map(({ value }) => value)).toEqual(
    log.map((_, i) => JSON.stringify({ N: Math.floor(i / customers) + 1, LAST: i })),
  );
});

it('counts tables over topics too', async () => {
  const topics = new MemoryTopics();
  topics.create('people', 1);
  topics.create('moves', 1);
  topics.send('people', 0, { key: 'ada', value: { club: 'gold' }, timestamp: 0 });
  let exceeded = 0;
  const stores = new MemoryTables({ limit: 1024, onExceeded: () => exceeded++ });
  const sql = `
    CREATE STREAM moves (person STRING KEY, n INT) WITH (KAFKA_TOPIC = 'moves', VALUE_FORMAT = 'JSON');
    CREATE TABLE people (id STRING PRIMARY KEY, club STRING) WITH (KAFKA_TOPIC = 'people', VALUE_FORMAT = 'JSON');
    CREATE STREAM named AS SELECT m.person, p.club FROM moves m LEFT JOIN people p ON m.person = p.id;`;
  await using queries = startTopics(topics, 'shop', sql, { stores }).queries;
  await expect(queries.failed).rejects.toMatchObject({ code: 'enrich.memory-limit' });
  expect(exceeded).toBe(1);
});
