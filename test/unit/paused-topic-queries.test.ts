/** Queries over topics that do not fit their tables for a while: they go on where they were. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { column, EnrichmentRig, type LogTransaction, table } from '../support/enrichment-rig.ts';
import { MemoryTopics } from '../support/memory-topics.ts';

const ID = column('id', { kind: 'int32' });
const CLUB = column('club', { kind: 'string' });
const CUSTOMERS = table('customers', [ID, CLUB], [0]);
const WITHOUT_CLUB = table('customers', [ID], [0], 2);
const CLUB_AGAIN = table('customers', [ID, CLUB], [0], 3);
/** Whose changes move the log on. */
const OTHER = table('other', [ID], [0]);
const SQL = `
  CREATE STREAM ratings (id INT, customer INT) WITH (KAFKA_TOPIC = 'ratings', VALUE_FORMAT = 'JSON');
  CREATE TABLE customers WITH (CDC_TABLE = 'shop.public.customers');
  CREATE STREAM joined AS SELECT r.id AS rating, c.club FROM ratings r LEFT JOIN customers c ON r.customer = c.id PARTITION BY NULL;
  INSERT INTO joined SELECT r.id + 100 AS rating, c.club FROM ratings r LEFT JOIN customers c ON r.customer = c.id PARTITION BY NULL;
  CREATE TABLE clubs AS SELECT club, COUNT(*) AS n FROM ratings r JOIN customers c ON r.customer = c.id GROUP BY club;
  CREATE STREAM copied AS SELECT id FROM ratings;`;

it('nothing is written twice, nothing is left out, and tables are written anew', async () => {
  const topics = new MemoryTopics();
  topics.create('ratings', 1);
  using rig = new EnrichmentRig({
    sql: SQL,
    tables: [CUSTOMERS, OTHER],
    log: [
      [{ table: CUSTOMERS, op: 'c', after: [7, 'gold'] }],
      ...[1, 2, 3].map((id): LogTransaction => [{ table: OTHER, op: 'c', after: [id] }]),
    ],
    snapshotAt: 1,
    topics: topics.access('shop.enrich'),
  });
  rig.viewAt = 1;
  let sent = 0;
  let read = 1;
  const rate = (): void => {
    const timestamp = 1_700_000_000_000 + sent;
    topics.send('ratings', 0, { key: null, value: { id: ++sent, customer: 7 }, timestamp });
  };
  const until = async (topic: string, count: number): Promise<void> => {
    const deadline = performance.now() + 60_000;
    while (topics.results(topic).length < count) {
      if (performance.now() > deadline)
        throw new Error(`${topic} has ${topics.results(topic).length} records, and not ${count}`);
      await sleep(2);
    }
  };
  /** With the table as it is then, until the topics have all; `clubs` records of the table, null: it is paused. */
  const run = async (tables: typeof CUSTOMERS, clubs: number | null): Promise<void> => {
    Object.assign(rig.options, { tables: [tables, OTHER] });
    const attempt = await rig.attempt();
    await rig.load(attempt);
    await attempt.read(++read, () => 10);
    attempt.commit();
    rate();
    rate();
    await until('COPIED', sent);
    if (clubs !== null) {
      await until('JOINED', 2 * sent);
      await until('CLUBS', clubs);
    }
    await attempt.end();
  };
  await run(CUSTOMERS, 2);
  await run(WITHOUT_CLUB, null);
  expect(rig.errors.map(({ statement }) => statement)).toEqual(['JOINED', null, 'CLUBS']);
  expect(topics.results('JOINED')).toHaveLength(4);
  await run(CLUB_AGAIN, 2 + 6);
  const ids = topics
    .results('JOINED')
    .map(({ value }) => (JSON.parse(value ?? '') as { RATING: number }).RATING);
  expect(ids.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 101, 102, 103, 104, 105, 106]);
  // A table is written anew, of all that the topic holds.
  expect(topics.results('CLUBS').map(({ value }) => value)).toEqual(
    [1, 2, 1, 2, 3, 4, 5, 6].map((n) => `{"N":${n}}`),
  );
});
