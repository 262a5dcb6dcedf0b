/**
 * One floor in a process of its own: `node bench/floor-worker.ts JSON`. Prints what it cost as JSON. The
 * figures begin after imports and logins, since they are to be the least that is possible.
 */
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SILENT } from '../src/observability/log.ts';
import type { MysqlConnectOptions } from '../src/readers/mysql/wire/connect-options.ts';
import type { PgConnectOptions } from '../src/readers/postgres/wire/connect-options.ts';
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
      readonly kind: 'binlog';
      readonly databaseUrl: string;
      readonly start: LogStart;
      /** Each is an event of its own. */
      readonly changes: number;
    }
  | {
      readonly kind: 'mysqlbinlog';
      readonly databaseUrl: string;
      readonly start: LogStart;
      readonly end: LogStart;
      readonly command: string;
      readonly first: readonly string[];
    }
  | { readonly kind: 'select'; readonly databaseUrl: string; readonly rows: number }
  | {
      readonly kind: 'producer';
      readonly broker: string;
      readonly name: string;
      readonly delivery: 'exactly-once' | 'at-least-once';
      readonly records: number;
    };

/** A place in the binlog. */
export interface LogStart {
  readonly file: string;
  readonly pos: number;
}

export interface FloorCost {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
}

const NEVER = new AbortController().signal;
/** XLogData: 'w', start, end, clock; then the pgoutput message. */
const XLOG_HEADER = 25;
const [INSERT, UPDATE, DELETE] = [0x49, 0x55, 0x44];
/** Of a binlog event: the place of its type, and the types that hold rows. */
const EVENT_TYPE = 4;
const [WRITE_ROWS, DELETE_ROWS] = [30, 32];
/** MariaDB's. */
const [WRITE_ROWS_V1, DELETE_ROWS_V1] = [23, 25];
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
    case 'binlog':
      return await receiveBinlog(task);
    case 'mysqlbinlog':
      return await timed(() => receiveWithMysqlbinlog(task));
    case 'select':
      return await receiveSelect(task);
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
  return await connectPg(
    connectOptions(databaseUrl),
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

async function receiveBinlog(task: Extract<FloorTask, { kind: 'binlog' }>): Promise<FloorCost> {
  const { connectMysql } = await import('../src/readers/mysql/wire/connection.ts');
  const { dumpCommands, dumpStatements } = await import('../src/readers/mysql/wire/dump-commands.ts');
  await using connection = await connectMysql(connectOptions(task.databaseUrl), NEVER);
  const { file, pos } = task.start;
  const start = {
    server: connection.server,
    serverId: 1_000_000 + process.pid,
    name: 'bench',
    gtids: null,
    file,
    pos,
    heartbeatSeconds: 10,
    uuid: randomUUID(),
  };
  for (const statement of dumpStatements(start)) await connection.query(statement, NEVER);
  return await timed(async () => {
    const stream = await connection.dump(dumpCommands(start), NEVER);
    for (let seen = 0; seen < task.changes;) {
      const chunk = stream.take() ?? (await stream.next());
      if (chunk === null) throw new Error('The server ended the stream');
      const { buffer, frames } = chunk;
      for (let i = 0; i < frames.length; i += 2) {
        const type = buffer[frames[i]! + EVENT_TYPE]!;
        if (type >= WRITE_ROWS && type <= DELETE_ROWS) seen++;
        else if (type >= WRITE_ROWS_V1 && type <= DELETE_ROWS_V1) seen++;
      }
    }
    stream.close();
  });
}

async function receiveSelect(task: Extract<FloorTask, { kind: 'select' }>): Promise<FloorCost> {
  const { connectRows } = await import('../src/readers/mysql/wire/row-session.ts');
  await using session = await connectRows(connectOptions(task.databaseUrl), NEVER);
  return await timed(async () => {
    let rows = 0;
    for await (const { frames } of session.rows('SELECT * FROM orders', NEVER)) rows += frames.length / 2;
    if (rows !== task.rows) throw new Error(`SELECT gave ${rows} rows, not ${task.rows}`);
  });
}

/** Of either product. */
function connectOptions(databaseUrl: string): MysqlConnectOptions & PgConnectOptions {
  const url = new URL(databaseUrl);
  return {
    hosts: [{ host: url.hostname, port: Number(url.port) }],
    database: url.pathname.slice(1),
    user: decodeURIComponent(url.username),
    password: url.password === '' ? null : decodeURIComponent(url.password),
    tls: { mode: 'disable', ca: null, cert: null, key: null },
    connectTimeoutMs: 10_000,
  };
}

/** Writes the log's files as they are: --raw. */
async function receiveWithMysqlbinlog(task: Extract<FloorTask, { kind: 'mysqlbinlog' }>): Promise<void> {
  const { start, end, command, first } = task;
  const url = new URL(task.databaseUrl);
  const directory = await mkdtemp(join(tmpdir(), 'headwater-binlog-'));
  const files = filesBetween(start.file, end.file);
  const login = [
    `--host=${url.hostname}`,
    `--port=${url.port}`,
    `--user=${decodeURIComponent(url.username)}`,
  ];
  const args = [...first, '--no-defaults', ...login, '--read-from-remote-server', '--raw'];
  try {
    await promisify(execFile)(command, [...args, `--result-file=${directory}/`, ...files], {
      env: { ...process.env, MYSQL_PWD: decodeURIComponent(url.password) },
    });
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** `binlog.000007`, `binlog.000009`: with the one between. */
function filesBetween(first: string, last: string): readonly string[] {
  const [name = '', from = ''] = first.split('.');
  const count = Number(last.split('.')[1]) - Number(from) + 1;
  return Array.from(
    { length: count },
    (_, i) => `${name}.${String(Number(from) + i).padStart(from.length, '0')}`,
  );
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
