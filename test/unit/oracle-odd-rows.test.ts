/** Rows of the log that are not as most are: without names, of another kind than their text, of nobody's table. */
import { afterEach, describe, expect, test } from 'vitest';
import type { FakeOracle } from '../support/oracle/fake-oracle.ts';
import { fakeColumn, Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';

const TABLES = {
  'Q.DOC': { columns: { ID: 'NUMBER(9,0)', BODY: 'CLOB', BIN: 'BLOB', X: 'XMLTYPE' }, pk: ['ID'] },
  'Q.ORD': { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)', QTY: 'NUMBER(9,0)' }, pk: ['ID'] },
  'Q.BAG': { columns: { R: 'RAW(8)', S: 'INTERVAL DAY(2) TO SECOND(6)', BODY: 'CLOB' }, pk: [] },
};
const [A, B] = [xid(1), xid(2)];
const LOBS = { lobs: true };

let harness: Harness;

function run(script: RedoScript, tweaks: ConstructorParameters<typeof Harness>[1] = {}): Harness {
  const server = serverWith(TABLES);
  server.redo = script.rows;
  harness = new Harness(server, tweaks);
  return harness;
}

const short = (h: Harness): readonly string[] =>
  h.events.map(({ op, table, before, after }) => `${op} ${table} ${(after ?? before)?.['ID'] ?? ''}`.trim());

afterEach(async () => {
  expect(await harness.close()).toEqual([]);
});

describe('rows without names', () => {
  const bare = { SEG_OWNER: undefined, TABLE_NAME: undefined } as unknown as Record<string, never>;
  const ownerless = { SEG_OWNER: undefined } as unknown as Record<string, never>;

  test('a change without a table is nobody’s; a LOB’s operation is that of the table before it', async () => {
    const script = new RedoScript()
      .other(A, 255, 'Q.ORD', null, { extra: bare })
      .other(B, 10, 'Q.DOC', ` buf_c := 'x';\n  dbms_lob.write(loc_c, 1, 1, buf_c);`, { extra: bare })
      .insert(A, 'Q.DOC', { ID: '1', BODY: '=EMPTY_CLOB()' })
      .other(
        A,
        9,
        'Q.DOC',
        `DECLARE\nBEGIN\n select "BODY" into loc_c from "Q"."DOC" where "ID" = '1' for update;`,
        { extra: bare },
      )
      .other(A, 10, 'Q.DOC', ` buf_c := 'text';\n  dbms_lob.write(loc_c, 4, 1, buf_c);`, { extra: bare })
      .commit(A)
      .commit(B);
    const h = run(script, LOBS);
    await h.poll(2040n);
    expect(h.events.map(({ after }) => after?.['BODY'])).toEqual(['text']);
  });

  test('a DDL without a table, or an owner, is nobody’s; a table without an owner is none', async () => {
    const script = new RedoScript()
      .other(A, 5, 'Q.ORD', 'TRUNCATE TABLE Q.ORD', { extra: bare })
      .other(A, 5, 'Q.ORD', 'TRUNCATE TABLE Q.ORD', { extra: ownerless })
      .commit(A);
    const h = run(script);
    await h.poll(2040n);
    expect(h.events).toEqual([]);
  });

  test.each(['BIN$abc==$0', 'UNKNOWN', 'OBJ# 73001'])('%s is told by its number', async (name) => {
    const script = new RedoScript()
      .other(A, 1, `Q.${name}`, `insert into "Q"."${name}"("ID","NAME") values ('1','a');`, {
        extra: { 'DATA_OBJ#': '7', 'DATA_OBJD#': '73001' },
      })
      .other(A, 1, `Q.${name}`, `insert into "Q"."${name}"("ID","NAME") values ('3','c');`, {
        extra: { ...ownerless, 'DATA_OBJD#': '73001' },
      })
      .other(A, 1, `Q.${name}`, `insert into "Q"."${name}"("ID","NAME") values ('2','b');`)
      .commit(A);
    const h = run(script);
    await h.poll(2040n);
    expect(short(h)).toEqual(['c Q.ORD 1', 'c Q.ORD 3']);
  });
});

describe('rows whose text is not what they are', () => {
  test.each<[string, RedoScript, ConstructorParameters<typeof Harness>[1], string]>([
    [
      'a statement of another kind',
      new RedoScript().other(A, 3, 'Q.ORD', `delete from "Q"."ORD" where "ID" = '1';`),
      {},
      'a statement of another kind',
    ],
    [
      'what LogMiner could not rebuild, with the dictionary of today',
      new RedoScript().other(A, 1, 'Q.ORD', `insert into "Q"."ORD"("ID") values ('1');`, {
        extra: { STATUS: 2, INFO: 'Object or Column dropped' },
      }),
      { strategy: 'online_catalog' },
      'cannot be rebuilt by LogMiner (Object or Column dropped)',
    ],
    [
      'a kind that LogMiner does not show',
      new RedoScript().other(A, 255, 'Q.ORD', null),
      {},
      'does not show',
    ],
    [
      'a write into a column that nobody has',
      new RedoScript().other(
        A,
        9,
        'Q.DOC',
        `DECLARE\nBEGIN\n select "BODY" into loc_c from "Q"."DOC" where "NONE" = '1' for update;`,
      ),
      LOBS,
      'names a column NONE',
    ],
    [
      'a write whose row has no key',
      new RedoScript().other(
        A,
        9,
        'Q.DOC',
        `DECLARE\nBEGIN\n select "BODY" into loc_c from "Q"."DOC" where "BIN" IS NOT NULL for update;`,
      ),
      LOBS,
      'without the key of its row',
    ],
    [
      'a write at a place that is none',
      new RedoScript()
        .insert(A, 'Q.DOC', { ID: '1', BODY: '=EMPTY_CLOB()' })
        .other(
          A,
          9,
          'Q.DOC',
          `DECLARE\nBEGIN\n select "BODY" into loc_c from "Q"."DOC" where "ID" = '1' for update;`,
        )
        .other(A, 10, 'Q.DOC', ` buf_c := 'x';\n  dbms_lob.write(loc_c, 1, 0, buf_c);`),
      LOBS,
      'A write into a LOB is not a write into a LOB behind its beginning',
    ],
  ])('%s', async (_, script, tweaks, message) => {
    const h = run(script.commit(A), tweaks);
    await expect(h.poll(2040n)).rejects.toMatchObject({
      code: 'source.redo-unreadable',
      message: expect.stringContaining(message) as string,
    });
    await h.close();
    const other = run(script, { ...tweaks, onUnreadable: 'dead-letter' });
    await other.poll(2040n);
    expect(other.events.at(-1)?.op).toMatch(/^unreadable /);
  });

  test('a text with INFO that is good, and one that says there is nothing to read', async () => {
    const script = new RedoScript()
      .other(A, 1, 'Q.ORD', `insert into "Q"."ORD"("ID") values ('1');`, { extra: { STATUS: 2 } })
      .other(A, 1, 'Q.ORD', '/* No SQL_REDO for temporary tables */')
      .other(A, 1, 'Q.ORD', null)
      .commit(A);
    const h = run(script);
    await h.poll(2040n);
    expect(short(h)).toEqual(['c Q.ORD 1']);
    expect(h.warnings).toEqual([]);
  });

  test('apostrophes that are not doubled are read all the same, and counted', async () => {
    const script = new RedoScript()
      .other(A, 1, 'Q.ORD', `insert into "Q"."ORD"("ID","NAME") values ('1','it's');`)
      .commit(A);
    const h = run(script);
    await h.poll(2040n);
    expect(h.events[0]?.after?.['NAME']).toBe("it's");
    expect(h.warnings).toEqual(['relaxed-scan']);
  });

  test('columns that are left out may be set', async () => {
    const script = new RedoScript()
      .other(A, 3, 'Q.DOC', `update "Q"."DOC" set "GEO" = Unsupported Type, "BODY" = 'b' where "ID" = '1';`)
      .commit(A);
    const h = run(script, LOBS);
    h.server.tables[0]!.columns = [...h.server.tables[0]!.columns, fakeColumn('GEO', 'SDO_GEOMETRY')];
    await h.poll(2040n);
    expect(h.events[0]?.after).toMatchObject({ ID: '1', BODY: 'b' });
    expect(h.warnings).toEqual(['unsupported-type']);
  });
});

describe('changes of rows with LOBs that are near to one another', () => {
  const locator = (column: string, where: string, table = 'DOC'): string =>
    `DECLARE\nBEGIN\n select "${column}" into loc_c from "Q"."${table}" where ${where} for update;`;
  const write = (text: string): string =>
    ` buf_c := '${text}';\n  dbms_lob.write(loc_c, ${text.length}, 1, buf_c);`;

  test('an update of a LOB belongs to the change before it where both are of one row', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.DOC', { ID: '1', BODY: '=EMPTY_CLOB()' })
      .update(A, 'Q.DOC', { BODY: 'one' }, { ID: '1' })
      .update(A, 'Q.DOC', { BODY: 'two' }, { ID: '2' })
      .delete(A, 'Q.DOC', { ID: '2' })
      .update(A, 'Q.DOC', { BODY: 'three' }, { ID: '3' })
      .commit(A);
    const h = run(script, LOBS);
    await h.poll(2040n);
    expect(h.events.map(({ op, after, before }) => [op, (after ?? before)?.['ID'], after?.['BODY']])).toEqual(
      [
        ['c', '1', 'one'],
        ['u', '2', 'two'],
        ['d', '2', undefined],
        ['u', '3', 'three'],
      ],
    );
  });

  test('rows without a key are told by their ROWID, or by all that is known of them', async () => {
    const r = (hex: string): string => `=HEXTORAW('${hex}')`;
    const span = "=TO_DSINTERVAL('+01 00:00:00.5')";
    const script = new RedoScript()
      .insert(A, 'Q.BAG', { R: r('01'), S: span, BODY: '=EMPTY_CLOB()' }, { row: 1 })
      .update(A, 'Q.BAG', { BODY: 'one' }, { R: r('01') }, { row: 1 })
      .insert(A, 'Q.BAG', { R: r('02'), S: span, BODY: '=EMPTY_CLOB()' }, { row: 2 })
      .update(A, 'Q.BAG', { BODY: 'other' }, { R: r('02') }, { row: 3 })
      .other(
        A,
        9,
        'Q.BAG',
        locator('BODY', `"R" = HEXTORAW('01') and "S" = TO_DSINTERVAL('+01 00:00:00.5')`, 'BAG'),
      )
      .other(A, 10, 'Q.BAG', write('ONE!'))
      .other(A, 9, 'Q.BAG', locator('BODY', `"S" = TO_DSINTERVAL('+02 00:00:00.5')`, 'BAG'))
      .other(A, 10, 'Q.BAG', write('none'))
      .commit(A);
    const h = run(script, LOBS);
    await h.poll(2040n);
    expect(h.events.map(({ op, after }) => [op, after?.['R'], after?.['BODY']])).toEqual([
      ['c', 'hex 01', 'ONE!'],
      ['c', 'hex 02', ''],
      ['u', 'hex 02', 'other'],
      ['u', '<unchanged>', 'none'],
    ]);
  });

  test('a write goes past what was truncated, deleted, unreadable, or of another table', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.DOC', { ID: '1', BODY: '=EMPTY_CLOB()' })
      .delete(A, 'Q.DOC', { ID: '9' })
      .insert(A, 'Q.ORD', { ID: '1' })
      .other(A, 1, 'Q.DOC', 'nonsense')
      .ddl(A, 'Q.DOC', 'TRUNCATE TABLE Q.DOC')
      .other(A, 9, 'Q.DOC', locator('BODY', `"ID" = '1'`))
      .other(A, 10, 'Q.DOC', write('late'))
      .commit(A);
    const h = run(script, { ...LOBS, onUnreadable: 'dead-letter' });
    await h.poll(2040n);
    expect(h.events.map(({ op, after }) => [op, after?.['BODY']])).toEqual([
      ['c', 'late'],
      ['d', undefined],
      ['c', undefined],
      ['unreadable c', '<absent>'],
      ['t', undefined],
    ]);
  });

  test('writes into columns that the model has not, and writes that have no target, are passed over', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.DOC', { ID: '1', BODY: '=EMPTY_CLOB()' })
      .other(A, 10, 'Q.DOC', write('nowhere'))
      .other(A, 11, 'Q.DOC', ' dbms_lob.trim(loc_c, 0);')
      .other(A, 29, 'Q.DOC', ' dbms_lob.erase(loc_c, 1, 1);')
      .other(A, 70, 'Q.DOC', '<x/>')
      .other(A, 70, 'Q.DOC', 'XML_REDO := NULL')
      .other(A, 92, 'Q.DOC', ` buf_c := 'x'; dbms_lob.writeappend(loc_c, 1, buf_c);`)
      .other(A, 9, 'Q.DOC', locator('GEO', `"ID" = '1'`))
      .other(A, 10, 'Q.DOC', write('nowhere'))
      .other(A, 11, 'Q.DOC', locator('BODY', `"ID" = '1'`))
      .other(A, 10, 'Q.DOC', write('here'))
      .commit(A);
    const h = run(script, LOBS);
    h.server.tables[0]!.columns = [...h.server.tables[0]!.columns, fakeColumn('GEO', 'SDO_GEOMETRY')];
    await h.poll(2040n);
    expect(h.events.map(({ op, after }) => [op, after?.['BODY']])).toEqual([['c', 'here']]);
    expect(h.warnings).toEqual(['lob-erase']);
  });

  test('an update of other columns is a change of its own, and so is one of both kinds', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.DOC', { ID: '1', BODY: '=EMPTY_CLOB()' })
      .update(A, 'Q.DOC', { ID: '2', BODY: 'text' }, { ID: '1' })
      .commit(A);
    const h = run(script, LOBS);
    await h.poll(2040n);
    expect(short(h)).toEqual(['c Q.DOC 1', 'u Q.DOC 2']);
  });

  test('a value that is written to twice is one', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.DOC', { ID: '1' })
      .other(A, 9, 'Q.DOC', locator('BODY', `"ID" = '2'`))
      .other(A, 10, 'Q.DOC', write('ab'))
      .other(A, 9, 'Q.DOC', locator('BODY', `"ID" = '1'`))
      .other(A, 10, 'Q.DOC', write('other'))
      .other(A, 9, 'Q.DOC', locator('BODY', `"ID" = '2'`))
      .other(A, 10, 'Q.DOC', ` buf_c := 'cd';\n  dbms_lob.write(loc_c, 2, 3, buf_c);`)
      .commit(A);
    const h = run(script, LOBS);
    await h.poll(2040n);
    expect(h.events.map(({ op, after }) => [op, after?.['BODY']])).toEqual([
      ['c', 'other'],
      ['u', 'abcd'],
    ]);
  });

  test('a write whose text does not end is not read by half', async () => {
    const script = new RedoScript()
      .insert(A, 'Q.DOC', { ID: '1', BODY: '=EMPTY_CLOB()' })
      .other(A, 9, 'Q.DOC', locator('BODY', `"ID" = '1'`))
      .other(A, 10, 'Q.DOC', ` buf_c := 'text' dbms_lob.write(loc_c, 4, 1, buf_c)`)
      .commit(A);
    const h = run(script, LOBS);
    await expect(h.poll(2040n)).rejects.toMatchObject({ code: 'source.redo-unreadable' });
  });

  test('bytes that are no text of the database’s character set leave the value unknown', async () => {
    const script = new RedoScript()
      .other(A, 68, 'Q.DOC', `XML DOC BEGIN:  select "X" from "Q"."DOC" where "ID" = '1'`)
      .other(A, 70, 'Q.DOC', "XML_REDO := HEXTORAW('fffe3c'):3")
      .other(A, 71, 'Q.DOC', 'XML DOC END')
      .commit(A);
    const h = run(script, LOBS);
    await h.poll(2040n);
    expect(h.events.map(({ after }) => after?.['X'])).toEqual(['<unchanged>']);
  });

  test('a change that a thousand others have come behind is delivered, and a late write is an update', async () => {
    const script = new RedoScript().insert(A, 'Q.DOC', { ID: '0', BODY: '=EMPTY_CLOB()' });
    for (let i = 1; i <= 1_001; i++) script.insert(A, 'Q.DOC', { ID: String(i) });
    script.other(A, 9, 'Q.DOC', locator('BODY', `"ID" = '0'`)).other(A, 10, 'Q.DOC', write('late')).commit(A);
    const h = run(script, LOBS);
    await h.poll(5000n);
    expect(h.events).toHaveLength(1_003);
    expect(h.events[0]).toMatchObject({ op: 'c', after: { ID: '0', BODY: '' } });
    expect(h.events.at(-1)).toMatchObject({ op: 'u', after: { ID: '0', BODY: 'late' } });
  });
});

describe('ends of statements', () => {
  test('without LOBs: of one that only wrote into LOBs nothing is told', async () => {
    const script = new RedoScript().end(A, 73_000, { row: 1 }).insert(A, 'Q.ORD', { ID: '1' }).commit(A);
    const h = run(script);
    await h.poll(2040n);
    expect(short(h)).toEqual(['c Q.ORD 1']);
  });

  test('of a table without large columns are nothing that could be undone', async () => {
    const script = new RedoScript()
      .end(A, 73_001, { row: 1 })
      .undo(A, 3, 'Q.ORD', { row: 1 })
      .end(A, 73_000, { row: 2 })
      .undo(A, 3, 'Q.DOC', { row: 2 })
      .commit(A);
    const h = run(script);
    await h.poll(2040n);
    expect(h.events).toEqual([]);
    expect(h.warnings).toEqual(['undo-not-matched']);
  });
});

test('a continued row may have pieces without a text', async () => {
  const piece = { extra: { CSF: 1 } };
  const script = new RedoScript()
    .other(A, 1, 'Q.ORD', null, piece)
    .other(A, 1, 'Q.ORD', null, piece)
    .insert(A, 'Q.ORD', { ID: '1' })
    .commit(A);
  const h = run(script);
  await h.poll(2040n);
  expect(short(h)).toEqual(['c Q.ORD 1']);
});

describe('drift', () => {
  test('of a row that has a value, too, that cannot be read', async () => {
    const script = new RedoScript().insert(A, 'Q.ORD', { COLOUR: 'red', QTY: 'many' }).commit(A);
    const h = run(script);
    await h.open();
    h.server.tables[1]!.columns = [...h.server.tables[1]!.columns, fakeColumn('COLOUR', 'VARCHAR2(9)')];
    await expect(h.poll(2040n)).rejects.toMatchObject({
      code: 'source.redo-unreadable',
      message: expect.stringContaining('QTY') as string,
    });
    expect(h.warnings).toEqual(['schema-drift']);
  });

  test('of a table that is gone by now: the change cannot be read', async () => {
    const script = new RedoScript().insert(A, 'Q.ORD', { ID: '1', COLOUR: 'red' }).commit(A);
    const h = run(script);
    await h.open();
    h.server.tables.splice(1, 1);
    await expect(h.poll(2040n)).rejects.toMatchObject({ code: 'source.redo-unreadable' });
    expect(h.warnings).toEqual(['schema-drift']);
  });
});

test('a batch is full with a transaction’s end: what follows is in another', async () => {
  const script = new RedoScript()
    .insert(A, 'Q.ORD', { ID: '1' })
    .commit(A)
    .insert(B, 'Q.ORD', { ID: '2' })
    .commit(B);
  const h = run(script, { limits: { batchChanges: 3 }, transactionMetadata: true });
  await h.poll(2040n);
  expect(h.stored.map(({ events }) => events).filter((n, i, all) => n !== all[i - 1])).toEqual([3, 6]);
});

test.each<[string, boolean, (server: FakeOracle) => void]>([
  ['that nothing is archived of', true, (server) => server.switchLog(1, 2020n)],
  ['that nothing is written to', false, (server) => (server.currentScn = 2030n)],
])('what is read of a log %s', async (_, archiveOnly, goOn) => {
  const script = new RedoScript().insert(A, 'Q.ORD', { ID: '1' }).commit(A);
  const h = run(script, { archiveOnly });
  const { server } = h as { readonly server: FakeOracle };
  if (archiveOnly) server.currentScn = 2030n;
  const reader = await h.open();
  const stop = new AbortController();
  const batches = reader.read(h.position!, stop.signal)[Symbol.asyncIterator]();
  const first = await batches.next();
  expect(first.value).toMatchObject({ changes: [], resume: { upTo: 2000n } });
  goOn(server);
  let found = 0;
  while (found === 0) {
    const { value, done } = await batches.next();
    if (done === true) throw new Error('the stream has ended');
    found += value.changes.length;
  }
  expect(found).toBe(1);
  stop.abort();
  await batches.return?.();
});
