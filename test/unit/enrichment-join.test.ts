import { describe, expect, it } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import {
  type Attempt,
  column,
  EnrichmentRig,
  type LogTransaction,
  type RigOptions,
  table,
} from '../support/enrichment-rig.ts';

const INT = { kind: 'int32' } as const;
const TEXT = { kind: 'string' } as const;
const CUSTOMERS = table('customers', [column('id', INT), column('name', TEXT), column('club', TEXT)], [0]);
const ORDERS = table(
  'orders',
  [
    column('id', { kind: 'int64' }),
    column('customer_id', INT),
    column('quantity', INT),
    column('price', { kind: 'decimal', precision: 10, scale: 2 }),
  ],
  [0],
);
const TABLES = [CUSTOMERS, ORDERS];
const SOURCES = `
  CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');
  CREATE TABLE customers WITH (CDC_TABLE = 'shop.public.customers');
`;
const NEWCOMER: LogTransaction = [
  { table: ORDERS, op: 'c', after: [1, 7, 2, '10.50'] },
  { table: CUSTOMERS, op: 'c', after: [7, 'Ada', 'gold'] },
  { table: ORDERS, op: 'c', after: [2, 7, 1, '0.10'] },
];

async function run(
  sql: string,
  log: readonly LogTransaction[],
  more: Partial<RigOptions> = {},
): Promise<{ records: EnrichmentRig['committed']; warnings: readonly string[] }> {
  using rig = new EnrichmentRig({ sql: SOURCES + sql, tables: TABLES, log, snapshotAt: 0, ...more });
  const attempt: Attempt = await rig.attempt();
  await attempt.snapshot([CUSTOMERS]);
  await attempt.read(log.length, () => 100);
  expect(attempt.commit()).toBe(true);
  await attempt.end();
  return { records: rig.committed, warnings: rig.warnings };
}

const values = ({ records }: { records: EnrichmentRig['committed'] }) => records.map(({ value }) => value);

describe('a stream joined with a table of one database', () => {
  it('sees the table as of the commit, whichever row of the transaction came first', async () => {
    const sql = `CREATE STREAM enriched WITH (KAFKA_TOPIC = 'enriched') AS
      SELECT O.id, O.customer_id, C.club, O.quantity * O.price AS total
      FROM orders O LEFT JOIN customers C ON O.customer_id = C.id;`;
    const { records } = await run(sql, [NEWCOMER]);
    expect(records).toEqual([
      {
        topic: 'enriched',
        key: '00000007',
        value: '{"O_ID":1,"CLUB":"gold","TOTAL":21.00}',
        timestamp: 1_700_000_000_000,
        headers: null,
      },
      {
        topic: 'enriched',
        key: '00000007',
        value: '{"O_ID":2,"CLUB":"gold","TOTAL":0.10}',
        timestamp: 1_700_000_000_000,
        headers: null,
      },
    ]);
  });

  it.each([
    ['COMMIT', ['gold', 'gold']],
    ['STATEMENT', [null, 'gold']],
    ['BEFORE', [null, null]],
  ])('AS OF %s', async (asOf, clubs) => {
    const sql = `CREATE STREAM e AS SELECT O.customer_id, C.club FROM orders O
      LEFT JOIN customers C FOR SYSTEM_TIME AS OF ${asOf} ON O.customer_id = C.id;`;
    const found = values(await run(sql, [NEWCOMER])).map(
      (value) => (JSON.parse(value!) as { CLUB: unknown }).CLUB,
    );
    expect(found).toEqual(clubs);
  });

  it('follows updates, changed keys, deletes and truncates of the table', async () => {
    const order = (id: number, customer: number | null): LogTransaction => [
      { table: ORDERS, op: 'c', after: [id, customer, 1, '1.00'] },
    ];
    const log: LogTransaction[] = [
      NEWCOMER,
      [{ table: CUSTOMERS, op: 'u', after: [7, 'Ada', 'silver'] }],
      order(3, 7),
      [{ table: CUSTOMERS, op: 'u', before: [7, 'Ada', 'silver'], after: [8, 'Ada', 'bronze'] }],
      order(4, 7),
      order(5, 8),
      [{ table: CUSTOMERS, op: 'd', before: [8, 'Ada', 'bronze'] }],
      order(6, 8),
      [
        { table: CUSTOMERS, op: 'c', after: [9, 'Bo', 'gold'] },
        { table: CUSTOMERS, op: 't' },
      ],
      order(7, 9),
      order(8, null),
    ];
    const from = 'FROM orders O %s JOIN customers C ON O.customer_id = C.id;';
    const left = `CREATE STREAM l AS SELECT O.customer_id, O.id, C.club ${from.replace('%s', 'LEFT')}`;
    expect(values(await run(left, log)).slice(2)).toEqual([
      '{"O_ID":3,"CLUB":"silver"}',
      '{"O_ID":4,"CLUB":null}',
      '{"O_ID":5,"CLUB":"bronze"}',
      '{"O_ID":6,"CLUB":null}',
      '{"O_ID":7,"CLUB":null}',
      '{"O_ID":8,"CLUB":null}',
    ]);
    const inner = `CREATE STREAM i AS SELECT O.customer_id, O.id, C.club ${from.replace('%s', 'INNER')}`;
    expect(values(await run(inner, log)).slice(2)).toEqual([
      '{"O_ID":3,"CLUB":"silver"}',
      '{"O_ID":5,"CLUB":"bronze"}',
    ]);
  });

  it('keys a result by what was looked for, also where the table has no such row', async () => {
    const sql = `CREATE STREAM e AS SELECT C.id AS id, O.id AS o FROM orders O LEFT JOIN customers C ON O.customer_id = C.id;`;
    const { records } = await run(sql, [[{ table: ORDERS, op: 'c', after: [1, 9, 1, '1.00'] }]]);
    expect(records.map(({ key, value }) => [key, value])).toEqual([['00000009', '{"O":1}']]);
  });

  it('fills tables from the snapshot before the first event, and reads snapshot rows as events', async () => {
    const log: LogTransaction[] = [NEWCOMER];
    const sql = `CREATE STREAM e AS SELECT O.customer_id, O.id, C.name, CDC_OP() AS op
      FROM orders O LEFT JOIN customers C ON O.customer_id = C.id;`;
    expect(values(await run(sql, log, { snapshotAt: 1 }))).toEqual([
      '{"O_ID":1,"NAME":"Ada","OP":"r"}',
      '{"O_ID":2,"NAME":"Ada","OP":"r"}',
    ]);
  });

  it('chains streams, filters, computes, re-keys, and several queries write one stream', async () => {
    const sql = `
      CREATE STREAM joined AS SELECT * FROM orders O JOIN customers C ON O.customer_id = C.id;
      CREATE STREAM gold WITH (FIELD_CASE = 'LOWER') AS
        SELECT name, CASE WHEN quantity > 1 THEN 'many' ELSE 'one' END AS amount
        FROM joined WHERE club = 'gold' PARTITION BY name;
      INSERT INTO gold SELECT name, 'cheap' FROM joined WHERE price < 1 PARTITION BY name;`;
    const { records, warnings } = await run(sql, [NEWCOMER]);
    expect(records.map(({ topic, key, value }) => [topic, key, value])).toEqual([
      ['JOINED', '00000007', '{"O_ID":1,"QUANTITY":2,"PRICE":10.50,"C_ID":7,"NAME":"Ada","CLUB":"gold"}'],
      ['GOLD', '416461', '{"amount":"many"}'],
      ['JOINED', '00000007', '{"O_ID":2,"QUANTITY":1,"PRICE":0.10,"C_ID":7,"NAME":"Ada","CLUB":"gold"}'],
      ['GOLD', '416461', '{"amount":"one"}'],
      ['GOLD', '416461', '{"amount":"cheap"}'],
    ]);
    expect(warnings).toEqual([]);
  });

  it('passes a delete as a record without value, and as a row where the query asks for the operation', async () => {
    const log: LogTransaction[] = [NEWCOMER, [{ table: ORDERS, op: 'd', before: [2, 7, 1, '0.10'] }]];
    const sql = `
      CREATE STREAM plain AS SELECT id, quantity FROM orders;
      CREATE STREAM filtered AS SELECT id, quantity FROM orders WHERE quantity > 0;
      CREATE STREAM asking AS SELECT id, CDC_OP() AS op, CDC_BEFORE(price) AS was, quantity FROM orders;`;
    const { records } = await run(sql, log);
    const deletes = records.slice(-2).map(({ topic, key, value }) => [topic, key, value]);
    expect(deletes).toEqual([
      ['PLAIN', '0000000000000002', null],
      ['ASKING', '0000000000000002', '{"OP":"d","WAS":0.10,"QUANTITY":null}'],
    ]);
  });

  it('takes transactions that do not fit into memory from the disk, in order', async () => {
    const many: LogTransaction = [
      ...Array.from({ length: 5_000 }, (_, i) => ({
        table: ORDERS,
        op: 'c' as const,
        after: [i, 7, i, '1.25'],
      })),
      { table: CUSTOMERS, op: 'c', after: [7, 'Ada', 'gold'] },
    ];
    const sql = `CREATE STREAM e AS SELECT O.customer_id, O.id, C.club, price * quantity AS total, CDC_TX() AS tx
      FROM orders O LEFT JOIN customers C ON O.customer_id = C.id;`;
    const small = await run(sql, [many], { spoolBytes: 10_000 });
    const large = await run(sql, [many]);
    expect(small.records).toHaveLength(5_000);
    expect(small.records).toEqual(large.records);
    expect(small.records[4_999]?.value).toBe('{"O_ID":4999,"CLUB":"gold","TOTAL":6248.75,"TX":"0"}');
  });

  it('gives NULL where an expression fails, counts it, and stops only if asked', async () => {
    const sql = (more: string): string =>
      `CREATE STREAM e ${more} AS SELECT id, quantity / 0 AS broken, CAST(price AS STRING) AS text FROM orders;`;
    const { records, warnings } = await run(sql(''), [NEWCOMER]);
    expect(records[0]?.value).toBe('{"BROKEN":null,"TEXT":"10.50"}');
    expect(warnings).toEqual([
      'enrichment: a division by zero {"query":"CSAS_E_0","problem":"division-by-zero","count":1}',
    ]);
    await expect(run(sql(`WITH (ON_ERROR = 'STOP')`), [NEWCOMER])).rejects.toMatchObject({
      code: 'enrich.row-failed',
    });
  });
});

it('a row of a joined table that cannot be read is left out when the table is read anew', async () => {
  const hostile = [8, 'Bo', 'silver'];
  Object.defineProperty(hostile, 2, {
    get: () => {
      throw new HeadwaterError('source.value-unreadable', 'What is this?');
    },
  });
  const log: LogTransaction[] = [
    [
      { table: CUSTOMERS, op: 'c', after: hostile },
      { table: CUSTOMERS, op: 'c', after: [7, 'Ada', 'gold'] },
    ],
    [
      { table: ORDERS, op: 'c', after: [1, 8, 1, '1.00'] },
      { table: ORDERS, op: 'c', after: [2, 7, 1, '1.00'] },
    ],
  ];
  const sql = `${SOURCES} CREATE STREAM e AS SELECT O.customer_id, C.club FROM orders O
    LEFT JOIN customers C ON O.customer_id = C.id;`;
  using rig = new EnrichmentRig({ sql, tables: TABLES, log, snapshotAt: 1 });
  rig.viewAt = 1;
  const attempt = await rig.attempt();
  await rig.load(attempt);
  await attempt.read(log.length, () => 100);
  expect(attempt.commit()).toBe(true);
  await attempt.end();
  expect(values({ records: rig.committed })).toEqual(['{"CLUB":null}', '{"CLUB":"gold"}']);
});
