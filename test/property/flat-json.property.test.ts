/** Objects read straight from their bytes, beside JSON.parse and a walk over what it gives. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { FlatJson } from '../../src/enrichment/formats/flat-json.ts';
import { FieldReader } from '../../src/enrichment/formats/json-values.ts';
import { parseJson } from '../../src/enrichment/sql/exact-json.ts';
import { isObject } from '../../src/enrichment/formats/json-values.ts';
import type { SqlType } from '../../src/enrichment/sql/sql-type.ts';
import type { SqlValue } from '../../src/enrichment/sql/value.ts';
import { scalarTypes } from '../support/sql-values.ts';

const blank = fc.constantFrom('', '', '', ' ', '\n', '\t\r ');
const digits = (most: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^[0-9]{1,${most}}$`));
const number = fc
  .tuple(
    fc.constantFrom('', '', '-'),
    fc.oneof(digits(6), digits(18), fc.constantFrom('0', '007', '')),
    fc
      .oneof(fc.constantFrom('', '', '.'), digits(4), digits(16))
      .map((text) => (/^\d/.test(text) ? `.${text}` : text)),
    fc.constantFrom('', '', '', 'e3', 'E-2'),
  )
  .map((parts) => parts.join(''));
const text = fc.oneof(
  fc.string({ unit: 'grapheme-ascii' }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '2024-01-02',
    '2024-01-02T03:04:05',
    'true',
    '17',
    '1.50',
    'NaN',
    'Zm9v',
    'é',
    '\uFFFD',
    '\u007f',
  ),
);
const value = fc.oneof(
  number,
  text.map((each) => JSON.stringify(each)),
  fc.constantFrom('null', 'true', 'false', 'nul', '{}', '[1]', '{"A":1}', '"a', '\u0001', '"\u0001"', ''),
);
/** Columns are called A to F: names meet them, in whatever case, or meet none. */
const name = fc.oneof(
  fc.constantFrom('A', 'B', 'C', 'D', 'E', 'F', 'a', 'b', 'other', '7', '__proto__', 'É'),
  fc.string({ maxLength: 3 }),
);
const field = fc
  .tuple(blank, name, blank, blank, value, blank)
  .map(([a, key, b, c, json, d]) => `${a}${JSON.stringify(key)}${b}:${c}${json}${d}`);
const objects = fc
  .tuple(blank, fc.array(field, { maxLength: 7 }), blank, fc.constantFrom('', '', '', ',', 'x', ' '))
  .map(([before, fields, after, rest]) => `${before}{${fields.join(',')}}${after}${rest}`);
/** What comes after each other is read with what was learned of the former. */
const topics = fc.record({
  types: fc.array(scalarTypes, { minLength: 1, maxLength: 6 }),
  texts: fc.array(objects, { minLength: 1, maxLength: 8 }),
  spoiled: fc.option(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))),
});

function generally(types: readonly SqlType[], bytes: Buffer): SqlValue[] | null {
  const into: SqlValue[] = [];
  try {
    const json = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return isObject(json) && new FieldReader(columns(types)).read(json, into) ? into : null;
  } catch {
    return null;
  }
}

function columns(types: readonly SqlType[]): { readonly name: string; readonly type: SqlType }[] {
  return types.map((type, i) => ({ name: 'ABCDEF'[i]!, type }));
}

test('what is read straight from the bytes is what the general way reads', () => {
  fc.assert(
    fc.property(topics, ({ types, texts, spoiled }) => {
      const flat = new FlatJson(new FieldReader(columns(types)));
      for (const each of texts) {
        const bytes = Buffer.from(each);
        if (spoiled !== null) bytes[spoiled[0] % bytes.length] = spoiled[1];
        const into: SqlValue[] = [null];
        if (flat.read(bytes, into))
          expect([bytes.toString(), into.slice(1)]).toEqual([bytes.toString(), generally(types, bytes)]);
        else expect(into).toEqual([null]);
      }
    }),
    { numRuns: 5_000 },
  );
});

test('plain objects need no other way', () => {
  const plainNumber = fc.oneof(
    fc.integer({ min: -99_999_999, max: 99_999_999 }).map(String),
    fc.integer({ min: 0, max: 9_999 }).map((n) => `${n}.25`),
  );
  const plain = fc.oneof(
    plainNumber,
    fc
      .string({ unit: fc.constantFrom('a', 'Z', ' ', '0', 'é', '漢', '😀') })
      .map((each) => JSON.stringify(each)),
    fc.constantFrom('null', 'true', 'false'),
  );
  const STRINGS = Array.from('ABCDEF', (): SqlType => ({ kind: 'STRING' }));
  fc.assert(
    fc.property(
      fc.array(fc.array(plain, { minLength: 6, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
      (rows) => {
        const flat = new FlatJson(new FieldReader(columns(STRINGS)));
        for (const row of rows) {
          const bytes = Buffer.from(`{${row.map((json, i) => `"${'ABCdefgh'[i]!}": ${json}`).join(', ')}}`);
          const into: SqlValue[] = [];
          expect(flat.read(bytes, into)).toBe(true);
          expect(into).toEqual(generally(STRINGS, bytes));
        }
      },
    ),
  );
});
