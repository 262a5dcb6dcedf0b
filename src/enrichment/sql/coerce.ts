import { type Converter, explicit, widening } from './cast.ts';
import { type Evaluate, type Frame, nothing, type Problem, type Typed } from './frame.ts';
import type { Expr } from './ast.ts';
import { parsePartialTimestamp } from './civil-time.ts';
import { type SourceText, sqlError } from './sql-error.ts';
import { BIGINT, commonType, type SqlType, typeText } from './sql-type.ts';
import type { SqlValue } from './value.ts';

/** What names and calls mean where an expression stands. */
export interface Scope {
  readonly source: SourceText;
  /** Throws where there is no such column. */
  column(name: Expr & { readonly kind: 'name' }): Typed;
  /** What an expression as a whole stands for, before anything of it is looked at: a grouping expression. */
  replaced?(expr: Expr): Typed | null;
  /** What only this place knows: aggregates, the functions of change events. Null: an ordinary function. */
  call(call: Expr & { readonly kind: 'call' }): Typed | null;
}

export function describeType(type: SqlType | null): string {
  return type === null ? 'NULL' : typeText(type);
}

/** The expression as one of that type, by widening or because it is a literal; null where it cannot be. */
export function tryCoerce(value: Typed, to: SqlType): Typed | null {
  const { type, at } = value;
  if (type === null) return { type: to, run: nothing, literal: null, at };
  const convert = widening(type, to);
  if (convert !== null) return { ...converted(value, convert, 'overflow'), type: to };
  if (type.kind !== 'STRING' || typeof value.literal !== 'string') return null;
  const parsed = explicit(type, to)?.(value.literal);
  return parsed === undefined ? null : constant(to, parsed, at);
}

export function coerce(scope: Scope, value: Typed, to: SqlType, what: string): Typed {
  const result = tryCoerce(value, to);
  if (result !== null) return result;
  const castable = value.type !== null && explicit(value.type, to) !== null;
  throw sqlError(
    scope.source,
    value.at,
    `${what} has to be of type ${typeText(to)}, not ${describeType(value.type)}` +
      (castable ? `; write CAST(… AS ${typeText(to)})` : ''),
  );
}

export function constant(type: SqlType, value: SqlValue, at: number): Typed {
  return { type, run: () => value, literal: value, at };
}

/** Columns of ms since 1970 that no statement declares: compared with a text, they mean the time that it names. */
const PSEUDO_TIMES: ReadonlySet<string> = new Set(['ROWTIME', 'WINDOWSTART', 'WINDOWEND']);

/** Operands of a comparison, or of BETWEEN, with the texts that such a column is compared with as its times. */
export function withPseudoTimes(
  scope: Scope,
  exprs: readonly Expr[],
  values: readonly Typed[],
): readonly Typed[] {
  const isTime = (i: number): boolean => {
    const [expr, type] = [exprs[i], values[i]?.type];
    return expr?.kind === 'name' && PSEUDO_TIMES.has(expr.name) && type?.kind === 'BIGINT';
  };
  const column = isTime(0) ? 0 : exprs.length === 2 && isTime(1) ? 1 : -1;
  if (column < 0) return values;
  return values.map((value) => {
    const { literal, at, type } = value;
    if (typeof literal !== 'string' || type?.kind !== 'STRING') return value;
    const ms = parsePartialTimestamp(literal);
    if (ms !== null) return constant(BIGINT, ms, at);
    throw sqlError(
      scope.source,
      at,
      "this is no time: write one such as '2020-05-26T23:59:58.000+0200', '2020-05-26' or '2020', or milliseconds since 1970 without quotes",
    );
  });
}

/** NULL stays NULL; what cannot be converted becomes it, with a note. */
export function converted(value: Typed, convert: Converter, problem: Problem): Typed {
  const { run, at } = value;
  if (value.literal !== undefined && value.literal !== null) {
    const literal = convert(value.literal);
    if (literal !== undefined) return { type: value.type, run: () => literal, literal, at };
  }
  return {
    type: value.type,
    at,
    run: (frame) => {
      const found = run(frame);
      if (found === null) return null;
      const result = convert(found);
      if (result !== undefined) return result;
      frame.note(problem);
      return null;
    },
  };
}

/** All of one type, or an error that points to the first that does not fit. */
export function unify(scope: Scope, values: readonly Typed[], what: string): readonly Typed[] {
  let type: SqlType | null = null;
  for (const value of values) {
    // A text literal takes the type of the others where it can.
    if (value.type === null || value.literal !== undefined) continue;
    type = joined(scope, type, value, what);
  }
  for (const value of values) {
    if (value.type === null || value.literal === undefined) continue;
    if (type !== null && tryCoerce(value, type) !== null) continue;
    type = joined(scope, type, value, what);
  }
  if (type === null) return values;
  const common = type;
  return values.map((value) => coerce(scope, value, common, what));
}

function joined(scope: Scope, type: SqlType | null, value: Typed, what: string): SqlType | null {
  if (type === null || value.type === null) return value.type ?? type;
  const common = commonType(type, value.type);
  if (common !== null) return common;
  throw sqlError(
    scope.source,
    value.at,
    `${what} must have one type in common, but ${typeText(type)} and ${typeText(value.type)} have none`,
  );
}

export function evaluateAll(runs: readonly Evaluate[], frame: Frame): SqlValue[] {
  const values: SqlValue[] = [];
  for (const run of runs) values.push(run(frame));
  return values;
}
