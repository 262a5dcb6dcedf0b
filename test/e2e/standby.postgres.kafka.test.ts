/** Several processes with one pipeline: one works, the others wait, and whoever comes next leaves no gap and nothing twice. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { readUntil, sentinel, summary } from './topic-records.ts';

let files: Workspace;
let kafka: TestKafka;
let database: TestDatabase;
let name: string;
let file: string;
let count = 0;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
});
afterAll(() => files?.[Symbol.asyncDispose]());
beforeEach(async () => {
  database = await testDatabase();
  name = `${kafka.prefix}-${++count}`;
  await database.query('CREATE TABLE t (id int PRIMARY KEY)');
  file = await files.write(
    `${name}.yaml`,
    pipelineFile({
      name,
      url: database.url,
      tables: ['public.t'],
      brokers: kafka.brokers,
      source: [`postgres: { slot: ${database.name} }`],
      kafka: ['session_timeout: 6s'],
    }),
  );
});
afterEach(() => database.drop());

const insert = (id: number): Promise<unknown> => database.query('INSERT INTO t VALUES ($1)', [id]);
const streaming = (run: Headwater): Promise<unknown> =>
  run.until(({ state, confirmed }) => state === 'streaming' && confirmed !== null);

async function expectAll(last: number): Promise<void> {
  const records = await readUntil(kafka.brokers, [`${name}.public.t`], sentinel(last));
  expect(summary(records)).toEqual(Array.from({ length: last }, (_, i) => `c:${i + 1}`));
}

/** The first instance streams, the second waits. */
async function pair(): Promise<readonly [Headwater, Headwater]> {
  const first = new Headwater(['run', file]);
  await streaming(first);
  const second = new Headwater(['run', file]);
  await second.until(({ state }) => state === 'standby');
  return [first, second];
}

describe('a second instance', () => {
  it('waits, ready, and does nothing at the source', async () => {
    const [first, second] = await pair();
    await using _first = first;
    await using _second = second;
    expect((await second.get('/readyz')).status).toBe(200);
    // Both were given port 0, and have the one that was free.
    await second.until(({ heldBy }) => heldBy !== null);
    const [{ heldBy } = { heldBy: null }] = await second.status();
    expect(heldBy).toMatchObject({ pid: first.pid, http: await first.address() });
    await insert(1);
    await expectAll(1);
    expect((await second.status())[0]).toMatchObject({
      state: 'standby',
      attempts: 1,
      lastError: null,
      position: null,
    });
    expect((await first.status())[0]).toMatchObject({ state: 'streaming', attempts: 1 });
    // One that waits ends at once.
    expect((await second.stop()).exit).toBe(0);
    expect((await first.stop()).exit).toBe(0);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('takes over when the first ends by %s', async (signal) => {
    const [first, second] = await pair();
    await using _first = first;
    await using _second = second;
    let next = 1;
    let writing = true;
    const writer = (async () => {
      while (writing) await insert(next++);
    })();
    await first.until(({ counters }) => counters.creates > 20);
    first.signal(signal);
    await first.exited;
    await second.until(({ state, counters }) => state === 'streaming' && counters.creates > 20);
    writing = false;
    await writer;
    await expectAll(next - 1);
    expect((await second.stop()).exit).toBe(0);
  });

  it('takes over from one that was stopped for longer than its session; that one is fenced and waits', async () => {
    const [first, second] = await pair();
    await using _first = first;
    await using _second = second;
    await insert(1);
    await expectAll(1);
    first.signal('SIGSTOP');
    await insert(2);
    // The stopped process still holds the slot: its connection has to be ended by the server or by us.
    await database.query(
      'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active',
      [database.name],
    );
    await streaming(second);
    await insert(3);
    await expectAll(3);
    first.signal('SIGCONT');
    await first.until(({ state }) => state === 'standby');
    await insert(4);
    await expectAll(4);
    expect((await second.status())[0]).toMatchObject({ state: 'streaming' });
    // And it takes over again.
    expect((await second.stop()).exit).toBe(0);
    await streaming(first);
    await insert(5);
    await expectAll(5);
    expect((await first.stop()).exit).toBe(0);
  });
});
