import { expect, test } from 'vitest';
import { columnDefaultJson } from '../../src/emitter/encoders/default-json.ts';
import type { Column, ColumnType } from '../../src/model/table.ts';
import { isOptional, typeSchema } from '../../src/schema/column-schema.ts';
import { renderConnectSchema } from '../../src/schema/connect-schema.ts';
import { tableForm } from '../../src/schema/table-form.ts';
import { readDefault } from '../../src/readers/postgres/types/column-default.ts';
import { builtinType } from '../../src/readers/postgres/types/builtin-types.ts';
import { integerWriter } from '../../src/schema/integer-text.ts';
import { sanitizeTopic, tableTopic } from '../../src/emitter/topic-names.ts';

function column(type: ColumnType, more: Partial<Column> = {}): Column {
  return {
    name: 'c',
    type,
    nullable: true,
    default: undefined,
    nativeType: 'text',
    length: null,
    scale: null,
    ...more,
  };
}

test('keys are in the order of Connect’s JsonConverter', () => {
  expect(renderConnectSchema(typeSchema({ kind: 'decimal', precision: 10, scale: 2 }, 'debezium'), 'd')).toBe(
    '{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"10"},"field":"d"}',
  );
  expect(renderConnectSchema(typeSchema({ kind: 'decimal', precision: null, scale: null }, 'debezium'))).toBe(
    '{"type":"struct","fields":[{"type":"int32","optional":false,"field":"scale"},{"type":"bytes","optional":false,"field":"value"}],"optional":false,"name":"io.debezium.data.VariableScaleDecimal","version":1,"doc":"Variable scaled decimal"}',
  );
  expect(renderConnectSchema(typeSchema({ kind: 'array', element: { kind: 'date' } }, 'debezium'))).toBe(
    '{"type":"array","items":{"type":"int32","optional":true,"name":"io.debezium.time.Date","version":1},"optional":false}',
  );
});

test('the key’s schema is in the key’s order, and the row’s is used twice', () => {
  const columns = ['a', 'b', 'c'].map((name) => column({ kind: 'int32' }, { name, nullable: false }));
  const form = tableForm({
    table: { id: { schema: 's', table: 't' }, version: 1, columns, key: [2, 0] },
    key: [2, 0],
    fields: [0, 1, 2],
    topic: 'p.s.t',
    profile: 'debezium',
    source: { type: 'struct', optional: false },
    defaults: [undefined, '5', undefined],
  });
  expect(form.key?.fields?.map(({ field }) => field)).toEqual(['c', 'a']);
  expect(form.key?.name).toBe('p.s.t.Key');
  const [before, after] = form.envelope.fields ?? [];
  expect(before?.schema).toBe(after?.schema);
  expect(renderConnectSchema(form.row)).toContain('"default":5,"field":"b"');
});

test('safe: nothing outside the key is required; debezium: what Debezium leaves out is not', () => {
  const required = column({ kind: 'int32' }, { nullable: false });
  expect(isOptional(required, false, 'safe')).toBe(true);
  expect(isOptional(required, true, 'safe')).toBe(false);
  expect(isOptional(required, false, 'debezium')).toBe(false);
  expect(isOptional({ ...required, opaque: true }, false, 'debezium')).toBe(true);
});

test('pgvector’s and PostGIS’s types', () => {
  expect(typeSchema({ kind: 'vector', element: 'float32' }, 'debezium')).toMatchObject({
    name: 'io.debezium.data.FloatVector',
    items: { type: 'float' },
  });
  expect(typeSchema({ kind: 'vector', element: 'float64' }, 'debezium')).toMatchObject({
    name: 'io.debezium.data.DoubleVector',
    items: { type: 'double' },
  });
  expect(typeSchema({ kind: 'geography' }, 'safe')).toMatchObject({
    name: 'io.debezium.data.geometry.Geography',
    version: 1,
  });
});

test.each([
  ['5', 'int4', -1, 5],
  ["'-5'::integer", 'int4', -1, -5],
  ["'it''s'::text", 'text', -1, "it's"],
  ["'a)::b'::text", 'text', -1, 'a)::b'],
  ["E'back\\\\slash'::text", 'text', -1, 'back\\slash'],
  ["('abc'::character varying)::character varying(10)", 'varchar', 14, 'abc'],
  ['1', 'numeric', 655366, '1.00'],
  ['(-1.5)', 'numeric', -1, '-1.5'],
  ['true', 'bool', -1, true],
  ["'2024-02-29'::date", 'date', -1, 19_782],
])('the default %s of %s is a constant', (expression, type, typmod, value) => {
  const scalar = builtinType(type, typmod) ?? {
    type: { kind: 'string' as const },
    length: null,
    scale: null,
    decode: (text: string) => text,
  };
  expect(readDefault(expression, { ...scalar, nativeType: type })).toEqual({ kind: 'constant', value });
});

test.each([
  ["nextval('s'::regclass)", { kind: 'computed' }],
  ['now()', { kind: 'computed' }],
  ['CURRENT_TIMESTAMP', { kind: 'computed' }],
  ['(1 + 2)', null],
  ['NULL::character varying', null],
  [null, null],
])('the default %s is no constant', (expression, found) => {
  const info = { ...builtinType('int4', -1)!, nativeType: 'int4' };
  expect(readDefault(expression, info)).toEqual(found);
});

test('defaults in the schema: Debezium’s placeholder where the database computes them, nothing in safe', () => {
  const serial = column({ kind: 'int32' }, { nativeType: 'int4', computedDefault: true });
  expect(columnDefaultJson(serial, 'debezium')).toBe('0');
  expect(columnDefaultJson(serial, 'safe')).toBeUndefined();
  const inet = column({ kind: 'string' }, { nativeType: 'inet', default: '10.0.0.1', hiddenDefault: true });
  expect(columnDefaultJson(inet, 'debezium')).toBeUndefined();
  expect(columnDefaultJson(inet, 'safe')).toBe('"10.0.0.1"');
  const nan = column({ kind: 'decimal', precision: 5, scale: 2 }, { nativeType: 'numeric', default: 'NaN' });
  expect(columnDefaultJson(nan, 'debezium')).toBeUndefined();
});

test('topic names', () => {
  const topicFor = (topic: string, schema: string, table: string): string =>
    tableTopic({ name: 'pg', topic, routes: [] }, { schema, table }, null).topic;
  expect(topicFor('{name}.{schema}.{table}', 'Quoted_" . Schema', 'Quoted_" . Table')).toBe(
    'pg.Quoted___._Schema.Quoted___._Table',
  );
  expect(topicFor('cdc-{table}', 's', '{name}')).toBe('cdc-_name_');
  expect(sanitizeTopic('äb c')).toBe('_b_c');
});

test('integers as text, whatever came before', () => {
  const text = integerWriter();
  const numbers = [
    0,
    -5,
    999_999_999,
    1_000_000_000,
    1_000_000_001,
    5_000_000_000,
    1_715_000_000_000_042,
    1_715_000_000_999_999,
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
    1_715_000_000_000_042,
  ];
  expect(numbers.map(text)).toEqual(numbers.map(String));
});
