/** LOBs, XML, long strings; DDL and rows that LogMiner has no names for. */
import { afterEach, describe, expect, test } from 'vitest';
import { applyChanges, parseDdl } from '../../src/readers/oracle/ddl.ts';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { fakeColumn, Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';
import { columnsOf } from '../support/oracle/table-models.ts';

const TABLES = {
  'Q.DOC': {
    columns: { ID: 'NUMBER(9,0)', TITLE: 'VARCHAR2(40)', BODY: 'CLOB', BIN: 'BLOB', X: 'XMLTYPE' },
    pk: ['ID'],
  },
  'Q.ORD': { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)', QTY: 'NUMBER(9,0)' }, pk: ['ID'] },
};
const [A, B] = [xid(1), xid(2)];

let harness: Harness;

function scripted(script: RedoScript): FakeOracle {
  const server = serverWith(TABLES);
  server.redo = script.rows;
  return server;
}

function run(server: FakeOracle, tweaks: ConstructorParameters<typeof Harness>[1] = {}): Harness {
  harness = new Harness(server, tweaks);
  return harness;
}

afterEach(async () => {
  expect(await harness.close()).toEqual([]);
});

const locator = (column: string, id: string, variable = 'loc_c'): string =>
  `DECLARE\n  ${variable}  CLOB;\nBEGIN\n select "${column}" into ${variable} from "Q"."DOC" where "ID" = '${id}' for update;`;
const write = (data: string, length: number, offset: number): string =>
  ` buf_c := ${data};\n  dbms_lob.write(loc_c, ${length}, ${offset}, buf_c);\n`;

describe('LOBs', () => {
  const doc = (values: Record<string, string>): Record<string, string> => ({
    ID: '1',
    BODY: '=EMPTY_CLOB()',
    BIN: '=EMPTY_BLOB()',
    ...values,
  });

  test('off: empty LOBs of inserts are unavailable, inline values of updates are taken', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.DOC', doc({ TITLE: 't' }))
      .update(A, 'Q.DOC', { BODY: 'inline' }, { ID: '1', TITLE: 't' })
      .other(A, 10, 'Q.DOC', write("'never asked for'", 15, 1))
      .commit(A);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(h.events.map(({ after }) => after)).toEqual([
      { ID: '1', TITLE: 't', BODY: '<unchanged>', BIN: '<unchanged>', X: null },
      { ID: '1', TITLE: 't', BODY: 'inline', BIN: '<unchanged>', X: '<unchanged>' },
    ]);
  });

  test('out of line, inline and mixed, in one insert', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.DOC', doc({ TITLE: 't' }))
      .other(A, 9, 'Q.DOC', locator('BODY', '1'))
      .other(A, 10, 'Q.DOC', write("'it''s '", 5, 1))
      .other(A, 10, 'Q.DOC', write("'long......'", 4, 6))
      .update(A, 'Q.DOC', { BIN: "=HEXTORAW('cafe')" }, { ID: '1', TITLE: 't' })
      .commit(A);
    const h = run(scripted(script), { lobs: true });
    await h.poll(2030n);
    expect(h.events).toHaveLength(1);
    expect(h.events[0]).toMatchObject({ op: 'c', after: { BODY: "it's long", BIN: 'hex cafe' } });
  });

  test('an update of a LOB alone; writes at its beginning, in the middle, behind a hole; trim', async () => {
    const script = new RedoScript()
      .other(A, 9, 'Q.DOC', locator('BODY', '7'))
      .other(A, 10, 'Q.DOC', write("'abcdef'", 6, 1))
      .other(A, 10, 'Q.DOC', write("'XY'", 2, 3))
      .other(A, 10, 'Q.DOC', write("'end'", 3, 9))
      .other(A, 11, 'Q.DOC', ' dbms_lob.trim(loc_c, 10);')
      .other(A, 9, 'Q.DOC', locator('BIN', '7', 'loc_b'))
      .other(A, 10, 'Q.DOC', " buf_b := HEXTORAW('0102ffff');\n  dbms_lob.write(loc_b, 2, 1, buf_b);\n")
      .commit(A);
    const h = run(scripted(script), { lobs: true });
    await h.poll(2030n);
    expect(h.events).toHaveLength(1);
    expect(h.events[0]).toMatchObject({
      op: 'u',
      before: { ID: '7', TITLE: '<absent>', BODY: '<unchanged>' },
      after: { ID: '7', TITLE: '<unchanged>', BODY: 'abXYef  en', BIN: 'hex 0102' },
    });
  });

  test('what is not known stays so: a write past the beginning, an erase', async () => {
    const script = new RedoScript()
      .other(A, 9, 'Q.DOC', locator('BODY', '7'))
      .other(A, 10, 'Q.DOC', write("'tail'", 4, 100))
      .other(A, 9, 'Q.DOC', locator('BODY', '8'))
      .other(A, 10, 'Q.DOC', write("'all'", 3, 1))
      .other(A, 29, 'Q.DOC', 'dbms_lob.erase(loc_c, 1, 1);')
      .commit(A);
    const h = run(scripted(script), { lobs: true });
    await h.poll(2030n);
    expect(h.events.map(({ after }) => [after?.['ID'], after?.['BODY']])).toEqual([
      ['7', '<unchanged>'],
      ['8', '<unchanged>'],
    ]);
    expect(h.warnings).toEqual(['lob-erase']);
  });

  test('windows cut a chain: nothing twice', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.DOC', doc({ TITLE: 't' }))
      .other(A, 9, 'Q.DOC', locator('BODY', '1'))
      .other(A, 10, 'Q.DOC', write("'one '", 4, 1))
      .other(A, 10, 'Q.DOC', write("'two'", 3, 5))
      .undo(A, 2, 'Q.ORD')
      .commit(A);
    const h = run(scripted(script), {
      lobs: true,
      limits: { windowStart: 1n, windowLeast: 1n, windowMost: 1n },
    });
    await h.poll(2030n);
    expect(h.events.map(({ after }) => after?.['BODY'])).toEqual(['one two']);
  });

  test('XML in both forms, cut inside of a character, and NULL', async () => {
    const [head, tail] = ['3c613ec3', 'a93c2f613e'];
    const script = new RedoScript()
      .insert(A, 'Q.DOC', { ID: '1' })
      .other(A, 68, 'Q.DOC', `XML DOC BEGIN:  select "X" from "Q"."DOC" where "ID" = '1'`)
      .other(A, 70, 'Q.DOC', `XML_REDO := HEXTORAW('${head}'):4`)
      .other(A, 70, 'Q.DOC', `XML_REDO := HEXTORAW('${tail}):5`)
      .other(A, 71, 'Q.DOC', null)
      .other(
        A,
        68,
        'Q.DOC',
        `update "Q"."DOC" a set a."X" = XMLType(:1)  where a."ID" = '2' and a."TITLE" IS NULL`,
      )
      .other(A, 70, 'Q.DOC', '<b>text</b>')
      .other(A, 71, 'Q.DOC', null)
      .other(A, 68, 'Q.DOC', `XML DOC BEGIN:  select "X" from "Q"."DOC" where "ID" = '3'`)
      .other(A, 70, 'Q.DOC', 'XML_REDO := NULL')
      .other(A, 71, 'Q.DOC', null)
      .commit(A);
    const h = run(scripted(script), { lobs: true });
    await h.poll(2030n);
    expect(h.events.map(({ op, after }) => [op, after?.['ID'], after?.['X']])).toEqual([
      ['c', '1', '<a>é</a>'],
      ['u', '2', '<b>text</b>'],
      ['u', '3', null],
    ]);
  });

  test('a string past 4,000 bytes, in pieces', async () => {
    const script = new RedoScript()
      .other(
        A,
        91,
        'Q.DOC',
        `DECLARE\n Stmt varchar2(100);\nBEGIN\n Stmt := 'update "Q"."DOC" a set a."BODY" = :BODY where a."ID" = ''1'' ';`,
      )
      .other(A, 92, 'Q.DOC', " buf_c := 'it''s ';  dbms_sql.x;")
      .other(A, 92, 'Q.DOC', " buf_c := 'long';  dbms_sql.x;")
      .other(A, 93, 'Q.DOC', null)
      .commit(A);
    const h = run(scripted(script), { lobs: true });
    await h.poll(2030n);
    expect(h.events[0]).toMatchObject({ op: 'u', after: { ID: '1', BODY: "it's long" } });
  });

  test('a text in no known form is a failure that names the place', async () => {
    const script = new RedoScript().other(A, 9, 'Q.DOC', 'something else').commit(A);
    const h = run(scripted(script), { lobs: true });
    await expect(h.poll(2030n)).rejects.toMatchObject({
      code: 'source.redo-unreadable',
      details: { scn: '2011', table: 'Q.DOC' },
    });
  });
});

describe('DDL in the stream', () => {
  test.each([
    [
      'ALTER TABLE "Q"."ORD" ADD (NOTE VARCHAR2(10), "Mixed" NUMBER(5))',
      { ID: 'NUMBER', NAME: 'VARCHAR2', QTY: 'NUMBER', NOTE: 'VARCHAR2', Mixed: 'NUMBER' },
    ],
    ['alter table q.ord drop column qty', { ID: 'NUMBER', NAME: 'VARCHAR2' }],
    [
      'ALTER TABLE ORD /* ( */ RENAME COLUMN NAME TO TITLE;',
      { ID: 'NUMBER', TITLE: 'VARCHAR2', QTY: 'NUMBER' },
    ],
  ])('%s', async (ddl, after) => {
    const script = new RedoScript()
      .insert(A, 'Q.ORD', { ID: '1', NAME: 'old', QTY: '1' })
      .ddl(B, 'Q.ORD', ddl);
    const server = scripted(script);
    // The catalogue is ahead: another column is gone by now.
    server.tables[1]!.columns = [fakeColumn('ID', 'NUMBER(9,0)', true)];
    const h = run(server);
    h.state.set('schema/Q.ORD', storedShape());
    await h.poll(2012n);
    expect(h.events).toEqual([expect.objectContaining({ op: 'ddl', table: 'Q.ORD', after })]);
    script.commit(A);
    await h.poll(2020n);
    // The row was written before.
    expect(h.events[1]).toMatchObject({ op: 'c', after: { ID: '1', NAME: 'old', QTY: '1' } });
  });

  test('is read again after a restart and changes nothing; old rows keep the old shape', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.ORD', { ID: '1', NAME: 'old' })
      .ddl(B, 'Q.ORD', 'ALTER TABLE Q.ORD DROP COLUMN NAME')
      .commit(B)
      .insert(B, 'Q.ORD', { ID: '2', QTY: '2' })
      .commit(B);
    const server = scripted(script);
    const h = run(server);
    h.state.set('schema/Q.ORD', storedShape());
    server.tables[1]!.columns = server.tables[1]!.columns.filter(({ name }) => name !== 'NAME');
    await h.poll(2018n);
    await h.restart();
    script.commit(A);
    await h.poll(2030n);
    expect(h.events.map(({ op, after }) => [op, after])).toEqual([
      ['ddl', { ID: 'NUMBER', QTY: 'NUMBER' }],
      ['c', { ID: '2', QTY: '2' }],
      ['c', { ID: '1', NAME: 'old', QTY: null }],
    ]);
  });

  test('truncate is an event at its commit; drop and rename end a table', async () => {
    const script = new RedoScript()
      .ddl(A, 'Q.ORD', 'TRUNCATE TABLE Q.ORD')
      .commit(A)
      .ddl(B, 'Q.DOC', 'DROP TABLE "Q"."DOC" AS "BIN$x==$0"')
      .commit(B);
    const h = run(scripted(script));
    await h.poll(2030n);
    expect(h.events.map(({ op, table, after }) => [op, table, after])).toEqual([
      ['t', 'Q.ORD', null],
      ['ddl', 'Q.DOC', null],
    ]);
  });

  test('what is not understood leads to the catalogue', async () => {
    const script = new RedoScript()
      .ddl(A, 'Q.ORD', 'ALTER TABLE Q.ORD ADD (V NUMBER GENERATED ALWAYS AS (QTY * 2))')
      .commit(A);
    const server = scripted(script);
    const h = run(server);
    await h.open();
    server.tables[1]!.columns = [...server.tables[1]!.columns, fakeColumn('W', 'DATE')];
    await h.poll(2030n);
    expect(h.events).toEqual([
      expect.objectContaining({
        op: 'ddl',
        after: { ID: 'NUMBER', NAME: 'VARCHAR2', QTY: 'NUMBER', W: 'DATE' },
      }),
    ]);
  });

  test('a DDL whose text is not there leads to the catalogue, too', async () => {
    const script = new RedoScript().other(B, 5, 'Q.ORD', null).insert(A, 'Q.ORD', { ID: '1' }).commit(A);
    const server = scripted(script);
    const h = run(server);
    await h.open();
    server.tables[1]!.columns = [...server.tables[1]!.columns, fakeColumn('NOTE', 'VARCHAR2(9)')];
    await h.poll(2030n);
    expect(h.events.map(({ op, after }) => [op, Object.keys(after ?? {})])).toEqual([
      ['ddl', ['ID', 'NAME', 'QTY', 'NOTE']],
      ['c', ['ID', 'NAME', 'QTY', 'NOTE']],
    ]);
  });

  test('a comment changes nothing; a DDL of nobody’s text, and of a table that is gone by now, neither', async () => {
    const script = new RedoScript()
      .ddl(A, 'Q.ORD', "COMMENT ON TABLE Q.ORD IS 'x'")
      .commit(A)
      .other(B, 5, 'Q.ORD', null)
      .commit(B)
      .ddl(A, 'Q.DOC', 'ALTER TABLE Q.DOC MOVE')
      .commit(A)
      .ddl(B, 'Q.OTHERS', 'TRUNCATE TABLE Q.OTHERS')
      .commit(B)
      .insert(A, 'Q.ORD', { ID: '1' })
      .commit(A);
    const server = scripted(script);
    const h = run(server);
    await h.open();
    server.tables.shift();
    await h.poll(2040n);
    expect(h.events.map(({ op, table }) => [op, table])).toEqual([['c', 'Q.ORD']]);
  });

  test('a DDL that was undone changes nothing', async () => {
    const script = new RedoScript()
      .ddl(A, 'Q.ORD', 'TRUNCATE TABLE Q.ORD', { extra: { ROLLBACK: 1 } })
      .commit(A);
    const h = run(scripted(script));
    await h.poll(2040n);
    expect(h.events).toEqual([]);
  });

  test('a rename: to a table that is captured, and to one that is not', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.ORD', { ID: '1', NAME: 'a' })
      .commit(A)
      .ddl(B, 'Q.DOC', 'DROP TABLE Q.DOC')
      .commit(B)
      .ddl(B, 'Q.ORD', 'ALTER TABLE Q.ORD RENAME TO DOC')
      .commit(B)
      .insert(A, 'Q.DOC', { ID: '2', NAME: 'b' })
      .commit(A)
      .ddl(B, 'Q.DOC', 'RENAME DOC TO ELSEWHERE')
      .commit(B);
    const h = run(scripted(script));
    await h.poll(2040n);
    expect(h.events.map(({ op, table, after }) => [op, table, after])).toEqual([
      ['c', 'Q.ORD', { ID: '1', NAME: 'a', QTY: null }],
      ['ddl', 'Q.DOC', null],
      ['ddl', 'Q.ORD', null],
      ['ddl', 'Q.DOC', { ID: 'NUMBER', NAME: 'VARCHAR2', QTY: 'NUMBER' }],
      ['c', 'Q.DOC', { ID: '2', NAME: 'b', QTY: null }],
      ['ddl', 'Q.DOC', null],
    ]);
  });

  test('a key whose column is renamed goes with it, where the catalogue is ahead', async () => {
    const script = new RedoScript()
      .ddl(B, 'Q.ORD', 'ALTER TABLE Q.ORD RENAME COLUMN ID TO NUM')
      .commit(B)
      .delete(A, 'Q.ORD', { NUM: '1' })
      .commit(A)
      .delete(A, 'Q.ORD', { NAME: 'x' })
      .commit(A);
    const server = scripted(script);
    const h = run(server);
    await h.open();
    server.tables.pop();
    await h.poll(2014n);
    expect(h.events.at(-1)).toMatchObject({ op: 'd', before: { NUM: '1' } });
    // Without the key of its row it is nobody's.
    await expect(h.poll(2040n)).rejects.toMatchObject({ code: 'source.redo-unreadable' });
  });

  test('a key whose column is dropped is none, and not the column that has its place', async () => {
    const script = new RedoScript()
      .ddl(B, 'Q.ORD', 'ALTER TABLE Q.ORD DROP COLUMN ID CASCADE CONSTRAINTS')
      .commit(B)
      .delete(A, 'Q.ORD', { QTY: '1' })
      .commit(A);
    const server = scripted(script);
    const h = run(server);
    await h.open();
    // The catalogue is ahead.
    server.tables[1]!.columns = [fakeColumn('LATER', 'DATE')];
    server.tables[1]!.key = ['LATER'];
    await h.poll(2040n);
    expect(h.events.map(({ op, before, after }) => [op, before, after])).toEqual([
      ['ddl', null, { NAME: 'VARCHAR2', QTY: 'NUMBER' }],
      ['d', { NAME: '<absent>', QTY: '1' }, null],
    ]);
  });

  test('a column nobody has told of: the catalogue is read once, then it is a failure', async () => {
    const server = scripted(
      new RedoScript()
        .insert(A, 'Q.ORD', { ID: '1', COLOUR: 'red' })
        .commit(A)
        .insert(B, 'Q.ORD', { ID: '2', NONE: 'x' })
        .commit(B),
    );
    const h = run(server);
    await h.open();
    server.tables[1]!.columns = [...server.tables[1]!.columns, fakeColumn('COLOUR', 'VARCHAR2(9)')];
    await h.poll(2012n);
    expect(h.events[0]?.after).toMatchObject({ COLOUR: 'red' });
    expect(h.warnings).toEqual(['schema-drift']);
    await expect(h.poll(2030n)).rejects.toMatchObject({ code: 'source.redo-unreadable' });
  });

  test('the catalogue cannot be read just then: the attempt ends, and nothing of the transaction is lost', async () => {
    const server = scripted(
      new RedoScript()
        .insert(A, 'Q.ORD', { ID: '1' })
        .insert(A, 'Q.ORD', { ID: '2', COLOUR: 'red' })
        .commit(A),
    );
    const h = run(server);
    await h.open();
    server.tables[1]!.columns = [...server.tables[1]!.columns, fakeColumn('COLOUR', 'VARCHAR2(9)')];
    server.faults.push({
      on: 'SQL',
      within: 'FROM ALL_TAB_COLS',
      message: 'ORA-00604: recursive SQL',
      times: 1,
    });
    await expect(h.poll(2030n)).rejects.toMatchObject({ code: 'source.query-interrupted' });
    await h.restart();
    await h.poll(2030n);
    expect(h.events.map(({ after }) => after?.['ID'])).toEqual(['1', '2']);
  });

  const nameless = (): RedoScript =>
    new RedoScript()
      .other(
        A,
        1,
        'UNKNOWN.OBJ# 73001',
        `insert into "UNKNOWN"."OBJ# 73001"("COL 1","COL 2") values (HEXTORAW('c102'),HEXTORAW('416461'));`,
        {
          extra: { STATUS: 2, INFO: 'Dictionary Mismatch', 'DATA_OBJ#': '73001' },
        },
      )
      .other(A, 1, 'UNKNOWN.OBJ# 99', `insert into "UNKNOWN"."OBJ# 99"("COL 1") values (HEXTORAW('c102'));`, {
        extra: { STATUS: 2, INFO: 'Dictionary Mismatch', 'DATA_OBJ#': '99' },
      })
      .commit(A);

  test('hybrid: rows without names are rebuilt from the history', async () => {
    const h = run(scripted(nameless()));
    await h.poll(2030n);
    expect(h.events).toEqual([
      expect.objectContaining({ op: 'c', table: 'Q.ORD', after: { ID: '1', NAME: 'Ada', QTY: null } }),
    ]);
    expect(h.warnings).toEqual(['sql-not-reconstructed']);
  });

  test('online_catalog: they are a failure with advice', async () => {
    const h = run(scripted(nameless()), { strategy: 'online_catalog' });
    await expect(h.poll(2030n)).rejects.toMatchObject({
      code: 'source.redo-unreadable',
      fix: expect.stringContaining('hybrid') as string,
    });
  });

  test('what cannot be read goes to the dead-letter topic where that is wanted, and the rest goes on', async () => {
    const script = new RedoScript()
      .other(A, 1, 'Q.ORD', `insert into "Q"."ORD"("ID") values ('1`)
      .other(A, 255, 'Q.ORD', null, { extra: { INFO: 'Unsupported' } })
      .other(A, 1, 'Q.ORD', '/* No SQL_REDO for temporary tables */')
      .insert(A, 'Q.ORD', { ID: '2', NAME: '=Unsupported Type' })
      .commit(A);
    const h = run(scripted(script), { onUnreadable: 'dead-letter' });
    await h.poll(2030n);
    expect(h.events.map(({ op, after }) => [op, after?.['ID'], after?.['NAME']])).toEqual([
      ['unreadable c', '<absent>', '<absent>'],
      ['unreadable u', '<absent>', '<absent>'],
      ['c', '2', '<unchanged>'],
    ]);
    expect(h.warnings).toEqual(['unsupported-operation', 'unsupported-type']);
    const strict = new Harness(scripted(script));
    await expect(strict.poll(2030n)).rejects.toMatchObject({ code: 'source.redo-unreadable' });
    expect(strict.events).toEqual([]);
    await strict.close();
  });
});

describe('DDL texts', () => {
  const kind = (sql: string): string => parseDdl(sql).kind;

  test.each([
    ['TRUNCATE TABLE q.ord', 'truncate'],
    ['DROP TABLE ord PURGE', 'drop'],
    ["COMMENT ON TABLE ord IS 'x'", 'ignore'],
    ['ALTER TABLE ord ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS', 'ignore'],
    ['ALTER TABLE ord RENAME TO ord2', 'rename'],
    ['RENAME ord TO ord2', 'rename'],
    ['ALTER TABLE ord MOVE', 'reread'],
    ['ALTER TABLE ord ADD CONSTRAINT pk PRIMARY KEY (id)', 'reread'],
    ['ALTER TABLE ord ADD (x NUMBER PRIMARY KEY)', 'reread'],
    ['CREATE TABLE ord AS SELECT * FROM x', 'reread'],
    ["ALTER TABLE ord ADD (x VARCHAR2(10) DEFAULT 'a,b)' NOT NULL, y DATE)", 'columns'],
    ['ALTER TABLE ord ADD x INTERVAL DAY(3) TO SECOND(9) MODIFY (y NOT NULL) DROP (z)', 'columns'],
    ['ALTER TABLE ord SET UNUSED COLUMN x', 'columns'],
    ["ALTER TABLE ord ADD x 'open", 'reread'],
    ['ALTER TABLE ord ADD (x NUMBER /* open', 'reread'],
    ['ALTER TABLE ord ADD (x NUMBER -- the rest is a comment', 'reread'],
    ['ALTER TABLE ord ADD (x NUMBER) -- to the end', 'columns'],
    ['-- first\nTRUNCATE TABLE q.ord', 'truncate'],
    ["ALTER TABLE ord ADD (x VARCHAR2(9) DEFAULT 'it''s')", 'columns'],
    ['ALTER TABLE ord RENAME TO', 'reread'],
    ['ALTER TABLE ord RENAME TO 7', 'reread'],
    ['RENAME ord', 'reread'],
    ['RENAME ord TO', 'reread'],
    ['ALTER TABLE', 'reread'],
    ['ALTER TABLE 7', 'reread'],
    ['ALTER TABLE ord RENAME COLUMN a TO', 'reread'],
    ['ALTER TABLE ord RENAME COLUMN a', 'reread'],
    ['ALTER TABLE ord RENAME COLUMN 7 TO b', 'reread'],
    ['ALTER TABLE ord RENAME CONSTRAINT a TO b', 'reread'],
    ['ALTER TABLE ord DROP COLUMN 7', 'reread'],
    ['ALTER TABLE ord DROP (a b)', 'reread'],
    ['ALTER TABLE ord DROP (a', 'reread'],
    ['ALTER TABLE ord DROP PRIMARY KEY', 'reread'],
    ['ALTER TABLE ord DROP SUPPLEMENTAL LOG DATA (ALL) COLUMNS', 'ignore'],
    ['ALTER TABLE ord DROP (a, b) CASCADE CONSTRAINTS INVALIDATE', 'columns'],
    ['ALTER TABLE ord DROP COLUMN a ONLINE', 'columns'],
    ['ALTER TABLE ord DROP COLUMN a CHECKPOINT 100', 'reread'],
    ['ALTER TABLE ord ADD', 'reread'],
    ['ALTER TABLE ord ADD (x)', 'reread'],
    ['ALTER TABLE ord ADD (7 NUMBER)', 'reread'],
    ['ALTER TABLE ord ADD PARTITION p1', 'reread'],
    ['ALTER TABLE ord ADD (x SDO_GEOMETRY)', 'reread'],
    ['ALTER TABLE ord ADD (x NUMBER DEFAULT)', 'reread'],
    ['ALTER TABLE ord ADD (x NUMBER INVISIBLE)', 'reread'],
    ['ALTER TABLE ord ADD (x NUMBER DEFAULT ON NULL 1 NOT NULL ENABLE VISIBLE)', 'columns'],
    ['ALTER TABLE ord MODIFY (x NULL)', 'columns'],
    ['ALTER TABLE ord MODIFY (x DEFAULT NULL)', 'columns'],
    ['ALTER TABLE ord MODIFY x', 'reread'],
    ['ALTER TABLE ord MODIFY (7 NUMBER)', 'reread'],
    ['ALTER TABLE ord MODIFY (x INVISIBLE)', 'reread'],
    ['ALTER TABLE ord MODIFY PARTITION p1 UNUSABLE LOCAL INDEXES', 'reread'],
    ['ALTER TABLE ord SET INTERVAL (7)', 'reread'],
    ['ALTER TABLE ord', 'ignore'],
    ['', 'reread'],
  ])('%s is %s', (sql, expected) => {
    expect(kind(sql)).toBe(expected);
    harness = new Harness(serverWith(TABLES));
  });

  test('changes of columns, applied', () => {
    harness = new Harness(serverWith(TABLES));
    const before = columnsOf({ ID: 'NUMBER(9,0)', A: 'VARCHAR2(5)', B: 'DATE' });
    const effect = parseDdl(
      `alter table "Q".ord modify (a varchar2(9 char) default 'x' not null) add ("c" timestamp(9) with time zone) drop column b`,
    );
    expect(effect.kind === 'columns' && applyChanges(before, effect.changes)).toEqual([
      ...columnsOf({ ID: 'NUMBER(9,0)' }),
      {
        name: 'A',
        dataType: 'VARCHAR2',
        length: 9,
        precision: null,
        scale: null,
        nullable: false,
        default: "'x'",
      },
      {
        name: 'c',
        dataType: 'TIMESTAMP WITH TIME ZONE',
        length: null,
        precision: null,
        scale: 9,
        nullable: true,
        default: null,
      },
    ]);
    expect(applyChanges(before, [{ kind: 'drop', name: 'NONE' }])).toBeNull();
    // What the history says and the text do not fit: the catalogue decides.
    const again = parseDdl('ALTER TABLE ord ADD (a NUMBER)');
    expect(again.kind === 'columns' && applyChanges(before, again.changes)).toBeNull();
    const hidden = [{ ...before[0]!, hidden: true as const }];
    expect(applyChanges(hidden, [{ kind: 'drop', name: 'ID' }])).toBeNull();
  });

  test('what a column may be, and its default, as they are written', () => {
    harness = new Harness(serverWith(TABLES));
    const column = (sql: string): unknown => {
      const effect = parseDdl(`ALTER TABLE ord ADD (x ${sql})`);
      const [change] = effect.kind === 'columns' ? effect.changes : [];
      if (change?.kind !== 'add') return null;
      return [change.column.dataType, change.column.default, change.column.nullable];
    };
    expect(column('VARCHAR2(9)')).toEqual(['VARCHAR2', null, true]);
    expect(column('NUMBER DEFAULT ON NULL (1 + 2) NOT NULL')).toEqual(['NUMBER', '( 1 + 2 )', false]);
    expect(column("VARCHAR2(9) DEFAULT 'it''s' NULL")).toEqual(['VARCHAR2', "'it''s'", true]);
    expect(column('NUMBER DEFAULT NULL')).toEqual(['NUMBER', 'NULL', true]);
    expect(column('NUMBER DEFAULT 1 CHECK (x > 0)')).toBeNull();
    expect(column('NUMBER NULL')).toEqual(['NUMBER', null, true]);
  });
});

function storedShape(): string {
  return JSON.stringify({
    v: 1,
    versions: [
      {
        version: 1,
        from: '0',
        objectId: '73001',
        dataObjectIds: ['73001'],
        columns: columnsOf({ ID: 'NUMBER(9,0) NOT NULL', NAME: 'VARCHAR2(40)', QTY: 'NUMBER(9,0)' }),
        key: ['ID'],
        approximate: false,
      },
    ],
  });
}
