/** Statements whose results are refused: their schema by the registry, or their topic by Kafka. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Sink } from '../../src/emitter/sink.ts';
import { ResultOffers } from '../../src/enrichment/run/refused-results.ts';
import type { TopicQueries } from '../../src/enrichment/run/topic-queries.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { checkedProgram } from '../support/checked-program.ts';
import { column, EnrichmentRig, type LogTransaction, table } from '../support/enrichment-rig.ts';
import { Forbidding } from '../support/fake-registry.ts';
import { MemoryTopics, startTopics } from '../support/memory-topics.ts';

const ORDERS = table('orders', [column('id', { kind: 'int64' }), column('note', { kind: 'string' })], [0]);
const LOG: readonly LogTransaction[] = [1, 2, 3, 4].map((id) => [
  { table: ORDERS, op: 'c', after: [id, `note ${id}`] },
]);
const SOURCE = `CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');`;
const RATINGS = `CREATE STREAM ratings (id STRING KEY, stars INT) WITH (KAFKA_TOPIC = 'ratings', VALUE_FORMAT = 'JSON');`;
const AWAY = new HeadwaterError('delivery.unreachable', 'Opening topic REFUSED: still Kafka error 5.');
const DENIED = new HeadwaterError('delivery.topic-denied', 'Creating topic REFUSED: the broker forbids it.');

/** Who may refuse the results of REFUSED. */
class Gate {
  readonly registry = new Forbidding();
  readonly topics: Map<string, HeadwaterError>;

  constructor(topics = new Map<string, HeadwaterError>()) {
    this.topics = topics;
    this.registry.forbids = false;
  }

  open(): void {
    this.registry.forbids = false;
    this.topics.clear();
  }
}

const SCHEMA: readonly [string, (gate: Gate) => void] = [
  'a schema that the registry refuses',
  ({ registry }) => (registry.forbids = true),
];
const WAYS: readonly (readonly [string, (gate: Gate) => void])[] = [
  SCHEMA,
  ['a topic that Kafka refuses', ({ topics }) => topics.set('REFUSED', DENIED)],
  [
    'a dead-letter topic that Kafka refuses',
    ({ topics }) => topics.set('REFUSED-dlq', new HeadwaterError('delivery.topic-invalid', 'It forbids it.')),
  ],
];

function rigOf(sql: string, { registry, topics }: Gate): EnrichmentRig {
  return new EnrichmentRig({
    sql: SOURCE + sql,
    tables: [ORDERS],
    log: LOG,
    snapshotAt: 0,
    registry,
    refusedTopics: topics,
    offerRetryMs: 5,
  });
}

function ratings(): { readonly topics: MemoryTopics; readonly send: (stars: number) => void } {
  const topics = new MemoryTopics();
  topics.create('ratings', 1);
  const send = (stars: number): void =>
    topics.send('ratings', 0, { key: 'k', value: { stars }, timestamp: stars });
  return { topics, send };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('It has not come to that.');
    await sleep(1);
  }
}

describe.each(WAYS)('%s', (_, refuse) => {
  it('holds its statement and what reads it, until it is accepted; the others go on', async () => {
    const gate = new Gate();
    refuse(gate);
    using rig = rigOf(
      `CREATE STREAM refused WITH (VALUE_FORMAT = 'AVRO', ON_ERROR = 'DLQ') AS SELECT id, note FROM orders;
        CREATE STREAM reads WITH (VALUE_FORMAT = 'JSON') AS SELECT id, note FROM refused;
        INSERT INTO refused SELECT id, note FROM orders;
        CREATE STREAM other AS SELECT id, note FROM orders;`,
      gate,
    );
    const topics = (): readonly string[] => rig.committed.map(({ topic }) => topic);
    const waiting = await rig.attempt();
    await waiting.snapshot([]);
    await waiting.read(1, () => 100);
    expect(waiting.commit()).toBe(true);
    expect(topics()).toEqual(['OTHER']);
    const reason = expect.stringContaining('forbids') as string;
    expect(waiting.stage.queries().map(({ id, paused }) => [id, paused])).toEqual([
      ['CSAS_OTHER_3', null],
      ['REFUSED', reason],
      ['READS', reason],
      ['INSERTQUERY', reason],
    ]);
    gate.open();
    await expect(waiting.stage.failed).rejects.toMatchObject({ code: 'enrich.results-accepted' });
    await waiting.end();
    const accepted = await rig.attempt();
    await accepted.read(2, () => 100);
    expect(accepted.commit()).toBe(true);
    await accepted.end();
    expect(topics().toSorted()).toEqual(['OTHER', 'OTHER', 'READS', 'READS', 'REFUSED', 'REFUSED']);
    expect(accepted.stage.queries().map(({ paused }) => paused)).toEqual([null, null, null, null]);
  });

  it('holds a statement over topics where it is', async () => {
    const { topics, send } = ratings();
    const gate = new Gate(topics.refused);
    refuse(gate);
    send(1);
    const sql = `${RATINGS}
      CREATE STREAM refused WITH (VALUE_FORMAT = 'AVRO', ON_ERROR = 'DLQ') AS SELECT * FROM ratings;
      CREATE TABLE reads WITH (VALUE_FORMAT = 'JSON') AS SELECT id, COUNT(*) AS n FROM refused GROUP BY id;
      CREATE STREAM other WITH (VALUE_FORMAT = 'JSON') AS SELECT * FROM ratings;`;
    const { registry } = gate;
    const start = (): TopicQueries => startTopics(topics, 'shop', sql, { registry, offerRetryMs: 5 }).queries;
    const results = (): unknown => ['REFUSED', 'READS', 'OTHER'].map((name) => topics.results(name).length);
    {
      await using waiting = start();
      await until(() => topics.results('OTHER').length === 1);
      expect(results()).toEqual([0, 0, 1]);
      const paused = waiting.status().map((each) => [each.id, each.paused?.includes('forbids') ?? false]);
      expect(paused).toEqual([
        ['CSAS_OTHER_2', false],
        ['CSAS_REFUSED_0', true],
        ['CTAS_READS_1', true],
      ]);
      gate.open();
      await expect(waiting.failed).rejects.toMatchObject({ code: 'enrich.results-accepted' });
    }
    send(2);
    await using _ = start();
    await until(() => topics.results('READS').length === 2 && topics.results('OTHER').length === 2);
    expect(results()).toEqual([2, 2, 2]);
  });

  it('holds a table of counts over a topic, which goes on from what it had counted', async () => {
    const { topics, send } = ratings();
    const gate = new Gate(topics.refused);
    const sql = `${RATINGS}
      CREATE TABLE refused WITH (VALUE_FORMAT = 'AVRO', ON_ERROR = 'DLQ') AS
        SELECT id, COUNT(*) AS n, SUM(stars) AS stars FROM ratings GROUP BY id;
      CREATE STREAM other WITH (VALUE_FORMAT = 'JSON') AS SELECT * FROM ratings;`;
    let sent = 0;
    let counted = 0;
    const run = async (refused: boolean): Promise<void> => {
      gate.open();
      if (refused) refuse(gate);
      await using _ = startTopics(topics, 'shop', sql, { registry: gate.registry }).queries;
      send(++sent);
      if (!refused) counted = sent;
      await until(
        () => topics.results('OTHER').length === sent && topics.results('REFUSED').length === counted,
      );
    };
    for (const refused of [false, false, true, true, false]) await run(refused);
    const last = topics.results('REFUSED').at(-1)?.value ?? '';
    // Of two columns in Avro, each behind the 02 of what is not NULL: 5 records, whose stars add up to 15.
    expect(last.slice(10)).toBe('020a021e');
  });
});

it('a table over captured tables whose topic was refused is written anew', async () => {
  const gate = new Gate();
  using rig = rigOf(
    `CREATE TABLE o WITH (CDC_TABLE = 'shop.public.orders');
     CREATE TABLE refused AS SELECT id, note FROM o;
     CREATE STREAM other AS SELECT id, note FROM orders;`,
    gate,
  );
  let read = 0;
  const run = async (): Promise<readonly unknown[]> => {
    const before = rig.committed.length;
    const attempt = await rig.attempt();
    if (read === 0) await attempt.snapshot([ORDERS]);
    rig.viewAt = read;
    await rig.load(attempt);
    await attempt.read(++read, () => 100);
    expect(attempt.commit()).toBe(true);
    await attempt.end();
    const written = rig.committed.slice(before);
    return written.map(({ topic, key }) => `${topic} ${Number(`0x${key ?? ''}`)}`).toSorted();
  };
  expect(await run()).toEqual(['OTHER 1', 'REFUSED 1']);
  gate.topics.set('REFUSED', DENIED);
  expect(await run()).toEqual(['OTHER 2']);
  expect(await run()).toEqual(['OTHER 3']);
  gate.open();
  expect(await run()).toEqual(['OTHER 4', 'REFUSED 1', 'REFUSED 2', 'REFUSED 3', 'REFUSED 4']);
});

describe('what may pass by itself', () => {
  it('pauses no statement', async () => {
    const refusing = new Map([['REFUSED', AWAY]]);
    using rig = rigOf(`CREATE STREAM refused AS SELECT id, note FROM orders;`, new Gate(refusing));
    await expect(rig.attempt()).rejects.toBe(AWAY);
    const { topics } = ratings();
    topics.refused.set('REFUSED', AWAY);
    await using queries = startTopics(
      topics,
      'shop',
      `${RATINGS} CREATE STREAM refused AS SELECT * FROM ratings;`,
    ).queries;
    await expect(queries.failed).rejects.toBe(AWAY);
  });

  it('does not end the others while a statement waits', async () => {
    const { topics } = ratings();
    topics.refused.set('REFUSED', DENIED);
    let asked = 0;
    const get = topics.refused.get.bind(topics.refused);
    topics.refused.get = (topic) => (asked++, get(topic));
    await using queries = startTopics(
      topics,
      'shop',
      `${RATINGS} CREATE STREAM refused AS SELECT * FROM ratings;`,
      { offerRetryMs: 1 },
    ).queries;
    let failed: unknown = null;
    queries.failed.catch((error: unknown) => (failed = error));
    await until(() => asked > 1);
    topics.refused.set('REFUSED', AWAY);
    const before = asked;
    await until(() => asked > before + 3);
    expect(failed).toBeNull();
    topics.refused.clear();
    await expect(queries.failed).rejects.toMatchObject({ code: 'enrich.results-accepted' });
  });
});

it('an attempt that ends while results are offered has not failed', async () => {
  const [plan] = checkedProgram(`${RATINGS} CREATE STREAM refused AS SELECT * FROM ratings;`).queries;
  const ending = new AbortController();
  const { signal } = ending;
  const topic = (): Promise<never> => {
    ending.abort();
    return Promise.reject(signal.reason as Error);
  };
  const takers = { sink: { topic } as unknown as Sink, schemas: null, signal };
  using offers = new ResultOffers(plan === undefined ? [] : [plan.target], takers, 1);
  let failed: unknown = null;
  offers.accepted.catch((error: unknown) => (failed = error));
  await until(() => signal.aborted);
  await sleep(5);
  expect(failed).toBeNull();
});

it('a schema that the registry refuses ends the start where on_incompatible is fail', async () => {
  using rig = new EnrichmentRig({
    sql: `${SOURCE} CREATE STREAM refused WITH (VALUE_FORMAT = 'AVRO') AS SELECT id, note FROM orders;`,
    tables: [ORDERS],
    log: LOG,
    snapshotAt: 0,
    registry: new Forbidding('schema.incompatible-stop'),
  });
  await expect(rig.attempt()).rejects.toMatchObject({ code: 'enrich.schema-refused-stop' });
});
