/** docs/type-mapping/oracle.md, line by line. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { columnDecoder } from '../../src/readers/oracle/types/column-decoder.ts';
import { parseTypeLines, walkType } from '../support/oracle/type-lines.ts';

const lines = parseTypeLines(
  await readFile(join(import.meta.dirname, '../../docs/type-mapping/oracle.md'), 'utf8'),
);

describe.each(['debezium', 'safe'] as const)('profile %s', (profile) => {
  test.each(lines.map((line) => [`${line.type} ${line.redo ?? line.row ?? ''}`, line] as const))(
    '%s',
    (_, line) => {
      const { schema, streamed, read } = walkType(line, profile);
      expect(schema).toBe(line[profile].schema);
      if (line.redo !== null) expect(streamed).toBe(line[profile].value);
      if (line.row !== null) expect(read).toBe(line[profile].value);
      expect([line.redo, line.row]).not.toEqual([null, null]);
    },
  );
});

test('every type that has a decoder is in the table', () => {
  const documented = new Set(lines.map(({ type }) => type.replaceAll(/\([^)]*\)/g, '')));
  const known = [
    'NUMBER',
    'FLOAT',
    'BINARY_FLOAT',
    'BINARY_DOUBLE',
    'CHAR',
    'VARCHAR2',
    'NCHAR',
    'NVARCHAR2',
    'CLOB',
    'NCLOB',
    'ROWID',
    'XMLTYPE',
    'JSON',
    'RAW',
    'BLOB',
    'BOOLEAN',
    'DATE',
    'TIMESTAMP',
    'TIMESTAMP WITH TIME ZONE',
    'TIMESTAMP WITH LOCAL TIME ZONE',
    'INTERVAL YEAR TO MONTH',
    'INTERVAL DAY TO SECOND',
  ];
  expect(known.filter((type) => !documented.has(type))).toEqual([]);
  const context = { text: () => '', onForeignDate: () => undefined };
  const decoded = (dataType: string): boolean =>
    columnDecoder({ dataType, length: null, precision: null, scale: null }, context) !== null;
  expect(known.filter((type) => !decoded(type))).toEqual([]);
  expect(['LONG', 'LONG RAW', 'BFILE', 'UROWID', 'VECTOR', 'SDO_GEOMETRY'].filter(decoded)).toEqual([]);
});
