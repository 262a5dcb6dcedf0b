import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import {
  CALLS,
  type Literal,
  PRESENT,
  type RedoStatement,
  UNSUPPORTED,
} from '../../src/readers/oracle/redo/literal.ts';
import { parseRedo } from '../../src/readers/oracle/redo/parse-redo.ts';
import { rowImages } from '../../src/readers/oracle/redo/row-images.ts';
import { internalNumber } from '../../src/readers/oracle/types/decode-internal.ts';
import { decimalText } from '../../src/readers/oracle/types/decode-number.ts';
import { printRedo } from '../support/oracle/print-redo.ts';
import { modelOf } from '../support/oracle/table-models.ts';

/** Text with all that means something to the grammar. */
const text = fc.oneof(
  fc.string({
    unit: fc.constantFrom("'", '"', ',', ')', '(', ';', '|', ' ', '\n', 'a', 'é', '😀', 'NULL', ' and "'),
  }),
  fc.string({ unit: 'binary' }),
);
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).map((s) => s.replaceAll('"', '_'));
const number = fc
  .tuple(
    fc.constantFrom('', '-', '+'),
    fc.nat(),
    fc.option(fc.nat(), { nil: null }),
    fc.integer({ min: -99, max: 99 }),
  )
  .map(([sign, whole, part, exponent]): Literal => {
    const fraction = part === null ? '' : `.${part}`;
    return { kind: 'number', text: `${sign}${whole}${fraction}${exponent % 3 === 0 ? `E${exponent}` : ''}` };
  });
const atom: fc.Arbitrary<Literal> = fc.oneof(
  { weight: 4, arbitrary: text },
  number,
  fc.constant(null),
  fc.constant(UNSUPPORTED),
  fc
    .tuple(fc.constantFrom(...CALLS), fc.option(text, { nil: null }))
    .map(([call, argument]): Literal => ({ kind: 'call', name: call, argument })),
);
const value: fc.Arbitrary<Literal> = fc.oneof(
  { weight: 8, arbitrary: atom },
  fc.array(atom, { minLength: 2, maxLength: 4 }).map((parts): Literal => ({ kind: 'concat', parts })),
);
/** IS NULL is how a where clause has NULL. */
const condition = fc.oneof({ weight: 8, arbitrary: value }, fc.constant(PRESENT));

const columns = fc.uniqueArray(name, { minLength: 1, maxLength: 6 });
const clause = (values: fc.Arbitrary<Literal>): fc.Arbitrary<readonly [string[], Literal[]]> =>
  columns.chain((names) =>
    fc
      .array(values, { minLength: names.length, maxLength: names.length })
      .map((list) => [names, list] as const),
  );
const rowid = fc.option(fc.stringMatching(/^[A-Za-z0-9+/]{18}$/), { nil: null });

const statement: fc.Arbitrary<Omit<RedoStatement, 'relaxed'>> = fc
  .tuple(fc.constantFrom('insert', 'update', 'delete'), name, name, clause(value), clause(condition), rowid)
  .map(([op, schema, table, [names, values], [whereNames, whereValues], row]) => ({
    op,
    schema,
    table,
    names: op === 'delete' ? [] : names,
    values: op === 'delete' ? [] : values,
    whereNames: op === 'insert' ? [] : whereNames,
    whereValues: op === 'insert' ? [] : whereValues,
    rowid: op === 'insert' ? null : row,
  }));

test('what is printed as redo is read back the same', () => {
  fc.assert(
    fc.property(statement, fc.constantFrom('', 'a'), (change, alias) => {
      expect(parseRedo(printRedo(change, alias))).toEqual({ ...change, relaxed: false });
    }),
    { numRuns: 1_000 },
  );
});

test('a statement cut off anywhere is refused, or is one with less behind it', () => {
  fc.assert(
    fc.property(statement, fc.double({ min: 0, max: 1, noNaN: true }), (change, part) => {
      const whole = printRedo(change);
      const cut = whole.slice(0, Math.floor(part * (whole.length - 2)));
      const read = tryParse(cut);
      if (read === null) return;
      expect(read.names.length).toBeLessThanOrEqual(change.names.length);
      expect(read.whereNames.length).toBeLessThanOrEqual(change.whereNames.length);
      // The closing parenthesis is missing: what stands for it can only be a value's own, by a reading that says so.
      expect(read.op !== 'insert' || read.relaxed).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});

test('any text at all is read or refused with the one error', () => {
  const start = fc.constantFrom(
    '',
    'insert into "A"."B"("C") values (',
    'update "A"."B" set "C" = ',
    'delete from "A"."B" where ',
  );
  const token = fc.oneof(
    text,
    fc.constantFrom(
      ...CALLS,
      '(',
      ')',
      "'",
      "''",
      '||',
      '/*',
      '*/',
      ' and ',
      ' IS NULL',
      ' = ',
      '"C"',
      'a."C"',
      ';',
      '1e5',
      '-',
    ),
  );
  fc.assert(
    fc.property(start, fc.array(token, { maxLength: 30 }), (head, tokens) => {
      tryParse(head + tokens.join(''));
    }),
    { numRuns: 5_000 },
  );
});

test('a mutated statement is read or refused, and its values decode or are refused', () => {
  const model = modelOf({
    A: 'NUMBER',
    B: 'TIMESTAMP(9)',
    C: 'CLOB',
    D: 'RAW(20)',
    E: 'BINARY_DOUBLE',
    F: 'INTERVAL DAY TO SECOND',
  });
  const models = fc.constant(model);
  fc.assert(
    fc.property(statement, models, fc.nat(), fc.string({ maxLength: 3 }), (change, table, seed, insert) => {
      const named = {
        ...change,
        names: change.names.map((_, i) => 'ABCDEF'[i]!),
        whereNames: change.whereNames.map((_, i) => 'ABCDEF'[i]!),
      };
      const sql = printRedo(named);
      const at = seed % sql.length;
      const read = tryParse(sql.slice(0, at) + insert + sql.slice(at + 1));
      if (read === null) return;
      try {
        rowImages(read, table);
      } catch (error) {
        expect(error instanceof HeadwaterError || (error as Error).name === 'UnknownColumn').toBe(true);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('megabytes of apostrophes, blanks and bars take a time that grows with their length alone', () => {
  const size = 1024 * 1024;
  for (const part of ["'", "''", "' ", "', ", "','", '||', '(', "'a", ' and "', "' and ", '/*', '1e']) {
    const body = part.repeat(size / part.length);
    for (const head of [
      'insert into "A"."B"("C") values (\'',
      'update "A"."B" set "C" = \'',
      'delete from "A"."B" where "C" = \'',
    ]) {
      // A quadratic scan of four megabytes takes hours: the test's time-out is what fails.
      tryParse(head + body);
    }
  }
});

test('internal numbers are what Oracle’s own driver writes', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
      fc.integer({ min: -60, max: 60 }),
      (digits, shift) => {
        const expected = decimalText(`${digits}e${shift}`, null);
        expect(decimalText(internalNumber(encodeNumber(expected)), null)).toBe(expected);
      },
    ),
  );
});

function tryParse(sql: string): RedoStatement | null {
  try {
    return parseRedo(sql);
  } catch (error) {
    expect(error).toBeInstanceOf(HeadwaterError);
    return null;
  }
}

/** Oracle Call Interface, "NUMBER": base 100, excess 65 exponent, negative numbers complemented and ended by 102. */
function encodeNumber(text: string): Uint8Array {
  const negative = text.startsWith('-');
  const [whole = '', part = ''] = text.replace('-', '').split('.');
  const integer = whole === '0' ? '' : whole.padStart(whole.length + (whole.length % 2), '0');
  const fraction = part.padEnd(part.length + (part.length % 2), '0');
  const pairs = [...(integer + fraction).matchAll(/../g)].map((pair) => Number(pair[0]));
  let exponent = integer.length / 2 - 1;
  while (pairs[0] === 0) {
    pairs.shift();
    exponent--;
  }
  while (pairs.at(-1) === 0) pairs.pop();
  if (pairs.length === 0) return Uint8Array.of(0x80);
  if (!negative) return Uint8Array.of(193 + exponent, ...pairs.map((d) => d + 1));
  return Uint8Array.of(62 - exponent, ...pairs.map((d) => 101 - d), ...(pairs.length < 20 ? [0x66] : []));
}
