/** What operators ask of a daemon while it runs: snapshots at will, pauses, new settings. */
import { writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { freePort, type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import type { PipelineStatus } from '../../src/observability/status.ts';
import { Headwater, headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { readUntil, sentinel } from './topic-records.ts';

let files: Workspace;
let kafka: TestKafka;
let database: TestDatabase;
let count = 0;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
});
afterAll(() => files?.[Symbol.asyncDispose]());
beforeEach(async () => {
  database = await testDatabase();
  await database.query(`
    CREATE TABLE t (id int PRIMARY KEY, text text); INSERT INTO t SELECT n, 'old' FROM generate_series(1, 2000) n;
    CREATE TABLE u (id int PRIMARY KEY, text text); INSERT INTO u VALUES (1, 'u')`);
});
afterEach(() => database.drop());

interface Running extends AsyncDisposable {
  readonly name: string;
  readonly file: string;
  readonly daemon: Headwater;
  readonly text: (tables: readonly string[]) => string;
}

async function start(tables: readonly string[] = ['public.t']): Promise<Running> {
  const name = `${kafka.prefix}-${++count}`;
  const http = `127.0.0.1:${await freePort()}`;
  const text = (captured: readonly string[]): string =>
    pipelineFile({
      name,
      url: database.url,
      tables: captured,
      brokers: kafka.brokers,
      http,
      source: [`postgres: { slot: ${database.name}_${count} }`],
      more: ['snapshot: { chunk_rows: 100 }'],
    });
  const file = await files.write(`${count}.yaml`, text(tables));
  const daemon = new Headwater(['run', file]);
  await daemon.until(({ state, snapshot }) => state === 'streaming' && snapshot?.completedAt != null);
  return { name, file, daemon, text, [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() };
}

/** Rebuilds a table from its topic: what is in it in the end, and how many snapshot rows there were. */
async function replay(topic: string): Promise<{ rows: Map<number, string>; reads: number }> {
  const rows = new Map<number, string>();
  let reads = 0;
  const records = await readUntil(kafka.brokers, [topic], sentinel(0));
  for (const { key, value } of records) {
    const { id } = key as { id: number };
    if (value === null) {
      rows.delete(id);
      continue;
    }
    const { op, after } = value as { op: string; after: { text: string } | null };
    if (op === 'r') reads++;
    if (after !== null) rows.set(id, after.text);
  }
  return { rows, reads };
}

it('reads a part of a table again while it changes, and the order of each key stays right', async () => {
  await using running = await start();
  const { daemon, file, name } = running;
  let writing = true;
  const writer = (async () => {
    for (let n = 0; writing; n++) {
      await database.query('UPDATE t SET text = $1 WHERE id = $2', [`new ${n}`, (n % 2000) + 1]);
    }
  })();
  const asked = await headwater(['snapshot', file, 'public.t', '--where', 'id <= 1500', '--json']);
  expect(asked).toMatchObject({ exit: 0 });
  expect(JSON.parse(asked.stdout)).toEqual({ pipeline: name, action: 'snapshot', tables: ['public.t'] });
  await daemon.until(({ snapshot, state }) => state === 'streaming' && snapshot?.completedAt != null);
  writing = false;
  await writer;
  await database.query("INSERT INTO t VALUES (0, 'end')");
  await daemon.until(({ caughtUp }) => caughtUp);
  const { rows, reads } = await replay(`${name}.public.t`);
  const table = await database.query<{ id: number; text: string }>('SELECT * FROM t');
  expect(new Map(table.map(({ id, text }) => [id, text]))).toEqual(rows);
  // Rows that the stream touched meanwhile are left out.
  expect(reads).toBeGreaterThan(2000);
  expect(reads).toBeLessThanOrEqual(3500);
  const offsets = await headwater(['offsets', 'export', file]);
  expect(offsets.stdout).not.toContain('request/');
});

it('holds a snapshot and lets it go on, ends it, and remembers over a restart', async () => {
  await using running = await start();
  const { daemon, file } = running;
  expect((await headwater(['snapshot', file, '--pause'])).exit).toBe(0);
  expect((await headwater(['resync', file, 'public.t'])).exit).toBe(0);
  await daemon.until(({ state, snapshot }) => state === 'streaming' && snapshot?.paused === true);
  await daemon.stop();
  await using again = new Headwater(['run', file]);
  const held = await again.until(({ state, snapshot }) => state === 'streaming' && snapshot?.paused === true);
  expect(held.tables).toMatchObject([{ table: 'public.t', state: 'waiting', rowsSnapshotted: 0 }]);
  expect((await headwater(['snapshot', file, '--resume'])).exit).toBe(0);
  const done = await again.until(({ snapshot }) => snapshot?.completedAt != null);
  expect(done.tables).toMatchObject([{ rowsSnapshotted: 2000 }]);

  expect((await headwater(['snapshot', file, '--pause'])).exit).toBe(0);
  expect((await headwater(['resync', file, 'public.t'])).exit).toBe(0);
  expect((await headwater(['snapshot', file, '--stop'])).exit).toBe(0);
  const ended = await again.until(
    ({ state, snapshot }) => state === 'streaming' && snapshot?.completedAt != null,
  );
  expect(ended.tables).toMatchObject([{ state: 'streaming', rowsSnapshotted: 0 }]);
});

it('pauses and goes on without a gap', async () => {
  await using running = await start();
  const { daemon, file, name } = running;
  expect((await headwater(['pause', file])).stdout).toContain(`${name} is paused`);
  await daemon.until(({ state }) => state === 'paused');
  expect((await daemon.get('/readyz')).body).toContain('is paused by an operator');
  await database.query("UPDATE t SET text = 'while paused' WHERE id = 1; INSERT INTO t VALUES (0, 'end')");
  expect((await headwater(['resync', file, 'public.t'])).stderr).toContain('error[request.not-running]');
  expect((await headwater(['resume', file])).exit).toBe(0);
  await daemon.until(({ state, caughtUp }) => state === 'streaming' && caughtUp);
  expect((await replay(`${name}.public.t`)).rows.get(1)).toBe('while paused');
  expect((await daemon.stop()).exit).toBe(0);
});

it('pauses one table while the others go on, over a restart, and reads it anew', async () => {
  await using running = await start(['public.t', 'public.u']);
  const { daemon, file, name } = running;
  const of = ({ tables }: PipelineStatus, table: string) => tables.find((each) => each.table === table);
  expect((await headwater(['resume', file, 'public.u', '--json'])).stdout).toContain('"tables":[]');
  const asked = await headwater(['pause', file, 'public.u', '--json']);
  expect(JSON.parse(asked.stdout)).toEqual({ pipeline: name, action: 'pause', tables: ['public.u'] });
  const paused = await daemon.until(
    (status) => status.state === 'streaming' && of(status, 'public.u')?.state === 'quarantined',
  );
  expect(of(paused, 'public.u')).toMatchObject({
    code: 'request.table-paused',
    reason: expect.stringContaining('public.u was paused by an operator') as string,
    advice: expect.stringContaining('headwater resume') as string,
  });
  await database.query("UPDATE u SET text = 'left out'; UPDATE u SET text = 'as it is'");
  await daemon.stop();
  await using again = new Headwater(['run', file]);
  // Its schema changes, which would end a wait for the registry.
  await database.query("ALTER TABLE u ADD more int; UPDATE u SET more = 1; INSERT INTO t VALUES (0, 'end')");
  await again.until((status) => status.caughtUp && of(status, 'public.t')?.events === 1);
  expect(of((await again.status())[0]!, 'public.u')).toMatchObject({ state: 'quarantined', events: 0 });
  expect((await headwater(['resume', file, 'public.u'])).stdout).toContain('public.u will be read anew');
  await again.until(
    (status) =>
      status.state === 'streaming' &&
      of(status, 'public.u')?.state === 'streaming' &&
      status.snapshot?.completedAt != null,
  );
  await database.query("INSERT INTO u VALUES (0, 'end')");
  const records = await readUntil(kafka.brokers, [`${name}.public.u`], sentinel(0));
  expect(records.map(({ value }) => `${value?.op} ${String(value?.after?.['text'])}`)).toEqual([
    'r u',
    'r as it is',
    'c end',
  ]);
});

it('takes new settings at SIGHUP and by reload, and keeps the old ones where they are wrong', async () => {
  await using running = await start();
  const { daemon, file, text } = running;
  await writeFile(file, text(['public.t', 'public.u']));
  daemon.signal('SIGHUP');
  const both = await daemon.until(
    ({ tables, snapshot }) => tables.length === 2 && snapshot?.completedAt != null,
  );
  expect(both.tables.map(({ table, rowsSnapshotted }) => [table, rowsSnapshotted])).toEqual([
    ['public.t', 2000],
    ['public.u', 1],
  ]);
  await writeFile(file, text(['public.u']));
  expect((await headwater(['reload', file])).stdout).toBe(`changed ${running.name}\n`);
  await daemon.until(({ tables, state }) => state === 'streaming' && tables.length === 1);
  expect((await headwater(['reload', file])).stdout).toBe('nothing has changed\n');
  const tokened = text(['public.u']).replace(/^http: .*$/m, (line) =>
    line.replace(' }', ', token: long-enough-token }'),
  );
  await writeFile(file, tokened);
  const answer = await fetch(`${await daemon.address()}/admin/reload`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  expect(await answer.json()).toMatchObject({ atRestart: ['http'] });
  await daemon.line(({ msg }) => msg.includes('http is as it was'));
  await daemon.until(({ state }) => state === 'streaming');
  await writeFile(file, `${text(['public.u'])}zzz: 1\n`);
  daemon.signal('SIGHUP');
  const line = await daemon.line(({ code }) => code === 'settings.invalid');
  expect(line.msg).toContain('unknown key zzz');
  expect(daemon.alive).toBe(true);
});

it('refuses what cannot be done with one sentence', async () => {
  await using running = await start();
  const { file, name } = running;
  const ask = async (...args: readonly string[]): Promise<string> => {
    const { exit, stderr } = await headwater(args);
    return `${exit} ${stderr.split('\n')[0]}`;
  };
  expect(await ask('resync', file, 'public.nope')).toBe(
    `2 error[request.no-such-table] The pipeline ${name} does not capture public.nope.`,
  );
  expect(await ask('snapshot', file)).toContain('2 error[request.invalid] Name the tables to be read');
  expect(await ask('snapshot', file, '--stop', '--pause')).toContain('cannot stand together');
  const bad = await headwater(['snapshot', file, 'public.t', '--where', 'no such column = 1']);
  expect(bad.exit).toBe(2);
  expect(bad.stderr).toContain('error[snapshot.where-invalid]');
  const [status] = await running.daemon.status();
  expect(status).toMatchObject({ state: 'streaming', tables: [{ state: 'streaming', reason: null }] });
  expect((await headwater(['offsets', 'export', file])).stdout).not.toContain('request/');
});

it('a condition that fails for a row gives the table up, and --stop takes that back; counts go on over all of it', async () => {
  await using running = await start();
  const { daemon, file } = running;
  const before = await daemon.until(({ tables }) => (tables[0]?.events ?? 0) >= 2000);
  expect(before.tables).toMatchObject([{ schemaVersion: expect.any(Number) as number, snapshot: 'done' }]);
  expect((await headwater(['snapshot', file, 'public.t', '--where', '1 / (id - 7) >= 0'])).exit).toBe(0);
  const given = await daemon.until(({ tables }) => tables[0]?.snapshot === 'failed');
  expect(given.snapshot).toMatchObject({ tablesTotal: 1, tablesDone: 0, tablesFailed: 1 });
  expect(given.tables).toMatchObject([{ state: 'quarantined', advice: expect.any(String) as string }]);
  expect((await headwater(['snapshot', file, '--stop'])).exit).toBe(0);
  const healthy = await daemon.until(
    ({ state, tables }) => state === 'streaming' && tables[0]?.snapshot === 'done',
  );
  expect(healthy.tables).toMatchObject([{ state: 'streaming', reason: null }]);
  expect(healthy.tables[0]!.events).toBeGreaterThanOrEqual(2000);
  expect((await headwater(['offsets', 'export', file])).stdout).not.toContain('request/');
});
