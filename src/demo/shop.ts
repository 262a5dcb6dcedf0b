import type { Client } from 'pg';

/**
 * A shop small enough to read along: customers, their orders, some history, and some who keep buying and rating. What
 * is changed later writes whole rows to the log (REPLICA IDENTITY FULL), so that an event shows all of the row before.
 */
const SHOP = `
  CREATE TABLE customers (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    email text,
    club text NOT NULL DEFAULT 'bronze'
  );
  CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id int NOT NULL REFERENCES customers,
    item text NOT NULL,
    quantity int NOT NULL,
    price numeric(10,2) NOT NULL,
    status text NOT NULL DEFAULT 'new',
    ordered date NOT NULL DEFAULT current_date
  );
  CREATE TABLE ratings (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id int NOT NULL REFERENCES customers,
    stars int NOT NULL,
    message text NOT NULL
  );
  ALTER TABLE customers REPLICA IDENTITY FULL;
  ALTER TABLE orders REPLICA IDENTITY FULL;
  INSERT INTO customers (name, email, club) VALUES
    ('Ada', 'ada@example.com', 'platinum'), ('Grace', 'grace@example.com', 'silver'),
    ('Edsger', NULL, 'bronze'), ('Barbara', 'barbara@example.com', 'silver'),
    ('Zoë', 'zoë@example.com', 'bronze');
  INSERT INTO customers (name, email) SELECT 'Customer ' || n, n || '@example.com' FROM generate_series(6, 500) n;
  INSERT INTO orders (customer_id, item, quantity, price, status, ordered)
    SELECT 1 + n % 500, (ARRAY['lamp', 'chair', 'kettle', 'rug', 'clock'])[1 + n % 5], 1 + n % 3, 4.90 + n % 40,
           'delivered', current_date - (20001 - n) / 70
    FROM generate_series(1, 20000) n;
  ANALYZE;
`;

const ITEMS = ['lamp', 'chair', 'kettle', 'rug', 'clock'] as const;
/** Customers with a name. */
const REGULARS = 5;
/** Of ratings, one behind the other. As many as share no divisor with the regulars, so that each gives all of them. */
const STARS = [1, 4, 2, 5, 1, 3, 5] as const;
const MESSAGES = [
  'never again',
  'two weeks late',
  'as expected',
  'nicely packed',
  'your team rocks',
] as const;

export interface Written {
  c: number;
  u: number;
  d: number;
  /** Ratings below three stars by customers who are platinum as of the commit. */
  unhappy: number;
}

/** Of the ratings of the transaction that asks. */
const UNHAPPY = `
  SELECT count(*)::int AS unhappy FROM ratings r JOIN customers c ON r.customer_id = c.id
  WHERE r.xmin = pg_current_xact_id()::xid AND r.stars < 3 AND c.club = 'platinum'
`;

/** Makes the tables and fills them. Returns the number of rows. */
export async function openShop(client: Client): Promise<number> {
  await client.query(SHOP);
  const { rows } = await client.query<{ rows: string }>(
    'SELECT (SELECT count(*) FROM customers) + (SELECT count(*) FROM orders) AS rows',
  );
  return Number(rows[0]?.rows);
}

/** One transaction of the shop's life, and what it changed. Step 0, 1, 2 … tell a story that goes on for ever. */
export async function live(client: Client, step: number): Promise<Written> {
  const written: Written = { c: 0, u: 0, d: 0, unhappy: 0 };
  await client.query('BEGIN');
  for (const { sql, parameters } of [...sceneOf(step), rating(step)]) {
    const { command, rowCount } = await client.query(sql, [...parameters]);
    const kind = command === 'INSERT' ? 'c' : command === 'UPDATE' ? 'u' : 'd';
    written[kind] += rowCount ?? 0;
  }
  const { rows } = await client.query<{ unhappy: number }>(UNHAPPY);
  written.unhappy = rows[0]?.unhappy ?? 0;
  await client.query('COMMIT');
  return written;
}

interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

function sceneOf(step: number): readonly Statement[] {
  const round = Math.floor(step / 6);
  const customer = 1 + (round % REGULARS);
  switch (step % 6) {
    case 0:
      return [order(customer, round), order(1 + ((round + 2) % REGULARS), round + 1)];
    case 1:
      return [{ sql: `UPDATE orders SET status = 'paid' WHERE status = 'new'`, parameters: [] }];
    case 2:
      // A customer and an order in one transaction: their records become visible together.
      return [
        {
          sql: `UPDATE customers SET club = CASE club WHEN 'bronze' THEN 'silver' WHEN 'silver' THEN 'platinum' ELSE 'bronze' END
                WHERE id = $1`,
          parameters: [customer],
        },
        order(customer, round + 2),
      ];
    case 3:
      return [onOldest('paid', `UPDATE orders SET status = 'shipped'`)];
    case 4:
      return [
        {
          sql: `UPDATE orders SET quantity = quantity + 1, price = price + 4.90 WHERE id = (SELECT max(id) FROM orders)`,
          parameters: [],
        },
      ];
    default:
      return [onOldest('shipped', 'DELETE FROM orders')];
  }
}

function order(customer: number, number: number): Statement {
  return {
    sql: `INSERT INTO orders (customer_id, item, quantity, price) VALUES ($1, $2, $3, $4)`,
    parameters: [customer, ITEMS[number % ITEMS.length], 1 + (number % 3), (4.9 + (number % 40)).toFixed(2)],
  };
}

function rating(step: number): Statement {
  const stars = STARS[step % STARS.length]!;
  return {
    sql: `INSERT INTO ratings (customer_id, stars, message) VALUES ($1, $2, $3)`,
    parameters: [1 + (step % REGULARS), stars, MESSAGES[stars - 1]],
  };
}

function onOldest(status: string, statement: string): Statement {
  return {
    sql: `${statement} WHERE id = (SELECT min(id) FROM orders WHERE status = $1)`,
    parameters: [status],
  };
}
