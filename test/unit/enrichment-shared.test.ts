import { describe, expect, it } from 'vitest';
import { NOTHING_INFERRED } from '../../src/enrichment/plan/inferred-columns.ts';
import { nothingKept } from '../../src/enrichment/plan/check-statements.ts';
import { compileProgram } from '../../src/enrichment/plan/compile-program.ts';
import { column, table } from '../support/enrichment-rig.ts';
import { declareEnrichment, withMade } from '../../src/enrichment/plan/declared.ts';
import { checkPartitioning } from '../../src/enrichment/shared/partitioning.ts';
import { splitShared, type SplitEnrichment } from '../../src/enrichment/shared/split.ts';

const CAPTURED = table('captured', [column('id', { kind: 'int32' })], [0]);
const SOURCES = `
  CREATE STREAM ratings (customer STRING KEY, id INT, club STRING) WITH (KAFKA_TOPIC = 'r', VALUE_FORMAT = 'JSON');
  CREATE STREAM loose (customer STRING, id INT) WITH (KAFKA_TOPIC = 'l', VALUE_FORMAT = 'JSON');
  CREATE TABLE people (name STRING PRIMARY KEY, club STRING) WITH (KAFKA_TOPIC = 'p', VALUE_FORMAT = 'JSON');
  CREATE TABLE parts (name STRING PRIMARY KEY, club STRING)
    WITH (KAFKA_TOPIC = 'q', VALUE_FORMAT = 'JSON', REPLICATION = 'PARTITIONED');
  CREATE TABLE captured WITH (CDC_TABLE = 'shop.public.captured');
`;

function split(sql: string): SplitEnrichment {
  return splitShared(
    declareEnrichment({ texts: [{ name: 'a.sql', text: SOURCES + sql }], dialect: 'friendly' }, 'shop'),
    'shop',
  );
}

const names = (part: SplitEnrichment['shared']): readonly string[] =>
  (part?.statements ?? []).flatMap(({ statement }) =>
    statement.kind === 'createSource'
      ? []
      : [`${statement.kind === 'insertSelect' ? '+' : ''}${statement.name}`],
  );

function said(sql: string): string {
  const { shared } = split(sql);
  if (shared === null) throw new Error('Nothing of it is shared.');
  try {
    checkPartitioning(shared);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'taken';
}

describe('what instances share', () => {
  it('is what needs topics alone, with all that reads it', () => {
    const { own, shared } = split(`
      CREATE STREAM a AS SELECT * FROM ratings WHERE id > 1;
      CREATE STREAM b AS SELECT * FROM a;
      CREATE STREAM c AS SELECT r.customer, p.club FROM ratings r JOIN people p ON r.customer = p.name;
      CREATE STREAM d AS SELECT * FROM ratings r JOIN captured x ON r.id = x.id;
      CREATE STREAM e AS SELECT * FROM d;`);
    expect(names(shared)).toEqual(['A', 'B', 'C']);
    expect(names(own)).toEqual(['D', 'E']);
  });

  it.each([
    ['CREATE STREAM a AS SELECT * FROM captured_changes', 'A is made by a statement that instances share'],
    [
      `CREATE STREAM z WITH (KAFKA_TOPIC = 'shared.a') AS SELECT * FROM captured_changes`,
      'the topic shared.a holds other records already',
    ],
    [
      'CREATE STREAM z AS SELECT * FROM a',
      'none of them has it whole to be asked or read here: read its topic shared.a',
    ],
  ])('%s of a client is refused beside it', (sql, sentence) => {
    const { own } = split(`
      CREATE STREAM captured_changes WITH (CDC_TABLE = 'shop.public.captured');
      CREATE STREAM a WITH (KAFKA_TOPIC = 'shared.a') AS SELECT * FROM ratings WHERE id > 1;`);
    const made = [{ number: 1, sql, fromLatest: false, terminated: false }];
    const all = withMade(own, { made, fresh: new Map() }, 'shop');
    const compile = (): unknown =>
      compileProgram(all, {
        pipeline: 'shop',
        describe: () => CAPTURED,
        shown: (each) => each.columns.map((each, index) => ({ index, column: each, write: null })),
        ...nothingKept(),
        registry: false,
        inferred: NOTHING_INFERRED,
        tableTopics: new Set(),
        known: new Set(),
        held: new Set(),
        trialFrom: 1,
      });
    expect(compile).toThrow(sentence);
  });

  it('is not what a query of the pipeline reads or writes as well', () => {
    const { own, shared } = split(`
      CREATE STREAM a AS SELECT * FROM ratings WHERE id > 1;
      CREATE STREAM joined AS SELECT * FROM a JOIN captured x ON a.id = x.id;
      CREATE STREAM b AS SELECT * FROM ratings WHERE id > 2;
      INSERT INTO b SELECT * FROM ratings WHERE id < 2;
      INSERT INTO a SELECT * FROM ratings WHERE id < 2;`);
    expect(names(shared)).toEqual(['B', '+B']);
    expect(names(own)).toEqual(['A', 'JOINED', '+A']);
  });

  it('is nothing where each query needs the database', () => {
    const { own, shared } = split(
      'CREATE STREAM d AS SELECT * FROM ratings r JOIN captured x ON r.id = x.id;',
    );
    expect(shared).toBeNull();
    expect(names(own)).toEqual(['D']);
  });
});

describe('groups and joins that instances share', () => {
  it.each([
    'CREATE TABLE t AS SELECT customer, COUNT(*) AS n FROM ratings GROUP BY customer;',
    'CREATE TABLE t AS SELECT customer, club, COUNT(*) AS n FROM ratings GROUP BY customer, club;',
    `CREATE STREAM s AS SELECT customer AS who, id FROM ratings;
     CREATE TABLE t AS SELECT who, COUNT(*) AS n FROM s GROUP BY who;`,
    `CREATE STREAM s AS SELECT r.customer, r.id, p.club FROM ratings r LEFT JOIN parts p ON r.customer = p.name;
     CREATE TABLE t AS SELECT customer, COUNT(*) AS n FROM s GROUP BY customer;`,
    'CREATE STREAM s AS SELECT l.id, p.club FROM loose l LEFT JOIN people p ON l.customer = p.name;',
  ])('are taken where events lie by them: %s', (sql) => {
    expect(said(sql)).toBe('taken');
  });

  it.each([
    'CREATE TABLE t AS SELECT club, COUNT(*) AS n FROM ratings GROUP BY club;',
    'CREATE TABLE t AS SELECT customer, COUNT(*) AS n FROM loose GROUP BY customer;',
    `CREATE STREAM s AS SELECT customer, club FROM ratings PARTITION BY club;
     CREATE TABLE t AS SELECT club, COUNT(*) AS n FROM s GROUP BY club;`,
  ])('are refused with what to write where a group lies in several partitions: %s', (sql) => {
    expect(said(sql)).toContain('let one query write them with PARTITION BY');
  });

  it('are refused where a table has the rows of a partition only, and events lie by something else', () => {
    expect(
      said('CREATE STREAM s AS SELECT l.id, p.club FROM loose l LEFT JOIN parts p ON l.customer = p.name;'),
    ).toContain('PARTS is PARTITIONED, and these events do not lie by what they are joined on');
  });
});
