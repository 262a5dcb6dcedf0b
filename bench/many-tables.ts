/**
 * `npm run bench -- tables`: one PostgreSQL with few tables and with many, each of one row, into Kafka. What should not
 * grow with their number: the time that a change takes, idle work, and a restart but for looking at the catalogue.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { startKafka } from '../src/local-servers/kafka.ts';
import { startPostgres } from '../src/local-servers/postgres.ts';
import { freePort } from '../src/local-servers/processes.ts';
import { startRegistry } from '../src/local-servers/registry.ts';
import type { PipelineStatus } from '../src/observability/status.ts';
import { type DaemonProcess, startProcess } from './daemon-process.ts';
import { buildHeadwater, daemonCommand } from './headwater.ts';
import { sleep } from './lab.ts';
import { printTable } from './table.ts';
import { readTopic } from './topic-reader.ts';
import { EAGER } from './topic-watch.ts';

export interface ManyTablesOptions {
  /** Each is run by itself. */
  readonly tables: readonly number[];
  readonly format: 'json' | 'avro';
}

interface Step {
  readonly seconds: number;
  /** User and system time of Headwater. */
  readonly cpuSeconds: number;
}

interface Figures {
  readonly tables: number;
  /** Until all rows are delivered; with the making of topics and, with Avro, of subjects. */
  readonly firstStart: Step;
  /** From then on, with nothing to do: percent of a core. */
  readonly idlePercent: number;
  /** A row into each table: until all are counted as delivered. */
  readonly everywhere: Step;
  /** `SINGLES` changes in few tables, each committed by itself: until all are counted. */
  readonly few: Step;
  /** From the commit of one change until a consumer has it, milliseconds. */
  readonly visible: { readonly median: number; readonly worst: number };
  /** Milliseconds that the answer takes. */
  readonly statusMs: number;
  readonly metricsMs: number;
  readonly metricsLines: number;
  /** Until caught up. */
  readonly restart: Step;
  /** Of the first process, and of the one started again; megabytes. */
  readonly peakMb: number;
  readonly restartMb: number;
}

const SETTINGS = { shared_buffers: '512MB', max_wal_size: '4GB' };
/** Tables a statement, so that their locks fit the server's default. */
const AT_ONCE = 250;
const SINGLES = 2_000;
const FEW = 7;
const CHANGES = 60;
const IDLE_SECONDS = 20;
const POLL_MS = 250;

export async function benchManyTables(options: ManyTablesOptions, signal: AbortSignal): Promise<void> {
  await buildHeadwater();
  const all: Figures[] = [];
  for (const tables of options.tables) {
    console.error(`${tables} tables`);
    all.push(await measure(tables, options.format, signal));
  }
  report(options, all);
}

async function measure(
  tables: number,
  format: ManyTablesOptions['format'],
  signal: AbortSignal,
): Promise<Figures> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'headwater-bench-tables-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const postgres = stack.use(await startPostgres({ version: 18, durable: true, settings: SETTINGS }));
  const kafka = stack.use(await startKafka({ heapMb: 1024, fullSpeed: true }));
  const registry = format === 'avro' ? stack.use(await startRegistry({ heapMb: 512 })) : null;
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  stack.defer(() => client.end());
  await makeTables(client, tables);
  const port = await freePort();
  const file = join(directory, 'many.yaml');
  await writeFile(
    file,
    `name: many
source: { url: ${postgres.url}, tables: ['public.*'] }
emit:
  kafka: { brokers: ['${kafka.brokers}'], topics: { partitions: 1 } }
  format: ${format}
${registry === null ? '' : `  registry: { url: '${registry.url}' }\n`}http: { listen: '127.0.0.1:${port}' }
state: { dir: ${JSON.stringify(join(directory, 'state'))} }
`,
  );
  await mkdir(join(directory, 'state'));
  const start = (): DaemonProcess =>
    startProcess({
      file: process.execPath,
      ...daemonCommand(file),
      log: join(directory, 'headwater.log'),
      cwd: directory,
    });
  const origin = `http://127.0.0.1:${port}`;

  await using first = start();
  const watch = watchOf(origin, first, signal);
  const firstStart = await watch.step(
    ({ state, snapshot, counters }) =>
      state === 'streaming' && snapshot?.completedAt != null && counters.reads === tables,
  );
  await sleep(3_000);
  const before = first.usage().cpuSeconds;
  await sleep(IDLE_SECONDS * 1_000);
  const idlePercent = ((first.usage().cpuSeconds - before) / IDLE_SECONDS) * 100;
  console.error('  a row into each table');
  const everywhere = await watch.step(
    ({ counters }) => counters.creates === tables,
    () => insertEverywhere(client, tables),
  );
  console.error('  changes one by one in few tables');
  const few = await watch.step(
    ({ counters }) => counters.creates === tables + SINGLES,
    async () => {
      for (let i = 0; i < SINGLES; i++) await client.query(`INSERT INTO t${i % FEW} VALUES (${100 + i})`);
    },
  );
  console.error('  visibility of one change');
  const waits: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    const table = FEW + ((i * 7_919) % (tables - FEW));
    const topic = { broker: kafka.brokers, topic: `many.public.t${table}`, partitions: 1 };
    waits.push(
      await visibleAfter(topic, () => client.query(`INSERT INTO t${table} VALUES (${10 + i})`), signal),
    );
  }
  waits.sort((a, b) => a - b);
  const status = await timed(`${origin}/status`);
  const metrics = await timed(`${origin}/metrics`);
  const { peakRssMb: peakMb } = await first.stop();
  await using second = start();
  const restart = await watchOf(origin, second, signal).step(
    ({ state, caughtUp }) => state === 'streaming' && caughtUp,
  );
  const { peakRssMb: restartMb } = await second.stop();
  return {
    ...{ tables, firstStart, idlePercent, everywhere, few, restart, peakMb, restartMb },
    visible: { median: waits[waits.length >> 1]!, worst: waits.at(-1)! },
    statusMs: status.ms,
    metricsMs: metrics.ms,
    metricsLines: metrics.body.split('\n').length,
  };
}

async function makeTables(client: Client, tables: number): Promise<void> {
  for (let i = 0; i < tables; i += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, tables - i) }, (_, k) => i + k);
    await client.query(
      numbers
        .map((n) => `CREATE TABLE t${n} (id int PRIMARY KEY, v text); INSERT INTO t${n} VALUES (1, 'a')`)
        .join(';'),
    );
  }
}

async function insertEverywhere(client: Client, tables: number): Promise<void> {
  for (let i = 0; i < tables; i += AT_ONCE)
    await client.query(`DO $$ BEGIN FOR n IN ${i}..${Math.min(i + AT_ONCE, tables) - 1} LOOP
      EXECUTE format('INSERT INTO t%s VALUES (2)', n); END LOOP; END $$`);
}

interface Watch {
  /** Time and CPU until the pipeline's status is so: of `work` too, or without it from the start of the process. */
  step(wanted: (status: PipelineStatus) => boolean, work?: () => Promise<void>): Promise<Step>;
}

function watchOf(origin: string, daemon: DaemonProcess, signal: AbortSignal): Watch {
  const either = AbortSignal.any([signal, daemon.ended]);
  return {
    async step(wanted, work) {
      const since = work === undefined ? daemon.startedAt : performance.timeOrigin + performance.now();
      const used = work === undefined ? 0 : daemon.usage().cpuSeconds;
      await work?.();
      for (;;) {
        either.throwIfAborted();
        const status = await statusOf(origin).catch(() => undefined); // not listening yet
        if (status !== undefined && wanted(status))
          return {
            seconds: (performance.timeOrigin + performance.now() - since) / 1_000,
            cpuSeconds: daemon.usage().cpuSeconds - used,
          };
        await sleep(POLL_MS);
      }
    },
  };
}

async function statusOf(origin: string): Promise<PipelineStatus | undefined> {
  const response = await fetch(`${origin}/status`);
  const { pipelines } = (await response.json()) as { readonly pipelines: readonly PipelineStatus[] };
  return pipelines[0];
}

async function timed(url: string): Promise<{ readonly ms: number; readonly body: string }> {
  await (await fetch(url)).text();
  const since = performance.now();
  const body = await (await fetch(url)).text();
  return { ms: performance.now() - since, body };
}

/** Milliseconds from the answer to `change`, which is a commit, until its record has been received. */
async function visibleAfter(
  topic: { readonly broker: string; readonly topic: string; readonly partitions: number },
  change: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<number> {
  const stop = new AbortController();
  let committed: Promise<number> | null = null;
  for await (const { batches, at, advanced } of readTopic(
    { ...topic, ...EAGER },
    AbortSignal.any([signal, stop.signal]),
  )) {
    if (committed === null) {
      // What was there before has been read when an answer brings nothing.
      if (!advanced) committed = change().then(() => performance.timeOrigin + performance.now());
    } else if (batches.length > 0) {
      stop.abort();
      return Math.max(0, at - (await committed));
    }
  }
  signal.throwIfAborted();
  throw new Error(`${topic.topic} ended`);
}

function report({ format }: ManyTablesOptions, all: readonly Figures[]): void {
  const step = ({ seconds, cpuSeconds }: Step): string =>
    `${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(2)} s`;
  const rows: readonly (readonly [string, (figures: Figures) => string])[] = [
    ['first start until all rows are delivered, CPU', ({ firstStart }) => step(firstStart)],
    ['idle', ({ idlePercent }) => `${idlePercent.toFixed(2)} % of a core`],
    ['a row into each of the tables, CPU', ({ everywhere }) => step(everywhere)],
    [`${SINGLES} transactions in ${FEW} tables, CPU`, ({ few }) => step(few)],
    [
      'one change: commit to consumer, median and worst',
      ({ visible }) => `${visible.median.toFixed(1)} ms, ${visible.worst.toFixed(1)} ms`,
    ],
    ['an answer of /status', ({ statusMs }) => `${statusMs.toFixed(1)} ms`],
    [
      'an answer of /metrics, lines',
      ({ metricsMs, metricsLines }) => `${metricsMs.toFixed(1)} ms, ${metricsLines}`,
    ],
    ['peak memory', ({ peakMb }) => `${Math.round(peakMb)} MB`],
    ['restart until caught up, CPU', ({ restart }) => step(restart)],
    ['its peak memory', ({ restartMb }) => `${Math.round(restartMb)} MB`],
  ];
  console.log(`\nTables of one row, PostgreSQL 18 to Kafka as ${format}, Node ${process.version}`);
  printTable(
    ['', ...all.map(({ tables }) => `${tables.toLocaleString('en')} tables`)],
    rows.map(([name, show]) => [name, ...all.map(show)]),
  );
}
