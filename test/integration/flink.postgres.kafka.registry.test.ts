/** A consumer nobody here wrote: Flink makes of our topics tables that equal those of the source. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pipelineFile, runToEnd, workspace } from '../e2e/headwater.ts';
import { type Flink, type FlinkRow, rowsOf, startFlink } from '../support/flink.ts';
import { type TestDatabase, testDatabase, testKafka, testRegistry } from '../support/servers.ts';

let flink: Flink;
let source: TestDatabase;
let brokers: string;
let prefix: string;
let registry: string;
/** Of the clock on which the last changes were committed. */
let between: { readonly from: number; readonly to: number };

const COLUMNS = `id int PRIMARY KEY, customer text, amount numeric(12,3), ok boolean, big bigint, "day" date,
  "at" timestamptz(3), seen timestamp(3)`;

/** As Flink says them when it is asked to cast to text. */
const CONTENT = `SELECT id, customer, amount::text AS amount, ok, big::text AS big, "day"::text AS "day",
  to_char("at" AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') AS "at",
  to_char(seen, 'YYYY-MM-DD HH24:MI:SS.MS') AS seen`;

beforeAll(async () => {
  source = await testDatabase();
  ({ brokers, prefix } = await testKafka());
  registry = (await testRegistry()).url;
  await source.query(`
    CREATE TABLE orders (${COLUMNS});
    ALTER TABLE orders REPLICA IDENTITY FULL;
    CREATE TABLE plain (${COLUMNS});
    CREATE TABLE deleted (${COLUMNS});`);
  for (const table of ['orders', 'plain', 'deleted']) {
    await source.query(`INSERT INTO ${table}
      SELECT i, 'customer ' || i, i * 1.125, i % 2 = 0, i * 10000000000, '2024-02-29', now(), now()
        FROM generate_series(1, 20) i`);
  }
  await using work = await workspace();
  const file = (name: string, tables: readonly string[], emit: readonly string[]): Promise<string> =>
    work.write(
      `${name}.yaml`,
      pipelineFile({ name: `${prefix}${name}`, url: source.url, brokers, tables, emit }),
    );
  const files = [
    await file('json', ['public.orders', 'public.plain', 'public.deleted'], ['profile: safe']),
    await file('schema', ['public.orders'], ['profile: safe', 'format: json-with-schema']),
    await file('avro', ['public.orders'], ['format: avro', `registry: { url: ${registry} }`]),
  ];
  expect(await runToEnd(...files)).toMatchObject({ exit: 0 });
  const clock = async (): Promise<number> => {
    const [row] = await source.query<{ ms: string }>(
      'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::text AS ms',
    );
    return Number(row?.ms);
  };
  const from = await clock();
  await source.query('DELETE FROM deleted WHERE id > 15');
  for (const table of ['orders', 'plain']) {
    await source.query(`
      UPDATE ${table} SET customer = NULL, amount = -0.001 WHERE id <= 5;
      DELETE FROM ${table} WHERE id > 15;
      UPDATE ${table} SET id = 100 WHERE id = 1;
      INSERT INTO ${table} VALUES
        (200, 'žluť', 1.000, true, 9007199254740993, '1969-12-31', '2024-01-01 00:00:00.5+02', '1900-01-01');
      UPDATE ${table} SET customer = 'twice' WHERE id = 200;`);
  }
  between = { from, to: await clock() };
  expect(await runToEnd(...files)).toMatchObject({ exit: 0 });
  flink = await startFlink();
});

afterAll(async () => {
  await flink?.[Symbol.asyncDispose]();
  await source?.[Symbol.asyncDispose]();
});

async function wanted(table: string): Promise<readonly unknown[]> {
  return source.query(`${CONTENT} FROM ${table} ORDER BY id`);
}

/** The columns of `profile: safe` as Flink takes them. */
const SAFE = `id INT, customer STRING, amount DECIMAL(12,3), ok BOOLEAN, big BIGINT, \`day\` DATE,
  \`at\` TIMESTAMP_LTZ(3), seen TIMESTAMP_LTZ(3)`;

const SAFE_CONTENT = `id, customer, CAST(amount AS STRING) AS amount, ok, CAST(big AS STRING) AS big,
  CAST(\`day\` AS STRING) AS \`day\`, CAST(\`at\` AS STRING) AS \`at\`, CAST(seen AS STRING) AS seen`;

const JSON_FORMAT = [`'format' = 'debezium-json'`, `'debezium-json.timestamp-format.standard' = 'ISO-8601'`];

async function kafkaTable(
  name: string,
  topic: string,
  columns: string,
  options: readonly string[],
): Promise<void> {
  const all = [
    `'connector' = 'kafka'`,
    `'topic' = '${topic}'`,
    `'properties.bootstrap.servers' = '${brokers}'`,
    `'properties.isolation.level' = 'read_committed'`,
    `'scan.startup.mode' = 'earliest-offset'`,
    `'scan.bounded.mode' = 'latest-offset'`,
    ...options,
  ];
  await flink.run(`CREATE TABLE ${name} (${columns}) WITH (${all.join(', ')})`);
}

async function select(what: string): Promise<readonly FlinkRow[]> {
  const rows = rowsOf(await flink.run(`SELECT ${what}`));
  return rows.toSorted((a, b) => Number(a['id']) - Number(b['id']));
}

test.each([
  ['json', JSON_FORMAT],
  ['schema', [...JSON_FORMAT, `'debezium-json.schema-include' = 'true'`]],
] as const)('debezium-json reads %s', async (name, options) => {
  await kafkaTable(`${name}_orders`, `${prefix}${name}.public.orders`, SAFE, options);
  expect(await select(`${SAFE_CONTENT} FROM ${name}_orders`)).toEqual(await wanted('orders'));
});

test('debezium-avro-confluent', async () => {
  await kafkaTable(
    'avro_orders',
    `${prefix}avro.public.orders`,
    'id INT, customer STRING, amount DECIMAL(12,3), ok BOOLEAN, big BIGINT, `day` INT, `at` STRING, seen BIGINT',
    [`'format' = 'debezium-avro-confluent'`, `'debezium-avro-confluent.url' = '${registry}'`],
  );
  const rows = await select(`
    id, customer, CAST(amount AS STRING) AS amount, ok, CAST(big AS STRING) AS big,
    CAST(TIMESTAMPADD(DAY, \`day\`, DATE '1970-01-01') AS STRING) AS \`day\`, \`at\`,
    CAST(seen AS STRING) AS seen FROM avro_orders`);
  const exact = await source.query(`
    SELECT id, customer, amount::text AS amount, ok, big::text AS big, "day"::text AS "day",
      to_char("at" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "at",
      (extract(epoch FROM seen) * 1000)::bigint::text AS seen
      FROM orders ORDER BY id`);
  expect(rows).toEqual(exact);
});

test('without the row as it was before, updates are read as upserts', async () => {
  await kafkaTable('plain_changes', `${prefix}json.public.plain`, SAFE, JSON_FORMAT);
  await expect(flink.run('SELECT * FROM plain_changes')).rejects.toThrow(/"before" field.*is null/);
  const options = [
    `'connector' = 'upsert-kafka'`,
    `'topic' = '${prefix}json.public.plain'`,
    `'properties.bootstrap.servers' = '${brokers}'`,
    `'properties.isolation.level' = 'read_committed'`,
    `'scan.bounded.mode' = 'latest-offset'`,
    `'key.format' = 'json'`,
    `'key.fields-prefix' = 'key_'`,
    `'value.format' = 'json'`,
    `'value.json.timestamp-format.standard' = 'ISO-8601'`,
    `'value.fields-include' = 'EXCEPT_KEY'`,
  ];
  await flink.run(`
    CREATE TABLE plain_rows (key_id INT, \`after\` ROW<${SAFE}>, PRIMARY KEY (key_id) NOT ENFORCED)
    WITH (${options.join(', ')})`);
  const columns = ['id', 'customer', 'amount', 'ok', 'big', 'day', 'at', 'seen'];
  const fields = columns.map((column) => `p.\`after\`.\`${column}\` AS \`${column}\``);
  const rows = await select(
    `${SAFE_CONTENT} FROM (SELECT ${fields.join(', ')} FROM plain_rows p WHERE p.\`after\` IS NOT NULL)`,
  );
  expect(rows).toEqual(await wanted('plain'));
});

test('a delete has at least the key', async () => {
  await kafkaTable('deletes', `${prefix}json.public.deleted`, SAFE, JSON_FORMAT);
  const { changes, columns } = await flink.run('SELECT id, customer FROM deletes');
  const deletes = changes.filter(([kind]) => kind === '-D');
  expect(columns).toEqual(['id', 'customer']);
  expect(deletes.map(([, id]) => id)).toEqual([16, 17, 18, 19, 20]);
});

test('source.ts_ms is the time of the commit, and the record’s own that of delivery', async () => {
  await kafkaTable(
    'timed',
    `${prefix}json.public.orders`,
    `committed TIMESTAMP_LTZ(3) METADATA FROM 'value.source.timestamp' VIRTUAL,
     written TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, id INT`,
    JSON_FORMAT,
  );
  const { changes } = await flink.run(`SELECT id, committed, written FROM timed WHERE id = 200`);
  expect(changes).not.toHaveLength(0);
  for (const [, , committed, written] of changes) {
    const at = Date.parse(String(committed));
    expect(at).toBeGreaterThanOrEqual(between.from);
    expect(at).toBeLessThanOrEqual(between.to);
    expect(Date.parse(String(written))).toBeGreaterThanOrEqual(at);
  }
});
