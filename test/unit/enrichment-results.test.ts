/** How results of statements are written, and what comes of rows that fail. */
import avsc from 'avsc';
import { describe, expect, it } from 'vitest';
import { checkedProgram } from '../support/checked-program.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { fakeRegistry, type Registered } from '../support/fake-registry.ts';
import { column, EnrichmentRig, type LogTransaction, table } from '../support/enrichment-rig.ts';

const INT = { kind: 'int32' } as const;
const TEXT = { kind: 'string' } as const;
const ORDERS = table(
  'orders',
  [
    column('id', { kind: 'int64' }),
    column('note', TEXT),
    column('quantity', INT),
    column('price', { kind: 'decimal', precision: 10, scale: 2 }),
    column('weight', { kind: 'decimal', precision: null, scale: null }),
    column('made', { kind: 'date' }),
  ],
  [0],
);
const SOURCE = `CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');`;
const LOG: readonly LogTransaction[] = [
  [{ table: ORDERS, op: 'c', after: [1, 'a "b";c', 2, '10.50', '1.5', 19_724] }],
  [{ table: ORDERS, op: 'c', after: [2 ** 40, null, null, '-0.01', null, null] }],
  [{ table: ORDERS, op: 'd', before: [1, 'a "b";c', 2, '10.50', '1.5', 19_724] }],
];

async function run(
  sql: string,
  {
    log = LOG,
    registered = null,
  }: { log?: readonly LogTransaction[]; registered?: Registered[] | null } = {},
): Promise<EnrichmentRig> {
  const registry = registered === null ? {} : { registry: fakeRegistry(registered) };
  using rig = new EnrichmentRig({ sql: SOURCE + sql, tables: [ORDERS], log, snapshotAt: 0, ...registry });
  // Each transaction in an attempt of its own.
  for (let until = 1; until <= log.length; until++) {
    const attempt = await rig.attempt();
    if (until === 1) await attempt.snapshot([]);
    await attempt.read(until, () => 100);
    expect(attempt.commit()).toBe(true);
    await attempt.end();
  }
  return rig;
}

async function refusal(sql: string, registered: Registered[] | null = []): Promise<string> {
  try {
    await run(sql, { registered });
  } catch (error) {
    if (error instanceof HeadwaterError) return error.message;
    throw error;
  }
  throw new Error('It was taken.');
}

const SELECT = 'SELECT id, note, quantity, price, made FROM orders';
const hex = (text: string): string => Buffer.from(text).toString('hex');

describe('results', () => {
  it('in AVRO have a zero byte and the id of their schema in front, which is registered once', async () => {
    const registered: Registered[] = [];
    const { committed } = await run(
      `CREATE STREAM a WITH (FORMAT = 'AVRO', FIELD_CASE = 'LOWER', VALUE_AVRO_SCHEMA_FULL_NAME = 'x.Order') AS ${SELECT};`,
      { registered },
    );
    expect(registered.map(({ subject }) => subject)).toEqual(['A-key', 'A-value']);
    const [key, value] = registered.map(({ text }) => avsc.Type.forSchema(JSON.parse(text) as avsc.Schema));
    const read = (type: avsc.Type | undefined, text: string | null): unknown =>
      text === null
        ? null
        : JSON.parse(JSON.stringify(type?.fromBuffer(Buffer.from(text, 'hex').subarray(5))));
    expect(committed.map((record) => record.value?.slice(0, 10) ?? null)).toEqual([
      '0000000002',
      '0000000002',
      null,
    ]);
    expect(committed.map((record) => read(key, record.key))).toEqual([1, 2 ** 40, 1]);
    const bytes = (text: string): unknown => ({ type: 'Buffer', data: [...Buffer.from(text, 'hex')] });
    expect(committed.map((record) => read(value, record.value))).toEqual([
      { note: 'a "b";c', quantity: 2, price: bytes('041a'), made: 19_724 },
      { note: null, quantity: null, price: bytes('ff'), made: null },
      null,
    ]);
    expect(registered[1]?.text).toContain('"name":"Order","namespace":"x"');
  });

  it('in AVRO hold a SUM of DECIMALs with all of its 38 digits', async () => {
    const registered: Registered[] = [];
    const most = '9'.repeat(8);
    const log = Array.from({ length: 3 }, (_, i): LogTransaction => [
      { table: ORDERS, op: 'c', after: [i, 'a', i, `${i === 2 ? '-' : ''}${most}.99`, null, null] },
    ]);
    const { committed } = await run(
      `CREATE TABLE sums WITH (VALUE_FORMAT = 'AVRO') AS SELECT note, SUM(price) AS small,
         SUM(CAST(price AS DECIMAL(38, 2)) * 1000000000000000000000000000) AS large FROM orders GROUP BY note;`,
      { registered, log },
    );
    const { fields } = JSON.parse(registered[0]?.text ?? '{}') as {
      fields: {
        name: string;
        type: [string, { type: string; logicalType: string; precision: number; scale: number }];
      }[];
    };
    expect(
      fields.map(({ name, type: [, { type, logicalType, precision, scale }] }) => [
        name,
        type,
        logicalType,
        precision,
        scale,
      ]),
    ).toEqual([
      ['SMALL', 'bytes', 'decimal', 38, 2],
      // 38 digits times 28 of a whole number.
      ['LARGE', 'bytes', 'decimal', 67, 2],
    ]);
    const schema = avsc.Type.forSchema(JSON.parse(registered[0]?.text ?? '{}') as avsc.Schema);
    const unscaled = (bytes: Uint8Array): string =>
      BigInt.asIntN(8 * bytes.length, BigInt(`0x${Buffer.from(bytes).toString('hex')}`)).toString();
    const read = committed.map(({ value }) => {
      const { SMALL, LARGE } = schema.fromBuffer(Buffer.from(value ?? '', 'hex').subarray(5)) as Record<
        'SMALL' | 'LARGE',
        Uint8Array
      >;
      return [unscaled(SMALL), unscaled(LARGE)];
    });
    const zeros = '0'.repeat(27);
    expect(read).toEqual([
      ['9999999999', `9999999999${zeros}`],
      ['19999999998', `19999999998${zeros}`],
      ['9999999999', `9999999999${zeros}`],
    ]);
  });

  it('in DELIMITED quote what the delimiter is in', async () => {
    const { committed } = await run(
      `CREATE STREAM d WITH (FORMAT = 'DELIMITED', VALUE_DELIMITER = ';') AS ${SELECT};`,
    );
    expect(committed.map(({ key, value }) => [key, value])).toEqual([
      [hex('1'), hex('"a ""b"";c";2;10.50;19724')],
      [hex('1099511627776'), hex(';;-0.01;')],
      [hex('1'), null],
    ]);
  });

  it('in KAFKA are one value', async () => {
    const { committed } = await run(
      `CREATE STREAM k WITH (FORMAT = 'KAFKA') AS SELECT id, quantity FROM orders;`,
    );
    expect(committed.map(({ key, value }) => [key, value])).toEqual([
      ['0000000000000001', '00000002'],
      ['0000010000000000', null],
      ['0000000000000001', null],
    ]);
  });

  it('are of the formats of what they are made of, unless said otherwise', async () => {
    const registered: Registered[] = [];
    const { committed } = await run(
      `CREATE STREAM first WITH (FORMAT = 'AVRO') AS ${SELECT};
       CREATE STREAM second AS SELECT id, note FROM first;
       CREATE STREAM third WITH (VALUE_FORMAT = 'DELIMITED') AS SELECT id, note FROM second;
       CREATE STREAM fourth WITH (KEY_FORMAT = 'JSON') AS SELECT id, note FROM third;`,
      { registered, log: LOG.slice(0, 1) },
    );
    const seen = committed.map(({ topic, key, value }) => [topic, key?.slice(0, 8), value?.slice(0, 8)]);
    expect(seen).toEqual([
      ['FIRST', '00000000', '00000000'],
      ['SECOND', '00000000', '00000000'],
      ['THIRD', '00000000', hex('"a ""b').slice(0, 8)],
      ['FOURTH', '1', hex('"a ""b').slice(0, 8)],
    ]);
  });

  it('are on as many partitions as their statement says, or that of what they are made of', () => {
    const { queries } = checkedProgram(
      `CREATE STREAM i (k INT KEY, n INT) WITH (KAFKA_TOPIC = 'i', VALUE_FORMAT = 'JSON', PARTITIONS = 6);
       CREATE STREAM same AS SELECT * FROM i;
       CREATE STREAM again WITH (RETENTION_MS = 1000, CLEANUP_POLICY = 'compact') AS SELECT * FROM same;
       CREATE STREAM other WITH (PARTITIONS = 2, REPLICAS = 3) AS SELECT * FROM again;`,
    );
    expect(queries.map(({ target }) => target.sink?.wish)).toEqual([
      { partitions: 6, replicas: null, config: {} },
      { partitions: 6, replicas: null, config: { 'retention.ms': '1000', 'cleanup.policy': 'compact' } },
      { partitions: 2, replicas: 3, config: {} },
    ]);
  });

  it('take the time of a column, also of a text by its pattern', async () => {
    const { committed } = await run(
      `CREATE STREAM t WITH (TIMESTAMP = 'AT', TIMESTAMP_FORMAT = 'yyyy-MM-dd HH:mm:ss X') AS
         SELECT id, '2024-01-02 03:04:05 Z' AS at FROM orders;`,
      { log: LOG.slice(0, 1) },
    );
    expect(committed.map(({ timestamp }) => timestamp)).toEqual([Date.UTC(2024, 0, 2, 3, 4, 5)]);
  });

  it.each([
    [
      `WITH (VALUE_FORMAT = 'AVRO') AS SELECT id, weight FROM orders;`,
      'AVRO needs the size of a DECIMAL, and WEIGHT has none',
    ],
    [
      "WITH (VALUE_FORMAT = 'AVRO') AS SELECT id, note AS `a-b` FROM orders;",
      'there is "a-b"; name it with AS',
    ],
    [
      "WITH (VALUE_FORMAT = 'AVRO', FIELD_CASE = 'LOWER') AS SELECT id, note AS x, note AS `x` FROM orders;",
      'two columns are called x as FIELD_CASE has them',
    ],
    [
      `WITH (VALUE_FORMAT = 'AVRO', VALUE_SCHEMA_FULL_NAME = 'a b') AS SELECT id, note FROM orders;`,
      'is a full name such as com.example.Order',
    ],
    [`WITH (VALUE_FORMAT = 'KAFKA') AS SELECT * FROM orders;`, 'KAFKA holds one column'],
    [
      `WITH (VALUE_FORMAT = 'DELIMITED') AS SELECT id, ARRAY[note] AS notes FROM orders;`,
      'DELIMITED cannot hold NOTES',
    ],
    [`WITH (CLEANUP_POLICY = 'gone') AS SELECT * FROM orders;`, 'CLEANUP_POLICY is one of COMPACT, DELETE'],
  ])('%s is refused', async (rest, sentence) => {
    expect(await refusal(`CREATE STREAM s ${rest}`)).toContain(sentence);
  });
});

describe('ON_ERROR', () => {
  const broken = `SELECT id, quantity, 10 / (quantity - 2) AS broken, CAST(note AS INT) AS number FROM orders`;

  it('DLQ puts the event aside with what was wrong, beside the result and once', async () => {
    const { committed } = await run(
      `CREATE STREAM b WITH (ON_ERROR = 'DLQ', KAFKA_TOPIC = 'broken') AS ${broken};
       CREATE STREAM again WITH (KAFKA_TOPIC = 'again') AS SELECT id, quantity FROM b;
       INSERT INTO again SELECT id, 1 / quantity AS quantity FROM orders;`,
      { log: [...LOG.slice(0, 2), [{ table: ORDERS, op: 'c', after: [3, '3', 3, null, null, null] }]] },
    );
    const of = (wanted: string): unknown[] =>
      committed.filter(({ topic }) => topic === wanted).map(({ value, headers }) => [value, headers]);
    expect(of('broken')).toEqual([
      ['{"QUANTITY":2,"BROKEN":null,"NUMBER":null}', null],
      ['{"QUANTITY":null,"BROKEN":null,"NUMBER":null}', null],
      ['{"QUANTITY":3,"BROKEN":10,"NUMBER":3}', null],
    ]);
    expect(of('broken-dlq')).toEqual([
      [
        '{"ID":1,"QUANTITY":2,"NOTE":"a \\"b\\";c"}',
        [
          ['__headwater.query', 'CSAS_B_0'],
          ['__headwater.problem', 'division-by-zero,cast'],
        ],
      ],
    ]);
    expect(of('again-dlq')).toEqual([]);
  });

  it('DLQ keeps events that come too late, and STOP takes them for what they are', async () => {
    const log: readonly LogTransaction[] = [1_000, 100_000, 2_000].map((at, i) => [
      { table: ORDERS, op: 'c', after: [i, 'n', at, null, null, null] },
    ]);
    const sql = (more: string): string =>
      `CREATE STREAM timed WITH (TIMESTAMP = 'QUANTITY') AS SELECT id, note, CAST(quantity AS BIGINT) AS quantity FROM orders;
       CREATE TABLE c WITH (KAFKA_TOPIC = 'c', ON_ERROR = '${more}') AS SELECT note, COUNT(*) AS n FROM timed
         WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY note;`;
    const letters = ({ committed }: EnrichmentRig): unknown =>
      committed.filter(({ topic }) => topic === 'c-dlq').map(({ value, headers }) => [value, headers?.[1]]);
    const counts = ({ committed }: EnrichmentRig): unknown =>
      committed.filter(({ topic }) => topic === 'c').map(({ value }) => value);
    const aside = await run(sql('DLQ'), { log });
    expect(counts(aside)).toEqual(['{"N":1}', '{"N":1}']);
    expect(letters(aside)).toEqual([
      ['{"ID":2,"NOTE":"n","QUANTITY":2000}', ['__headwater.problem', 'late']],
    ]);
    const strict = await run(sql('STOP'), { log });
    expect(counts(strict)).toEqual(counts(aside));
    expect(letters(strict)).toEqual([]);
  });

  it('STOP ends the attempt before anything of the row is committed, also of INSERT INTO', async () => {
    await expect(run(`CREATE STREAM b WITH (ON_ERROR = 'STOP') AS ${broken};`)).rejects.toMatchObject({
      code: 'enrich.row-failed',
    });
    await expect(
      run(`CREATE STREAM b WITH (ON_ERROR = 'STOP') AS SELECT id, quantity FROM orders;
           INSERT INTO b SELECT id, quantity / 0 AS quantity FROM orders;`),
    ).rejects.toMatchObject({ code: 'enrich.row-failed', details: { query: 'INSERTQUERY_1' } });
  });

  it('DLQ is of events: a row of a table is none', async () => {
    const sql = `CREATE TABLE o WITH (CDC_TABLE = 'shop.public.orders');
      CREATE TABLE t WITH (ON_ERROR = 'DLQ') AS SELECT id, 1 / quantity AS n FROM o;`;
    expect(await refusal(sql)).toContain('ON_ERROR is LOG or STOP here');
  });
});
