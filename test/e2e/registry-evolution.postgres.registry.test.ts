import { expect, test } from 'vitest';
import type { TableHistory } from '../../src/daemon/schema-history.ts';
import { registeredRecords } from '../support/registered-records.ts';
import { askRegistry, startRegistry, testDatabase, testRegistry } from '../support/servers.ts';
import { Headwater, headwater, runToEnd, workspace } from './headwater.ts';
import { writeRegistryPipeline } from './registry-pipeline.ts';

const BACKWARD = 'compatibility: BACKWARD';

test('each change has the schema of its own position, of DDL within a transaction too', async () => {
  await using database = await testDatabase();
  const registry = await testRegistry();
  await using work = await workspace();
  await database.query('CREATE TABLE t (id int PRIMARY KEY, a int)');
  const file = await writeRegistryPipeline(work, { registry, url: database.url, tables: ['public.t'] });
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  await database.query(`
    BEGIN;
    INSERT INTO t VALUES (1, 1);
    ALTER TABLE t ADD COLUMN b text;
    INSERT INTO t VALUES (2, 2, 'two');
    COMMIT;
    ALTER TABLE t RENAME COLUMN a TO c;
    INSERT INTO t VALUES (3, 3, 'three');
    ALTER TABLE t DROP COLUMN b;
    INSERT INTO t VALUES (4, 4);`);
  expect(await runToEnd(file)).toMatchObject({
    exit: 0,
    stderr: expect.not.stringContaining('"error"') as unknown,
  });
  const records = await registeredRecords(work.path('out'), registry);
  expect(records.map(({ value }) => value!['after'])).toEqual([
    { id: 1, a: 1 },
    { id: 2, a: 2, b: 'two' },
    { id: 3, c: 3, b: 'three' },
    { id: 4, c: 4 },
  ]);
  expect(new Set(records.map(({ valueId }) => valueId)).size).toBe(4);
  const history = await headwater(['schema', 'history', file, 'public.t', '--json']);
  expect(history.exit).toBe(0);
  const { tables } = JSON.parse(history.stdout) as { readonly tables: readonly TableHistory[] };
  // What was found at a start has no position.
  const logged = tables[0]!.versions.filter(({ from }) => from !== null);
  expect(logged.map(({ columns }) => columns.map(({ name }) => name))).toEqual([
    ['id', 'a'],
    ['id', 'a', 'b'],
    ['id', 'c', 'b'],
    ['id', 'c'],
  ]);
  const shown = await headwater(['schema', 'show', file]);
  expect(shown.stdout).toMatch(
    /^public\.t\n {2}version \d+, from [0-9A-F/]+; key \(id\)\n {4}id int4 not null\n {4}c int4\n$/,
  );
  expect(await headwater(['schema', 'repair', file])).toMatchObject({ exit: 0 });
  await database.query('INSERT INTO t VALUES (5, 5)');
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  expect((await registeredRecords(work.path('out'), registry)).at(-1)!.value!['after']).toEqual({
    id: 5,
    c: 5,
  });
});

test('a table that is changed in every way while it runs: each record by the schema of its own time', async () => {
  await using database = await testDatabase();
  const registry = await testRegistry();
  await using work = await workspace();
  await database.query(
    `CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b text); INSERT INTO t VALUES (0, 0, 'zero')`,
  );
  const topic = `${registry.prefix}.public.t`;
  const file = await writeRegistryPipeline(work, { registry, url: database.url, tables: ['public.t'] });
  await using daemon = new Headwater(['run', file]);
  const steps: readonly (readonly [sql: string, key: object, after: object])[] = [
    [`INSERT INTO t VALUES (1, 1, 'one')`, { id: 1 }, { id: 1, a: 1, b: 'one' }],
    [
      `ALTER TABLE t ALTER a TYPE bigint; INSERT INTO t VALUES (2, 5000000000, 'two')`,
      { id: 2 },
      { id: 2, a: 5_000_000_000, b: 'two' },
    ],
    [
      `ALTER TABLE t ALTER a DROP NOT NULL; INSERT INTO t VALUES (3, NULL, NULL)`,
      { id: 3 },
      { id: 3, a: null, b: null },
    ],
    [
      `UPDATE t SET b = '' WHERE b IS NULL;
       ALTER TABLE t ALTER a SET DEFAULT 9, ALTER b SET NOT NULL;
       INSERT INTO t (id, b) VALUES (4, 'four')`,
      { id: 4 },
      { id: 4, a: 9, b: 'four' },
    ],
    [
      `ALTER TABLE t ADD COLUMN c int NOT NULL DEFAULT 7, DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, c);
       INSERT INTO t VALUES (5, 5, 'five', 8)`,
      { id: 5, c: 8 },
      { id: 5, a: 5, b: 'five', c: 8 },
    ],
    [
      `ALTER TABLE t RENAME b TO d; ALTER TABLE t DROP a; INSERT INTO t VALUES (6, 'six', 6)`,
      { id: 6, c: 6 },
      { id: 6, d: 'six', c: 6 },
    ],
  ];
  let events = 1;
  await daemon.until(({ tables }) => (tables[0]?.events ?? 0) >= events);
  for (const [sql] of steps) {
    events += sql.startsWith('UPDATE') ? 2 : 1;
    await database.query(sql);
    await daemon.until(({ tables }) => (tables[0]?.events ?? 0) >= events);
  }
  expect((await daemon.stop()).exit).toBe(0);
  const inserted = (await registeredRecords(work.path('out'), registry)).filter(
    ({ value }) => value?.['op'] === 'c',
  );
  expect(inserted.map((record) => [record.topic, record.key, record.value?.['after']])).toEqual(
    steps.map(([, key, after]) => [topic, key, after]),
  );
  // The key's second form came with the column that joined it. Where the log was ahead of what the catalogue shows to
  // others, it came without the column's default, and once more with it.
  const versions = (await registry.ask(`/subjects/${topic}-key/versions`)) as readonly number[];
  const forms: string[] = [];
  for (const version of versions) {
    const { schema } = (await registry.ask(`/subjects/${topic}-key/versions/${version}`)) as {
      readonly schema: string;
    };
    const { fields } = JSON.parse(schema) as { readonly fields: readonly { readonly name: string }[] };
    const names = fields.map(({ name }) => name).join();
    if (names !== forms.at(-1)) forms.push(names);
  }
  expect(forms).toEqual(['id', 'id,c']);
});

test('a table that changes incompatibly waits alone, and is read anew when its schema is accepted', async () => {
  await using database = await testDatabase();
  const registry = await testRegistry();
  await using work = await workspace();
  await database.query(`
    CREATE TABLE t (id int PRIMARY KEY, a int);
    CREATE TABLE other (id int PRIMARY KEY);
    INSERT INTO t VALUES (1, 1);`);
  const name = registry.prefix;
  const file = await writeRegistryPipeline(work, {
    registry,
    url: database.url,
    tables: ['public.t', 'public.other'],
    settings: [BACKWARD],
  });
  await using daemon = new Headwater(['run', file]);
  await daemon.until(({ state, snapshot }) => state === 'streaming' && snapshot?.running === false);
  await database.query(`
    ALTER TABLE t ADD COLUMN b int NOT NULL DEFAULT 0;
    ALTER TABLE t ALTER COLUMN b DROP DEFAULT;
    INSERT INTO t VALUES (2, 2, 2);
    INSERT INTO other VALUES (7);`);
  const paused = await daemon.until(({ tables }) => tables.some(({ state }) => state === 'quarantined'));
  const waiting = paused.tables.find(({ table }) => table === 'public.t')!;
  expect(waiting.state).toBe('quarantined');
  expect(waiting.reason).toContain('Value.b: added (int)');
  const other = await daemon.until(({ tables }) =>
    tables.some(({ table, events }) => table === 'public.other' && events >= 1),
  );
  expect(other.tables.find(({ table }) => table === 'public.other')!.state).toBe('streaming');

  const setting = { method: 'PUT', body: { compatibility: 'NONE' } };
  await registry.ask(`/config/${name}.public.t-value`, setting);
  // The daemon finds out by itself, and reads the table anew.
  await daemon.until(({ tables }) =>
    tables.some(({ table, state, events }) => table === 'public.t' && state === 'streaming' && events >= 3),
  );
  await database.query('INSERT INTO t VALUES (3, 3, 3)');
  await daemon.until(({ tables }) => tables.some(({ table, events }) => table === 'public.t' && events >= 4));
  expect((await daemon.stop()).exit).toBe(0);
  const records = await registeredRecords(work.path('out'), registry);
  const ofTable = records.filter(({ topic }) => topic === `${name}.public.t`);
  expect(ofTable.map(({ value }) => value!['after'])).toEqual([
    { id: 1, a: 1 },
    { id: 1, a: 1, b: 0 },
    { id: 2, a: 2, b: 2 },
    { id: 3, a: 3, b: 3 },
  ]);
  const notice = records.find(({ topic }) => topic === `${name}.notification`);
  expect(notice!.value).toMatchObject({ aggregate_type: 'Gap', additional_data: { tables: 'public.t' } });
});

test.each([
  ['new_topic', 0],
  ['set_none', 0],
  ['fail', 1],
] as const)('on_incompatible: %s', async (policy, exit) => {
  await using database = await testDatabase();
  const registry = await testRegistry();
  await using work = await workspace();
  await database.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);');
  const name = registry.prefix;
  const file = await writeRegistryPipeline(work, {
    registry,
    url: database.url,
    tables: ['public.t'],
    settings: [BACKWARD, `on_incompatible: ${policy}`],
  });
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  await database.query(`
    ALTER TABLE t ADD COLUMN b int NOT NULL DEFAULT 5;
    ALTER TABLE t ALTER COLUMN b DROP DEFAULT;
    INSERT INTO t VALUES (2, 2);`);
  const finished = await runToEnd(file);
  expect(finished.exit).toBe(exit);
  if (policy === 'fail') {
    expect(finished.stderr).toContain('schema.incompatible-stop');
    expect(finished.stderr).toContain('Value.b: added (int)');
    return;
  }
  // And after a restart.
  await database.query('INSERT INTO t VALUES (3, 3)');
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  const records = await registeredRecords(work.path('out'), registry);
  const topic = `${name}.public.t${policy === 'new_topic' ? '.v2' : ''}`;
  expect(records.map((record) => [record.topic, record.value!['after']])).toEqual([
    [`${name}.public.t`, { id: 1 }],
    [topic, { id: 2, b: 2 }],
    [topic, { id: 3, b: 3 }],
  ]);
});

test('a registry that is away for a while costs only time, and none where nothing is new', async () => {
  await using database = await testDatabase();
  await using server = await startRegistry();
  const registry = askRegistry(server.url);
  await using work = await workspace();
  await database.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);');
  const file = await writeRegistryPipeline(work, { registry, url: database.url, tables: ['public.t'] });
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  await server.stop();
  expect((await headwater(['doctor', file])).exit).toBe(3);
  // Ids are kept with the records: what is known already needs no registry.
  await database.query('INSERT INTO t VALUES (2)');
  expect(await runToEnd(file)).toMatchObject({ exit: 0 });
  await using daemon = new Headwater(['run', file]);
  await daemon.until(({ state }) => state === 'streaming');
  await database.query('ALTER TABLE t ADD COLUMN b text; INSERT INTO t VALUES (3, $$three$$);');
  await daemon.line(({ code }) => code === 'registry.unreachable');
  await server.start();
  await daemon.until(({ tables }) => (tables[0]?.events ?? 0) >= 1);
  expect((await daemon.stop()).exit).toBe(0);
  const records = await registeredRecords(work.path('out'), registry);
  expect(records.map(({ value }) => value!['after'])).toEqual([{ id: 1 }, { id: 2 }, { id: 3, b: 'three' }]);
});

test('names that Avro does not allow: the table waits, or they are adjusted; rows can be schemas of their own', async () => {
  await using database = await testDatabase();
  const registry = await testRegistry();
  await using work = await workspace();
  await database.query('CREATE TABLE t (id int PRIMARY KEY, "a-b" int); INSERT INTO t VALUES (1, 2);');
  const name = `my-${registry.prefix}`;
  const write = (...settings: readonly string[]): Promise<string> =>
    writeRegistryPipeline(work, {
      registry,
      url: database.url,
      tables: ['public.t'],
      name,
      source: [`postgres: { slot: ${registry.prefix} }`],
      settings,
    });
  const refused = await runToEnd(await write());
  expect(refused.stderr).toContain('schema.name-invalid');
  expect(refused.stderr).toContain('emit.registry.names');
  expect(await runToEnd(await write('names: avro', 'references: true'))).toMatchObject({ exit: 0 });
  const records = await registeredRecords(work.path('out'), registry);
  expect(records.find(({ topic }) => topic === `${name}.public.t`)!.value).toMatchObject({
    after: { id: 1, a_b: 2 },
  });
  const latest = await registry.ask(`/subjects/${name}.public.t-value/versions/latest`);
  expect(latest).toMatchObject({ references: [{ name: `my_${registry.prefix}.public.t.Value` }, {}] });
});
