/** docs/search.md to its end: ratings of another producer, with their customers, found in a search index. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { startElasticsearch } from '../support/elasticsearch.ts';
import { startKafka, testDatabase } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';
import { Headwater, workspace } from './headwater.ts';

const EXAMPLE = resolve(import.meta.dirname, '../../docs/examples/search');
/** A minute begins there. */
const START = 1_700_000_040_000;

test('the example of the docs', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  // Of its own, since the example's topics are not renamed.
  await using kafka = await startKafka();
  await using search = await startElasticsearch();
  await database.query(`
    CREATE TABLE customers (id int PRIMARY KEY, first_name text, last_name text, email text, club_status text);
    INSERT INTO customers VALUES (1, 'Rica', 'Blaisdell', 'rblaisdell0@rambler.ru', 'bronze'),
      (2, 'Ruthie', 'Brockherst', 'rbrockherst1@ow.ly', 'platinum');`);
  await using client = await TopicClient.connect(kafka.brokers);
  await client.createTopics(['ratings']);

  const example = await readFile(join(EXAMPLE, 'shop.yaml'), 'utf8');
  await files.write('ratings.sql', await readFile(join(EXAMPLE, 'ratings.sql'), 'utf8'));
  const file = await files.write(
    'shop.yaml',
    `${example}state: { dir: ${JSON.stringify(files.path('state'))} }\nhttp: { listen: "127.0.0.1:0", sql: "127.0.0.1:0" }\n`,
  );
  await using daemon = new Headwater(['run', file], { SHOP_URL: database.url, KAFKA: kafka.brokers });
  await daemon.until(({ caughtUp }) => caughtUp);
  const rate = (
    ratings: readonly (readonly [user: number, stars: number, second: number])[],
  ): Promise<unknown> =>
    client.producer.send({
      topic: 'ratings',
      messages: ratings.map(([user_id, stars, second]) => ({
        value: JSON.stringify({
          rating_id: second,
          user_id,
          stars,
          rating_time: START + second * 1000,
          channel: 'web',
          message: stars < 3 ? 'why is it so difficult to find a seat' : 'thank you',
        }),
      })),
    });
  const indexers: Indexer[] = [];
  try {
    await rate([
      [1, 5, 0],
      [2, 1, 1],
      [2, 4, 59],
      [2, 2, 60],
      [9, 1, 61],
    ]);
    for (const [topic, keyed] of [
      ['ratings-with-customer-data', '0'],
      ['ratings-by-club-status', '1'],
    ] as const)
      indexers.push(new Indexer([kafka.brokers, search.url, topic], { KEYED: keyed }));
    const found = async (index: string, count: number, query?: object): Promise<readonly Found[]> => {
      for (;;) {
        for (const indexer of indexers) indexer.alive();
        const hits = (await search.search(index, query)).hits?.hits ?? [];
        if (hits.length >= count) return hits.map(({ _source }) => _source);
        await new Promise((settle) => setTimeout(settle, 200));
      }
    };
    expect(await found('ratings-with-customer-data', 5)).toHaveLength(5);
    const unhappy = {
      bool: { must: [{ match: { message: 'difficult' } }, { term: { 'club_status.keyword': 'platinum' } }] },
    };
    const wanted = { customer_id: 2, email: 'rbrockherst1@ow.ly', club_status: 'platinum' };
    const ratings = await found('ratings-with-customer-data', 2, unhappy);
    expect(new Set(ratings.map(({ stars }) => stars))).toEqual(new Set([1, 2]));
    for (const rating of ratings) expect(rating).toMatchObject(wanted);

    // A count that goes up is the same document.
    await rate([[2, 3, 62]]);
    for (;;) {
      const rows = await found('ratings-by-club-status', 3);
      const counts = rows.map(
        ({ club, minute, ratings: n }) =>
          `${String(club)} ${(Number(minute) - START) / 60_000}: ${String(n)}`,
      );
      if (!counts.includes('platinum 1: 2')) continue;
      expect(counts.toSorted()).toEqual(['bronze 0: 1', 'platinum 0: 2', 'platinum 1: 2']);
      break;
    }
  } finally {
    for (const indexer of indexers) await indexer.stop();
  }
  expect((await daemon.stop()).exit).toBe(0);
});

type Found = Readonly<Record<string, unknown>>;

/** The example's program. */
class Indexer {
  readonly #child: ChildProcess;
  #said = '';

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [join(EXAMPLE, 'index-topics.mjs'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
  }

  alive(): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null)
      throw new Error(`The indexer ended meanwhile:\n${this.#said}`);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}
