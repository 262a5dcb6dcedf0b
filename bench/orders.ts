/** The table that is measured, its rows and its change log: the same work for every contender. */
import { Client } from 'pg';

export interface ChangeLogCounts {
  /** Row changes, which is what "events" means in the tables. */
  readonly events: number;
  /** Events and the tombstones that follow deletes. */
  readonly records: number;
}

export type Identity = 'default' | 'full';

/** Opens a session; the caller ends it. */
export async function openDatabase(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined); // a session that breaks says so at its next query
  await client.connect();
  return client;
}

/** Makes `orders` anew with rows 1…`rows`. */
export async function createOrders(client: Client, rows: number, identity: Identity): Promise<void> {
  await client.query('SET synchronous_commit = off');
  await client.query('DROP TABLE IF EXISTS orders');
  await client.query(`CREATE TABLE orders (
    id bigint PRIMARY KEY,
    customer_id int NOT NULL,
    status varchar(16) NOT NULL,
    amount numeric(10,2) NOT NULL,
    note varchar(64),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
  )`);
  await client.query(`ALTER TABLE orders REPLICA IDENTITY ${identity}`);
  await client.query('SELECT setseed(0.5)');
  await insertMany(client, { after: 0, rows });
  await client.query('VACUUM (FREEZE, ANALYZE) orders');
  await client.query('CHECKPOINT');
}

/** Adds rows with ids after+1…after+rows in one transaction. */
export async function insertMany(
  client: Client,
  { after, rows }: { readonly after: number; readonly rows: number },
): Promise<void> {
  await client.query(
    `INSERT INTO orders
      SELECT g, (random() * 100000)::int, ${STATUS}, (random() * 5000)::numeric(10,2), ${NOTE},
             timestamptz '2024-01-01 00:00:00Z' + g * interval '17.123457 seconds',
             timestamptz '2024-01-02 00:00:00Z' + g * interval '17.654321 seconds'
      FROM generate_series($1::bigint, $2::bigint) g`,
    [after + 1, after + rows],
  );
}

/**
 * Writes `changes` single-row statements, of ten six updates, three inserts and one delete, in transactions of
 * a hundred. `changes` is a multiple of 100. Deletes take the highest rows of `rows` one by one and updates
 * stay below them, so that each statement changes exactly one row.
 */
export async function writeChangeLog(
  client: Client,
  { rows, changes }: { readonly rows: number; readonly changes: number },
): Promise<ChangeLogCounts> {
  const deletes = changes / 10;
  if (deletes >= rows) throw new Error(`${changes} changes need more than ${deletes} rows`);
  await client.query('SET synchronous_commit = off');
  await client.query('SELECT setseed(0.25)');
  await client.query(`DO $$
    DECLARE
      next_insert bigint := ${rows};
      next_delete bigint := ${rows};
      top bigint := ${rows - deletes};
      target bigint;
    BEGIN
      FOR i IN 0..${changes - 1} LOOP
        CASE i % 10
          WHEN 2, 5, 8 THEN
            next_insert := next_insert + 1;
            INSERT INTO orders VALUES (next_insert, (random() * 100000)::int, ${STATUS},
              (random() * 5000)::numeric(10,2), ${NOTE}, clock_timestamp(), clock_timestamp());
          WHEN 9 THEN
            DELETE FROM orders WHERE id = next_delete;
            next_delete := next_delete - 1;
          ELSE
            target := 1 + floor(random() * top);
            UPDATE orders SET status = ${STATUS}, amount = (random() * 5000)::numeric(10,2),
              updated_at = clock_timestamp() WHERE id = target;
        END CASE;
        IF i % 100 = 99 THEN COMMIT; END IF;
      END LOOP;
    END $$`);
  return { events: changes, records: changes + deletes };
}

/** One row by itself, durable when this resolves. Its id is beyond those of the change log. */
export async function insertRow(client: Client, id: number): Promise<void> {
  await client.query(
    `INSERT INTO orders VALUES ($1, 7, 'new', 19.99, 'a row by itself', clock_timestamp(), clock_timestamp())`,
    [id],
  );
}

const STATUS = `(ARRAY['new','paid','packed','shipped','delivered','returned'])[1 + floor(random() * 6)::int]`;
const NOTE = `(ARRAY['leave at the door','call before delivery','gift wrapping, no invoice in the box',
  'second attempt, ask the neighbours','fragile: this side up',NULL])[1 + floor(random() * 6)::int]`;
