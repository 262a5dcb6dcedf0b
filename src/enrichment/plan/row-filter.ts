/** `tables.….filter`: which rows of a table its topic holds, by a condition in the enrichment's SQL. */
import type { RowFilter } from '../../model/row-verdict.ts';
import { type TableSchema, tableName } from '../../model/table.ts';
import type { Row } from '../../model/value.ts';
import type { ShownColumns } from '../sources/captured-columns.ts';
import { inputStream } from '../sources/catalog.ts';
import { CapturedSource } from '../sources/captured-source.ts';
import { SelectScope } from './select-scope.ts';
import type { Expr } from '../sql/ast.ts';
import { compileCondition } from '../sql/compile.ts';
import type { Frame } from '../sql/frame.ts';
import { parseExpression } from '../sql/parse-expression.ts';
import type { SourceText } from '../sql/sql-error.ts';
import { sqlError } from '../sql/sql-error.ts';
import { TokenCursor } from '../sql/token-cursor.ts';

/** A condition that has been parsed; which columns it may name depends on the table. */
export class FilterText {
  readonly #source: SourceText;
  readonly #expression: Expr;

  /** Throws `enrich.statement-invalid`. */
  constructor(text: string) {
    this.#source = { text, line: 1, column: 1 };
    const cursor = new TokenCursor(this.#source, 'ksqldb', []);
    this.#expression = parseExpression(cursor);
    if (cursor.token.kind !== 'end') {
      throw sqlError(this.#source, cursor.at, 'a filter is one condition, and something stands behind it');
    }
  }

  /** For one version of the table. Throws `enrich.statement-invalid` where names or types do not fit. */
  compile(table: TableSchema, shown: ShownColumns): RowFilter {
    const captured = new CapturedSource(table, shown);
    const scope = new SelectScope(this.#source, 'ksqldb', []);
    const name = tableName(table.id);
    scope.add(
      {
        source: inputStream({ name, columns: captured.columns, captured }),
        alias: table.id.table.toUpperCase(),
      },
      0,
    );
    const condition = compileCondition(this.#expression, scope, 'a filter');
    const reader = captured.reader(table);
    // What cannot be computed is not TRUE; the row is left out like one that does not satisfy the condition.
    const note = (): void => {};
    const frame: Frame = { rows: [null], time: 0, change: null, note };
    /** Null where the log does not hold what the condition asks for. */
    const satisfies = (row: Row | null, instead: Row | null): boolean | null => {
      if (row === null) return null;
      const values =
        reader.image(row, note) ??
        (instead === null || reader.image(instead, note) === null
          ? null
          : reader.row(row, { before: instead, known: null }, note));
      if (values === null) return null;
      frame.rows[0] = values;
      return condition(frame) === true;
    };
    return (op, before, after) => {
      if (after === null) return satisfies(before, null) === false ? 'skip' : 'keep';
      const is = satisfies(after, before);
      // A TOAST value that nobody knows: better one record too many.
      if (is !== false) return 'keep';
      return op !== 'u' || satisfies(before, null) === false ? 'skip' : 'leave';
    };
  }
}
