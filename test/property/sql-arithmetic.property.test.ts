import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileExpression } from '../../src/enrichment/sql/compile.ts';
import { Decimal, parseDecimal } from '../../src/enrichment/sql/decimal.ts';
import type { Frame, Problem } from '../../src/enrichment/sql/frame.ts';
import { parseStatement } from '../../src/enrichment/sql/parse-statement.ts';
import { sqlError } from '../../src/enrichment/sql/sql-error.ts';
import { BIGINT, decimal, INTEGER, type SqlType } from '../../src/enrichment/sql/sql-type.ts';
import { bigintValue, type SqlValue } from '../../src/enrichment/sql/value.ts';

function run(
  expression: string,
  columns: Readonly<Record<string, readonly [SqlType, SqlValue]>>,
): { value: SqlValue; type: SqlType | null; problems: Problem[] } {
  const source = { text: `SELECT ${expression} FROM t`, line: 1, column: 1 };
  const { statement } = parseStatement(source, 'ksqldb');
  if (statement.kind !== 'select') throw new Error('a select');
  const [item] = statement.select.items;
  if (item?.kind !== 'expr') throw new Error('an expression');
  const problems: Problem[] = [];
  const compiled = compileExpression(item.expr, {
    source,
    call: () => null,
    column: ({ name, at }) => {
      const column = columns[name];
      if (column === undefined) throw sqlError(source, at, 'unknown');
      return { type: column[0], run: () => column[1], at };
    },
  });
  const frame: Frame = { rows: [], time: 0, change: null, note: (problem) => problems.push(problem) };
  return { value: compiled.run(frame), type: compiled.type, problems };
}

const model: Readonly<Record<string, (a: bigint, b: bigint) => bigint | null>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => (b === 0n ? null : a / b),
  '%': (a, b) => (b === 0n ? null : a % b),
};
const ops = fc.constantFrom('+', '-', '*', '/', '%');
/** Numbers near the edges as often as small ones. */
const edges = (bits: number): fc.Arbitrary<bigint> =>
  fc.oneof(
    fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n }),
    fc.bigInt({ min: -10n, max: 10n }),
    fc.bigInt({ min: 2n ** BigInt(bits - 1) - 10n, max: 2n ** BigInt(bits - 1) - 1n }),
    fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: -(2n ** BigInt(bits - 1)) + 10n }),
    fc.bigInt({ min: 2n ** 53n - 5n, max: 2n ** 53n + 5n }).map((n) => BigInt.asIntN(bits, n)),
  );

describe('exact arithmetic', () => {
  it.each([
    [BIGINT, 64],
    [INTEGER, 32],
  ] as const)('%o computes as whole numbers do, and says where there is no result', (type, bits) => {
    const [min, max] = [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n];
    fc.assert(
      fc.property(ops, edges(bits), edges(bits), (op, a, b) => {
        const expected = model[op]?.(a, b) ?? null;
        const { value, problems } = run(`a ${op} b`, {
          A: [type, bigintValue(a)],
          B: [type, bigintValue(b)],
        });
        if (expected === null) {
          expect([value, problems]).toEqual([null, ['division-by-zero']]);
        } else if (expected < min || expected > max) {
          expect([value, problems]).toEqual([null, ['overflow']]);
        } else {
          expect(value).toBe(bigintValue(expected));
          expect(problems).toEqual([]);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  const decimals = fc
    .tuple(fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n }), fc.integer({ min: 0, max: 18 }))
    .map(([coefficient, scale]) => new Decimal(coefficient, scale));

  it('DECIMAL computes exactly, divides half up, and its result fits its type', () => {
    fc.assert(
      fc.property(ops, decimals, decimals, (op, a, b) => {
        const { value, type, problems } = run(`a ${op} b`, {
          A: [decimal(18, a.scale), a],
          B: [decimal(18, b.scale), b],
        });
        if (type?.kind !== 'DECIMAL' || type.precision === null) throw new Error('a DECIMAL');
        if (b.coefficient === 0n && (op === '/' || op === '%')) {
          expect([value, problems]).toEqual([null, ['division-by-zero']]);
          return;
        }
        if (!(value instanceof Decimal)) throw new Error('a Decimal');
        expect(problems).toEqual([]);
        expect(value.scale).toBe(type.scale);
        expect(String(value.coefficient).replace('-', '').length).toBeLessThanOrEqual(type.precision);
        // Everything over one denominator.
        const unit = 10n ** BigInt(a.scale + b.scale + type.scale);
        const whole = (n: Decimal): bigint => (n.coefficient * unit) / 10n ** BigInt(n.scale);
        const [x, y, z] = [whole(a), whole(b), whole(value)];
        if (op === '/') {
          // Off by half of the last digit at most.
          const step = unit / 10n ** BigInt(type.scale);
          const error = 2n * (z * y - x * unit);
          const limit = step * (y < 0n ? -y : y);
          expect((error < 0n ? -error : error) <= limit).toBe(true);
        } else if (op === '*') expect(z * unit).toBe(x * y);
        else expect(z).toBe(model[op]?.(x, y));
      }),
      { numRuns: 3_000 },
    );
  });

  it('DECIMAL text is read back as it was written', () => {
    fc.assert(
      fc.property(decimals, (value) => {
        const read = parseDecimal(value.toString());
        expect([read?.coefficient, read?.scale]).toEqual([value.coefficient, value.scale]);
      }),
    );
  });

  it('compares numbers of all types by their value', () => {
    fc.assert(
      fc.property(edges(64), edges(32), (a, b) => {
        const columns = { A: [BIGINT, bigintValue(a)], B: [INTEGER, Number(b)] } as const;
        expect(run('a < b', columns).value).toBe(a < b);
        expect(run('a = CAST(b AS DECIMAL(20, 5))', columns).value).toBe(a === b);
        expect(run('a IN (b, 7)', columns).value).toBe(a === b || a === 7n);
      }),
    );
  });
});
