import { nearest } from '../../errors/nearest.ts';
import { decimal, SCALAR_NAMES, type SqlType, STRING, type StructField } from './sql-type.ts';
import type { TokenCursor } from './token-cursor.ts';

/** More digits than any database declares. */
const MAX_PRECISION = 10_000;
const MAP_KEYS: ReadonlySet<string> = new Set(['BOOLEAN', 'INTEGER', 'BIGINT', 'STRING']);

export function parseType(cursor: TokenCursor): SqlType {
  return cursor.nested(() => {
    const { at } = cursor;
    const name = cursor.name('a type');
    switch (name) {
      case 'DECIMAL':
        return decimalType(cursor);
      case 'ARRAY': {
        cursor.expectSymbol('<');
        const element = parseType(cursor);
        cursor.expectSymbol('>');
        return { kind: 'ARRAY', element };
      }
      case 'MAP':
        return mapType(cursor);
      case 'STRUCT':
        return structType(cursor);
      case 'VARCHAR':
      case 'STRING':
        // A length, as older versions wrote it, means nothing.
        if (cursor.acceptSymbol('(')) {
          if (!cursor.acceptWords('STRING')) cursor.integer('a length');
          cursor.expectSymbol(')');
        }
        return STRING;
      default: {
        const scalar = SCALAR_NAMES.get(name);
        if (scalar !== undefined) return scalar;
        const meant = nearest(name, [...SCALAR_NAMES.keys(), 'DECIMAL', 'ARRAY', 'MAP', 'STRUCT']);
        throw cursor.error(`there is no type ${name}${meant === null ? '' : `; did you mean ${meant}?`}`, at);
      }
    }
  });
}

function decimalType(cursor: TokenCursor): SqlType {
  cursor.expectSymbol('(');
  const { at } = cursor;
  const precision = cursor.integer('the number of digits');
  cursor.expectSymbol(',');
  const scale = cursor.integer('the number of digits behind the point');
  cursor.expectSymbol(')');
  if (precision < 1 || precision > MAX_PRECISION)
    throw cursor.error(`a DECIMAL has 1 to ${MAX_PRECISION} digits`, at);
  if (scale > precision)
    throw cursor.error('a DECIMAL cannot have more digits behind the point than it has in all', at);
  return decimal(precision, scale);
}

function mapType(cursor: TokenCursor): SqlType {
  cursor.expectSymbol('<');
  const { at } = cursor;
  const key = parseType(cursor);
  if (!MAP_KEYS.has(key.kind))
    throw cursor.error('the keys of a MAP are STRING, INTEGER, BIGINT or BOOLEAN', at);
  cursor.expectSymbol(',');
  const value = parseType(cursor);
  cursor.expectSymbol('>');
  return { kind: 'MAP', key, value };
}

function structType(cursor: TokenCursor): SqlType {
  cursor.expectSymbol('<');
  const fields: StructField[] = [];
  do {
    const { at } = cursor;
    const name = cursor.name('the name of a field');
    if (fields.some((field) => field.name === name))
      throw cursor.error(`the field ${name} stands there twice`, at);
    fields.push({ name, type: parseType(cursor) });
  } while (cursor.acceptSymbol(','));
  cursor.expectSymbol('>');
  return { kind: 'STRUCT', fields };
}
