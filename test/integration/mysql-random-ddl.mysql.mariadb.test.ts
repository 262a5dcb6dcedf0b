/** Whatever becomes of a table, each of its changes has the columns and values that the table had then. */
import * as fc from 'fast-check';
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MysqlChange, makeReader, openReader, readToEnd, rowsOf } from '../support/mysql-reader.ts';
import { type MysqlServer, oldMysqlVersions, startMariadb, startMysql } from '../support/servers.ts';

/** Column → type. */
type Columns = Map<string, string>;
/** Statements, made for the columns the table has when their turn comes; rows in one transaction, others each alone. */
interface Step {
  readonly kind: 'rows' | 'ddl';
  statements(columns: Columns): readonly string[];
}

const TYPES = [
  'INT',
  'BIGINT UNSIGNED',
  'VARCHAR(40)',
  'VARCHAR(30) CHARACTER SET latin1',
  'TEXT',
  'DECIMAL(8,2)',
  'DOUBLE',
  "ENUM('a','b','é')",
] as const;
type Type = (typeof TYPES)[number];
const type = fc.constantFrom<Type>(...TYPES);

function literal(of: string, n: number): string {
  if (n % 5 === 0) return 'NULL';
  if (of.startsWith('ENUM')) return `'${['a', 'b', 'é'][n % 3]}'`;
  if (of === 'BIGINT UNSIGNED') return String(18_446_744_073_709_551_615n - BigInt(n));
  return /CHAR|TEXT/.test(of) ? `'té ${n}'` : of === 'DECIMAL(8,2)' ? `${n % 1000}.25` : String(n % 100);
}

const nth = (columns: Columns, n: number): string | undefined => [...columns.keys()][n % columns.size];
const rows = (statements: Step['statements']): Step => ({ kind: 'rows', statements });
const ddl = (statements: Step['statements']): Step => ({ kind: 'ddl', statements });

const insert = fc
  .tuple(fc.integer({ min: 1, max: 30 }), fc.nat(1e6))
  .map(([id, n]) =>
    rows((columns) => [
      `REPLACE INTO t (${['id', ...columns.keys()].join(', ')}) VALUES (${[id, ...Array.from(columns.values(), (each, i) => literal(each, n + i))].join(', ')})`,
    ]),
  );
const update = fc.tuple(fc.nat(), fc.nat(1e6)).map(([column, n]) =>
  rows((columns) => {
    const name = nth(columns, column);
    return name === undefined
      ? []
      : [`UPDATE t SET ${name} = ${literal(columns.get(name)!, n)} WHERE id % 3 = ${n % 3}`];
  }),
);
const remove = fc.nat(5).map((n) => rows(() => [`DELETE FROM t WHERE id % 6 = ${n}`]));
const rekey = fc
  .integer({ min: 1, max: 30 })
  .map((id) => rows(() => [`UPDATE IGNORE t SET id = id + 100 WHERE id = ${id}`]));

/** What ALTER TABLE says, or null where there is nothing to alter. */
type Alteration = (columns: Columns) => string | null;

/** `columns` in another order, or with other names. */
function becomes(columns: Columns, entries: readonly (readonly [string, string])[]): void {
  const all = [...entries];
  columns.clear();
  for (const [name, of] of all) columns.set(name, of);
}

const add = fc
  .tuple(fc.nat(9), type, fc.constantFrom('', ' FIRST', ' AFTER id'), fc.boolean())
  .map(([n, of, place, filled]): Alteration => (columns) => {
    const name = `c${n}`;
    if (columns.has(name)) return null;
    becomes(columns, place === '' ? [...columns, [name, of]] : [[name, of], ...columns]);
    const initial = filled && of !== 'TEXT' ? ` DEFAULT ${literal(of, 1)}` : '';
    return `ADD COLUMN ${name} ${of}${initial}${place}`;
  });
const drop = fc.nat().map((n): Alteration => (columns) => {
  const name = nth(columns, n);
  if (name === undefined) return null;
  columns.delete(name);
  return `DROP COLUMN ${name}`;
});
const rename = fc.tuple(fc.nat(), fc.nat(9), fc.boolean()).map(([n, to, change]): Alteration => (columns) => {
  const name = nth(columns, n);
  if (name === undefined || columns.has(`c${to}`)) return null;
  const of = columns.get(name)!;
  becomes(
    columns,
    Array.from(columns, ([each, its]) => [each === name ? `c${to}` : each, its] as const),
  );
  return change ? `CHANGE ${name} c${to} ${of}` : `RENAME COLUMN ${name} TO c${to}`;
});
/** Two columns of one type change their names: only the statements tell. */
const exchange = fc.nat().map((n): Alteration => (columns) => {
  const name = nth(columns, n);
  const of = name === undefined ? undefined : columns.get(name);
  const other = [...columns].find(([each, its]) => each !== name && its === of)?.[0];
  if (name === undefined || other === undefined) return null;
  return `RENAME COLUMN ${name} TO ${other}, RENAME COLUMN ${other} TO ${name}`;
});
const widen = fc.nat().map((n): Alteration => (columns) => {
  const name = nth(columns, n);
  if (name === undefined) return null;
  columns.set(name, 'TEXT');
  return `MODIFY ${name} TEXT`;
});
/** Labels in another order: the same numbers in the log mean something else. */
const relabel = fc
  .constantFrom("'é','b','a'", "'b','a','é','a,''b'")
  .map((labels): Alteration => (columns) => {
    const name = [...columns].find(([, of]) => of.startsWith('ENUM'))?.[0];
    if (name === undefined) return null;
    columns.set(name, `ENUM(${labels})`);
    return `MODIFY ${name} ENUM(${labels})`;
  });
const alteration = fc.oneof(
  { weight: 3, arbitrary: add },
  { weight: 2, arbitrary: drop },
  { weight: 2, arbitrary: rename },
  { weight: 2, arbitrary: exchange },
  { weight: 1, arbitrary: widen },
  { weight: 2, arbitrary: relabel },
);
const alter = alteration.map((change) =>
  ddl((columns) => {
    const text = change(columns);
    return text === null ? [] : [`ALTER TABLE t ${text}`];
  }),
);
/** As gh-ost and pt-online-schema-change do it. */
const swap = alteration.map((change) =>
  ddl((columns) => {
    const before = [...columns.keys()];
    const text = change(columns);
    if (text === null) return [];
    const kept = before.filter((name) => columns.has(name)).map((name) => [name, name] as const);
    const renamed = /^(?:CHANGE|RENAME COLUMN) (\w+) (?:TO )?(\w+)/.exec(text);
    if (renamed !== null && !text.includes(',')) kept.push([renamed[1]!, renamed[2]!]);
    const [from, to] = [kept.map(([name]) => name), kept.map(([, name]) => name)];
    return [
      'CREATE TABLE _t_new LIKE t',
      `ALTER TABLE _t_new ${text}`,
      `INSERT INTO _t_new (${['id', ...to].join(', ')}) SELECT ${['id', ...from].join(', ')} FROM t`,
      'RENAME TABLE t TO _t_old, _t_new TO t',
      'DROP TABLE _t_old',
    ];
  }),
);
/** What is logged and changes nothing. */
const idle = fc
  .constantFrom(
    'CREATE TABLE IF NOT EXISTS t (id INT PRIMARY KEY, c0 INT, c1 INT)',
    'DROP TABLE IF EXISTS nothing',
    "ALTER TABLE t COMMENT = 'ADD c INT'",
  )
  .map((statement) => ddl(() => [statement]));
const truncate = fc.constant(ddl(() => ['TRUNCATE TABLE t']));

const step = fc.oneof(
  { weight: 8, arbitrary: insert },
  { weight: 4, arbitrary: update },
  { weight: 1, arbitrary: remove },
  { weight: 1, arbitrary: rekey },
  { weight: 6, arbitrary: alter },
  { weight: 2, arbitrary: swap },
  { weight: 1, arbitrary: idle },
  { weight: 1, arbitrary: truncate },
);
const history = fc.array(step, { minLength: 15, maxLength: 40 });

type Named = Readonly<Record<string, unknown>>;
type Table = ReadonlyMap<number, Named>;

/** Before and behind each transaction, by the number that it leaves in `marks`. */
type Snapshots = readonly (readonly [before: Table, after: Table])[];

async function tableNow(session: mysql.Connection): Promise<Table> {
  const [all] = await session.query<mysql.RowDataPacket[]>('SELECT * FROM t');
  return new Map(all.map((row) => [Number(row['id']), plain(row)]));
}

function plain(row: Named): Named {
  const text = (value: unknown): unknown =>
    typeof value === 'number' || typeof value === 'bigint' ? String(value) : value;
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, text(value)]));
}

interface Acted {
  readonly snapshots: Snapshots;
  /** Statements that changed the table, or gave its name to another one. */
  readonly statements: readonly string[];
}

/** Runs the history, and tells what the table was like at each transaction. */
async function act(url: string, steps: readonly Step[]): Promise<Acted> {
  const session = await mysql.createConnection({ uri: url, supportBigNumbers: true, bigNumberStrings: true });
  const columns: Columns = new Map();
  const snapshots: (readonly [Table, Table])[] = [];
  const log: string[] = [];
  try {
    for (const each of steps) {
      const statements = each.statements(columns);
      if (each.kind === 'ddl') {
        for (const statement of statements) {
          log.push(statement);
          await session.query(statement);
        }
        continue;
      }
      const before = await tableNow(session);
      await session.query('BEGIN');
      for (const statement of statements) {
        log.push(statement);
        await session.query(statement);
      }
      await session.query(`INSERT INTO marks VALUES (${snapshots.length})`);
      await session.query('COMMIT');
      snapshots.push([before, await tableNow(session)]);
    }
  } catch (error) {
    throw new Error(log.slice(-3).join('; '), { cause: error });
  } finally {
    await session.end();
  }
  return { snapshots, statements: log.filter((statement) => /^(?:ALTER|RENAME) TABLE t /.test(statement)) };
}

/** Holds the changes of each transaction against what the table was like, and those of the table against what was said. */
function verify(changes: readonly MysqlChange[], { snapshots, statements }: Acted, hint: string): void {
  const said = changes.flatMap((change) =>
    change.kind === 'schema' && change.id.table === 't' && change.ddl !== null ? [change.ddl] : [],
  );
  expect(said, hint).toEqual(statements);
  let of: { id: number; before: Named | null; after: Named | null }[] = [];
  let marks = 0;
  for (const { table, before, after, unreadable } of rowsOf(changes)) {
    expect(unreadable, hint).toBeUndefined();
    if (table.id.table === 'marks') {
      const [was, is] = snapshots[marks]!;
      expect(after, hint).toEqual([marks++]);
      const seen = new Set<number>();
      for (const change of of) {
        if (change.before !== null && !seen.has(change.id))
          expect(change.before, hint).toEqual(was.get(change.id));
        seen.add(change.id);
      }
      const last = new Map(of.map((change) => [change.id, change.after]));
      for (const [id, row] of last) expect(row, hint).toEqual(is.get(id) ?? null);
      of = [];
      continue;
    }
    const named = (row: readonly unknown[] | null): Named | null =>
      row === null ? null : plain(Object.fromEntries(row.map((value, i) => [table.columns[i]!.name, value])));
    const [old, now] = [named(before), named(after)];
    const [oldId, newId] = [Number(old?.['id']), Number(now?.['id'])];
    if (old !== null && now !== null && oldId !== newId) {
      of.push({ id: oldId, before: old, after: null }, { id: newId, before: null, after: now });
    } else {
      of.push({ id: old === null ? newId : oldId, before: old, after: now });
    }
  }
  expect(marks, hint).toBe(snapshots.length);
}

const never = new AbortController().signal;

const SERVERS: readonly [string, () => Promise<MysqlServer>][] = [
  ['MySQL, MINIMAL', () => startMysql({ version: '9', settings: { 'binlog-row-metadata': 'MINIMAL' } })],
  ['MySQL, FULL', () => startMysql({ version: '9', settings: { 'binlog-row-metadata': 'FULL' } })],
  ...oldMysqlVersions
    .filter((version) => version === '8.0')
    .flatMap((version) =>
      ['MINIMAL', 'FULL'].map((metadata): [string, () => Promise<MysqlServer>] => [
        `MySQL ${version}, ${metadata}`,
        () => startMysql({ version, settings: { 'binlog-row-metadata': metadata } }),
      ]),
    ),
  ['MariaDB, NO_LOG', () => startMariadb({ version: '11.8', settings: { 'binlog-row-metadata': 'NO_LOG' } })],
  ['MariaDB, FULL', () => startMariadb({ version: '11.8', settings: { 'binlog-row-metadata': 'FULL' } })],
];

const SEED = Number(process.env['HEADWATER_TEST_SEED'] ?? Date.now() % 1e9);
const ROUNDS = Number(process.env['HEADWATER_TEST_ROUNDS'] ?? 4);

describe.each(SERVERS)('%s metadata', (_product, start) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  test.each(['runs', 'is down', 'is restarted'] as const)(
    'while the daemon %s',
    async (daemon) => {
      for (const [round, steps] of fc.sample(history, { numRuns: ROUNDS, seed: SEED }).entries()) {
        const hint = `seed ${SEED}, round ${round}`;
        const name = `d${daemon.replaceAll(' ', '_')}${round}`;
        await server.query(
          `CREATE DATABASE ${name}; CREATE TABLE ${name}.marks (n INT PRIMARY KEY);
           CREATE TABLE ${name}.t (id INT PRIMARY KEY); INSERT INTO ${name}.t VALUES (1), (2), (3)`,
        );
        const db = { url: server.urlFor({ database: name }), name };
        const options = { tables: [`${name}.t`, `${name}.marks`] };
        const first = makeReader(db, options);
        const { continuity, identity } = await openReader(first);
        if (continuity.kind !== 'fresh') throw new Error('not fresh');
        if (daemon === 'runs') {
          await using _ = first;
          let end: typeof continuity.start | null = null;
          const acting = act(db.url, steps).then(async (acted) => {
            end = (await first.head(never)).position;
            first.nudge();
            return acted;
          });
          const { changes } = await readToEnd(first, continuity.start, {
            done: (at) => end !== null && (first.codec.compare(at, end) ?? -1) >= 0,
          });
          verify(changes, await acting, hint);
          continue;
        }
        // What is there before goes into the state.
        await server.query(`INSERT INTO ${name}.t VALUES (4); DELETE FROM ${name}.t WHERE id = 4`);
        const { position, state } = await readToEnd(first, continuity.start);
        await first[Symbol.asyncDispose]();
        const acted = await act(db.url, steps);
        const changes: MysqlChange[] = [];
        let stored = { position, state };
        for (;;) {
          await using reader = makeReader(db, options);
          await openReader(reader, { stored: { position: stored.position, identity }, state: stored.state });
          const target = (await reader.head(never)).position;
          // Restarted behind each dozen of changes.
          const read = await readToEnd(reader, stored.position, {
            state: stored.state,
            ...(daemon === 'is restarted'
              ? { done: (_position, some) => some.length > 12 || reached(_position) }
              : {}),
          });
          function reached(at: typeof position): boolean {
            return (reader.codec.compare(at, target) ?? -1) >= 0;
          }
          changes.push(...read.changes);
          stored = read;
          if (reached(read.position)) break;
        }
        verify(changes, acted, hint);
      }
    },
    240_000,
  );
});
