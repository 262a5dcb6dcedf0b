/** Another implementation reads the same log through a slot of its own: both must have seen the same. */
import type { Pgoutput } from 'pg-logical-replication';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Column, tableName, type TableSchema } from '../../src/model/table.ts';
import { valuesOf } from '../../src/model/raw-row.ts';
import { ABSENT, type Row, UNCHANGED, type Value } from '../../src/model/value.ts';
import { makeReader, openReader, type PostgresChange, readToEnd } from '../support/postgres-reader.ts';
import { postgresVersions, testDatabase, type TestDatabase } from '../support/servers.ts';

/** `insert public.t key … old … new …`, values as text that both can be brought to. */
interface Line {
  readonly what: string;
  readonly table: string;
  readonly key: readonly string[] | null;
  readonly before: readonly string[] | null;
  readonly after: readonly string[] | null;
}

const SETUP = `
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE whole (id int PRIMARY KEY, t text, n numeric(9,3), ts timestamp, tz timestamptz, d date, b bool, j jsonb,
  big bigint, small smallint, f float8, by bytea, u uuid, m mood, a int[]);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE pair (v text, b text, a int, PRIMARY KEY (a, b));
CREATE TABLE parts (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu'); CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('us');
CREATE TABLE keyless (v text);
CREATE TABLE toasted (id int PRIMARY KEY, v text, n int); ALTER TABLE toasted ALTER v SET STORAGE EXTERNAL;
CREATE TABLE "Odd ""name"" \`$'" ("Ü ""c""" int PRIMARY KEY, "sel ect" text);`;

const WORK = [
  `INSERT INTO whole SELECT i, 'ä🐘' || i, i / 7.0, timestamp '2024-01-01' + i * interval '1.000001 hour',
     timestamptz '1999-12-31 23:59:59.5+05' + i * interval '1 day', date '1970-01-01' - i, i % 2 = 0, jsonb_build_object('i', i, 'ß', '"'),
     9007199254740993 * i, i::int2, i / 3.0::float8, decode(lpad(to_hex(i), 8, '0'), 'hex'), md5(i::text)::uuid,
     CASE WHEN i % 3 = 0 THEN 'sad' ELSE 'glad' END::mood, ARRAY[i, NULL, -i] FROM generate_series(1, 400) i`,
  `UPDATE whole SET t = NULL, n = n + 1, a = NULL WHERE id % 3 = 0`,
  `UPDATE whole SET id = id + 1000 WHERE id % 5 = 0`,
  `DELETE FROM whole WHERE id % 7 = 0`,
  `BEGIN; INSERT INTO pair SELECT 'v' || i, 'k' || i, i FROM generate_series(1, 1500) i; UPDATE pair SET v = '' WHERE a < 100;
   UPDATE pair SET b = b || '!' WHERE a BETWEEN 50 AND 60; DELETE FROM pair WHERE a > 1400; COMMIT`,
  `BEGIN; SAVEPOINT s; INSERT INTO pair VALUES ('never', 'x', -1); ROLLBACK TO s; INSERT INTO pair VALUES ('kept', 'y', -2); COMMIT`,
  `INSERT INTO parts VALUES (1, 'eu', 'a'), (2, 'us', 'b')`,
  `UPDATE parts SET region = 'us' WHERE id = 1`,
  `INSERT INTO keyless VALUES ('a'), (NULL), ('')`,
  `UPDATE keyless SET v = 'b'`,
  `INSERT INTO toasted VALUES (1, repeat('x', 9000), 0)`,
  `BEGIN; UPDATE toasted SET n = 1; UPDATE toasted SET n = 2, v = repeat('y', 9000); COMMIT`,
  `INSERT INTO "Odd ""name"" \`$'" VALUES (1, 'a''b')`,
  `ALTER TABLE pair ADD COLUMN extra int DEFAULT 5`,
  `INSERT INTO pair VALUES ('w', 'z', -3, 6)`,
  `ALTER TABLE pair DROP COLUMN v`,
  `UPDATE pair SET extra = 7 WHERE a = -3`,
  `TRUNCATE keyless, whole`,
];

describe.each(postgresVersions)('a second reader of the log of PostgreSQL %i', (version) => {
  let db: TestDatabase;
  beforeEach(async () => {
    db = await testDatabase(version);
  });
  afterEach(() => db.drop());

  it('has seen the same kinds, tables, keys and values, in the same order', async () => {
    await db.query(SETUP);
    await using reader = makeReader(db);
    const opened = await openReader(reader);
    if (opened.continuity.kind !== 'fresh') throw new Error('not fresh');
    await db.query(`SELECT pg_create_logical_replication_slot('${db.name}_witness', 'pgoutput')`);
    for (const statement of WORK) await db.query(statement);
    const { changes } = await readToEnd(reader, opened.continuity.start);
    const ours = changes.flatMap(lineOfOurs);
    const theirs = await witness(db, ours.length);
    expect(ours.length).toBeGreaterThan(2000);
    expect(theirs).toHaveLength(ours.length);
    for (const [i, line] of theirs.entries()) expect(ours[i], `change ${i}`).toEqual(line);
    expect(new Set(ours.map(({ what }) => what))).toEqual(
      new Set(['insert', 'update', 'delete', 'truncate']),
    );
  });
});

async function witness(db: TestDatabase, count: number): Promise<readonly Line[]> {
  const { LogicalReplicationService, PgoutputPlugin } = await import('pg-logical-replication');
  const lines: Line[] = [];
  const service = new LogicalReplicationService(
    { connectionString: `${db.url}?options=-c%20TimeZone%3DUTC` },
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  );
  const enough = new Promise<void>((resolve, reject) => {
    service.on('error', reject);
    service.on('data', (_lsn: string, message: Pgoutput.Message) => {
      lines.push(...lineOfTheirs(message));
      // What follows the last change but is one more would come with its COMMIT.
      if (lines.length >= count && message.tag === 'commit') resolve();
    });
  });
  const publicationNames = [db.name, `${db.name}_insert_only`];
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames });
  const subscription = service.subscribe(plugin, `${db.name}_witness`).catch(() => undefined);
  await enough;
  await service.stop();
  await subscription;
  return lines;
}

function lineOfOurs(change: PostgresChange): readonly Line[] {
  if (change.kind === 'truncate') return [truncated(tableName(change.table.id))];
  if (change.kind !== 'row') return [];
  const { table, op } = change;
  const before = valuesOf(change.before);
  const after = valuesOf(change.after);
  const what = op === 'c' ? 'insert' : op === 'u' ? 'update' : 'delete';
  const whole = before !== null && !before.includes(ABSENT);
  return [
    {
      what,
      table: tableName(table.id),
      key: before !== null && !whole ? cellsOf(table, before, (_, i) => table.key.includes(i)) : null,
      before: before !== null && whole ? cellsOf(table, before) : null,
      after: after === null ? null : cellsOf(table, after),
    },
  ];
}

function cellsOf(
  { columns }: TableSchema,
  row: Row,
  wanted: (column: Column, i: number) => boolean = () => true,
): readonly string[] {
  return columns.flatMap((column, i) =>
    wanted(column, i) ? [`${column.name}=${textOfValue(row[i]!, column)}`] : [],
  );
}

function textOfValue(value: Value, { type: { kind } }: Column): string {
  if (value === UNCHANGED || value === ABSENT) return value.description!;
  if (value === null) return 'null';
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (kind === 'json') return JSON.stringify(JSON.parse(String(value)));
  if (kind === 'timestamp' || kind === 'timestamptz') return String(Math.floor(Number(value) / 1000));
  if (kind === 'date') return String(Number(value) * 86_400_000);
  return Array.isArray(value) ? JSON.stringify(value) : String(value);
}

function lineOfTheirs(message: Pgoutput.Message): readonly Line[] {
  switch (message.tag) {
    case 'insert':
    case 'update':
    case 'delete': {
      const { relation } = message;
      const key = message.tag === 'insert' ? null : message.key;
      const old = message.tag === 'insert' ? null : message.old;
      const now = message.tag === 'delete' ? null : message.new;
      return [
        {
          what: message.tag,
          table: tableName({ schema: relation.schema, table: relation.name }),
          key: key === null ? null : textsOf(relation, key, ({ name }) => relation.keyColumns.includes(name)),
          before: old === null ? null : textsOf(relation, old),
          after: now === null ? null : textsOf(relation, now, () => true, old),
        },
      ];
    }
    case 'truncate':
      return message.relations.map(({ schema, name }) => truncated(tableName({ schema, table: name })));
    default:
      return [];
  }
}

function textsOf(
  { columns }: Pgoutput.MessageRelation,
  row: Readonly<Record<string, unknown>>,
  wanted: (column: Pgoutput.RelationColumn) => boolean = () => true,
  old: Readonly<Record<string, unknown>> | null = null,
): readonly string[] {
  return columns.flatMap((column) => {
    if (!wanted(column)) return [];
    const value = row[column.name] === undefined && old !== null ? old[column.name] : row[column.name];
    return [`${column.name}=${textOfTheirs(value, column)}`];
  });
}

/** pg's parsers take what has no zone for local time. */
const ZONELESS = new Set([1082, 1114]);

function textOfTheirs(value: unknown, { typeOid }: Pgoutput.RelationColumn): string {
  if (value === undefined) return 'unchanged';
  if (value instanceof Date) {
    return String(value.getTime() - (ZONELESS.has(typeOid) ? value.getTimezoneOffset() * 60_000 : 0));
  }
  if (Buffer.isBuffer(value)) return value.toString('hex');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function truncated(table: string): Line {
  return { what: 'truncate', table, key: null, before: null, after: null };
}
