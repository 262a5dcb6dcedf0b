/** Streams of topics joined with tables of topics: each event sees the table as of its time, whatever crashes. */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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
    after: fc.integer({ min: 0, max: 3 }),
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

const shown = ({ key, value }: ReadRecord): string =>
  `${Buffer.from(key ?? '', 'hex').toString()} ${String(value)}`;

describe('a table over a topic', () => {
  it('is joined as of the time of each event, through crashes', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.nat({ max: 10 }), async (list, before) => {
        const topics = new MemoryTopics();
        topics.create('ratings', 1);
        topics.create('customers', PARTITIONS);
        const state = new Map<number, string>();
        const expected: string[] = [];
        let running: ReturnType<typeof startTopics> | null = null;
        let time = START;
        let rating = 0;
        for (const [i, { kind, customer, club, after }] of list.entries()) {
          // What is in the table's topic when the query is new is all there before its first event.
          if (i >= before && running === null) {
            running = startTopics(topics, 'shop', SQL);
            await until('the table is complete', () => topics.state('shop').size > 0);
          }
          time += after;
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
            await running.queries[Symbol.asyncDispose]();
            running = startTopics(topics, 'shop', SQL);
          }
        }
        running ??= startTopics(topics, 'shop', SQL);
        await until('all events have been joined', () => topics.results('joined').length >= expected.length);
        await running.queries[Symbol.asyncDispose]();
        expect(topics.results('joined').map(shown)).toEqual(expected);
      }),
      { numRuns: 200 },
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
