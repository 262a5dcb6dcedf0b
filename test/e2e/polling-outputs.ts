/** What becomes of polled rows behind the reader: formats, transforms and joins, while everything is killed. */
import { expect } from 'vitest';
import { randomFrom, writeOverlapping } from '../support/overlapping-writers.ts';
import { registeredRecords } from '../support/registered-records.ts';
import type { TestRegistry } from '../support/servers.ts';
import { Headwater, pipelineFile, runToEnd, type Workspace } from './headwater.ts';
import type { PolledShop } from './polled-shop.ts';
import { readFiles } from './topic-records.ts';

const FORMATS = ['avro', 'protobuf', 'json-schema'] as const;
const JOINED = 'joined';
const SEED = 51;
const ORDERS = 20;
const CUSTOMERS = 6;

interface State {
  readonly op: unknown;
  readonly id: number;
  /** Numbers all statements: no state of a row comes twice. */
  readonly v: number;
}

/** Of records of rows; polling delivers no state twice but what the snapshot, marked `r`, has read. */
function statesOf(values: readonly (Readonly<Record<string, unknown>> | null)[]): readonly State[] {
  return values.flatMap((value) => {
    const row = value?.['after'] as Readonly<Record<string, unknown>> | null | undefined;
    return row == null ? [] : [{ op: value?.['op'], id: Number(row['id']), v: Number(row['v']) }];
  });
}

function expectOnce(states: readonly State[], what: string): void {
  const polled = states.filter(({ op }) => op !== 'r').map(({ id, v }) => `${id} ${v}`);
  expect(new Set(polled).size, what).toBe(polled.length);
}

function latest(states: readonly State[]): Readonly<Record<number, number>> {
  return Object.fromEntries(states.map(({ id, v }) => [id, v]));
}

function statements(name: string, schema: string): string {
  return `
    CREATE STREAM orders WITH (CDC_TABLE = '${name}.${schema}.orders');
    CREATE TABLE customers WITH (CDC_TABLE = '${name}.${schema}.customers');
    CREATE STREAM joined WITH (KAFKA_TOPIC = 'joined', FIELD_CASE = 'LOWER') AS
      SELECT o.id AS id, o.customer AS customer, o.v AS v, c.name AS name
      FROM orders o LEFT JOIN customers c ON o.customer = c.id PARTITION BY o.id;
    CREATE TABLE clubs WITH (KAFKA_TOPIC = 'clubs', FIELD_CASE = 'LOWER') AS
      SELECT club, COUNT(*) AS n, SUM(v) AS total FROM customers GROUP BY club;`;
}

export async function followOutputs(
  files: Workspace,
  shop: PolledShop,
  registry: TestRegistry,
): Promise<void> {
  const { schema, moment, query, upsert } = shop;
  await query(`CREATE TABLE customers (id int PRIMARY KEY, v int NOT NULL, name varchar(20), club varchar(20),
    secret varchar(20), updated_at ${moment})`);
  await query(
    `CREATE TABLE orders (id int PRIMARY KEY, v int NOT NULL, customer int, amount decimal(8,2), updated_at ${moment})`,
  );
  await query(
    `INSERT INTO customers VALUES (1, -1, 'n0', 'gold', 'hush', now(3)), (2, -2, 'n0', 'silver', 'hush', now(3))`,
  );
  await query(`INSERT INTO orders VALUES (1, -1, 1, 0.35, now(3)), (2, -2, 1, 2, now(3))`);
  const nameOf = (kind: string): string => `${registry.prefix}_${kind.replace('-', '_')}`;
  const poll = `{ every: 100ms, overlap: 0s, batch_rows: 5, tables: {
    ${schema}.orders: { timestamp: updated_at },
    ${schema}.customers: { timestamp: updated_at, remember: rows, delete_sweep: 1s } } }`.replaceAll(
    '\n',
    ' ',
  );
  const pipeline = (kind: string, more: { emit?: string[]; more?: string[] }): Promise<string> =>
    files.write(
      `${nameOf(kind)}.yaml`,
      pipelineFile({
        name: nameOf(kind),
        url: shop.url,
        tables: [`${schema}.customers`, `${schema}.orders`],
        path: files.path(nameOf(kind)),
        source: ['mode: poll', `poll: ${poll}`],
        emit: more.emit ?? [],
        more: [`state: { dir: ${files.path(`${nameOf(kind)}-state`)} }`, ...(more.more ?? [])],
      }),
    );
  const encoded = await Promise.all(
    FORMATS.map((format) =>
      pipeline(format, { emit: [`format: ${format}`, `registry: { url: ${registry.url} }`] }),
    ),
  );
  const joining = await pipeline(JOINED, {
    emit: [`routes: [{ match: '.*customers', topic: people }]`],
    more: [
      `tables: { ${schema}.customers: { columns: { exclude: [secret] } } }`,
      `enrich: { sql: [${JSON.stringify(statements(nameOf(JOINED), schema))}] }`,
    ],
  });
  const all = [...encoded, joining];
  const sessions = await Promise.all(Array.from({ length: 4 }, () => shop.session()));
  let writing = true;
  const writers = writeOverlapping({
    sessions,
    seed: SEED,
    transactions: 20,
    longestMs: 1_500,
    statement: (random, n) => {
      const customer = 1 + random(CUSTOMERS);
      if (random(3) === 0) {
        const row = { v: String(n), name: `'n${n}'`, club: random(2) === 0 ? `'gold'` : `'silver'` };
        return `INSERT INTO customers VALUES (${customer}, ${row.v}, ${row.name}, ${row.club}, 'hush', now(3)) ${upsert({ ...row, updated_at: 'now(3)' })}`;
      }
      const row = { v: String(n), customer: String(customer) };
      return `INSERT INTO orders VALUES (${1 + random(ORDERS)}, ${row.v}, ${row.customer}, 1.50, now(3)) ${upsert({ ...row, updated_at: 'now(3)' })}`;
    },
  }).finally(() => (writing = false));
  const random = randomFrom(SEED);
  for (let killed = 0; writing || killed < 2; killed++) {
    await using daemon = new Headwater(['run', ...all]);
    for (const kind of [...FORMATS, JOINED])
      await daemon.until(({ state }) => state === 'streaming', nameOf(kind));
    await new Promise((resolve) => setTimeout(resolve, 200 + random(800)));
    await daemon.kill();
  }
  await writers;
  await Promise.all(sessions.map((session) => session.end()));
  await query('DELETE FROM customers WHERE id = 1');
  // Until the sweep is due.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const end = await runToEnd(...all);
  expect(end.exit, end.stderr).toBe(0);

  const tables: Record<string, Readonly<Record<number, number>>> = {};
  for (const table of ['orders', 'customers']) {
    const rows = await query(`SELECT id, v FROM ${table}`);
    tables[table] = Object.fromEntries(rows.map(({ id, v }) => [Number(id), Number(v)]));
  }
  const withFirst = { ...tables['customers'], 1: expect.any(Number) as number };
  for (const format of FORMATS) {
    const records = await registeredRecords(files.path(nameOf(format)), registry);
    const of = (table: string): readonly (Readonly<Record<string, unknown>> | null)[] =>
      records.filter(({ topic }) => topic.endsWith(`.${table}`)).map(({ value }) => value);
    for (const table of ['orders', 'customers']) {
      const states = statesOf(of(table));
      expectOnce(states, `${format} ${table}`);
      expect(latest(states), `${format} ${table}`).toEqual(table === 'orders' ? tables['orders'] : withFirst);
    }
    const gone = of('customers').filter((value) => value?.['op'] === 'd');
    const rowOf = (value: (typeof gone)[number] | undefined): Readonly<Record<string, unknown>> =>
      value?.['before'] as Readonly<Record<string, unknown>>;
    expect(
      gone.map((value) => Number(rowOf(value)['id'])),
      format,
    ).toEqual([1]);
    const lastOfFirst = statesOf(of('customers')).findLast(({ id }) => id === 1)?.v;
    expect(Number(rowOf(gone[0])['v']), format).toBe(lastOfFirst);
    expect(of('orders').every((value) => JSON.stringify(value?.['source']).includes('polling'))).toBe(true);
  }

  const records = await readFiles(files.path(nameOf(JOINED)));
  const people = records.filter(({ topic }) => topic === 'people');
  const orders = records.filter(({ topic }) => topic.endsWith('.orders')).map(({ value }) => value);
  expectOnce(statesOf(people.map(({ value }) => value as never)), 'people');
  expectOnce(statesOf(orders as never), 'orders');
  expect(latest(statesOf(people.map(({ value }) => value as never)))).toEqual(withFirst);
  expect(JSON.stringify(people)).toContain('gold');
  expect(JSON.stringify(people)).not.toContain('hush');
  // Each record of an order is joined once, with a name that its customer has had.
  const joined = records
    .filter(({ topic }) => topic === 'joined')
    .map(({ key, value }) => ({
      id: Buffer.from(key as unknown as string, 'base64').readInt32BE(),
      row: value as unknown as Readonly<Record<string, unknown>>,
    }));
  const keyed = ({ id, row }: (typeof joined)[number]): string => `${id} ${Number(row['v'])}`;
  expect(joined.map(keyed).toSorted()).toEqual(
    statesOf(orders as never)
      .map(({ id, v }) => `${id} ${v}`)
      .toSorted(),
  );
  const names = new Map<number, Set<unknown>>();
  for (const { value } of people) {
    const row = (value as never as { after: Readonly<Record<string, unknown>> | null } | null)?.after;
    if (row == null) continue;
    const id = Number(row['id']);
    names.set(id, (names.get(id) ?? new Set()).add(row['name']));
  }
  for (const { row } of joined) {
    if (row['name'] !== null) expect(names.get(Number(row['customer']))).toContain(row['name']);
  }
  expect(joined.some(({ row }) => row['name'] !== null)).toBe(true);
  const clubs = new Map(
    records
      .filter(({ topic }) => topic === 'clubs')
      .map(({ key, value }) => [JSON.stringify(key), value as unknown]),
  );
  const wanted = await query('SELECT COUNT(*) AS n, SUM(v) AS total FROM customers GROUP BY club');
  const sums = (rows: readonly unknown[]): readonly string[] =>
    rows
      .flatMap((row) => (row === null ? [] : [row as Readonly<Record<string, unknown>>]))
      .map(({ n, total }) => `${Number(n)} ${Number(total)}`)
      .toSorted();
  expect(sums([...clubs.values()])).toEqual(sums(wanted));
}
