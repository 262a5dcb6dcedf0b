import { compileExpression } from '../../src/enrichment/sql/compile.ts';
import type { Frame, Problem } from '../../src/enrichment/sql/frame.ts';
import { parseStatement } from '../../src/enrichment/sql/parse-statement.ts';
import { sqlError } from '../../src/enrichment/sql/sql-error.ts';
import type { SqlType } from '../../src/enrichment/sql/sql-type.ts';
import type { SqlValue } from '../../src/enrichment/sql/value.ts';

/** Type, null for that of a bare NULL, value and problems of an expression over a row of these columns. */
export function evaluate(
  expression: string,
  columns: Readonly<Record<string, readonly [SqlType, SqlValue]>> = {},
): { readonly type: SqlType | null; readonly value: SqlValue; readonly problems: readonly Problem[] } {
  const source = { text: `SELECT ${expression} FROM t`, line: 1, column: 1 };
  const { statement } = parseStatement(source, 'ksqldb');
  const item = statement.kind === 'select' ? statement.select.items[0] : undefined;
  if (item?.kind !== 'expr') throw new Error('an expression');
  const { type, run } = compileExpression(item.expr, {
    source,
    call: () => null,
    column: ({ at, name }) => {
      const found = columns[name];
      if (found === undefined) throw sqlError(source, at, `there is no column ${name}`);
      return { type: found[0], run: () => found[1], at };
    },
  });
  const problems: Problem[] = [];
  const frame: Frame = { rows: [], time: 0, change: null, note: (problem) => problems.push(problem) };
  return { type, value: run(frame), problems };
}
