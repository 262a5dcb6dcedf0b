/** The dialect piece by piece: each line names the section of the specification that asks for it. */
import { describe, expect, it } from 'vitest';
import { AGGREGATE_NAMES } from '../../src/enrichment/sql/functions/aggregates.ts';
import { FUNCTIONS } from '../../src/enrichment/sql/functions/registry.ts';
import { printStatement } from '../../src/enrichment/sql/print-statement.ts';
import { parseScript } from '../../src/enrichment/sql/script.ts';
import type { Dialect } from '../../src/enrichment/sql/token-cursor.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';

function read(text: string, dialect: Dialect = 'ksqldb'): string {
  return parseScript(text, dialect)
    .map(({ statement }) => `${printStatement(statement)};`)
    .join(' ');
}

function said(text: string, dialect: Dialect = 'ksqldb'): string {
  try {
    read(text, dialect);
  } catch (error) {
    if (error instanceof HeadwaterError) return error.message;
    throw error;
  }
  throw new Error('It was taken.');
}

describe('what is read, and as what', () => {
  it.each([
    // 1: names, texts, numbers, comments, variables
    ['1', 'select a from t;', 'SELECT A FROM T;'],
    ['1', 'SELECT `a b``c`, "D" FROM "t";', 'SELECT `a b``c`, D FROM `t`;'],
    ['1', 'SELECT 1day FROM t;', 'SELECT 1DAY FROM T;'],
    ['1', "SELECT 'it''s', -- to the end\n /* and ; this */ 1 FROM t;", "SELECT 'it''s', 1 FROM T;"],
    ['1', "DEFINE x = 'a'; SELECT ${x}, '${x}' FROM t;", "SELECT A, 'a' FROM T;"],
    ['1', "DEFINE q = 'it''s'; SELECT '${q}' FROM t;", "SELECT 'it''s' FROM T;"],
    [
      '1',
      'SELECT type, day, show, integer, window FROM t;',
      'SELECT TYPE, DAY, SHOW, INTEGER, WINDOW FROM T;',
    ],
    // 2: types
    [
      '2',
      "CREATE STREAM s (a INT, b BIGINT, c DOUBLE, d DECIMAL(9,2), e VARCHAR, f DATE, g TIME, h TIMESTAMP, i BOOLEAN) WITH (KAFKA_TOPIC='s');",
      "CREATE STREAM S (A INTEGER, B BIGINT, C DOUBLE, D DECIMAL(9, 2), E STRING, F DATE, G TIME, H TIMESTAMP, I BOOLEAN) WITH (KAFKA_TOPIC = 's');",
    ],
    [
      '2',
      "CREATE TABLE t (k STRING PRIMARY KEY, a ARRAY<INT>, m MAP<STRING, STRUCT<x INT, y STRING>>) WITH (KAFKA_TOPIC='t');",
      "CREATE TABLE T (K STRING PRIMARY KEY, A ARRAY<INTEGER>, M MAP<STRING, STRUCT<X INTEGER, Y STRING>>) WITH (KAFKA_TOPIC = 't');",
    ],
    // 3: statements
    [
      '3',
      "CREATE STREAM IF NOT EXISTS s (k INT KEY) WITH ('kafka_topic' = 's', partitions = 3);",
      "CREATE STREAM IF NOT EXISTS S (K INTEGER KEY) WITH (KAFKA_TOPIC = 's', PARTITIONS = 3);",
    ],
    [
      '3',
      'CREATE OR REPLACE STREAM s AS SELECT * FROM t EMIT CHANGES;',
      'CREATE OR REPLACE STREAM S AS SELECT * FROM T EMIT CHANGES;',
    ],
    [
      '3',
      "INSERT INTO s WITH (QUERY_ID = 'q') SELECT a FROM t;",
      "INSERT INTO S WITH (QUERY_ID = 'q') SELECT A FROM T;",
    ],
    ['3', "INSERT INTO s (a, b) VALUES (1, 'x');", "INSERT INTO S (A, B) VALUES (1, 'x');"],
    ['3', 'DROP TABLE IF EXISTS t DELETE TOPIC;', 'DROP TABLE IF EXISTS T DELETE TOPIC;'],
    ['3', 'TERMINATE ALL; PAUSE q; RESUME q;', 'TERMINATE ALL; PAUSE Q; RESUME Q;'],
    [
      '3',
      'LIST STREAMS; SHOW TOPICS EXTENDED; DESCRIBE s EXTENDED;',
      'SHOW STREAMS; SHOW TOPICS EXTENDED; DESCRIBE S EXTENDED;',
    ],
    [
      '3',
      "PRINT 'ratings' FROM BEGINNING INTERVAL 2 LIMIT 3;",
      "PRINT 'ratings' FROM BEGINNING INTERVAL 2 LIMIT 3;",
    ],
    [
      '3',
      "SET 'auto.offset.reset' = 'earliest'; UNSET 'a';",
      "SET 'auto.offset.reset' = 'earliest'; UNSET 'a';",
    ],
    ['3', 'EXPLAIN q; EXPLAIN SELECT a FROM t;', 'EXPLAIN Q; EXPLAIN SELECT A FROM T;'],
    // 3: SELECT
    [
      '3',
      'SELECT a, t.*, s->f AS x FROM t AS u LEFT OUTER JOIN v FOR SYSTEM_TIME AS OF BEFORE ON u.a = v.b WHERE a > 1 PARTITION BY a, b EMIT CHANGES LIMIT 3;',
      'SELECT A, T.*, S->F AS X FROM T AS U LEFT JOIN V FOR SYSTEM_TIME AS OF BEFORE ON U.A = V.B WHERE A > 1 PARTITION BY (A, B) EMIT CHANGES LIMIT 3;',
    ],
    [
      '3',
      'SELECT a, COUNT(*) FROM t WINDOW HOPPING (SIZE 1 HOUR, ADVANCE BY 5 MINUTES, RETENTION 2 DAYS, GRACE PERIOD 1 SECOND) GROUP BY (a, b) HAVING COUNT(*) > 1;',
      'SELECT A, COUNT(*) FROM T WINDOW HOPPING (SIZE 1 HOURS, ADVANCE BY 5 MINUTES, RETENTION 2 DAYS, GRACE PERIOD 1 SECONDS) GROUP BY (A, B) HAVING COUNT(*) > 1;',
    ],
    [
      '3',
      'SELECT a FROM t WINDOW SESSION (5 MINUTES) GROUP BY a;',
      'SELECT A FROM T WINDOW SESSION (5 MINUTES) GROUP BY (A);',
    ],
    [
      '3',
      'SELECT a FROM t JOIN s WITHIN (1 HOUR, 2 HOURS) GRACE PERIOD 1 DAY ON t.a = s.a;',
      'SELECT A FROM T INNER JOIN S WITHIN (1 HOURS, 2 HOURS) GRACE PERIOD 1 DAYS ON T.A = S.A;',
    ],
    // 3: expressions by strength
    [
      '3',
      'SELECT NOT a OR b AND c = d + e * -f || g FROM t;',
      'SELECT NOT A OR B AND C = D + E * -F || G FROM T;',
    ],
    ['3', 'SELECT (a OR b) AND c, (1 + 2) * 3 FROM t;', 'SELECT (A OR B) AND C, (1 + 2) * 3 FROM T;'],
    [
      '3',
      "SELECT a NOT LIKE 'x!%' ESCAPE '!', b NOT BETWEEN 1 AND 2, c NOT IN (1, 2), d IS NOT NULL FROM t;",
      "SELECT A NOT LIKE 'x!%' ESCAPE '!', B NOT BETWEEN 1 AND 2, C NOT IN (1, 2), D IS NOT NULL FROM T;",
    ],
    [
      '3',
      "SELECT a[1], m['k'], s->x->y, ARRAY[1, 2], MAP('a' := 1), STRUCT(f := 1) FROM t;",
      "SELECT A[1], M['k'], S->X->Y, ARRAY[1, 2], MAP('a' := 1), STRUCT(F := 1) FROM T;",
    ],
    [
      '3',
      'SELECT CASE WHEN a THEN 1 ELSE 2 END, CASE a WHEN 1 THEN 2 END, CAST(a AS BIGINT) FROM t;',
      'SELECT CASE WHEN A THEN 1 ELSE 2 END, CASE A WHEN 1 THEN 2 END, CAST(A AS BIGINT) FROM T;',
    ],
  ])('section %s: %s', (_, text, printed) => {
    expect(read(text)).toBe(printed);
    // And what is printed is read as the same.
    expect(read(printed)).toBe(printed);
  });
});

describe('what is refused says where, what was expected and what was meant', () => {
  it.each([
    ['1', 'SELECT ${nope} FROM t;', 'line 1:8: the variable nope is not defined'],
    ['1', "SELECT 'a FROM t;", 'line 1:8: the text that begins here has no end'],
    ['1', 'SELECT /* a FROM t;', 'line 1:8: the comment that begins here has no end'],
    [
      '1',
      'SELECT a FROM select;',
      'line 1:15: expected the name of a stream or table, but SELECT has a meaning of its own',
    ],
    ['2', 'CREATE STREAM s (a INTEGR) WITH (KAFKA_TOPIC = 1);', 'did you mean INTEGER?'],
    ['3', 'SELEC a FROM t;', 'line 1:1: expected CREATE, SELECT'],
    ['3', 'SELECT a FORM t;', 'FROM'],
    ['3', 'SELECT a\n  FROM t WHERE;', 'line 2:15: expected'],
    ['3', 'SELECT a FROM t GROUP a;', 'line 1:17'],
    ['3', 'SELECT a FROM t WINDOW TUMBLING (SIZE 5 MINUTE) GRUOP BY a;', 'line 1:49'],
    ['3', 'SELECT a FROM t WINDOW TUMBLING (SIZE 5 MINUTS) GROUP BY a;', 'did you mean MINUTE'],
    ['3', 'SELECT 1 = 2 = 3 FROM t;', 'line 1:14'],
    ['3', 'CREATE STREAM s WITH (a = 1, A = 2) AS SELECT * FROM t;', 'the property A stands there twice'],
  ])('section %s: %s', (_, text, sentence) => {
    expect(said(text)).toContain(sentence);
  });
});

describe('section 1.1: what the two dialects take', () => {
  it.each([
    ['final ; missing', 'SELECT a FROM t', 'expected ";" at the end of the statement'],
    ['comma before FROM', 'SELECT a, FROM t;', 'expected another expression, found FROM'],
  ])('%s', (_, text, refused) => {
    expect(read(text, 'friendly')).toBe('SELECT A FROM T;');
    expect(said(text)).toContain(refused);
  });

  it('a comma that is left over is warned of', () => {
    expect(parseScript('SELECT a, FROM t', 'friendly')[0]?.warnings).toEqual([
      'the comma before FROM is left over',
    ]);
  });
});

describe('section 9: functions', () => {
  const FIRST =
    'COALESCE IFNULL NULLIF GREATEST LEAST AS_VALUE CONCAT CONCAT_WS INITCAP INSTR LCASE LEN LPAD REGEXP_EXTRACT ' +
    'REGEXP_REPLACE REPLACE RPAD SPLIT SUBSTRING TRIM UCASE EXTRACTJSONFIELD ABS CEIL FLOOR ROUND SIGN SQRT ' +
    'UNIX_TIMESTAMP UNIX_DATE FROM_UNIXTIME STRINGTOTIMESTAMP TIMESTAMPTOSTRING STRINGTODATE DATETOSTRING ' +
    'FORMAT_TIMESTAMP PARSE_TIMESTAMP FORMAT_DATE PARSE_DATE CONVERT_TZ ARRAY_LENGTH ARRAY_CONTAINS ARRAY_JOIN ' +
    'MAP_KEYS MAP_VALUES';
  it('of the first release are all there', () => {
    expect(FIRST.split(' ').filter((name) => !FUNCTIONS.has(name))).toEqual([]);
  });

  it('section 6.3: so are the aggregates', () => {
    const aggregates =
      'COUNT COUNT_DISTINCT SUM AVG MIN MAX TOPK TOPKDISTINCT COLLECT_LIST COLLECT_SET LATEST_BY_OFFSET EARLIEST_BY_OFFSET';
    expect([...AGGREGATE_NAMES].toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
      aggregates.split(' ').toSorted((a, b) => (a < b ? -1 : 1)),
    );
  });
});
