/** What MySQL's own values become in JSON, by profile and policy. */
import { expect, test } from 'vitest';
import { type RowNotes, valueWriter } from '../../src/emitter/encoders/value-json.ts';
import type { Column, ColumnType } from '../../src/model/table.ts';
import type { Value } from '../../src/model/value.ts';
import { type Profile, typeSchema } from '../../src/schema/column-schema.ts';

function written(
  type: ColumnType,
  value: Value,
  { profile = 'debezium', optional = true }: { profile?: Profile; optional?: boolean } = {},
): { readonly json: string; readonly special: RowNotes['special'] } {
  const notes: RowNotes = { absent: null, unavailable: null, special: null };
  const column: Column = {
    name: 'c',
    type,
    nullable: optional,
    default: undefined,
    nativeType: '',
    length: null,
    scale: null,
  };
  const context = { profile, withSchema: true, optional, unavailable: 'null', notes };
  const json = valueWriter(column, { ...context, required: optional ? null : '0' })(value);
  return { json, special: notes.special };
}

test('numbers past 2^63-1', () => {
  const big = 18_446_744_073_709_551_615n;
  const type = (overflow: 'quarantine' | 'string' | 'wrap') => ({ kind: 'uint64', overflow }) as const;
  expect(written(type('wrap'), big).json).toBe('-1');
  expect(written(type('string'), big).json).toBe('"18446744073709551615"');
  expect(written(type('string'), 5).json).toBe('"5"');
  expect(written(type('quarantine'), 9_223_372_036_854_775_807n).json).toBe('9223372036854775807');
  expect(() => written(type('quarantine'), big)).toThrow(/2\^63-1/);
  expect(written(type('quarantine'), big, { profile: 'safe' }).json).toBe('"18446744073709551615"');
  expect(typeSchema(type('quarantine'), 'debezium').type).toBe('int64');
  expect(typeSchema(type('string'), 'debezium').type).toBe('string');
  expect(typeSchema(type('wrap'), 'safe').type).toBe('string');
});

test.each([
  ['null', 'debezium', true, 'null', null],
  ['null', 'debezium', false, '0', null],
  ['null', 'safe', true, 'null', null],
  ['epoch', 'debezium', true, '0', null],
  ['epoch', 'safe', true, '"1970-01-01"', null],
  ['string', 'debezium', true, 'null', { c: '2004-00-12' }],
  ['string', 'debezium', false, '0', { c: '2004-00-12' }],
  ['string', 'safe', true, '"2004-00-12"', null],
] as const)('zero dates %s, profile %s, optional %s', (zero, profile, optional, json, special) => {
  expect(written({ kind: 'date', zero }, '2004-00-12', { profile, optional })).toEqual({ json, special });
});

test('zero times of the epoch have the form of the others', () => {
  const zero = '0000-00-00 00:00:00';
  expect(written({ kind: 'timestamptz', precision: 2, zero: 'epoch' }, zero).json).toBe(
    '"1970-01-01T00:00:00.00Z"',
  );
  expect(written({ kind: 'timestamp', precision: 6, zero: 'epoch' }, zero).json).toBe('0');
});

test('durations, nanoseconds, bits, points of their own', () => {
  const duration = { kind: 'duration', precision: 3 } as const;
  expect(written(duration, -3_723_456_000).json).toBe('-3723456000');
  expect(written(duration, -3_723_456_000, { profile: 'safe' }).json).toBe('"-01:02:03.456"');
  expect(written(duration, 3_020_399_000_000, { profile: 'safe' }).json).toBe('"838:59:59.000"');
  const nanos = 1_714_979_289_123_456_789n;
  expect(written({ kind: 'timestamp', precision: 9 }, nanos).json).toBe(String(nanos));
  expect(written({ kind: 'timestamp', precision: 9 }, nanos, { profile: 'safe' }).json).toBe(
    '"2024-05-06T07:08:09.123456789Z"',
  );
  expect(written({ kind: 'timestamptz', precision: 7 }, -1n).json).toBe('"1969-12-31T23:59:59.9999999Z"');
  const bits = Uint8Array.of(15, 97, 1, 0);
  expect(written({ kind: 'bits', length: 25, padded: true }, bits).json).toBe('"D2EBAA=="');
  expect(written({ kind: 'bits', length: 25 }, bits).json).toBe('"D2EB"');
  expect(written({ kind: 'point' }, [1, 2, Uint8Array.of(1, 2), 4326]).json).toBe(
    '{"x":1,"y":2,"wkb":"AQI=","srid":4326}',
  );
});

test('commas within a label are escaped where Debezium does so', () => {
  const values = ['a', 'b,c'];
  expect(typeSchema({ kind: 'enum', values, escaped: true }, 'debezium').parameters).toEqual({
    allowed: 'a,b\\,c',
  });
  expect(typeSchema({ kind: 'set', values, escaped: true }, 'debezium')).toMatchObject({
    name: 'io.debezium.data.EnumSet',
  });
  expect(typeSchema({ kind: 'enum', values }, 'debezium').parameters).toEqual({ allowed: 'a,b,c' });
});
