/** The set of captured tables changes, or one of them cannot be read: the others never notice. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readUntil, sentinel, summary } from './topic-records.ts';

let files: Workspace;
let kafka: TestKafka;
let database: TestDatabase;
let name: string;
let count = 0;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
});
afterAll(() => files?.[Symbol.asyncDispose]());
beforeEach(async () => {
  database = await testDatabase();
  name = `${kafka.prefix}-${++count}`;
  await database.query(`CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1);
    CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 3)`);
});
afterEach(() => database.drop());

async function file(tables: readonly string[], more: readonly string[] = []): Promise<string> {
  const text = pipelineFile({
    name,
    url: database.url,
    tables,
    brokers: kafka.brokers,
    source: [`postgres: { slot: ${database.name}, publication: pub }`],
    more,
  });
  return files.write(`${name}.yaml`, text);
}

const topic = (table: string): string => `${name}.public.${table}`;

const published = async (): Promise<string[]> =>
  (
    await database.query<{ tablename: string }>(
      `SELECT tablename FROM pg_publication_tables WHERE pubname = 'pub' ORDER BY 1`,
    )
  ).map(({ tablename }) => tablename);

describe('source.tables', () => {
  it('a table that is new is read by itself while the others stream', async () => {
    expect((await runToEnd(await file(['public.a']))).exit).toBe(0);
    expect(await published()).toEqual(['a']);
    await database.query('INSERT INTO a VALUES (2)');
    await using run = new Headwater(['run', await file(['public.a', 'public.b'])]);
    const { snapshot } = await run.until(
      (status) =>
        status.snapshot?.completedAt != null && status.state === 'streaming' && status.counters.reads === 3,
    );
    expect(snapshot).toMatchObject({ tablesTotal: 2, running: false });
    await database.query('INSERT INTO a VALUES (3); INSERT INTO b VALUES (4)');
    expect(summary(await readUntil(kafka.brokers, [topic('a')], sentinel(3)))).toEqual(['r:1', 'c:2', 'c:3']);
    expect(summary(await readUntil(kafka.brokers, [topic('b')], sentinel(4)))).toEqual([
      'r:1',
      'r:2',
      'r:3',
      'c:4',
    ]);
    expect(await published()).toEqual(['a', 'b']);
    expect((await run.stop()).exit).toBe(0);
  });

  it('a table that is taken out leaves the publication, and is read again when it comes back', async () => {
    expect((await runToEnd(await file(['public.a', 'public.b']))).exit).toBe(0);
    expect((await runToEnd(await file(['public.a']))).exit).toBe(0);
    expect(await published()).toEqual(['a']);
    await database.query('INSERT INTO b VALUES (4); INSERT INTO a VALUES (2)');
    expect((await runToEnd(await file(['public.a', 'public.b']))).exit).toBe(0);
    await database.query('INSERT INTO b VALUES (5)');
    expect((await runToEnd(await file(['public.a', 'public.b']))).exit).toBe(0);
    expect(summary(await readUntil(kafka.brokers, [topic('a')], sentinel(2)))).toEqual(['r:1', 'c:2']);
    expect(summary(await readUntil(kafka.brokers, [topic('b')], sentinel(5)))).toEqual([
      ...['r:1', 'r:2', 'r:3'],
      ...['r:1', 'r:2', 'r:3', 'r:4', 'c:5'],
    ]);
  });
});

describe('a table that goes wrong', () => {
  it('dropped while it streams: the others go on, also over a restart', async () => {
    await using run = new Headwater(['run', await file(['public.*'])]);
    await run.until(({ state }) => state === 'streaming');
    await database.query('INSERT INTO b VALUES (4); DROP TABLE b; INSERT INTO a VALUES (2)');
    expect(summary(await readUntil(kafka.brokers, [topic('a')], sentinel(2)))).toEqual(['r:1', 'c:2']);
    expect(summary(await readUntil(kafka.brokers, [topic('b')], sentinel(4)))).toEqual([
      'r:1',
      'r:2',
      'r:3',
      'c:4',
    ]);
    expect((await run.status())[0]).toMatchObject({ state: 'streaming', attempts: 1 });
    expect((await run.stop()).exit).toBe(0);
    expect((await runToEnd(await file(['public.*']))).exit).toBe(0);
  });

  it('dropped though the settings name it: a warning, and the others go on; a new pipeline is refused', async () => {
    const settings = await file(['public.a', 'public.b']);
    expect((await runToEnd(settings)).exit).toBe(0);
    await database.query('DROP TABLE b; INSERT INTO a VALUES (2)');
    const gone = /public\.b matches no table/;
    await using run = new Headwater(['run', settings]);
    expect(summary(await readUntil(kafka.brokers, [topic('a')], sentinel(2)))).toEqual(['r:1', 'c:2']);
    const [status] = await run.status();
    expect(status).toMatchObject({ state: 'streaming', attempts: 1, lastError: null });
    expect(status!.warnings).toEqual([expect.stringMatching(gone)]);
    expect(status!.tables.map(({ table }) => table)).toEqual(['public.a']);
    expect(run.log.filter(({ level, msg }) => level === 'warn' && gone.test(msg))).toHaveLength(1);
    expect((await run.stop()).exit).toBe(0);
    const doctor = await headwater(['doctor', settings]);
    expect(doctor.stdout).toMatch(gone);
    expect(doctor.exit, doctor.stdout).toBe(0);

    // It comes back, and is read like one that is new.
    await database.query('CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (7)');
    expect((await runToEnd(settings)).exit).toBe(0);
    expect(summary(await readUntil(kafka.brokers, [topic('b')], sentinel(7)))).toEqual([
      ...['r:1', 'r:2', 'r:3'],
      'r:7',
    ]);

    name = `${name}-new`;
    await database.query('DROP TABLE b');
    const { exit, stderr } = await runToEnd(await file(['public.a', 'public.b']));
    expect(exit).toBe(2);
    expect(stderr).toMatch(gone);
  });

  it('a change that cannot be encoded is counted, and the table is not said to stand still', async () => {
    const own = ['tables: { public.b: { key: [code] } }'];
    await database.query('ALTER TABLE b ADD code text');
    const settings = await file(['public.b'], own);
    expect((await headwater(['dlq', 'list', settings])).stdout).toBe('There are no dead letters.\n');
    await using run = new Headwater(['run', settings]);
    await run.until(({ state, confirmed }) => state === 'streaming' && confirmed !== null);
    // The log holds no `code` of the old row, so the delete has no key.
    await database.query(
      "DELETE FROM b WHERE id = 1; DELETE FROM b WHERE id = 2; INSERT INTO b VALUES (9, 'x')",
    );
    await readUntil(kafka.brokers, [topic('b')], sentinel(9));
    const [status] = await run.status();
    expect(status!.tables).toMatchObject([
      {
        state: 'streaming',
        reason: null,
        deadLetters: 2,
        lastDeadLetter: {
          code: 'delivery.key-unknown',
          message: expect.stringContaining('code of rows deleted from public.b') as string,
        },
      },
    ]);
    expect(run.log.filter(({ code }) => code === 'delivery.key-unknown')).toHaveLength(1);
    const listed = await headwater(['dlq', 'list', settings, '--json']);
    expect(JSON.parse(listed.stdout)).toMatchObject({
      deadLetters: [{ table: 'public.b', topic: topic('b'), code: 'delivery.key-unknown', count: 2 }],
    });
    const shown = await headwater(['dlq', 'show', settings]);
    expect(shown.stdout).toMatch(
      /^0:\d+ {2}\S+ {2}public\.b d {2}delivery\.key-unknown\n {2}.+\n {2}source \{/,
    );
    expect((await run.get('/metrics')).body).toMatch(
      /headwater_table_dead_letters_total\{[^}]*public\.b[^}]*\} 2/,
    );
    expect((await run.stop()).exit).toBe(0);
  });

  it.each(['--until-caught-up', 'initial_only'])(
    'given up by a run that ends by itself (%s): all else is delivered, and it ends with 1',
    async (how) => {
      const mode = how === 'initial_only' ? 'mode: initial_only, ' : '';
      const where = [`snapshot: { ${mode}where: { public.b: "nonsense = 1" } }`];
      const settings = await file(['public.a', 'public.b'], where);
      const run = how === 'initial_only' ? headwater(['run', settings]) : runToEnd(settings);
      const { exit, stderr } = await run;
      expect(exit, stderr).toBe(1);
      expect(stderr).toContain('All is delivered but what had to be given up of public.b');
      expect(summary(await readUntil(kafka.brokers, [topic('a')], sentinel(1)))).toEqual(['r:1']);
      const mended = await file(
        ['public.a', 'public.b'],
        mode === '' ? [] : ['snapshot: { mode: initial_only }'],
      );
      expect((await (how === 'initial_only' ? headwater(['run', mended]) : runToEnd(mended))).exit).toBe(0);
      expect(summary(await readUntil(kafka.brokers, [topic('b')], sentinel(3)))).toEqual([
        'r:1',
        'r:2',
        'r:3',
      ]);
    },
  );

  it.each([
    ['a condition the server does not know', 'nonsense = 1', /public\.b/],
    ['rows that cannot be read', '1 / (id - 2) < 9', /public\.b cannot be read \(SQLSTATE 22012\)/],
  ])(
    '%s: quarantined with the reason in the status, and read once it is mended',
    async (_, condition, reason) => {
      const where = [`snapshot: { where: { public.b: ${JSON.stringify(condition)} } }`];
      await using run = new Headwater(['run', await file(['public.a', 'public.b'], where)]);
      const { tables } = await run.until(
        ({ state, confirmed }) => state === 'streaming' && confirmed !== null,
      );
      expect(tables.find(({ table }) => table === 'public.b')).toMatchObject({
        state: 'quarantined',
        reason: expect.stringMatching(reason) as string,
      });
      expect(tables.find(({ table }) => table === 'public.a')).toMatchObject({
        state: 'streaming',
        reason: null,
      });
      await database.query('INSERT INTO a VALUES (9)');
      expect(summary(await readUntil(kafka.brokers, [topic('a')], sentinel(9)))).toEqual(['r:1', 'c:9']);
      expect((await run.get('/healthz?verbose')).body).toContain(
        '{"table":"public.b","state":"quarantined"}',
      );
      expect((await run.get('/metrics')).body).toMatch(
        /headwater_table_quarantined\{[^}]*public\.b[^}]*\} 1/,
      );
      expect((await run.stop()).exit).toBe(0);

      expect((await runToEnd(await file(['public.a', 'public.b']))).exit).toBe(0);
      await database.query('INSERT INTO b VALUES (9)');
      expect((await runToEnd(await file(['public.a', 'public.b']))).exit).toBe(0);
      expect(summary(await readUntil(kafka.brokers, [topic('b')], sentinel(9)))).toEqual([
        'r:1',
        'r:2',
        'r:3',
        'c:9',
      ]);
    },
  );
});
