import type { Client } from 'pg';

/** A shop small enough to read along: five customers, three orders each, and somebody who keeps buying. */
export const SHOP = `
  CREATE TABLE customers (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    email text,
    club text NOT NULL DEFAULT 'bronze'
  );
  ALTER TABLE customers REPLICA IDENTITY FULL;
  CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id int NOT NULL REFERENCES customers,
    item text NOT NULL,
    quantity int NOT NULL,
    price numeric(10,2) NOT NULL,
    status text NOT NULL DEFAULT 'new',
    ordered_at timestamptz NOT NULL DEFAULT now()
  );
  ALTER TABLE orders REPLICA IDENTITY FULL;
  INSERT INTO customers (name, email, club) VALUES
    ('Ada', 'ada@example.com', 'platinum'), ('Grace', 'grace@example.com', 'gold'),
    ('Edsger', NULL, 'bronze'), ('Barbara', 'barbara@example.com', 'silver'),
    ('Zoë', 'zoë@example.com', 'bronze');
  INSERT INTO orders (customer_id, item, quantity, price, status)
    SELECT c.id, (ARRAY['lamp', 'chair', 'kettle'])[n], n, 9.90 * n + c.id, 'paid'
    FROM customers c, generate_series(1, 3) n;
`;

const ITEMS = ['lamp', 'chair', 'kettle', 'rug', 'clock'];

/** One transaction of the shop's life: an order, a payment, a shipment, a customer who changes, a cancellation. */
export async function live(client: Client, step: number): Promise<void> {
  await client.query('BEGIN');
  switch (step % 5) {
    case 0:
      await client.query(
        `INSERT INTO orders (customer_id, item, quantity, price)
         SELECT id, $1, 1 + $2 % 4, 4.90 + $2 FROM customers ORDER BY id OFFSET $2 % 5 LIMIT 1`,
        [ITEMS[step % ITEMS.length], step],
      );
      break;
    case 1:
      await client.query(`UPDATE orders SET status = 'paid' WHERE status = 'new'`);
      break;
    case 2:
      await client.query(
        `UPDATE customers SET club = CASE club WHEN 'bronze' THEN 'silver' WHEN 'silver' THEN 'gold' ELSE 'platinum' END
         WHERE id = (SELECT id FROM customers ORDER BY id OFFSET $1 % 5 LIMIT 1)`,
        [step],
      );
      await client.query(
        `INSERT INTO orders (customer_id, item, quantity, price)
         SELECT id, $1, 1, 19.90 FROM customers ORDER BY id OFFSET $2 % 5 LIMIT 1`,
        [ITEMS[(step + 1) % ITEMS.length], step],
      );
      break;
    case 3:
      await client.query(
        `UPDATE orders SET status = 'shipped' WHERE id = (SELECT min(id) FROM orders WHERE status = 'paid')`,
      );
      break;
    default:
      await client.query(`DELETE FROM orders WHERE id = (SELECT min(id) FROM orders WHERE status = 'shipped')`);
  }
  await client.query('COMMIT');
}
