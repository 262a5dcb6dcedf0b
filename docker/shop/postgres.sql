-- The shop of docker/compose.yaml, and Headwater's role with the least privileges of docs/postgres.md.
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text);
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id int NOT NULL REFERENCES customers,
  item text NOT NULL,
  price numeric(10, 2) NOT NULL,
  ordered timestamptz NOT NULL DEFAULT now()
);
INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com'), (2, 'Grace', NULL);
INSERT INTO orders (customer_id, item, price) VALUES (1, 'lamp', 24.90), (2, 'chair', 89.00);

CREATE ROLE headwater WITH LOGIN REPLICATION PASSWORD 'headwater';
GRANT USAGE ON SCHEMA public TO headwater;
GRANT SELECT ON customers, orders TO headwater;
-- Adding a table to a publication needs its ownership; so does ours, and the publications are made here.
CREATE PUBLICATION headwater_shop FOR TABLE customers, orders
  WITH (publish_via_partition_root = true, publish_generated_columns = stored);
CREATE PUBLICATION headwater_shop_insert_only
  WITH (publish = 'insert, truncate', publish_via_partition_root = true, publish_generated_columns = stored);
