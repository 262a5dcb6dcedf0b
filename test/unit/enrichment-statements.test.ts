import { NOTHING_INFERRED } from '../../src/enrichment/plan/inferred-columns.ts';
import { describe, expect, it } from 'vitest';
import { declareEnrichment } from '../../src/enrichment/plan/declared.ts';
import { MemoryTables } from '../../src/enrichment/state/memory-tables.ts';
import { compileProgram } from '../../src/enrichment/plan/compile-program.ts';
import type { Program } from '../../src/enrichment/plan/program.ts';
import { explainQuery } from '../../src/enrichment/plan/explain.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { column, table } from '../support/enrichment-rig.ts';

const INT = { kind: 'int32' } as const;
const BIG = { kind: 'int64' } as const;
const TEXT = { kind: 'string' } as const;
const TABLES = [
  table(
    'ratings',
    [
      column('rating_id', BIG),
      column('user_id', INT),
      column('stars', INT),
      column('channel', TEXT),
      column('message', TEXT),
      column('tags', { kind: 'array', element: TEXT }),
    ],
    [0],
  ),
  table('customers', [column('id', INT), column('name', TEXT), column('club_status', TEXT)], [0]),
  table('lines', [column('order_id', BIG), column('line', INT), column('user_id', BIG)], [0, 1]),
  table('keyless', [column('a', INT)], []),
  table('paths', [column('path', { kind: 'array', element: INT })], [0]),
];
const SOURCES =
  `CREATE STREAM ratings WITH (CDC_TABLE = 'shop.public.ratings');` +
  `CREATE TABLE customers WITH (CDC_TABLE = 'shop.public.customers');` +
  `CREATE STREAM lines WITH (CDC_TABLE = 'shop.public.lines');` +
  `CREATE TABLE line_items WITH (CDC_TABLE = 'shop.public.lines');\n`;

function compile(sql: string, dialect: 'friendly' | 'ksqldb' = 'friendly'): Program {
  const ignore = (): void => undefined;
  return compileProgram(
    declareEnrichment({ texts: [{ name: 'a.sql', text: SOURCES + sql }], dialect }, 'shop'),
    {
      pipeline: 'shop',
      describe: (name) => TABLES.find(({ id }) => `${id.schema}.${id.table}` === name) ?? null,
      shown: (each) => each.columns.map((column, index) => ({ index, column, write: null })),
      journal: { put: ignore, delete: ignore, clear: ignore },
      registry: false,
      inferred: NOTHING_INFERRED,
      stores: new MemoryTables({ limit: Infinity, onExceeded: ignore }),
      tableTopics: new Set(['shop.public.ratings']),
      known: new Set(),
      held: new Set(),
      trialFrom: null,
    },
  );
}

function said(sql: string, dialect?: 'friendly' | 'ksqldb'): string {
  try {
    compile(sql, dialect);
  } catch (error) {
    if (error instanceof HeadwaterError && error.code.startsWith('enrich.')) return error.message;
    throw error;
  }
  throw new Error('It was taken.');
}

const columnsOf = ({ queries }: Program): readonly string[] | undefined =>
  queries.at(-1)?.columns.map(({ name, key }) => (key ? `${name} KEY` : name));

describe('the statements of the talks, as they are printed there', () => {
  it('run in the friendly dialect, with a warning for each liberty', () => {
    const { queries } = compile(`
      CREATE STREAM POOR_RATINGS AS SELECT * FROM ratings WHERE STARS <3;
      CREATE STREAM RATINGS_WITH_CUSTOMER_DATA AS SELECT * FROM RATINGS R LEFT JOIN CUSTOMERS C ON R.USER_ID=C.ID;
      CREATE STREAM UNHAPPY_PLATINUM_CUSTOMERS AS SELECT * FROM RATINGS_WITH_CUSTOMER_DATA
        WHERE STARS < 3 AND CLUB_STATUS='platinum';
      CREATE TABLE RATINGS_BY_CLUB_STATUS AS SELECT CLUB_STATUS, COUNT(*) FROM RATINGS_WITH_CUSTOMER_DATA
        WINDOW TUMBLING (SIZE 1 MINUTES) GROUP BY CLUB_STATUS;
      CREATE STREAM SHORT AS SELECT R.USER_ID, R.STARS, CUST.NAME,
        FROM RATINGS LEFT JOIN CUSTOMERS ON R.USER_ID = CUST.ID;`);
    expect(queries.map(({ id }) => id)).toEqual([
      'CSAS_POOR_RATINGS_0',
      'CSAS_RATINGS_WITH_CUSTOMER_DATA_1',
      'CSAS_UNHAPPY_PLATINUM_CUSTOMERS_2',
      'CTAS_RATINGS_BY_CLUB_STATUS_3',
      'CSAS_SHORT_4',
    ]);
    expect(queries[1]?.columns.map(({ name }) => name)).toEqual([
      'RATING_ID',
      'USER_ID',
      'STARS',
      'CHANNEL',
      'MESSAGE',
      'TAGS',
      'ID',
      'NAME',
      'CLUB_STATUS',
    ]);
    expect(queries.flatMap(({ warnings }) => warnings)).toEqual([
      'the comma before FROM is left over',
      'CUST is not declared and taken for CUSTOMERS',
      'R is not declared and taken for RATINGS',
    ]);
  });

  it('are refused where ksqlDB refuses them', () => {
    expect(said('CREATE STREAM a AS SELECT stars, FROM ratings;', 'ksqldb')).toBe(
      'a.sql, line 2:34: expected another expression, found FROM',
    );
    expect(said('CREATE STREAM a AS SELECT R.stars FROM ratings;', 'ksqldb')).toContain(
      'there is no source R in FROM; there is RATINGS',
    );
    expect(said('CREATE STREAM a AS SELECT stars FROM ratings;', 'ksqldb')).toContain(
      'the key column RATING_ID has to be part of the projection',
    );
    expect(said('CREATE STREAM a AS SELECT * FROM ratings', 'ksqldb')).toBe(
      'a.sql, line 2:41: expected ";" at the end of the statement',
    );
    const joined = 'CREATE STREAM a AS SELECT * FROM ratings r JOIN customers c ON r.user_id = c.id;';
    expect(columnsOf(compile(joined, 'ksqldb'))).toContain('C_CLUB_STATUS');
  });
});

describe('each leniency of the friendly dialect', () => {
  it.each([
    [
      'an alias that is the beginning of one source',
      'CREATE STREAM a AS SELECT rating_id, RAT.stars FROM ratings;',
      'RAT is not declared and taken for RATINGS',
      'there is no source RAT in FROM',
    ],
    [
      'ROWKEY for the one key column',
      'CREATE STREAM a AS SELECT rating_id, stars FROM ratings WHERE ROWKEY > 3;',
      'ROWKEY is taken for the key column RATING_ID',
      'there is no column ROWKEY in RATINGS',
    ],
    [
      'an alias of the projection in HAVING',
      'CREATE TABLE a AS SELECT channel, COUNT(*) AS n FROM ratings GROUP BY channel HAVING n > 1;',
      'N in HAVING is taken for the column of the projection',
      'there is no column N in RATINGS',
    ],
    [
      'the key of a stream that is not in the projection',
      'CREATE STREAM a AS SELECT stars FROM ratings;',
      'the key column RATING_ID is not in the projection and added to it',
      'the key column RATING_ID has to be part of the projection',
    ],
    [
      'the key of a join that is not in the projection',
      'CREATE STREAM a AS SELECT stars, name FROM ratings r JOIN customers c ON r.user_id = c.id;',
      'the key column USER_ID is not in the projection and added to it',
      'the key column USER_ID has to be part of the projection',
    ],
    [
      'the key of a group that is not in the projection',
      'CREATE TABLE a AS SELECT COUNT(*) AS n FROM ratings GROUP BY channel;',
      'the key column CHANNEL is not in the projection and added to it',
      'the grouping expression CHANNEL has to be part of the projection',
    ],
    [
      'the key of a table that is not in the projection',
      'CREATE TABLE a AS SELECT name FROM customers;',
      'the key column ID is not in the projection and added to it',
      'the key column ID has to be part of the projection',
    ],
  ])('%s: a warning there, an error in ksqldb', (_, sql, warning, error) => {
    const { queries, tables } = compile(sql);
    expect([...queries, ...tables].flatMap(({ warnings }) => warnings)).toEqual([warning]);
    expect(said(sql, 'ksqldb')).toContain(error);
  });
});

describe('keys', () => {
  it.each([
    ['SELECT stars FROM ratings', ['RATING_ID KEY', 'STARS']],
    ['SELECT rating_id AS r, AS_VALUE(rating_id) AS v FROM ratings', ['R KEY', 'V']],
    ['SELECT stars FROM ratings PARTITION BY channel', ['CHANNEL KEY', 'STARS']],
    ['SELECT stars, UCASE(channel) AS c FROM ratings PARTITION BY UCASE(channel)', ['STARS', 'C KEY']],
    ['SELECT stars FROM ratings PARTITION BY NULL', ['STARS']],
    [
      'SELECT stars, c.name FROM ratings r JOIN customers c ON r.user_id = c.id',
      ['USER_ID KEY', 'STARS', 'NAME'],
    ],
    ['SELECT c.id, stars FROM ratings r JOIN customers c ON r.user_id = c.id', ['ID KEY', 'STARS']],
    ['SELECT stars FROM ratings r JOIN customers c ON r.user_id + 1 = c.id', ['ID KEY', 'STARS']],
    ['SELECT user_id FROM lines', ['ORDER_ID KEY', 'LINE KEY', 'USER_ID']],
    ['SELECT EXPLODE(tags) AS tag FROM ratings', ['RATING_ID KEY', 'TAG']],
  ])('%s', (select, expected) => {
    expect(columnsOf(compile(`CREATE STREAM a AS ${select};`))?.toSorted()).toEqual(expected.toSorted());
  });
});

describe('errors point to what is wrong and say what was probably meant', () => {
  it.each([
    ['SELECT stras FROM ratings', 'line 2:27: there is no column STRAS in RATINGS; did you mean STARS?'],
    [
      'SELECT * FROM ratings WHERE channel = "web"',
      'line 2:58: there is no column web in RATINGS; it has RATING_ID, USER_ID, STARS, CHANNEL, MESSAGE, TAGS (a text stands in single quotes)',
    ],
    ['SELECT * FROM ratngs', 'line 2:34: there is no stream or table RATNGS; did you mean RATINGS?'],
    ['SELECT UCASSE(channel) FROM ratings', 'there is no function UCASSE; did you mean UCASE?'],
    [
      'SELECT LPAD(channel, 3) FROM ratings',
      'LPAD cannot take 2 arguments; write LPAD(text, length, padding)',
    ],
    [
      'SELECT UCASE(stars) FROM ratings',
      'argument 1 of UCASE has to be of type STRING, not INTEGER; write CAST(… AS STRING)',
    ],
    ["SELECT stars + 'a' FROM ratings", '+ cannot take INTEGER and STRING; CAST what is no STRING'],
    ["SELECT * FROM ratings WHERE stars = 'many'", 'must have one type in common'],
    ['SELECT * FROM ratings WHERE stars', 'the condition of WHERE has to be of type BOOLEAN, not INTEGER'],
    ['SELECT NULL AS n FROM ratings', 'NULL alone has no type; write CAST(NULL AS …)'],
    ['SELECT stars, stars FROM ratings', 'two columns of the result are called STARS; name one with AS'],
    ['SELECT * FROM ratings r JOIN customers r ON r.user_id = r.id', 'two sources are called R'],
    [
      'SELECT * FROM ratings r JOIN customers c ON r.user_id = c.name',
      'a table is joined by its primary key; write ON … = C.ID',
    ],
    [
      'SELECT * FROM ratings r JOIN customers c ON r.channel = c.id',
      'STRING cannot be compared with CUSTOMERS.ID, which is INTEGER',
    ],
    ['SELECT * FROM ratings r JOIN lines l ON r.rating_id = l.order_id', 'LINES is a stream'],
    ['SELECT * FROM ratings r RIGHT JOIN customers c ON r.user_id = c.id', 'not a RIGHT side'],
    [
      'SELECT user_id FROM ratings r JOIN line_items l ON r.rating_id = l.order_id',
      'write ON … = L.ORDER_ID AND … = L.LINE',
    ],
    [
      'SELECT user_id FROM lines l JOIN line_items i ON l.order_id = i.order_id AND l.line = i.line',
      'USER_ID could be L.USER_ID or I.USER_ID; write which',
    ],
    ['SELECT stars FROM ratings WHERE EXPLODE(tags) = 1', 'EXPLODE stands alone in the projection'],
    [
      'SELECT COUNT(*) AS n FROM ratings',
      'COUNT belongs to the projection or HAVING of a query with GROUP BY',
    ],
    [
      'SELECT stars, COUNT(*) AS n FROM ratings GROUP BY stars',
      'the result of GROUP BY is a table: write CREATE TABLE',
    ],
    ['SELECT stars FROM ratings HAVING stars > 1', 'HAVING belongs to GROUP BY; write WHERE'],
    ['SELECT UNIX_TIMESTAMP() AS now FROM ratings', 'the same log would not give the same result'],
    [
      "SELECT FORMAT_DATE(CAST('2024-01-01' AS DATE), 'yyyy bogus') AS d FROM ratings",
      'this is no pattern of java.time',
    ],
    ['SELECT stars FROM ratings LIMIT 5', 'cannot have a LIMIT'],
    [
      'SELECT stars FROM ratings PARTITION BY stars, channel, ratings.stars',
      'RATINGS.STARS stands in PARTITION BY already',
    ],
    ['SELECT * FROM customers', 'the result of a query over a table is a table: write CREATE TABLE'],
  ])('%s', (select, sentence) => {
    expect(said(`CREATE STREAM a AS ${select};`)).toContain(sentence);
  });

  it.each([
    [
      'SELECT channel, stars FROM ratings GROUP BY channel',
      'STARS is different from row to row of a group; put it into GROUP BY or into an aggregate',
    ],
    ['SELECT channel FROM ratings GROUP BY channel', 'GROUP BY needs an aggregate'],
    [
      'SELECT channel, COUNT(*) AS n FROM ratings GROUP BY channel, ratings.channel',
      'RATINGS.CHANNEL stands in GROUP BY already',
    ],
    [
      'SELECT channel, COUNT(*) AS n FROM ratings WINDOW TUMBLING (SIZE 100000001 DAYS) GROUP BY channel',
      'a window has at most 100,000,000 days',
    ],
    ['SELECT channel, COUNTT(stars) AS n FROM ratings GROUP BY channel', 'did you mean COUNT?'],
    ['SELECT channel, SUM(*) AS n FROM ratings GROUP BY channel', 'SUM cannot take *'],
    [
      'SELECT channel, LATEST_BY_OFFSET(stars, 2, 3) AS n FROM ratings GROUP BY channel',
      'line 2:62: argument 3 of LATEST_BY_OFFSET is TRUE or FALSE',
    ],
    [
      'SELECT channel, TOPK(stars) AS n FROM ratings GROUP BY channel',
      'TOPK cannot take 1 argument; write TOPK(value [, other, …], count)',
    ],
    ['SELECT channel, COUNT_DISTINCT(tags) AS n FROM ratings GROUP BY channel', 'needs values with an order'],
    [
      'SELECT channel, AVG(message) AS n FROM ratings GROUP BY channel',
      'argument 1 of AVG has to be of type DOUBLE',
    ],
    ['SELECT channel, MIN(tags) AS n FROM ratings GROUP BY channel', 'MIN needs values with an order'],
    ['SELECT tags, COUNT(*) AS n FROM ratings GROUP BY tags', 'a grouping expression is a number, a text'],
    [
      'SELECT channel, WINDOWSTART AS s, COUNT(*) AS n FROM ratings GROUP BY channel',
      'WINDOWSTART is known only in windows',
    ],
    [
      'SELECT channel, COUNT(*) AS n FROM ratings WINDOW TUMBLING (SIZE 0 SECONDS) GROUP BY channel',
      'a window has a SIZE of at least a millisecond',
    ],
    [
      'SELECT channel, COUNT(*) AS n FROM ratings WINDOW HOPPING (SIZE 1 SECOND, ADVANCE BY 2 SECONDS) GROUP BY channel',
      'ADVANCE BY is at least a millisecond and at most the SIZE',
    ],
    [
      'SELECT channel, COUNT(*) AS n FROM ratings WINDOW TUMBLING (SIZE 1 DAY) GROUP BY channel EMIT FINAL',
      'EMIT FINAL is not in this version',
    ],
    ['SELECT *, COUNT(*) AS n FROM ratings GROUP BY channel', 'the projection lists expressions, not *'],
    ['SELECT channel, SUM(message) AS s FROM ratings GROUP BY channel', 'SUM needs a number'],
    ['SELECT channel, COUNT(SUM(stars)) AS s FROM ratings GROUP BY channel', 'SUM belongs to the projection'],
    ['SELECT channel, TOPK(stars, channel) AS s FROM ratings GROUP BY channel', 'is a number from 1 to'],
    [
      'SELECT channel, COUNT(*) AS n FROM ratings WINDOW SESSION (0 SECONDS) GROUP BY channel',
      'the gap that ends a SESSION is at least a millisecond',
    ],
    ['SELECT * FROM ratings', 'events as they are make a stream: write CREATE STREAM'],
    ['SELECT channel, EXPLODE(tags) AS t, COUNT(*) AS n FROM ratings GROUP BY channel', 'are two steps'],
    [
      'SELECT channel, CDC_OP() AS op, COUNT(*) AS n FROM ratings GROUP BY channel',
      'CDC_OP is different from event to event',
    ],
    ['SELECT id FROM customers', 'a table needs a column besides its key'],
    ['SELECT id, name FROM customers PARTITION BY name', 'PARTITION BY belongs to streams'],
    [
      'SELECT name, MAX(id) AS m FROM customers GROUP BY name',
      'only COUNT, SUM, AVG and COLLECT_LIST can be undone',
    ],
    [
      'SELECT name, COUNT(*) AS n FROM customers WINDOW TUMBLING (SIZE 1 DAY) GROUP BY name',
      'WINDOW belongs to events',
    ],
    [
      'SELECT c.id, r.stars FROM customers c JOIN ratings r ON c.id = r.user_id',
      'begin with the stream: FROM RATINGS',
    ],
    [
      'SELECT c.id, d.name FROM customers c FULL JOIN customers d ON c.id = d.id',
      'joined with INNER or LEFT in this version, not FULL',
    ],
    [
      'SELECT c.id, d.name FROM customers c JOIN customers d FOR SYSTEM_TIME AS OF BEFORE ON c.id = d.id',
      'tables are joined as of the commit',
    ],
    [
      'SELECT l.line, c.name FROM line_items l JOIN customers c ON l.user_id = c.id',
      'the other side is no key column of LINE_ITEMS',
    ],
    ['SELECT ROWTIME AS t, id FROM customers', 'ROWTIME of a table is not in this version'],
    ['SELECT id, EXPLODE(ARRAY[1, 2]) AS x FROM customers', 'EXPLODE belongs to streams'],
  ])('%s', (select, sentence) => {
    expect(said(`CREATE TABLE a AS ${select};`)).toContain(sentence);
  });

  it.each([
    [`CREATE TABLE k WITH (CDC_TABLE = 'shop.public.keyless');`, 'has no primary key, which a TABLE needs'],
    [`CREATE TABLE p WITH (CDC_TABLE = 'shop.public.paths');`, 'path of public.paths is ARRAY<INTEGER>'],
    [`CREATE TABLE k WITH (CDC_TABLE = 'shop.public.none');`, 'the table public.none is not captured'],
    [`CREATE TABLE k WITH (CDC_TABLE = 'public.customers');`, "write 'shop.schema.table'"],
    [
      `CREATE TABLE k (a INT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON');`,
      'a table over a topic needs its key',
    ],
    [`CREATE STREAM k (a INT) WITH (KAFKA_TOPIC = 'k');`, "write WITH (…, VALUE_FORMAT = 'JSON')"],
    [
      `CREATE STREAM k (a INT, rowtime BIGINT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON');`,
      'line 2:25: no column can be called ROWTIME',
    ],
    [
      `CREATE STREAM k (windowstart BIGINT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON');`,
      'call it `windowstart`',
    ],
    [
      `CREATE STREAM k (a INT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'DELIMITED', VALUE_DELIMITER = 'ab');`,
      'line 2:78: VALUE_DELIMITER is one character, SPACE or TAB',
    ],
    [
      `CREATE STREAM k (a MAP<STRING, INT>) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'DELIMITED');`,
      'DELIMITED cannot hold A',
    ],
    [
      `CREATE STREAM k (a BOOLEAN) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'KAFKA');`,
      'KAFKA holds one column of type INTEGER, BIGINT, DOUBLE or STRING',
    ],
    [
      `CREATE STREAM k (a INT KEY, b INT KEY, c INT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON');`,
      "write KEY_FORMAT = 'JSON'",
    ],
    [
      `CREATE STREAM k (a INT KEY, c INT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON', KEY_FORMAT = 'NONE');`,
      'NONE holds no columns, and there is A',
    ],
    [
      `CREATE STREAM k (a INT) WITH (KAFKA_TOPIC = 'k', FORMAT = 'JSON', VALUE_FORMAT = 'JSON');`,
      'FORMAT sets VALUE_FORMAT too; keep one of them',
    ],
    [`CREATE STREAM k WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON');`, 'a topic needs its columns'],
    [
      `CREATE STREAM k (a INT, b INT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'KAFKA');`,
      'KAFKA holds one column',
    ],
    [
      `CREATE STREAM k (a VARCHAR) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON', TIMESTAMP = 'A');`,
      'a VARCHAR needs its pattern',
    ],
    [
      `CREATE STREAM k (a INT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON', TIMESTAMP = 'B');`,
      'there is no column B',
    ],
    [
      `CREATE STREAM k (a INT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON');
       CREATE STREAM o WITH (KAFKA_TOPIC = 'k') AS SELECT * FROM k;`,
      'the topic k holds other records already',
    ],
    [
      `CREATE STREAM k (a INT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON');
       CREATE STREAM o AS SELECT a FROM k;
       INSERT INTO o SELECT stars FROM ratings;`,
      'differ in where their events come from',
    ],
    [
      `CREATE STREAM k (a INT) WITH (KAFKA_TOPIC = 'k', VALUE_FORMAT = 'JSON');
       CREATE STREAM o AS SELECT * FROM k JOIN customers c FOR SYSTEM_TIME AS OF BEFORE ON k.a = c.id;`,
      'the events of a topic see the table as of their time',
    ],
    [
      `CREATE STREAM a WITH (VALUE_FORMAT = 'AVRO') AS SELECT * FROM ratings;`,
      'AVRO needs a schema registry, and the settings name none',
    ],
    [
      `CREATE STREAM a WITH (VALUE_FORMAT = 'PROTOBUF') AS SELECT * FROM ratings;`,
      'the format PROTOBUF is not in this version',
    ],
    [`CREATE STREAM a WITH (KAFKA_TOPC = 'x') AS SELECT * FROM ratings;`, 'did you mean KAFKA_TOPIC?'],
    [
      `CREATE STREAM a WITH (CLEANUP_POLICY = 'compact') AS SELECT stars FROM ratings PARTITION BY NULL;`,
      'a compacted topic keeps the last record of each key, and these have none',
    ],
    [
      `CREATE STREAM a WITH (PARTITIONS = 0) AS SELECT * FROM ratings;`,
      'PARTITIONS takes a whole number of at least 1',
    ],
    [
      `CREATE STREAM a WITH (KAFKA_TOPIC = 'shop.public.ratings') AS SELECT * FROM ratings;`,
      'holds other records already',
    ],
    [
      `CREATE STREAM a AS SELECT * FROM ratings; CREATE STREAM a AS SELECT * FROM ratings;`,
      'there is a stream A already',
    ],
    [`CREATE STREAM a AS SELECT * FROM ratings; INSERT INTO a SELECT * FROM a;`, 'would go round for ever'],
    [
      `CREATE STREAM a AS SELECT stars FROM ratings; INSERT INTO a SELECT channel FROM ratings;`,
      'A has the columns RATING_ID BIGINT KEY, STARS INTEGER',
    ],
    [`CREATE SINK CONNECTOR x WITH ('a' = 'b');`, 'CREATE CONNECTOR is not supported'],
    [`SELECT * FROM ratings;`, 'write CREATE STREAM … AS SELECT'],
    ['DROP STREAM ratings;', 'this statement asks a running server'],
    [`CREATE STREAM a AS SELECT \${x} FROM ratings;`, 'the variable x is not defined'],
  ])('%s', (sql, sentence) => {
    expect(said(sql)).toContain(sentence);
  });
});

it('a topic that a statement makes is made for the others that name it', () => {
  const { catalog } = compile(`
    CREATE TABLE a (id INT PRIMARY KEY, n INT) WITH (KAFKA_TOPIC = 't', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
    CREATE STREAM b (n INT) WITH (KAFKA_TOPIC = 't', VALUE_FORMAT = 'JSON');
    CREATE STREAM c (n INT) WITH (KAFKA_TOPIC = 'u', VALUE_FORMAT = 'JSON');`);
  const made = { partitions: 2, replicas: null };
  expect(['A', 'B', 'C'].map((name) => catalog.get(name)?.topic?.create)).toEqual([made, made, null]);
});

describe('EXPLAIN', () => {
  it('shows operators, the join’s mode and what is kept of the table', () => {
    const { queries } = compile(
      `CREATE STREAM a AS SELECT stars, c.name FROM ratings r LEFT JOIN customers c ON r.user_id = c.id WHERE stars < 3;`,
    );
    expect(explainQuery(queries[0]!)).toBe(
      [
        '> WRITE A to topic A, keys KAFKA, values JSON',
        ' > PROJECT USER_ID INTEGER KEY, STARS INTEGER, NAME STRING',
        '  > FILTER',
        '   > LEFT JOIN CUSTOMERS AS OF COMMIT ON R.USER_ID = C.ID: one log, no repartitioning; 2 of 3 columns of public.customers, kept',
        '    > READ RATINGS: the changes of public.ratings',
      ].join('\n'),
    );
  });
});

it('EXPLAIN shows how a stream is keyed anew, and windows with their grace', () => {
  const { queries } = compile(`
    CREATE STREAM a AS SELECT channel, stars FROM ratings WHERE stars > 1 PARTITION BY channel;
    CREATE TABLE t AS SELECT channel, COUNT(*) AS n FROM a WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY channel HAVING COUNT(*) > 1;
    CREATE TABLE h AS SELECT channel, COUNT(*) AS n FROM a
      WINDOW HOPPING (SIZE 1 HOUR, ADVANCE BY 1 MINUTE, GRACE PERIOD 5 SECONDS) GROUP BY channel;
    CREATE TABLE s AS SELECT channel, COUNT(*) AS n FROM a WINDOW SESSION (1 MINUTE) GROUP BY channel;`);
  expect(explainQuery(queries[0]!).split('\n').slice(1)).toEqual([
    ' > PROJECT CHANNEL STRING KEY, STARS INTEGER',
    '  > PARTITION BY CHANNEL',
    '   > FILTER',
    '    > READ RATINGS: the changes of public.ratings',
  ]);
  const windows = queries.slice(1).map((query) => explainQuery(query).split('\n')[2]);
  expect(windows).toEqual([
    '  > AGGREGATE 2 by 1 expression(s) in TUMBLING windows of 3600000 ms, 82800000 ms of grace, HAVING: state in the checkpoint',
    '  > AGGREGATE 1 by 1 expression(s) in HOPPING windows of 3600000 ms every 60000 ms, 5000 ms of grace: state in the checkpoint',
    '  > AGGREGATE 1 by 1 expression(s) in SESSION windows with gaps of 60000 ms, 86340000 ms of grace: state in the checkpoint',
  ]);
});

describe('tables made by queries', () => {
  const CLUBS =
    'CREATE TABLE clubs AS SELECT club_status, COUNT(*) AS n FROM customers GROUP BY club_status;';

  it('are read by others, and EXPLAIN says what is kept of them', () => {
    const { tables, queries } = compile(`${CLUBS}
      CREATE TABLE small AS SELECT club_status AS club, n FROM clubs WHERE n < 9;
      CREATE STREAM a AS SELECT rating_id, s.n FROM ratings r LEFT JOIN small s ON r.channel = s.club;`);
    expect(tables.map(({ id }) => id)).toEqual(['CTAS_CLUBS_0', 'CTAS_SMALL_1']);
    expect(explainQuery(tables[1]!)).toBe(
      [
        '> WRITE SMALL to topic SMALL, keys KAFKA, values JSON: at most one record for a key in a transaction',
        ' > PROJECT CLUB STRING KEY, N BIGINT',
        '  > FILTER',
        '   > READ CLUBS: groups that the checkpoint holds',
      ].join('\n'),
    );
    expect(explainQuery(queries[0]!)).toContain('computed from its tables when asked for, nothing kept');
    expect(explainQuery(tables[0]!)).toContain('> READ CUSTOMERS: 2 of 3 columns of public.customers, kept');
  });

  it('are not joined by streams where they count a stream, nor read where they have windows', () => {
    const counted = 'CREATE TABLE c AS SELECT user_id, COUNT(*) AS n FROM ratings GROUP BY user_id;';
    expect(
      said(`${counted} CREATE STREAM a AS SELECT * FROM ratings r JOIN c ON r.user_id = c.user_id;`),
    ).toContain('C counts events of a stream');
    const windows = `CREATE TABLE w AS SELECT user_id, COUNT(*) AS n FROM ratings
      WINDOW TUMBLING (SIZE 1 DAY) GROUP BY user_id;`;
    expect(said(`${windows} CREATE TABLE a AS SELECT * FROM w;`)).toContain('W has windows');
    expect(said(`${CLUBS} INSERT INTO clubs SELECT channel, 1 FROM ratings;`)).toContain(
      'INSERT INTO writes to a stream',
    );
  });
});

describe('variables', () => {
  it('are placed as text, and inside quotes with their quotes doubled', () => {
    const { queries } = compile(
      `DEFINE what = 'it''s'; DEFINE column = 'stars'; CREATE STREAM a AS SELECT \${column}, '\${what}' AS t FROM ratings;`,
    );
    expect(queries[0]?.statement).toBe(`CREATE STREAM A AS SELECT STARS, 'it''s' AS T FROM RATINGS`);
  });
});
