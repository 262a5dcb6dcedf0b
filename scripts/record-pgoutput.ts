/**
 * Records what a real server's pgoutput sends for a fixed series of statements, as the fixtures of the decoder's
 * unit tests: node scripts/record-pgoutput.ts postgres://postgres@127.0.0.1:5432/postgres OUT.json
 *
 * Needs an empty database; leaves nothing behind but the file.
 */
import { writeFile } from 'node:fs/promises';
import { connectPg } from '../src/readers/postgres/wire/connection.ts';

const SETUP = `
  CREATE TYPE mood AS ENUM ('sad', 'happy');
  CREATE TABLE plain (id int PRIMARY KEY, name text, price numeric(8,2), at timestamptz, m mood);
  CREATE TABLE whole (id int PRIMARY KEY, big text, note text);
  ALTER TABLE whole REPLICA IDENTITY FULL;
  ALTER TABLE whole ALTER big SET STORAGE EXTERNAL;
  CREATE TABLE pair (a int, b text, c text, PRIMARY KEY (b, a));
  CREATE TABLE loose (x int, y text);
  CREATE TABLE parts (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
  CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
  CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('us');
  ALTER TABLE plain ADD COLUMN toasted text; ALTER TABLE plain ALTER toasted SET STORAGE EXTERNAL;
  CREATE PUBLICATION rec FOR TABLE plain, whole, pair, parts WITH (publish_via_partition_root = true);
  CREATE PUBLICATION rec_io FOR TABLE loose WITH (publish = 'insert, truncate', publish_via_partition_root = true);`;

const STATEMENTS = [
  `INSERT INTO plain VALUES (1, 'ascii', 1.50, '2024-02-29 12:00:00.123456+00', 'sad', repeat('t', 3000)),
     (2, 'Grüße, 世界 🐘', NULL, NULL, 'happy', NULL)`,
  `UPDATE plain SET price = 2.25 WHERE id = 1`,
  `UPDATE plain SET id = 3 WHERE id = 2`,
  `DELETE FROM plain WHERE id = 3`,
  `BEGIN; INSERT INTO whole VALUES (1, repeat('w', 3000), 'a'); UPDATE whole SET note = 'b'; DELETE FROM whole; COMMIT`,
  `INSERT INTO pair VALUES (1, 'x', 'one')`,
  `UPDATE pair SET b = 'y'`,
  `INSERT INTO loose VALUES (1, 'one')`,
  `UPDATE loose SET y = 'two'`,
  `DELETE FROM loose`,
  `INSERT INTO parts VALUES (1, 'eu', 'v'), (2, 'us', 'w')`,
  `UPDATE parts SET region = 'us' WHERE id = 1`,
  `TRUNCATE plain, loose`,
  `SELECT pg_logical_emit_message(true, 'in', 'transactional')`,
  `SELECT pg_logical_emit_message(false, 'out', '\\x00ff'::bytea)`,
  `ALTER TABLE plain ADD COLUMN extra int DEFAULT 7`,
  `INSERT INTO plain VALUES (9, 'after', 1, NULL, NULL, NULL, 8)`,
  `BEGIN; ALTER TABLE plain DROP COLUMN name; INSERT INTO plain VALUES (10, 2, NULL, NULL, NULL, 9); COMMIT`,
];

const [url, out] = process.argv.slice(2);
if (url === undefined || out === undefined) throw new Error('usage: record-pgoutput.ts URL OUT.json');
const { hostname, port, username, pathname } = new URL(url);
const options = {
  hosts: [{ host: hostname, port: Number(port) }],
  database: pathname.slice(1),
  user: username,
  password: null,
  tls: { mode: 'disable', ca: null, cert: null, key: null },
  connectTimeoutMs: 5000,
} as const;
const { signal } = new AbortController();
await using sql = await connectPg(options, {}, signal);
await sql.command(SETUP);
await using replication = await connectPg(options, { replication: 'database' }, signal);
const [created] = await replication.query(
  'CREATE_REPLICATION_SLOT rec TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT',
);
for (const statement of STATEMENTS) await sql.command(statement);
const [oids] = await sql.query(
  `SELECT json_object_agg(oid::text, typname) FROM pg_type WHERE oid IN (SELECT atttypid FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid AND relnamespace = 'public'::regnamespace WHERE attnum > 0)`,
);
const [marker] = await sql.query(
  `SELECT pg_logical_emit_message(true, 'end', ''), pg_current_wal_flush_lsn()`,
);
const stream = await replication.copyBoth(
  `START_REPLICATION SLOT rec LOGICAL ${created![1]} (proto_version '1', publication_names '"rec","rec_io"', messages 'true')`,
  signal,
);
const frames: string[] = [];
for (let ended = false; !ended;) {
  const chunk = await stream.next();
  if (chunk === null) throw new Error(`the stream ended before ${marker?.[1]}`);
  for (let i = 0; i < chunk.frames.length; i += 2) {
    const frame = chunk.buffer.subarray(chunk.frames[i], chunk.frames[i + 1]);
    if (frame[0] !== 0x77) continue;
    frames.push(frame.toString('base64'));
    if (frame[25] === 0x4d && frame.includes('end\0')) ended = true;
  }
}
const recorded = {
  server: sql.serverVersion,
  setup: SETUP.trim().split(/;\s*/).filter(Boolean),
  statements: STATEMENTS,
  start: created![1],
  types: JSON.parse(oids![0]!) as Record<string, string>,
  frames,
};
await writeFile(out, `${JSON.stringify(recorded, null, 1)}\n`);
