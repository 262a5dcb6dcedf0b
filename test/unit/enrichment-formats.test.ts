import { describe, expect, it } from 'vitest';
import { Decimal } from '../../src/enrichment/sql/decimal.ts';
import { splitDelimited } from '../../src/enrichment/formats/delimited.ts';
import { type Format, partReader } from '../../src/enrichment/formats/format.ts';
import {
  BIGINT,
  BOOLEAN,
  BYTES,
  decimal,
  DOUBLE,
  INTEGER,
  type SqlType,
  STRING,
  TIMESTAMP,
} from '../../src/enrichment/sql/sql-type.ts';
import type { SqlValue } from '../../src/enrichment/sql/value.ts';

const NO_SCHEMAS = { reader: null, signal: new AbortController().signal };

function read(
  format: Format,
  types: readonly SqlType[],
  text: string | Uint8Array,
): readonly unknown[] | null {
  const columns = types.map((type, i) => ({ name: `C${i}`, type }));
  const reader = partReader(columns, { format, delimiter: ',', bare: false }, NO_SCHEMAS);
  const values: SqlValue[] = [];
  return reader.read(Buffer.from(text), values)
    ? values.map((value) => (value instanceof Decimal || Array.isArray(value) ? value.toString() : value))
    : null;
}

describe('JSON', () => {
  it.each([
    [[BIGINT], '{"c0":9223372036854775807}', [9223372036854775807n]],
    [[BIGINT], '{"C0":9223372036854775808}', null],
    [[BIGINT, INTEGER], '{"C1":"7","c0":1560070133853}', [1560070133853, 7]],
    [[INTEGER], '{"C0":2147483648}', null],
    [[INTEGER], '{"C0":1.5}', null],
    [[decimal(20, 2)], '{"C0":123456789012345678.05}', ['123456789012345678.05']],
    [[decimal(4, 2)], '{"C0":19.9}', ['19.90']],
    [[DOUBLE, DOUBLE], '{"C0":19.9,"C1":"NaN"}', [19.9, NaN]],
    [[STRING, STRING], '{"C0":{"a":12345678901234567890},"C1":null}', ['{"a":12345678901234567890}', null]],
    [[BOOLEAN, BOOLEAN], '{"C0":true}', [true, null]],
    [[BOOLEAN], '{"C0":1}', null],
    [[TIMESTAMP], '{"C0":1700000000000}', [1_700_000_000_000]],
    [[{ kind: 'ARRAY', element: INTEGER }], '{"C0":[1,null,3]}', ['1,,3']],
    [[{ kind: 'STRUCT', fields: [{ name: 'F', type: STRING }] }], '{"C0":{"f":"x"}}', ['x']],
    [[BYTES], '{"C0":"no base64!"}', null],
    [[INTEGER], '5', [5]],
    [[INTEGER, INTEGER], '[1,2]', null],
    [[INTEGER], '{"C0":', null],
    [[INTEGER], Buffer.from([0xff, 0xfe]), null],
    [[STRING], '{"C0":"\uFFFD"}', ['\uFFFD']],
    [[INTEGER], '\uFEFF{"C0":1}', [1]],
    [[STRING, STRING], '{"c0":"b","C0":"a","c1":"d","C1":null}', ['a', null]],
    // Nothing that every object has is a field.
    [[STRING], '{"x":1}', [null]],
  ] satisfies readonly (readonly [readonly SqlType[], string | Uint8Array, unknown])[])(
    '%j from %s',
    (types, text, expected) => {
      expect(read('JSON', types, text)).toEqual(expected);
    },
  );

  it('is read alike, whatever came before', () => {
    const columns = [{ name: 'C0', type: INTEGER }];
    const part = partReader(columns, { format: 'JSON', delimiter: ',', bare: false }, NO_SCHEMAS);
    const texts = ['{"c0":1}', ...Array<string>(150).fill('{"a":{"b":[]},"c0":2}'), '{"c0":3}', '{"c0":"x"}'];
    const read = texts.map((text) => {
      const values: SqlValue[] = [];
      return part.read(Buffer.from(text), values) ? values[0] : null;
    });
    expect(read).toEqual([1, ...Array<number>(150).fill(2), 3, null]);
  });
});

describe('DELIMITED', () => {
  it.each([
    ['1,b', [1, 'b']],
    ['1,"b, ""c"""', [1, 'b, "c"']],
    ['1,', [1, null]],
    ['1,""', [1, '']],
    ['1', null],
    ['x,b', null],
    ['1,"b', null],
    ['1,"b"x', null],
  ])('%s', (text, expected) => {
    expect(read('DELIMITED', [INTEGER, STRING], text)).toEqual(expected);
  });

  it('takes any delimiter', () => {
    expect(splitDelimited('a\tb\t', '\t')).toEqual(['a', 'b', null]);
  });
});

describe('KAFKA', () => {
  it.each([
    [INTEGER, '00000007', [7]],
    [INTEGER, '07', null],
    [BIGINT, '7fffffffffffffff', [9223372036854775807n]],
    [DOUBLE, '4033e66666666666', [19.9]],
    [STRING, '6869', ['hi']],
  ])('%j from %s', (type, hex, expected) => {
    expect(read('KAFKA', [type], Buffer.from(hex, 'hex'))).toEqual(expected);
  });
});
