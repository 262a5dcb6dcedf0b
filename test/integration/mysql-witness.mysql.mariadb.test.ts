/** Another implementation reads the same log: both must have seen the same rows. */
import ZongJi from '@vlasky/zongji';
import { describe, expect, test } from 'vitest';
import type { Column } from '../../src/model/table.ts';
import { ABSENT, type Row, type Value } from '../../src/model/value.ts';
import type { MysqlPosition } from '../../src/readers/mysql/position.ts';
import { makeReader, openReader, readToEnd, rowsOf } from '../support/mysql-reader.ts';
import { testMariadb, type TestMysql, testMysql } from '../support/servers.ts';

/** `c t [after]`, values as text that both can be brought to. */
type Line = readonly [
  op: string,
  table: string,
  before: readonly string[] | null,
  after: readonly string[] | null,
];

const SETUP = `
CREATE TABLE whole (id INT PRIMARY KEY, t VARCHAR(50), n DECIMAL(20,6), b BIGINT, ub BIGINT UNSIGNED, ti TINYINT,
  si SMALLINT UNSIGNED, mi MEDIUMINT, f DOUBLE, d DATE, dt DATETIME(6), tm TIME(3), bl BLOB, tx TEXT, e ENUM('a','b'), s SET('x','y','z'), l VARCHAR(20) CHARACTER SET latin1);
CREATE TABLE pair (v TEXT, b VARCHAR(20), a INT, PRIMARY KEY (a, b));
CREATE TABLE keyless (v INT);
CREATE TABLE \`Odd "name"\` (\`Ü c\` INT PRIMARY KEY, \`sel ect\` TEXT);`;

/** No negative time of whole minutes: zongji 0.9.0 reads -01:29:00 as -01:28:64. */
const WORK = `
INSERT INTO whole WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
  SELECT i, CONCAT('ä🐘', i), i / 7, -i * 1000000007, 9007199254740993 * i, i % 100, i, -i, i / 3,
    DATE '2000-01-01' + INTERVAL i DAY, TIMESTAMP '2024-01-01 00:00:00' + INTERVAL i * 1000001 MICROSECOND, SEC_TO_TIME(i * 120 - 9001), CAST(i AS BINARY),
    REPEAT('long ü ', i % 40), IF(i % 2, 'a', 'b'), IF(i % 3, 'x,z', ''), CONCAT('é', i) FROM n;
UPDATE whole SET t = NULL, n = -n, d = NULL WHERE id % 3 = 0;
UPDATE whole SET id = id + 1000 WHERE id % 5 = 0;
DELETE FROM whole WHERE id % 7 = 0;
START TRANSACTION; INSERT INTO pair VALUES ('v', 'k', 1), ('w', 'l', 2); UPDATE pair SET v = '' WHERE a = 1; DELETE FROM pair WHERE a = 2; COMMIT;
INSERT INTO keyless VALUES (1), (NULL); UPDATE keyless SET v = 2;
INSERT INTO \`Odd "name"\` VALUES (1, 'a''b');`;

function text(value: unknown): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Date) return String(value.getTime());
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}

/** Their forms: decimals and big numbers as text, dates as Date, a set as a list, times as text. */
function theirs(row: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.values(row).map((value) => (Array.isArray(value) ? value.join(',') : text(value)));
}

function ours(columns: readonly Column[], row: Row): readonly string[] {
  return row.map((value, i) => ourText(columns[i]!, value));
}

function ourText({ type, nativeType }: Column, value: Value): string {
  if (value === null) return 'NULL';
  if (value === ABSENT) return 'ABSENT';
  if (type.kind === 'date') return String(Number(value) * 86_400_000);
  if (type.kind === 'timestamp') return String(Math.floor(Number(value) / 1000));
  if (type.kind === 'duration') {
    const us = Math.abs(Number(value));
    const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
    const fraction = String(us % 1_000_000)
      .padStart(6, '0')
      .slice(0, 3);
    return `${Number(value) < 0 ? '-' : ''}${two(us / 3.6e9)}:${two((us / 6e7) % 60)}:${two((us / 1e6) % 60)}.${fraction}`;
  }
  if (nativeType === 'decimal') return String(Number(value));
  return text(value);
}

async function readTheirs(
  { url, name }: TestMysql,
  from: MysqlPosition,
  rows: number,
): Promise<readonly Line[]> {
  const { hostname, port, username, password } = new URL(url);
  const zongji = new ZongJi({
    host: hostname,
    port: Number(port),
    user: username,
    password,
    timezone: 'Z',
    supportBigNumbers: true,
    bigNumberStrings: true,
  });
  const lines: Line[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      zongji.on('error', reject);
      zongji.on('binlog', (event: unknown) => {
        lines.push(...linesOf(event));
        if (lines.length >= rows) resolve();
      });
      zongji.start({
        serverId: 2_000_000_000 + (process.pid % 1_000_000),
        filename: from.file,
        position: from.pos,
        includeEvents: ['tablemap', 'writerows', 'updaterows', 'deleterows', 'rotate'],
        includeSchema: { [name]: true },
      });
    });
  } finally {
    zongji.stop();
  }
  return lines;
}

interface RowsEvent {
  readonly tableId: number;
  readonly tableMap: Readonly<Record<number, { readonly tableName: string }>>;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  getEventName(): string;
}

function isRowsEvent(event: unknown): event is RowsEvent {
  return typeof event === 'object' && event !== null && 'rows' in event && Array.isArray(event.rows);
}

function linesOf(event: unknown): readonly Line[] {
  if (!isRowsEvent(event)) return [];
  const table = event.tableMap[event.tableId]!.tableName;
  return event.rows.map((row): Line => {
    switch (event.getEventName()) {
      case 'writerows':
        return ['c', table, null, theirs(row)];
      case 'deleterows':
        return ['d', table, theirs(row), null];
      default: {
        const { before, after } = row as { before: Record<string, unknown>; after: Record<string, unknown> };
        return ['u', table, theirs(before), theirs(after)];
      }
    }
  });
}

describe.each<[string, () => Promise<TestMysql>]>([
  ['MySQL', () => testMysql()],
  ['MariaDB', () => testMariadb()],
])('a second reader of the log of %s', (_, testServer) => {
  test('has seen the same rows with the same values', async () => {
    await using db = await testServer();
    await db.query(SETUP);
    await using reader = makeReader(db);
    const { continuity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    await db.query(WORK);
    const { changes } = await readToEnd(reader, continuity.start);
    const lines = rowsOf(changes).map(({ op, table, before, after }): Line => [
      op,
      table.id.table,
      before === null ? null : ours(table.columns, before),
      after === null ? null : ours(table.columns, after),
    ]);
    expect(lines.length).toBeGreaterThan(400);
    const witness = (await readTheirs(db, continuity.start, lines.length)).map(
      ([op, table, before, after]): Line => {
        const decimals = (row: readonly string[] | null): readonly string[] | null =>
          table !== 'whole' || row === null
            ? row
            : row.map((value, i) => (i === 2 && value !== 'NULL' ? String(Number(value)) : value));
        return [op, table, decimals(before), decimals(after)];
      },
    );
    expect(lines).toEqual(witness);
  });
});
