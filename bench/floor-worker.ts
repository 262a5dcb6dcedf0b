/**
 * One floor in a process of its own: `node bench/floor-worker.ts JSON`. Prints what it cost as JSON. The
 * figures begin after imports and logins, since they are to be the least that is possible.
 */
import { spawn } from 'node:child_process';
import { SILENT } from '../src/observability/log.ts';
import type { PgConnection } from '../src/readers/postgres/wire/connection.ts';
import { usageOf } from './process-usage.ts';
import { sampleEvents } from './sample-event.ts';

export type FloorTask =
  | {
      readonly kind: 'wal';
      readonly databaseUrl: string;
      readonly slot: string;
      readonly publication: string;
      readonly changes: number;
    }
  | {
      readonly kind: 'pg_recvlogical';
      readonly databaseUrl: string;
      readonly slot: string;
      readonly publication: string;
      readonly endLsn: string;
    }
  | { readonly kind: 'copy'; readonly databaseUrl: string; readonly rows: number }
  | {
      readonly kind: 'producer';
      readonly broker: string;
      readonly name: string;
      readonly delivery: 'exactly-once' | 'at-least-once';
      readonly records: number;
    };

export interface FloorCost {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
}

const NEVER = new AbortController().signal;
/** XLogData: 'w', start, end, clock; then the pgoutput message. */
const XLOG_HEADER = 25;
const [INSERT, UPDATE, DELETE] = [0x49, 0x55, 0x44];
const BATCH = 500;

if (process.argv[2] !== undefined) {
  const cost = await run(JSON.parse(process.argv[2]) as FloorTask);
  console.log(JSON.stringify(cost));
  process.exit(0);
}

async function run(task: FloorTask): Promise<FloorCost> {
  switch (task.kind) {
    case 'wal': {
      await using connection = await connect(task.databaseUrl, 'database');
      return await timed(() => receiveWal(connection, task));
    }
    case 'pg_recvlogical':
      return await timed(() => receiveWithTool(task));
    case 'copy': {
      await using connection = await connect(task.databaseUrl);
      return await timed(async () => {
        let rows = 0;
        for await (const { frames } of connection.copyOut('COPY orders TO STDOUT', NEVER)) {
          rows += frames.length / 2;
        }
        if (rows !== task.rows) throw new Error(`COPY gave ${rows} rows, not ${task.rows}`);
      });
    }
    case 'producer':
      return await produce(task);
  }
}

/** CPU of this process and of children that have ended. */
async function timed(work: () => Promise<void>): Promise<FloorCost> {
  const before = usageOf(process.pid);
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  const after = usageOf(process.pid);
  return { seconds, cpuSeconds: after.cpuSeconds - before.cpuSeconds, peakRssMb: after.peakRssMb };
}

async function connect(databaseUrl: string, replication?: 'database'): Promise<PgConnection> {
  // Only what a floor needs is loaded: its memory is one of the figures.
  const { connectPg } = await import('../src/readers/postgres/wire/connection.ts');
  const url = new URL(databaseUrl);
  return await connectPg(
    {
      hosts: [{ host: url.hostname, port: Number(url.port) }],
      database: url.pathname.slice(1),
      user: decodeURIComponent(url.username),
      password: url.password === '' ? null : decodeURIComponent(url.password),
      tls: { mode: 'disable', ca: null, cert: null, key: null },
      connectTimeoutMs: 10_000,
    },
    replication === undefined ? {} : { replication },
    NEVER,
  );
}

async function receiveWal(
  connection: PgConnection,
  { slot, publication, changes }: Extract<FloorTask, { kind: 'wal' }>,
): Promise<void> {
  const stream = await connection.copyBoth(
    `START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names '${publication}')`,
    NEVER,
  );
  for (let seen = 0; seen < changes;) {
    const chunk = stream.take() ?? (await stream.next());
    if (chunk === null) throw new Error('The server ended the stream');
    const { buffer, frames } = chunk;
    for (let i = 0; i < frames.length; i += 2) {
      const type = buffer[frames[i]! + XLOG_HEADER];
      if (type === INSERT || type === UPDATE || type === DELETE) seen++;
    }
  }
}

function receiveWithTool(task: Extract<FloorTask, { kind: 'pg_recvlogical' }>): Promise<void> {
  const options = ['-o', 'proto_version=1', '-o', `publication_names=${task.publication}`];
  const args = [
    '-d',
    task.databaseUrl,
    '-S',
    task.slot,
    '--start',
    '-f',
    '/dev/null',
    '-E',
    task.endLsn,
    '-n',
  ];
  const child = spawn('pg_recvlogical', [...args, ...options], { stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`pg_recvlogical ended with ${code}`));
    });
  });
}

/** As the pipeline does it: batches of 500, and whatever has come while a commit was under way is the next one. */
async function produce(task: Extract<FloorTask, { kind: 'producer' }>): Promise<FloorCost> {
  const { openKafkaSink } = await import('../src/emitter/sinks/kafka/kafka-sink.ts');
  const events = sampleEvents(10_000);
  await using sink = await openKafkaSink(
    {
      brokers: [task.broker],
      name: task.name,
      delivery: task.delivery,
      producer: { compression: 'lz4' },
    },
    SILENT,
  );
  await sink.restore({ onWaiting: () => {}, signal: NEVER });
  const topic = await sink.topic(`${task.name}.public.orders`, 'table');
  const record = { key: '', value: '', headers: null, timestamp: Date.now() };
  return await timed(async () => {
    let commit: Promise<void> | null = null;
    let position = 0;
    const state = (): Map<string, string> => new Map([['position', JSON.stringify({ v: 1, position })]]);
    while (position < task.records) {
      const end = Math.min(task.records, position + BATCH);
      for (; position < end; position++) {
        const event = events[position % events.length]!;
        record.key = event.key;
        record.value = event.value;
        sink.append(topic, record);
      }
      commit ??= sink.commit(state()).then(() => {
        commit = null;
      });
      const full = sink.ready();
      // Without the turn of the event loop that a reader takes for each batch nothing would be sent meanwhile.
      await (full ?? new Promise<void>((resolve) => setImmediate(resolve)));
    }
    await commit;
    await sink.commit(state());
  });
}
