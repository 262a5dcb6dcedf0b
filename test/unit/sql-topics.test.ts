/** What clients see of queries over topics: as their own producer's commits make it durable, whatever the pipeline does. */
import { expect, it } from 'vitest';
import type { Sink } from '../../src/emitter/sink.ts';
import type { Fetched, TopicReader } from '../../src/emitter/topic-reader.ts';
import type { TopicAccess } from '../../src/enrichment/run/topic-queries.ts';
import { pull } from '../support/ask.ts';
import { column, EnrichmentRig, table } from '../support/enrichment-rig.ts';

const PEOPLE = table('people', [column('id', { kind: 'string' })], [0]);
const SQL = `CREATE STREAM MOVEMENTS (PERSON VARCHAR, LOCATION VARCHAR) WITH (KAFKA_TOPIC = 'movements', VALUE_FORMAT = 'JSON');
  CREATE TABLE PERSON_MOVEMENTS AS SELECT PERSON, COUNT_DISTINCT(LOCATION) AS UNIQUE_LOCATIONS,
    COUNT(*) AS LOCATION_CHANGES FROM MOVEMENTS GROUP BY PERSON;`;
const ROBIN = `SELECT LOCATION_CHANGES, UNIQUE_LOCATIONS FROM PERSON_MOVEMENTS WHERE ROWKEY = 'robin'`;

/** One topic of one partition, and a producer whose commits are held back. */
class Broker implements TopicAccess {
  readonly #values: string[] = [];
  #commits: (() => void)[] = [];
  holding = false;

  send(location: string): void {
    this.#values.push(JSON.stringify({ person: 'robin', location }));
  }

  /** Commits that have begun. */
  get held(): number {
    return this.#commits.length;
  }

  release(): void {
    this.holding = false;
    for (const done of this.#commits.splice(0)) done();
  }

  openSink(): Promise<Sink> {
    return Promise.resolve({
      restore: () => Promise.resolve(new Map()),
      topic: (name: string) => Promise.resolve({ name }),
      append: () => {},
      ready: () => undefined,
      commit: () =>
        this.holding ? new Promise<void>((done) => this.#commits.push(done)) : Promise.resolve(),
      failed: new Promise<never>(() => {}),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    } as unknown as Sink);
  }

  openReader(): Promise<TopicReader> {
    let at = 0;
    return Promise.resolve({
      open: () => Promise.resolve(1),
      range: () => Promise.resolve({ start: 0, end: this.#values.length }),
      written: () => Promise.resolve([this.#values.length]),
      start: ([offset = 0]: readonly number[]) => void (at = offset),
      pause: () => {},
      poll: async (): Promise<readonly Fetched[]> => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        const records = this.#values.slice(at).map((value, i) => ({
          offset: at + i,
          key: null,
          value: Buffer.from(value),
          headers: [],
          timestamp: 1_700_000_000_000,
        }));
        at = this.#values.length;
        return [{ partition: 0, records, position: at, endAsOf: Date.now() }];
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  }

  openAdmin(): never {
    throw new Error('Nobody asks for topics here.');
  }
}

it('a table over a topic is seen when its commit is durable, while nothing happens in the database', async () => {
  const broker = new Broker();
  using rig = new EnrichmentRig({ sql: SQL, tables: [PEOPLE], log: [], snapshotAt: 0, topics: broker });
  const attempt = await rig.attempt();
  await rig.load(attempt);
  attempt.commit();
  const answer = (): Promise<unknown> => pull(rig.desk, ROBIN).catch(() => null);
  const becomes = async (wanted: unknown): Promise<void> => {
    while (JSON.stringify(await answer()) !== JSON.stringify(wanted))
      await new Promise((resolve) => setTimeout(resolve, 2));
  };
  await becomes([]);
  broker.send('Leeds');
  await becomes([[1, 1]]);
  broker.holding = true;
  broker.send('London');
  while (broker.held === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  // A commit of the pipeline does not make it durable.
  attempt.stage.committing();
  attempt.stage.committed();
  expect(await answer()).toEqual([[1, 1]]);
  broker.release();
  await becomes([[2, 2]]);
  await attempt.end();
});
