/**
 * What one row of undo takes back. The sequences are those that LogMiner of 23ai shows for statements on tables with
 * LOBs, XML and long strings, as other readers have observed them.
 */
import { describe, expect, test } from 'vitest';
import { UndoIndex } from '../../src/readers/oracle/transactions/undo-index.ts';
import { Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';

const CODES: Readonly<Record<string, number>> = {
  insert: 1,
  delete: 2,
  update: 3,
  locator: 9,
  write: 10,
  trim: 11,
  erase: 29,
  'xml begin': 68,
  'xml write': 70,
  'xml end': 71,
  'string begin': 91,
  'string write': 92,
  unsupported: 255,
  truncate: 5,
};
const NO_ROW = 'AAAAAAAAAAAAAAAAAA';
const NO_ROW_OF_AN_OBJECT = 'AAAR0oAAAAAAAAAAAA';

/** `insert R`, `write -` (without a ROWID), `end R`, `undo delete R`, `2 insert R` (of another table). */
function left(...lines: readonly string[]): readonly string[] {
  const index = new UndoIndex();
  const items: string[] = [];
  let missed = 0;
  for (const line of lines) {
    const [, other, undo, what = '', row = ''] = /^(2 )?(undo )?(.*) (\S+)$/.exec(line)!;
    const table = other === undefined ? 1 : 2;
    const rowId = row === '-' ? NO_ROW : row === '=' ? NO_ROW_OF_AN_OBJECT : `${row}AAAABAAAAABAAA`;
    if (what === 'end') index.endStatement(table, rowId);
    else if (undo !== undefined) missed += index.undo(table, rowId, CODES[what]!) ? 0 : 1;
    else {
      items.push(line);
      index.push(table, rowId, CODES[what]!);
    }
  }
  const kept = items.filter((_, i) => !index.isUndone(i));
  return missed === 0 ? kept : [...kept, `${missed} not matched`];
}

describe('statements of several rows', () => {
  test.each([
    ['an insert', ['insert R'], 'delete', []],
    ['an insert with an empty LOB', ['insert -', 'end R'], 'delete', []],
    ['an insert with a LOB in the row', ['insert -', 'update R'], 'delete', []],
    [
      'an insert with all of them out of the row',
      [
        'insert -',
        'locator -',
        'write -',
        'string begin -',
        'string write -',
        'xml begin -',
        'xml write -',
        'xml end -',
        'end R',
      ],
      'delete',
      [],
    ],
    [
      'an insert with some in the row',
      ['insert -', 'locator -', 'write -', 'xml begin -', 'xml end -', 'update R'],
      'delete',
      [],
    ],
    ['an update', ['insert R', 'update R'], 'update', ['insert R']],
    [
      'an update to an empty LOB',
      ['insert -', 'update R', 'update -', 'end R'],
      'update',
      ['insert -', 'update R'],
    ],
    [
      'an update of a LOB in the row',
      ['insert -', 'update R', 'update -', 'update R'],
      'update',
      ['insert -', 'update R'],
    ],
    [
      'an update of LOBs out of the row',
      ['insert -', 'update R', 'locator -', 'write -', 'string begin -', 'string write -', 'end R'],
      'update',
      ['insert -', 'update R'],
    ],
    [
      'an update of XML alone, twice',
      ['insert -', 'xml begin -', 'xml end -', 'end R', 'xml begin -', 'xml end -', 'end R'],
      'update',
      ['insert -', 'xml begin -', 'xml end -'],
    ],
    [
      'an update of everything',
      ['insert -', 'update R', 'update -', 'locator -', 'write -', 'xml begin -', 'xml end -', 'update R'],
      'update',
      ['insert -', 'update R'],
    ],
    [
      'a write by DBMS_LOB',
      ['insert -', 'update R', 'locator R', 'write R', 'end R'],
      'update',
      ['insert -', 'update R'],
    ],
    [
      'writes by DBMS_LOB, whose ROWIDs are missing',
      ['insert -', 'update R', 'locator R', 'write -', 'write =', 'end R'],
      'update',
      ['insert -', 'update R'],
    ],
    ['a cut by DBMS_LOB', ['update R', 'locator R', 'trim -', 'end R'], 'update', ['update R']],
    [
      'a write by DBMS_LOB behind another',
      ['locator R', 'write R', 'end R', 'locator R', 'write -', 'end R'],
      'update',
      ['locator R', 'write R'],
    ],
    [
      'an update behind a write by DBMS_LOB',
      ['locator R', 'write R', 'end R', 'locator -', 'write -', 'end R'],
      'update',
      ['locator R', 'write R'],
    ],
    ['a delete', ['insert -', 'end R', 'delete R'], 'insert', ['insert -']],
    ['a change of a kind that is not shown', ['insert R', 'unsupported R'], 'unsupported', ['insert R']],
  ])('%s', (_, lines, undo, expected) => {
    expect(left(...lines, `undo ${undo} R`)).toEqual(expected);
    // What other rows and tables did before stays, and what is done again is not undone.
    const before = ['insert -', 'locator -', 'write -', 'end S', '2 insert R'];
    expect(left(...before, ...lines, `undo ${undo} R`, ...lines)).toEqual([
      ...left(...before),
      ...expected,
      ...left(...lines),
    ]);
  });

  test('two inserts, one after the other: the first one stays', () => {
    const lines = ['insert -', 'locator -', 'write -', 'end R', 'insert -', 'locator -', 'write -', 'end S'];
    expect(left(...lines, 'undo delete S')).toEqual(['insert -', 'locator -', 'write -']);
    expect(left(...lines, 'undo delete S', 'undo delete R')).toEqual([]);
  });

  test('several statements, newest first', () => {
    expect(
      left(
        'insert R',
        'insert S',
        'insert T',
        'update S',
        'delete R',
        'undo insert R',
        'undo update S',
        'undo delete T',
      ),
    ).toEqual(['insert R', 'insert S']);
  });
});

describe('where the log does not tell of an end', () => {
  test('a statement at the top is the one', () => {
    expect(left('insert R', 'locator -', 'write -', 'undo update S')).toEqual(['insert R']);
    expect(left('insert R', 'insert -', 'undo delete S')).toEqual(['insert R']);
    expect(left('insert -', 'insert -', 'undo delete S')).toEqual(['insert -']);
  });

  test('an update is not taken for the end of the insert before it', () => {
    expect(left('insert -', 'update R', 'undo update R')).toEqual(['insert -']);
    expect(left('insert -', 'locator -', 'write -', 'update R', 'undo update R')).toContain('insert -');
  });

  test('a row whose ROWID is another than when it was changed: the latest change of the kind', () => {
    expect(left('insert R', 'update S', 'undo update T')).toEqual(['insert R']);
  });

  test('a change of before the capture: nothing of other rows is taken, and it is told', () => {
    expect(left('update R', 'insert S', 'undo update S')).toEqual(['update R', 'insert S', '1 not matched']);
    expect(left('insert R', 'truncate -', 'undo update S')).toEqual([
      'insert R',
      'truncate -',
      '1 not matched',
    ]);
    expect(left('undo delete R')).toEqual(['1 not matched']);
  });
});

const TABLES = {
  'Q.DOC': { columns: { ID: 'NUMBER(9,0)', TITLE: 'VARCHAR2(40)', BODY: 'CLOB' }, pk: ['ID'] },
  'Q.ORD': { columns: { ID: 'NUMBER(9,0)' }, pk: ['ID'] },
};
const A = xid(1);
const none = { extra: { ROW_ID: NO_ROW } };

/** Two rows with texts out of line; the second one, and another text of the first, are undone. */
function savepoint(): RedoScript {
  const locator = (id: string): string =>
    `DECLARE\n  loc_c  CLOB;\nBEGIN\n select "BODY" into loc_c from "Q"."DOC" where "ID" = '${id}' for update;`;
  const write = (text: string): string =>
    ` buf_c := '${text}';\n  dbms_lob.write(loc_c, ${text.length}, 1, buf_c);\n`;
  const script = new RedoScript().start(A);
  const end = (row: number): RedoScript => script.end(A, 73_000, { row });
  script.insert(A, 'Q.DOC', { ID: '1', TITLE: 'a', BODY: '=EMPTY_CLOB()' }, none);
  script.other(A, 9, 'Q.DOC', locator('1'), none).other(A, 10, 'Q.DOC', write('first'), none);
  end(1);
  script.insert(A, 'Q.DOC', { ID: '2', TITLE: 'b', BODY: '=EMPTY_CLOB()' }, none);
  script.other(A, 9, 'Q.DOC', locator('2'), none).other(A, 10, 'Q.DOC', write('second'), none);
  end(2);
  script.other(A, 9, 'Q.DOC', locator('1'), none).other(A, 10, 'Q.DOC', write('changed'), none);
  end(1);
  return script.undo(A, 3, 'Q.DOC', { row: 1 }).undo(A, 2, 'Q.DOC', { row: 2 }).commit(A);
}

test.each([
  [true, 'first'],
  [false, '<unchanged>'],
])('lobs: %s: back to a savepoint, with texts out of line', async (lobs, BODY) => {
  for (const window of [1n, 5n, 1_000n]) {
    const server = serverWith(TABLES);
    server.redo = savepoint().rows;
    const limits = { windowStart: window, windowLeast: window, windowMost: window, transactionBytes: 300 };
    const h = new Harness(server, { lobs, limits });
    await h.poll(2040n);
    expect(h.events.map(({ op, after }) => [op, after])).toEqual([['c', { ID: '1', TITLE: 'a', BODY }]]);
    expect(h.warnings).toEqual([]);
    expect(await h.close()).toEqual([]);
  }
});

test('ends of statements are asked for where a table has large columns alone', async () => {
  for (const [tables, asked] of [
    [['Q.*'], true],
    [['Q.ORD'], false],
  ] as const) {
    const h = new Harness(serverWith(TABLES), { tables });
    await h.poll(2010n);
    const selects = h.server.statements.filter((sql) => sql.includes('FROM V$LOGMNR_CONTENTS WHERE SCN'));
    expect(selects.some((sql) => sql.includes('OPERATION_CODE = 0'))).toBe(asked);
    expect(await h.close()).toEqual([]);
  }
});
