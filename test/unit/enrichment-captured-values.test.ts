/** Each kind of a captured column: its type in SQL, and that none of its values gets lost on the way. */
import { describe, expect, it } from 'vitest';
import { jsonWriter } from '../../src/enrichment/formats/value-json.ts';
import { columnType, valueReader } from '../../src/enrichment/sources/captured-columns.ts';
import { typeText } from '../../src/enrichment/sql/sql-type.ts';
import type { ColumnType } from '../../src/model/table.ts';
import type { Value } from '../../src/model/value.ts';

interface Kind {
  readonly type: ColumnType;
  readonly sql: string;
  /** Values, and the JSON that results hold; undefined: there is no equal in SQL. */
  readonly values: readonly (readonly [Value, string | undefined])[];
}

const BYTES = new Uint8Array([1, 2, 255]);
const DAY = 86_400_000_000;

const text = (type: ColumnType, value: string): Kind => ({
  type,
  sql: 'STRING',
  values: [[value, JSON.stringify(value)]],
});
const instant = (kind: 'timestamp' | 'timestamptz'): readonly Kind[] => [
  {
    type: { kind, precision: 6 },
    sql: 'TIMESTAMP',
    values: [
      [1_700_000_000_123_456, '1700000000123'],
      [-1, '-1'],
      [-9_007_199_254_740_993_001n, '-9007199254740994'],
      [Infinity, undefined],
      ['0000-00-00 00:00:00', undefined],
    ],
  },
  {
    type: { kind, precision: 9, zero: 'epoch' },
    sql: 'TIMESTAMP',
    values: [
      [1_700_000_000_123_456_789n, '1700000000123'],
      [-1n, '-1'],
      ['0000-00-00 00:00:00', '0'],
    ],
  },
];

/** By kind, so that one that is new has to be said here. */
const KINDS: { readonly [K in ColumnType['kind']]: Kind | readonly Kind[] } = {
  boolean: {
    type: { kind: 'boolean' },
    sql: 'BOOLEAN',
    values: [
      [true, 'true'],
      [false, 'false'],
    ],
  },
  int8: {
    type: { kind: 'int8' },
    sql: 'INTEGER',
    values: [
      [-99, '-99'],
      [0, '0'],
    ],
  },
  int16: { type: { kind: 'int16' }, sql: 'INTEGER', values: [[-32_768, '-32768']] },
  int32: { type: { kind: 'int32' }, sql: 'INTEGER', values: [[2_147_483_647, '2147483647']] },
  year: {
    type: { kind: 'year' },
    sql: 'INTEGER',
    values: [
      [2024, '2024'],
      [0, '0'],
    ],
  },
  int64: {
    type: { kind: 'int64' },
    sql: 'BIGINT',
    values: [
      [1, '1'],
      [-9_223_372_036_854_775_808n, '-9223372036854775808'],
    ],
  },
  uint64: {
    type: { kind: 'uint64', overflow: 'quarantine' },
    sql: 'DECIMAL(20, 0)',
    values: [
      [0, '0'],
      [18_446_744_073_709_551_615n, '18446744073709551615'],
    ],
  },
  duration: {
    type: { kind: 'duration', precision: 6 },
    sql: 'BIGINT',
    values: [
      [-3_020_399_000_001, '-3020399000001'],
      [0, '0'],
    ],
  },
  float32: {
    type: { kind: 'float32' },
    sql: 'DOUBLE',
    values: [
      [0.5, '0.5'],
      [NaN, '"NaN"'],
    ],
  },
  float64: {
    type: { kind: 'float64' },
    sql: 'DOUBLE',
    values: [
      [-1e300, '-1e+300'],
      [-Infinity, '"-Infinity"'],
    ],
  },
  decimal: [
    {
      type: { kind: 'decimal', precision: 38, scale: 2 },
      sql: 'DECIMAL(38, 2)',
      values: [['-123456789012345678901234567890123456.70', '-123456789012345678901234567890123456.70']],
    },
    {
      type: { kind: 'decimal', precision: null, scale: null },
      sql: 'DECIMAL',
      values: [
        ['1.50', '1.50'],
        ['NaN', undefined],
      ],
    },
    {
      type: { kind: 'decimal', precision: 2, scale: 4 },
      sql: 'DECIMAL',
      values: [['0.0012', '0.0012']],
    },
  ],
  string: text({ kind: 'string' }, 'a "quoted" text'),
  json: text({ kind: 'json' }, '{"a":[1,null]}'),
  xml: text({ kind: 'xml' }, '<a/>'),
  uuid: text({ kind: 'uuid' }, '0e37df36-f698-11e6-8dd4-cb9ced3df976'),
  ltree: text({ kind: 'ltree' }, 'top.science'),
  tsvector: text({ kind: 'tsvector' }, "'fat':2"),
  hstore: text({ kind: 'hstore' }, '{"a":"1"}'),
  enum: text({ kind: 'enum', values: ['sad', 'a,b'] }, 'a,b'),
  set: text({ kind: 'set', values: ['a', 'b'] }, 'a,b'),
  timetz: text({ kind: 'timetz', precision: 3 }, '04:05:06.789-08'),
  zonedtimestamp: text({ kind: 'zonedtimestamp' }, '2024-01-31T12:00:00.5+02:00'),
  bytes: { type: { kind: 'bytes' }, sql: 'BYTES', values: [[BYTES, '"AQL/"']] },
  bits: { type: { kind: 'bits', length: 24 }, sql: 'BYTES', values: [[BYTES, '"AQL/"']] },
  geometry: { type: { kind: 'geometry' }, sql: 'BYTES', values: [[[BYTES, 4326], '"AQL/"']] },
  geography: { type: { kind: 'geography' }, sql: 'BYTES', values: [[[BYTES, null], '"AQL/"']] },
  date: [
    {
      type: { kind: 'date' },
      sql: 'DATE',
      values: [
        [-1, '-1'],
        [19_000, '19000'],
        [Infinity, undefined],
        ['2004-00-31', undefined],
      ],
    },
    { type: { kind: 'date', zero: 'epoch' }, sql: 'DATE', values: [['0000-00-00', '0']] },
  ],
  time: {
    type: { kind: 'time', precision: 6 },
    sql: 'TIME',
    values: [
      [0, '0'],
      [DAY - 1, '86399999'],
      [DAY, '86400000'],
    ],
  },
  timestamp: instant('timestamp'),
  timestamptz: instant('timestamptz'),
  interval: {
    type: { kind: 'interval' },
    sql: 'STRING',
    values: [
      [[14, -3, 3_500_000], '"P14M-3DT3.5S"'],
      [[0, 0, -1], '"P0M0DT-0.000001S"'],
      [[0, 0, 9_223_372_036_854_775_807n], '"P0M0DT9223372036854.775807S"'],
      [[-Infinity, 0, 0], '"-infinity"'],
    ],
  },
  point: {
    type: { kind: 'point' },
    sql: 'STRUCT<X DOUBLE, Y DOUBLE>',
    values: [
      [[1.5, -2], '{"X":1.5,"Y":-2.0}'],
      [[1.5, -2, BYTES, 4326], '{"X":1.5,"Y":-2.0}'],
    ],
  },
  vector: {
    type: { kind: 'vector', element: 'float32' },
    sql: 'ARRAY<DOUBLE>',
    values: [[[0.5, 1], '[0.5,1.0]']],
  },
  array: [
    {
      type: { kind: 'array', element: { kind: 'uint64', overflow: 'string' } },
      sql: 'ARRAY<DECIMAL(20, 0)>',
      values: [[[1, null, 18_446_744_073_709_551_615n], '[1,null,18446744073709551615]']],
    },
    {
      type: { kind: 'array', element: { kind: 'int32' } },
      sql: 'ARRAY<INTEGER>',
      // Of two dimensions, which the type does not say.
      values: [[[[1], [2]], undefined]],
    },
  ],
};

const cases = Object.values(KINDS)
  .flat()
  .map((kind) => [kind.type.kind, kind] as const);

describe('a captured column', () => {
  it.each(cases)('%s', (_, { type, sql, values }) => {
    const seen = columnType(type);
    expect(typeText(seen)).toBe(sql);
    const [read, write] = [valueReader(type), jsonWriter(seen, (name) => name)];
    const found = values.map(([value]) => {
      const converted = read(value);
      return [value, converted === undefined ? undefined : write(converted)];
    });
    expect(found).toEqual(values);
  });
});
