import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileExpression } from '../../src/enrichment/sql/compile.ts';
import type { Frame } from '../../src/enrichment/sql/frame.ts';
import { parseScript } from '../../src/enrichment/sql/script.ts';
import { parseStatement } from '../../src/enrichment/sql/parse-statement.ts';
import { printExpression } from '../../src/enrichment/sql/print-expression.ts';
import { printStatement } from '../../src/enrichment/sql/print-statement.ts';
import { sqlError } from '../../src/enrichment/sql/sql-error.ts';
import { INTEGER, STRING } from '../../src/enrichment/sql/sql-type.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { expressions, statements, withoutPlaces } from './sql-asts.ts';

const text = (sql: string) => ({ text: sql, line: 1, column: 1 });

/** Words, symbols and noise in any order. */
const tokens = fc.constantFrom(
  ...(
    'SELECT FROM WHERE GROUP BY PARTITION HAVING CREATE STREAM TABLE AS WITH JOIN LEFT ON WITHIN CASE WHEN THEN END ' +
    'CAST NOT IN LIKE BETWEEN AND OR IS NULL INSERT INTO VALUES EMIT CHANGES LIMIT 5 1.5 1E9 99999999999999999999 a b1 ' +
    "'x' ' `q` \" ( ) [ ] , . ; = <> -> => := || + - * / % ${x} -- /* */ \\ # ä DECIMAL ARRAY < > MAP STRUCT WINDOW " +
    'TUMBLING SIZE MINUTES FOR SYSTEM_TIME OF COMMIT EXPLAIN PRINT DEFINE'
  ).split(' '),
);
const noise = fc.oneof(
  fc.array(tokens, { maxLength: 40 }).map((list) => list.join(' ')),
  fc.array(tokens, { maxLength: 40 }).map((list) => `SELECT a FROM b WHERE ${list.join(' ')}`),
  fc.string({ maxLength: 200 }),
  fc
    .constantFrom('(', '[', '-', 'NOT ', 'CASE ', 'ARRAY[', 'CAST(', 'a.', 'a->', "'", 'EXPLAIN ')
    .map((piece) => `SELECT ${piece.repeat(5_000)}`),
  fc
    .constantFrom('+ a ', '|| a ', 'AND a ', '[1]', '->f', ', a')
    .map((piece) => `SELECT a ${piece.repeat(5_000)} FROM b`),
);

describe('the SQL parser', () => {
  it('reads back what it prints', () => {
    fc.assert(
      fc.property(statements, (statement) => {
        const printed = printStatement(statement);
        const { statement: read } = parseStatement(text(printed), 'ksqldb');
        expect(withoutPlaces(read)).toEqual(withoutPlaces(statement));
      }),
      { numRuns: 2_000 },
    );
  });

  it('cuts a script into the statements it was put together from', () => {
    fc.assert(
      fc.property(fc.array(statements, { maxLength: 4 }), (list) => {
        const kept = list.filter(({ kind }) => kind !== 'define');
        const script = kept
          .map((statement) => `-- it's ;\n ${printStatement(statement)} /* ; */ ;`)
          .join('\n');
        fc.pre(!script.includes('${'));
        const read = parseScript(script, 'ksqldb').map(({ statement }) => withoutPlaces(statement));
        expect(read).toEqual(kept.map(withoutPlaces));
      }),
      { numRuns: 300 },
    );
  });

  it('answers anything with a statement or an error that points', () => {
    fc.assert(
      fc.property(noise, fc.constantFrom('friendly' as const, 'ksqldb' as const), (sql, dialect) => {
        try {
          for (const { statement } of parseScript(sql, dialect)) printStatement(statement);
        } catch (error) {
          if (!(error instanceof HeadwaterError)) throw error;
          expect(error.message).toMatch(/^line \d+:\d+: /);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('compiles any expression, or says what does not fit, and what is compiled never throws', () => {
    const frame: Frame = { rows: [[3, null, 'Text']], time: 0, change: null, note: () => undefined };
    fc.assert(
      fc.property(expressions, (expr) => {
        const source = text(printExpression(expr));
        const scope = {
          source,
          column: ({ name, at }: { name: string; at: number }) => {
            if (name.length > 2) throw sqlError(source, at, 'no such column');
            const i = name.length;
            return { type: i === 2 ? STRING : INTEGER, at, run: (f: Frame) => f.rows[0]?.[i] ?? null };
          },
          call: () => null,
        };
        try {
          compileExpression(expr, scope).run(frame);
        } catch (error) {
          if (!(error instanceof HeadwaterError)) throw error;
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
