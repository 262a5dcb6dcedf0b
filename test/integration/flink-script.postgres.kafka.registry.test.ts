/** What `sql export --to flink` prints, run by Flink over the same topics, gives what the built-in stage gives. */
import type { Producer } from 'kafkajs';
import { expect, test } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { tailKafka } from '../../src/emitter/sinks/kafka/tail-kafka.ts';
import { Headwater, headwater, pipelineFile, workspace } from '../e2e/headwater.ts';
import { exampleStatements, INPUTS, RESULTS, SHOP, TABLES } from '../support/flink-examples.ts';
import { startFlink } from '../support/flink.ts';
import { testDatabase, testKafka, testRegistry } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';

/** When the ratings of the first part were made: long before any customer changed. */
const THEN = 1_560_000_000_000;
/** A user whose ratings only move time on. */
const CLOCK = 99;

interface Read {
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: string | null;
}

type Row = Readonly<Record<string, unknown>>;

/** How captured tables are written: as their records differ, so does what Flink reads them with. */
test.each<readonly [string, (registry: string) => readonly string[]]>([
  ['JSON', () => ['profile: safe']],
  ['Avro', (registry) => ['format: avro', `registry: { url: ${registry} }`]],
])(
  'Flink gives the results of the built-in stage over captured tables in %s',
  async (_, emit) => {
    const giveUpAt = performance.now() + PATIENCE_MS;
    const until = (what: string, holds: () => boolean): Promise<void> => waitUntil(what, holds, giveUpAt);
    await using database = await testDatabase();
    const { brokers, prefix } = await testKafka();
    const registry = (await testRegistry()).url;
    await using work = await workspace();
    await database.query(SHOP);
    await using client = await TopicClient.connect(brokers);
    const { producer } = client;
    const topics = [
      ...INPUTS.map((name) => `${prefix}.in.${name}`),
      ...Object.keys(RESULTS).flatMap((name) => [`${prefix}.out.${name}`, `${prefix}.flink.${name}`]),
    ];
    await client.createTopics(topics);
    const settings = (sql: string): string =>
      pipelineFile({
        name: prefix,
        url: database.url,
        tables: TABLES,
        brokers,
        emit: emit(registry),
        source: [`postgres: { slot: ${database.name}, publication: pub }`],
        more: [
          `state: { dir: ${JSON.stringify(work.path('state'))} }`,
          `enrich: { sql: [${JSON.stringify(sql)}] }`,
        ],
      });
    const file = await work.write('shop.yaml', settings(exampleStatements(prefix)));
    const reading = new AbortController();
    const records: Read[] = [];
    const collecting = (async () => {
      const results = topics.filter((topic) => !topic.includes('.in.'));
      const options = { brokers: [brokers], topics: results, fromBeginning: true };
      for await (const { topic, key, value } of tailKafka(options, reading.signal))
        records.push({ topic, key, value: value === null ? null : Buffer.from(value).toString('utf8') });
    })();
    const ours = (name: string): readonly Read[] =>
      records.filter(({ topic }) => topic === `${prefix}.out.${name}`);
    {
      await using daemon = new Headwater(['run', file]);
      await daemon.until(({ state }) => state === 'streaming');
      await firstPart(producer, prefix);
      await until('the ratings of the first part', () => ours('RATINGS_WITH_CUSTOMER_DATA').length === 5);
      await until('the reviews', () => ours('ENRICHED_REVIEWS').length === 2);
      await database.query(`UPDATE customers SET club_status = 'platinum', credit = 11 WHERE id = 1;`);
      await database.query(`UPDATE customers SET club_status = 'gold' WHERE id = 3;`);
      await database.query(`DELETE FROM profiles WHERE id = 2; INSERT INTO profiles VALUES (3, 30);`);
      await database.query(`BEGIN; INSERT INTO purchases VALUES (2, 4, 3, 2.50, '1969-12-31');
      INSERT INTO customers VALUES (4, 'Dee', 'gold', 0.10, NULL); COMMIT;`);
      await database.query(
        `UPDATE purchases SET quantity = 5 WHERE id = 1; DELETE FROM purchases WHERE id = 2;`,
      );
      await database.query(`DELETE FROM customers WHERE id = 2;`);
      await until('the changes of purchases', () => ours('PURCHASE_CHANGES').length === 4);
      await until('the deleted customer', () =>
        ours('RICH').some(({ key, value }) => key?.at(-1) === 2 && value === null),
      );
      await secondPart(producer, prefix);
      await until('all ratings', () => ours('RATINGS_WITH_CUSTOMER_DATA').length === 9);
      await until('the last order', () => ours('ORDERS_ENRICHED').length === 2);
      await until('the last reviews', () => ours('REVIEWS_OWNED').length === 5);
      await until('the enriched ones', () => ours('ENRICHED_REVIEWS').length === 4);
      expect((await daemon.stop()).exit).toBe(0);
    }

    const exported = await headwater(['sql', 'export', file, '--to', 'flink']);
    if (exported.exit !== 0) throw new Error(exported.stderr);
    expect(exported.stderr).toContain('note: CTAS_RATINGS_SESSIONS');
    const incomplete = `CREATE STREAM T WITH (KAFKA_TOPIC='${prefix}.t') AS SELECT ID, CDC_TX() AS TX FROM PURCHASES;`;
    await work.write('shop.yaml', settings(exampleStatements(prefix) + incomplete));
    const refused = await headwater(['sql', 'export', file, '--to', 'flink']);
    expect(refused).toMatchObject({ exit: 1 });
    expect(refused.stderr).toContain('error[enrich.no-equal] CSAS_T');
    expect(refused.stdout).toContain('-- NOT HERE: CSAS_T');
    // Bounded by what is in the topics now, so that it ends; its own results have topics of their own.
    const script = exported.stdout
      .replaceAll(`${prefix}.out.`, `${prefix}.flink.`)
      .replaceAll(
        "'properties.isolation.level' = 'read_committed'",
        "$&,\n  'scan.bounded.mode' = 'latest-offset'",
      );
    const parts = statementsOf(script);
    await using flink = await startFlink({ heapMb: 1024, settings: settingsOf(parts) });
    for (const statement of parts) if (!statement.startsWith('SET ')) await flink.run(statement);
    const wanted = resultsOf(records, `${prefix}.out.`);
    let found = resultsOf(records, `${prefix}.flink.`);
    const count = (results: typeof found): number => Object.values(results).flat().length;
    while (count(found) < count(wanted) && performance.now() < giveUpAt) {
      await sleep(100);
      found = resultsOf(records, `${prefix}.flink.`);
    }
    expect(found).toEqual(wanted);
    for (const [name, lines] of Object.entries(wanted)) expect(lines, name).not.toEqual([]);
    reading.abort();
    await collecting;
  },
  600_000,
);

const PATIENCE_MS = 400_000;

/** The script's statements, of which each ends with a semicolon at the end of a line; a statement set holds others. */
function statementsOf(script: string): readonly string[] {
  const bare = script.replaceAll(/^--.*\n/gm, '');
  const set = bare.indexOf('EXECUTE STATEMENT SET');
  return [...bare.slice(0, set).split(/;\n/), bare.slice(set).replace(/;\n$/, '')]
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}

function settingsOf(statements: readonly string[]): Readonly<Record<string, string>> {
  const found = statements.flatMap((statement) => {
    const [, key, value] = /^SET '(.+)' = '(.+)'$/.exec(statement) ?? [];
    return key === undefined || value === undefined ? [] : [[key, value] as const];
  });
  return Object.fromEntries(found);
}

async function waitUntil(what: string, holds: () => boolean, giveUpAt: number): Promise<void> {
  while (!holds()) {
    if (performance.now() > giveUpAt) throw new Error(`There is no end of waiting for ${what}.`);
    await sleep(50);
  }
}

function rating(id: number, user: number, stars: number | null, more: Row = {}): Row {
  return {
    rating_id: id,
    user_id: user,
    stars,
    rating_time: THEN + id * 10_000,
    channel: 'web',
    message: 'm'.repeat(id),
    tags: null,
    ...more,
  };
}

async function send(
  producer: Producer,
  topic: string,
  rows: readonly (Row | string | null)[],
  key: string | null = null,
): Promise<void> {
  const messages = rows.map((row) => ({
    key,
    value: row === null || typeof row === 'string' ? row : JSON.stringify(row),
  }));
  await producer.send({ topic, messages });
}

async function firstPart(producer: Producer, prefix: string): Promise<void> {
  await send(producer, `${prefix}.in.ratings`, [
    rating(1, 1, 2, { tags: ['a', 'b'] }),
    rating(2, 2, 1, { channel: 'ios' }),
    rating(3, 1, 5, { channel: 'other', tags: [] }),
    rating(4, 7, null, { message: null }),
    rating(9, 2, 4, { tags: ['c'] }),
  ]);
  await send(producer, `${prefix}.in.orders`, [
    { ordertime: 1_560_070_133_853, orderid: 67, itemid: 'Item_9', orderunits: 5 },
    { ordertime: 1_560_070_134_000, orderid: 68, itemid: 'Item_1', orderunits: 1 },
  ]);
  for (const location of ['Leeds', 'London', 'Wakefield', 'Leeds'])
    await send(producer, `${prefix}.in.movements`, [{ location }], 'robin');
  await send(producer, `${prefix}.in.channels`, [{ owner: 'Mel', cost: 3 }], 'ios');
  await send(producer, `${prefix}.in.channels`, [{ OWNER: 'Ned', COST: null }], 'web');
  await send(producer, `${prefix}.in.channels`, [{ owner: 'Pam', cost: 1 }], 'fax');
  await send(producer, `${prefix}.in.reviews`, [
    { review_id: 1, user_id: 1, stars: 1, review: 'late', channel: 'ios-test' },
    { review_id: 2, user_id: 8, stars: 1, review: 'cold', channel: 'ios' },
    { review_id: 3, user_id: 2, stars: 2, review: 'lost bag', channel: 'web' },
  ]);
  await send(producer, `${prefix}.in.widgets`, ['1,BLUE', '2,RED']);
}

/** Events of after the changes of the tables. */
async function secondPart(producer: Producer, prefix: string): Promise<void> {
  const now = Date.now() + 1_000;
  await send(producer, `${prefix}.in.ratings`, [
    rating(20, 1, 1, { rating_time: now }),
    rating(21, 3, 2, { rating_time: now + 1 }),
    rating(22, 2, 3, { rating_time: now + 2 }),
    rating(23, CLOCK, 3, { rating_time: now + 600_000 }),
  ]);
  await send(producer, `${prefix}.in.channels`, [{ owner: 'Ola', cost: 4 }], 'ios');
  await send(producer, `${prefix}.in.channels`, [null], 'fax');
  await send(producer, `${prefix}.in.reviews`, [
    { review_id: 4, user_id: 1, stars: 5, review: 'early', channel: 'ios' },
    { review_id: 5, user_id: 1, stars: 4, review: 'warm', channel: 'fax' },
  ]);
  await send(producer, `${prefix}.in.orders`, [
    { ordertime: now, orderid: 69, itemid: 'Item_9', orderunits: 2 },
  ]);
}

/** Of each result what counts: all records of a stream whatever their order, and the last one of each key of a table. */
function resultsOf(records: readonly Read[], begin: string): Readonly<Record<string, readonly string[]>> {
  const results: Record<string, readonly string[]> = {};
  for (const [name, kind] of Object.entries(RESULTS)) {
    const own = records.filter(({ topic }) => topic === begin + name);
    const pairs = own.map(
      ({ key, value }) => [keyText(key, kind), value === null ? null : canonical(value)] as const,
    );
    const kept = kind === 'stream' ? pairs : [...new Map(pairs)].filter(([, value]) => value !== null);
    results[name] = kept
      .map(([key, value]) => `${key} ${value ?? ''}`)
      .filter((line) => kind !== 'session' || !line.startsWith(`${CLOCK} `))
      .sort();
  }
  return results;
}

/** Numbers of JSON are the same however many zeros they are written with; DELIMITED stays as it is. */
function canonical(text: string): string {
  if (!text.startsWith('{')) return text;
  const row = JSON.parse(text) as Row;
  return JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Of a window the group and its start, which Flink writes as an object and Headwater as bytes. */
function keyText(key: Uint8Array | null, kind: string): string {
  if (key === null) return '-';
  const bytes = Buffer.from(key);
  if (kind === 'stream' || kind === 'table') return bytes.toString('hex');
  if (bytes[0] === 0x7b) return Object.values(JSON.parse(bytes.toString('utf8')) as Row).join(' ');
  const group = bytes.subarray(0, bytes.length - (kind === 'session' ? 16 : 8));
  // Users are four bytes, clubs a text.
  const text = group[0] === 0 ? String(group.readInt32BE()) : group.toString('utf8');
  return `${text} ${bytes.readBigInt64BE(bytes.length - 8)}`;
}
