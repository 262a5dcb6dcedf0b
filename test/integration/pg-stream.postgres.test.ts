import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { valueOf } from '../../src/model/raw-row.ts';
import { UNCHANGED } from '../../src/model/value.ts';
import { connectPg } from '../../src/readers/postgres/wire/connection.ts';
import type { SchemaChange } from '../../src/model/change.ts';
import type { PostgresSource } from '../../src/readers/postgres/source-info.ts';
import { lineOf } from '../support/pgoutput-recording.ts';
import {
  connectOptions,
  makeReader,
  openReader,
  type PostgresChange,
  readToEnd,
  readUntil,
  type ReadResult,
} from '../support/postgres-reader.ts';
import { postgresVersions, testDatabase, type TestDatabase } from '../support/servers.ts';

const never = new AbortController().signal;

describe.each(postgresVersions)('streaming from PostgreSQL %i', (version) => {
  let db: TestDatabase;

  beforeEach(async () => {
    db = await testDatabase(version);
  });
  afterEach(() => db.drop());

  /** Sets up, opens a reader, runs the statements one by one, and gives what came through. */
  async function stream(
    setup: string,
    statements: readonly string[],
    overrides: Parameters<typeof makeReader>[1] = {},
  ): Promise<ReadResult> {
    await db.query(setup);
    await using reader = makeReader(db, overrides);
    const { continuity } = await openReader(reader);
    expect(continuity.kind).toBe('fresh');
    for (const statement of statements) await db.query(statement);
    return await readToEnd(reader, 'start' in continuity ? continuity.start : { lsn: 0, mid: null });
  }

  const lines = (changes: readonly PostgresChange[]): string[] =>
    changes.filter(({ kind }) => kind !== 'schema').map(lineOf);

  it('gives before images as the replica identity has them', async () => {
    const { changes } = await stream(
      `CREATE TABLE by_key (id int PRIMARY KEY, v text);
       CREATE TABLE whole (id int PRIMARY KEY, v text); ALTER TABLE whole REPLICA IDENTITY FULL;
       CREATE TABLE by_index (id int, code text NOT NULL, v text); CREATE UNIQUE INDEX code_ix ON by_index (code);
       ALTER TABLE by_index REPLICA IDENTITY USING INDEX code_ix;`,
      ['by_key', 'whole']
        .flatMap((table) => [
          `INSERT INTO ${table} VALUES (1, 'a')`,
          `UPDATE ${table} SET v = 'b'`,
          `UPDATE ${table} SET id = 2`,
          `DELETE FROM ${table}`,
        ])
        .concat([
          `INSERT INTO by_index VALUES (1, 'c', 'a')`,
          `UPDATE by_index SET v = 'b'`,
          `UPDATE by_index SET code = 'd'`,
          `DELETE FROM by_index`,
        ]),
    );
    expect(lines(changes)).toEqual([
      'c by_key [1, a]',
      'u by_key [1, b]',
      'u by_key [1, -] → [2, b]',
      'd by_key [2, -]',
      'c whole [1, a]',
      'u whole [1, a] → [1, b]',
      'u whole [1, b] → [2, b]',
      'd whole [2, b]',
      'c by_index [1, c, a]',
      'u by_index [1, c, b]',
      'u by_index [-, c, -] → [1, d, b]',
      'd by_index [-, d, -]',
    ]);
  });

  it("never makes the application's own updates fail", async () => {
    const { changes } = await stream(
      `CREATE TABLE no_key (x int, v text);
       CREATE TABLE nothing (id int PRIMARY KEY, v text); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
       CREATE TABLE parts (id int, r text, PRIMARY KEY (id, r)) PARTITION BY LIST (r);
       CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
       CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b'); ALTER TABLE parts_b REPLICA IDENTITY NOTHING;`,
      ['no_key (x, v) VALUES (1, $$a$$)', 'nothing VALUES (1, $$a$$)', `parts VALUES (1, $$b$$)`].flatMap(
        (insert) => {
          const table = insert.split(' ')[0]!;
          const column = table === 'parts' ? 'id = 2' : `v = 'b'`;
          return [`INSERT INTO ${insert}`, `UPDATE ${table} SET ${column}`, `DELETE FROM ${table}`];
        },
      ),
    );
    expect(lines(changes)).toEqual(['c no_key [1, a]', 'c nothing [1, a]', 'c parts [1, b]']);
  });

  it('reads partitions through their root, also rows that move between them', async () => {
    const { changes } = await stream(
      `CREATE TABLE p (v text, r text, id int, PRIMARY KEY (r, id)) PARTITION BY LIST (r);
       CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a');
       CREATE TABLE p_b (id int NOT NULL, v text, r text NOT NULL); ALTER TABLE p ATTACH PARTITION p_b FOR VALUES IN ('b');`,
      [
        `INSERT INTO p VALUES ('one', 'a', 1), ('two', 'b', 2)`,
        `UPDATE p SET v = 'three' WHERE id = 2`,
        `UPDATE p SET r = 'b' WHERE id = 1`,
        `TRUNCATE p`,
      ],
    );
    expect(lines(changes)).toEqual([
      'c p [one, a, 1]',
      'c p [two, b, 2]',
      'u p [three, b, 2]',
      'd p [-, a, 1]',
      'c p [one, b, 1]',
      'truncate p',
    ]);
    const row = changes.find((change) => change.kind === 'row')!;
    expect(row.table.key).toEqual([1, 2]); // in the order of the key's index
  });

  it('leaves generated columns out where the server does not publish them, else gives their values', async () => {
    const { changes } = await stream(
      `CREATE TABLE g (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, v text);`,
      [`INSERT INTO g VALUES (3, DEFAULT, 'x')`],
    );
    expect(lines(changes)).toEqual([version >= 18 ? 'c g [3, 6, x]' : 'c g [3, x]']);
  });

  it('gives truncates and messages in their order', async () => {
    const { changes } = await stream(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int);`, [
      `BEGIN; INSERT INTO a VALUES (1); SELECT pg_logical_emit_message(true, 'in', 'x'); TRUNCATE a, b; COMMIT`,
      `SELECT pg_logical_emit_message(false, 'out', 'y')`,
      `INSERT INTO b VALUES (2)`, // a message outside of transactions is not flushed by itself
    ]);
    expect(lines(changes)).toEqual([
      'c a [1]',
      'message in 78',
      'truncate a',
      'truncate b',
      'message out 79 outside',
      'c b [2]',
    ]);
    const seqs = changes.flatMap((change) => ('seq' in change && change.tx !== null ? [change.seq] : []));
    expect(seqs).toEqual([0, 1, 2, 3, 0]);
  });

  it('leaves messages out where they are not asked for', async () => {
    const { changes } = await stream(
      `CREATE TABLE a (id int PRIMARY KEY);`,
      [`SELECT pg_logical_emit_message(true, 'in', 'x')`, `INSERT INTO a VALUES (1)`],
      { messages: false },
    );
    expect(lines(changes)).toEqual(['c a [1]']);
  });

  it('keeps the position behind a message that was delivered outside of transactions', async () => {
    await db.query(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE other (id int)`);
    await using first = makeReader(db, { tables: ['public.a'] });
    const opened = await openReader(first);
    if (opened.continuity.kind !== 'fresh') throw new Error('not fresh');
    await db.query(`SELECT pg_logical_emit_message(false, 'out', 'y')`);
    await db.query(`INSERT INTO other VALUES (1)`);
    const { changes, position } = await readUntil(
      first,
      opened.continuity.start,
      (_, seen) => seen.length > 0,
    );
    expect(lines(changes)).toEqual(['message out 79 outside']);
    await first[Symbol.asyncDispose]();
    await using again = makeReader(db, { tables: ['public.a'] });
    expect((await openReader(again, { position, identity: null })).continuity.kind).toBe('continuous');
    await db.query(`INSERT INTO a VALUES (1)`);
    expect(lines((await readToEnd(again, position)).changes)).toEqual(['c a [1]']);
  });

  describe('unchanged TOAST values', () => {
    it('hold up nothing where their table is locked', async () => {
      const locker = await connectPg(connectOptions(db.url), {}, never);
      try {
        await db.query(
          `CREATE TABLE a (id int PRIMARY KEY, n int, big text); ALTER TABLE a ALTER big SET STORAGE EXTERNAL;
           CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (1, 1, repeat('x', 10000))`,
        );
        await using reader = makeReader(db);
        const { continuity } = await openReader(reader);
        await db.query(`UPDATE a SET n = 2`);
        await db.query(`INSERT INTO b VALUES (1)`);
        await locker.command('BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE', never);
        const start = 'start' in continuity ? continuity.start : { lsn: 0, mid: null };
        const { changes } = await readToEnd(reader, start);
        const rows = changes.filter((change) => change.kind === 'row');
        expect(rows.map(({ table }) => table.id.table)).toEqual(['a', 'b']);
        expect(valueOf(rows[0]!.after!, 2)).toBe(UNCHANGED);
      } finally {
        await locker.close();
      }
    });

    const setup = `CREATE TABLE t (id int PRIMARY KEY, big text, n int);
      ALTER TABLE t ALTER big SET STORAGE EXTERNAL; INSERT INTO t VALUES (1, repeat('x', 9000), 0);`;
    const values = ({ changes }: ReadResult): unknown[] =>
      changes.flatMap((change) =>
        change.kind === 'row' && change.op === 'u' ? [valueOf(change.after!, 1)] : [],
      );

    it('come from the old row where it is logged', async () => {
      const result = await stream(`${setup} ALTER TABLE t REPLICA IDENTITY FULL;`, [
        `UPDATE t SET n = 1`,
        `UPDATE t SET big = 'gone'`,
      ]);
      expect(values(result)).toEqual(['x'.repeat(9000), 'gone']);
    });

    it('are read back where the row is still the one the transaction wrote', async () => {
      expect(values(await stream(setup, [`UPDATE t SET n = 1`]))).toEqual(['x'.repeat(9000)]);
    });

    it('stay unknown where a later transaction has written the row', async () => {
      const result = await stream(setup, [`UPDATE t SET n = 1`, `UPDATE t SET big = 'gone'`]);
      expect(values(result)).toEqual([UNCHANGED, 'gone']);
    });

    it('stay unknown where the same transaction goes on with the row', async () => {
      const result = await stream(setup, [
        `BEGIN; UPDATE t SET n = 1; UPDATE t SET big = repeat('y', 9000); COMMIT`,
      ]);
      expect(values(result)).toEqual([UNCHANGED, 'y'.repeat(9000)]);
    });

    it('stay unknown where the row is gone, or its table', async () => {
      expect(values(await stream(setup, [`UPDATE t SET n = 1`, `DELETE FROM t`]))).toEqual([UNCHANGED]);
    });

    it('stay unknown where the table is gone', async () => {
      expect(values(await stream(setup, [`UPDATE t SET n = 1`, `DROP TABLE t`]))).toEqual([UNCHANGED]);
    });

    it('are awaited to the end of a transaction larger than a batch', async () => {
      const result = await stream(
        `${setup} INSERT INTO t SELECT i, 'small', 0 FROM generate_series(2, 3000) i;`,
        [`BEGIN; UPDATE t SET n = 1 WHERE id = 1; UPDATE t SET n = 1 WHERE id > 1; COMMIT`],
      );
      expect(values(result)[0]).toBe('x'.repeat(9000));
      expect(values(result)).toHaveLength(3000);
    });
  });

  it('restarts inside a large transaction exactly behind what was delivered', async () => {
    await db.query(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)`);
    const first = makeReader(db, { transactionMetadata: true });
    const opened = await openReader(first);
    if (opened.continuity.kind !== 'fresh') throw new Error('not fresh');
    await db.query(
      `BEGIN; INSERT INTO a SELECT generate_series(1, 5000); INSERT INTO other VALUES (1); DELETE FROM a WHERE id <= 10; COMMIT`,
    );
    await db.query(`INSERT INTO a VALUES (9999)`);
    const half = await readUntil(first, opened.continuity.start, (_, changes) => changes.length >= 2000);
    await first[Symbol.asyncDispose]();
    expect(half.position.mid).not.toBeNull();

    await using second = makeReader(db, { transactionMetadata: true });
    const stored = { position: half.position, identity: opened.identity };
    expect((await openReader(second, stored)).continuity.kind).toBe('continuous');
    const rest = await readToEnd(second, half.position);
    const all = [...half.changes, ...rest.changes];
    const rows = all.filter((change) => change.kind === 'row');
    expect(rows).toHaveLength(5012);
    expect(rows.slice(0, 5000).map(({ after }) => valueOf(after!, 0))).toEqual(
      Array.from({ length: 5000 }, (_, i) => i + 1),
    );
    expect(rows.map(({ seq }) => seq)).toEqual([...Array.from({ length: 5011 }, (_, i) => i), 0]);
    expect(all.map(({ kind }) => kind).filter((kind) => kind === 'begin' || kind === 'end')).toEqual([
      'begin',
      'end',
      'begin',
      'end',
    ]);
  });

  it('follows changes of the schema between and inside transactions', async () => {
    await db.query(`CREATE TABLE s (id int PRIMARY KEY, v text NOT NULL DEFAULT 'd')`);
    await using reader = makeReader(db);
    const opened = await openReader(reader);
    if (opened.continuity.kind !== 'fresh') throw new Error('not fresh');
    let from = opened.continuity.start;
    const schemas: SchemaChange<PostgresSource>[] = [];
    const step = async (sql: string): Promise<string[]> => {
      await db.query(sql);
      await using again = makeReader(db);
      await openReader(again, { position: from, identity: opened.identity });
      const { changes, position } = await readToEnd(again, from);
      from = position;
      schemas.push(...changes.filter((change) => change.kind === 'schema'));
      return lines(changes);
    };
    expect(await step(`INSERT INTO s VALUES (1)`)).toEqual(['c s [1, d]']);
    expect(schemas).toEqual([]);
    expect(
      await step(
        `INSERT INTO s VALUES (2, 'x'); BEGIN; ALTER TABLE s ADD COLUMN n int NOT NULL DEFAULT 5; INSERT INTO s VALUES (3, 'y', 6); COMMIT;
         ALTER TABLE s RENAME COLUMN v TO w; INSERT INTO s VALUES (4, 'z', 7);
         ALTER TABLE s DROP COLUMN w; INSERT INTO s VALUES (5, 8); ALTER TABLE s ALTER n TYPE text; INSERT INTO s VALUES (6, 'nine')`,
      ),
    ).toEqual(['c s [2, x]', 'c s [3, y, 6]', 'c s [4, z, 7]', 'c s [5, 8]', 'c s [6, nine]']);
    expect(schemas.map(({ table }) => table!.columns.map(({ name }) => name).join())).toEqual([
      'id,v',
      'id,v,n',
      'id,w,n',
      'id,n',
      'id,n',
    ]);
    const last = schemas.at(-1)!.table!;
    expect(last.columns.map(({ nullable, nativeType }) => [nativeType, nullable])).toEqual([
      ['int4', false],
      ['text', false],
    ]);
    expect(last.key).toEqual([0]);
    // What the catalogue could no longer say was optional and without default.
    expect(
      schemas[1]!.table!.columns.every((column) => column.nullable && column.default === undefined),
    ).toBe(true);
  });

  it('follows a table that is renamed, and one that is dropped and made again', async () => {
    await db.query(`CREATE TABLE old_name (id int PRIMARY KEY); CREATE TABLE d (id int PRIMARY KEY, v text)`);
    const first = makeReader(db);
    const opened = await openReader(first);
    if (opened.continuity.kind !== 'fresh') throw new Error('not fresh');
    await db.query(`INSERT INTO old_name VALUES (1); INSERT INTO d VALUES (1, 'a')`);
    await db.query(`ALTER TABLE old_name RENAME TO new_name`);
    await db.query(`INSERT INTO new_name VALUES (2)`);
    await db.query(`DROP TABLE d; CREATE TABLE d (v text, id bigint PRIMARY KEY)`);
    const before = await readToEnd(first, opened.continuity.start);
    await first[Symbol.asyncDispose]();
    expect(lines(before.changes)).toEqual(['c old_name [1]', 'c d [1, a]', 'c new_name [2]']);

    // The new table enters the publication at the next start.
    await using second = makeReader(db);
    await openReader(second, { position: before.position, identity: opened.identity });
    await db.query(`INSERT INTO d VALUES ('b', 2)`);
    expect(lines((await readToEnd(second, before.position)).changes)).toEqual(['c d [b, 2]']);
  });

  it('learns labels that were added to an enum while it runs', async () => {
    await db.query(`CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE e (id int PRIMARY KEY, m mood)`);
    await using reader = makeReader(db);
    const opened = await openReader(reader);
    if (opened.continuity.kind !== 'fresh') throw new Error('not fresh');
    let added = false;
    await db.query(`INSERT INTO e VALUES (1, 'sad')`);
    const adding = async (): Promise<void> => {
      await db.query(`ALTER TYPE mood ADD VALUE 'happy'`);
      await db.query(`INSERT INTO e VALUES (2, 'happy')`);
    };
    let work: Promise<void> = Promise.resolve();
    const { changes } = await readUntil(reader, opened.continuity.start, (_, seen) => {
      if (!added && seen.length > 0) {
        added = true;
        work = adding();
      }
      return seen.some(
        (change) => change.kind === 'row' && change.after !== null && valueOf(change.after, 0) === 2,
      );
    });
    await work;
    expect(lines(changes)).toEqual(['c e [1, sad]', 'c e [2, happy]']);
    const type = changes.filter((change) => change.kind === 'row').at(-1)!.table.columns[1]!.type;
    expect(type).toEqual({ kind: 'enum', values: ['sad', 'happy'] });
  });

  it('moves the slot on an idle database while others write', async () => {
    await db.query(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE ignored (v text)`);
    await using reader = makeReader(db, { tables: ['public.a'] });
    const opened = await openReader(reader);
    if (opened.continuity.kind !== 'fresh') throw new Error('not fresh');
    await db.query(`INSERT INTO ignored SELECT repeat('x', 1000) FROM generate_series(1, 2000)`);
    const { changes, position } = await readToEnd(reader, opened.continuity.start);
    expect(changes).toEqual([]);
    expect(position.lsn).toBeGreaterThan(opened.continuity.start.lsn + 2_000_000);
    await reader[Symbol.asyncDispose]();
    const [slot] = await db.query<{ moved: boolean }>(
      `SELECT confirmed_flush_lsn - '0/0'::pg_lsn >= ${position.lsn} AS moved FROM pg_replication_slots WHERE slot_name = '${db.name}'`,
    );
    expect(slot!.moved).toBe(true);
  });

  it('never confirms what has not been confirmed to it', async () => {
    await db.query(`CREATE TABLE a (id int PRIMARY KEY)`);
    await using reader = makeReader(db);
    const opened = await openReader(reader);
    if (opened.continuity.kind !== 'fresh') throw new Error('not fresh');
    const { start } = opened.continuity;
    await db.query(`INSERT INTO a SELECT generate_series(1, 10000)`);
    let rows = 0;
    const stop = new AbortController();
    for await (const batch of reader.read(start, stop.signal)) {
      rows += batch.changes.length;
      if (rows >= 10_000) stop.abort();
    }
    await reader[Symbol.asyncDispose]();
    const [slot] = await db.query<{ still: boolean }>(
      `SELECT confirmed_flush_lsn - '0/0'::pg_lsn = ${start.lsn} AS still FROM pg_replication_slots WHERE slot_name = '${db.name}'`,
    );
    expect(slot!.still).toBe(true);
  });

  it('stops reading while nobody takes batches, and goes on', async () => {
    await db.query(`CREATE TABLE a (id int PRIMARY KEY, v text)`);
    await using reader = makeReader(db);
    const opened = await openReader(reader);
    if (opened.continuity.kind !== 'fresh') throw new Error('not fresh');
    await db.query(`INSERT INTO a SELECT i, repeat('x', 1000) FROM generate_series(1, 60000) i`);
    const sent = async (): Promise<number> => {
      const [row] = await db.query<{ lag: string }>(
        `SELECT sent_lsn - '0/0'::pg_lsn AS lag FROM pg_stat_replication JOIN pg_replication_slots ON pid = active_pid WHERE slot_name = '${db.name}'`,
      );
      return Number(row!.lag);
    };
    const end = (await reader.head(never)).position.lsn;
    const stop = new AbortController();
    let rows = 0;
    for await (const batch of reader.read(opened.continuity.start, stop.signal)) {
      if (rows === 0 && batch.changes.length > 0) {
        // The server can send no more than buffers on the way hold, however long nobody takes the next batch.
        let before = -1;
        for (let now = await sent(); now !== before; now = await sent()) {
          before = now;
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
        expect(before).toBeLessThan(end);
      }
      rows += batch.changes.length;
      if (rows >= 60_000) stop.abort();
    }
    expect(rows).toBe(60_000);
  });

  it('says that the connection was lost when the server ends it', async () => {
    await db.query(`CREATE TABLE a (id int PRIMARY KEY)`);
    await using reader = makeReader(db);
    const opened = await openReader(reader);
    if (opened.continuity.kind !== 'fresh') throw new Error('not fresh');
    const reading = readUntil(reader, opened.continuity.start, () => false);
    const outcome = expect(reading).rejects.toMatchObject({ code: 'source.connection-lost' });
    for (;;) {
      const [ended] = await db.query(
        `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${db.name}' AND active`,
      );
      if (ended !== undefined) break;
    }
    await outcome;
  });

  it('takes the first host that accepts writes, and passes by those that are down', async () => {
    const options = connectOptions(db.url);
    const hosts = [{ host: '127.0.0.1', port: 1 }, ...options.hosts];
    await using connection = await connectPg({ ...options, hosts }, {}, never);
    expect(await connection.query('SELECT 1')).toEqual([['1']]);
  });
});
