/** What a run does: snapshot modes, jobs, sinks, formats, several pipelines in one process. */
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort, type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import {
  Headwater,
  logLines,
  pipelineFile,
  type PipelineFile,
  runToEnd,
  type Workspace,
  workspace,
} from './headwater.ts';
import { readFiles, readUntil, sentinel, summary } from './topic-records.ts';

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
  await database.query('CREATE TABLE t (id int PRIMARY KEY, text text); INSERT INTO t VALUES (1), (2)');
});
afterEach(() => database.drop());

interface Pipeline {
  readonly name: string;
  readonly file: string;
  readonly topic: string;
  /** Where the file sink writes. */
  readonly dir: string;
}

async function pipeline(options: Partial<PipelineFile> & { readonly mode?: string } = {}): Promise<Pipeline> {
  const name = `${kafka.prefix}-${++count}`;
  const { mode, more = [], ...others } = options;
  const dir = files.path(`${count}-records`);
  const text = pipelineFile({
    name,
    url: database.url,
    tables: ['public.t'],
    path: dir,
    more: mode === undefined ? more : [`snapshot: { mode: ${mode} }`, ...more],
    ...others,
    source: [`postgres: { slot: ${database.name}_${count} }`, ...(others.source ?? [])],
  });
  return { name, file: await files.write(`${count}.yaml`, text), topic: `${name}.public.t`, dir };
}

async function insert(...ids: readonly number[]): Promise<void> {
  for (const id of ids) await database.query('INSERT INTO t VALUES ($1)', [id]);
}

async function job({ file, dir }: Pipeline): Promise<readonly string[]> {
  const { exit, stderr } = await runToEnd(file);
  expect(exit, stderr).toBe(0);
  return summary(await readFiles(dir));
}

describe('snapshot.mode', () => {
  it('initial: once, then the log', async () => {
    const it = await pipeline();
    expect(await job(it)).toEqual(['r:1', 'r:2']);
    await insert(3);
    expect(await job(it)).toEqual(['r:1', 'r:2', 'c:3']);
  });

  it('initial_only: ends by itself with 0, and `initial` goes on from there', async () => {
    const only = await pipeline({ mode: 'initial_only' });
    await using run = new Headwater(['run', only.file]);
    expect((await run.exited).exit).toBe(0);
    expect(summary(await readFiles(only.dir))).toEqual(['r:1', 'r:2']);
    await insert(3);
    const text = (await readFile(only.file, 'utf8')).replace('mode: initial_only', 'mode: initial');
    const both = { ...only, file: await files.write('goes-on.yaml', text) };
    expect(await job(both)).toEqual(['r:1', 'r:2', 'c:3']);
  });

  it('initial_only: a second start has nothing to do and ends with 0', async () => {
    const only = await pipeline({ mode: 'initial_only' });
    expect(await job(only)).toEqual(['r:1', 'r:2']);
    expect(await job(only)).toEqual(['r:1', 'r:2']);
  });

  it.each(['no_data', 'when_needed', 'always'])('%s', async (mode) => {
    const it = await pipeline({ mode });
    const first = mode === 'no_data' ? [] : ['r:1', 'r:2'];
    expect(await job(it)).toEqual(first);
    await insert(3);
    const records = await job(it);
    if (mode !== 'always') expect(records).toEqual([...first, 'c:3']);
    else {
      // Read again beside the stream: row 3 is delivered as a change, as a row, or as both.
      expect(records.slice(0, 2)).toEqual(first);
      expect(new Set(records.slice(2))).toEqual(
        new Set(
          records.includes('c:3')
            ? ['c:3', ...records.filter((each) => each.startsWith('r:')).slice(2)]
            : ['r:1', 'r:2', 'r:3'],
        ),
      );
      const again = records.slice(2);
      for (const id of [1, 2]) expect(again).toContain(`r:${id}`);
      expect(again.some((each) => each.endsWith(':3'))).toBe(true);
    }
  });

  it('a transaction larger than emit.max_transaction says in its records that it comes in pieces', async () => {
    const it = await pipeline({ emit: ['max_transaction: { rows: 1500 }'] });
    await job(it);
    await database.query('INSERT INTO t SELECT generate_series(1001, 100000)');
    await insert(200_001, 200_002);
    await job(it);
    const records = (await readFiles(it.dir)).filter(({ value }) => value?.op === 'c');
    const split = records.map(({ headers }) => headers?.['__headwater.split']);
    const last = split.lastIndexOf(String(records[0]!.value!.source['txId']));
    const first = split.findIndex((id) => id !== undefined);
    expect(records[last]!.value!.after).toMatchObject({ id: 100_000 });
    // The first piece has gone out before anybody knew; the rest is one run.
    expect(first).toBeGreaterThanOrEqual(1500);
    expect(new Set(split.slice(first, last + 1)).size).toBe(1);
    expect(split.slice(last + 1)).toEqual([undefined, undefined]);
  });

  it('when_needed reads again when the slot is gone', async () => {
    const it = await pipeline({ mode: 'when_needed' });
    await job(it);
    await database.query(
      'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1',
      [database.name],
    );
    await insert(3);
    expect(await job(it)).toEqual(['r:1', 'r:2', 'r:1', 'r:2', 'r:3']);
  });
});

describe('--until-caught-up', () => {
  it('ends on an empty table of an idle database', async () => {
    await database.query('TRUNCATE t');
    expect(await job(await pipeline())).toEqual([]);
  });

  it('ends while others keep writing, with all that was there at its start', async () => {
    const it = await pipeline();
    await job(it);
    await insert(3, 4, 5);
    let writing = true;
    let next = 6;
    const writer = (async () => {
      while (writing) await insert(next++);
    })();
    const records = await job(it);
    writing = false;
    await writer;
    expect(records.slice(0, 5)).toEqual(['r:1', 'r:2', 'c:3', 'c:4', 'c:5']);
    // In order and each once, however far it came.
    expect(records.slice(2)).toEqual(records.slice(2).map((_, i) => `c:${i + 3}`));
    expect(await job(it)).toEqual([
      'r:1',
      'r:2',
      ...Array.from({ length: next - 3 }, (_, i) => `c:${i + 3}`),
    ]);
  });
});

describe('sinks and formats', () => {
  it('Kafka at least once', async () => {
    const { file, topic } = await pipeline({ brokers: kafka.brokers, emit: ['delivery: at-least-once'] });
    expect((await runToEnd(file)).exit).toBe(0);
    await insert(3);
    expect((await runToEnd(file)).exit).toBe(0);
    expect(summary(await readUntil(kafka.brokers, [topic], sentinel(3)))).toEqual(['r:1', 'r:2', 'c:3']);
  });

  it('standard output: records there, the log elsewhere', async () => {
    const { file } = await pipeline({ path: '-' });
    const text = (await readFile(file, 'utf8')).replace('file: { path: "-" }', 'stdout: {}');
    const path = await files.write('stdout.yaml', `${text}state: { dir: ${files.path('state')} }\n`);
    const first = await runToEnd(path);
    expect(first.exit, first.stderr).toBe(0);
    const lines = first.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { value: { after: { id: number } } });
    expect(lines.map(({ value }) => value.after.id)).toEqual([1, 2]);
    await insert(3);
    const second = await runToEnd(path);
    expect(second.stdout.trim().split('\n')).toHaveLength(1);
    expect(second.stdout).toContain('"op":"c"');
  });

  it('json-with-schema', async () => {
    const { file, dir } = await pipeline({ emit: ['format: json-with-schema'] });
    expect((await runToEnd(file)).exit).toBe(0);
    const [first] = (await readFiles(dir)) as unknown as {
      key: object;
      value: { schema: { fields: { field: string }[] }; payload: object };
    }[];
    expect(first!.key).toMatchObject({ schema: { type: 'struct' }, payload: { id: 1 } });
    expect(first!.value.payload).toMatchObject({ op: 'r', after: { id: 1 } });
    expect(first!.value.schema.fields.map(({ field }) => field)).toContain('after');
  });

  it('a second process on the same files is refused', async () => {
    const it = await pipeline();
    await using first = new Headwater(['run', it.file]);
    await first.until(({ state }) => state === 'streaming');
    const { exit, stderr } = await runToEnd(it.file);
    expect(logLines(stderr).find(({ level }) => level === 'error')).toMatchObject({ code: 'state.locked' });
    expect(exit).toBe(3);
    expect((await first.stop()).exit).toBe(0);
    expect(await readdir(it.dir)).not.toContain('lock');
  });
});

describe('several pipelines in one process', () => {
  it('one that fails for good does not stop the others, and the exit code tells', async () => {
    const good = await pipeline();
    const bad = await pipeline({ tables: ['public.none'] });
    await using run = new Headwater(['run', bad.file, good.file]);
    await run.until(({ state }) => state === 'failed', bad.name);
    await run.until(({ state }) => state === 'streaming', good.name);
    await insert(3);
    await run.until(({ counters }) => counters.creates >= 1, good.name);
    const ready = await run.get('/readyz');
    expect(ready.status).toBe(503);
    expect(ready.body).toContain(`${bad.name} has failed (settings.no-table-matches)`);
    const { exit } = await run.stop();
    expect(exit).toBe(2);
    expect(summary(await readFiles(good.dir))).toEqual(['r:1', 'r:2', 'c:3']);
  });

  it('one that cannot reach its server is tried again beside the others', async () => {
    const good = await pipeline();
    const bad = await pipeline({ url: `postgres://nobody@127.0.0.1:${await freePort()}/none` });
    await using run = new Headwater(['run', bad.file, good.file]);
    await run.until(({ attempts }) => attempts >= 3, bad.name);
    await run.until(({ state }) => state === 'streaming', good.name);
    expect((await run.stop()).exit).toBe(0);
    expect(summary(await readFiles(good.dir))).toEqual(['r:1', 'r:2']);
  });
});
