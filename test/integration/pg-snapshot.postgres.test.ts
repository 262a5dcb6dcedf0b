import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import pg from 'pg';
import type { Change, RowChange } from '../../src/model/change.ts';
import { type TableId, tableName } from '../../src/model/table.ts';
import { valueOf, valuesOf } from '../../src/model/raw-row.ts';
import { type Row, UNCHANGED, type Value } from '../../src/model/value.ts';
import { SILENT } from '../../src/observability/log.ts';
import type { PostgresPosition } from '../../src/readers/postgres/position.ts';
import { createPostgresReader } from '../../src/readers/postgres/reader.ts';
import { createPgSnapshotSource } from '../../src/readers/postgres/snapshot-source.ts';
import type { PostgresSource } from '../../src/readers/postgres/source-info.ts';
import { connectPg } from '../../src/readers/postgres/wire/connection.ts';
import type { PgConnectOptions } from '../../src/readers/postgres/wire/connect-options.ts';
import { createSnapshot, type SnapshotMode } from '../../src/snapshot/snapshot.ts';
import type { TablePlan } from '../../src/snapshot/snapshot-source.ts';
import { makeReader, openReader } from '../support/postgres-reader.ts';
import { postgresVersions, testDatabase } from '../support/servers.ts';

type Database = Awaited<ReturnType<typeof testDatabase>>;

const SCHEMA = `
  CREATE TABLE orders (id bigint PRIMARY KEY, status varchar(16), amount numeric(10,2), note text, at timestamptz);
  INSERT INTO orders SELECT i, 'new', i / 7.0, 'naïve "note" \\ ' || i, now() FROM generate_series(1, 45000) i;
  CREATE TABLE items (code text COLLATE "C", line int, body text, PRIMARY KEY (line, code));
  INSERT INTO items SELECT 'c' || i % 50, i / 50, CASE WHEN i % 3 = 0 THEN NULL ELSE E'tab\\there\\nand there' END
    FROM generate_series(0, 4999) i;
  CREATE TABLE docs (id uuid PRIMARY KEY, version int, body text);
  ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
  INSERT INTO docs SELECT md5(i::text)::uuid, 0, repeat(i::text, 3000) FROM generate_series(1, 400) i;
  CREATE TABLE parts (id int, day int, body text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
  CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
  INSERT INTO parts SELECT i, i % 20, 'part' FROM generate_series(1, 2000) i;
  CREATE TABLE heap (n int, body text);
  ALTER TABLE heap REPLICA IDENTITY FULL;
  INSERT INTO heap SELECT i, 'heap' FROM generate_series(1, 3000) i;
  CREATE TABLE empty (id int PRIMARY KEY);
  ANALYZE`;
const TABLES = ['orders', 'items', 'docs', 'parts', 'heap', 'empty'];
const KEYED = ['orders', 'items', 'docs', 'parts', 'empty'];

describe.each(postgresVersions)('the snapshot of PostgreSQL %i', (version) => {
  let db: Database;
  beforeAll(async () => {
    db = await testDatabase(version);
    await db.query(SCHEMA);
  });
  afterAll(() => db.drop());

  test('has every row once, in a view, with marks on the first and the last', async () => {
    const run = new Run(db, 'quiet');
    expect(await run.live({ stopAfter: Infinity })).toBe('caught up');
    const reads = run.records.filter((change) => change.kind === 'row');
    expect(reads.every((change) => change.op === 'r' && change.tx === null)).toBe(true);
    await run.expectEqual(TABLES);
    const marks = reads.map((change) => change.snapshot).filter((mark) => mark !== 'true');
    expect(marks.map(String).toSorted()).toEqual([
      'first',
      'first_in_data_collection',
      'first_in_data_collection',
      'first_in_data_collection',
      'first_in_data_collection',
      'last',
      'last_in_data_collection',
      'last_in_data_collection',
      'last_in_data_collection',
      'last_in_data_collection',
    ]);
    expect(reads[0]!.snapshot).toBe('first');
    expect(reads.at(-1)!.snapshot).toBe('last');
    expect(JSON.parse(run.state.get('snapshot')!)).toMatchObject({
      v: 1,
      completedAt: expect.any(String) as string,
    });
    await run.drop();
  });

  test('in a view with writers: the topic replays to the source', async () => {
    const run = new Run(db, 'view');
    await using writers = write(db);
    expect(await run.live({ stopAfter: Infinity, quiesce: () => writers.stop() })).toBe('caught up');
    await run.expectEqual(TABLES);
    run.expectNoRowTwice(KEYED);
    await run.drop();
  });

  test('in windows with writers, through crashes: the topic replays to the source', async () => {
    const run = new Run(db, 'windows', KEYED);
    await using writers = write(db);
    for (const stopAfter of [3, 8, 20, 30]) expect(await run.live({ stopAfter })).toBe('stopped');
    expect(await run.live({ stopAfter: Infinity, quiesce: () => writers.stop() })).toBe('caught up');
    await run.expectEqual(KEYED);
    run.expectNoRowTwice(KEYED);
    await run.drop();
  });

  test('of tables added while the stream runs', async () => {
    const run = new Run(db, 'added', ['empty']);
    await using writers = write(db);
    expect(await run.live({ stopAfter: Infinity })).toBe('caught up');
    run.capture(TABLES);
    expect(await run.live({ stopAfter: Infinity, quiesce: () => writers.stop() })).toBe('caught up');
    await run.expectEqual(TABLES);
    run.expectNoRowTwice(KEYED);
    await run.drop();
  });

  test('leaves out a table that cannot be read, and reads the others', async () => {
    await db.query(`CREATE TABLE secret (id int PRIMARY KEY); INSERT INTO secret VALUES (1)`);
    const run = new Run(db, 'secret', ['items', 'secret']);
    const role = `${db.name}_reader`;
    await db.query(`CREATE ROLE ${role} LOGIN REPLICATION`);
    await db.query(`GRANT CREATE ON DATABASE ${db.name} TO ${role}; GRANT SELECT ON items TO ${role};
      ALTER TABLE items OWNER TO ${role}; ALTER TABLE secret OWNER TO ${role}; REVOKE ALL ON secret FROM ${role}`);
    run.user = role;
    expect(await run.live({ stopAfter: Infinity })).toBe('caught up');
    expect(run.errors).toEqual([['public.secret', 'snapshot.table-unreadable']]);
    await run.expectEqual(['items']);
    await run.drop();
    await db.query(
      `REASSIGN OWNED BY ${role} TO postgres; DROP OWNED BY ${role}; DROP ROLE ${role}; DROP TABLE secret`,
    );
  });

  test('holds no lock between chunks: a table rewritten after the view is read again while streaming', async () => {
    await db.query(
      `CREATE TABLE moving (id int PRIMARY KEY, v int); INSERT INTO moving VALUES (1, 1), (2, 2)`,
    );
    const run = new Run(db, 'moving', ['items', 'moving']);
    const rewritten = db.query.bind(db, 'ALTER TABLE moving ALTER v TYPE bigint');
    expect(await run.live({ stopAfter: Infinity, opened: () => rewritten() })).toBe('caught up');
    await run.expectEqual(['items', 'moving']);
    await run.drop();
    await db.query('DROP TABLE moving');
  });

  test('a table that somebody has locked keeps nobody else waiting in the view', async () => {
    await db.query('CREATE TABLE busy (id int PRIMARY KEY); INSERT INTO busy VALUES (1)');
    const reader = makeReader(db, { tables: ['public.busy', 'public.items'], slot: `${db.name}_busy` });
    await reader.tables(new AbortController().signal);
    await openReader(reader);
    const signal = new AbortController().signal;
    await using view = (await reader.snapshotSource().openView({ parallelism: 1 }, signal))!;
    const plan = (table: string) =>
      view.plan({ schema: 'public', table }, { chunkRows: 100_000, where: null }, signal);
    const rowsOf = async (planned: TablePlan): Promise<number> => {
      let rows = 0;
      for await (const block of view.rows(planned, planned.chunks[0]!, signal)) rows += block.rows.length;
      return rows;
    };
    const before = await plan('busy');
    const lock = new pg.Client({ connectionString: db.url });
    await lock.connect();
    await lock.query('BEGIN; LOCK TABLE busy');
    const refused = { code: 'snapshot.table-locked' };
    const both = [plan('busy'), plan('items')] as const;
    await expect(both[0]).rejects.toMatchObject(refused);
    expect(await rowsOf(await both[1])).toBe(5000);
    await expect(rowsOf(before)).rejects.toMatchObject(refused);
    await lock.query('ROLLBACK');
    await lock.end();
    expect(await rowsOf(await plan('busy'))).toBe(1);
    expect(await rowsOf(before)).toBe(1);
    await reader[Symbol.asyncDispose]();
    await db.query(`SELECT pg_drop_replication_slot('${db.name}_busy')`);
    await db.query('DROP TABLE busy');
  });

  test('a table that somebody has locked keeps nobody else waiting in windows', async () => {
    await db.query('CREATE TABLE busy (id int PRIMARY KEY); INSERT INTO busy VALUES (1)');
    const reader = makeReader(db, { tables: ['public.busy', 'public.items'], slot: `${db.name}_busy` });
    const signal = new AbortController().signal;
    await reader.tables(signal);
    await openReader(reader);
    await using windows = await reader.snapshotSource().openWindows({ parallelism: 1 }, signal);
    const plan = (table: string) =>
      windows.plan({ schema: 'public', table }, { chunkRows: 100_000, where: null }, signal);
    const chunk = (planned: TablePlan) =>
      windows.chunk(planned, planned.chunks[0]!, { maxRows: 10, maxBytes: 100_000 }, signal);
    const before = await plan('busy');
    const lock = new pg.Client({ connectionString: db.url });
    await lock.connect();
    await lock.query('BEGIN; LOCK TABLE busy');
    const refused = { code: 'snapshot.table-locked' };
    await expect(plan('busy')).rejects.toMatchObject(refused);
    await expect(chunk(before)).rejects.toMatchObject(refused);
    expect((await chunk(await plan('items'))).rows).toHaveLength(10);
    await lock.query('ROLLBACK');
    await lock.end();
    expect((await chunk(before)).rows).toHaveLength(1);
    await reader[Symbol.asyncDispose]();
    await db.query(`SELECT pg_drop_replication_slot('${db.name}_busy')`);
    await db.query('DROP TABLE busy');
  });

  test('with a condition of the operator', async () => {
    const run = new Run(db, 'where', ['orders', 'items']);
    run.where = new Map([
      ['public.orders', 'id <= 100 -- few'],
      ['public.items', 'no_such_column = 1'],
    ]);
    expect(await run.live({ stopAfter: Infinity })).toBe('caught up');
    expect(run.records.filter((change) => change.kind === 'row')).toHaveLength(
      Number((await db.query('SELECT count(*) AS n FROM orders WHERE id <= 100'))[0]!['n']),
    );
    expect(run.errors).toEqual([['public.items', 'snapshot.where-invalid']]);
    await run.drop();
  });

  test('not at all in mode no_data, and only in mode initial_only', async () => {
    const none = new Run(db, 'no_data');
    none.mode = 'no_data';
    expect(await none.live({ stopAfter: Infinity })).toBe('caught up');
    expect(none.records).toEqual([]);
    none.mode = 'initial';
    expect(await none.live({ stopAfter: Infinity })).toBe('caught up');
    expect(none.records).toEqual([]);
    await none.drop();
    const only = new Run(db, 'only', ['items']);
    only.mode = 'initial_only';
    expect(await only.live({ stopAfter: 2 })).toBe('stopped');
    expect(await only.live({ stopAfter: Infinity })).toBe('ended');
    await only.expectEqual(['items']);
    await only.drop();
  });

  test('the stream of an idle server passes the high mark of a window behind a page header', async () => {
    const run = new Run(db, 'switch', ['empty']);
    expect(await run.live({ stopAfter: Infinity })).toBe('caught up');
    run.capture(['empty', 'items']);
    await db.query('SELECT pg_switch_wal()');
    expect(await run.live({ stopAfter: Infinity })).toBe('caught up');
    await run.expectEqual(['items']);
    await run.drop();
  });
});

/** Changes by several sessions at once, until stopped. */
function write(db: Database): AsyncDisposable & { stop(): Promise<void> } {
  let stopping = false;
  const writer = async (seed: number): Promise<void> => {
    const client = new pg.Client(db.url);
    await client.connect();
    try {
      for (let i = 0; !stopping; i++) {
        const n = (seed * 7919 + i * 104_729) % 46_000;
        await client.query('BEGIN');
        await client.query(`INSERT INTO orders VALUES (${n}, 'again', 1, 'written', now())
          ON CONFLICT (id) DO UPDATE SET amount = orders.amount + 1, note = 'über'`);
        await client.query(`DELETE FROM orders WHERE id = ${(n * 31) % 46_000}`);
        await client.query(`UPDATE items SET body = 'b${i}' WHERE line = ${i % 100} AND code = 'c${n % 50}'`);
        await client.query(
          `UPDATE items SET code = 'x${seed}_${i}' WHERE line = ${n % 100} AND code = 'c${i % 50}'`,
        );
        await client.query(`UPDATE docs SET version = version + 1 WHERE id = md5('${1 + (n % 400)}')::uuid`);
        await client.query(`UPDATE parts SET day = ${i % 20}, body = 'w${i}' WHERE id = ${1 + (n % 2000)}`);
        await client.query(`INSERT INTO heap VALUES (${100_000 * seed + i}, 'more')`);
        await client.query(`UPDATE heap SET body = 'u${i}' WHERE n = ${1 + (n % 3000)}`);
        await client.query(i % 9 === 0 ? 'ROLLBACK' : 'COMMIT').catch(() => client.query('ROLLBACK'));
      }
    } catch (error) {
      // Deadlocks between the writers are theirs to have.
      if (!(error instanceof pg.DatabaseError && error.code === '40P01')) throw error;
      await client.end();
      if (!stopping) await writer(seed + 10);
      return;
    }
    await client.end();
  };
  const done = Promise.all([1, 2, 3].map(writer));
  const stop = async (): Promise<void> => {
    stopping = true;
    await done;
  };
  return { stop, [Symbol.asyncDispose]: stop };
}

/** A pipeline without a sink: what is durable is kept here, what isn't is lost when it stops. */
class Run {
  readonly records: Change<PostgresSource>[] = [];
  readonly state = new Map<string, string>();
  readonly errors: (readonly [string, string])[] = [];
  where: ReadonlyMap<string, string> = new Map();
  mode: SnapshotMode = 'initial';
  user = 'postgres';
  readonly #db: Database;
  readonly #name: string;
  #tables: readonly string[];
  #position: PostgresPosition | null = null;
  #identity: string | null = null;

  constructor(db: Database, name: string, tables: readonly string[] = TABLES) {
    this.#db = db;
    this.#name = `${db.name}_${name}`.toLowerCase();
    this.#tables = tables;
  }

  capture(tables: readonly string[]): void {
    this.#tables = tables;
  }

  #connect(): PgConnectOptions {
    const url = new URL(this.#db.url);
    return {
      hosts: [{ host: url.hostname, port: Number(url.port) }],
      database: url.pathname.slice(1),
      user: this.user,
      password: null,
      tls: { mode: 'disable', ca: null, cert: null, key: null },
      connectTimeoutMs: 5_000,
    };
  }

  /** One life of the process. Commits after every third batch or so; the rest is lost with it. */
  async live(options: {
    readonly stopAfter: number;
    readonly quiesce?: () => Promise<void>;
    readonly opened?: () => Promise<unknown>;
  }): Promise<'stopped' | 'caught up' | 'ended'> {
    const ending = new AbortController();
    const { signal } = ending;
    await using reader = createPostgresReader(
      {
        name: this.#name,
        connect: this.#connect(),
        tables: this.#tables.map((table) => `public.${table}`),
        slot: this.#name,
        publication: this.#name,
        onGap: 'fail',
        walBudgetBytes: null,
        transactionMetadata: false,
        messages: false,
      },
      SILENT,
    );
    const tables = await reader.tables(signal);
    const opened = await reader.open(
      {
        stored: this.#position === null ? null : { position: this.#position, identity: this.#identity },
        intent: null,
        state: this.state,
        recordIntent: () => Promise.resolve(),
      },
      signal,
    );
    const fresh = opened.continuity.kind !== 'continuous';
    if (opened.continuity.kind !== 'continuous') this.#position = opened.continuity.start;
    this.#identity = opened.identity;
    await options.opened?.();
    // An idle stream reports its position every few seconds by itself.
    const nudger = setInterval(() => reader.nudge(), 20);
    signal.addEventListener('abort', () => clearInterval(nudger));
    const snapshot = createSnapshot<PostgresPosition, PostgresSource>({
      source: reader.snapshotSource(),
      codec: reader.codec,
      tables,
      restored: new Map(this.state),
      mode: this.mode,
      parallelism: 2,
      chunkRows: 10_000,
      where: this.where,
      walLimitBytes: null,
      retainedBytes: () => Promise.resolve(null),
      freshStart: fresh,
      onTableError: (id, error) => this.errors.push([tableName(id), error.code]),
      log: SILENT,
    });
    const pending: Change<PostgresSource>[] = [];
    const state = new Map<string, string | null>();
    const from = this.#position!;
    let batches = 0;
    let target: PostgresPosition | null = null;
    const phases = [
      () => snapshot.readView(signal),
      () => snapshot.merge(reader.read(from, signal), () => reader.nudge(), signal),
    ];
    for (const [phase, batchesOf] of phases.entries()) {
      for await (const batch of batchesOf()) {
        pending.push(...batch.changes);
        for (const [key, value] of batch.state ?? []) state.set(key, value);
        if (++batches > options.stopAfter) {
          ending.abort();
          return 'stopped';
        }
        if (batch.resume === null) continue;
        const finished = phase === 1 && snapshot.done;
        if (batches % 3 === 0 || finished) {
          this.records.push(...pending.splice(0));
          for (const [key, value] of state) {
            if (value === null) this.state.delete(key);
            else this.state.set(key, value);
          }
          state.clear();
          this.#position = batch.resume;
        }
        if (!finished) continue;
        if (target === null) {
          await options.quiesce?.();
          target = (await reader.head(signal)).position;
        }
        if (batch.resume.mid === null && batch.resume.lsn >= target.lsn) {
          ending.abort();
          return 'caught up';
        }
      }
      if (phase === 0) {
        this.records.push(...pending.splice(0));
        for (const [key, value] of state) if (value !== null) this.state.set(key, value);
        state.clear();
      }
    }
    this.records.push(...pending);
    ending.abort();
    return 'ended';
  }

  /** The rows of a table as they are now, through the same decoders. */
  async #truth(table: string): Promise<string[]> {
    const signal = new AbortController().signal;
    const connect = (): ReturnType<typeof connectPg> => connectPg(this.#connect(), {}, signal);
    const source = createPgSnapshotSource({
      connect,
      connectReplication: () => connectPg(this.#connect(), { replication: 'database' }, signal),
      exported: null,
      temporarySlot: `${this.#name}_truth`,
      generatedColumns: 'none',
      number: (schema) => schema,
    });
    await using view = await source.openOwnView({ parallelism: 1 }, signal);
    const id: TableId = { schema: 'public', table };
    const plan = await view.plan(id, { chunkRows: 1_000_000, where: this.where.get(table) ?? null }, signal);
    const rows: string[] = [];
    for (const chunk of plan.chunks) {
      for await (const block of view.rows(plan, chunk, signal)) {
        rows.push(...block.rows.map((change) => rowText(valuesOf(change.after!))));
      }
    }
    return rows.toSorted();
  }

  async expectEqual(tables: readonly string[]): Promise<void> {
    for (const table of tables) {
      const changes = this.records.filter(
        (change): change is RowChange<PostgresSource> =>
          change.kind === 'row' && change.table.id.table === table,
      );
      expect(replay(changes), table).toEqual(await this.#truth(table));
    }
  }

  expectNoRowTwice(tables: readonly string[]): void {
    for (const table of tables) {
      const seen = new Set<string>();
      for (const change of this.records) {
        if (change.kind !== 'row' || change.op !== 'r' || change.table.id.table !== table) continue;
        const { key } = change.table;
        const id = rowText(
          key.length === 0 ? valuesOf(change.after!) : key.map((i) => valueOf(change.after!, i)),
        );
        expect(seen.has(id), `${table} ${id}`).toBe(false);
        seen.add(id);
      }
    }
  }

  async drop(): Promise<void> {
    await this.#db.query(`DROP PUBLICATION IF EXISTS ${this.#name}, ${this.#name}_insert_only`);
    for (;;) {
      const [slot] = await this.#db.query(
        `SELECT active FROM pg_replication_slots WHERE slot_name = '${this.#name}'`,
      );
      if (slot === undefined) return;
      if (slot['active'] === false) await this.#db.query(`SELECT pg_drop_replication_slot('${this.#name}')`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** What a consumer that keeps the latest row by key ends up with; without a key rows are counted. */
function replay(changes: readonly RowChange<PostgresSource>[]): string[] {
  const keyed = changes[0] !== undefined && changes[0].table.key.length > 0;
  const rows = new Map<string, Row>();
  const counts = new Map<string, number>();
  const count = (row: Row | null, n: number): void => {
    if (row !== null) counts.set(rowText(row), (counts.get(rowText(row)) ?? 0) + n);
  };
  for (const change of changes) {
    const { table } = change;
    const before = valuesOf(change.before);
    const after = valuesOf(change.after);
    if (!keyed) {
      count(before, -1);
      count(after, 1);
      continue;
    }
    const keyOf = (row: Row): string => rowText(table.key.map((i) => row[i]!));
    const oldKey = before === null ? null : keyOf(before);
    const newKey = after === null ? null : keyOf(after);
    const old = rows.get(oldKey ?? newKey!);
    if (oldKey !== null && oldKey !== newKey) rows.delete(oldKey);
    if (after !== null) {
      rows.set(
        newKey!,
        after.map((value, i): Value => (value === UNCHANGED ? (old?.[i] ?? UNCHANGED) : value)),
      );
    }
  }
  if (keyed) return [...rows.values()].map(rowText).toSorted();
  return [...counts].flatMap(([row, n]) => Array.from({ length: n }, () => row)).toSorted();
}

function rowText(row: Row): string {
  return JSON.stringify(row, (_, value: unknown) => (typeof value === 'symbol' ? String(value) : value));
}
