/** Scripts of Flink SQL, without Flink: what is in them, what is named instead, and what is quoted how. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkStatements } from '../../src/enrichment/plan/check-statements.ts';
import { declareEnrichment } from '../../src/enrichment/plan/declared.ts';
import { type FlinkScript, flinkScript } from '../../src/enrichment/flink/flink-script.ts';
import type { FlinkTopics } from '../../src/enrichment/flink/flink-sources.ts';
import type { ShownColumns } from '../../src/enrichment/sources/captured-columns.ts';
import { exampleStatements, RESULTS } from '../support/flink-examples.ts';
import { column, table } from '../support/enrichment-rig.ts';

const INT = { kind: 'int32' } as const;
const TEXT = { kind: 'string' } as const;
const TABLES = [
  table('customers', [column('id', INT), column('name', TEXT), column('club', TEXT)], [0]),
  table('profiles', [column('id', INT), column('score', INT)], [0]),
  table(
    'orders',
    [
      column('id', { kind: 'int64' }),
      column('customer_id', INT),
      column('price', { kind: 'decimal', precision: 10, scale: 2 }),
      column('Select', TEXT),
      column('at', { kind: 'timestamp', precision: 6 }),
    ],
    [0],
  ),
];
const SOURCES = `
CREATE TABLE customers WITH (CDC_TABLE = 'shop.public.customers');
CREATE TABLE profiles WITH (CDC_TABLE = 'shop.public.profiles');
CREATE STREAM orders WITH (CDC_TABLE = 'shop.public.orders');
CREATE STREAM ratings (id INT, user_id INT, stars INT, at VARCHAR, tags ARRAY<VARCHAR>)
  WITH (KAFKA_TOPIC = 'ratings', VALUE_FORMAT = 'JSON', TIMESTAMP = 'AT', TIMESTAMP_FORMAT = 'yyyy-MM-dd HH:mm:ss');
`;
const DECIMAL = { kind: 'decimal', precision: 10, scale: 2 } as const;
const SHOP_TABLES = [
  table(
    'customers',
    [
      ...[
        column('id', INT),
        column('first_name', TEXT),
        column('club_status', TEXT),
        column('credit', DECIMAL),
      ],
      column('since', { kind: 'timestamptz', precision: null }),
    ],
    [0],
  ),
  table('profiles', [column('id', INT), column('score', INT)], [0]),
  table('items', [column('id', TEXT), column('make', TEXT), column('unit_cost', DECIMAL)], [0]),
  table(
    'purchases',
    [
      ...[column('id', { kind: 'int64' }), column('customer_id', INT), column('quantity', INT)],
      ...[column('price', DECIMAL), column('day', { kind: 'date' })],
    ],
    [0],
  ),
];
const shown: ShownColumns = (each) => each.columns.map((column, index) => ({ index, column, write: null }));

function topicsOf(tables: typeof TABLES): FlinkTopics {
  return {
    brokers: ['a:9092', 'b:9092'],
    format: 'json',
    profile: 'safe',
    envelope: 'full',
    registry: null,
    describe: ({ table }) => tables.find(({ id }) => id.table === table) ?? null,
    shown,
    topicOf: ({ schema, table }) => `shop.${schema}.${table}`,
  };
}

function script(sql: string, topics: Partial<FlinkTopics> = {}): FlinkScript {
  const texts = [{ name: 'a.sql', text: SOURCES + sql }];
  const program = checkStatements(declareEnrichment({ texts, dialect: 'friendly' }, 'shop'), {
    pipeline: 'shop',
    shown,
    registry: true,
    inferred: new Map(),
    tableTopics: new Set(),
    tables: TABLES,
  });
  return flinkScript({
    pipeline: 'shop',
    program,
    topics: { ...topicsOf(TABLES), ...topics },
  });
}

/** One view of the script, on one line. */
function view(sql: string, name: string, topics?: Partial<FlinkTopics>): string {
  const { text, missing } = script(sql, topics);
  expect(missing).toEqual([]);
  const found = new RegExp(`CREATE VIEW \`${name}\` AS\\n([^;]*);`).exec(text)?.[1];
  if (found === undefined) throw new Error(`There is no view ${name} in\n${text}`);
  return found.replaceAll(/\s+/g, ' ');
}

describe('the script of a filter', () => {
  it('reads a topic, filters it and writes the result', () => {
    const { text } = script('CREATE STREAM poor AS SELECT id, stars FROM ratings WHERE stars < 3');
    expect(text.slice(text.indexOf('CREATE TABLE'))).toMatchInlineSnapshot(`
      "CREATE TABLE \`RATINGS__topic\` (
        \`ID\` INT,
        \`id\` INT,
        \`USER_ID\` INT,
        \`user_id\` INT,
        \`STARS\` INT,
        \`stars\` INT,
        \`AT\` STRING,
        \`at\` STRING,
        \`TAGS\` ARRAY<STRING>,
        \`tags\` ARRAY<STRING>,
        \`__TIME\` AS TO_TIMESTAMP_LTZ(COALESCE((UNIX_TIMESTAMP(DATE_FORMAT(TO_TIMESTAMP(COALESCE(\`AT\`, \`at\`), 'yyyy-MM-dd HH:mm:ss'), 'yyyy-MM-dd HH:mm:ss')) * 1000 + EXTRACT(MILLISECOND FROM TO_TIMESTAMP(COALESCE(\`AT\`, \`at\`), 'yyyy-MM-dd HH:mm:ss'))), 0), 3),
        WATERMARK FOR \`__TIME\` AS \`__TIME\`
      ) WITH (
        'connector' = 'kafka',
        'topic' = 'ratings',
        'properties.bootstrap.servers' = 'a:9092,b:9092',
        'properties.isolation.level' = 'read_committed',
        'scan.startup.mode' = 'earliest-offset',
        'value.format' = 'json',
        'value.json.ignore-parse-errors' = 'true'
      );

      CREATE VIEW \`RATINGS\` AS
      SELECT COALESCE(\`ID\`, \`id\`) AS \`ID\`, COALESCE(\`USER_ID\`, \`user_id\`) AS \`USER_ID\`, COALESCE(\`STARS\`, \`stars\`) AS \`STARS\`, COALESCE(\`AT\`, \`at\`) AS \`AT\`, COALESCE(\`TAGS\`, \`tags\`) AS \`TAGS\`, (UNIX_TIMESTAMP(DATE_FORMAT(TO_TIMESTAMP(COALESCE(\`AT\`, \`at\`), 'yyyy-MM-dd HH:mm:ss'), 'yyyy-MM-dd HH:mm:ss')) * 1000 + EXTRACT(MILLISECOND FROM TO_TIMESTAMP(COALESCE(\`AT\`, \`at\`), 'yyyy-MM-dd HH:mm:ss'))) AS \`__MS\`, \`__TIME\`
      FROM \`RATINGS__topic\`
      WHERE (UNIX_TIMESTAMP(DATE_FORMAT(TO_TIMESTAMP(COALESCE(\`AT\`, \`at\`), 'yyyy-MM-dd HH:mm:ss'), 'yyyy-MM-dd HH:mm:ss')) * 1000 + EXTRACT(MILLISECOND FROM TO_TIMESTAMP(COALESCE(\`AT\`, \`at\`), 'yyyy-MM-dd HH:mm:ss'))) IS NOT NULL;

      -- CREATE STREAM POOR AS SELECT ID, STARS FROM RATINGS WHERE STARS < 3

      CREATE VIEW \`POOR\` AS
      SELECT \`RATINGS\`.\`ID\` AS \`ID\`, \`RATINGS\`.\`STARS\` AS \`STARS\`, \`RATINGS\`.\`__MS\`, \`RATINGS\`.\`__TIME\`
      FROM \`RATINGS\` AS \`RATINGS\`
      WHERE (\`RATINGS\`.\`STARS\` < 3);

      CREATE TABLE \`POOR__result\` (
        \`ID\` INT,
        \`STARS\` INT,
        \`__time\` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'
      ) WITH (
        'connector' = 'kafka',
        'topic' = 'POOR',
        'properties.bootstrap.servers' = 'a:9092,b:9092',
        'value.format' = 'json',
        'value.json.encode.decimal-as-plain-number' = 'true'
      );

      EXECUTE STATEMENT SET BEGIN
      INSERT INTO \`POOR__result\`
      SELECT \`ID\`, \`STARS\`, TO_TIMESTAMP_LTZ(\`__MS\`, 3)
      FROM \`POOR\`;
      END;
      "
    `);
  });

  it('quotes names, reserved ones too', () => {
    expect(view('CREATE STREAM x AS SELECT id, `SELECT` AS `Table``s` FROM orders', 'X')).toContain(
      '`ORDERS`.`SELECT` AS `Table``s`',
    );
  });
});

describe('joins', () => {
  it('of a stream with tables are as of the event’s time', () => {
    const sql = `CREATE STREAM x AS SELECT o.id, c.name, p.score FROM orders o
      LEFT JOIN customers c ON o.customer_id = c.id INNER JOIN profiles p ON c.id = p.id`;
    expect(view(sql, 'X')).toMatchInlineSnapshot(
      `"SELECT \`C\`.\`ID\` AS \`ID\`, \`O\`.\`ID\` AS \`O_ID\`, \`C\`.\`NAME\` AS \`NAME\`, \`P\`.\`SCORE\` AS \`SCORE\`, \`O\`.\`__MS\`, \`O\`.\`__TIME\` FROM \`ORDERS\` AS \`O\` LEFT JOIN \`CUSTOMERS__versions\` FOR SYSTEM_TIME AS OF \`O\`.\`__TIME\` AS \`C\` ON \`O\`.\`CUSTOMER_ID\` = \`C\`.\`ID\` INNER JOIN \`PROFILES__versions\` FOR SYSTEM_TIME AS OF \`O\`.\`__TIME\` AS \`P\` ON \`C\`.\`ID\` = \`P\`.\`ID\` WHERE \`O\`.\`__OP\` <> 'd'"`,
    );
  });

  it('of tables are those of their rows', () => {
    const sql =
      'CREATE TABLE x AS SELECT c.id, name, score FROM customers c LEFT JOIN profiles p ON c.id = p.id';
    expect(view(sql, 'X')).toMatchInlineSnapshot(
      `"SELECT \`C\`.\`ID\` AS \`C_ID\`, \`C\`.\`NAME\` AS \`NAME\`, \`P\`.\`SCORE\` AS \`SCORE\` FROM \`CUSTOMERS\` AS \`C\` LEFT JOIN \`PROFILES\` AS \`P\` ON \`C\`.\`ID\` = \`P\`.\`ID\`"`,
    );
    expect(script(sql).differences).toContain(
      'CTAS_X_0: a change of one side may show a row with NULLs for a moment: Flink knows no transactions.',
    );
  });

  it('with a filtered table read its versions', () => {
    const sql = `CREATE TABLE gold AS SELECT id, name FROM customers WHERE club = 'gold';
      CREATE STREAM x AS SELECT o.id, g.name FROM orders o JOIN gold g ON o.customer_id = g.id;`;
    expect(view(sql, 'X')).toContain('INNER JOIN `GOLD__versions` FOR SYSTEM_TIME AS OF `O`.`__TIME` AS `G`');
    expect(view(sql, 'GOLD__versions')).toContain('`CUSTOMERS`.`__SINCE` FROM `CUSTOMERS__versions`');
  });
});

describe('expressions', () => {
  const expression = (text: string, from = 'ratings'): string =>
    (/SELECT (.*) AS `X`, /.exec(view(`CREATE STREAM s AS SELECT ${text} AS x, id FROM ${from}`, 'S')) ??
      [])[1] ?? '';

  it.each([
    ['stars / 2', 'CAST((`RATINGS`.`STARS` / NULLIF(2, 0)) AS INT)'],
    ["at + 'x'", "CAST((`RATINGS`.`AT` || 'x') AS STRING)"],
    ['tags[-1] IS NULL', 'CARDINALITY(`RATINGS`.`TAGS`) + (-1) + 1'],
    ['IFNULL(stars, 0)', 'CAST(COALESCE(`RATINGS`.`STARS`, 0) AS INT)'],
    ['GREATEST(stars, id)', 'COALESCE(`RATINGS`.`STARS`, `RATINGS`.`ID`)'],
    ['CAST(at AS INT)', 'TRY_CAST(`RATINGS`.`AT` AS INT)'],
    ["CASE stars WHEN 1 THEN 'a' ELSE 'b' END", "(CASE WHEN (`RATINGS`.`STARS` = 1) THEN 'a' ELSE 'b' END)"],
    ['ROWTIME', '`RATINGS`.`__MS`'],
    ["ROWTIME > '2020'", '(`RATINGS`.`__MS` > 1577836800000)'],
    ["ROWTIME BETWEEN '2020' AND '2020-02'", 'BETWEEN 1577836800000 AND 1580515200000)'],
    ['SUBSTRING(at, 2)', 'CAST(SUBSTRING(`RATINGS`.`AT`, 2) AS STRING)'],
  ])('%s', (text, wanted) => expect(expression(text)).toContain(wanted));

  it('writes a text that stands for a time as that', () => {
    expect(
      view(`CREATE STREAM x AS SELECT id, customer_id FROM orders WHERE at > '2024-02-29T00:00:00'`, 'X'),
    ).toContain('(`ORDERS`.`AT` > 1709164800000)');
  });
});

describe('groups', () => {
  it('leave out NULLs', () => {
    expect(
      view('CREATE TABLE x AS SELECT club, COUNT(*) AS n FROM customers GROUP BY club HAVING n > 1', 'X'),
    ).toMatchInlineSnapshot(
      `"SELECT \`CUSTOMERS\`.\`CLUB\` AS \`CLUB\`, CAST(COUNT(*) AS BIGINT) AS \`N\` FROM \`CUSTOMERS\` AS \`CUSTOMERS\` WHERE \`CUSTOMERS\`.\`CLUB\` IS NOT NULL GROUP BY \`CUSTOMERS\`.\`CLUB\` HAVING (COUNT(*) > 1)"`,
    );
  });

  it.each([
    [
      'TUMBLING (SIZE 1 MINUTE)',
      "TUMBLE(TABLE `X__events`, DESCRIPTOR(`__TIME`), INTERVAL '60.000' SECOND(2, 3))",
    ],
    [
      'HOPPING (SIZE 1 HOUR, ADVANCE BY 5 MINUTES)',
      "INTERVAL '300.000' SECOND(3, 3), INTERVAL '3600.000' SECOND(4, 3))",
    ],
    [
      'SESSION (1500 MILLISECONDS)',
      "PARTITION BY (`__G0`), DESCRIPTOR(`__TIME`), INTERVAL '1.500' SECOND(2, 3))",
    ],
  ])('in %s', (window, wanted) => {
    const sql = `CREATE TABLE x AS SELECT user_id, COUNT(*) AS n FROM ratings WINDOW ${window} GROUP BY user_id`;
    expect(view(sql, 'X')).toContain(wanted);
    expect(script(sql).text).toContain('PRIMARY KEY (`USER_ID`, `WINDOWSTART`) NOT ENFORCED');
  });

  it('wait with sessions as long as GRACE PERIOD says', () => {
    const sql = `CREATE TABLE x AS SELECT user_id, COUNT(*) AS n FROM ratings
      WINDOW SESSION (1 SECOND, GRACE PERIOD 30 SECONDS) GROUP BY user_id`;
    expect(script(sql).text).toContain("WATERMARK FOR `__TIME` AS `__TIME` - INTERVAL '30.000' SECOND(2, 3)");
  });
});

/** All of these statements, over tables as they are in a shop. */
function shopScript(text: string, tables: typeof TABLES): FlinkScript {
  const declared = declareEnrichment({ texts: [{ name: 'all.sql', text }], dialect: 'friendly' }, 'shop');
  const program = checkStatements(declared, {
    pipeline: 'shop',
    shown,
    registry: false,
    inferred: new Map(),
    tableTopics: new Set(),
    tables,
  });
  return flinkScript({ pipeline: 'shop', program, topics: topicsOf(tables) });
}

it('has all statements of the talks', () => {
  const { text, missing } = shopScript(exampleStatements('shop'), SHOP_TABLES);
  expect(missing).toEqual([]);
  expect(text.match(/^INSERT INTO `\w+/gm)).toEqual(
    Object.keys(RESULTS).map((name): unknown => expect.stringContaining(name)),
  );
});

it('has all statements of docs/examples', () => {
  const examples = new URL('../../docs/examples/', import.meta.url);
  const files = readdirSync(examples, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.sql'),
  );
  expect(files).not.toEqual([]);
  const names = ['first_name', 'last_name', 'email', 'club_status'];
  const customers = table('customers', [column('id', INT), ...names.map((name) => column(name, TEXT))], [0]);
  for (const file of files) {
    const statements = readFileSync(new URL(file, examples), 'utf8');
    const { text, missing } = shopScript(statements, [customers]);
    expect(missing).toEqual([]);
    expect(text.match(/^INSERT INTO/gm)).toHaveLength(statements.match(/^ {2}SELECT/gm)?.length ?? 0);
  }
});

describe('what has no equal', () => {
  const missing = (sql: string, topics?: Partial<FlinkTopics>): readonly string[] =>
    script(sql, topics).missing;
  const JOINED = `SELECT o.id, c.name FROM orders o LEFT JOIN customers FOR SYSTEM_TIME AS OF`;

  it.each([
    [
      `CREATE STREAM x AS ${JOINED.replace('customers FOR', 'customers c FOR')} STATEMENT ON o.customer_id = c.id`,
      'AS OF STATEMENT',
    ],
    ['CREATE STREAM x AS SELECT id, CDC_TX() AS tx FROM orders', 'CDC_TX'],
    ['CREATE TABLE x AS SELECT user_id, TOPK(stars, 2) AS best FROM ratings GROUP BY user_id', 'TOPK'],
    ['CREATE STREAM x AS SELECT id, EXPLODE(tags) AS a, EXPLODE(tags) AS b FROM ratings', 'EXPLODE'],
    ['CREATE STREAM x WITH (WRAP_SINGLE_VALUE = FALSE) AS SELECT stars FROM ratings', 'WRAP_SINGLE_VALUE'],
    ["CREATE STREAM x WITH (VALUE_FORMAT = 'AVRO') AS SELECT id, stars FROM ratings", 'results in AVRO'],
    [
      `CREATE STREAM a (n INT, m INT) WITH (KAFKA_TOPIC = 'a', VALUE_FORMAT = 'AVRO');
       CREATE STREAM x WITH (VALUE_FORMAT = 'JSON') AS SELECT n, m FROM a`,
      'a topic in AVRO',
    ],
  ])('%s', (sql, reason) => {
    const { text, missing } = script(sql);
    expect(missing).toHaveLength(1);
    expect(missing[0]).toContain(reason);
    expect(text).toContain(`-- NOT HERE: ${missing[0]}`);
    expect(text).not.toContain('INSERT INTO');
  });

  it('is a time that TIMESTAMP has changed, in windows and joins', () => {
    const sql = `CREATE STREAM a WITH (TIMESTAMP = 'AT') AS SELECT id, customer_id, at FROM orders;
      CREATE STREAM b AS SELECT id, customer_id, ROWTIME AS t FROM a;
      CREATE TABLE c AS SELECT id, COUNT(*) AS n FROM b WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY id;`;
    const { text, missing } = script(sql);
    expect(missing).toEqual([expect.stringMatching(/^CTAS_C_2 .*TIMESTAMP/)]);
    expect(text).toContain('COALESCE(`ORDERS`.`AT`, `ORDERS`.`__MS`) AS `__MS`');
  });

  it('is missed by all that reads it, and by nothing else', () => {
    const sql = `CREATE STREAM a AS SELECT id, CDC_POS() AS pos FROM orders;
      CREATE STREAM b AS SELECT * FROM a;
      CREATE STREAM c AS SELECT id, customer_id FROM orders;`;
    const { text, missing } = script(sql);
    expect(missing.map((each) => each.split(' ')[0])).toEqual(['CSAS_A_0', 'CSAS_B_1']);
    expect(text.match(/INSERT INTO `\w+`/g)).toEqual(['INSERT INTO `C__result`']);
  });

  it('are records that Flink cannot read', () => {
    const sql = 'CREATE STREAM x AS SELECT id, price FROM orders';
    expect(missing(sql, { profile: 'debezium' })).toEqual([expect.stringContaining('emit.profile: safe')]);
    expect(missing(sql, { format: 'protobuf' })).toEqual([expect.stringContaining('emit.format: protobuf')]);
    expect(missing(sql, { envelope: 'unwrapped' })).toEqual([expect.stringContaining('unwrapped')]);
    expect(missing(sql, { format: 'avro', registry: 'http://r', profile: 'debezium' })).toEqual([]);
  });
});

it('reads Avro with the registry, and JSON with its schema', () => {
  const sql = 'CREATE STREAM x AS SELECT o.id, c.name FROM orders o JOIN customers c ON o.customer_id = c.id';
  const avro = script(sql, { format: 'avro', registry: 'http://r' }).text;
  expect(avro).toContain("'value.format' = 'debezium-avro-confluent'");
  expect(avro).toContain("'value.avro-confluent.url' = 'http://r'");
  // Its format for changes tells no times.
  expect(avro).not.toContain('value.source.timestamp');
  expect(avro).toContain('ROW_NUMBER() OVER (PARTITION BY `ID` ORDER BY `__SINCE` DESC)');
  expect(avro).toContain("ON `O`.`CUSTOMER_ID` = `C`.`ID` AND `C`.`__OP` <> 'd'");
  const made = `CREATE TABLE gold AS SELECT id, name FROM customers WHERE club = 'gold';
    CREATE STREAM x AS SELECT o.id, g.name FROM orders o JOIN gold g ON o.customer_id = g.id;`;
  expect(script(made, { format: 'avro', registry: 'http://r' }).missing).toEqual([
    expect.stringMatching(/^CSAS_X_1 .*GOLD is made of a table whose changes are Avro/),
  ]);
  const json = script(sql, { format: 'json-with-schema' }).text;
  expect(json).toContain("'value.debezium-json.schema-include' = 'true'");
  expect(json).toContain('`payload`.`after`.`id`');
});

describe('a table over a topic', () => {
  const rated = `CREATE STREAM x AS SELECT r.id, o.owner FROM ratings r LEFT JOIN owners o ON r.id = o.id;`;
  const owners = (column: string, more = ''): string =>
    `CREATE TABLE owners (id INT PRIMARY KEY, ${column}) WITH (KAFKA_TOPIC = 'owners', VALUE_FORMAT = 'JSON'${more}); ${rated}`;

  it('has its versions by the times of its records', () => {
    const { text, missing, differences } = script(owners('owner VARCHAR'));
    expect(missing).toEqual([]);
    expect(text).toContain("'connector' = 'upsert-kafka',\n  'topic' = 'owners'");
    expect(text).toContain('`ID` INT NOT NULL,\n  `OWNER` STRING,\n  `owner` STRING,\n  `__SINCE`');
    expect(text).toContain('LEFT JOIN `OWNERS__versions` FOR SYSTEM_TIME AS OF `R`.`__TIME`');
    expect(differences).toContainEqual(expect.stringContaining('OWNERS: an event of before a row’s record'));
  });

  it.each([
    ['owner VARCHAR', ", KEY_FORMAT = 'JSON'", 'the key of its records is JSON'],
    ['owner VARCHAR, at BIGINT', ", TIMESTAMP = 'AT'", 'TIMESTAMP names a column'],
    ['owner VARCHAR', ', WRAP_SINGLE_VALUE = FALSE', 'WRAP_SINGLE_VALUE'],
  ])('with %s%s has no equal', (column, more, reason) => {
    expect(script(owners(column, more)).missing).toEqual([expect.stringContaining(reason)]);
  });
});

it('writes results as DELIMITED and KAFKA say', () => {
  const delimited = script(
    "CREATE STREAM x WITH (VALUE_FORMAT = 'DELIMITED', VALUE_DELIMITER = ';') AS SELECT id, stars FROM ratings;",
  );
  expect(delimited.missing).toEqual([]);
  expect(delimited.text).toContain("'value.format' = 'csv',\n  'value.csv.field-delimiter' = ';'");
  expect(delimited.differences).toContainEqual(expect.stringContaining('an empty text and NULL'));
  const raw = script("CREATE STREAM x WITH (VALUE_FORMAT = 'KAFKA') AS SELECT stars FROM ratings;");
  expect(raw.missing).toEqual([]);
  expect(raw.text).toContain("'value.format' = 'raw'");
});
