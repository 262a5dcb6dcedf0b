/**
 * A source that cannot work: one sentence that names what and where, exit 3 (2 where the settings are wrong), and
 * neither slot nor publication nor topic is left behind.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  freePort,
  type PostgresServer,
  startPostgres,
  type TestKafka,
  testKafka,
} from '../support/servers.ts';
import {
  type Finished,
  Headwater,
  headwater,
  logLines,
  type PipelineFile,
  pipelineFile,
  runToEnd,
  type Workspace,
  workspace,
} from './headwater.ts';
import { topicsLike } from './topic-records.ts';

const PASSWORD = 'corr3ct-h0rse';

let files: Workspace;
let kafka: TestKafka;
let server: PostgresServer;
let admin: string;
let count = 0;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
  server = await startPostgres({
    version: 18,
    password: PASSWORD,
    hba: ['host all all 127.0.0.1/32 scram-sha-256', 'host replication all 127.0.0.1/32 scram-sha-256'],
  });
  admin = await server.createDatabase('shop');
  await sql(`CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1);
    CREATE ROLE no_replication LOGIN PASSWORD '${PASSWORD}'; GRANT SELECT ON orders TO no_replication;
    CREATE ROLE no_select LOGIN REPLICATION PASSWORD '${PASSWORD}'; GRANT CREATE ON DATABASE shop TO no_select;
    CREATE ROLE no_create LOGIN REPLICATION PASSWORD '${PASSWORD}'; GRANT SELECT ON orders TO no_create;
    CREATE ROLE no_owner LOGIN REPLICATION PASSWORD '${PASSWORD}'; GRANT SELECT ON orders TO no_owner;
    GRANT CREATE ON DATABASE shop TO no_owner`);
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});

async function sql(text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: admin });
  await client.connect();
  try {
    const result = await client.query(text);
    return Array.isArray(result) ? [] : result.rows;
  } finally {
    await client.end();
  }
}

interface Attempt extends Finished {
  readonly name: string;
  readonly doctor: Finished;
}

/** The same file through `run` and `doctor`. */
async function attempt(
  url: string,
  options: Partial<Pick<PipelineFile, 'tables' | 'source' | 'more'>> = {},
): Promise<Attempt> {
  const name = `${kafka.prefix}-${++count}`;
  const { tables = ['public.orders'], source = [], more = [] } = options;
  const file = await files.write(
    `${count}.yaml`,
    pipelineFile({ name, url, tables, brokers: kafka.brokers, source, more }),
  );
  const [run, doctor] = await Promise.all([headwater(['run', file]), headwater(['doctor', file])]);
  return { ...run, name, doctor };
}

/** What the process said of its end. */
async function expectRefusal(
  { name, exit, stderr, stdout, doctor }: Attempt,
  expected: { readonly code: string; readonly exit: number; readonly says: RegExp; readonly fix?: RegExp },
): Promise<void> {
  const errors = logLines(stderr).filter(({ level }) => level === 'error');
  expect(errors, stderr).toHaveLength(1);
  const [error] = errors;
  expect(error).toMatchObject({ code: expected.code, pipeline: name });
  expect(error!.msg).toMatch(expected.says);
  expect(error!.msg).not.toContain('\n');
  expect(error!.advice).toMatch(expected.fix ?? /\w/);
  expect(exit).toBe(expected.exit);
  expect(doctor.stdout).toMatch(expected.says);
  expect(doctor.exit).toBe(expected.exit);
  for (const text of [stderr, stdout, doctor.stdout, doctor.stderr]) expect(text).not.toContain(PASSWORD);
  expect(await topicsLike(kafka.brokers, name, `headwater.${name}`)).toEqual([]);
  expect(await leftovers()).toEqual([]);
}

async function leftovers(): Promise<unknown[]> {
  return server
    .query(`SELECT slot_name AS name FROM pg_replication_slots WHERE slot_name LIKE 'headwater%'`)
    .then(async (slots) => [
      ...slots,
      ...(await sql(`SELECT pubname FROM pg_publication WHERE pubname LIKE 'headwater%'`)),
    ]);
}

const as = (user: string): string => server.urlFor({ database: 'shop', user, password: PASSWORD });

describe('the address', () => {
  it('a host that does not exist', async () => {
    const url = new URL(as('postgres'));
    url.hostname = 'no-such-host.invalid';
    await expectRefusal(await attempt(url.href), {
      code: 'source.unreachable',
      exit: 3,
      says: /no-such-host\.invalid/,
    });
  });

  it('a port nobody listens on', async () => {
    const url = new URL(as('postgres'));
    url.port = String(await freePort());
    await expectRefusal(await attempt(url.href), {
      code: 'source.unreachable',
      exit: 3,
      says: new RegExp(`127\\.0\\.0\\.1:${url.port}`),
    });
  });

  it('a wrong password', async () => {
    const url = new URL(as('postgres'));
    url.password = 'wr0ng-one';
    const refused = await attempt(url.href);
    await expectRefusal(refused, { code: 'source.auth-failed', exit: 3, says: /password/ });
    expect(refused.stderr + refused.doctor.stdout).not.toContain('wr0ng-one');
  });

  it('no password where one is wanted', async () => {
    const url = new URL(as('postgres'));
    url.password = '';
    await expectRefusal(await attempt(url.href), { code: 'source.auth-failed', exit: 3, says: /password/ });
  });

  it('a database that does not exist', async () => {
    const url = server.urlFor({ database: 'shoop', user: 'postgres', password: PASSWORD });
    await expectRefusal(await attempt(url), { code: 'source.database-missing', exit: 3, says: /shoop/ });
  });
});

describe('the role', () => {
  it('may not replicate', async () => {
    await expectRefusal(await attempt(as('no_replication')), {
      code: 'source.no-replication-privilege',
      exit: 3,
      says: /no_replication may not replicate/,
      fix: /ALTER ROLE "?no_replication"? REPLICATION;/,
    });
  });

  it('may not read the table', async () => {
    await expectRefusal(await attempt(as('no_select')), {
      code: 'source.privilege-missing',
      exit: 3,
      says: /no_select cannot read public\.orders/,
      fix: /GRANT SELECT ON "?public"?\."?orders"? TO "?no_select"?;/,
    });
  });

  it('may not create a publication', async () => {
    await sql('ALTER TABLE orders OWNER TO no_create');
    try {
      await expectRefusal(await attempt(as('no_create')), {
        code: 'source.privilege-missing',
        exit: 3,
        says: /no_create may not create the publication/,
        fix: /GRANT CREATE ON DATABASE "?shop"? TO "?no_create"?;/,
      });
    } finally {
      await sql('ALTER TABLE orders OWNER TO postgres');
    }
  });

  it('does not own the table', async () => {
    await expectRefusal(await attempt(as('no_owner')), {
      code: 'source.privilege-missing',
      exit: 3,
      says: /public\.orders.*no_owner is not/,
      fix: /CREATE PUBLICATION/,
    });
  });

  it('is told of all that publications need at once', async () => {
    await sql(
      `CREATE ROLE neither LOGIN REPLICATION PASSWORD '${PASSWORD}'; GRANT SELECT ON orders TO neither`,
    );
    const refused = await attempt(as('neither'));
    await expectRefusal(refused, {
      code: 'source.privilege-missing',
      exit: 3,
      says: /public\.orders into a publication, and neither is not, nor may it create/,
      fix: /As superuser: CREATE PUBLICATION/,
    });
    const statements = refused.doctor.stdout.match(/→ .*(CREATE PUBLICATION .*|GRANT CREATE .*)$/gm)!;
    for (const line of statements) await sql(line.replace(/^→ (As superuser: )?/, ''));
    const file = await files.write(
      'mended.yaml',
      pipelineFile({
        name: refused.name,
        url: as('neither'),
        tables: ['public.orders'],
        path: files.path('mended'),
      }),
    );
    const mended = await headwater(['doctor', file]);
    expect(mended, mended.stdout).toMatchObject({ exit: 0 });
    await sql(`DROP PUBLICATION ${(await sql('SELECT pubname FROM pg_publication'))[0]!.pubname as string};
      REVOKE CREATE ON DATABASE shop FROM neither`);
  });

  it('finds a publication of somebody else that does not fit', async () => {
    await sql(
      `CREATE PUBLICATION theirs FOR TABLE orders WITH (publish = 'insert'); ALTER TABLE orders OWNER TO no_owner`,
    );
    try {
      const refused = await attempt(as('no_owner'), { source: ['postgres: { publication: theirs }'] });
      await expectRefusal(refused, {
        code: 'source.publication-foreign',
        exit: 3,
        says: /publication theirs belongs to postgres/,
        fix: /As postgres: ALTER PUBLICATION "?theirs"?/,
      });
      expect(await sql(`SELECT pubupdate FROM pg_publication WHERE pubname = 'theirs'`)).toEqual([
        { pubupdate: false },
      ]);
    } finally {
      await sql('DROP PUBLICATION theirs; ALTER TABLE orders OWNER TO postgres');
    }
  });
});

describe('the tables', () => {
  it.each([
    ['public.oders', /public\.oders/],
    ['sales.*', /sales\.\*/],
    ['/public[.]x.+/', /\/public\[\.\]x\.\+\//],
  ])('none matches %s', async (pattern, named) => {
    await expectRefusal(await attempt(as('postgres'), { tables: ['public.orders', pattern] }), {
      code: 'settings.no-table-matches',
      exit: 2,
      says: new RegExp(`source\\.tables: ${named.source} matches no table in .*shop`),
    });
  });
});

describe('the settings of a table', () => {
  it.each([
    [
      'a filter',
      'enrich.statement-invalid',
      ['tables: { public.orders: { filter: "total > 1" } }'],
      /filter of public\.orders.*TOTAL/,
    ],
    [
      'a key',
      'settings.key-column-missing',
      ['tables: { public.orders: { key: [number] } }'],
      /key of public\.orders .*number/,
    ],
    [
      'a header',
      'settings.column-missing',
      ['tables: { public.orders: { headers: { of: region } } }'],
      /header .*region.*public\.orders/,
    ],
    [
      'the outbox',
      'settings.column-missing',
      ['outbox: { table: public.orders }'],
      /outbox .*public\.orders/,
    ],
    [
      'a statement',
      'enrich.statement-invalid',
      [
        'enrich:',
        '  sql:',
        '  - |',
        "    CREATE STREAM o WITH (CDC_TABLE = 'PIPELINE.public.orders');",
        '    CREATE STREAM p AS SELECT id, totl FROM o;',
      ],
      /line 2:\d+.*TOTL/,
    ],
  ])('%s names a column that there is not', async (_, code, more, says) => {
    const name = `${kafka.prefix}-${count + 1}`;
    const lines = more.map((line) => line.replace('PIPELINE', name));
    await expectRefusal(await attempt(as('postgres'), { more: lines }), { code, exit: 2, says });
  });

  it('of a table that is not captured, are told of with what was meant', async () => {
    const text = pipelineFile({
      name: `${kafka.prefix}-idle`,
      url: as('postgres'),
      tables: ['public.orders'],
      path: files.path('idle'),
      source: ['postgres: { slot: idle, publication: idle }'],
      more: ['tables: { public.order: { columns: { mask: { id: hash } } } }'],
    });
    const file = await files.write('idle.yaml', text);
    const says = /tables\.public\.order,.*did you mean public\.orders\?/;
    const doctor = await headwater(['doctor', file]);
    expect(doctor.stdout).toMatch(says);
    expect(doctor.exit).toBe(0);
    const { exit, stderr } = await runToEnd(file);
    expect(logLines(stderr).filter(({ level, msg }) => level === 'warn' && says.test(msg))).toHaveLength(1);
    expect(exit).toBe(0);
    await sql(
      `SELECT pg_drop_replication_slot('idle'); DROP PUBLICATION idle; DROP PUBLICATION idle_insert_only`,
    );
  });
});

describe('the slot', () => {
  it('exists and is not of this pipeline', async () => {
    await sql(`SELECT pg_create_logical_replication_slot('somebodys', 'pgoutput')`);
    try {
      await expectRefusal(await attempt(as('postgres'), { source: ['postgres: { slot: somebodys }'] }), {
        code: 'source.slot-foreign',
        exit: 3,
        says: /slot somebodys exists/,
        fix: /pg_drop_replication_slot\('somebodys'\)/,
      });
    } finally {
      await sql(`SELECT pg_drop_replication_slot('somebodys')`);
    }
  });

  it('belongs to another database or plugin', async () => {
    await sql(`SELECT pg_create_logical_replication_slot('somebodys', 'test_decoding')`);
    try {
      const refused = await attempt(as('postgres'), { source: ['postgres: { slot: somebodys }'] });
      await expectRefusal(refused, {
        code: 'source.slot-unusable',
        exit: 3,
        says: /slot somebodys .*plugin test_decoding/,
      });
    } finally {
      await sql(`SELECT pg_drop_replication_slot('somebodys')`);
    }
  });

  it('is being read by another pipeline', async () => {
    const source = ['postgres: { slot: shared, publication: shared_publication }'];
    const text = pipelineFile({
      name: `${kafka.prefix}-reads`,
      url: as('postgres'),
      tables: ['public.orders'],
      path: files.path('reads'),
      source,
    });
    await using first = new Headwater(['run', await files.write('reads.yaml', text)]);
    await first.until(({ state, confirmed }) => state === 'streaming' && confirmed !== null);
    const { name, exit, stderr, doctor } = await attempt(as('postgres'), { source });
    expect(doctor).toMatchObject({ exit: 3 });
    const [error] = logLines(stderr).filter(({ level }) => level === 'error');
    expect(error?.code).toMatch(/^source\.slot-(in-use|foreign)$/);
    expect(error!.msg).toMatch(/shared/);
    expect(exit).toBe(3);
    expect(await topicsLike(kafka.brokers, name, `headwater.${name}`)).toEqual([]);
    // The first has not been disturbed.
    expect((await first.status())[0]).toMatchObject({ state: 'streaming', attempts: 1 });
    await first.stop();
    await sql(
      `SELECT pg_drop_replication_slot('shared'); DROP PUBLICATION shared_publication; DROP PUBLICATION shared_publication_insert_only`,
    );
  });
});

describe('the server', () => {
  it('does not write what logical decoding needs', async () => {
    await using replica = await startPostgres({ version: 15, settings: { wal_level: 'replica' } });
    const url = await replica.createDatabase('shop');
    await replica.query('SELECT 1');
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query('CREATE TABLE orders (id int PRIMARY KEY)');
    await expectRefusal(await attempt(url), {
      code: 'source.wal-level',
      exit: 3,
      says: /wal_level is replica; it has to be logical/,
      fix: /ALTER SYSTEM SET wal_level = logical/,
    });
    expect((await client.query('SELECT FROM pg_publication')).rowCount).toBe(0);
    await client.end();
  });
});
