/** The join into Kafka: what a read_committed consumer sees while the process is killed again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tailKafka } from '../../src/emitter/sinks/kafka/tail-kafka.ts';
import { type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import { type Enriched, keepShop, mistakes, SHOP, statements } from './enriched-shop.ts';
import { Headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';

let files: Workspace;
let kafka: TestKafka;
let database: TestDatabase;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
});
afterAll(() => files?.[Symbol.asyncDispose]());
beforeEach(async () => {
  database = await testDatabase();
  await database.query(SHOP);
});
afterEach(() => database.drop());

interface Read {
  readonly key: Uint8Array | null;
  readonly value: Enriched;
}

/** All committed records up to the one with that id. */
async function readUntil(topic: string, last: number): Promise<readonly Read[]> {
  const stop = new AbortController();
  const records: Read[] = [];
  const options = { brokers: [kafka.brokers], topics: [topic], fromBeginning: true };
  for await (const { key, value, headers } of tailKafka(options, stop.signal)) {
    if (value === null) continue;
    const marked = headers.some(([name]) => name === '__asof');
    const plain = JSON.parse(Buffer.from(value).toString('utf8')) as Enriched;
    records.push({ key, value: { ...plain, marked } });
    if (records.at(-1)?.value.id === last) stop.abort();
  }
  return records;
}

describe('enrich into Kafka', () => {
  it('is exactly once, keyed by the join, through snapshot, kills and restarts', async () => {
    const name = `${kafka.prefix}-enriched`;
    const topic = `${name}.joined`;
    const path = await files.write(
      'shop.yaml',
      pipelineFile({
        name,
        url: database.url,
        tables: ['public.customers', 'public.orders'],
        brokers: kafka.brokers,
        source: [`postgres: { slot: ${database.name}, publication: pub }`],
        kafka: ['session_timeout: 6s'],
        more: [
          `state: { dir: ${JSON.stringify(files.path('state'))} }`,
          `enrich: { sql: [${JSON.stringify(statements(name, topic))}] }`,
        ],
      }),
    );
    const stop = new AbortController();
    const shop = keepShop(database.url, stop.signal);
    for (let round = 0; round < 3; round++) {
      await using run = new Headwater(['run', path]);
      await run.until(({ state }) => state === 'streaming');
      await sleep(500 * round);
      await run.kill();
    }
    stop.abort();
    const orders = await shop;
    await database.query(
      `INSERT INTO orders VALUES (${orders + 1}, 1, 1, (SELECT club FROM customers WHERE id = 1))`,
    );
    expect(await runToEnd(path)).toMatchObject({ exit: 0 });
    const records = await readUntil(topic, orders + 1);
    expect(
      mistakes(
        records.map(({ value }) => value),
        orders + 1,
      ),
    ).toEqual([]);
    // Behind the first snapshot nothing is marked, whatever is killed.
    expect(records.slice(-100).filter(({ value }) => value.marked)).toEqual([]);
    // The key is the customer's, as Kafka's IntegerSerializer writes it.
    const first = records.find(({ value }) => value.id === 7);
    expect(first?.key).toEqual(Buffer.from([0, 0, 0, 8]));
  });
});
