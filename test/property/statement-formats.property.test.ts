/** Rows of statements through each format and back; Avro also by another reader of the registered schema. */
import avro from 'avsc';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { avroSchema } from '../../src/enrichment/formats/avro-writer.ts';
import { jsonText, parseJson } from '../../src/enrichment/sql/exact-json.ts';
import { type Format, partReader } from '../../src/enrichment/formats/format.ts';
import { partWriter } from '../../src/enrichment/formats/part-writer.ts';
import type { SchemaReader } from '../../src/enrichment/formats/registry-access.ts';
import { Decimal } from '../../src/enrichment/sql/decimal.ts';
import type { SqlType } from '../../src/enrichment/sql/sql-type.ts';
import type { SqlValue } from '../../src/enrichment/sql/value.ts';
import { renderAvroSchema } from '../../src/schema/avro-schema.ts';
import { registeredPrefix } from '../../src/schema/registry/record-prefix.ts';
import { scalarTypes, sqlTypes, valuesOfType } from '../support/sql-values.ts';

const ID = 0x01_02_83_04;
const NAME = 'io.confluent.ksql.avro_schemas.KsqlDataSourceSchema';
const spelling = (name: string): string => name;

interface Case {
  readonly types: readonly SqlType[];
  readonly rows: readonly (readonly SqlValue[])[];
}

function cases(types: fc.Arbitrary<SqlType>, most = 5): fc.Arbitrary<Case> {
  return fc.array(types, { minLength: 1, maxLength: most }).chain((list) =>
    fc.record({
      types: fc.constant(list),
      rows: fc.array(fc.tuple(...list.map(valuesOfType)), { minLength: 1, maxLength: 4 }),
    }),
  );
}

function columnsOf(
  types: readonly SqlType[],
): { readonly name: string; readonly label: string; readonly index: number; readonly type: SqlType }[] {
  return types.map((type, index) => ({ name: `C${index}`, label: `C${index}`, index, type }));
}

function schemaText(types: readonly SqlType[], bare: boolean): string {
  return renderAvroSchema(avroSchema(columnsOf(types), { name: NAME, bare, spelling }));
}

function registryWith(text: string): SchemaReader {
  const schema = { type: 'AVRO', text, references: [] } as const;
  return {
    byId: (id) => Promise.resolve(id === ID ? schema : null),
    latest: () => Promise.resolve(null),
    version: () => Promise.resolve(null),
  };
}

async function throughAndBack(
  format: Format,
  { types, rows }: Case,
  bare = false,
): Promise<readonly (readonly SqlValue[])[]> {
  const columns = columnsOf(types);
  const prefix = format === 'AVRO' ? registeredPrefix(ID) : null;
  const write = partWriter(columns, { format, delimiter: ';', bare, spelling, prefix });
  const reader = format === 'AVRO' ? registryWith(schemaText(types, bare)) : null;
  const part = partReader(
    columns,
    { format, delimiter: ';', bare },
    { reader, signal: new AbortController().signal },
  );
  const back: SqlValue[][] = [];
  for (const row of rows) {
    const written = write(row);
    if (written === null) {
      back.push([null]);
      continue;
    }
    const bytes = Buffer.from(written);
    await part.prepare?.(bytes);
    const values: SqlValue[] = [];
    expect(part.read(bytes, values)).toBe(true);
    back.push(values);
  }
  return back;
}

describe.each([
  ['AVRO', sqlTypes],
  ['JSON', sqlTypes],
  ['DELIMITED', scalarTypes],
] as const)('%s', (format, types) => {
  test('gives back what was written', async () => {
    await fc.assert(
      fc.asyncProperty(cases(types), async (one) => {
        expect(await throughAndBack(format, one)).toEqual(one.rows);
      }),
    );
  });
});

test('one bare column in Avro', async () => {
  await fc.assert(
    fc.asyncProperty(cases(sqlTypes, 1), async (one) => {
      expect(await throughAndBack('AVRO', one, true)).toEqual(one.rows);
    }),
  );
});

test('JSON as bytes is what it is as text', () => {
  fc.assert(
    fc.property(cases(sqlTypes), ({ types, rows }) => {
      const options = { format: 'JSON', delimiter: ',', bare: false, spelling, prefix: null } as const;
      const text = partWriter(columnsOf(types), options);
      const bytes = partWriter(columnsOf(types), { ...options, json: 'bytes' });
      for (const row of rows) {
        const written = bytes(row);
        expect(written).toBeInstanceOf(Uint8Array);
        expect(Buffer.from(written!).toString()).toBe(text(row));
      }
    }),
  );
});

/** What avsc makes of a value: branches are wrapped in objects where it cannot tell them apart. */
function seen(type: SqlType, value: unknown): SqlValue {
  if (value === null) return null;
  switch (type.kind) {
    case 'DECIMAL': {
      const bytes = value as Buffer;
      const hex = bytes.toString('hex');
      return new Decimal(
        BigInt.asIntN(bytes.length * 8, BigInt(hex === '' ? 0 : `0x${hex}`)),
        type.scale ?? 0,
      );
    }
    case 'BYTES':
      return Buffer.from(value as Buffer);
    case 'ARRAY':
      return (value as readonly unknown[]).map((item) => seen(type.element, item));
    case 'MAP':
      return new Map(
        (value as readonly { key: string | null; value: unknown }[]).map((entry) => [
          entry.key,
          seen(type.value, entry.value),
        ]),
      );
    case 'STRUCT':
      return type.fields.map(({ name, type: inner }) =>
        seen(inner, (value as Record<string, unknown>)[name]),
      );
    default:
      return value as SqlValue;
  }
}

const longs = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => {
    const n = bytes.readBigInt64LE();
    return Number.isSafeInteger(Number(n)) ? Number(n) : n;
  },
  toBuffer: () => Buffer.alloc(8),
  fromJSON: Number,
  toJSON: Number,
  isValid: (n: unknown) => typeof n === 'number' || typeof n === 'bigint',
  compare: () => 0,
});

function isLong(schema: avro.Schema): boolean {
  return schema === 'long' || (typeof schema === 'object' && 'type' in schema && schema.type === 'long');
}

test('Avro as another reader of its schema sees it', () => {
  fc.assert(
    fc.property(cases(sqlTypes), ({ types, rows }) => {
      const schema = avro.Type.forSchema(JSON.parse(schemaText(types, false)) as avro.Schema, {
        // By the registry of names it would find those without anything beside them only.
        typeHook: (one) => (isLong(one) ? longs : undefined),
      });
      const write = partWriter(columnsOf(types), {
        format: 'AVRO',
        delimiter: ',',
        bare: false,
        spelling,
        prefix: registeredPrefix(ID),
      });
      for (const row of rows) {
        const bytes = Buffer.from(write(row)!).subarray(5);
        const record = schema.fromBuffer(bytes) as Record<string, unknown>;
        expect(types.map((type, i) => seen(type, record[`C${i}`]))).toEqual(row);
      }
    }),
  );
});

describe('hostile bytes', () => {
  test('are read or refused, and take no more than they are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(sqlTypes, { minLength: 1, maxLength: 3 }),
        fc.uint8Array({ maxLength: 200 }),
        async (types, tail) => {
          const columns = columnsOf(types);
          const part = partReader(
            columns,
            { format: 'AVRO', delimiter: ',', bare: false },
            { reader: registryWith(schemaText(types, false)), signal: new AbortController().signal },
          );
          const bytes = Buffer.concat([registeredPrefix(ID), tail]);
          await part.prepare?.(bytes);
          const values: SqlValue[] = [];
          part.read(bytes, values);
          expect(values.length).toBe(columns.length);
        },
      ),
    );
  });
});

test('numbers in JSON keep every digit, wherever they stand', () => {
  const numbers = fc.record({
    before: fc.string(),
    whole: fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
    after: fc.string(),
  });
  fc.assert(
    fc.property(fc.array(numbers), (list) => {
      const text = `[${list.map(({ before, whole, after }) => `${JSON.stringify(before)},${whole},${JSON.stringify(after)}`).join(',')}]`;
      expect(jsonText(parseJson(text))).toBe(text);
    }),
  );
});
