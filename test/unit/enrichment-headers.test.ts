/** Headers of records that go through queries. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { MemoryTopics, startTopics } from '../support/memory-topics.ts';

const START = 1_700_000_000_000;
const SQL = `
  CREATE STREAM ratings (customer STRING KEY, stars INT) WITH (KAFKA_TOPIC = 'ratings', VALUE_FORMAT = 'JSON');
  CREATE TABLE customers (name STRING PRIMARY KEY, club STRING)
    WITH (KAFKA_TOPIC = 'customers', VALUE_FORMAT = 'JSON');
  CREATE STREAM joined AS SELECT r.customer, r.stars, c.club FROM ratings r LEFT JOIN customers c ON r.customer = c.name;
  CREATE STREAM poor AS SELECT * FROM joined WHERE stars < 3;
  CREATE STREAM plain AS SELECT customer, stars + 1 AS more FROM ratings;
  CREATE TABLE counted AS SELECT customer, COUNT(*) AS n FROM ratings GROUP BY customer;`;

it('keeps those of an event on all that is made of it, and says its own of the tables once', async () => {
  const topics = new MemoryTopics();
  topics.create('ratings', 1);
  topics.create('customers', 1);
  topics.send('customers', 0, { key: 'ada', value: { club: 'gold' }, timestamp: START });
  const trace = ['traceparent', Buffer.from('00-1-2-01')] as const;
  const empty = ['empty', null] as const;
  const elsewhere = ['__table_pos', Buffer.from('of another query')] as const;
  const value = { stars: 1 };
  topics.send('ratings', 0, {
    key: 'ada',
    value,
    timestamp: START,
    headers: [trace, empty, trace, elsewhere],
  });
  topics.send('ratings', 0, { key: 'ada', value, timestamp: START + 1 });
  await using _ = startTopics(topics, 'shop', SQL).queries;
  const results = ['JOINED', 'POOR', 'PLAIN', 'COUNTED'];
  while (results.some((topic) => topics.results(topic).length < 2)) await sleep(1);
  const headers = (topic: string): unknown => topics.results(topic).map((record) => record.headers);
  const position = ['__table_pos', 'CUSTOMERS [1]'];
  for (const topic of ['JOINED', 'POOR'])
    expect(headers(topic)).toEqual([[trace, empty, trace, position], [position]]);
  expect(headers('PLAIN')).toEqual([[trace, empty, trace, elsewhere], null]);
  // A group is of many events.
  expect(headers('COUNTED')).toEqual([null, null]);
});
