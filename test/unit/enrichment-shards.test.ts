/** Partitions as units of their own, which one instance takes over from another. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { MemoryGroupTexts } from '../../src/enrichment/state/bulk-groups.ts';
import { nothingKept } from '../../src/enrichment/plan/check-statements.ts';
import { declareEnrichment } from '../../src/enrichment/plan/declared.ts';
import { workOff } from '../../src/enrichment/shared/shard.ts';
import { SILENT } from '../../src/observability/log.ts';
import { MemoryTopics } from '../support/memory-topics.ts';

const PARTITIONS = 3;
const CUSTOMERS = 9;
const START = 1_700_000_000_000;
const SQL = `
  CREATE STREAM ratings (customer STRING KEY, id INT) WITH (KAFKA_TOPIC = 'ratings', VALUE_FORMAT = 'JSON');
  CREATE TABLE customers (name STRING PRIMARY KEY, club STRING)
    WITH (KAFKA_TOPIC = 'customers', VALUE_FORMAT = 'JSON', REPLICATION = 'PARTITIONED');
  CREATE STREAM joined WITH (KAFKA_TOPIC = 'joined', FIELD_CASE = 'LOWER') AS
    SELECT r.customer, r.id AS rating, c.club FROM ratings r LEFT JOIN customers c ON r.customer = c.name;
  CREATE TABLE counted WITH (KAFKA_TOPIC = 'counted', FIELD_CASE = 'LOWER') AS
    SELECT customer, COUNT(*) AS n FROM joined GROUP BY customer;`;

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(1);
  }
}

const nameOf = (customer: number): string => `c${customer}`;
const partitionOf = (customer: number): number => customer % PARTITIONS;
const text = (key: string | null): string => Buffer.from(key ?? '', 'hex').toString();

it('goes on with groups, offsets and tables of a partition where the instance before it has ended', async () => {
  const topics = new MemoryTopics();
  topics.create('ratings', PARTITIONS);
  topics.create('customers', PARTITIONS);
  for (let customer = 0; customer < CUSTOMERS; customer++) {
    const value = { club: `club-${customer}` };
    topics.send('customers', partitionOf(customer), { key: nameOf(customer), value, timestamp: START });
  }
  const declared = declareEnrichment({ texts: [{ name: 'a.sql', text: SQL }], dialect: 'friendly' }, 'shop');
  const work = (partition: number): { readonly stop: () => Promise<void>; readonly held: () => boolean } => {
    const ending = new AbortController();
    let held = false;
    const running = workOff(
      { pipeline: 'shop', declared, registry: null, join: { skewMs: 0, maxWaitMs: 1_000 }, log: SILENT },
      {
        partition,
        counted: PARTITIONS,
        access: topics.access(`shop.enrich.${partition}`),
        ...nothingKept(),
        openGroups: () => Promise.resolve(new MemoryGroupTexts()),
        untilCaughtUp: false,
        onHeld: () => (held = true),
        onCommit: () => {},
      },
      ending.signal,
    );
    return {
      held: () => held,
      stop: async () => {
        ending.abort();
        expect(await running).toBe('stopped');
      },
    };
  };
  let sent = 0;
  const rate = (count: number): void => {
    for (let i = 0; i < count; i++, sent++) {
      const customer = sent % CUSTOMERS;
      const record = { key: nameOf(customer), value: { id: sent }, timestamp: START + 1 + sent };
      topics.send('ratings', partitionOf(customer), record);
    }
  };
  const first = Array.from({ length: PARTITIONS }, (_, partition) => work(partition));
  rate(90);
  await until('some events have been joined', () => topics.results('joined').length > 30);
  // One after the other ends in the midst of it, and another instance has its partition.
  const second = [];
  for (const [partition, unit] of first.entries()) {
    await unit.stop();
    rate(30);
    second.push(work(partition));
  }
  rate(90);
  await until('all events have been joined', () => topics.results('counted').length >= sent);
  for (const unit of second) {
    expect(unit.held()).toBe(true);
    await unit.stop();
  }
  const joined = topics.results('joined').map(({ key, value }) => ({
    customer: text(key),
    ...(JSON.parse(value ?? '{}') as { readonly rating: number; readonly club: string }),
  }));
  expect(joined.toSorted((a, b) => a.rating - b.rating)).toEqual(
    Array.from({ length: sent }, (_, rating) => {
      const customer = rating % CUSTOMERS;
      return { customer: nameOf(customer), rating, club: `club-${customer}` };
    }),
  );
  const counts = new Map<string, number>();
  for (const { key, value } of topics.results('counted')) {
    const next = (counts.get(text(key)) ?? 0) + 1;
    expect(JSON.parse(value ?? '{}')).toEqual({ n: next });
    counts.set(text(key), next);
  }
  expect([...counts.values()]).toEqual(Array.from({ length: CUSTOMERS }, () => sent / CUSTOMERS));
});

it('ends where there are partitions that nobody has counted', async () => {
  const topics = new MemoryTopics();
  topics.create('ratings', PARTITIONS);
  topics.create('customers', PARTITIONS);
  const declared = declareEnrichment({ texts: [{ name: 'a.sql', text: SQL }], dialect: 'friendly' }, 'shop');
  const running = workOff(
    { pipeline: 'shop', declared, registry: null, join: { skewMs: 0, maxWaitMs: 1_000 }, log: SILENT },
    {
      partition: 0,
      counted: PARTITIONS - 1,
      access: topics.access('shop.enrich.0'),
      ...nothingKept(),
      openGroups: () => Promise.resolve(new MemoryGroupTexts()),
      untilCaughtUp: false,
      onHeld: () => {},
      onCommit: () => {},
    },
    new AbortController().signal,
  );
  await expect(running).rejects.toMatchObject({
    code: 'enrich.partitions-added',
    message: expect.stringContaining(
      `has ${PARTITIONS} partitions, and ${PARTITIONS - 1} are shared`,
    ) as string,
  });
});
