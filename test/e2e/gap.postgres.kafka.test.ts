/** The log no longer reaches back to the checkpoint: never resumed silently, always as source.on_gap says. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres, type TestKafka, testKafka } from '../support/servers.ts';
import { logLines, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import pg from 'pg';
import { readUntil, sentinel, summary } from './topic-records.ts';

let files: Workspace;
let kafka: TestKafka;
let server: PostgresServer;
let count = 0;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
  server = await startPostgres({
    version: 18,
    settings: { max_slot_wal_keep_size: '16MB', min_wal_size: '32MB', max_wal_size: '32MB' },
  });
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});

interface Pipeline {
  readonly url: string;
  readonly slot: string;
  readonly file: string;
  readonly topic: string;
}

async function sql(url: string, ...statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** A pipeline that has delivered rows 1 and 2 and is stopped; row 3 is written while it is. */
async function begun(onGap: string, options: { readonly url?: string } = {}): Promise<Pipeline> {
  const database = `gap${++count}`;
  const url = options.url ?? (await server.createDatabase(database));
  const slot = `slot_${database}`;
  const name = `${kafka.prefix}-${count}`;
  await sql(url, 'CREATE TABLE t (id int PRIMARY KEY)', 'INSERT INTO t VALUES (1), (2)');
  const file = await write(name, url, slot, onGap);
  const { exit, stderr } = await runToEnd(file);
  expect(exit, stderr).toBe(0);
  return { url, slot, file, topic: `${name}.public.t` };
}

function write(name: string, url: string, slot: string, onGap: string): Promise<string> {
  const text = pipelineFile({
    name,
    url,
    tables: ['public.t'],
    brokers: kafka.brokers,
    source: [`postgres: { slot: ${slot} }`, `on_gap: ${onGap}`],
  });
  return files.write(`${name}.yaml`, text);
}

/** Starts once more, and again with row 9 behind; what the topic then holds. */
async function afterGap({ url, file, topic }: Pipeline): Promise<readonly string[]> {
  const { exit, stderr } = await runToEnd(file);
  expect(exit, stderr).toBe(0);
  expect(logLines(stderr).find(({ level }) => level === 'warn')).toMatchObject({
    msg: expect.stringContaining('no longer reaches back') as string,
    reason: expect.stringMatching(/slot/) as string,
  });
  await sql(url, 'INSERT INTO t VALUES (9)');
  expect((await runToEnd(file)).exit).toBe(0);
  return summary(await readUntil(kafka.brokers, [topic], sentinel(9)));
}

const loseSlot = async ({ slot, url }: Pipeline): Promise<void> =>
  sql(
    url,
    `SELECT pg_drop_replication_slot('${slot}')`,
    'INSERT INTO t VALUES (3)',
    'DELETE FROM t WHERE id = 1',
  );

describe('a slot that was dropped while nobody ran', () => {
  it('resnapshot: all tables are read again', async () => {
    const pipeline = await begun('resnapshot');
    await loseSlot(pipeline);
    expect(await afterGap(pipeline)).toEqual(['r:1', 'r:2', 'r:2', 'r:3', 'c:9']);
  });

  it('fail: ends with 1 and what can be done, again and again', async () => {
    const pipeline = await begun('fail');
    await loseSlot(pipeline);
    for (let start = 0; start < 2; start++) {
      const { exit, stderr } = await runToEnd(pipeline.file);
      const [error] = logLines(stderr).filter(({ level }) => level === 'error');
      expect(error).toMatchObject({ code: 'source.position-lost' });
      expect(error!.msg).toContain(pipeline.slot);
      expect(error!.advice).toMatch(/source\.on_gap/);
      expect(exit).toBe(1);
    }
    expect(
      await server.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [pipeline.slot]),
    ).toEqual([]);
  });

  it('skip_with_marker: goes on without what is missing', async () => {
    const pipeline = await begun('skip_with_marker');
    await loseSlot(pipeline);
    expect(await afterGap(pipeline)).toEqual(['r:1', 'r:2', 'c:9']);
  });

  it('and made anew by somebody else: is not resumed as if nothing had happened', async () => {
    const pipeline = await begun('resnapshot');
    await loseSlot(pipeline);
    await sql(pipeline.url, `SELECT pg_create_logical_replication_slot('${pipeline.slot}', 'pgoutput')`);
    expect(await afterGap(pipeline)).toEqual(['r:1', 'r:2', 'r:2', 'r:3', 'c:9']);
  });
});

describe('a slot the server has given up', () => {
  it('by max_slot_wal_keep_size', async () => {
    const pipeline = await begun('resnapshot');
    await sql(pipeline.url, 'INSERT INTO t VALUES (3)', 'CREATE TABLE filler (x text)');
    for (let segment = 0; segment < 4; segment++) {
      await sql(
        pipeline.url,
        `INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 12000)`,
        'SELECT pg_switch_wal()',
      );
    }
    await sql(pipeline.url, 'CHECKPOINT');
    expect(
      await server.query('SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1', [pipeline.slot]),
    ).toEqual([{ wal_status: 'lost' }]);
    expect(await afterGap(pipeline)).toEqual(['r:1', 'r:2', 'r:1', 'r:2', 'r:3', 'c:9']);
  });
});

describe('another server behind the same address', () => {
  it('is recognised by its system identifier', async () => {
    await using other = await startPostgres({ version: 18 });
    const pipeline = await begun('fail');
    const url = await other.createDatabase('restored');
    await sql(url, 'CREATE TABLE t (id int PRIMARY KEY)', 'INSERT INTO t VALUES (1), (2), (3)');
    const name = pipeline.topic.replace('.public.t', '');
    const failing = await runToEnd(await write(name, url, pipeline.slot, 'fail'));
    const [error] = logLines(failing.stderr).filter(({ level }) => level === 'error');
    expect(error).toMatchObject({ code: 'source.position-lost' });
    expect(error!.msg).toMatch(/another database system/);
    expect(failing.exit).toBe(1);
    expect(await other.query('SELECT FROM pg_replication_slots')).toEqual([]);

    const { exit, stderr } = await runToEnd(await write(name, url, pipeline.slot, 'resnapshot'));
    expect(exit, stderr).toBe(0);
    await sql(url, 'INSERT INTO t VALUES (9)');
    expect((await runToEnd(await write(name, url, pipeline.slot, 'resnapshot'))).exit).toBe(0);
    expect(summary(await readUntil(kafka.brokers, [pipeline.topic], sentinel(9)))).toEqual([
      ...['r:1', 'r:2'],
      ...['r:1', 'r:2', 'r:3'],
      'c:9',
    ]);
  });
});
