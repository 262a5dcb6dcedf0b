/**
 * What gh-ost 1.1 and pt-online-schema-change 3 send to the server, in their order: a table beside the one that is
 * changed is made, altered and filled while the application writes, and takes its place by RENAME.
 */
import mysql from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { makeReader, openReader, plainRows, readToEnd, rowsOf } from '../support/mysql-reader.ts';
import { type MysqlServer, startMariadb, startMysql } from '../support/servers.ts';

/** Migrates `d.t` by `alter`; `columns` are those that both shapes have, old and new. The application writes meanwhile. */
type Migrate = (
  server: MysqlServer,
  migration: { readonly alter: string; readonly columns: readonly (readonly [string, string])[] },
  write: () => Promise<unknown>,
) => Promise<void>;

const lists = (columns: readonly (readonly [string, string])[]) => {
  const quoted = (names: readonly string[], prefix = ''): string =>
    names.map((name) => `${prefix}\`${name}\``).join(', ');
  return {
    old: quoted(columns.map(([name]) => name)),
    now: quoted(columns.map(([, name]) => name)),
    ofNew: quoted(
      columns.map(([name]) => name),
      'NEW.',
    ),
  };
};

const ghost: Migrate = async (server, { alter, columns }, write) => {
  const { old, now } = lists(columns);
  await server.query(`
    drop /* gh-ost */ table if exists \`d\`.\`_t_gho\`; drop /* gh-ost */ table if exists \`d\`.\`_t_ghc\`;
    create /* gh-ost */ table \`d\`.\`_t_ghc\` (
      id bigint auto_increment,
      last_update timestamp not null DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
      hint varchar(64) charset ascii not null,
      value varchar(4096) charset ascii not null,
      primary key(id),
      unique key hint_uidx(hint)
    ) auto_increment=256;
    create /* gh-ost */ table \`d\`.\`_t_gho\` like \`d\`.\`t\`;
    alter /* gh-ost */ table \`d\`.\`_t_gho\` ${alter};
    insert /* gh-ost */ into \`d\`.\`_t_ghc\` (id, hint, value) values (NULLIF(2, 0), 'state', 'GhostTableMigrated')
      on duplicate key update last_update=NOW(), value=VALUES(value);
    insert /* gh-ost \`d\`.\`t\` */ ignore into \`d\`.\`_t_gho\` (${now})
      (select ${old} from \`d\`.\`t\` force index (\`PRIMARY\`) where (\`id\` <= 2) lock in share mode)`);
  await write();
  await server.query(`
    replace /* gh-ost \`d\`.\`_t_gho\` */ into \`d\`.\`_t_gho\` (${now}) select ${old} from \`d\`.\`t\`;
    create /* gh-ost */ table \`d\`.\`_t_del\` (id int auto_increment primary key)
      engine=InnoDB comment='ghost-cut-over-sentry'`);
  const [locking, renaming] = await Promise.all(
    [server.url, server.url].map((uri) => mysql.createConnection({ uri, multipleStatements: true })),
  );
  await locking!.query('lock /* gh-ost */ tables `d`.`t` write, `d`.`_t_del` write');
  const renamed = renaming!.query(
    'rename /* gh-ost */ table `d`.`t` to `d`.`_t_del`, `d`.`_t_gho` to `d`.`t`',
  );
  const waits =
    "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata lock%'";
  while ((await server.query(waits)).length === 0) await server.query('DO SLEEP(0.02)');
  await locking!.query('drop /* gh-ost */ table if exists `d`.`_t_del`; unlock tables');
  await renamed;
  await Promise.all([locking!.end(), renaming!.end()]);
  await server.query(
    'drop /* gh-ost */ table if exists `d`.`_t_ghc`; drop /* gh-ost */ table if exists `d`.`_t_del`',
  );
};

const percona: Migrate = async (server, { alter, columns }, write) => {
  const { old, now, ofNew } = lists(columns);
  const [table] = await server.query<Record<string, string>>('SHOW CREATE TABLE d.t');
  const create = table!['Create Table']!.replace('CREATE TABLE `t`', 'CREATE TABLE `d`.`_t_new`');
  const replace = `REPLACE INTO \`d\`.\`_t_new\` (${now}) VALUES (${ofNew})`;
  await server.query(`${create};
    ALTER TABLE \`d\`.\`_t_new\` ${alter};
    CREATE TRIGGER \`d\`.\`pt_osc_d_t_del\` AFTER DELETE ON \`d\`.\`t\` FOR EACH ROW BEGIN
      DECLARE CONTINUE HANDLER FOR 1146 begin end;
      DELETE IGNORE FROM \`d\`.\`_t_new\` WHERE \`d\`.\`_t_new\`.\`id\` <=> OLD.\`id\`; END;
    CREATE TRIGGER \`d\`.\`pt_osc_d_t_upd\` AFTER UPDATE ON \`d\`.\`t\` FOR EACH ROW BEGIN
      DECLARE CONTINUE HANDLER FOR 1146 begin end;
      DELETE IGNORE FROM \`d\`.\`_t_new\` WHERE !(OLD.\`id\` <=> NEW.\`id\`) AND \`d\`.\`_t_new\`.\`id\` <=> OLD.\`id\`;
      ${replace}; END;
    CREATE TRIGGER \`d\`.\`pt_osc_d_t_ins\` AFTER INSERT ON \`d\`.\`t\` FOR EACH ROW BEGIN
      DECLARE CONTINUE HANDLER FOR 1146 begin end; ${replace}; END;
    INSERT LOW_PRIORITY IGNORE INTO \`d\`.\`_t_new\` (${now}) SELECT ${old} FROM \`d\`.\`t\` LOCK IN SHARE MODE /*pt-online-schema-change 4711 copy table*/`);
  await write();
  await server.query(`
    ANALYZE TABLE \`d\`.\`_t_new\` /* pt-online-schema-change */;
    RENAME TABLE \`d\`.\`t\` TO \`d\`.\`_t_old\`, \`d\`.\`_t_new\` TO \`d\`.\`t\`;
    DROP TABLE IF EXISTS \`d\`.\`_t_old\`;
    DROP TRIGGER IF EXISTS \`d\`.\`pt_osc_d_t_del\`; DROP TRIGGER IF EXISTS \`d\`.\`pt_osc_d_t_upd\`;
    DROP TRIGGER IF EXISTS \`d\`.\`pt_osc_d_t_ins\``);
};

const TOOLS: readonly [string, Migrate][] = [
  ['gh-ost', ghost],
  ['pt-online-schema-change', percona],
];
const SERVERS: readonly [string, () => Promise<MysqlServer>][] = [
  [
    'MySQL without names in its log',
    () => startMysql({ version: '9', settings: { 'binlog-row-metadata': 'MINIMAL' } }),
  ],
  ['MySQL', () => startMysql({ version: '9' })],
  ['MariaDB', () => startMariadb({ version: '11.8', settings: { 'binlog-row-metadata': 'NO_LOG' } })],
];

describe.each(SERVERS)('%s', (_, start) => {
  test.each(TOOLS)(
    'two migrations by %s while nobody reads leave each row its own columns',
    async (_tool, migrate) => {
      await using server = await start();
      await server.query(`CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, a VARCHAR(10), b VARCHAR(10));
      INSERT INTO d.t VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2')`);
      const db = { url: server.url, name: 'd' };
      const options = { tables: ['d.t'] };
      await using first = makeReader(db, options);
      const { continuity, identity } = await openReader(first);
      if (continuity.kind !== 'fresh') throw new Error('not fresh');
      await server.query("UPDATE d.t SET a = 'A' WHERE id = 1");
      const before = await readToEnd(first, continuity.start);
      expect(before.changes).toHaveLength(1);

      // Names that change places, and a column in between, so that types say nothing.
      await migrate(
        server,
        {
          alter: 'CHANGE a x VARCHAR(10), CHANGE b a VARCHAR(10), ADD COLUMN c INT DEFAULT 7 AFTER id',
          columns: [
            ['id', 'id'],
            ['a', 'x'],
            ['b', 'a'],
          ],
        },
        () => server.query("INSERT INTO d.t VALUES (3, 'a3', 'b3'); UPDATE d.t SET b = 'B' WHERE id = 2"),
      );
      await server.query("INSERT INTO d.t (id, x, a) VALUES (4, 'x4', 'a4')");
      await migrate(
        server,
        {
          alter: 'CHANGE x b VARCHAR(10), DROP COLUMN c',
          columns: [
            ['id', 'id'],
            ['x', 'b'],
            ['a', 'a'],
          ],
        },
        () => server.query('DELETE FROM d.t WHERE id = 1'),
      );
      await server.query("UPDATE d.t SET a = 'last' WHERE id = 4");

      await using second = makeReader(db, options);
      await openReader(second, { stored: { position: before.position, identity }, state: before.state });
      const { changes, state } = await readToEnd(second, before.position, { state: before.state });
      expect(rowsOf(changes).every(({ table }) => table.id.table === 't')).toBe(true);
      expect(plainRows(changes)).toEqual([
        { op: 'c', before: null, after: { id: 3, a: 'a3', b: 'b3' } },
        { op: 'u', before: { id: 2, a: 'a2', b: 'b2' }, after: { id: 2, a: 'a2', b: 'B' } },
        { op: 'c', before: null, after: { id: 4, c: 7, x: 'x4', a: 'a4' } },
        { op: 'd', before: { id: 1, c: 7, x: 'A', a: 'b1' }, after: null },
        { op: 'u', before: { id: 4, b: 'x4', a: 'a4' }, after: { id: 4, b: 'x4', a: 'last' } },
      ]);
      expect(changes.filter(({ kind }) => kind === 'schema')).toMatchObject([
        { id: { table: 't' }, ddl: expect.stringMatching(/^rename/i) as string },
        { id: { table: 't' }, ddl: expect.stringMatching(/^rename/i) as string },
      ]);
      // Nothing is left of the tables beside.
      expect([...state.keys()].filter((key) => key.startsWith('followed/'))).toEqual([]);
    },
  );
});
