/** What a row whose large columns are asked for again is found by. */
import { expect, test } from 'vitest';
import { UNCHANGED, type Value } from '../../src/model/value.ts';
import type { Binds } from '../../src/readers/oracle/session/oracle-session.ts';
import { type TableModel, tableModel } from '../../src/readers/oracle/table-model.ts';
import { Reselect } from '../../src/readers/oracle/transactions/reselect.ts';
import type { RowEvent } from '../../src/readers/oracle/transactions/row-event.ts';
import { parseDataType } from '../../src/readers/oracle/types/column-metadata.ts';

const context = {
  text: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
  onForeignDate: () => undefined,
};

function changed(model: TableModel, after: Value[]): RowEvent {
  const item = {} as RowEvent['item']; // not asked for
  return { kind: 'row', item, model, op: 'u', before: null, after, lobs: null, set: [], unreadable: null };
}

/** The statement for a row with that key, as the snapshot reads it, and a CLOB that is not known. */
async function asked(
  declared: string,
  key: string | Buffer | null,
): Promise<{ readonly where: string; readonly bind: unknown; readonly body: Value } | null> {
  const columns = [
    { name: 'K', nullable: false, default: null, ...parseDataType(declared)! },
    { name: 'BODY', nullable: true, default: null, ...parseDataType('CLOB')! },
  ];
  const version = {
    version: 1,
    from: 0n,
    objectId: '1',
    dataObjectIds: [],
    columns,
    key: ['K'],
    approximate: false,
  };
  const model = tableModel({ schema: 'Q', table: 'DOC' }, version, context);
  const after: Value[] = [key === null ? null : model.decoders[0]!.fromRow(key), UNCHANGED];
  let statement: { readonly sql: string; readonly binds: Binds } | null = null;
  const reselect = new Reselect((sql, binds) => {
    statement = { sql, binds };
    return Promise.resolve([['text']]);
  });
  const event = changed(model, after);
  if (!reselect.wants(event)) throw new Error('nothing is missing');
  await reselect.fill(event, 7n);
  if (statement === null) return null;
  const { sql, binds } = statement as { readonly sql: string; readonly binds: Binds };
  expect(sql).toContain('FROM "Q"."DOC" AS OF SCN 7 T');
  return { where: sql.slice(sql.indexOf(' WHERE ') + 7), bind: binds['k0'], body: after[1]! };
}

const TIME = `T."K" = TO_TIMESTAMP(:k0,'YYYY-MM-DD"T"HH24:MI:SS.FF9')`;
const NUMBER = 'T."K" = TO_NUMBER(:k0)';

test.each([
  ['NUMBER(2,0)', '12', NUMBER, '12'],
  ['NUMBER(4,0)', '-12', NUMBER, '-12'],
  ['NUMBER(9,0)', '12', NUMBER, '12'],
  ['NUMBER(18,0)', '-123456789012345678', NUMBER, '-123456789012345678'],
  [
    'NUMBER(38,0)',
    '99999999999999999999999999999999999999',
    NUMBER,
    '99999999999999999999999999999999999999',
  ],
  ['NUMBER(10,2)', '1.50', NUMBER, '1.50'],
  ['VARCHAR2(10)', 'a', 'T."K" = :k0', 'a'],
  ['ROWID', 'AAAR3sAAEAAAACXAAA', 'T."K" = CHARTOROWID(:k0)', 'AAAR3sAAEAAAACXAAA'],
  ['RAW(4)', Buffer.from('00ff', 'hex'), 'T."K" = HEXTORAW(:k0)', '00ff'],
  ['DATE', '2024-02-29T23:59:59', TIME, '2024-02-29T23:59:59.000000000'],
  ['DATE', '1969-12-31T23:59:58', TIME, '1969-12-31T23:59:58.000000000'],
  ['TIMESTAMP(6)', '1969-12-31T23:59:59.250001', TIME, '1969-12-31T23:59:59.250001000'],
  ['TIMESTAMP(9)', '2024-02-29T23:59:59.123456789', TIME, '2024-02-29T23:59:59.123456789'],
])('%s %s', async (declared, key, where, bind) => {
  expect(await asked(declared, key)).toEqual({ where, bind, body: 'text' });
});

test.each([
  ['NUMBER(9,0)', null],
  ['VARCHAR2(10)', null],
  ['DATE', null],
  ['BINARY_DOUBLE', '0.1'],
])('%s %s: nothing is asked', async (declared, key) => {
  expect(await asked(declared, key)).toBeNull();
});
