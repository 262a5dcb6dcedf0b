/** What a DEFAULT clause stands for. */
import { expect, test } from 'vitest';
import { tableModel } from '../../src/readers/oracle/table-model.ts';
import { parseDataType } from '../../src/readers/oracle/types/column-metadata.ts';

const JANUARY = Date.UTC(2024, 0, 31, 12, 30) * 1000;
const DAY = Date.UTC(2024, 0, 31) * 1000;

test.each<[type: string, expression: string, value: unknown]>([
  ['NUMBER(9)', '-5', -5],
  ['NUMBER(9,2)', '1.5 ', '1.50'],
  ['VARCHAR2(9)', `'it''s'`, "it's"],
  ['VARCHAR2(9)', 'NULL', undefined],
  ['DATE', `DATE '2024-01-31'`, DAY],
  ['DATE', `to_date('31.01.2024 12:30','DD.MM.YYYY HH24:MI')`, JANUARY],
  ['DATE', `TO_DATE( '20240131' , 'YYYYMMDD' )`, DAY],
  ['TIMESTAMP(6)', `TIMESTAMP '2024-01-31 12:30:00.5'`, JANUARY + 500_000],
  ['TIMESTAMP(6)', `TO_TIMESTAMP('2024-01-31T12:30:00.5','YYYY-MM-DD"T"HH24:MI:SS.FF')`, 'computed'],
  ['TIMESTAMP(6)', `TO_TIMESTAMP('2024/1/31 12:30:00.5','YYYY/MM/DD HH24:MI:SS.FF3')`, JANUARY + 500_000],
  ['DATE', `TO_DATE('31-JAN-24','DD-MON-RR')`, 'computed'],
  ['DATE', `TO_DATE('2024-02-30','YYYY-MM-DD')`, 'computed'],
  ['DATE', `TO_DATE('2024-01-31 ','YYYY-MM-DD')`, 'computed'],
  ['DATE', `'31-JAN-2024'`, 'computed'],
  ['DATE', 'SYSDATE', 'computed'],
  ['NUMBER(9)', 'SEQ.NEXTVAL', 'computed'],
  ['CLOB', `'text'`, 'computed'],
])('%s DEFAULT %s', (type, expression, value) => {
  const column = (nullable: boolean): ReturnType<typeof tableModel>['schema']['columns'][number] =>
    tableModel(
      { schema: 'S', table: 'T' },
      {
        version: 1,
        from: 0n,
        objectId: null,
        dataObjectIds: [],
        columns: [{ name: 'C', ...parseDataType(type)!, nullable, default: expression }],
        key: [],
        approximate: false,
      },
      { text: () => '', onForeignDate: () => undefined },
    ).schema.columns[0]!;
  const computed = value === 'computed';
  expect(column(false).default).toEqual(computed ? undefined : value);
  expect(column(false).computedDefault).toBe(computed ? true : undefined);
  expect(column(true).computedDefault).toBe(undefined);
});
