/** Tables with a column of every kind, and rows for them, for property tests of encoders. */
import * as fc from 'fast-check';
import type { Column, ColumnType, TableSchema } from '../../src/model/table.ts';
import type { Row, Value } from '../../src/model/value.ts';

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 120 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 60 }),
);

const int64 = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc.constantFrom<Value>(
    0,
    2 ** 31,
    -(2 ** 31),
    2 ** 52,
    -(2 ** 52),
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
  ),
  fc.constantFrom<Value>(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n, -(2n ** 53n) - 1n),
);

/** As readers give them: past 2^53 a bigint. */
const micros = fc.oneof(
  fc.maxSafeInteger(),
  fc.constantFrom<Value>(0, -1, Infinity, -Infinity, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
  fc.bigInt({ min: 253_402_300_799_999_999n, max: 9_200_000_000_000_000_000n }),
  fc.bigInt({ min: -210_000_000_000_000_000n, max: -(2n ** 53n) }),
);

function decimal(scale: number): fc.Arbitrary<string> {
  return fc
    .tuple(fc.bigInt({ min: 0n, max: 10n ** 24n }), fc.boolean(), fc.integer({ min: 1, max: 25 }))
    .map(([digits, negative, length]) => {
      const all = String(digits)
        .slice(0, length)
        .padStart(scale + 1, '0');
      const point = all.length - scale;
      const sign = negative && /[1-9]/.test(all) ? '-' : '';
      return sign + all.slice(0, point) + (scale === 0 ? '' : `.${all.slice(point)}`);
    });
}

const geometry: fc.Arbitrary<Value> = fc.tuple<Value[]>(
  fc.uint8Array({ minLength: 5, maxLength: 40 }),
  fc.option(fc.integer({ min: 0, max: 9999 })),
);

/** Name, type, values, and the native type where an encoder looks at it. */
const KINDS: readonly (readonly [
  name: string,
  type: ColumnType,
  values: fc.Arbitrary<Value>,
  native?: string,
])[] = [
  ['boolean', { kind: 'boolean' }, fc.boolean()],
  ['int16', { kind: 'int16' }, fc.integer({ min: -32768, max: 32767 })],
  ['int32', { kind: 'int32' }, fc.integer()],
  ['int64', { kind: 'int64' }, int64],
  ['float32', { kind: 'float32' }, fc.float()],
  ['float64', { kind: 'float64' }, fc.double()],
  [
    'decimal',
    { kind: 'decimal', precision: 30, scale: 4 },
    fc.oneof(decimal(4), fc.constantFrom('NaN', 'Infinity')),
  ],
  ['money', { kind: 'decimal', precision: null, scale: 2 }, decimal(2)],
  [
    'numeric',
    { kind: 'decimal', precision: null, scale: null },
    fc.oneof(decimal(0), decimal(7), fc.constant('NaN')),
  ],
  ['string', { kind: 'string' }, text],
  ['json', { kind: 'json' }, text.map((each) => JSON.stringify({ each }))],
  ['xml', { kind: 'xml' }, text],
  ['uuid', { kind: 'uuid' }, fc.uuid()],
  ['ltree', { kind: 'ltree' }, fc.constant('a.b.c')],
  ['tsvector', { kind: 'tsvector' }, fc.constant("'a':1")],
  ['hstore', { kind: 'hstore' }, fc.constant('{"a":"b"}')],
  ['bytes', { kind: 'bytes' }, fc.uint8Array({ maxLength: 80 })],
  ['bits', { kind: 'bits', length: 12 }, fc.uint8Array({ minLength: 2, maxLength: 2 })],
  [
    'date',
    { kind: 'date' },
    fc.oneof(fc.integer({ min: -700_000, max: 2_900_000 }), fc.constantFrom(Infinity, -Infinity)),
  ],
  ['time', { kind: 'time', precision: null }, fc.integer({ min: 0, max: 86_400_000_000 })],
  ['time3', { kind: 'time', precision: 3 }, fc.integer({ min: 0, max: 86_400_000 }).map((ms) => ms * 1000)],
  ['timetz', { kind: 'timetz', precision: null }, fc.constantFrom('04:05:06.789-08', '23:59:59+05:30')],
  ['timestamp', { kind: 'timestamp', precision: null }, micros],
  ['timestamp3', { kind: 'timestamp', precision: 3 }, micros],
  ['timestamptz', { kind: 'timestamptz', precision: null }, micros],
  ['timestamptz0', { kind: 'timestamptz', precision: 0 }, micros],
  [
    'interval',
    { kind: 'interval' },
    fc.tuple(fc.integer({ min: -1200, max: 1200 }), fc.integer({ min: -40, max: 40 }), fc.integer()),
  ],
  ['point', { kind: 'point' }, fc.tuple(fc.double({ noNaN: true }), fc.double({ noNaN: true }))],
  ['geometry', { kind: 'geometry' }, geometry],
  ['geography', { kind: 'geography' }, geometry],
  ['vector', { kind: 'vector', element: 'float64' }, fc.array(fc.float({ noNaN: true }), { maxLength: 5 })],
  [
    'halfvec',
    { kind: 'vector', element: 'float32' },
    fc.array(fc.float({ noNaN: true }), { maxLength: 5 }),
    'halfvec',
  ],
  ['int8', { kind: 'int8' }, fc.integer({ min: -128, max: 127 })],
  ['year', { kind: 'year' }, fc.integer({ min: 0, max: 2155 })],
  ['uint64', { kind: 'uint64', overflow: 'wrap' }, fc.oneof(fc.maxSafeNat(), fc.constant(2n ** 64n - 1n))],
  ['set', { kind: 'set', values: ['a', 'b'] }, fc.constantFrom('', 'a', 'a,b')],
  [
    'duration',
    { kind: 'duration', precision: 6 },
    fc.integer({ min: -3_020_399_000_000, max: 3_020_399_000_000 }),
  ],
  ['enum', { kind: 'enum', values: ['a', 'b'] }, fc.constantFrom('a', 'b')],
  [
    'ints',
    { kind: 'array', element: { kind: 'int32' } },
    fc.array(fc.option(fc.integer()), { maxLength: 5 }),
  ],
  ['texts', { kind: 'array', element: { kind: 'string' } }, fc.array(fc.option(text), { maxLength: 4 })],
  [
    'numerics',
    { kind: 'array', element: { kind: 'decimal', precision: 30, scale: 4 } },
    fc.array(decimal(4), { maxLength: 3 }),
  ],
];

function column([name, type, , native]: (typeof KINDS)[number], nullable: boolean): Column {
  const suffix = nullable ? '' : '_required';
  return {
    name: name + suffix,
    type,
    nullable,
    default: undefined,
    nativeType: native ?? name,
    length: null,
    scale: null,
  };
}

/** Each kind once optional and once required; the key is made of required columns. */
export const EVERY_KIND: TableSchema = {
  id: { schema: 'public', table: 'kinds' },
  version: 1,
  columns: [...KINDS.map((kind) => column(kind, true)), ...KINDS.map((kind) => column(kind, false))],
  key: [KINDS.length + 3, KINDS.length + 9, KINDS.length + 12],
};

/** What `nulls` yields stands for some of the optional values. */
export function rows(nulls: fc.Arbitrary<Value>): fc.Arbitrary<Row> {
  return fc.tuple(
    ...KINDS.map(([, , values]) => fc.oneof({ weight: 6, arbitrary: values }, nulls)),
    ...KINDS.map(([, , values]) => values),
  );
}
