/** What `doctor` says of servers that lack something. */
import { expect, test } from 'vitest';
import { preflight } from '../../src/readers/mysql/preflight.ts';
import type { Finding } from '../../src/readers/reader.ts';
import { compileTablePatterns } from '../../src/readers/table-patterns.ts';
import { connectOptions, makeReader, readerOptions } from '../support/mysql-reader.ts';
import { startMariadb, startMysql } from '../support/servers.ts';

const SETUP = `CREATE DATABASE shop; CREATE TABLE shop.orders (id int PRIMARY KEY); CREATE TABLE shop.log (v int);
  CREATE TABLE shop.old (v int) ENGINE = MyISAM`;

const POOR = { 'binlog-format': 'STATEMENT', 'binlog-row-image': 'MINIMAL' };

async function check(url: string, overrides: Parameters<typeof readerOptions>[1] = {}) {
  const tables = ['shop.*'];
  const options = readerOptions({ url, name: 'shop' }, { tables, ...overrides });
  const patterns = compileTablePatterns(options.tables);
  const findings = await preflight(options, patterns, new AbortController().signal);
  return {
    of: (name: string): readonly Finding[] => findings.filter((finding) => finding.check === name),
    errors: findings.filter(({ level }) => level === 'error').map(({ code }) => code),
    worries: findings.filter(({ level }) => level !== 'ok').map((finding) => finding.check),
  };
}

test('a server as it should be, and users who may not', async () => {
  await using server = await startMysql({ version: '9', password: 'secret' });
  await server.query(SETUP);
  const good = await check(server.urlFor({ password: 'secret' }));
  expect(good.errors).toEqual([]);
  expect(good.worries).toEqual(['keys']);
  expect(good.of('keys')[0]).toMatchObject({ fix: 'ALTER TABLE `shop`.`old` ENGINE = InnoDB;' });
  await server.query(`CREATE USER 'o''neil'@'%'; GRANT SELECT ON shop.orders TO 'o''neil'@'%'`);
  const poor = await check(server.urlFor({ user: "o'neil", password: '' }), { tables: ['shop.orders'] });
  expect(poor.errors).toEqual(['source.privilege-missing']);
  expect(poor.of('privileges')[0]?.fix).toBe(
    "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'o''neil'@'%';",
  );
  expect(poor.of('snapshot')[0]).toMatchObject({
    level: 'warning',
    fix: "GRANT LOCK TABLES ON `shop`.* TO 'o''neil'@'%';",
  });
  await server.query(`CREATE USER blind@'%'; GRANT INSERT ON shop.orders TO blind@'%'`);
  const blind = await check(server.urlFor({ user: 'blind', password: '' }), { tables: ['shop.orders'] });
  expect(blind.of('tables')[0]).toMatchObject({
    code: 'source.privilege-missing',
    fix: "GRANT SELECT ON `shop`.`orders` TO 'blind'@'%';",
  });
  const url = server.urlFor({ user: 'blind', password: '' });
  const elsewhere = await check(url, { connect: { ...connectOptions(url), database: 'mysql' } });
  expect(elsewhere.of('database')[0]).toMatchObject({
    code: 'source.privilege-missing',
    fix: "GRANT SELECT ON `mysql`.* TO 'blind'@'%'; or leave the database out of source.url, which needs none.",
  });
  expect(elsewhere.of('privileges')[0]).toMatchObject({ level: 'error' });
  const none = await check(server.urlFor({ password: 'secret' }), { tables: ['shop.nothing'] });
  expect(none.errors).toEqual(['settings.no-table-matches']);
  const database = { url: server.urlFor({ password: 'secret' }), name: 'shop' };
  await using reader = makeReader(database, { tables: ['shop.orders', 'shop.gone'] });
  const { signal } = new AbortController();
  await expect(reader.tables(signal)).rejects.toMatchObject({ code: 'settings.no-table-matches' });
  const unmatched: string[] = [];
  const left = await reader.tables(signal, (message) => unmatched.push(message));
  expect(left.map(({ id }) => id.table)).toEqual(['orders']);
  expect(unmatched).toEqual([expect.stringContaining('shop.gone')]);
  const wrong = await check(server.urlFor({ password: 'wrong' }));
  expect(wrong.errors).toEqual(['source.auth-failed']);
  const twice = await check(server.urlFor({ password: 'secret' }), { serverId: 1, connector: 'mariadb' });
  expect(twice.errors).toEqual(['source.version-unsupported', 'source.server-id-clash']);
});

test('settings of the log', async () => {
  await using server = await startMysql({
    version: '9',
    settings: {
      'binlog-format': 'STATEMENT',
      'binlog-row-image': 'MINIMAL',
      'binlog-row-metadata': 'MINIMAL',
      'binlog-expire-logs-seconds': '3600',
      'gtid-mode': 'OFF',
      'enforce-gtid-consistency': 'OFF',
    },
  });
  await server.query(SETUP);
  const found = await check(server.url, { includeQuery: true });
  expect(found.errors).toEqual(['source.binlog-format']);
  const fixes = ['binlog', 'row image', 'row metadata', 'statements', 'retention'].map(
    (name) => found.of(name)[0]?.fix,
  );
  expect(fixes).toEqual([
    "SET PERSIST binlog_format = 'ROW';",
    "SET PERSIST binlog_row_image = 'FULL';",
    "SET PERSIST binlog_row_metadata = 'FULL';",
    'SET PERSIST binlog_rows_query_log_events = ON;',
    'SET PERSIST binlog_expire_logs_seconds = 604800;',
  ]);
  expect(found.of('gtid')[0]).toMatchObject({ level: 'warning' });
  for (const statement of fixes) await server.query(statement!);
  for (const mode of ['OFF_PERMISSIVE', 'ON_PERMISSIVE', 'ON']) {
    if (mode === 'OFF_PERMISSIVE') await server.query('SET @@GLOBAL.enforce_gtid_consistency = ON');
    await server.query(`SET @@GLOBAL.gtid_mode = ${mode}`);
  }
  // The statements are right if they help.
  const mended = await check(server.url, { includeQuery: true });
  expect(mended.errors).toEqual([]);
  expect(mended.worries).toEqual(['keys']);
  await server.restart({ 'skip-log-bin': '1' });
  expect((await check(server.url)).errors).toContain('source.binlog-off');
});

test('MariaDB', async () => {
  await using server = await startMariadb({ version: '11.8', settings: { 'binlog-row-metadata': 'NO_LOG' } });
  await server.query(SETUP);
  const found = await check(server.url);
  expect(found.errors).toEqual([]);
  expect(found.of('row metadata')[0]?.fix).toContain("SET GLOBAL binlog_row_metadata = 'FULL'");
  await server.query(`CREATE USER reader@'%'; GRANT SELECT ON shop.* TO reader@'%'`);
  const poor = await check(server.urlFor({ user: 'reader' }), { tables: ['shop.orders'] });
  expect(poor.of('privileges')[0]?.fix).toBe(
    "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'reader'@'%';",
  );
  expect(poor.of('snapshot')[0]?.fix).toBe("GRANT BINLOG ADMIN ON *.* TO 'reader'@'%';");
});

test.each([
  ['MySQL 5.6', () => startMysql({ version: '5.6', settings: { ...POOR, 'expire-logs-days': '1' } })],
  ['MariaDB', () => startMariadb({ version: '11.8', settings: { ...POOR, 'expire-logs-days': '1' } })],
])('%s: each lack has the statement that ends it', async (_, start) => {
  await using server = await start();
  await server.query(SETUP);
  const lacks = ['binlog', 'row image', 'retention'];
  const found = await check(server.url);
  expect(found.errors).toEqual(['source.binlog-format']);
  for (const name of lacks) {
    const fix = found.of(name)[0]!.fix!;
    expect(fix).toMatch(/^SET GLOBAL .*; and .* in the server’s configuration\.$/);
    await server.query(fix.slice(0, fix.indexOf(';')));
  }
  const mended = await check(server.url);
  expect(mended.errors).toEqual([]);
  expect(lacks.filter((name) => mended.worries.includes(name))).toEqual([]);
});

test('a replica that does not log what it applies, and a log that is kept for ever', async () => {
  await using source = await startMysql({ version: '9', settings: { 'server-id': '11' } });
  await using replica = await startMysql({
    version: '9',
    settings: { 'server-id': '12', 'log-replica-updates': 'OFF', 'binlog-expire-logs-auto-purge': 'OFF' },
  });
  await replica.query(`CHANGE REPLICATION SOURCE TO SOURCE_HOST='${source.host}', SOURCE_PORT=${source.port},
    SOURCE_USER='root', SOURCE_AUTO_POSITION=1, SOURCE_SSL=0, GET_SOURCE_PUBLIC_KEY=1; ${SETUP}`);
  const found = await check(replica.url);
  expect(found.of('replica')[0]).toMatchObject({
    code: 'source.binlog-off',
    fix: 'In its configuration: log_replica_updates = ON; then restart it.',
  });
  expect(found.of('retention')).toMatchObject([{ level: 'ok' }]);
});

test('what foreign keys do to rows is told where the log does not have it', async () => {
  const tables = `CREATE DATABASE shop; CREATE TABLE shop.p (id INT PRIMARY KEY);
    CREATE TABLE shop.c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES shop.p (id) ON DELETE CASCADE);
    CREATE TABLE shop.r (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES shop.p (id))`;
  await using mariadb = await startMariadb({ version: '11.8' });
  await using mysql = await startMysql({ version: '9' });
  for (const server of [mariadb, mysql]) await server.query(tables);
  expect((await check(mariadb.url)).of('foreign keys')).toMatchObject([
    { level: 'warning', message: expect.stringContaining(' rows of shop.c is not ') as string },
  ]);
  expect((await check(mariadb.url, { tables: ['shop.r'] })).of('foreign keys')).toEqual([]);
  // This one does it itself, and logs it.
  expect((await check(mysql.url)).of('foreign keys')).toEqual([]);
});
