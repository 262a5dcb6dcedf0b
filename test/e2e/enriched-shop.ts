/**
 * Orders that know which club their customer is in once their transaction has committed: whoever writes an order, or
 * changes a customer, holds a lock of that customer until the commit. So the join's result is known for every order.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

export const SHOP = `
  CREATE TABLE customers (id int PRIMARY KEY, name text, club text);
  CREATE TABLE orders (id bigint PRIMARY KEY, customer_id int, price numeric(10,2), expected text);
  INSERT INTO customers SELECT n, 'Customer ' || n, 'bronze' FROM generate_series(1, 20) n;
  INSERT INTO orders SELECT n, 1 + n % 25, n, CASE WHEN 1 + n % 25 <= 20 THEN 'bronze' END FROM generate_series(1, 500) n;
`;

/** For the pipeline `name`. */
export const statements = (name: string, topic: string): string => `
  CREATE STREAM orders WITH (CDC_TABLE = '${name}.public.orders');
  CREATE TABLE customers WITH (CDC_TABLE = '${name}.public.customers');
  CREATE STREAM enriched WITH (KAFKA_TOPIC = '${topic}', FIELD_CASE = 'LOWER') AS
    SELECT O.customer_id, O.id AS id, O.price * 2 AS twice, O.expected, C.club, CDC_OP() AS op
    FROM orders O LEFT JOIN customers C ON O.customer_id = C.id;
`;

/** Writes orders and changes customers over several sessions until it is stopped; answers how many orders there are. */
export async function keepShop(url: string, stop: AbortSignal): Promise<number> {
  let next = 500;
  const work = Array.from({ length: 3 }, async (_, worker) => {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      for (let step = 0; !stop.aborted; step++) {
        await client.query('BEGIN');
        await scene(client, (worker + step) % 4, step, () => ++next);
        await client.query('COMMIT');
        await sleep(2);
      }
    } finally {
      await client.end();
    }
  });
  await Promise.all(work);
  return next;
}

async function scene(client: Client, kind: number, step: number, id: () => number): Promise<void> {
  const customer = 1 + (step % 25);
  const club = ['gold', 'silver', 'bronze', null][step % 4];
  const order = async (expected: unknown): Promise<void> => {
    const values = [id(), customer, step % 90, expected];
    await client.query('INSERT INTO orders VALUES ($1, $2, $3, $4)', values);
  };
  const current = async (): Promise<unknown> => {
    const { rows } = await client.query('SELECT club FROM customers WHERE id = $1', [customer]);
    return (rows[0] as { club: unknown } | undefined)?.club ?? null;
  };
  await client.query('SELECT pg_advisory_xact_lock($1)', [customer]);
  switch (kind) {
    case 0: // An order alone.
      await order(await current());
      break;
    case 1: {
      // The order first, its customer's new club behind it.
      const { rowCount } = await client.query('SELECT 1 FROM customers WHERE id = $1', [customer]);
      await order(rowCount === 0 ? null : club);
      await client.query('UPDATE customers SET club = $2 WHERE id = $1', [customer, club]);
      break;
    }
    case 2: // The customer goes and comes back in one transaction, with orders before, between and behind.
      if ((await client.query('DELETE FROM customers WHERE id = $1', [customer])).rowCount === 0) break;
      await order(club);
      await client.query('INSERT INTO customers VALUES ($1, $2, $3)', [customer, `Again ${step}`, club]);
      await order(club);
      break;
    default: // A change alone, and one that is taken back.
      await client.query('UPDATE customers SET club = $2 WHERE id = $1', [customer, club]);
      if (step % 2 === 0) await client.query('ROLLBACK; BEGIN');
  }
}

export interface Enriched {
  readonly id: number;
  readonly twice: string;
  readonly expected: string | null;
  readonly club: string | null;
  readonly op: string;
}

/**
 * What is wrong with the records: nothing, if each order is there, once for its insert with the club it was to have.
 * A row that a snapshot reads is joined with its customer as of that moment; one that is read while the log goes by
 * already can be there as both.
 */
export function mistakes(records: readonly Enriched[], orders: number): readonly string[] {
  const seen = new Map<string, number>();
  const wrong: string[] = [];
  for (const { id, club, expected, op } of records) {
    seen.set(`${op}${id}`, (seen.get(`${op}${id}`) ?? 0) + 1);
    if (op !== 'r' && club !== expected)
      wrong.push(`order ${id}: ${String(club)} instead of ${String(expected)}`);
  }
  for (let id = 1; id <= orders; id++) {
    const [created, read] = [seen.get(`c${id}`) ?? 0, seen.get(`r${id}`) ?? 0];
    if (created > 1 || read > 1 || created + read === 0)
      wrong.push(`order ${id} is there ${created} times as inserted and ${read} times as read`);
  }
  return wrong;
}
