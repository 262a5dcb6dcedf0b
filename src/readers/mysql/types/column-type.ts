import { unescapeLiteral } from '../wire/quoting.ts';
import type { MysqlColumn } from './mysql-column.ts';

type TypeParts = Pick<MysqlColumn, 'unsigned' | 'length' | 'scale' | 'fraction' | 'values'>;

const TYPE = /^([a-z0-9]+)(?:\((.*)\))?((?: [a-z]+)*)/is;

/** COLUMN_TYPE as the server prints it: `decimal(10,2) unsigned`, `datetime(3)`, `enum('a','it''s')`. */
export function parseColumnType(columnType: string): TypeParts {
  const [, name = '', parameters, attributes = ''] = TYPE.exec(columnType) ?? [];
  const plain: TypeParts = {
    unsigned: / (?:unsigned|zerofill)\b/i.test(attributes),
    length: null,
    scale: null,
    fraction: null,
    values: null,
  };
  switch (name.toLowerCase()) {
    case 'enum':
    case 'set':
      return { ...plain, values: parseValues(parameters ?? '') };
    case 'time':
    case 'datetime':
    case 'timestamp':
      return { ...plain, fraction: Number(parameters ?? 0) };
    case 'bit':
      return { ...plain, length: Number(parameters ?? 1) };
    case 'decimal':
    case 'float':
    case 'double': {
      if (parameters === undefined) return plain;
      const [length, scale] = parameters.split(',').map(Number);
      return { ...plain, length: length ?? null, scale: scale ?? (name === 'decimal' ? 0 : null) };
    }
    case 'char':
    case 'varchar':
    case 'binary':
    case 'varbinary':
    case 'vector':
      return { ...plain, length: parameters === undefined ? null : Number(parameters) };
    default: // the number behind an integer is how wide it is shown
      return plain;
  }
}

/** `'a','it''s'`. */
function parseValues(list: string): readonly string[] {
  return Array.from(list.matchAll(/'((?:[^'\\]|''|\\.)*)'/gs), ([, text = '']) => unescapeLiteral(text));
}
