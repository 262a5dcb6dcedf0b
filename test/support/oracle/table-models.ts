import type { OracleColumn } from '../../../src/readers/oracle/types/column-metadata.ts';
import { parseDataType } from '../../../src/readers/oracle/types/column-metadata.ts';
import { textDecoder } from '../../../src/readers/oracle/types/character-sets.ts';
import { type TableModel, tableModel } from '../../../src/readers/oracle/table-model.ts';

/** `{ ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(60) NOT NULL' }` as the catalogue would have it. */
export function columnsOf(types: Readonly<Record<string, string>>): readonly OracleColumn[] {
  return Object.entries(types).map(([name, text]) => {
    const nullable = !text.endsWith(' NOT NULL');
    const type = parseDataType(text.replace(/ NOT NULL$/, ''));
    if (type === null) throw new Error(`${text} is no data type`);
    return { name, ...type, nullable, default: null };
  });
}

export function modelOf(
  types: Readonly<Record<string, string>>,
  {
    key = [],
    characterSet = 'AL32UTF8',
  }: { readonly key?: readonly string[]; readonly characterSet?: string } = {},
): TableModel {
  return tableModel(
    { schema: 'HR', table: 'STAFF' },
    {
      version: 1,
      from: 0n,
      objectId: null,
      dataObjectIds: [],
      columns: columnsOf(types),
      key,
      approximate: false,
    },
    { text: textDecoder(characterSet), onForeignDate: () => undefined },
  );
}
