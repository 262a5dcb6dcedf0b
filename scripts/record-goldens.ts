/**
 * `npm run record-goldens`: runs test/fixtures/goldens/postgres/*.sql through a real Debezium and stores what it
 * emits beside them, once with its defaults (recorded-a) and once with replace.null.with.default=false
 * (recorded-n). The recordings are committed; this is run again only when the SQL changes.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Kafka, logLevel } from 'kafkajs';
import pg from 'pg';
import { testDatabase, testKafka } from '../test/support/servers.ts';
import { stopSharedServers } from '../test/support/shared-servers.ts';
import { startConnect } from './goldens/debezium.ts';

const FOLDER = join(import.meta.dirname, '../test/fixtures/goldens/postgres');
/** The topic prefix in the stored recordings, whatever it was while recording. */
const STORED_PREFIX = 'golden';
const PATIENCE_MS = 180_000;

interface Recorded {
  readonly topic: string;
  readonly offset: number;
  readonly line: string;
}

const { values: flags } = parseArgs({ options: { keep: { type: 'boolean' } } });

try {
  await record();
} finally {
  await stopSharedServers();
}

async function record(): Promise<void> {
  await using database = await testDatabase(15);
  const { brokers, prefix } = await testKafka();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await runFile(client, '1-tables.sql');
  const id = database.name;
  await client.query(`CREATE PUBLICATION ${id} FOR ALL TABLES WITH (publish_via_partition_root = true)`);
  const variants = [
    { letter: 'a', settings: {} },
    {
      letter: 'n',
      settings: {
        'key.converter': 'org.apache.kafka.connect.json.JsonConverter',
        'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
        'key.converter.replace.null.with.default': 'false',
        'value.converter.replace.null.with.default': 'false',
      },
    },
  ].map((variant) => ({ ...variant, prefix: `${prefix}${variant.letter}` }));
  const connect = await startConnect(
    brokers,
    variants.map((variant) => ({
      prefix: variant.prefix,
      databaseUrl: database.url,
      slot: variant.prefix,
      publication: id,
      settings: variant.settings,
    })),
  );
  try {
    await untilStreaming(client, variants.length);
    process.stdout.write('streaming\n');
    await runFile(client, '2-changes.sql');
    for (const variant of variants) {
      const lines = await consume(brokers, variant.prefix);
      const file = join(FOLDER, `recorded-${variant.letter}.jsonl.gz`);
      await writeFile(file, gzipSync(`${lines.join('\n')}\n`, { level: 9 }));
      process.stdout.write(`${file}: ${lines.length} records\n`);
    }
  } catch (error) {
    process.stderr.write((await readFile(connect.logFile, 'utf8')).slice(-6000));
    throw error;
  } finally {
    if (!flags.keep) await connect[Symbol.asyncDispose]();
    await client.end();
  }
}

/** Statement by statement, so that each is a transaction of its own. */
async function runFile(client: pg.Client, name: string): Promise<void> {
  const text = await readFile(join(FOLDER, name), 'utf8');
  for (const statement of text.split(/;[ \t]*\n/)) {
    if (statement.replaceAll(/^--.*$/gm, '').trim() !== '') await client.query(statement);
  }
}

/** Debezium begins to stream when its snapshot is done: then its slots are in use and have moved on. */
async function untilStreaming(client: pg.Client, slots: number): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { rows } = await client.query(
      'SELECT 1 FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.database = current_database()',
    );
    if (rows.length === slots) return;
    if (Date.now() > deadline) throw new Error('Debezium does not stream.');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Everything up to the last transaction's END, sorted by topic and offset. */
async function consume(brokers: string, prefix: string): Promise<readonly string[]> {
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const records: Recorded[] = [];
  const deadline = Date.now() + PATIENCE_MS;
  try {
    while (!(await admin.listTopics()).includes(`${prefix}.public.the_end`)) {
      if (Date.now() > deadline) throw new Error('The last row has not arrived.');
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await new Promise((resolve) => setTimeout(resolve, 3000)); // END of that transaction, heartbeats
    const topics = (await admin.listTopics()).filter(
      (topic) => topic.startsWith(`${prefix}.`) || topic === `__debezium-heartbeat.${prefix}`,
    );
    const expected = new Map<string, number>();
    for (const topic of topics) {
      const [offsets] = await admin.fetchTopicOffsets(topic);
      expected.set(topic, Number(offsets?.high ?? 0));
    }
    const consumer = kafka.consumer({ groupId: `${prefix}-recorder` });
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: true });
    await consumer.run({
      eachMessage: ({ topic, message }) => {
        records.push({ topic, offset: Number(message.offset), line: recordLine(topic, message, prefix) });
        return Promise.resolve();
      },
    });
    const total = [...expected.values()].reduce((sum, n) => sum + n, 0);
    while (records.length < total && Date.now() < deadline) await new Promise((r) => setTimeout(r, 100));
    await consumer.disconnect();
  } finally {
    await admin.disconnect();
  }
  const heartbeat = `__debezium-heartbeat.${prefix}`;
  return records
    .filter((record) => record.topic !== heartbeat || record.offset === 0)
    .sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.offset - b.offset))
    .map((record) => record.line);
}

interface Message {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>;
}

/** The JSON is stored as Debezium wrote it: parsing would round its large numbers. */
function recordLine(topic: string, message: Message, prefix: string): string {
  const headers = Object.entries(message.headers ?? {}).map(
    ([name, value]) => `${JSON.stringify(name)}:${String(value)}`,
  );
  const parts = [
    `"topic":${JSON.stringify(topic)}`,
    `"key":${message.key?.toString() ?? 'null'}`,
    `"value":${message.value?.toString() ?? 'null'}`,
    ...(headers.length === 0 ? [] : [`"headers":{${headers.join(',')}}`]),
  ];
  return `{${parts.join(',')}}`.replaceAll(prefix, STORED_PREFIX);
}
