/** Types of SQL and values of theirs, as formats hold them. */
import * as fc from 'fast-check';
import { Decimal } from '../../src/enrichment/sql/decimal.ts';
import {
  BIGINT,
  BOOLEAN,
  BYTES,
  DATE,
  decimal,
  DOUBLE,
  INTEGER,
  type SqlType,
  STRING,
  TIME,
  TIMESTAMP,
} from '../../src/enrichment/sql/sql-type.ts';
import { bigintValue, type SqlValue } from '../../src/enrichment/sql/value.ts';

export const scalarTypes: fc.Arbitrary<SqlType> = fc.oneof(
  fc.constantFrom<SqlType>(BOOLEAN, INTEGER, BIGINT, DOUBLE, STRING, BYTES, DATE, TIME, TIMESTAMP),
  fc
    .record({ precision: fc.integer({ min: 1, max: 40 }), less: fc.nat(40) })
    .map(({ precision, less }) => decimal(precision, Math.min(precision, less))),
);

export const sqlTypes: fc.Arbitrary<SqlType> = fc.letrec<{ type: SqlType }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    scalarTypes,
    tie('type').map((element): SqlType => ({ kind: 'ARRAY', element })),
    tie('type').map((value): SqlType => ({ kind: 'MAP', key: STRING, value })),
    fc.array(tie('type'), { minLength: 1, maxLength: 3 }).map((types): SqlType => ({
      kind: 'STRUCT',
      fields: types.map((type, i) => ({ name: `F${i}`, type })),
    })),
  ),
})).type;

/** Null too. */
export function valuesOfType(type: SqlType): fc.Arbitrary<SqlValue> {
  return fc.option(present(type), { freq: 6 });
}

function present(type: SqlType): fc.Arbitrary<SqlValue> {
  switch (type.kind) {
    case 'BOOLEAN':
      return fc.boolean();
    case 'INTEGER':
    case 'DATE':
      return fc.integer();
    case 'TIME':
      return fc.integer({ min: 0, max: 86_399_999 });
    case 'TIMESTAMP':
      return fc.integer({ min: -8_640_000_000_000_000, max: 8_640_000_000_000_000 });
    case 'BIGINT':
      return fc
        .oneof(
          fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
          fc.maxSafeInteger().map(BigInt),
          fc.integer().map(BigInt),
        )
        .map((n) => bigintValue(n)!);
    case 'DOUBLE':
      return fc.double();
    case 'STRING':
      return fc.oneof(
        fc.string(),
        fc.string({ unit: 'grapheme' }),
        fc.string({ minLength: 60, maxLength: 200 }),
      );
    case 'BYTES':
      return fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes));
    case 'DECIMAL': {
      const limit = 10n ** BigInt(type.precision ?? 1) - 1n;
      const { scale } = type;
      return fc.bigInt({ min: -limit, max: limit }).map((n) => new Decimal(n, scale ?? 0));
    }
    case 'ARRAY':
      return fc.array(valuesOfType(type.element), { maxLength: 4 });
    case 'MAP':
      return fc
        .array(fc.tuple(fc.string(), valuesOfType(type.value)), { maxLength: 4 })
        .map((entries) => new Map<SqlValue, SqlValue>(entries));
    case 'STRUCT':
      return fc.tuple(...type.fields.map((field) => valuesOfType(field.type)));
  }
}
