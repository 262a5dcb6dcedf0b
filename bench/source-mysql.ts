/** MySQL or MariaDB as the source of a benchmark. */
import { setTimeout as sleep } from 'node:timers/promises';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { startMariadb } from '../src/local-servers/mariadb.ts';
import { startMysql } from '../src/local-servers/mysql.ts';
import { mysqlTool } from '../src/local-servers/mysql-programs.ts';
import { type Floor, inProcess } from './floor.ts';
import type { LogStart } from './floor-worker.ts';
import {
  type BenchSource,
  type ChangeLogCounts,
  changeLogCounts,
  type Product,
  type Writer,
} from './source.ts';

type MysqlProduct = Exclude<Product, 'postgres'>;

const TELLING_SETTINGS = [
  'binlog_format',
  'binlog_row_image',
  'innodb_buffer_pool_size',
  'innodb_flush_log_at_trx_commit',
  'sync_binlog',
];

const DATABASE = 'bench';

export async function startMysqlSource(product: MysqlProduct): Promise<BenchSource> {
  await using stack = new AsyncDisposableStack();
  const named = process.env[product === 'mysql' ? 'BENCH_MYSQL_URL' : 'BENCH_MARIADB_URL'];
  const url = named ?? (await startOwn(product, stack));
  const databaseUrl = new URL(url);
  databaseUrl.pathname = `/${DATABASE}`;
  const client = await mysql.createConnection({ uri: url, multipleStatements: true });
  stack.defer(() => client.end());
  await client.query(`CREATE DATABASE IF NOT EXISTS ${DATABASE}; USE ${DATABASE}`);
  const rest = stack.move();
  return {
    address: { product, databaseUrl: databaseUrl.href, schema: DATABASE },
    keyOnlyBefore: false,
    describe: () => describe(client, product),
    createOrders: (rows) => createOrders(client, product, rows),
    insertMany: (options) => insertMany(client, product, options),
    writeChangeLog: (options) => writeChangeLog(client, options),
    deleteFrom: async (id) => {
      await client.query('DELETE FROM orders WHERE id >= ?', [id]);
    },
    openWriter: () => openWriter(databaseUrl.href),
    settle: async () => {
      await client.query('FLUSH LOGS');
    },
    untilRead: (_, signal) => untilDumped(client, signal),
    forget: () => Promise.resolve(), // nothing is kept for who reads the log
    measureTableFloor: async (rows) => ({
      name: 'SELECT received',
      floorOf: 'snapshot',
      events: rows,
      ...(await inProcess({ kind: 'select', databaseUrl: databaseUrl.href, rows })),
    }),
    prepareLogFloors: () => prepareLogFloors(client, product, databaseUrl.href),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/** Set as on a server that matters, with room for what is measured. */
async function startOwn(product: MysqlProduct, stack: AsyncDisposableStack): Promise<string> {
  const settings = { 'innodb-buffer-pool-size': '512M' };
  const server =
    product === 'mysql'
      ? await startMysql({
          version: '9',
          durable: true,
          settings: { ...settings, 'innodb-redo-log-capacity': '2G' },
        })
      : await startMariadb({
          version: '11.8',
          durable: true,
          settings: { ...settings, 'innodb-log-file-size': '2G' },
        });
  return stack.use(server).url;
}

async function rowsOf(client: Connection, sql: string): Promise<readonly RowDataPacket[]> {
  const [rows] = await client.query<RowDataPacket[]>(sql);
  return rows;
}

async function describe(client: Connection, product: MysqlProduct): Promise<string> {
  const list = TELLING_SETTINGS.map((name) => `@@${name} AS ${name}`).join(', ');
  const [row] = await rowsOf(client, `SELECT VERSION() AS version, ${list}`);
  const settings = TELLING_SETTINGS.map((name) => `${name} ${row?.[name]}`).join(', ');
  return `${product === 'mysql' ? 'MySQL' : 'MariaDB'} ${row?.['version']} (${settings})`;
}

async function createOrders(client: Connection, product: MysqlProduct, rows: number): Promise<void> {
  await client.query(`DROP TABLE IF EXISTS orders;
    CREATE TABLE orders (
      id BIGINT PRIMARY KEY,
      customer_id INT NOT NULL,
      status VARCHAR(16) NOT NULL,
      amount DECIMAL(10,2) NOT NULL,
      note VARCHAR(64),
      created_at TIMESTAMP(6) NOT NULL,
      updated_at TIMESTAMP(6) NOT NULL
    )`);
  for (let after = 0; after < rows; after += 100_000)
    await insertMany(client, product, { after, rows: Math.min(100_000, rows - after) });
  await client.query('ANALYZE TABLE orders; FLUSH LOGS');
}

/** No time ends in a zero: the peer's snapshot drops such digits, and its stream does not. */
async function insertMany(
  client: Connection,
  product: MysqlProduct,
  { after, rows }: { readonly after: number; readonly rows: number },
): Promise<void> {
  await client.query(
    `SET SESSION ${product === 'mysql' ? 'cte_max_recursion_depth' : 'max_recursive_iterations'} = ${rows + 1};
     INSERT INTO orders
       WITH RECURSIVE g (n) AS (SELECT ${after + 1} UNION ALL SELECT n + 1 FROM g WHERE n < ${after + rows})
       SELECT n, ${random('n', 'c', 100_000)}, ${status('n')}, ${random('n', 'a', 500_000)} / 100, ${note('n')},
              TIMESTAMPADD(MICROSECOND, n * 17123450 + 7, '2024-01-01'), TIMESTAMPADD(MICROSECOND, n * 17654320 + 1, '2024-01-02')
       FROM g`,
  );
}

async function writeChangeLog(
  client: Connection,
  { rows, changes }: { readonly rows: number; readonly changes: number },
): Promise<ChangeLogCounts> {
  const counts = changeLogCounts({ rows, changes });
  const deletes = counts.records - counts.events;
  await client.query(`DROP PROCEDURE IF EXISTS write_change_log;
    CREATE PROCEDURE write_change_log()
    BEGIN
      DECLARE i BIGINT DEFAULT 0;
      DECLARE next_insert BIGINT DEFAULT ${rows};
      DECLARE next_delete BIGINT DEFAULT ${rows};
      START TRANSACTION;
      WHILE i < ${changes} DO
        CASE
          WHEN i % 10 IN (2, 5, 8) THEN
            SET next_insert = next_insert + 1;
            INSERT INTO orders VALUES (next_insert, ${random('i', 'c', 100_000)}, ${status('i')},
              ${random('i', 'a', 500_000)} / 100, ${note('i')}, SYSDATE(6), SYSDATE(6));
          WHEN i % 10 = 9 THEN
            DELETE FROM orders WHERE id = next_delete;
            SET next_delete = next_delete - 1;
          ELSE
            UPDATE orders SET status = ${status('i')}, amount = ${random('i', 'a', 500_000)} / 100,
              updated_at = SYSDATE(6) WHERE id = 1 + ${random('i', 't', rows - deletes)};
        END CASE;
        SET i = i + 1;
        IF i % 100 = 0 THEN
          COMMIT;
          START TRANSACTION;
        END IF;
      END WHILE;
      COMMIT;
    END;
    CALL write_change_log();
    DROP PROCEDURE write_change_log`);
  return counts;
}

async function openWriter(databaseUrl: string): Promise<Writer> {
  const client = await mysql.createConnection(databaseUrl);
  return {
    insertRow: async (id) => {
      await client.query(
        `INSERT INTO orders VALUES (?, 7, 'new', 19.99, 'a row by itself', SYSDATE(6), SYSDATE(6))`,
        [id],
      );
    },
    close: () => client.end(),
  };
}

/** Whose dump it is cannot be told; there is one contender at a time. */
async function untilDumped(client: Connection, signal: AbortSignal): Promise<void> {
  const dumps = "SELECT 1 FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
  while ((await rowsOf(client, dumps)).length === 0) await sleep(50, undefined, { signal });
}

async function prepareLogFloors(
  client: Connection,
  product: MysqlProduct,
  databaseUrl: string,
): Promise<(changes: number) => Promise<readonly Floor[]>> {
  await client.query('FLUSH LOGS'); // the change log begins with a file
  const start = await logEnd(client, product);
  return async (changes) => {
    const end = await logEnd(client, product);
    const raw = await inProcess({ kind: 'binlog', databaseUrl, start, changes });
    const [command, ...first] =
      product === 'mysql' ? await mysqlTool('9', 'mysqlbinlog') : await mysqlTool('11.8', 'mariadb-binlog');
    const tool = await inProcess({ kind: 'mysqlbinlog', databaseUrl, start, end, command, first });
    return [
      { name: 'Binlog received', floorOf: 'catchup', events: changes, ...raw },
      { name: 'Binlog by mysqlbinlog', floorOf: null, events: changes, ...tool },
    ];
  };
}

async function logEnd(client: Connection, product: MysqlProduct): Promise<LogStart> {
  const [row] = await rowsOf(client, product === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW BINLOG STATUS');
  return { file: String(row?.['File']), pos: Number(row?.['Position']) };
}

/** Numbers that look random and are the same in each run: 0…below-1. */
function random(n: string, salt: string, below: number): string {
  return `(CRC32(CONCAT('${salt}', ${n})) % ${below})`;
}

function status(n: string): string {
  return `ELT(1 + ${random(n, 's', 6)}, 'new', 'paid', 'packed', 'shipped', 'delivered', 'returned')`;
}

/** NULL for one in six. */
function note(n: string): string {
  return `ELT(1 + ${random(n, 'n', 6)}, 'leave at the door', 'call before delivery',
    'gift wrapping, no invoice in the box', 'second attempt, ask the neighbours', 'fragile: this side up')`;
}
