/** Whatever becomes of a table, a reader of its topic rebuilds it exactly. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { pipelineFile, runToEnd, workspace } from '../e2e/headwater.ts';
import { registeredRecords } from '../support/registered-records.ts';
import { testDatabase, testRegistry } from '../support/servers.ts';

/** A statement, made for the columns the table has when its turn comes. */
type Step = (columns: Map<string, string>) => string | null;

const TYPES = ['int', 'bigint', 'text', 'boolean', 'numeric(8,2)', 'double precision'] as const;

function literal(type: string, n: number): string {
  if (n % 5 === 0) return 'NULL';
  if (type === 'text') return `'text ${n}'`;
  return type === 'boolean' ? String(n % 2 === 0) : String(n % 1000);
}

const nth = (columns: Map<string, string>, n: number): string | undefined =>
  [...columns.keys()][n % columns.size];

const insert = fc.tuple(fc.integer({ min: 1, max: 30 }), fc.nat(1e6)).map(([id, n]): Step => (columns) => {
  const names = [...columns.keys()];
  const values = names.map((name, i) => literal(columns.get(name)!, n + i));
  const sets = names.map((name) => `${name} = EXCLUDED.${name}`);
  const act = sets.length === 0 ? 'DO NOTHING' : `DO UPDATE SET ${sets.join(', ')}`;
  return `INSERT INTO t (${['id', ...names].join(', ')}) VALUES (${[id, ...values].join(', ')}) ON CONFLICT (id) ${act}`;
});
const update = fc.tuple(fc.nat(), fc.nat(1e6)).map(([column, n]): Step => (columns) => {
  const name = nth(columns, column);
  return name === undefined
    ? null
    : `UPDATE t SET ${name} = ${literal(columns.get(name)!, n)} WHERE id % 3 = ${n % 3}`;
});
const remove = fc.nat(5).map(
  (n): Step =>
    () =>
      `DELETE FROM t WHERE id % 6 = ${n}`,
);
const rekey = fc.integer({ min: 1, max: 30 }).map(
  (id): Step =>
    () =>
      `UPDATE t SET id = id + 100 WHERE id = ${id} AND NOT EXISTS (SELECT FROM t WHERE id = ${id + 100})`,
);
const add = fc
  .tuple(fc.nat(9), fc.constantFrom(...TYPES), fc.boolean())
  .map(([n, type, filled]): Step => (columns) => {
    const name = `c${n}`;
    if (columns.has(name)) return null;
    columns.set(name, type);
    return `ALTER TABLE t ADD COLUMN ${name} ${type}${filled ? ` DEFAULT ${literal(type, 1)}` : ''}`;
  });
const drop = fc.nat().map((n): Step => (columns) => {
  const name = nth(columns, n);
  if (name === undefined) return null;
  columns.delete(name);
  return `ALTER TABLE t DROP COLUMN ${name}`;
});
const rename = fc.tuple(fc.nat(), fc.nat(9)).map(([n, to]): Step => (columns) => {
  const name = nth(columns, n);
  if (name === undefined || columns.has(`c${to}`)) return null;
  const entries = [...columns].map(([each, type]) => [each === name ? `c${to}` : each, type] as const);
  columns.clear();
  for (const [each, type] of entries) columns.set(each, type);
  return `ALTER TABLE t RENAME COLUMN ${name} TO c${to}`;
});
const widen = fc.nat().map((n): Step => (columns) => {
  const name = nth(columns, n);
  if (name === undefined) return null;
  columns.set(name, 'text');
  return `ALTER TABLE t ALTER COLUMN ${name} TYPE text USING ${name}::text`;
});

const step = fc.oneof(
  { weight: 6, arbitrary: insert },
  { weight: 3, arbitrary: update },
  { weight: 1, arbitrary: remove },
  { weight: 1, arbitrary: rekey },
  { weight: 2, arbitrary: add },
  { weight: 1, arbitrary: drop },
  { weight: 1, arbitrary: rename },
  { weight: 1, arbitrary: widen },
);
/** Transactions, some of which the daemon meets running, others after they are over. */
const history = fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 4, maxLength: 10 });

test('a reader of the topic rebuilds the table exactly, through random DDL and rows', async () => {
  const registry = await testRegistry();
  const seed = Number(process.env['HEADWATER_TEST_SEED'] ?? Date.now() % 1e9);
  for (const [round, transactions] of fc.sample(history, { numRuns: 4, seed }).entries()) {
    await using database = await testDatabase();
    await using work = await workspace();
    await database.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3);');
    const file = await work.write(
      'shop.yaml',
      pipelineFile({
        name: `${registry.prefix}r${round}`,
        url: database.url,
        tables: ['public.t'],
        path: work.path('out'),
        emit: ['format: avro', `registry: { url: ${registry.url} }`],
      }),
    );
    expect(await runToEnd(file)).toMatchObject({ exit: 0 });
    const columns = new Map<string, string>();
    for (const steps of transactions) {
      const statements = steps.flatMap((each) => each(columns) ?? []);
      await database.query(['BEGIN', ...statements, 'COMMIT'].join(';\n'));
    }
    // The last record of each row has the last of all schemas.
    await database.query('UPDATE t SET id = id');
    expect(await runToEnd(file)).toMatchObject({ exit: 0 });

    const table = new Map<unknown, Readonly<Record<string, unknown>>>();
    for (const { key, value } of await registeredRecords(work.path('out'), registry)) {
      if (value === null || value['op'] === 'd') table.delete(key!['id']);
      else table.set(key!['id'], value['after'] as Readonly<Record<string, unknown>>);
    }
    const rows = await database.query('SELECT * FROM t ORDER BY id');
    const found = [...table.values()].sort((a, b) => Number(a['id']) - Number(b['id']));
    expect(
      found.map((row) => plainRow(row, columns)),
      `seed ${seed}`,
    ).toEqual(rows.map((row) => plainRow(row, columns)));
  }
}, 300_000);

/** Every column, in one form whether it was read from the topic or the table. */
function plainRow(row: Readonly<Record<string, unknown>>, columns: ReadonlyMap<string, string>): unknown {
  expect(Object.keys(row).sort()).toEqual(['id', ...columns.keys()].sort());
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, plain(value, columns.get(name))]),
  );
}

function plain(value: unknown, type: string | undefined): unknown {
  if (value === null) return null;
  if (Buffer.isBuffer(value)) {
    // The unscaled value of a numeric(8,2).
    return Number(BigInt.asIntN(value.length * 8, BigInt(`0x${value.toString('hex')}`))) / 100;
  }
  return type === 'text' || type === 'boolean' ? value : Number(value);
}
