/** Polling of PostgreSQL, as its users run it: what the records say at the end is what the tables hold. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomFrom, writeOverlapping } from '../support/overlapping-writers.ts';
import { freePort, postgresVersions, testDatabase } from '../support/servers.ts';
import { Headwater, headwater, logLines, type Workspace, workspace } from './headwater.ts';
import {
  caughtUp,
  changesByKey,
  changeText,
  delivered,
  polledPipeline,
  type PolledRow,
  polledRows,
  replayed,
} from './polling-support.ts';

let files: Workspace;
beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());

const SEEDS = [11, 12];

describe.each(postgresVersions)('polling of PostgreSQL %s', (version) => {
  it('knows rows by its own state: creates, rows before, deletes, and updates without a new time', async () => {
    await using database = await testDatabase(version);
    await database.query(`CREATE TABLE t (id int PRIMARY KEY, v int, updated_at timestamptz DEFAULT now());
      INSERT INTO t VALUES (1, 1, '2020-01-01'), (2, 2, '2020-01-01'), (3, 3, '2020-01-01')`);
    const polled = await polledPipeline(files, {
      url: database.url,
      tables: ['public.*'],
      poll: '{ every: 100ms, tables: { public.t: { timestamp: updated_at, delete_sweep: 1s, remember: rows } } }',
    });
    {
      await using daemon = new Headwater(['run', polled.file]);
      await delivered(polled, (rows) => rows.length === 3);
      await database.query('UPDATE t SET v = 10, updated_at = now() WHERE id = 1');
      await delivered(polled, (rows) => rows.length === 4);
      await daemon.kill();
    }
    await database.query('INSERT INTO t VALUES (4, 4)');
    await database.query('DELETE FROM t WHERE id = 2');
    {
      await using daemon = new Headwater(['run', polled.file]);
      await delivered(polled, (rows) => rows.length === 6);
      await database.query('UPDATE t SET v = 30 WHERE id = 3');
      await delivered(polled, (rows) => rows.length === 7);
      await daemon.stop();
    }
    expect(changesByKey(await polledRows(polled), ['id', 'v'])).toEqual({
      '{"id":1}': ['r - - 1 1', 'u 1 1 1 10'],
      '{"id":2}': ['r - - 2 2', 'd 2 2 - -'],
      '{"id":3}': ['r - - 3 3', 'u 3 3 3 30'],
      '{"id":4}': ['c - - 4 4'],
    });
    const { stdout } = await headwater(['doctor', polled.file]);
    expect(stdout).toContain('found 1 rows that had changed without its timestamp');
  });

  it('goes on with a snapshot that was broken off, and reads tables anew when asked to', async () => {
    await using database = await testDatabase(version);
    await database.query(`CREATE TABLE t (id int PRIMARY KEY, v int, pad text, updated_at timestamptz DEFAULT now());
      INSERT INTO t SELECT i, 0, repeat('x', 200) FROM generate_series(1, 12000) i`);
    const polled = await polledPipeline(files, {
      url: database.url,
      tables: ['public.*'],
      poll: '{ every: 100ms, tables: { public.t: { timestamp: updated_at, remember: keys } } }',
      port: await freePort(),
    });
    const { exit } = await headwater(['run', '--until-caught-up', polled.file], {
      HEADWATER_FAILPOINT: 'after-commit:3',
    });
    expect(exit).toBe('SIGKILL');
    expect((await polledRows(polled)).length).toBeGreaterThan(0);
    expect((await polledRows(polled)).length).toBeLessThan(12_000);
    await database.query(
      'UPDATE t SET v = 1, updated_at = now() WHERE id % 7 = 0; DELETE FROM t WHERE id = 12000',
    );
    await caughtUp(polled);
    await database.query('UPDATE t SET v = 2, updated_at = now() WHERE id % 11 = 0');
    await caughtUp(polled);
    const wanted = (await database.query('SELECT id, v FROM t ORDER BY id')) as readonly unknown[];
    const found = (rows: readonly PolledRow[]): readonly unknown[] =>
      replayed(rows)
        .map((row) => ({ id: Number(row['id']), v: row['v'] }))
        .sort((a, b) => a.id - b.id);
    const before = await polledRows(polled);
    expect(found(before)).toEqual(wanted);
    {
      await using daemon = new Headwater(['run', polled.file]);
      await daemon.until(({ state }) => state === 'streaming');
      const { exit, stderr } = await headwater(['resync', polled.file, 'public.t']);
      expect(exit, stderr).toBe(0);
      await delivered(polled, (rows) => rows.length >= before.length + wanted.length);
      await daemon.stop();
    }
    expect(found((await polledRows(polled)).slice(before.length))).toEqual(wanted);
  });

  it('polls views and queries, and reads what is in no index and no key whole', async () => {
    await using database = await testDatabase(version);
    await database.query(`CREATE TABLE sales (id int PRIMARY KEY, shop text, amount numeric(8,2), at timestamp NOT NULL);
      CREATE VIEW big AS SELECT id, amount FROM sales WHERE amount > 10;
      CREATE TABLE keyless (v int);
      INSERT INTO sales VALUES (1, 'a', 5, now() AT TIME ZONE 'UTC'), (2, 'a', 20, now() AT TIME ZONE 'UTC');
      INSERT INTO keyless VALUES (1), (1)`);
    const polled = await polledPipeline(files, {
      url: database.url,
      tables: ['public.big', 'public.keyless', 'reports.shops'],
      poll: `{ every: 100ms, tables: { public.big: { key: id },
        reports.shops: { query: "SELECT shop, sum(amount) AS total, max(at) AS at FROM sales GROUP BY shop", key: shop, timestamp: at } } }`,
    });
    await caughtUp(polled);
    await database.query(`INSERT INTO sales VALUES (3, 'b', 30, now() AT TIME ZONE 'UTC');
      UPDATE sales SET amount = 21, at = now() AT TIME ZONE 'UTC' WHERE id = 2; INSERT INTO keyless VALUES (2)`);
    await caughtUp(polled);
    const of = async (table: string): Promise<readonly unknown[]> =>
      replayed((await polledRows(polled)).filter(({ source }) => source['table'] === table));
    expect(await of('big')).toEqual([
      { id: 2, amount: 'CDQ=' },
      { id: 3, amount: 'C7g=' },
    ]);
    expect((await of('shops')).map((row) => (row as { readonly shop: string }).shop).sort()).toEqual([
      'a',
      'b',
    ]);
    const keyless = (await polledRows(polled)).filter(({ source }) => source['table'] === 'keyless');
    expect(keyless.map(({ op, after }) => [op, after?.['v']])).toEqual([
      ['r', 1],
      ['r', 1],
      ['u', 2],
    ]);
  });

  it('polls by itself what is a view, and leaves the log alone where a name is nowhere', async () => {
    await using database = await testDatabase(version);
    await database.query(`CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL); INSERT INTO t VALUES (1, 1), (2, -1);
      CREATE VIEW above AS SELECT id, v FROM t WHERE v > 0`);
    const polled = await polledPipeline(files, {
      url: database.url,
      mode: 'auto',
      tables: ['public.above'],
      poll: '{ every: 100ms, tables: { public.above: { key: id } } }',
    });
    await caughtUp(polled);
    await database.query('UPDATE t SET v = 2 WHERE id = 2');
    const told = logLines(await caughtUp(polled)).flatMap(({ mode }) => (mode === undefined ? [] : [mode]));
    expect(told).toEqual(['poll']);
    expect((await polledRows(polled)).map((row) => changeText(row, ['id', 'v']))).toEqual([
      'r - - 1 1',
      'u - - 2 2',
    ]);
    const nowhere = await polledPipeline(files, {
      url: database.url,
      mode: 'auto',
      tables: ['public.nowhere'],
      poll: '{ every: 100ms }',
    });
    const { exit, stderr } = await headwater(['run', '--until-caught-up', nowhere.file]);
    expect(exit).toBe(2);
    expect(logLines(stderr).map(({ mode }) => mode)).not.toContain('poll');
  });

  it('polls by itself where the log cannot be read, and goes over to it when it can', async () => {
    await using database = await testDatabase(version);
    const role = `${database.name}_poller`;
    await database.query(`CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now());
      INSERT INTO t VALUES (1); CREATE ROLE ${role} LOGIN PASSWORD 'geheim'; GRANT SELECT ON t TO ${role}`);
    try {
      const url = new URL(database.url);
      url.username = role;
      url.password = 'geheim';
      const polled = await polledPipeline(files, {
        url: url.href,
        mode: 'auto',
        tables: ['public.*'],
        poll: '{ every: 100ms, tables: { public.t: { timestamp: updated_at } } }',
      });
      const told = (stderr: string): readonly unknown[] =>
        logLines(stderr).flatMap(({ mode }) => (mode === undefined ? [] : [mode]));
      expect(told(await caughtUp(polled))).toEqual(['poll']);
      const { stdout } = await headwater(['doctor', polled.file]);
      expect(stdout).toContain(`may not replicate`);
      expect(stdout).toContain('Changes are found by polling');
      await database.query('INSERT INTO t VALUES (2)');
      await caughtUp(polled);
      await database.query(`ALTER ROLE ${role} SUPERUSER; INSERT INTO t VALUES (3)`);
      expect(told(await caughtUp(polled))).toEqual(['log']);
      await database.query('DELETE FROM t WHERE id = 1');
      await caughtUp(polled);
      const seen = (await polledRows(polled)).map(({ op, before, after, source }) =>
        [source['connector'], op, (after ?? before)?.['id']].map(String).join(' '),
      );
      expect(seen.slice(0, 2)).toEqual(['polling r 1', 'polling u 2']);
      expect(seen.slice(2, 5).sort()).toEqual(['postgresql r 1', 'postgresql r 2', 'postgresql r 3']);
      expect(seen.slice(5)).toEqual(['postgresql d 1']);
      // And back: the slot that is left is known as this pipeline's own when the log is read once more.
      await database.query(`ALTER ROLE ${role} NOSUPERUSER`);
      expect(told(await caughtUp(polled))).toEqual(['poll']);
      await database.query(`ALTER ROLE ${role} SUPERUSER`);
      expect(told(await caughtUp(polled))).toEqual(['log']);
      expect(replayed(await polledRows(polled)).map(({ id }) => id)).toEqual([2, 3]);
    } finally {
      await database.query(
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database();
        DROP PUBLICATION IF EXISTS ${role}; REASSIGN OWNED BY ${role} TO CURRENT_USER; DROP OWNED BY ${role}; DROP ROLE ${role}`,
      );
    }
  });

  it.each(SEEDS)(
    'loses and repeats nothing while transactions overlap and it is killed (seed %i)',
    async (seed) => {
      await using database = await testDatabase(version);
      await database.query(`CREATE TABLE stamped (id int PRIMARY KEY, v int NOT NULL, updated_at timestamptz DEFAULT now());
      CREATE TABLE numbered (id serial PRIMARY KEY, v int NOT NULL);
      CREATE TABLE whole (id int PRIMARY KEY, v int NOT NULL);
      CREATE TABLE local (id int PRIMARY KEY, v int NOT NULL, changed timestamp, made timestamp DEFAULT now());
      INSERT INTO stamped SELECT i, -i FROM generate_series(1, 40) i;
      INSERT INTO whole SELECT i, -i FROM generate_series(1, 40) i;
      INSERT INTO local SELECT i, -i FROM generate_series(1, 40) i;
      INSERT INTO numbered (v) SELECT -i FROM generate_series(1, 40) i`);
      const polled = await polledPipeline(files, {
        url: database.url,
        tables: ['public.*'],
        poll: `{ every: 100ms, overlap: 0s, batch_rows: 7, time_zone: UTC, tables: {
        public.stamped: { timestamp: updated_at }, public.numbered: { incrementing: id },
        public.local: { timestamp: [changed, made] } } }`,
      });
      const sessions = await Promise.all(Array.from({ length: 5 }, () => connected(database.url)));
      let writing = true;
      const writers = writeOverlapping({
        sessions,
        seed,
        transactions: 25,
        longestMs: 400,
        statement: (random, n) => {
          const id = 1 + random(60);
          switch (random(5)) {
            case 0:
              return `INSERT INTO numbered (v) SELECT ${n} FROM generate_series(1, 3)`;
            case 1:
              return `INSERT INTO whole VALUES (${id}, ${n}) ON CONFLICT (id) DO UPDATE SET v = ${n}`;
            case 2:
              return `INSERT INTO local VALUES (${id}, ${n}, now()) ON CONFLICT (id) DO UPDATE SET v = ${n}, changed = now()`;
            // In subtransactions, whose numbers are others than their transaction's.
            case 3:
              return `DO $$ BEGIN INSERT INTO stamped VALUES (${id}, ${n}, now());
              EXCEPTION WHEN unique_violation THEN UPDATE stamped SET v = ${n}, updated_at = now() WHERE id = ${id}; END $$`;
            default:
              return `INSERT INTO stamped VALUES (${id}, ${n}, now()) ON CONFLICT (id) DO UPDATE SET v = ${n}, updated_at = now()`;
          }
        },
      }).finally(() => (writing = false));
      const random = randomFrom(seed);
      while (writing) {
        await using daemon = new Headwater(['run', polled.file]);
        await daemon.until(({ state }) => state === 'streaming');
        await new Promise((resolve) => setTimeout(resolve, 200 + random(600)));
        await daemon.kill();
      }
      await writers;
      await Promise.all(sessions.map((session) => session.end()));
      await caughtUp(polled);
      const all = await polledRows(polled);
      for (const table of ['stamped', 'numbered', 'whole', 'local']) {
        const ofTable = all.filter(({ source }) => source['table'] === table);
        const rows = (await database.query(`SELECT id, v FROM ${table} ORDER BY id`)) as readonly unknown[];
        const found = replayed(ofTable).map((row) => ({ id: Number(row['id']), v: row['v'] }));
        expect(
          found.sort((a, b) => a.id - b.id),
          `${table}, seed ${seed}`,
        ).toEqual(rows);
        // Statements number what they write: of what was polled no state comes twice.
        const polledStates = ofTable
          .filter(({ op }) => op !== 'r')
          .map(({ after }) => JSON.stringify([after?.['id'], after?.['v']]));
        expect(new Set(polledStates).size, `${table}, seed ${seed}`).toBe(polledStates.length);
      }
    },
  );
});

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}
