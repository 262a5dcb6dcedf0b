import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { valueOf } from '../../src/model/raw-row.ts';
import type { Finding } from '../../src/readers/reader.ts';
import { SILENT } from '../../src/observability/log.ts';
import { createPostgresReader } from '../../src/readers/postgres/reader.ts';
import { connectPg } from '../../src/readers/postgres/wire/connection.ts';
import {
  connectOptions,
  makeReader,
  openReader,
  type PostgresReader,
  readerOptions,
  readToEnd,
} from '../support/postgres-reader.ts';
import { postgresVersions, testDatabase, type TestDatabase } from '../support/servers.ts';

const never = new AbortController().signal;

describe.each(postgresVersions)('opening the log of PostgreSQL %i', (version) => {
  let db: TestDatabase;
  let role: string;

  beforeEach(async () => {
    db = await testDatabase(version);
    role = `${db.name}_role`;
    await db.query('CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, v text)');
  });
  afterEach(async () => {
    await db.query(
      `DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '${role}') THEN EXECUTE 'DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}'; END IF; END $$`,
    );
    await db.drop();
  });

  async function makeRole(attributes: string): Promise<{ readonly url: string; readonly name: string }> {
    await db.query(`CREATE ROLE ${role} LOGIN ${attributes}`);
    const url = new URL(db.url);
    url.username = role;
    return { url: url.href, name: db.name };
  }

  async function withReader<T>(
    overrides: Parameters<typeof makeReader>[1],
    body: (reader: PostgresReader) => Promise<T>,
  ): Promise<T> {
    await using reader = makeReader(db, overrides);
    return await body(reader);
  }

  async function start(overrides: Parameters<typeof makeReader>[1] = {}) {
    return withReader(overrides, async (reader) => {
      const { continuity, identity } = await openReader(reader);
      if (continuity.kind !== 'fresh') throw new Error(`expected a fresh log, got ${continuity.kind}`);
      return { position: continuity.start, identity };
    });
  }

  const slots = (): Promise<{ slot_name: string }[]> =>
    db.query(`SELECT slot_name FROM pg_replication_slots WHERE database = current_database()`);

  const published = async (): Promise<Record<string, string>> => {
    const rows = await db.query<{ pubname: string; tables: string }>(
      `SELECT pubname, coalesce(string_agg(tablename, ',' ORDER BY tablename), '') AS tables
       FROM pg_publication LEFT JOIN pg_publication_tables USING (pubname) GROUP BY pubname ORDER BY pubname`,
    );
    return Object.fromEntries(rows.map(({ pubname, tables }) => [pubname.replace(db.name, 'p'), tables]));
  };

  it('records its intent before it creates anything', async () => {
    await withReader({}, async (reader) => {
      const opening = reader.open(
        {
          stored: null,
          intent: null,
          recordIntent: async () => {
            expect(await slots()).toEqual([]);
            expect(await published()).toEqual({});
            throw new Error('crash');
          },
        },
        never,
      );
      await expect(opening).rejects.toThrow('crash');
    });
    expect(await slots()).toEqual([]);
    expect(await published()).toEqual({});
  });

  it('makes a slot again that was intended and never used, and refuses one it does not know', async () => {
    const { identity } = await start();
    const again = await withReader({}, (reader) => openReader(reader, null, identity));
    expect(again.continuity.kind).toBe('fresh');
    expect(await slots()).toHaveLength(1);
    await withReader({}, async (reader) => {
      await expect(openReader(reader)).rejects.toMatchObject({
        code: 'source.slot-foreign',
        fix: expect.stringContaining(`pg_drop_replication_slot('${db.name}')`) as string,
      });
    });
    expect(await slots()).toHaveLength(1);
  });

  it('exports a snapshot at exactly the place where the log begins', async () => {
    await db.query('INSERT INTO a VALUES (1)');
    await using reader = makeReader(db);
    const { continuity } = await openReader(reader);
    await db.query('INSERT INTO a VALUES (2)');
    await using view = (await reader.snapshotSource().openView({ parallelism: 1 }, never))!;
    expect(reader.codec.compare(view.position, (continuity as { start: typeof view.position }).start)).toBe(
      0,
    );
    const plan = await view.plan({ schema: 'public', table: 'a' }, { chunkRows: 1000, where: null }, never);
    const seen: unknown[] = [];
    for (const chunk of plan.chunks) {
      for await (const block of view.rows(plan, chunk, never))
        seen.push(...block.rows.map(({ after }) => valueOf(after!, 0)));
    }
    const { changes } = await readToEnd(reader, view.position);
    expect(seen).toEqual([1]);
    expect(
      changes.map((change) => (change.kind === 'row' ? valueOf(change.after!, 0) : change.kind)),
    ).toEqual([2]);
  });

  it.runIf(version >= 17)('makes a failover slot', async () => {
    await start();
    expect(
      await db.query(`SELECT failover FROM pg_replication_slots WHERE slot_name = '${db.name}'`),
    ).toEqual([{ failover: true }]);
  });

  it('begins anew where a former attempt could not read on, though nothing shows that now', async () => {
    const stored = await start();
    await db.query(`INSERT INTO a VALUES (1)`);
    // In the log behind the checkpoint there is none, as servers up to 17 see it; then it is made again.
    await db.query(`DROP PUBLICATION ${db.name}`);
    await db.query(`INSERT INTO a VALUES (2)`);
    await db.query(
      `CREATE PUBLICATION ${db.name} FOR TABLE a, b WITH (publish_via_partition_root = true${version >= 18 ? ', publish_generated_columns = stored' : ''})`,
    );
    if (version < 18) {
      const reading = withReader({}, async (reader) => {
        expect((await openReader(reader, stored)).continuity.kind).toBe('continuous');
        return readToEnd(reader, stored.position);
      });
      await expect(reading).rejects.toMatchObject({ code: 'source.position-lost' });
    }
    await withReader({}, async (reader) => {
      const request = { stored, intent: null, lost: 'It broke off.', recordIntent: () => Promise.resolve() };
      const { continuity } = await reader.open(request, never);
      expect(continuity).toMatchObject({ kind: 'gap', reason: 'It broke off.' });
      await db.query(`INSERT INTO a VALUES (3)`);
      const { changes } = await readToEnd(reader, 'start' in continuity ? continuity.start : stored.position);
      expect(changes.flatMap((change) => (change.kind === 'row' ? [valueOf(change.after!, 0)] : []))).toEqual(
        [3],
      );
    });
  });

  describe('finds tables that are not published any more', () => {
    const state = new Map([
      ['table/public.a', '{}'],
      ['table/public.b', '{}'],
    ]);

    async function reopen(
      stored: Awaited<ReturnType<typeof start>>,
      overrides: Parameters<typeof makeReader>[1] = {},
    ): Promise<{ readonly interrupted: readonly string[]; readonly recorded: readonly string[] }> {
      const recorded: string[] = [];
      return withReader(overrides, async (reader) => {
        const recordIntent = async (identity: string): Promise<void> => {
          // Durable before the trace of it is gone.
          expect((await published())['p']).not.toBe('a,b');
          recorded.push(identity);
        };
        const opened = await reader.open({ stored, intent: null, state, recordIntent }, never);
        expect(opened.continuity.kind).toBe('continuous');
        expect(opened.identity).toBe(stored.identity);
        return { interrupted: (opened.interrupted ?? []).map(({ table }) => table), recorded };
      });
    }

    it.each([
      ['taken out by hand', (name: string) => `ALTER PUBLICATION ${name} DROP TABLE b`],
      ['dropped and made again', () => `DROP TABLE b; CREATE TABLE b (id int PRIMARY KEY)`],
    ])('%s', async (_, how) => {
      const stored = await start();
      expect(await reopen(stored)).toEqual({ interrupted: [], recorded: [] });
      await db.query(how(db.name));
      await withReader({ onGap: 'fail' }, async (reader) => {
        const request = { stored, intent: null, state, recordIntent: () => Promise.resolve() };
        await expect(reader.open(request, never)).rejects.toMatchObject({ code: 'source.position-lost' });
      });
      const { interrupted, recorded } = await reopen(stored);
      expect(interrupted).toEqual(['b']);
      expect(await published()).toEqual({ p: 'a,b', p_insert_only: '' });
      expect(await reopen(stored)).toEqual({ interrupted: [], recorded: [] });
      // A crash before the answer was durable: what was recorded says it again.
      const again = await withReader({}, (reader) =>
        reader.open(
          {
            ...{ intent: null, state },
            stored: { ...stored, identity: recorded[0]! },
            recordIntent: async () => {},
          },
          never,
        ),
      );
      expect(again).toMatchObject({
        continuity: { kind: 'continuous' },
        interrupted: [{ schema: 'public', table: 'b' }],
        identity: stored.identity,
      });
    });

    it('but not those that are new, or that only move to the other publication', async () => {
      const stored = await start();
      await db.query(`CREATE TABLE c (id int PRIMARY KEY); ALTER TABLE b REPLICA IDENTITY NOTHING`);
      expect((await reopen(stored)).interrupted).toEqual([]);
      expect(await published()).toEqual({ p: 'a,c', p_insert_only: 'b' });
    });

    it.each([
      ['a table that comes', () => `CREATE TABLE c (id int PRIMARY KEY)`, 'public.c'],
      ['one made again', () => `DROP TABLE b; CREATE TABLE b (id int PRIMARY KEY)`, 'public.b'],
      ['one whose updates would fail now', () => `ALTER TABLE b DROP CONSTRAINT b_pkey`, 'public.b'],
      ['one taken out by hand', (name: string) => `ALTER PUBLICATION ${name} DROP TABLE b`, 'public.b'],
    ])('while it runs: %s', async (_, how, table) => {
      await using reader = makeReader(db);
      await openReader(reader);
      await reader.checkTables!(never);
      await db.query(
        `CREATE TEMP TABLE passing (id int); CREATE SCHEMA other; CREATE TABLE other.t (id int)`,
      );
      await reader.checkTables!(never);
      await db.query(how(db.name));
      await expect(reader.checkTables!(never)).rejects.toMatchObject({
        code: 'source.tables-changed',
        message: expect.stringContaining(table) as string,
      });
    });

    it('while it runs: a publication that is dropped is a gap, since the stream goes on without it', async () => {
      await using reader = makeReader(db);
      await openReader(reader);
      await reader.checkTables!(never);
      await db.query(`DROP PUBLICATION ${db.name}_insert_only`);
      await expect(reader.checkTables!(never)).rejects.toMatchObject({
        code: 'source.position-lost',
        message: expect.stringContaining(`${db.name}_insert_only was dropped`) as string,
      });
    });

    it('and only says so where the next start could not mend it', async () => {
      const { name } = await makeRole('REPLICATION');
      await db.query(
        `GRANT CREATE ON DATABASE ${db.name} TO ${role}; ALTER TABLE a OWNER TO ${role}; ALTER TABLE b OWNER TO ${role}`,
      );
      const said: string[] = [];
      const log = { ...SILENT, warn: (_: object, message: string) => void said.push(message) };
      const url = new URL(db.url);
      url.username = role;
      await using reader = createPostgresReader(readerOptions({ url: url.href, name }), log);
      await openReader(reader);
      await db.query(`CREATE TABLE c (id int PRIMARY KEY)`);
      await reader.checkTables!(never);
      await reader.checkTables!(never);
      expect(said).toEqual([expect.stringContaining('public.c')]);
      await db.query(`DROP TABLE c; DROP TABLE b`);
      await reader.checkTables!(never);
      expect(said).toHaveLength(1);
    });
  });

  describe('finds a gap', () => {
    async function gapAfter(sql: readonly string[]): Promise<string> {
      const stored = await start();
      for (const statement of sql) await db.query(statement);
      await withReader({ onGap: 'fail' }, async (reader) => {
        await expect(openReader(reader, stored)).rejects.toMatchObject({ code: 'source.position-lost' });
      });
      const { continuity } = await withReader({}, (reader) => openReader(reader, stored));
      if (continuity.kind !== 'gap') throw new Error(`expected a gap, got ${continuity.kind}`);
      expect(await slots()).toHaveLength(1);
      return continuity.reason;
    }

    it('where the slot is gone', async () => {
      expect(await gapAfter([`SELECT pg_drop_replication_slot('${db.name}')`])).toContain('is gone');
    });

    it('where the slot was made anew', async () => {
      const reason = await gapAfter([
        `SELECT pg_drop_replication_slot('${db.name}')`,
        `INSERT INTO a VALUES (1)`,
        `SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`,
      ]);
      expect(reason).toContain('past the checkpoint');
    });

    it('where somebody else has read from the slot', async () => {
      const reason = await gapAfter([
        `INSERT INTO a VALUES (1)`,
        `SELECT pg_replication_slot_advance('${db.name}', pg_current_wal_lsn())`,
      ]);
      expect(reason).toContain('past the checkpoint');
    });

    it('where a publication was dropped', async () => {
      expect(await gapAfter([`DROP PUBLICATION ${db.name}`])).toContain('publication');
    });

    it('where the log belongs to another system, the checkpoint lies ahead, or a start was broken off', async () => {
      const { position, identity } = await start();
      const gap = async (stored: Parameters<typeof openReader>[1]): Promise<string> => {
        const { continuity } = await withReader({}, (reader) => openReader(reader, stored));
        return continuity.kind === 'gap' ? continuity.reason : continuity.kind;
      };
      expect(await gap({ position: { lsn: position.lsn + 2 ** 40, mid: null }, identity })).toContain(
        'log ends at',
      );
      const pending = JSON.stringify({ ...(JSON.parse(identity) as object), pending: true });
      expect(await gap({ position, identity: pending })).toContain('broken off');
      const foreign = JSON.stringify({ ...(JSON.parse(identity) as object), system: '1' });
      await withReader({}, async (reader) => {
        await expect(openReader(reader, { position, identity: foreign })).rejects.toMatchObject({
          code: 'source.slot-foreign',
        });
      });
      await db.query(`SELECT pg_drop_replication_slot('${db.name}')`);
      expect(await gap({ position, identity: foreign })).toContain('another database system');
    });

    it('and goes on behind it where that is asked for', async () => {
      const stored = await start();
      await db.query(`INSERT INTO a VALUES (1)`);
      await db.query(`SELECT pg_replication_slot_advance('${db.name}', pg_current_wal_lsn())`);
      await db.query(`INSERT INTO a VALUES (2)`);
      await withReader({ onGap: 'skip_with_marker' }, async (reader) => {
        const { continuity } = await openReader(reader, stored);
        if (continuity.kind !== 'gap') throw new Error('expected a gap');
        const { changes } = await readToEnd(reader, continuity.start);
        expect(
          changes.map((change) => (change.kind === 'row' ? valueOf(change.after!, 0) : change.kind)),
        ).toEqual([2]);
      });
    });
  });

  it('says who reads the slot', async () => {
    const stored = await start();
    await using other = await connectPg(connectOptions(db.url), { replication: 'database' }, never);
    await other.copyBoth(
      `START_REPLICATION SLOT "${db.name}" LOGICAL 0/0 (proto_version '1', publication_names '${db.name}')`,
      never,
    );
    await withReader({}, async (reader) => {
      await expect(openReader(reader, stored)).rejects.toMatchObject({
        code: 'source.slot-in-use',
        details: { pid: other.processId, application: 'headwater' },
      });
    });
  });

  it('refuses a slot of another plugin', async () => {
    await db.query(`SELECT pg_create_logical_replication_slot('${db.name}', 'test_decoding')`);
    await withReader({}, async (reader) => {
      await expect(openReader(reader)).rejects.toMatchObject({ code: 'source.slot-unusable' });
    });
  });

  it('changes the publications with settings and identities, never for all tables', async () => {
    await db.query('CREATE TABLE loose (x int); CREATE TABLE kid () INHERITS (b)');
    const stored = await start({ tables: ['public.a', 'public.loose'] });
    expect(await published()).toEqual({ p: 'a', p_insert_only: 'loose' });
    const align = (tables: readonly string[]): Promise<unknown> =>
      withReader({ tables }, (reader) => openReader(reader, stored));
    await align(['public.a', 'public.b']);
    expect(await published()).toEqual({ p: 'a,b', p_insert_only: '' });
    await db.query('ALTER TABLE a REPLICA IDENTITY NOTHING; ALTER TABLE loose REPLICA IDENTITY FULL');
    await align(['public.a', 'public.b', 'public.loose']);
    expect(await published()).toEqual({ p: 'b,loose', p_insert_only: 'a' });
    await db.query(`ALTER PUBLICATION ${db.name} SET (publish = 'insert')`);
    await align(['public.b']);
    expect(await published()).toEqual({ p: 'b', p_insert_only: '' });
    expect(
      await db.query(
        `SELECT pubupdate, pubdelete, pubviaroot, puballtables FROM pg_publication WHERE pubname = '${db.name}'`,
      ),
    ).toEqual([{ pubupdate: true, pubdelete: true, pubviaroot: true, puballtables: false }]);
  });

  it('refuses a publication that others own or that is for all tables, with what they can run', async () => {
    const asRole = await makeRole('REPLICATION');
    await db.query(
      `GRANT CREATE ON DATABASE ${db.name} TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`,
    );
    await db.query(`CREATE PUBLICATION ${db.name} FOR TABLE a; CREATE PUBLICATION ${db.name}_insert_only`);
    await using reader = makeReader(asRole);
    const finding = (await reader.preflight(never)).find(({ code }) => code === 'source.publication-foreign');
    expect(finding?.fix).toContain('ADD TABLE ONLY "public"."b"');
    await expect(openReader(reader)).rejects.toMatchObject({ code: 'source.publication-foreign' });
    expect(await slots()).toEqual([]);
    await db.query(`DROP PUBLICATION ${db.name}; CREATE PUBLICATION ${db.name} FOR ALL TABLES`);
    await withReader({}, async (superuser) => {
      await expect(openReader(superuser)).rejects.toMatchObject({ code: 'source.publication-foreign' });
    });
  });

  it('needs nothing but SELECT and REPLICATION where the publications are right', async () => {
    await start();
    await db.query(`SELECT pg_drop_replication_slot('${db.name}')`);
    const asRole = await makeRole('REPLICATION');
    await db.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`);
    await using reader = makeReader(asRole);
    expect(errors(await reader.preflight(never))).toEqual([]);
    const { continuity } = await openReader(reader);
    await db.query('INSERT INTO a VALUES (1)');
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    expect((await readToEnd(reader, continuity.start)).changes).toHaveLength(1);
  });

  it('tells beforehand what is missing, with the statement that mends it', async () => {
    const asRole = await makeRole('');
    await db.query(
      'CREATE TABLE loose (x int); CREATE SCHEMA hidden; CREATE TABLE hidden.h (id int PRIMARY KEY)',
    );
    await using reader = makeReader(asRole, { tables: ['public.*', 'hidden.h'] });
    const findings = await reader.preflight(never);
    const mends = (wanted: string): readonly string[] =>
      findings.filter(({ code }) => code === wanted).map(({ fix }) => fix ?? '');
    const replication = mends('source.no-replication-privilege');
    expect(replication[0]).toBe(`ALTER ROLE "${role}" REPLICATION;`);
    const grants = mends('source.privilege-missing');
    expect(grants[0]).toContain(`GRANT USAGE ON SCHEMA "hidden" TO "${role}";`);
    expect(grants[0]).toContain(`GRANT SELECT ON "public"."a" TO "${role}";`);
    // Whoever may do both can do it at once; or the tables get their owner, and the role the right to publish them.
    expect(grants[1]).toMatch(/^As superuser: CREATE PUBLICATION /);
    const limits = findings.filter(({ check }) => check === 'replica identity');
    expect(limits.map(({ level, fix }) => [level, fix])).toEqual([
      ['warning', 'ALTER TABLE "public"."loose" REPLICA IDENTITY FULL;'],
    ]);
    // Whoever has a key has it in the log, and more only where it is asked for.
    await db.query('ALTER TABLE b REPLICA IDENTITY FULL');
    const oldRows = (await reader.preflight(never)).filter(({ check }) => check === 'old rows');
    expect(oldRows).toEqual([
      {
        check: 'old rows',
        level: 'ok',
        message:
          'The log has the key alone of old rows of hidden.h, public.a: `before` of an update is null.',
        fix: 'Where consumers need them whole: ALTER TABLE "hidden"."h" REPLICA IDENTITY FULL; ALTER TABLE "public"."a" REPLICA IDENTITY FULL;',
      },
    ]);
    await db.query(
      `ALTER TABLE a OWNER TO ${role}; ALTER TABLE b OWNER TO ${role}; ALTER TABLE loose OWNER TO ${role}; ALTER TABLE hidden.h OWNER TO ${role}`,
    );
    const owner = errors(await reader.preflight(never)).map(({ fix }) => fix ?? '');
    expect(owner).toContain(`GRANT CREATE ON DATABASE "${db.name}" TO "${role}";`);
    // The statements do mend it.
    for (const statement of new Set([...replication, grants[0]!, ...owner])) await db.query(statement);
    expect(errors(await reader.preflight(never))).toEqual([]);
  });

  it('names a pattern that matches nothing', async () => {
    await using reader = makeReader(db, { tables: ['public.a', 'public.missing'] });
    expect(errors(await reader.preflight(never)).map(({ code }) => code)).toEqual([
      'settings.no-table-matches',
    ]);
    await expect(reader.tables(never)).rejects.toMatchObject({ code: 'settings.no-table-matches' });
  });

  it.each<[string, Partial<ReturnType<typeof connectOptions>>, string]>([
    ['port', { hosts: [{ host: '127.0.0.1', port: 1 }] }, 'source.unreachable'],
    ['host', { hosts: [{ host: 'no-such-host.invalid', port: 5432 }] }, 'source.unreachable'],
    ['user', { user: 'nobody_of_that_name' }, 'source.auth-failed'],
    ['database', { database: 'no_such_database' }, 'source.database-missing'],
    ['TLS mode', { tls: { mode: 'require', ca: null, cert: null, key: null } }, 'source.tls-failed'],
  ])('says so when the %s is wrong', async (_, wrong, code) => {
    const options = readerOptions(db);
    await using reader = makeReader(db, { connect: { ...options.connect, ...wrong } });
    expect(errors(await reader.preflight(never)).map((finding) => finding.code)).toEqual([code]);
    await expect(reader.tables(never)).rejects.toMatchObject({ code });
  });
});

function errors(findings: readonly Finding[]): readonly Finding[] {
  return findings.filter(({ level }) => level === 'error');
}
