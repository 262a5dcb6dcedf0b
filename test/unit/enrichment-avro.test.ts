/** Avro as other producers write it: the bytes are avsc's. */
import avsc from 'avsc';
import { describe, expect, it } from 'vitest';
import { columnsOf } from '../../src/enrichment/formats/avro-columns.ts';
import { avroSchema } from '../../src/enrichment/formats/avro-writer.ts';
import { parseAvro } from '../../src/enrichment/formats/avro-type.ts';
import { partReader } from '../../src/enrichment/formats/format.ts';
import type { SchemaReader } from '../../src/enrichment/formats/registry-access.ts';
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
  typeText,
} from '../../src/enrichment/sql/sql-type.ts';
import type { SqlValue } from '../../src/enrichment/sql/value.ts';
import { renderAvroSchema } from '../../src/schema/avro-schema.ts';
import { registeredPrefix } from '../../src/schema/registry/record-prefix.ts';
import type { SchemaText } from '../../src/schema/registry/named-schema.ts';

const { signal } = new AbortController();

/** Schemas by id, and by subject and version. */
class Schemas implements SchemaReader {
  readonly #byId: ReadonlyMap<number, SchemaText>;
  readonly #versions: ReadonlyMap<string, SchemaText>;
  asked = 0;

  constructor(
    byId: readonly (readonly [number, SchemaText])[],
    versions: readonly (readonly [string, SchemaText])[] = [],
  ) {
    this.#byId = new Map(byId);
    this.#versions = new Map(versions);
  }

  byId(id: number): Promise<SchemaText | null> {
    this.asked++;
    return Promise.resolve(this.#byId.get(id) ?? null);
  }

  latest(): Promise<null> {
    return Promise.resolve(null);
  }

  version(subject: string, version: number): Promise<SchemaText | null> {
    return Promise.resolve(this.#versions.get(`${subject} ${version}`) ?? null);
  }
}

function avro(schema: unknown, references: SchemaText['references'] = []): SchemaText {
  return { type: 'AVRO', text: JSON.stringify(schema), references };
}

const plain = (value: SqlValue): unknown => (value instanceof Decimal ? String(value) : value);

/** A value of the writer's type as a column of another one; `refused` where the record cannot be read. */
async function converted(writer: avsc.Schema, value: unknown, to: SqlType): Promise<unknown> {
  const schema = { type: 'record', name: 'R', fields: [{ name: 'c', type: writer }] } as avsc.Schema;
  const bytes = Buffer.concat([
    registeredPrefix(1),
    avsc.Type.forSchema(schema, { wrapUnions: true }).toBuffer({ c: value }),
  ]);
  const reader = new Schemas([[1, avro(schema)]]);
  const part = partReader(
    [{ name: 'C', type: to }],
    { format: 'AVRO', delimiter: ',', bare: false },
    { reader, signal },
  );
  await part.prepare?.(bytes);
  const into: SqlValue[] = [];
  return part.read(bytes, into) ? plain(into[0] ?? null) : 'refused';
}

const TIMES = (logicalType: string): avsc.Schema => ({ type: 'long', logicalType });
const MONEY: avsc.Schema = { type: 'bytes', logicalType: 'decimal', precision: 6, scale: 2 };
const COLOUR: avsc.Schema = { type: 'enum', name: 'Colour', symbols: ['RED', 'BLUE'] };

describe('a column that another type was written for', () => {
  it.each<[avsc.Schema, unknown, SqlType, unknown]>([
    ['int', 7, BIGINT, 7],
    ['int', 7, DOUBLE, 7],
    ['int', -7, decimal(10, 2), '-7.00'],
    ['int', 7, STRING, '7'],
    ['int', 19_723, DATE, 19_723],
    ['int', 7, TIMESTAMP, 'refused'],
    ['long', 7, INTEGER, 7],
    ['long', 2 ** 40, INTEGER, 'refused'],
    ['long', 1_700_000_000_000, TIMESTAMP, 1_700_000_000_000],
    [TIMES('timestamp-micros'), 1_700_000_000_123_456, TIMESTAMP, 1_700_000_000_123],
    [TIMES('timestamp-micros'), -1, TIMESTAMP, -1],
    [TIMES('timestamp-micros'), 1_700_000_000_123_456, BIGINT, 1_700_000_000_123_456],
    [TIMES('time-micros'), 3_600_000_001, TIME, 3_600_000],
    ['float', 0.5, DOUBLE, 0.5],
    ['double', 0.5, INTEGER, 'refused'],
    ['double', 0.5, STRING, '0.5'],
    ['string', '12', INTEGER, 12],
    ['string', 'x', INTEGER, 'refused'],
    ['string', '2024-01-02', DATE, 19_724],
    ['boolean', true, BOOLEAN, true],
    ['boolean', true, STRING, 'true'],
    ['boolean', true, INTEGER, 'refused'],
    [MONEY, Buffer.from('fb2e', 'hex'), decimal(10, 3), '-12.340'],
    [MONEY, Buffer.from('04d2', 'hex'), DOUBLE, 12.34],
    [MONEY, Buffer.from('0f4240', 'hex'), decimal(4, 2), 'refused'],
    [{ type: 'fixed', name: 'F', size: 2 }, Buffer.from('0102', 'hex'), BYTES, Buffer.from('0102', 'hex')],
    [COLOUR, 'BLUE', STRING, 'BLUE'],
    [['null', 'string'], null, INTEGER, null],
    [['int', 'null'], { int: 3 }, INTEGER, 3],
    [['null', 'int', 'string'], { string: '5' }, INTEGER, 5],
    [['null', 'int', 'string'], { string: 'five' }, INTEGER, 'refused'],
    [
      { type: 'array', items: ['null', 'int'] },
      [{ int: 1 }, null],
      { kind: 'ARRAY', element: BIGINT },
      [1, null],
    ],
    [
      { type: 'map', values: 'int' },
      { a: 1 },
      { kind: 'MAP', key: STRING, value: INTEGER },
      new Map([['a', 1]]),
    ],
    [{ type: 'map', values: 'int' }, { a: 1 }, STRING, 'refused'],
    [
      {
        type: 'record',
        name: 'P',
        fields: [
          { name: 'x', type: 'int' },
          { name: 'rest', type: 'string' },
          { name: 'y', type: 'int' },
        ],
      },
      { x: 1, rest: 'r', y: 2 },
      {
        kind: 'STRUCT',
        fields: [
          { name: 'Y', type: INTEGER },
          { name: 'X', type: STRING },
          { name: 'Z', type: INTEGER },
        ],
      },
      [2, '1', null],
    ],
  ])('%j %j as %j', async (writer, value, to, expected) => {
    expect(await converted(writer, value, to)).toEqual(expected);
  });
});

describe('records of several schemas', () => {
  const first = { type: 'record', name: 'R', fields: [{ name: 'a', type: 'int' }] };
  const second = {
    type: 'record',
    name: 'R',
    fields: [
      { name: 'B', type: 'string' },
      { name: 'A', type: 'long' },
    ],
  };
  const columns = [
    { name: 'A', type: BIGINT },
    { name: 'B', type: STRING },
  ];

  it('are read each by its own, and each schema is asked for once', async () => {
    const reader = new Schemas([
      [1, avro(first)],
      [2, avro(second)],
      [3, { type: 'PROTOBUF', text: 'syntax = "proto3";', references: [] }],
      [4, { type: 'AVRO', text: '{"type":"nothing"}', references: [] }],
    ]);
    const part = partReader(columns, { format: 'AVRO', delimiter: ',', bare: false }, { reader, signal });
    const read = async (id: number, body: Uint8Array): Promise<readonly SqlValue[] | null> => {
      const bytes = Buffer.concat([registeredPrefix(id), body]);
      await part.prepare?.(bytes);
      const into: SqlValue[] = [];
      return part.read(bytes, into) ? into : null;
    };
    const one = avsc.Type.forSchema(first as avsc.Schema).toBuffer({ a: 1 });
    const two = avsc.Type.forSchema(second as avsc.Schema).toBuffer({ A: 2, B: 'b' });
    for (let i = 0; i < 3; i++) {
      expect(await read(1, one)).toEqual([1, null]);
      expect(await read(2, two)).toEqual([2, 'b']);
      expect(await read(3, one)).toBeNull();
      expect(await read(4, one)).toBeNull();
      expect(await read(5, one)).toBeNull();
    }
    // Cut off, with bytes behind it, and no Avro at all.
    expect(await read(2, two.subarray(0, 1))).toBeNull();
    expect(await read(2, Buffer.concat([two, two]))).toBeNull();
    expect(part.read(Buffer.from('{"a":1}'), [])).toBe(false);
    expect(reader.asked).toBe(5);
  });

  it('may refer to others', async () => {
    const outer = avro({ type: 'record', name: 'O', namespace: 'x', fields: [{ name: 'in', type: 'x.I' }] }, [
      { name: 'x.I', subject: 'inner', version: 3 },
    ]);
    const inner = avro({ type: 'record', name: 'I', namespace: 'x', fields: [{ name: 'a', type: 'int' }] });
    const reader = new Schemas([[1, outer]], [['inner 3', inner]]);
    const struct: SqlType = { kind: 'STRUCT', fields: [{ name: 'A', type: INTEGER }] };
    const part = partReader(
      [{ name: 'IN', type: struct }],
      { format: 'AVRO', delimiter: ',', bare: false },
      { reader, signal },
    );
    const bytes = Buffer.concat([registeredPrefix(1), Buffer.from([14])]);
    await part.prepare?.(bytes);
    const into: SqlValue[] = [];
    expect(part.read(bytes, into)).toBe(true);
    expect(into).toEqual([[7]]);
  });

  it('that hold themselves are passed over, however deep, and refused where that is meant to hurt', async () => {
    const list = {
      type: 'record',
      name: 'L',
      fields: [
        { name: 'next', type: ['null', 'L'] },
        { name: 'a', type: 'int' },
      ],
    };
    const reader = new Schemas([[1, avro(list)]]);
    const part = partReader(
      [{ name: 'A', type: INTEGER }],
      { format: 'AVRO', delimiter: ',', bare: false },
      { reader, signal },
    );
    const of = (depth: number): Buffer =>
      Buffer.concat([
        registeredPrefix(1),
        Buffer.alloc(depth, 2),
        Buffer.from([0]),
        Buffer.alloc(depth + 1, 8),
      ]);
    await part.prepare?.(of(0));
    const into: SqlValue[] = [];
    expect(part.read(of(50), into)).toBe(true);
    expect(into).toEqual([4]);
    expect(part.read(of(500_000), [])).toBe(false);
  });

  it('cannot claim more items than they have bytes', async () => {
    const nulls = {
      type: 'record',
      name: 'R',
      fields: [{ name: 'a', type: { type: 'array', items: 'null' } }],
    };
    const reader = new Schemas([[1, avro(nulls)]]);
    const type: SqlType = { kind: 'ARRAY', element: INTEGER };
    const part = partReader(
      [{ name: 'A', type }],
      { format: 'AVRO', delimiter: ',', bare: false },
      { reader, signal },
    );
    const blocks = Buffer.concat(Array.from({ length: 100_000 }, () => Buffer.from([0xfe, 0xff, 0x07])));
    const bytes = Buffer.concat([registeredPrefix(1), blocks, Buffer.from([0])]);
    await part.prepare?.(bytes);
    expect(part.read(bytes, [])).toBe(false);
  });
});

describe('columns of a stream that is declared without any', () => {
  const inferred = (schema: unknown): readonly string[] =>
    columnsOf(parseAvro(JSON.stringify(schema)), 'ROWVAL').map(
      ({ name, type }) => `${name} ${typeText(type)}`,
    );

  it('are the fields of the record', () => {
    const fields = [
      { name: 'id', type: 'long' },
      { name: 'note', type: ['null', 'string'], default: null },
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'fine', type: { type: 'long', logicalType: 'timestamp-micros' } },
      { name: 'day', type: ['null', { type: 'int', logicalType: 'date' }] },
      { name: 'price', type: MONEY },
      { name: 'colour', type: COLOUR },
      { name: 'tags', type: { type: 'array', items: 'string' } },
      { name: 'by', type: { type: 'map', values: 'double' } },
      { name: 'where', type: { type: 'record', name: 'P', fields: [{ name: 'x', type: 'float' }] } },
      { name: 'Case', type: 'int' },
      { name: 'case', type: 'int' },
    ];
    expect(inferred({ type: 'record', name: 'R', fields })).toEqual([
      'ID BIGINT',
      'NOTE STRING',
      'AT TIMESTAMP',
      'FINE BIGINT',
      'DAY DATE',
      'PRICE DECIMAL(6, 2)',
      'COLOUR STRING',
      'TAGS ARRAY<STRING>',
      'BY MAP<STRING, DOUBLE>',
      'WHERE STRUCT<X DOUBLE>',
      'Case INTEGER',
      'case INTEGER',
    ]);
    expect(inferred('int')).toEqual(['ROWVAL INTEGER']);
  });

  it.each([
    [[{ name: 'u', type: ['int', 'string'] }], 'u is a union of int, string'],
    [[{ name: 'n', type: 'null' }], 'n is always null'],
    [[{ name: 'self', type: ['null', 'R'] }], 'self is a record within itself'],
  ])('are refused where SQL has no such type: %j', (fields, sentence) => {
    expect(() => inferred({ type: 'record', name: 'R', fields })).toThrow(sentence);
  });
});

describe('the schema of results', () => {
  const spelling = (name: string): string => name;
  const schema = (name: string, type: SqlType): unknown =>
    JSON.parse(
      renderAvroSchema(avroSchema([{ label: name, type }], { name: 'ns.Row', bare: false, spelling })),
    ) as unknown;

  // As tests of ksqlDB have it (KsqlAvroSerializerTest).
  it('names maps after the path to them, and writes them as entries', () => {
    expect(schema('M', { kind: 'MAP', key: STRING, value: INTEGER })).toEqual({
      type: 'record',
      name: 'Row',
      namespace: 'ns',
      fields: [
        {
          name: 'M',
          type: [
            'null',
            {
              type: 'array',
              items: {
                type: 'record',
                name: 'Row_M',
                fields: [
                  { name: 'key', type: ['null', 'string'], default: null },
                  { name: 'value', type: ['null', 'int'], default: null },
                ],
                'connect.internal.type': 'MapEntry',
              },
              'connect.name': 'ns.Row_M',
            },
          ],
          default: null,
        },
      ],
      'connect.name': 'ns.Row',
    });
  });

  it('has the sizes of decimals, and Connect’s names for times', () => {
    expect(schema('D', decimal(4, 2))).toMatchObject({
      fields: [
        {
          type: [
            'null',
            {
              type: 'bytes',
              logicalType: 'decimal',
              precision: 4,
              scale: 2,
              'connect.version': 1,
              'connect.parameters': { scale: '2', 'connect.decimal.precision': '4' },
              'connect.name': 'org.apache.kafka.connect.data.Decimal',
            },
          ],
        },
      ],
    });
    expect(schema('T', TIMESTAMP)).toMatchObject({
      fields: [{ type: ['null', { type: 'long', logicalType: 'timestamp-millis' }] }],
    });
  });
});
