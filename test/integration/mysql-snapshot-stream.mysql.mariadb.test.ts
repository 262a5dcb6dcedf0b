/** A snapshot and the stream together, while the tables are written to: what comes out replays to the tables. */
import mysql from 'mysql2/promise';
import { expect, test } from 'vitest';
import type { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { valuesOf } from '../../src/model/raw-row.ts';
import { ABSENT, type Row } from '../../src/model/value.ts';
import { SILENT } from '../../src/observability/log.ts';
import type { MysqlPosition } from '../../src/readers/mysql/position.ts';
import type { MysqlSource } from '../../src/readers/mysql/source-info.ts';
import { createSnapshot } from '../../src/snapshot/snapshot.ts';
import { type MysqlChange, makeReader, openReader } from '../support/mysql-reader.ts';
import { oldMysqlVersions, startMysql, testMariadb, testMysql, type TestMysql } from '../support/servers.ts';

const never = new AbortController().signal;
const ROWS = 6_000;
const WRITERS = 3;

/** `sessions` 0: no view, everything in windows. */
const CASES = [
  { product: 'MySQL 9', sessions: 2, open: () => testMysql('9') },
  { product: 'MySQL 9', sessions: 0, open: () => testMysql('9') },
  {
    product: 'MySQL 9 without GTIDs',
    sessions: 0,
    open: () => ownServer({ 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' }),
  },
  {
    product: 'MySQL 9 with minimal images',
    sessions: 0,
    open: () => ownServer({ 'binlog-row-image': 'MINIMAL' }),
  },
  ...oldMysqlVersions.map((version) => ({
    product: `MySQL ${version}`,
    sessions: 0,
    open: () => testMysql(version),
  })),
  { product: 'MariaDB 11.8', sessions: 2, open: () => testMariadb('11.8') },
  { product: 'MariaDB 11.8', sessions: 0, open: () => testMariadb('11.8') },
] satisfies readonly Case[];

interface Case {
  readonly product: string;
  readonly sessions: number;
  readonly open: () => Promise<Database>;
}

type Database = Pick<TestMysql, 'url' | 'name' | 'query'> & AsyncDisposable;

async function ownServer(settings: Readonly<Record<string, string>>): Promise<Database> {
  const server = await startMysql({ version: '9', settings });
  await server.query('CREATE DATABASE own');
  return {
    url: server.urlFor({ database: 'own' }),
    name: 'own',
    query: (sql) => server.query(`USE own; ${sql}`),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

test.each(CASES)(
  '$product with $sessions sessions',
  async ({ sessions, open }: Case) => {
    await using database = await open();
    await database.query(
      'CREATE TABLE keyed (a int, b varchar(10), v int, PRIMARY KEY (b, a)); CREATE TABLE keyless (v int, n int)',
    );
    const numbers = Array.from({ length: ROWS }, (_, i) => i);
    await database.query(
      `INSERT INTO keyed VALUES ${numbers.map((i) => `(${i}, 'k${i % 7}', 0)`).join(',')}`,
    );
    await database.query(
      `INSERT INTO keyless VALUES ${numbers
        .slice(0, 500)
        .map((i) => `(${i}, 0)`)
        .join(',')}`,
    );
    await database.query('ANALYZE TABLE keyed');
    const writing = new AbortController();
    const writers = Array.from({ length: WRITERS }, (_, i) => write(database.url, i, writing.signal));
    await using reader = makeReader(database, { snapshotParallelism: sessions });
    const { continuity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error(`The log is ${continuity.kind}`);
    const tables = await reader.tables(never);
    const failures: HeadwaterError[] = [];
    const snapshot = createSnapshot<MysqlPosition, MysqlSource>({
      source: reader.snapshotSource(),
      codec: reader.codec,
      tables,
      restored: new Map(),
      mode: 'initial',
      parallelism: 2,
      chunkRows: 1_500,
      where: new Map(),
      walLimitBytes: null,
      retainedBytes: () => Promise.resolve(null),
      freshStart: true,
      onTableError: (_, error) => failures.push(error),
      log: SILENT,
    });
    const replay = new Replay();
    const stop = new AbortController();
    for await (const batch of snapshot.readView(stop.signal)) replay.add(batch.changes);
    let end: MysqlPosition | null = null;
    const stream = reader.read(continuity.start, stop.signal);
    for await (const batch of snapshot.merge(stream, () => reader.nudge(), stop.signal)) {
      replay.add(batch.changes);
      if (!snapshot.done) continue;
      if (end === null) {
        writing.abort();
        await Promise.all(writers);
        end = (await reader.head(never)).position;
        reader.nudge();
      }
      if (batch.resume !== null && (reader.codec.compare(batch.resume, end) ?? -1) >= 0) stop.abort();
    }
    expect(failures).toEqual([]);
    expect(replay.reads).toBeGreaterThan(ROWS / 2);
    const keyed = await database.query('SELECT a, b, v FROM keyed ORDER BY b, a');
    expect(replay.keyed()).toEqual(keyed.map(({ a, b, v }) => [b, a, v].join(' ')).sort());
    const keyless = await database.query('SELECT v, n FROM keyless');
    expect(replay.keyless()).toEqual(keyless.map(({ v, n }) => [v, n].join(' ')).sort());
  },
  120_000,
);

/** Small transactions all over the tables, also ones that are rolled back, move a key or touch the same row. */
async function write(url: string, seed: number, signal: AbortSignal): Promise<void> {
  const connection = await mysql.createConnection({ uri: url });
  let random = seed + 1;
  const below = (n: number): number => {
    random = (random * 48_271) % 2_147_483_647;
    return random % n;
  };
  for (let i = 0; !signal.aborted; i++) {
    const a = below(ROWS);
    const key = `a = ${a} AND b = 'k${a % 7}'`;
    const statements = [
      `UPDATE keyed SET v = v + 1 WHERE ${key}`,
      `DELETE FROM keyed WHERE ${key}`,
      `INSERT IGNORE INTO keyed VALUES (${a}, 'k${a % 7}', -1)`,
      `UPDATE IGNORE keyed SET a = ${ROWS + below(ROWS)} WHERE ${key}`,
      `UPDATE IGNORE keyed SET b = 'k0' WHERE ${key}`,
      `UPDATE keyless SET n = n + 1 WHERE v = ${below(500)}`,
      `INSERT INTO keyless VALUES (${below(500)}, ${i})`,
    ];
    try {
      await connection.beginTransaction();
      for (let n = 0; n <= below(3); n++) await connection.query(statements[below(statements.length)]!);
      if (below(10) === 0) await connection.rollback();
      else await connection.commit();
    } catch {
      await connection.rollback(); // writers block each other now and then
    }
  }
  await connection.end();
}

/** What a consumer has after all records. */
class Replay {
  reads = 0;
  readonly #keyed = new Map<string, Row>();
  readonly #keyless = new Map<string, number>();

  add(changes: readonly MysqlChange[]): void {
    for (const change of changes) {
      if (change.kind !== 'row') continue;
      const { op, table } = change;
      const before = valuesOf(change.before);
      const after = valuesOf(change.after);
      if (op === 'r') this.reads++;
      if (table.id.table === 'keyed') {
        const known = before === null ? undefined : this.#keyed.get(keyOf(before));
        if (before !== null) this.#keyed.delete(keyOf(before));
        if (after === null) continue;
        // What the log left out is as it was; where nobody has it, that is what is seen.
        const row = after.map((value, i) => (value === ABSENT ? (known ?? before!)[i]! : value));
        this.#keyed.set(keyOf(row), row);
      } else {
        if (before !== null) this.#count(before, -1);
        // Without a key the row before is whole.
        if (after !== null)
          this.#count(
            after.map((value, i) => (value === ABSENT ? before![i]! : value)),
            1,
          );
      }
    }
  }

  #count(row: Row, by: number): void {
    const text = row.map(String).join(' ');
    this.#keyless.set(text, (this.#keyless.get(text) ?? 0) + by);
  }

  keyed(): readonly string[] {
    return [...this.#keyed].map(([key, row]) => `${key} ${String(row[2])}`).sort();
  }

  keyless(): readonly string[] {
    return [...this.#keyless].flatMap(([text, n]) => Array.from({ length: n }, () => text)).sort();
  }
}

function keyOf(row: Row): string {
  return `${String(row[1])} ${String(row[0])}`;
}
