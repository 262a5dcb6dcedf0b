/**
 * Expressions → functions on a Frame, made once per statement. Types are checked on the way; what does not fit is
 * an error that points into the statement. Static types make the few casts in here sound.
 */
import { arithmetic, arithmeticTypes, negation } from './arithmetic.ts';
import type { Expr } from './ast.ts';
import { explicit } from './cast.ts';
import {
  coerce,
  constant,
  converted,
  describeType,
  evaluateAll,
  type Scope,
  unify,
  withPseudoTimes,
} from './coerce.ts';
import { parseDecimal } from './decimal.ts';
import { type Evaluate, nothing, type Typed } from './frame.ts';
import { bindFunction } from './functions/registry.ts';
import { and, comparison, isIn, isOrdered, likeTest, not, or } from './logic.ts';
import { notSupported, sqlError } from './sql-error.ts';
import {
  BIGINT,
  BOOLEAN,
  decimal,
  DOUBLE,
  INTEGER,
  isNumeric,
  type SqlType,
  STRING,
  typeText,
} from './sql-type.ts';
import { bigintValue, equalValues, type SqlValue } from './value.ts';

export function compileExpression(expr: Expr, scope: Scope): Typed {
  const replaced = scope.replaced?.(expr) ?? null;
  if (replaced !== null) return replaced;
  const { at } = expr;
  switch (expr.kind) {
    case 'null':
      return { type: null, run: nothing, literal: null, at };
    case 'boolean':
      return constant(BOOLEAN, expr.value, at);
    case 'integer':
    case 'decimal':
    case 'double':
      return numberLiteral(expr.kind, expr.text, scope, at);
    case 'string':
      return constant(STRING, expr.value, at);
    case 'name':
      return scope.column(expr);
    case 'plus':
    case 'negate':
      return sign(expr, scope);
    case 'not':
      return { type: BOOLEAN, run: not(compileCondition(expr.operand, scope, 'what NOT negates')), at };
    case 'and':
    case 'or': {
      const left = compileCondition(expr.left, scope, `the left of ${expr.kind.toUpperCase()}`);
      const right = compileCondition(expr.right, scope, `the right of ${expr.kind.toUpperCase()}`);
      return { type: BOOLEAN, run: expr.kind === 'and' ? and(left, right) : or(left, right), at };
    }
    case 'binary':
      return binary(expr, scope);
    case 'comparison':
      return compare(expr, scope);
    case 'isNull': {
      const { run } = compileExpression(expr.operand, scope);
      const { negated } = expr;
      return { type: BOOLEAN, run: (frame) => (run(frame) === null) !== negated, at };
    }
    case 'isDistinct':
      return distinct(expr, scope);
    case 'like':
      return like(expr, scope);
    case 'between': {
      const { operand, low, high, negated } = expr;
      const [value, from = value, to = value] = comparable([operand, low, high], scope, 'BETWEEN');
      const within = and(
        comparison('>=', value.type, value.run, from.run),
        comparison('<=', value.type, value.run, to.run),
      );
      return { type: BOOLEAN, run: negated ? not(within) : within, at };
    }
    case 'in': {
      const { operand, items, negated } = expr;
      const [value, ...others] = comparable([operand, ...items], scope, 'IN');
      const found = isIn(
        value.type,
        value.run,
        others.map(({ run }) => run),
      );
      return { type: BOOLEAN, run: negated ? not(found) : found, at };
    }
    case 'index':
      return index(expr, scope);
    case 'field':
      return field(expr, scope);
    case 'call':
      return scope.call(expr) ?? bindFunction(expr, scope, compileExpression);
    case 'case':
      return caseOf(expr, scope);
    case 'cast':
      return cast(expr, scope);
    case 'array':
    case 'map':
    case 'struct':
      return construct(expr, scope);
    case 'lambda':
      throw notSupported(scope.source, at, 'functions that take a lambda are not in this version');
  }
}

/** An expression that is TRUE, FALSE or NULL. */
export function compileCondition(expr: Expr, scope: Scope, what: string): Evaluate {
  return coerce(scope, compileExpression(expr, scope), BOOLEAN, what).run;
}

function numberLiteral(
  kind: 'integer' | 'decimal' | 'double',
  text: string,
  scope: Scope,
  at: number,
): Typed {
  if (kind === 'double') return constant(DOUBLE, Number(text), at);
  if (kind === 'integer') {
    const digits = text.replace(/^0+(?=.)/, '');
    const value = digits.length > 30 ? null : bigintValue(BigInt(digits));
    if (value !== null) return constant(value < 2 ** 31 ? INTEGER : BIGINT, value, at);
  }
  const value = parseDecimal(text);
  if (value === null) throw sqlError(scope.source, at, 'the number has too many digits');
  const digits = String(value.coefficient).length;
  return constant(decimal(Math.max(digits, value.scale, 1), value.scale), value, at);
}

function sign(expr: Expr & { readonly kind: 'plus' | 'negate' }, scope: Scope): Typed {
  const { at, operand } = expr;
  // The least 64-bit number has no positive counterpart.
  if (expr.kind === 'negate' && operand.kind === 'integer') {
    const digits = operand.text.replace(/^0+(?=.)/, '');
    const value = digits.length > 30 ? null : bigintValue(-BigInt(digits));
    if (value !== null) return constant(value >= -(2 ** 31) ? INTEGER : BIGINT, value, at);
  }
  const value = compileExpression(operand, scope);
  const { type } = value;
  if (type === null || !isNumeric(type)) {
    const word = expr.kind === 'plus' ? '+' : '-';
    throw sqlError(scope.source, value.at, `${word} needs a number, not ${describeType(type)}`);
  }
  return expr.kind === 'plus' ? { ...value, at } : { type, run: negation(type, value.run), at };
}

function binary(expr: Expr & { readonly kind: 'binary' }, scope: Scope): Typed {
  const { at, op } = expr;
  const left = compileExpression(expr.left, scope);
  const right = compileExpression(expr.right, scope);
  if (left.type === null || right.type === null) {
    const type = left.type ?? right.type;
    const known = type === null ? null : arithmeticTypes(op, type, type);
    if (type !== null && known === null) throw noOperator(scope, at, op, left, right);
    return { type: known?.result ?? null, run: nothing, at };
  }
  const types = arithmeticTypes(op, left.type, right.type);
  if (types === null) throw noOperator(scope, at, op, left, right);
  const { operand, result } = types;
  const widened = (value: Typed): Typed => {
    if (operand !== null) return coerce(scope, value, operand, `an operand of ${op}`);
    // Decimals of different sizes need no common one.
    return value.type?.kind === 'DECIMAL'
      ? value
      : coerce(scope, value, decimal(19, 0), `an operand of ${op}`);
  };
  return { type: result, run: arithmetic(op, result, widened(left).run, widened(right).run), at };
}

function noOperator(scope: Scope, at: number, op: string, left: Typed, right: Typed): Error {
  const hint = op === '||' || op === '+' ? '; CAST what is no STRING' : '';
  return sqlError(
    scope.source,
    at,
    `${op} cannot take ${describeType(left.type)} and ${describeType(right.type)}${hint}`,
  );
}

type Known = Typed & { readonly type: SqlType };

/** The operands in one type. */
function comparable(exprs: readonly [Expr, ...Expr[]], scope: Scope, what: string): [Known, ...Known[]] {
  const compiled = exprs.map((expr) => compileExpression(expr, scope));
  const values = what === 'IN' ? compiled : withPseudoTimes(scope, exprs, compiled);
  const unified = unify(scope, values, `the operands of ${what}`);
  // All NULL: any type does.
  const known = unified.map((value): Known => ({ ...value, type: value.type ?? BOOLEAN }));
  const [first, ...rest] = known;
  if (first === undefined) throw new TypeError('A comparison has operands.');
  return [first, ...rest];
}

function compare(expr: Expr & { readonly kind: 'comparison' }, scope: Scope): Typed {
  const { op, at } = expr;
  const [left, right = left] = comparable([expr.left, expr.right], scope, op);
  if (op !== '=' && op !== '<>' && !isOrdered(left.type))
    throw sqlError(scope.source, at, `${op} needs values with an order, not ${typeText(left.type)}`);
  return { type: BOOLEAN, run: comparison(op, left.type, left.run, right.run), at };
}

function distinct(expr: Expr & { readonly kind: 'isDistinct' }, scope: Scope): Typed {
  const [left, right = left] = comparable([expr.left, expr.right], scope, 'IS DISTINCT FROM');
  const { negated, at } = expr;
  const { type } = left;
  return {
    type: BOOLEAN,
    at,
    run: (frame) => equalValues(type, left.run(frame), right.run(frame)) === negated,
  };
}

function like(expr: Expr & { readonly kind: 'like' }, scope: Scope): Typed {
  const { at, escape, negated } = expr;
  const operand = coerce(scope, compileExpression(expr.operand, scope), STRING, 'the left of LIKE').run;
  const pattern = coerce(scope, compileExpression(expr.pattern, scope), STRING, 'the pattern of LIKE');
  let last = '';
  let test = likeTest(last, escape);
  if (typeof pattern.literal === 'string') test = likeTest((last = pattern.literal), escape);
  return {
    type: BOOLEAN,
    at,
    run: (frame) => {
      const text = operand(frame);
      const by = pattern.run(frame);
      if (text === null || by === null) return null;
      if (by !== last) test = likeTest((last = by as string), escape);
      return test(text as string) !== negated;
    },
  };
}

function index(expr: Expr & { readonly kind: 'index' }, scope: Scope): Typed {
  const { at } = expr;
  const operand = compileExpression(expr.operand, scope);
  const position = compileExpression(expr.index, scope);
  const { type, run } = operand;
  if (type?.kind === 'MAP') {
    const key = coerce(scope, position, type.key, 'the key in []').run;
    return {
      type: type.value,
      at,
      run: (frame) => {
        const map = run(frame);
        const by = key(frame);
        return map === null || by === null
          ? null
          : ((map as ReadonlyMap<SqlValue, SqlValue>).get(by) ?? null);
      },
    };
  }
  if (type?.kind !== 'ARRAY')
    throw sqlError(scope.source, at, `[] needs an ARRAY or a MAP, not ${describeType(type)}`);
  const nth = coerce(scope, position, INTEGER, 'the position in []').run;
  return {
    type: type.element,
    at,
    run: (frame) => {
      const array = run(frame);
      const i = nth(frame);
      if (array === null || i === null) return null;
      const items = array as readonly SqlValue[];
      const n = i as number;
      const item = n < 0 ? items[items.length + n] : items[n - 1];
      if (item !== undefined) return item;
      frame.note('index');
      return null;
    },
  };
}

function field(expr: Expr & { readonly kind: 'field' }, scope: Scope): Typed {
  const { at, name } = expr;
  const { type, run } = compileExpression(expr.operand, scope);
  if (type?.kind !== 'STRUCT')
    throw sqlError(scope.source, at, `-> needs a STRUCT, not ${describeType(type)}`);
  const i = type.fields.findIndex((each) => each.name === name);
  const found = type.fields[i];
  if (found === undefined) {
    const names = type.fields.map((each) => each.name).join(', ');
    throw sqlError(scope.source, at, `the STRUCT has no field ${name}; it has ${names}`);
  }
  return {
    type: found.type,
    at,
    run: (frame) => {
      const fields = run(frame);
      return fields === null ? null : ((fields as readonly SqlValue[])[i] ?? null);
    },
  };
}

function caseOf(expr: Expr & { readonly kind: 'case' }, scope: Scope): Typed {
  const { operand, branches, otherwise, at } = expr;
  const tests = branches.map(({ when }) =>
    operand === null
      ? compileCondition(when, scope, 'the condition after WHEN')
      : compare({ kind: 'comparison', op: '=', left: operand, right: when, at: when.at }, scope).run,
  );
  const results = branches.map(({ result }) => compileExpression(result, scope));
  if (otherwise !== null) results.push(compileExpression(otherwise, scope));
  const unified = unify(scope, results, 'the results of CASE');
  const runs = unified.map(({ run }) => run);
  const last = otherwise === null ? nothing : (runs[branches.length] ?? nothing);
  return {
    type: unified.find(({ type }) => type !== null)?.type ?? null,
    at,
    run: (frame) => {
      for (let i = 0; i < tests.length; i++) {
        if (tests[i]?.(frame) === true) return runs[i]?.(frame) ?? null;
      }
      return last(frame);
    },
  };
}

function cast(expr: Expr & { readonly kind: 'cast' }, scope: Scope): Typed {
  const { type: to, at } = expr;
  const value = compileExpression(expr.operand, scope);
  if (value.type === null) return { type: to, run: nothing, at };
  const convert = explicit(value.type, to);
  if (convert === null)
    throw sqlError(scope.source, at, `${typeText(value.type)} cannot be cast to ${typeText(to)}`);
  return { type: to, run: converted({ ...value }, convert, 'cast').run, at };
}

function construct(expr: Expr & { readonly kind: 'array' | 'map' | 'struct' }, scope: Scope): Typed {
  const { at } = expr;
  if (expr.kind === 'array') {
    const items = unify(
      scope,
      expr.items.map((item) => compileExpression(item, scope)),
      'the items of ARRAY',
    );
    const element = items.find(({ type }) => type !== null)?.type;
    if (element == null)
      throw sqlError(scope.source, at, 'an ARRAY needs an item with a type; write CAST(NULL AS …)');
    const runs = items.map(({ run }) => run);
    return { type: { kind: 'ARRAY', element }, run: (frame) => evaluateAll(runs, frame), at };
  }
  if (expr.kind === 'struct') {
    const fields = expr.fields.map(({ name, value }) => {
      const { type, run, at } = compileExpression(value, scope);
      if (type === null) throw sqlError(scope.source, at, 'NULL has no type here; write CAST(NULL AS …)');
      return { name, type, run };
    });
    const runs = fields.map(({ run }) => run);
    const type = { kind: 'STRUCT', fields: fields.map(({ name, type }) => ({ name, type })) } as const;
    return { type, run: (frame) => evaluateAll(runs, frame), at };
  }
  const keys = unify(
    scope,
    expr.entries.map(({ key }) => compileExpression(key, scope)),
    'the keys of MAP',
  );
  const values = unify(
    scope,
    expr.entries.map(({ value }) => compileExpression(value, scope)),
    'the values of MAP',
  );
  const key = keys.find(({ type }) => type !== null)?.type;
  const value = values.find(({ type }) => type !== null)?.type;
  if (key == null || value == null)
    throw sqlError(scope.source, at, 'a MAP needs an entry with types; write CAST(NULL AS …)');
  if (key.kind !== 'STRING' && key.kind !== 'INTEGER' && key.kind !== 'BIGINT' && key.kind !== 'BOOLEAN')
    throw sqlError(scope.source, at, 'the keys of a MAP are STRING, INTEGER, BIGINT or BOOLEAN');
  const [keyRuns, valueRuns] = [keys.map(({ run }) => run), values.map(({ run }) => run)];
  return {
    type: { kind: 'MAP', key, value },
    at,
    run: (frame) => {
      const map = new Map<SqlValue, SqlValue>();
      for (let i = 0; i < keyRuns.length; i++) {
        const k = keyRuns[i]?.(frame) ?? null;
        if (k !== null) map.set(k, valueRuns[i]?.(frame) ?? null);
      }
      return map;
    },
  };
}
