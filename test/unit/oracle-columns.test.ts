/** Columns that are not what they seem: hidden, unused, computed, and those whose bytes are in another one. */
import { afterEach, expect, test } from 'vitest';
import { applyChanges, parseDdl } from '../../src/readers/oracle/ddl.ts';
import type { FakeColumn, FakeOracle } from '../support/oracle/fake-oracle.ts';
import { fakeColumn, Harness, serverWith } from '../support/oracle/harness.ts';
import { RedoScript, xid } from '../support/oracle/redo-script.ts';
import { columnsOf, modelOf } from '../support/oracle/table-models.ts';
import { placeOf, tableModel } from '../../src/readers/oracle/table-model.ts';

const [A, B] = [xid(1), xid(2)];
const TABLES = {
  'Q.ORD': { columns: { ID: 'NUMBER(9,0)', A: 'VARCHAR2(9)', B: 'VARCHAR2(9)', X: 'XMLTYPE' }, pk: ['ID'] },
};
const MISMATCH = { STATUS: 2, INFO: 'Dictionary Mismatch', 'DATA_OBJ#': '73000' };

let harness: Harness;

function run(script: RedoScript, columns?: (all: readonly FakeColumn[]) => readonly FakeColumn[]): Harness {
  const server = serverWith(TABLES);
  server.redo = script.rows;
  if (columns !== undefined) server.tables[0]!.columns = columns(server.tables[0]!.columns);
  harness = new Harness(server);
  return harness;
}

afterEach(async () => {
  expect(await harness.close()).toEqual([]);
});

const hidden = (name: string): FakeColumn => ({ ...fakeColumn(name, 'VARCHAR2(9)'), hidden: true });
const nameless = (values: readonly string[]): RedoScript =>
  new RedoScript().other(
    A,
    1,
    'UNKNOWN.OBJ# 73000',
    `insert into "UNKNOWN"."OBJ# 73000"(${values.map((_, i) => `"COL ${i + 1}"`).join(',')}) values (${values.map((hex) => `HEXTORAW('${hex}')`).join(',')});`,
    { extra: MISMATCH },
  );
const [ONE, TEXT_A, TEXT_B] = ['c102', '61', '62'];

test('XMLTYPE is a column though the catalogue calls it virtual; what is computed is none', async () => {
  const script = new RedoScript().insert(A, 'Q.ORD', { ID: '1', A: 'a', X: "=XMLTYPE('<x/>')" }).commit(A);
  const h = run(script, (all) => [
    ...all,
    { ...fakeColumn('V', 'NUMBER'), virtual: true, expression: '"ID"*2' },
  ]);
  await h.poll(2030n);
  expect(h.events[0]?.after).toEqual({ ID: '1', A: 'a', B: null, X: '<x/>' });
});

test('the log names hidden columns: they are passed over, and doctor tells of users’ own', async () => {
  const script = new RedoScript()
    .update(A, 'Q.ORD', { A: 'b', SECRET: 's' }, { ID: '1', SYS_NC00009$: 'x', ORA_ARCHIVE_STATE: '0' })
    .commit(A);
  const h = run(script, (all) => [
    ...all,
    hidden('SECRET'),
    hidden('SYS_NC00009$'),
    hidden('ORA_ARCHIVE_STATE'),
  ]);
  await h.poll(2030n);
  expect(h.events[0]?.after).toEqual({ ID: '1', A: 'b', B: '<unchanged>', X: '<unchanged>' });
  expect(h.warnings).toEqual([]);
  const findings = await h.reader!.preflight(new AbortController().signal);
  expect(findings.filter(({ check }) => check === 'columns').map(({ message }) => message)).toEqual([
    'Columns of Q.ORD are left out: SECRET (invisible).',
  ]);
});

test('a column of an object type: doctor tells what is left out', async () => {
  const h = run(new RedoScript(), (all) => [...all, fakeColumn('PLACE', 'SDO_GEOMETRY')]);
  await h.open();
  const findings = await h.reader!.preflight(new AbortController().signal);
  expect(findings.filter(({ check }) => check === 'columns').map(({ message }) => message)).toEqual([
    'Columns of Q.ORD are left out: PLACE (SDO_GEOMETRY).',
  ]);
});

test('without a dictionary columns are counted as they lie in the segment, hidden ones too', async () => {
  const h = run(nameless([ONE, '30', TEXT_A, TEXT_B, '3c']).commit(A), ([id, ...others]) => [
    id!,
    hidden('ORA_ARCHIVE_STATE'),
    ...others,
  ]);
  await h.poll(2030n);
  // The bytes of XML are no text of it.
  expect(h.events[0]?.after).toEqual({ ID: '1', A: 'a', B: 'b', X: '<unchanged>' });
});

test.each([
  ['SET UNUSED (A)', [ONE, TEXT_A, TEXT_B]],
  ['DROP COLUMN A', [ONE, TEXT_B]],
])('%s: rows of before and of behind it, neither of which LogMiner can name', async (clause, behind) => {
  const script = nameless([ONE, TEXT_A, TEXT_B])
    .commit(A)
    .ddl(B, 'Q.ORD', `ALTER TABLE Q.ORD ${clause}`)
    .commit(B);
  script.rows.push(
    ...nameless(behind)
      .commit(A)
      .rows.map((row, i) => ({ ...row, SCN: String(2020 + i), RS_ID: ` 0x9.${i} ` })),
  );
  const h = run(script);
  await h.poll(2012n);
  // The catalogue is ahead: all but the key is gone.
  h.server.tables[0]!.columns = [fakeColumn('ID', 'NUMBER(9,0)', true)];
  await h.poll(2030n);
  expect(h.events.map(({ op, after }) => [op, after])).toEqual([
    ['c', { ID: '1', A: 'a', B: 'b', X: '<unchanged>' }],
    ['ddl', { ID: 'NUMBER', B: 'VARCHAR2', X: 'XMLTYPE' }],
    ['c', { ID: '1', B: 'b', X: '<unchanged>' }],
  ]);
});

test('unused columns that are dropped in the end change the places, and nothing that users see', async () => {
  const unused = hidden('SYS_C00002_24030914:05:06$');
  const script = nameless([ONE, '30', TEXT_A, TEXT_B])
    .commit(A)
    .ddl(B, 'Q.ORD', 'ALTER TABLE Q.ORD DROP UNUSED COLUMNS')
    .commit(B);
  script.rows.push(
    ...nameless([ONE, TEXT_A, TEXT_B])
      .commit(A)
      .rows.map((row, i) => ({ ...row, SCN: String(2020 + i), RS_ID: ` 0x9.${i} ` })),
  );
  const h = run(script, ([id, ...others]) => [id!, unused, ...others]);
  await h.poll(2012n);
  const { server } = h as { readonly server: FakeOracle };
  server.tables[0]!.columns = server.tables[0]!.columns.filter((column) => column !== unused);
  await h.poll(2016n);
  await h.restart();
  await h.poll(2030n);
  expect(h.events.map(({ op, after }) => [op, after])).toEqual([
    ['c', { ID: '1', A: 'a', B: 'b', X: '<unchanged>' }],
    ['c', { ID: '1', A: 'a', B: 'b', X: '<unchanged>' }],
  ]);
});

test('changes of columns, as they lie in the segment', () => {
  harness = new Harness(serverWith(TABLES));
  const after = (sql: string): readonly string[] | undefined => {
    const effect = parseDdl(`ALTER TABLE q.ord ${sql}`);
    if (effect.kind !== 'columns') return undefined;
    return applyChanges(columnsOf({ ID: 'NUMBER', A: 'DATE' }), effect.changes)?.map(
      ({ name, hidden: unseen, apart }) =>
        `${name}${unseen === true ? ' hidden' : ''}${apart === true ? ' apart' : ''}`,
    );
  };
  expect(after('SET UNUSED COLUMN A ADD (A NUMBER)')).toEqual(['ID', 'SYS_C1_UNUSED$ hidden', 'A']);
  expect(after('SET UNUSED COLUMN A ADD (B NUMBER) DROP COLUMN B')).toEqual(['ID']);
  expect(after('ADD (X XMLTYPE, B NUMBER)')).toEqual(['ID', 'A', 'X apart', 'SYS_NC4$ hidden', 'B']);
  expect(after('ADD (X XMLTYPE) DROP COLUMN X')).toEqual(['ID', 'A']);
});

test('a key with a column that the model leaves out is none, whether it is of such a type or computed', () => {
  const columns = [
    { ...columnsOf({ ID: 'NUMBER(9,0)' })[0]!, nullable: false },
    {
      name: 'U',
      dataType: 'UROWID',
      length: null,
      precision: null,
      scale: null,
      nullable: false,
      default: null,
    },
  ];
  const keyOf = (...key: readonly string[]): readonly number[] => {
    const version = {
      version: 1,
      from: 0n,
      objectId: null,
      dataObjectIds: [],
      columns,
      key,
      approximate: false,
    };
    const context = { text: () => '', onForeignDate: () => undefined };
    return tableModel({ schema: 'Q', table: 'ORD' }, version, context).schema.key;
  };
  expect(keyOf('ID')).toEqual([0]);
  expect(keyOf('ID', 'U')).toEqual([]);
  expect(keyOf('ID', 'COMPUTED')).toEqual([]);
});

test('LogMiner counts no further than the segment has columns', () => {
  const model = modelOf({ ID: 'NUMBER(9,0)', A: 'VARCHAR2(9)' });
  expect([1, 2, 3].map((n) => placeOf(model, `COL ${n}`))).toEqual([0, 1, undefined]);
});
