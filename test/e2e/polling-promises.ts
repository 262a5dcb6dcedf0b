/** What docs/polling.md says of polling, on whichever server. */
import { expect } from 'vitest';
import { Headwater, headwater, type Workspace } from './headwater.ts';
import type { PolledShop } from './polled-shop.ts';
import {
  caughtUp,
  changesByKey,
  changeText,
  delivered,
  polledPipeline,
  polledRows,
  replayed,
} from './polling-support.ts';

const shown = (row: unknown): string => JSON.stringify(row, ['id', 'v']);

/** Rows without a time: new, changed while they have none, given one, and losing it. */
export async function followNulls(files: Workspace, shop: PolledShop): Promise<void> {
  const { query, moment, schema } = shop;
  await query(`CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, changed ${moment}, made ${moment})`);
  await query(
    `INSERT INTO t VALUES (1, 1, NULL, NULL), (2, 2, NULL, NULL), (3, 3, NULL, now(3)), (4, 4, now(3), NULL)`,
  );
  const polled = await polledPipeline(files, {
    url: shop.url,
    tables: [`${schema}.t`],
    poll: `{ every: 100ms, overlap: 0s, tables: { ${schema}.t: { timestamp: [changed, made] } } }`,
  });
  await caughtUp(polled);
  await caughtUp(polled);
  // What was there is not found anew behind the snapshot.
  expect((await polledRows(polled)).map(({ op }) => op)).toEqual(['r', 'r', 'r', 'r']);
  await query('UPDATE t SET v = 10 WHERE id = 1');
  await query('UPDATE t SET v = 20, changed = now(3) WHERE id = 2');
  await query('UPDATE t SET v = 30, made = NULL WHERE id = 3');
  await query('INSERT INTO t VALUES (5, 50, NULL, NULL)');
  await caughtUp(polled);
  await query('UPDATE t SET v = 11 WHERE id = 1');
  await query('UPDATE t SET v = 21, changed = NULL, made = now(3) WHERE id = 2');
  await query('UPDATE t SET v = 51, changed = now(3) WHERE id = 5');
  await caughtUp(polled);
  await caughtUp(polled);
  const all = await polledRows(polled);
  expect(changesByKey(all, ['v'])).toEqual({
    '{"id":1}': ['r - 1', 'u - 10', 'u - 11'],
    '{"id":2}': ['r - 2', 'u - 20', 'u - 21'],
    '{"id":3}': ['r - 3', 'u - 30'],
    '{"id":4}': ['r - 4'],
    '{"id":5}': ['u - 50', 'u - 51'],
  });
  const rows = await query('SELECT id, v FROM t');
  expect(replayed(all).map(shown).toSorted()).toEqual(rows.map(shown).toSorted());
}

/** An order that is entered, whose address is corrected twice, and that is shipped, all between two polls. */
export async function followOrder(files: Workspace, shop: PolledShop): Promise<void> {
  const { query, moment, schema } = shop;
  await query(
    `CREATE TABLE orders (id int PRIMARY KEY, status varchar(10), address varchar(20), updated_at ${moment})`,
  );
  const table = `${schema}.orders`;
  const pipeline = (mode: string) =>
    polledPipeline(files, {
      url: shop.url,
      mode,
      tables: [table],
      poll: `{ every: 1s, tables: { ${table}: { timestamp: updated_at } } }`,
    });
  const [polled, logged] = [await pipeline('poll'), await pipeline('log')];
  for (const each of [polled, logged]) await caughtUp(each);
  await query(`INSERT INTO orders VALUES (1, 'PENDING', 'first', now(3))`);
  await query(`UPDATE orders SET address = 'second', updated_at = now(3)`);
  await query(`UPDATE orders SET address = 'third', updated_at = now(3)`);
  await query(`UPDATE orders SET status = 'SHIPPED', updated_at = now(3)`);
  for (const each of [polled, logged]) await caughtUp(each);
  const seen = async (each: typeof polled): Promise<readonly string[]> =>
    (await polledRows(each)).map(({ op, after, source }) =>
      [source['connector'], op, after?.['status'], after?.['address']].join(' '),
    );
  expect(await seen(polled)).toEqual(['polling u SHIPPED third']);
  expect(await seen(logged)).toEqual(
    ['c PENDING first', 'u PENDING second', 'u PENDING third', 'u SHIPPED third'].map(
      (change) => `${shop.connector} ${change}`,
    ),
  );
}

/** Without a memory of rows a new one is an upsert; and what a pipeline says of itself. */
export async function followStatus(files: Workspace, shop: PolledShop, serial: string): Promise<void> {
  const { query, moment, schema } = shop;
  await query(`CREATE TABLE stamped (id int PRIMARY KEY, v int, updated_at ${moment})`);
  await query(`CREATE TABLE numbered (id ${serial} PRIMARY KEY, v int)`);
  await query('INSERT INTO stamped VALUES (1, 1, now(3))');
  await query('INSERT INTO numbered (v) VALUES (1)');
  const polled = await polledPipeline(files, {
    url: shop.url,
    tables: [`${schema}.*`],
    poll: `{ every: 100ms, tables: { ${schema}.stamped: { timestamp: updated_at }, ${schema}.numbered: { incrementing: id } } }`,
  });
  await using daemon = new Headwater(['run', polled.file]);
  await daemon.until(({ state }) => state === 'streaming');
  await query('INSERT INTO stamped VALUES (2, 2, now(3))');
  await query('INSERT INTO numbered (v) VALUES (2)');
  await delivered(polled, (rows) => rows.length >= 4);
  await query('UPDATE stamped SET v = 20, updated_at = now(3) WHERE id = 2');
  await delivered(polled, (rows) => rows.length >= 5);
  const status = await daemon.until(({ caughtUp: done }) => done);
  expect(status.capture).toEqual({ mode: 'poll', reason: null });
  expect((await daemon.get('/healthz')).status).toBe(200);
  expect((await daemon.get('/readyz')).status).toBe(200);
  const { body } = await daemon.get('/metrics');
  const metric = (name: string): number =>
    Number(new RegExp(`^headwater_${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(body)?.[1]);
  expect(metric('polling')).toBe(1);
  expect(metric('connected')).toBe(1);
  expect(metric('caught_up')).toBe(1);
  expect(metric('captured_tables')).toBe(2);
  expect(metric('snapshot_completed')).toBe(1);
  expect(metric('total_number_of_create_events_seen')).toBe(1);
  expect(metric('total_number_of_update_events_seen')).toBe(2);
  expect(metric('records_total')).toBe(5);
  expect(metric('milliseconds_behind_source')).toBeGreaterThanOrEqual(0);
  // What is lost is said once of each table, and stands in the status.
  const limits = Object.fromEntries(status.tables.map(({ table, limitation }) => [table, limitation]));
  expect(limits).toEqual({
    [`${schema}.stamped`]: `${schema}.stamped is polled: states between two polls and deletes are not seen, and updates that leave the timestamp as it is.`,
    [`${schema}.numbered`]: `${schema}.numbered is polled: states between two polls and updates and deletes are not seen.`,
  });
  await daemon.stop();
  const said = daemon.log.map(({ msg }) => msg).filter((msg) => msg.includes('is polled:'));
  expect(said).toHaveLength(2);
  expect(new Set(said)).toEqual(new Set(Object.values(limits)));
  const seen = (await polledRows(polled)).map(
    (row) => `${String(row.source['table'])} ${changeText(row, ['v'])}`,
  );
  expect(seen.toSorted()).toEqual([
    'numbered c - 2',
    'numbered r - 1',
    'stamped r - 1',
    'stamped u - 2',
    'stamped u - 20',
  ]);
}

/** The index that is missing is named, and serves when it is made. */
export async function followDoctor(files: Workspace, shop: PolledShop, fill: string): Promise<void> {
  const { query, moment, schema } = shop;
  await query(`CREATE TABLE t (id int PRIMARY KEY, pad varchar(200), changed ${moment}, made ${moment})`);
  await query(`INSERT INTO t ${fill}`);
  await query(shop.connector === 'postgresql' ? 'ANALYZE t' : 'ANALYZE TABLE t');
  const table = `${schema}.t`;
  const pipelines: readonly (readonly [timestamp: string, mode: string])[] = [
    ['made', 'timestamp'],
    // MariaDB has no index on an expression.
    ...(shop.connector === 'mariadb' ? [] : [['[changed, made]', 'timestamp'] as const]),
  ];
  const made: string[] = [];
  for (const [timestamp, mode] of pipelines) {
    const { file } = await polledPipeline(files, {
      url: shop.url,
      tables: [table],
      poll: `{ tables: { ${table}: { timestamp: ${timestamp} } } }`,
    });
    // Indexes of MySQL have a name of their own.
    if (shop.connector !== 'postgresql' && made.length > 0) await query('DROP INDEX headwater_poll ON t');
    const before = await headwater(['doctor', file]);
    expect(before.stdout).toContain(`No index serves the polling of ${table}`);
    const statement = /CREATE INDEX [^;]*;/.exec(before.stdout.replaceAll(/\n\s+/g, ' '))?.[0];
    expect(statement, before.stdout).toBeDefined();
    await query(statement!);
    made.push(statement!);
    await query(shop.connector === 'postgresql' ? 'ANALYZE t' : 'ANALYZE TABLE t');
    const { stdout } = await headwater(['doctor', file]);
    expect(stdout).toContain(`An index serves the polling of ${table} (${mode}).`);
  }
}

/** One connection, statements of so many rows at most, and rest behind what takes long. */
export async function followLoad(
  files: Workspace,
  shop: PolledShop,
  of: { readonly sessions: string; readonly slow: string },
): Promise<void> {
  const { query, moment, schema } = shop;
  for (const table of ['a', 'b', 'c'])
    await query(`CREATE TABLE ${table} (id int PRIMARY KEY, updated_at ${moment})`);
  const polled = await polledPipeline(files, {
    url: shop.url,
    tables: [`${schema}.*`],
    poll: `{ every: 100ms, overlap: 0s, batch_rows: 20, tables: { ${schema}.a: { timestamp: updated_at } } }`,
  });
  {
    await using daemon = new Headwater(['run', polled.file]);
    await daemon.until(({ state, caughtUp: done }) => state === 'streaming' && done);
    // One session of ours, which is not counted; what snapshots have used may take a moment to go.
    const session = await shop.session();
    const count = async (): Promise<number> => Number((await session.query(of.sessions))[0]?.['n']);
    while ((await count()) > 1) await new Promise((resolve) => setTimeout(resolve, 50));
    const counts: number[] = [];
    for (let round = 0; round < 30; round++) {
      const rows = Array.from({ length: 10 }, (_, i) => `(${round * 10 + i}, now(3))`).join(', ');
      for (const table of ['a', 'b', 'c']) await session.query(`INSERT INTO ${table} VALUES ${rows}`);
      counts.push(await count());
    }
    await session.end();
    expect(Math.max(...counts)).toBe(1);
    await delivered(polled, (rows) => rows.length >= 900);
    await daemon.stop();
  }
  const sizes = new Map<unknown, number>();
  for (const { source } of await polledRows(polled))
    sizes.set(source['batch'], (sizes.get(source['batch']) ?? 0) + 1);
  expect(Math.max(...sizes.values())).toBeLessThanOrEqual(20);
  const slow = await polledPipeline(files, {
    url: shop.url,
    tables: ['reports.slow'],
    poll: `{ every: 100ms, time_zone: UTC, tables: { reports.slow: { query: "${of.slow}", key: id } } }`,
  });
  await using daemon = new Headwater(['run', slow.file]);
  // Each time there is something new.
  const all = await delivered(slow, (rows) => rows.filter(({ op }) => op === 'u').length >= 3);
  await daemon.stop();
  const times = all.filter(({ op }) => op === 'u').map(({ source }) => Number(source['ts_us']) / 1e6);
  // It takes a tenth of a second at least, and a tenth of the time at most.
  for (const [i, time] of times.slice(1).entries()) expect(time - times[i]!).toBeGreaterThan(0.9);
}
