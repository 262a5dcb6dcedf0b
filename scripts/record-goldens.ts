/**
 * `npm run record-goldens -- postgres|mysql|mariadb`: runs test/fixtures/goldens/<product>/*.sql through a real
 * Debezium and stores what it emits beside them, once with its defaults (recorded-a) and once with
 * replace.null.with.default=false (recorded-n). The recordings are committed; this is run again only when the SQL
 * changes.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Kafka, logLevel } from 'kafkajs';
import { testKafka } from '../test/support/servers.ts';
import { stopSharedServers } from '../test/support/shared-servers.ts';
import { type RunningConnect, startConnect } from './goldens/debezium.ts';
import { emptySource, type GoldenProduct, type GoldenSource } from './goldens/source.ts';

const FOLDER = join(import.meta.dirname, '../test/fixtures/goldens');
/** The topic prefix in the stored recordings, whatever it was while recording. */
const STORED_PREFIX = 'golden';
const PATIENCE_MS = 180_000;

interface Recorded {
  readonly topic: string;
  readonly offset: number;
  readonly line: string;
}

const VARIANTS = [
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
];

const product = parseArgs({ allowPositionals: true }).positionals[0];
if (product === 'postgres' || product === 'mysql' || product === 'mariadb') {
  try {
    await record(product);
  } finally {
    await stopSharedServers();
  }
} else {
  process.stderr.write('Usage: npm run record-goldens -- postgres|mysql|mariadb\n');
  process.exitCode = 2;
}

async function record(product: GoldenProduct): Promise<void> {
  await using source = await emptySource(product);
  const { brokers, prefix } = await testKafka();
  const folder = join(FOLDER, product);
  const [first = '', ...rest] = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  await source.run({ sql: await readFile(join(folder, first), 'utf8') });
  const publication = `p${prefix}`;
  if (product === 'postgres')
    await source.query(
      `CREATE PUBLICATION ${publication} FOR ALL TABLES WITH (publish_via_partition_root = true)`,
    );
  const variants = VARIANTS.map((variant) => ({ ...variant, prefix: `${prefix}${variant.letter}` }));
  const connect = await startConnect(
    brokers,
    variants.map((variant) => ({
      product,
      prefix: variant.prefix,
      databaseUrl: source.url,
      settings: {
        ...(product === 'postgres' ? { 'slot.name': variant.prefix, 'publication.name': publication } : {}),
        ...variant.settings,
      },
    })),
  );
  try {
    await untilStreaming(source, connect, variants.length);
    process.stdout.write('streaming\n');
    for (const name of rest) await source.run({ sql: await readFile(join(folder, name), 'utf8') });
    for (const variant of variants) {
      const lines = await consume(brokers, connect, variant.prefix);
      const file = join(folder, `recorded-${variant.letter}.jsonl.gz`);
      await writeFile(file, gzipSync(`${lines.join('\n')}\n`, { level: 9 }));
      process.stdout.write(`${file}: ${lines.length} records\n`);
    }
  } finally {
    await connect[Symbol.asyncDispose]();
  }
}

/** Debezium begins to stream when its snapshot is done: then its slots are in use, or the server sends it the log. */
async function untilStreaming(source: GoldenSource, connect: RunningConnect, readers: number): Promise<void> {
  const sql =
    source.product === 'postgres'
      ? 'SELECT 1 FROM pg_stat_replication r JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.database = current_database()'
      : "SELECT 1 FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
  const deadline = Date.now() + PATIENCE_MS;
  while ((await source.query(sql)).length !== readers) {
    await connect.check();
    if (Date.now() > deadline) throw new Error('Debezium does not stream.');
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Everything up to the last transaction's END, sorted by topic and offset. */
async function consume(brokers: string, connect: RunningConnect, prefix: string): Promise<readonly string[]> {
  const kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const records: Recorded[] = [];
  const deadline = Date.now() + PATIENCE_MS;
  try {
    const isLast = (topic: string): boolean => topic.startsWith(`${prefix}.`) && topic.endsWith('.the_end');
    while (!(await admin.listTopics()).some(isLast)) {
      await connect.check();
      if (Date.now() > deadline) throw new Error('The last row has not arrived.');
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await new Promise((resolve) => setTimeout(resolve, 3000)); // END of that transaction, heartbeats
    const topics = (await admin.listTopics()).filter(
      (topic) =>
        topic === prefix || topic.startsWith(`${prefix}.`) || topic === `__debezium-heartbeat.${prefix}`,
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
