/**
 * The statements of the talks, each sent as it is printed to a daemon that runs: a topic of any producer, and tables
 * that the daemon captures from a database. With a Kafka of its own, since nothing is renamed.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { type KafkaServer, startKafka } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';

const TOKEN = 't0ken-of-the-talks';
const run = promisify(execFile);

export interface TalkDatabase {
  readonly url: string;
  /** Before a table's name. */
  readonly schema: string;
  readonly source: readonly string[];
}

/** Types that both databases have. */
export const TABLES = [
  `CREATE TABLE customers (id INT PRIMARY KEY, first_name VARCHAR(50), last_name VARCHAR(50), email VARCHAR(80), club_status VARCHAR(20))`,
  `CREATE TABLE items (id VARCHAR(20) PRIMARY KEY, make VARCHAR(50), model VARCHAR(50), unit_cost DECIMAL(10,2))`,
  `CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(50), level VARCHAR(20))`,
  `INSERT INTO customers VALUES (1, 'Rica', 'Blaisdell', 'rblaisdell0@rambler.ru', 'bronze'), (2, 'Ruthie', 'Brockherst', 'rbrockherst1@ow.ly', 'platinum'), (3, 'Mariejeanne', 'Cocci', 'mcocci2@techcrunch.com', 'bronze')`,
  `INSERT INTO items VALUES ('Item_9', 'Boyle-McDermott', 'Apiaceae', 19.9), ('Item_1', 'Bergnaum', 'Rosaceae', 2.5)`,
  `INSERT INTO users VALUES (7, 'Ada', 'VIP'), (8, 'Bo', 'regular')`,
];

/** How long anything is waited for, in ms. */
const PATIENCE_MS = 120_000;
/** 20 s behind the begin of a minute. */
const START = 1_700_000_000_000;
const ROBIN = `SELECT LOCATION_CHANGES, UNIQUE_LOCATIONS FROM PERSON_MOVEMENTS WHERE ROWKEY='robin'`;

export class Talks implements AsyncDisposable {
  readonly #files: Workspace;
  readonly #kafka: KafkaServer;
  readonly #topics: TopicClient;
  #daemon: Headwater;
  readonly #file: string;
  #base = '';

  private constructor(parts: {
    readonly files: Workspace;
    readonly kafka: KafkaServer;
    readonly topics: TopicClient;
    readonly file: string;
  }) {
    this.#files = parts.files;
    this.#kafka = parts.kafka;
    this.#topics = parts.topics;
    this.#file = parts.file;
    this.#daemon = new Headwater(['run', this.#file]);
  }

  static async start(database: TalkDatabase): Promise<Talks> {
    const files = await workspace();
    const kafka = await startKafka();
    const topics = await TopicClient.connect(kafka.brokers);
    const text = pipelineFile({
      name: 'talk',
      url: database.url,
      tables: ['customers', 'items', 'users'].map((table) => `${database.schema}.${table}`),
      brokers: kafka.brokers,
      source: database.source,
      more: [`state: { dir: ${JSON.stringify(files.path('state'))} }`, 'enrich: {}'],
    });
    const file = await files.write(
      'talk.yaml',
      text.replace(/^http: .*$/m, `http: { listen: "127.0.0.1:0", sql: "127.0.0.1:0", token: ${TOKEN} }`),
    );
    const talks = new Talks({ files, kafka, topics, file });
    await talks.#up();
    return talks;
  }

  async #up(): Promise<void> {
    const { host, port } = await this.#daemon.line(({ msg }) => msg === 'SQL interface is up');
    this.#base = `http://${String(host)}:${String(port)}`;
    const isReady = (): Promise<boolean> =>
      this.#post('/chc/ready', null).then(
        ({ status }) => status === 200,
        () => false,
      );
    await this.until(isReady, 'the daemon is ready');
  }

  /** As a crash leaves it, and up again. */
  async kill(): Promise<void> {
    await this.#daemon.kill();
    this.#daemon = new Headwater(['run', this.#file]);
    await this.#up();
  }

  /** One request; fails with what the daemon says where it does not take it. */
  async ksql(statements: string): Promise<readonly Record<string, unknown>[]> {
    const response = await this.#post('/ksql', { ksql: statements });
    const body: unknown = await response.json();
    if (response.status !== 200) throw new Error(JSON.stringify(body));
    return body as readonly Record<string, unknown>[];
  }

  /** The rows of a query that ends. */
  async query(sql: string): Promise<readonly unknown[]> {
    const response = await this.#ready(() =>
      this.#post('/query-stream', { sql }, { accept: 'application/json' }),
    );
    const body: unknown = await response.json();
    if (response.status !== 200) throw new Error(JSON.stringify(body));
    return (body as readonly unknown[]).slice(1);
  }

  /** Begins a query that goes on, and answers when it has begun; its pieces are there when it has ended. */
  async follow(
    ksql: string,
    streamsProperties: object = {},
  ): Promise<{ readonly pieces: Promise<readonly unknown[]> }> {
    const response = await this.#ready(() => this.#post('/query', { ksql, streamsProperties }));
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    let text = decoder.decode((await reader.read()).value);
    const ended = (async () => {
      const late = setTimeout(() => {
        reader.cancel().catch(() => {});
      }, PATIENCE_MS);
      for (let last = await reader.read(); !last.done; last = await reader.read())
        text += decoder.decode(last.value, { stream: true });
      clearTimeout(late);
      if (!text.trimEnd().endsWith(']'))
        throw new Error(`waited for the end of ${ksql}, and there is ${text}`);
      return (JSON.parse(text) as readonly unknown[]).slice(1);
    })();
    ended.catch(() => {});
    return { pieces: ended };
  }

  /** As it is printed, with curl. */
  async curl(ksql: string): Promise<readonly unknown[]> {
    const { stdout } = await run('curl', [
      ...['-s', '-X', 'POST', `${this.#base}/query`, '-u', `me:${TOKEN}`],
      ...['-H', 'Content-Type: application/vnd.ksql.v1+json; charset=utf-8'],
      ...['-d', JSON.stringify({ ksql })],
    ]);
    return JSON.parse(stdout) as readonly unknown[];
  }

  async insert(target: string, rows: readonly object[]): Promise<readonly unknown[]> {
    const lines = [{ target }, ...rows].map((line) => JSON.stringify(line)).join('\n');
    const response = await this.#post('/inserts-stream', lines, { accept: 'application/json' });
    return (await response.json()) as readonly unknown[];
  }

  async print(ksql: string): Promise<string> {
    return (await this.#post('/query', { ksql })).text();
  }

  async send(topic: string, values: readonly object[]): Promise<void> {
    await this.#topics.producer.send({
      topic,
      messages: values.map((value) => ({ value: JSON.stringify(value) })),
    });
  }

  async topic(topic: string, numPartitions = 1): Promise<void> {
    await this.#topics.createTopics([topic], numPartitions);
  }

  /** The values of the first committed records of a topic. */
  async read(topic: string, count: number): Promise<readonly Record<string, unknown>[]> {
    const records = await this.#topics.first(topic, count);
    return records.map(({ value }) => JSON.parse(value?.toString() ?? '') as Record<string, unknown>);
  }

  async until(condition: () => Promise<boolean>, what: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await condition())) {
      if (performance.now() > deadline) throw new Error(`waited for this, and it is not so: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Asks again while the table is not there yet, as it is told to. */
  async #ready(ask: () => Promise<Response>): Promise<Response> {
    let response = await ask();
    await this.until(async () => {
      if (response.status !== 503) return true;
      await response.text();
      response = await ask();
      return response.status !== 503;
    }, 'the table can be asked');
    return response;
  }

  #post(path: string, body: object | string | null, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(this.#base + path, {
      method: body === null ? 'GET' : 'POST',
      ...(body === null ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      headers: {
        authorization: `Bearer ${TOKEN}`,
        'content-type': 'application/vnd.ksql.v1+json',
        ...headers,
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
    await this.#topics[Symbol.asyncDispose]();
    await this.#kafka[Symbol.asyncDispose]();
    await this.#files[Symbol.asyncDispose]();
  }
}

/** All of them in one daemon, one behind the other, with a crash in between. */
export async function runTalks(talks: Talks, schema: string): Promise<void> {
  await ratings(talks, schema);
  await orders(talks, schema);
  await movements(talks);
  await talks.kill();
  await reviews(talks, schema);
  await widgets(talks);
  // What was made before the crash goes on behind it.
  await talks.send('ratings', [rating(8, 2, 1)]);
  expect((await talks.read('UNHAPPY_PLATINUM_CUSTOMERS', 2)).map((row) => row['RATING_ID'])).toEqual([6, 8]);
  const counts = (await talks.read('RATINGS_BY_CLUB_STATUS', 3)).map((row) => Number(row['KSQL_COL_0']));
  expect(counts.toSorted((a, b) => a - b)).toEqual([1, 1, 2]);
  expect(await talks.query(`${ROBIN};`)).toEqual([[4, 3]]);
  await talks.send('movements', [{ person: 'robin', location: 'London' }]);
  expect((await talks.read('PERSON_MOVEMENTS', 5))[4]).toMatchObject({
    LOCATION_CHANGES: 5,
    UNIQUE_LOCATIONS: 3,
  });
}

function rating(id: number, user: number, stars: number): object {
  return {
    rating_id: id,
    user_id: user,
    stars,
    route_id: 8000 + id,
    rating_time: START + id * 1000,
    channel: id % 2 === 0 ? 'iOS' : 'web',
    message: 'your team here rocks!',
  };
}

/** Of several partitions. */
function byId(rows: readonly Record<string, unknown>[]): readonly Record<string, unknown>[] {
  return rows.toSorted((a, b) => Number(a['RATING_ID']) - Number(b['RATING_ID']));
}

async function ratings(talks: Talks, schema: string): Promise<void> {
  await talks.topic('ratings', 3);
  await talks.send('ratings', [rating(1, 1, 5), rating(2, 2, 1), rating(3, 3, 2), rating(4, 9, 1)]);
  await talks.ksql(`CREATE STREAM RATINGS (RATING_ID BIGINT, USER_ID INT, STARS INT, ROUTE_ID INT, RATING_TIME BIGINT, CHANNEL VARCHAR, MESSAGE VARCHAR)
  WITH (KAFKA_TOPIC='ratings', VALUE_FORMAT='JSON', TIMESTAMP='RATING_TIME');`);
  await talks.ksql(`CREATE TABLE CUSTOMERS WITH (CDC_TABLE='talk.${schema}.customers');`);
  await talks.ksql('CREATE STREAM POOR_RATINGS AS SELECT * FROM ratings WHERE STARS <3');
  await talks.ksql(
    'CREATE STREAM RATINGS_WITH_CUSTOMER_DATA AS SELECT * FROM RATINGS R LEFT JOIN CUSTOMERS C ON R.USER_ID=C.ID;',
  );
  const poor = await talks.read('POOR_RATINGS', 3);
  expect(byId(poor).map(({ RATING_ID }) => RATING_ID)).toEqual([2, 3, 4]);
  const joined = await talks.read('RATINGS_WITH_CUSTOMER_DATA', 4);
  expect(byId(joined).map(({ RATING_ID, FIRST_NAME }) => [RATING_ID, FIRST_NAME])).toEqual([
    [1, 'Rica'],
    [2, 'Ruthie'],
    [3, 'Mariejeanne'],
    [4, null],
  ]);
  await talks.ksql(
    `CREATE STREAM UNHAPPY_PLATINUM_CUSTOMERS AS SELECT * FROM RATINGS_WITH_CUSTOMER_DATA WHERE STARS < 3 AND CLUB_STATUS='platinum';`,
  );
  await talks.ksql(`CREATE TABLE RATINGS_BY_CLUB_STATUS AS SELECT CLUB_STATUS, COUNT(*) FROM RATINGS_WITH_CUSTOMER_DATA
  WINDOW TUMBLING (SIZE 1 MINUTES) GROUP BY CLUB_STATUS;`);
  // A query over a query's stream begins with what that gives from then on.
  await talks.send('ratings', [rating(6, 2, 2), rating(7, 1, 1)]);
  expect((await talks.read('UNHAPPY_PLATINUM_CUSTOMERS', 1))[0]).toEqual({
    RATING_ID: 6,
    STARS: 2,
    ROUTE_ID: 8006,
    RATING_TIME: START + 6000,
    CHANNEL: 'iOS',
    MESSAGE: 'your team here rocks!',
    ID: 2,
    FIRST_NAME: 'Ruthie',
    LAST_NAME: 'Brockherst',
    EMAIL: 'rbrockherst1@ow.ly',
    CLUB_STATUS: 'platinum',
  });
  expect((await talks.read('RATINGS_BY_CLUB_STATUS', 2)).map((row) => row['KSQL_COL_0'])).toEqual([1, 1]);
}

async function orders(talks: Talks, schema: string): Promise<void> {
  await talks.topic('orders');
  await talks.ksql(`CREATE STREAM ORDERS (ORDERTIME BIGINT, ORDERID INT, ITEMID VARCHAR, ORDERUNITS INT)
  WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON');
  CREATE TABLE ITEMS WITH (CDC_TABLE='talk.${schema}.items');`);
  const [created] =
    await talks.ksql(`CREATE STREAM ORDERS_ENRICHED AS SELECT O.*, I.*, O.ORDERUNITS * I.UNIT_COST AS TOTAL_ORDER_VALUE,
  FROM ORDERS O INNER JOIN ITEMS I ON O.ITEMID = I.ID ;`);
  expect(JSON.stringify(created?.['warnings'])).toContain('comma before FROM');
  await talks.send('orders', [
    { ordertime: 1560070133853, orderid: 67, itemid: 'Item_9', orderunits: 5 },
    { ordertime: 1560070133854, orderid: 68, itemid: 'Item_none', orderunits: 1 },
    { ordertime: 1560070133855, orderid: 69, itemid: 'Item_1', orderunits: 2 },
  ]);
  expect(await talks.read('ORDERS_ENRICHED', 2)).toMatchObject([
    { ORDERID: 67, MAKE: 'Boyle-McDermott', MODEL: 'Apiaceae', UNIT_COST: 19.9, TOTAL_ORDER_VALUE: 99.5 },
    { ORDERID: 69, TOTAL_ORDER_VALUE: 5 },
  ]);
}

async function movements(talks: Talks): Promise<void> {
  await talks.topic('movements');
  await talks.ksql(
    `CREATE STREAM MOVEMENTS (PERSON VARCHAR, LOCATION VARCHAR) WITH (KAFKA_TOPIC='movements', VALUE_FORMAT='JSON');`,
  );
  await talks.ksql(`CREATE TABLE PERSON_MOVEMENTS AS SELECT PERSON, COUNT_DISTINCT(LOCATION) AS UNIQUE_LOCATIONS, COUNT(*) AS LOCATION_CHANGES
  FROM MOVEMENTS GROUP BY PERSON;`);
  const seen = await talks.follow(`${ROBIN} EMIT CHANGES LIMIT 4;`);
  for (const location of ['Leeds', 'London', 'Wakefield', 'Leeds'])
    await talks.send('movements', [{ person: 'robin', location }]);
  expect(await seen.pieces).toEqual([
    { row: { columns: [1, 1] } },
    { row: { columns: [2, 2] } },
    { row: { columns: [3, 3] } },
    { row: { columns: [4, 3] } },
    { finalMessage: 'Limit Reached' },
  ]);
  expect(await talks.query(`${ROBIN};`)).toEqual([[4, 3]]);
  expect((await talks.curl(`${ROBIN};`))[1]).toEqual({ row: { columns: [4, 3] } });
}

async function reviews(talks: Talks, schema: string): Promise<void> {
  await talks.topic('reviews');
  await talks.ksql(`CREATE STREAM reviews (review_id INT, user_id INT, stars INT, review VARCHAR, channel VARCHAR)
  WITH (kafka_topic='reviews', value_format='JSON');`);
  await talks.ksql(`CREATE TABLE users WITH (CDC_TABLE='talk.${schema}.users');`);
  await talks.ksql(
    `CREATE STREAM reviews_clean AS SELECT * FROM reviews WHERE channel NOT LIKE '%test%' EMIT CHANGES;`,
  );
  await talks.ksql(`CREATE STREAM enriched_reviews AS
  SELECT r.user_id, r.review_id, r.stars, r.review, u.name, u.level
  FROM reviews_clean r LEFT JOIN users u ON r.user_id = u.id EMIT CHANGES;`);
  await talks.ksql(
    `CREATE STREAM unhappy_vips AS SELECT UCASE(name) AS name, stars, review FROM enriched_reviews WHERE level = 'VIP' AND stars < 3 EMIT CHANGES;`,
  );
  await talks.send('reviews', [
    { review_id: 1, user_id: 7, stars: 1, review: 'late', channel: 'ios-test' },
    { review_id: 2, user_id: 8, stars: 1, review: 'cold', channel: 'ios' },
    { review_id: 3, user_id: 7, stars: 2, review: 'lost bag', channel: 'web' },
  ]);
  expect(await talks.read('UNHAPPY_VIPS', 1)).toEqual([{ NAME: 'ADA', STARS: 2, REVIEW: 'lost bag' }]);
}

async function widgets(talks: Talks): Promise<void> {
  await talks.topic('widgets');
  await talks.ksql(`CREATE STREAM widgets (id INT, colour VARCHAR) WITH (KAFKA_TOPIC='widgets', VALUE_FORMAT='JSON');
  CREATE STREAM widgets_red AS SELECT * FROM widgets WHERE colour='RED';`);
  await talks.send('widgets', [
    { id: 1, colour: 'BLUE' },
    { id: 2, colour: 'RED' },
  ]);
  expect(await talks.read('WIDGETS_RED', 1)).toEqual([{ ID: 2, COLOUR: 'RED' }]);
  await talks.ksql(`INSERT INTO widgets (colour, id) VALUES ('RED', 1 + 2);`);
  expect(
    await talks.insert('widgets', [{ id: 4, colour: 'RED' }, { ID: 5 }, { id: 'x' }, { id: 6 }]),
  ).toEqual([
    { status: 'ok', seq: 0 },
    { status: 'ok', seq: 1 },
    {
      status: 'error',
      seq: 2,
      error_code: 40001,
      message: 'The value of "id" is none of the column\'s type.',
    },
  ]);
  expect((await talks.read('WIDGETS_RED', 3)).map(({ ID }) => ID)).toEqual([2, 3, 4]);
  // What the topics hold: up to now, and further on.
  expect(await talks.query(`SELECT id, colour FROM widgets WHERE id < 3;`)).toEqual([
    [1, 'BLUE'],
    [2, 'RED'],
  ]);
  expect(await talks.query('SELECT * FROM widgets_red LIMIT 2;')).toEqual([
    [2, 'RED'],
    [3, 'RED'],
  ]);
  expect(
    await talks.query('SELECT colour, COUNT(*) AS n FROM widgets GROUP BY colour HAVING n > 1;'),
  ).toEqual([['RED', 3]]);
  const all = await talks.follow(`SELECT id FROM widgets_red EMIT CHANGES LIMIT 4;`, {
    'auto.offset.reset': 'earliest',
  });
  await talks.ksql(`INSERT INTO widgets VALUES (7, 'RED');`);
  expect((await all.pieces).slice(0, 4)).toEqual([2, 3, 4, 7].map((id) => ({ row: { columns: [id] } })));
  const printed = await talks.print('PRINT widgets FROM BEGINNING LIMIT 3;');
  expect(printed.replaceAll(/rowtime: [^,]*/g, 'rowtime: T')).toBe(
    [
      'Key format: unknown, there is none',
      'Value format: JSON or KAFKA_STRING',
      'rowtime: T, key: <null>, value: {"id":1,"colour":"BLUE"}, partition: 0',
      'rowtime: T, key: <null>, value: {"id":2,"colour":"RED"}, partition: 0',
      'rowtime: T, key: <null>, value: {"ID":3,"COLOUR":"RED"}, partition: 0',
      '',
    ].join('\n'),
  );
}
