/** Streams of topics joined with tables of topics: each event sees the table as of its time, whatever crashes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDiskTables } from '../../src/enrichment/state/disk-tables.ts';
import { MemoryTables } from '../../src/enrichment/state/memory-tables.ts';
import type { TableStores } from '../../src/enrichment/state/table-store.ts';
import { MemoryTopics, type ReadRecord, startTopics } from '../support/memory-topics.ts';

const SQL = `
  CREATE STREAM ratings (id INT, customer STRING) WITH (KAFKA_TOPIC = 'ratings', VALUE_FORMAT = 'JSON');
  CREATE TABLE customers (id STRING PRIMARY KEY, club STRING) WITH (KAFKA_TOPIC = 'customers', VALUE_FORMAT = 'JSON');
  CREATE STREAM joined WITH (KAFKA_TOPIC = 'joined', FIELD_CASE = 'LOWER') AS
    SELECT r.customer, r.id AS rating, c.club FROM ratings r LEFT JOIN customers c ON r.customer = c.id;
`;
const START = 1_700_000_000_000;
const PARTITIONS = 2;

interface Step {
  readonly kind: 'put' | 'delete' | 'rate' | 'crash';
  readonly customer: number;
  readonly club: string;
  /** ms since the step before */
  readonly after: number;
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('put', 'put', 'delete', 'rate', 'rate', 'rate', 'crash'),
    customer: fc.integer({ min: 0, max: 2 }),
    club: fc.constantFrom('gold', 'silver'),
    after: fc.integer({ min: 0, max: 1 }),
  }),
  { minLength: 1, maxLength: 25 },
) as fc.Arbitrary<readonly Step[]>;

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(1);
  }
}

let dir = '';
beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'headwater-topic-tables-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Of one process; on disk it finds what the one before has left there. */
class Run implements AsyncDisposable {
  readonly #stores: TableStores;
  readonly #running: ReturnType<typeof startTopics>;

  constructor(topics: MemoryTopics, stores: TableStores) {
    this.#stores = stores;
    this.#running = startTopics(topics, 'shop', SQL, { stores });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.queries[Symbol.asyncDispose]();
    await this.#stores[Symbol.asyncDispose]();
  }
}

const inMemory = (): Promise<TableStores> =>
  Promise.resolve(new MemoryTables({ limit: Infinity, onExceeded: () => {} }));
/** Next to nothing waits in memory for its transaction. */
const onDisk = (): Promise<TableStores> => openDiskTables(dir, 'shop', 2);

const shown = ({ key, value }: ReadRecord): string =>
  `${Buffer.from(key ?? '', 'hex').toString()} ${String(value)}`;

describe('a table over a topic', () => {
  it.each([
    ['in memory', inMemory, 200],
    ['on disk', onDisk, 25],
  ])('%s is joined as of the time of each event, through crashes', async (_, open, numRuns) => {
    const start = async (topics: MemoryTopics): Promise<Run> => new Run(topics, await open());
    await fc.assert(
      fc.asyncProperty(steps, fc.nat({ max: 10 }), async (list, before) => {
        const topics = new MemoryTopics();
        topics.create('ratings', 1);
        topics.create('customers', PARTITIONS);
        const state = new Map<number, string>();
        const expected: string[] = [];
        let running: Run | null = null;
        let time = 0;
        let rating = 0;
        for (const [i, { kind, customer, club, after }] of list.entries()) {
          // What is in the table's topic when the query is new is all there before its first event.
          if (i >= before && running === null) {
            running = await start(topics);
            await until('the table is complete', () => topics.state('shop').size > 0);
          }
          // Of the clock, or hardly ahead of it: what is sent with a time that has long passed is sent too late.
          time = Math.max(time + after, Date.now());
          const record = { key: `c${customer}`, timestamp: time };
          if (kind === 'put') {
            topics.send('customers', customer % PARTITIONS, { ...record, value: { club } });
            state.set(customer, club);
          } else if (kind === 'delete') {
            topics.send('customers', customer % PARTITIONS, { ...record, value: null });
            state.delete(customer);
          } else if (kind === 'rate' && running !== null) {
            topics.send('ratings', 0, {
              key: null,
              timestamp: time,
              value: { id: rating, customer: `c${customer}` },
            });
            expected.push(`c${customer} ${JSON.stringify({ rating, club: state.get(customer) ?? null })}`);
            rating++;
            // A change in the very millisecond of the event may be seen by it or not.
            time++;
            await until(
              'an event has been seen',
              () => topics.results('joined').length >= expected.length - 2,
            );
          } else if (kind === 'crash' && running !== null) {
            await running[Symbol.asyncDispose]();
            running = await start(topics);
          }
        }
        running ??= await start(topics);
        await until('all events have been joined', () => topics.results('joined').length >= expected.length);
        await running[Symbol.asyncDispose]();
        expect(topics.results('joined').map(shown)).toEqual(expected);
      }),
      { numRuns },
    );
  });

  it('is complete before the first event is joined, and says which state was seen', async () => {
    const topics = new MemoryTopics();
    topics.create('ratings', 1);
    topics.create('customers', 1);
    for (let i = 0; i < 500; i++) {
      const value = { club: i < 400 ? 'silver' : 'gold' };
      topics.send('customers', 0, { key: `c${i % 100}`, value, timestamp: START + 10_000 });
    }
    topics.send('customers', 0, { key: 'c7', value: null, timestamp: START + 10_000 });
    topics.send('customers', 0, { key: null, value: { club: 'lost' }, timestamp: START + 10_000 });
    // The event is older than all of the table.
    for (const [id, customer] of ['c1', 'c7'].entries())
      topics.send('ratings', 0, { key: null, value: { id, customer }, timestamp: START });
    const { queries, program } = startTopics(topics, 'shop', SQL);
    await until('both events have been joined', () => topics.results('joined').length === 2);
    await queries[Symbol.asyncDispose]();
    expect(topics.results('joined').map(({ value, position }) => [value, position])).toEqual([
      ['{"rating":0,"club":"gold"}', 'CUSTOMERS [502]'],
      ['{"rating":1,"club":null}', 'CUSTOMERS [502]'],
    ]);
    const [table] = program.topicTables;
    expect(table?.observe().rows()).toHaveLength(99);
    expect(table?.observe().get('c2')).toEqual(['c2', 'gold']);
  });
});
