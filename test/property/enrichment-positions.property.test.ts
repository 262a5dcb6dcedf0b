/** Topics of change records that tell their place in the log, joined as the captured tables themselves are. */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Positions } from '../../src/emitter/positions.ts';
import type { RowChange, SourceInfo, Tx } from '../../src/model/change.ts';
import { POSITION_HEADER } from '../../src/model/log-position.ts';
import type { SourceBlock } from '../../src/schema/source-block.ts';
import {
  column,
  EnrichmentRig,
  type LogChange,
  type LogTransaction,
  table,
} from '../support/enrichment-rig.ts';
import { MemoryTopics, type RunningTopics, type SentRecord, startTopics } from '../support/memory-topics.ts';

const TEXT = { kind: 'string' } as const;
const ORDERS = table('orders', [column('id', { kind: 'int32' }), column('customer', TEXT)], [0]);
const CUSTOMERS = table('customers', [column('id', TEXT), column('club', TEXT)], [0]);
const JOIN = `
  CREATE STREAM joined WITH (KAFKA_TOPIC = 'joined', FIELD_CASE = 'LOWER') AS
    SELECT o.customer, o.id AS ord, c.club FROM orders o LEFT JOIN customers c ON o.customer = c.id;
`;
const OF_TABLES = `
  CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');
  CREATE TABLE customers WITH (CDC_TABLE = 'shop.public.customers');
  ${JOIN}`;
const OF_TOPICS = `
  CREATE STREAM orders (id INT, customer STRING) WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON');
  CREATE TABLE customers (id STRING PRIMARY KEY, club STRING) WITH (KAFKA_TOPIC = 'customers', VALUE_FORMAT = 'JSON');
  ${JOIN}`;
const PARTITIONS = { orders: 3, customers: 2 } as const;
const START = 1_700_000_000_000;

interface Step {
  readonly kind: 'put' | 'delete' | 'order';
  readonly customer: number;
  readonly club: string;
}

interface Transaction {
  readonly steps: readonly Step[];
  /** ms since the commit before, which need not have come earlier by the clock. */
  readonly after: number;
  /** What becomes of Kafka's transaction that holds it. */
  readonly outcome: 'goes on' | 'ends' | 'ends, and the daemon too';
}

const transactions = fc.array(
  fc.record({
    steps: fc.array(
      fc.record({
        kind: fc.constantFrom('put', 'delete', 'order', 'order'),
        customer: fc.integer({ min: 0, max: 3 }),
        club: fc.constantFrom('gold', 'silver', 'tin'),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    after: fc.constantFrom(-3, 0, 0, 1, 20_000),
    outcome: fc.constantFrom('goes on', 'goes on', 'ends', 'ends', 'ends, and the daemon too'),
  }),
  { minLength: 1, maxLength: 20 },
) as fc.Arbitrary<readonly Transaction[]>;

/** The rows that the steps change. */
function logOf(list: readonly Transaction[]): readonly LogTransaction[] {
  const clubs = new Map<number, string>();
  let orders = 0;
  return list.map(({ steps }) =>
    steps.flatMap(({ kind, customer, club }): LogChange[] => {
      const id = `c${customer}`;
      if (kind === 'order') return [{ table: ORDERS, op: 'c', after: [orders++, id] }];
      const known = clubs.get(customer);
      const before = known === undefined ? null : [id, known];
      if (kind === 'delete') {
        clubs.delete(customer);
        return before === null ? [] : [{ table: CUSTOMERS, op: 'd', before }];
      }
      clubs.set(customer, club);
      return [{ table: CUSTOMERS, op: before === null ? 'c' : 'u', before, after: [id, club] }];
    }),
  );
}

async function ofTables(log: readonly LogTransaction[]): Promise<readonly unknown[]> {
  const tables = [ORDERS, CUSTOMERS];
  using rig = new EnrichmentRig({ sql: OF_TABLES, tables, log, snapshotAt: 0 });
  const attempt = await rig.attempt();
  await attempt.snapshot([CUSTOMERS]);
  await attempt.read(log.length, () => 3);
  attempt.commit();
  await attempt.end();
  return rig.committed.filter(({ topic }) => topic === 'joined').map(({ value }) => value);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 20_000; !holds(); await sleep(1))
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
}

interface Timed extends SourceInfo {
  readonly timeMs: number;
}
const BLOCK = { commitTimeMs: ({ timeMs }: Timed) => timeMs } as unknown as SourceBlock<Timed>;

/** What the daemon writes into the topics, partition by partition, and when who reads them sees it. */
class Writer {
  readonly #topics: MemoryTopics;
  /** In [0, 1) */
  readonly #random: () => number;
  #positions = new Positions(new Map());
  #state: ReadonlyMap<string, string> = new Map();
  /** Of Kafka's transaction under way, by partition. */
  #written = new Map<string, (() => void)[]>();

  constructor(topics: MemoryTopics, random: () => number) {
    this.#topics = topics;
    this.#random = random;
  }

  add(changes: LogTransaction, tx: Tx): void {
    for (const [seq, { table, before, after }] of changes.entries()) {
      const topic = table === ORDERS ? 'orders' : 'customers';
      const [id] = after ?? before ?? [];
      const partition = Number(/\d+/.exec(String(id))?.[0]) % PARTITIONS[topic];
      const at: Timed = { connector: 'postgresql', timeMs: (tx.commitTimeUs ?? 0) / 1000 };
      const [name, text] = this.#positions.header({ tx, seq, at } as RowChange<Timed>, BLOCK);
      const row = after && Object.fromEntries(table.columns.map(({ name }, i) => [name, after[i]]));
      const write = (): void =>
        this.#topics.write(topic, partition, {
          key: topic === 'orders' ? null : String(id),
          value: row ?? null,
          // As the emitter has it, whose records of one batch have one time.
          timestamp: START + 3_600_000,
          headers: [[name, Buffer.from(text as string)]],
        });
      const place = `${topic}/${partition}`;
      this.#written.set(place, [...(this.#written.get(place) ?? []), write]);
    }
  }

  async commit(): Promise<void> {
    const written = this.#shuffled([...this.#written]);
    this.#written = new Map();
    for (const [, records] of written) {
      for (const write of records) write();
      await this.#breath();
    }
    for (const [place] of this.#shuffled(written)) {
      const [topic = '', partition] = place.split('/');
      this.#topics.decide(topic, Number(partition));
      await this.#breath();
    }
  }

  /** Of the next process, which knows what was made durable. */
  restart(): void {
    this.#state = this.#positions.takeChanged() ?? this.#state;
    this.#positions = new Positions(this.#state);
  }

  async #breath(): Promise<void> {
    const ms = Math.floor(this.#random() * 6);
    if (ms > 2) await sleep(ms);
  }

  #shuffled<T>(items: readonly T[]): readonly T[] {
    return items
      .map((item) => [this.#random(), item] as const)
      .sort(([a], [b]) => a - b)
      .map(([, item]) => item);
  }
}

/** A generator of its own, so that a run that failed can be run again. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
}

async function ofTopics(list: readonly Transaction[], seed: number): Promise<readonly unknown[]> {
  const log = logOf(list);
  const topics = new MemoryTopics();
  topics.create('orders', PARTITIONS.orders);
  topics.create('customers', PARTITIONS.customers);
  const start = (): RunningTopics => startTopics(topics, 'shop', OF_TOPICS);
  const writer = new Writer(topics, randomOf(seed));
  let running = start();
  // What a table's topic holds when the query is new is all there before its first event.
  await until('the table is complete', () => topics.state('shop').size > 0);
  let timeMs = START;
  let orders = 0;
  for (const [i, { after, outcome }] of list.entries()) {
    timeMs += after;
    writer.add(log[i] ?? [], { id: String(i), commitTimeUs: timeMs * 1000 });
    orders += (log[i] ?? []).filter((change) => change.table === ORDERS).length;
    if (outcome === 'goes on' && i < list.length - 1) continue;
    await writer.commit();
    if (outcome !== 'ends, and the daemon too') continue;
    writer.restart();
    await running.queries[Symbol.asyncDispose]();
    running = start();
  }
  await until('all orders have been joined', () => topics.results('joined').length >= orders);
  await running.queries[Symbol.asyncDispose]();
  return topics.results('joined').map(({ value }) => value);
}

describe('topics of change records that tell their place in the log', () => {
  it('are joined as the tables are that they come of', async () => {
    await fc.assert(
      fc.asyncProperty(transactions, fc.nat(), async (list, seed) => {
        expect(await ofTopics(list, seed)).toEqual(await ofTables(logOf(list)));
      }),
      { numRuns: 40 },
    );
  });

  it('wait for each other however long ago their transactions were committed', async () => {
    const topics = new MemoryTopics();
    topics.create('orders', 1);
    topics.create('customers', 1);
    const { queries } = startTopics(topics, 'shop', OF_TOPICS);
    await until('the table is complete', () => topics.state('shop').size > 0);
    const at = (seconds: number, value: object): SentRecord => ({
      key: 'c0',
      value,
      timestamp: START,
      headers: [[POSITION_HEADER, Buffer.from(`${(START + seconds * 1000) * 1000}:0`)]],
    });
    for (const [seconds, club] of ['gold', 'silver', 'tin'].entries())
      topics.send('customers', 0, at(seconds * 100, { club }));
    topics.write('orders', 0, at(50, { id: 1, customer: 'c0' }));
    // All of the table has been applied, and the stream found without anything, many times.
    await sleep(300);
    expect(topics.results('joined')).toEqual([]);
    topics.decide('orders', 0);
    await until('the order has been joined', () => topics.results('joined').length > 0);
    await queries[Symbol.asyncDispose]();
    expect(topics.results('joined').map(({ value }) => value)).toEqual(['{"ord":1,"club":"gold"}']);
  });
});
