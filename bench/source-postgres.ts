/** PostgreSQL as the source of a benchmark. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { startPostgres } from '../src/local-servers/postgres.ts';
import { type Floor, inProcess } from './floor.ts';
import type { FloorTask } from './floor-worker.ts';
import { onPath } from '../src/local-servers/processes.ts';
import {
  type BenchSource,
  type ChangeLogCounts,
  changeLogCounts,
  type Identity,
  type Writer,
} from './source.ts';

/** Set as on a server that matters: what is committed is on the disk, and one checkpoint isn't on the next's heels. */
const SETTINGS = {
  shared_buffers: '512MB',
  max_wal_size: '4GB',
  max_replication_slots: '100',
  max_wal_senders: '100',
  autovacuum_naptime: '1min',
};

const TELLING_SETTINGS = ['shared_buffers', 'fsync', 'logical_decoding_work_mem', 'max_wal_size'];

export async function startPostgresSource(identity: Identity): Promise<BenchSource> {
  await using stack = new AsyncDisposableStack();
  const databaseUrl = process.env['BENCH_POSTGRES_URL'] ?? (await startOwn(stack));
  const client = await openDatabase(databaseUrl);
  stack.defer(() => client.end());
  const rest = stack.move();
  return {
    address: { product: 'postgres', databaseUrl, schema: 'public' },
    keyOnlyBefore: identity === 'default',
    describe: async () => `${await describe(client)}, replica identity ${identity}`,
    createOrders: (rows) => createOrders(client, rows, identity),
    insertMany: (options) => insertMany(client, options),
    writeChangeLog: (options) => writeChangeLog(client, options),
    deleteFrom: async (id) => {
      await client.query('DELETE FROM orders WHERE id >= $1', [id]);
    },
    openWriter: () => openWriter(databaseUrl),
    settle: async () => {
      await client.query('CHECKPOINT');
    },
    untilRead: (id, signal) => untilSlotIsUsed(client, id, signal),
    forget: async (id) => {
      await dropSlot(client, id);
      await client.query(`DROP PUBLICATION IF EXISTS ${id}`);
    },
    measureTableFloor: async (rows) => ({
      name: 'COPY received',
      floorOf: 'snapshot',
      events: rows,
      ...(await inProcess({ kind: 'copy', databaseUrl, rows })),
    }),
    prepareLogFloors: () => prepareLogFloors(client, databaseUrl),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

async function startOwn(stack: AsyncDisposableStack): Promise<string> {
  const server = stack.use(await startPostgres({ version: 18, durable: true, settings: SETTINGS }));
  return await server.createDatabase('bench');
}

async function openDatabase(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined); // a session that breaks says so at its next query
  await client.connect();
  return client;
}

async function describe(client: Client): Promise<string> {
  const { rows: versions } = await client.query<{ server_version: string }>('SHOW server_version');
  const { rows } = await client.query<{ name: string; value: string }>(
    'SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY($1) ORDER BY name',
    [TELLING_SETTINGS],
  );
  const settings = rows.map(({ name, value }) => `${name} ${value}`).join(', ');
  return `PostgreSQL ${versions[0]?.server_version ?? 'unknown'} (${settings})`;
}

async function createOrders(client: Client, rows: number, identity: Identity): Promise<void> {
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

async function insertMany(
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

async function writeChangeLog(
  client: Client,
  { rows, changes }: { readonly rows: number; readonly changes: number },
): Promise<ChangeLogCounts> {
  const counts = changeLogCounts({ rows, changes });
  const deletes = counts.records - counts.events;
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
  return counts;
}

async function openWriter(databaseUrl: string): Promise<Writer> {
  const client = await openDatabase(databaseUrl);
  return {
    insertRow: async (id) => {
      await client.query(
        `INSERT INTO orders VALUES ($1, 7, 'new', 19.99, 'a row by itself', clock_timestamp(), clock_timestamp())`,
        [id],
      );
    },
    close: () => client.end(),
  };
}

async function untilSlotIsUsed(client: Client, slot: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const { rowCount } = await client.query(
      'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active AND confirmed_flush_lsn IS NOT NULL',
      [slot],
    );
    if (rowCount === 1) return;
    await sleep(50);
  }
}

async function dropSlot(client: Client, slot: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const { rows } = await client.query<{ active: boolean }>(
      'SELECT active FROM pg_replication_slots WHERE slot_name = $1',
      [slot],
    );
    if (rows[0] === undefined) return;
    if (!rows[0].active) {
      await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
      return;
    }
    // The server notices that a reader is gone when it next writes to it.
    if (attempt === 20) {
      await client.query(
        'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active',
        [slot],
      );
    }
    if (attempt > 200) throw new Error(`Replication slot ${slot} stays in use`);
    await sleep(100);
  }
}

async function prepareLogFloors(
  client: Client,
  databaseUrl: string,
): Promise<(changes: number) => Promise<readonly Floor[]>> {
  const publication = `bench_floor_${process.pid}`;
  const [own, tool] = [`${publication}_own`, `${publication}_tool`];
  await client.query(`CREATE PUBLICATION ${publication} FOR TABLE orders`);
  for (const slot of [own, tool])
    await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
  return async (changes) => {
    const floors: Floor[] = [];
    try {
      const wal: FloorTask = { kind: 'wal', databaseUrl, slot: own, publication, changes };
      floors.push({ name: 'WAL received', floorOf: 'catchup', events: changes, ...(await inProcess(wal)) });
      if (await onPath('pg_recvlogical')) {
        const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn() AS lsn');
        const endLsn = rows[0]!.lsn;
        const task: FloorTask = { kind: 'pg_recvlogical', databaseUrl, slot: tool, publication, endLsn };
        const cost = await inProcess(task);
        floors.push({ name: 'WAL by pg_recvlogical', floorOf: null, events: changes, ...cost });
      }
    } finally {
      for (const slot of [own, tool]) await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
      await client.query(`DROP PUBLICATION ${publication}`);
    }
    return floors;
  };
}

const STATUS = `(ARRAY['new','paid','packed','shipped','delivered','returned'])[1 + floor(random() * 6)::int]`;
const NOTE = `(ARRAY['leave at the door','call before delivery','gift wrapping, no invoice in the box',
  'second attempt, ask the neighbours','fragile: this side up',NULL])[1 + floor(random() * 6)::int]`;
