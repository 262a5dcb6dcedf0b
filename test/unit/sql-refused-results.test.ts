/** Statements made over HTTP whose topics Kafka refuses: at once, or later on. */
import { expect, it } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { type Attempt, column, EnrichmentRig, table } from '../support/enrichment-rig.ts';
import { MemoryTopics } from '../support/memory-topics.ts';
import { listenSql } from '../support/sql-listener.ts';

const ORDERS = table('orders', [column('id', { kind: 'int64' })], [0]);
const SETTINGS = `CREATE STREAM ORDERS WITH (CDC_TABLE = 'shop.public.orders');
  CREATE STREAM RATINGS (ID INT, STARS INT) WITH (KAFKA_TOPIC = 'ratings', VALUE_FORMAT = 'JSON');`;
const DENIED = new HeadwaterError('delivery.topic-denied', 'The broker denies access to topic MADE.');

it('a refusal is answered at once, and one that comes later makes the statement wait alone', async () => {
  const topics = new MemoryTopics();
  topics.create('ratings', 1);
  using rig = new EnrichmentRig({
    sql: SETTINGS,
    tables: [ORDERS],
    log: [[{ table: ORDERS, op: 'c', after: [1n] }]],
    snapshotAt: 0,
    topics: topics.access('shop.enrich'),
    refusedTopics: topics.refused,
  });
  let attempt: Attempt = await rig.attempt();
  await rig.load(attempt);
  attempt.commit();
  let changed = 0;
  await using server = await listenSql({
    desk: rig.desk,
    token: null,
    change: async (_pipeline, edits) => {
      changed++;
      attempt = await rig.change(attempt, edits);
    },
    changesNeedToken: false,
  });
  const ksql = async (text: string): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${server.port}/ksql`, {
      method: 'POST',
      body: JSON.stringify({ ksql: text }),
      headers: { 'content-type': 'application/vnd.ksql.v1+json; charset=utf-8' },
    });
    return response.json();
  };
  const create = (name: string, of: string): Promise<unknown> =>
    ksql(`CREATE STREAM ${name} AS SELECT ID FROM ${of};`);
  topics.refused.set('MADE', DENIED);
  for (const of of ['ORDERS', 'RATINGS'])
    expect(await create('MADE', of)).toMatchObject({ error_code: 40301, message: DENIED.message });
  expect(changed).toBe(0);

  topics.refused.clear();
  await create('MADE', 'ORDERS');
  await create('RATED', 'RATINGS');
  await create('OTHER', 'RATINGS');
  topics.refused.set('MADE', DENIED).set('RATED', DENIED);
  attempt = await rig.change(attempt, new Map());
  topics.send('ratings', 0, { key: null, value: { id: 7 }, timestamp: 1 });
  while (topics.results('OTHER').length === 0) await new Promise((settle) => setTimeout(settle, 1));
  await attempt.read(1, () => 10);
  expect(attempt.commit()).toBe(true);
  expect([rig.committed, topics.results('RATED')]).toEqual([[], []]);
  expect(await ksql('SHOW QUERIES;')).toMatchObject([
    {
      queries: [
        { id: 'CSAS_RATED_3', state: 'ERROR', sinkKafkaTopics: ['RATED'] },
        { id: 'CSAS_OTHER_4', state: 'RUNNING' },
        { id: 'CSAS_MADE_2', state: 'ERROR' },
      ],
    },
  ]);
  expect(await ksql('DESCRIBE RATED;')).toMatchObject([
    { sourceDescription: { writeQueries: [{ state: 'ERROR' }] } },
  ]);
  await attempt.end();
});

it('rows that clients insert where the topic was refused are taken once it is not', async () => {
  const topics = new MemoryTopics();
  topics.create('ratings', 1);
  using rig = new EnrichmentRig({
    sql: SETTINGS,
    tables: [ORDERS],
    log: [],
    snapshotAt: 0,
    topics: topics.access('shop.enrich'),
  });
  const attempt = await rig.attempt();
  await rig.load(attempt);
  attempt.commit();
  const insert = async (): Promise<unknown> => {
    const basis = [...rig.desk.running.values()][0]?.basis;
    const record = { key: null, value: '{}', headers: null, timestamp: 1 };
    return basis?.topics?.insert('ratings', [record]);
  };
  topics.refused.set('ratings', DENIED);
  await expect(insert()).rejects.toBe(DENIED);
  topics.refused.clear();
  await insert();
  expect(topics.results('ratings')).toHaveLength(1);
  await attempt.end();
});
