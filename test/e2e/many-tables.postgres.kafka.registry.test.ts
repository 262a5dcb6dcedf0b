/**
 * One database with many tables into a Kafka of its own: 5,000 with HEADWATER_TEST_FULL, 300 otherwise. Topics are made
 * and looked at many at a time, subjects of the registry several at a time, and a restart asks for neither again.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { COSTS } from '../../bench/cost-model.ts';
import { tailKafka } from '../../src/emitter/sinks/kafka/tail-kafka.ts';
import { countHttpRequests, countKafkaRequests, type CountingProxy } from '../support/counting-proxy.ts';
import {
  type KafkaServer,
  startKafka,
  type TestDatabase,
  testDatabase,
  testRegistry,
} from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { contents, insertEverywhere, makeTables, transactions, wantedContents } from './many-tables.ts';
import type { Envelope } from './topic-records.ts';

const FULL = process.env['HEADWATER_TEST_FULL'] === '1';
const TABLES = FULL ? 5000 : 300;
/** Of those whose records are Avro: a registry takes its time for each. */
const SUBJECT_TABLES = FULL ? 1000 : 100;
/** Twice what docs/scale.md gives a process and each table of it: here it runs from its sources, without the service's flags. */
const RESIDENT_BYTES = 2 * (COSTS.processMb * 1e6 + TABLES * COSTS.tableKb * 1000);
/** Numbers of Kafka's APIs. */
const METADATA = '3';
const CREATE_TOPICS = '19';
const DESCRIBE_CONFIGS = '32';

let database: TestDatabase;
let files: Workspace;
let kafka: KafkaServer;
let proxy: CountingProxy;

beforeAll(async () => {
  proxy = await countKafkaRequests(() => {
    const [host = '', port] = kafka.brokers.split(':');
    return { host, port: Number(port) };
  });
  [database, files, kafka] = await Promise.all([
    testDatabase(),
    workspace(),
    startKafka({
      heapMb: FULL ? 1024 : 512,
      settings: { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${proxy.port}` },
    }),
  ]);
  await makeTables(database, 0, TABLES);
}, 300_000);

afterAll(async () => {
  await files?.[Symbol.asyncDispose]();
  await database?.drop();
  await kafka?.[Symbol.asyncDispose]();
  await proxy?.[Symbol.asyncDispose]();
});

async function delivered(topics: RegExp): Promise<readonly string[]> {
  const options = { brokers: [kafka.brokers], topics, fromBeginning: true, untilEnd: true };
  const records: { readonly topic: string; readonly op: string; readonly id: unknown }[] = [];
  for await (const { topic, value } of tailKafka(options, new AbortController().signal)) {
    const envelope = JSON.parse(Buffer.from(value ?? 'null').toString('utf8')) as Envelope | null;
    records.push({ topic, op: envelope?.op ?? '-', id: envelope?.after?.['id'] });
  }
  return contents(records);
}

/** What a kill takes back is read again, with the rows that were made meanwhile. */
async function untilCommitted(topics: RegExp, records: number): Promise<void> {
  const stop = new AbortController();
  let count = 0;
  const options = { brokers: [kafka.brokers], topics, fromBeginning: true };
  for await (const _ of tailKafka(options, stop.signal)) if (++count === records) stop.abort();
}

const asked = (api: string): number => proxy.asked.get(api) ?? 0;

it(
  'makes a topic for each, many at a time, and delivers all of them once',
  async () => {
    const text = pipelineFile({
      name: 'many',
      url: database.url,
      tables: ['public.*'],
      brokers: kafka.brokers,
      source: [`postgres: { slot: ${database.name} }`],
      more: [`state: { dir: ${JSON.stringify(files.path('state'))} }`],
    });
    const file = await files.write('many.yaml', text);
    {
      await using run = new Headwater(['run', file]);
      await run.until(({ state, counters }) => state === 'streaming' && counters.reads === TABLES);
      await untilCommitted(/^many\.public\./, TABLES);
      // Several tables a request, however fast the broker answers.
      expect(asked(CREATE_TOPICS)).toBeGreaterThan(0);
      expect(asked(CREATE_TOPICS)).toBeLessThan(TABLES / 2);
      expect(asked(DESCRIBE_CONFIGS)).toBeLessThan(TABLES / 2);
      expect(asked(METADATA)).toBeLessThan(TABLES);
      await insertEverywhere(database, 2, TABLES);
      await run.until(({ counters }) => counters.creates >= TABLES);
      const { body } = await run.get('/metrics');
      const series = body.split('\n').filter((line) => line.startsWith('headwater_table_events_total{'));
      expect(series).toHaveLength(Math.min(TABLES, 1001));
      expect(Number(/^process_resident_memory_bytes (\d+)/m.exec(body)?.[1])).toBeLessThan(RESIDENT_BYTES);
      await run.kill();
    }
    const [made, before] = [asked(CREATE_TOPICS), await transactions(database)];
    {
      await using run = new Headwater(['run', file]);
      await run.until(({ state, caughtUp }) => state === 'streaming' && caughtUp);
      expect((await transactions(database)) - before).toBeLessThan(100);
      await insertEverywhere(database, 3, TABLES);
      await run.until(({ counters }) => counters.creates >= TABLES);
      await run.stop();
      expect(asked(CREATE_TOPICS)).toBe(made);
    }
    expect(await delivered(/^many\.public\./)).toEqual(wantedContents(TABLES, () => ['r:1', 'c:2', 'c:3']));
  },
  20 * 60_000,
);

it(
  'registers each subject once, several at a time',
  async () => {
    const registry = await testRegistry();
    await using counted = await countHttpRequests(registry.url);
    const url = new URL(registry.url);
    url.port = String(counted.port);
    await using own = await testDatabase();
    await makeTables(own, 0, SUBJECT_TABLES);
    const text = pipelineFile({
      name: registry.prefix,
      url: own.url,
      tables: ['public.*'],
      brokers: kafka.brokers,
      source: [`postgres: { slot: ${own.name} }`],
      emit: ['format: avro', `registry: { url: ${url.href} }`],
      more: [`state: { dir: ${JSON.stringify(files.path('avro'))} }`],
    });
    const file = await files.write('avro.yaml', text);
    const registered = (): readonly (readonly [string, number])[] =>
      [...counted.asked].filter(([what]) => what.startsWith('POST ') && what.endsWith('/versions'));
    for (const id of [2, 3]) {
      await using run = new Headwater(['run', file]);
      await run.until(({ state, snapshot }) => state === 'streaming' && snapshot?.completedAt != null);
      await insertEverywhere(own, id, SUBJECT_TABLES);
      await run.until(({ counters }) => counters.creates >= SUBJECT_TABLES);
      await run.stop();
      expect(registered()).toHaveLength(2 * SUBJECT_TABLES);
      for (const [what, times] of registered()) expect(times, what).toBe(1);
    }
    expect(counted.together).toBeGreaterThan(1);
  },
  20 * 60_000,
);
