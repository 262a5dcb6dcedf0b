/** How a run ends, and what happens while the broker or the database is away. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type KafkaServer, type PostgresServer, startKafka, startPostgres } from '../support/servers.ts';
import { Headwater, logLines, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readUntil, sentinel, summary } from './topic-records.ts';

/** How long a server stays away. */
const AWAY_MS = process.env['HEADWATER_TEST_FULL'] === '1' ? 65_000 : 5_000;

let files: Workspace;
let kafka: KafkaServer;
let server: PostgresServer;
let count = 0;

beforeAll(async () => {
  files = await workspace();
  [kafka, server] = await Promise.all([
    startKafka(),
    startPostgres({ version: 18, settings: { wal_sender_timeout: '2s' } }),
  ]);
});

afterAll(async () => {
  await kafka?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});

class Pipeline {
  readonly file: string;
  readonly #name: string;
  readonly #url: string;

  private constructor(name: string, url: string, file: string) {
    this.#name = name;
    this.#url = url;
    this.file = file;
  }

  static async make(more: readonly string[] = []): Promise<Pipeline> {
    const name = `stop${++count}`;
    const url = await server.createDatabase(name);
    const text = pipelineFile({ name, url, tables: ['public.t'], brokers: kafka.brokers, more });
    const pipeline = new Pipeline(name, url, await files.write(`${name}.yaml`, text));
    await pipeline.sql('CREATE TABLE t (id int PRIMARY KEY)');
    return pipeline;
  }

  async sql(text: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.#url });
    await client.connect();
    try {
      await client.query(text);
    } finally {
      await client.end();
    }
  }

  async streaming(): Promise<Headwater> {
    const run = new Headwater(['run', this.file]);
    await run.until(({ state, confirmed }) => state === 'streaming' && confirmed !== null);
    return run;
  }

  async expectAll(last: number): Promise<void> {
    const records = await readUntil(kafka.brokers, [`${this.#name}.public.t`], sentinel(last));
    expect(summary(records)).toEqual(Array.from({ length: last }, (_, i) => `c:${i + 1}`));
  }
}

describe('signals', () => {
  it('SIGTERM delivers and commits what has been read: the next start repeats nothing', async () => {
    const pipeline = await Pipeline.make();
    await using run = await pipeline.streaming();
    await pipeline.sql('INSERT INTO t SELECT generate_series(1, 20000)');
    await run.until(({ counters }) => counters.creates > 0);
    const { exit } = await run.stop();
    expect(exit).toBe(0);
    await pipeline.sql('INSERT INTO t VALUES (20001)');
    expect((await runToEnd(pipeline.file)).exit).toBe(0);
    await pipeline.expectAll(20_001);
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('a second %s ends the process at once with %i', async (signal, code) => {
    const pipeline = await Pipeline.make();
    await using run = await pipeline.streaming();
    await pipeline.sql('INSERT INTO t VALUES (1)');
    await pipeline.expectAll(1);
    // With the broker stopped there is no commit to wait for.
    kafka.pause();
    try {
      await pipeline.sql('INSERT INTO t VALUES (2)');
      await run.until(({ counters }) => counters.creates >= 2);
      run.signal(signal);
      await run.line(({ msg }) => msg.startsWith('stopping'));
      run.signal(signal);
      expect((await run.exited).exit).toBe(code);
    } finally {
      kafka.resume();
    }
    expect((await runToEnd(pipeline.file)).exit).toBe(0);
    await pipeline.expectAll(2);
  });

  it('shutdown.timeout bounds the draining', async () => {
    const pipeline = await Pipeline.make(['shutdown: { timeout: 1s }']);
    await using run = await pipeline.streaming();
    await pipeline.sql('INSERT INTO t VALUES (1)');
    await pipeline.expectAll(1);
    kafka.pause();
    try {
      await pipeline.sql('INSERT INTO t VALUES (2)');
      await run.until(({ counters }) => counters.creates >= 2);
      const { exit, stderr } = await run.stop();
      expect(exit).toBe(143);
      expect(logLines(stderr).some(({ msg }) => msg.includes('shutdown.timeout is over'))).toBe(true);
    } finally {
      kafka.resume();
    }
    expect((await runToEnd(pipeline.file)).exit).toBe(0);
    await pipeline.expectAll(2);
  });
});

describe('servers that go away', () => {
  it('a broker: costs nothing but time', async () => {
    const pipeline = await Pipeline.make();
    await using run = await pipeline.streaming();
    await pipeline.sql('INSERT INTO t VALUES (1)');
    await pipeline.expectAll(1);
    await kafka.kill();
    await pipeline.sql('INSERT INTO t VALUES (2)');
    await sleep(AWAY_MS);
    await pipeline.sql('INSERT INTO t VALUES (3)');
    expect((await run.get('/livez')).status).toBe(200);
    await kafka.start();
    await pipeline.expectAll(3);
    await run.until(({ state, progressing }) => state === 'streaming' && progressing);
    expect((await run.stop()).exit).toBe(0);
  });

  it('a database: restarted, and crashed, while changes come', async () => {
    const pipeline = await Pipeline.make();
    await using run = await pipeline.streaming();
    await pipeline.sql('INSERT INTO t VALUES (1)');
    await pipeline.expectAll(1);
    await server.restart();
    await pipeline.sql('INSERT INTO t VALUES (2)');
    await pipeline.expectAll(2);
    await server.crash();
    expect((await run.until(({ state }) => state === 'backing-off')).lastError?.code).toMatch(
      /^source\.(unreachable|connection-lost)$/,
    );
    expect((await run.get('/readyz')).status).toBe(503);
    await server.start();
    await pipeline.sql('INSERT INTO t VALUES (3)');
    await pipeline.expectAll(3);
    expect((await run.get('/readyz')).status).toBe(200);
    expect((await run.stop()).exit).toBe(0);
  });

  it('a database connection that breaks while a commit is under way is one more reason to try again', async () => {
    const pipeline = await Pipeline.make();
    await using run = await pipeline.streaming();
    await pipeline.sql('INSERT INTO t VALUES (1)');
    await pipeline.expectAll(1);
    kafka.pause();
    try {
      await pipeline.sql('INSERT INTO t VALUES (2)');
      await run.until(({ counters }) => counters.creates >= 2);
      await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
      expect((await run.until(({ lastError }) => lastError !== null)).lastError?.code).toBe(
        'source.connection-lost',
      );
    } finally {
      kafka.resume();
    }
    await pipeline.expectAll(2);
    expect((await run.stop()).exit).toBe(0);
  });

  it('wal_sender_timeout is met on an idle stream and behind a broker that does not answer', async () => {
    const pipeline = await Pipeline.make();
    await using run = await pipeline.streaming();
    kafka.pause();
    try {
      await pipeline.sql('INSERT INTO t SELECT generate_series(1, 50000)');
      await sleep(3_000);
    } finally {
      kafka.resume();
    }
    await pipeline.expectAll(50_000);
    await sleep(3_000);
    expect((await run.status())[0]).toMatchObject({ state: 'streaming', attempts: 1, lastError: null });
    expect((await run.stop()).exit).toBe(0);
  });
});
