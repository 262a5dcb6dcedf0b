/** The columns of a query's result: what SELECT lists, how they are called, and which of them are the key. */
import type { SqlColumn } from '../sources/captured-source.ts';
import type { ResolvedColumn, SelectScope } from './select-scope.ts';
import type { Expr, Select } from '../sql/ast.ts';
import { compileExpression } from '../sql/compile.ts';
import type { Evaluate, Typed } from '../sql/frame.ts';
import { printExpression } from '../sql/print-expression.ts';
import { sqlError } from '../sql/sql-error.ts';
import type { SqlType } from '../sql/sql-type.ts';

export interface OutputColumn extends SqlColumn {
  readonly run: Evaluate;
  /** What `run` computes: of EXPLODE the array. */
  readonly expr: Expr;
  /** EXPLODE: `run` gives an array, and each of its items makes a row. */
  readonly explodes: boolean;
}

interface Projected {
  readonly name: string;
  readonly spelling: string;
  readonly type: SqlType;
  readonly run: Evaluate;
  readonly expr: Expr;
  readonly explodes: boolean;
  /** The column that it is, where it is no more than that. */
  readonly column: ResolvedColumn | null;
  /** As written, to be recognised in PARTITION BY. */
  readonly text: string | null;
  readonly at: number;
}

/** How the key of the result comes about. */
export type KeyRule =
  /** The stream's own. */
  | { readonly kind: 'own' }
  /** The left side of a join's equality, else the right one. */
  | { readonly kind: 'join'; readonly left: Expr; readonly right: Expr; readonly value: Evaluate }
  | { readonly kind: 'partition'; readonly by: readonly Expr[] };

/** The columns of a result, and the places of those that make its key, in the key's order. */
export interface Projection {
  readonly columns: readonly OutputColumn[];
  readonly keyOrder: readonly number[];
}

export function projectColumns(select: Select, scope: SelectScope, key: KeyRule): Projection {
  const projected = listed(select, scope);
  const keys = keyColumns(projected, scope, key, select.at);
  const seen = new Set<string>();
  for (const { name, at } of projected) {
    if (seen.has(name))
      throw sqlError(scope.source, at, `two columns of the result are called ${name}; name one with AS`);
    seen.add(name);
  }
  const columns = projected.map((column) => {
    const { name, spelling, type, run, expr, explodes } = column;
    return { name, spelling, type, run, expr, explodes, key: keys.includes(column) };
  });
  return { columns, keyOrder: keys.map((column) => projected.indexOf(column)) };
}

function listed(select: Select, scope: SelectScope): Projected[] {
  const projected: Projected[] = [];
  let unnamed = 0;
  for (const item of select.items) {
    switch (item.kind) {
      case 'star': {
        const only = item.source === null ? null : scope.inputOf(item.source, item.at);
        projected.push(...starColumns(scope, only, item.at));
        break;
      }
      case 'fields':
        projected.push(...fieldColumns(scope, item.operand, item.at));
        break;
      case 'expr': {
        const exploded = item.expr.kind === 'call' && item.expr.name === 'EXPLODE' ? item.expr : null;
        const value = exploded === null ? compileExpression(item.expr, scope) : explode(scope, exploded);
        const column = item.expr.kind === 'name' ? scope.resolve(item.expr) : null;
        const name = item.alias ?? ownName(scope, item.expr, column) ?? `KSQL_COL_${unnamed++}`;
        if (value.type === null)
          throw sqlError(scope.source, item.at, 'NULL alone has no type; write CAST(NULL AS …)');
        projected.push({
          name,
          spelling: item.alias ?? spellingOf(scope, column) ?? name,
          type: value.type,
          run: value.run,
          expr: exploded?.args[0] ?? item.expr,
          explodes: exploded !== null,
          column,
          text: printExpression(item.expr),
          at: item.at,
        });
      }
    }
  }
  return projected;
}

/** A column keeps its name, a struct's field takes its own. */
function ownName(scope: SelectScope, expr: Expr, column: ResolvedColumn | null): string | null {
  if (expr.kind === 'field') return expr.name;
  if (expr.kind !== 'name') return null;
  if (column === null) return expr.name;
  const shared =
    scope.inputs.filter(({ source }) => source.columns.some(({ name }) => name === expr.name)).length > 1;
  return shared ? `${scope.inputs[column.input]?.alias ?? ''}_${expr.name}` : expr.name;
}

function spellingOf(scope: SelectScope, column: ResolvedColumn | null): string | null {
  if (column === null) return null;
  return scope.inputs[column.input]?.source.columns[column.column]?.spelling ?? null;
}

function starColumns(scope: SelectScope, only: number | null, at: number): readonly Projected[] {
  const joined = scope.inputs.length > 1;
  return scope.inputs.flatMap(({ source, alias }, input) => {
    if (only !== null && only !== input) return [];
    return source.columns.map((column, index): Projected => {
      const { type, run } = scope.columnAt({ input, column: index }, at);
      const shared = scope.inputs.some(
        (other, i) => i !== input && other.source.columns.some(({ name }) => name === column.name),
      );
      const prefixed = joined && (shared || (!scope.friendly && only === null));
      return {
        name: prefixed ? `${alias}_${column.name}` : column.name,
        spelling: prefixed ? `${alias}_${column.spelling}` : column.spelling,
        type: type ?? column.type,
        run,
        expr: { kind: 'name', source: alias, name: column.name, at },
        explodes: false,
        column: { input, column: index },
        text: null,
        at,
      };
    });
  });
}

/** `s->*` */
function fieldColumns(scope: SelectScope, operand: Expr, at: number): readonly Projected[] {
  const { type } = compileExpression(operand, scope);
  if (type?.kind !== 'STRUCT') throw sqlError(scope.source, at, '->* needs a STRUCT');
  return type.fields.map(({ name }): Projected => {
    const expr: Expr = { kind: 'field', operand, name, at };
    const { type, run } = compileExpression(expr, scope);
    if (type === null) throw new TypeError('A field has a type.');
    return { name, spelling: name, type, run, expr, explodes: false, column: null, text: null, at };
  });
}

function explode(scope: SelectScope, call: Expr & { readonly kind: 'call' }): Typed {
  const [arg] = call.args;
  if (arg === undefined || call.args.length !== 1)
    throw sqlError(scope.source, call.at, 'EXPLODE takes one array');
  const { type, run } = compileExpression(arg, scope);
  if (type?.kind !== 'ARRAY') throw sqlError(scope.source, call.at, 'EXPLODE takes an ARRAY');
  return { type: type.element, run, at: call.at };
}

/** The key's columns among them; where they are not listed the friendly dialect adds them. */
function keyColumns(
  projected: Projected[],
  scope: SelectScope,
  key: KeyRule,
  at: number,
): readonly Projected[] {
  switch (key.kind) {
    case 'own': {
      const order = scope.inputs[0]?.source.keyOrder ?? [];
      return order.map((column) => keyColumn(projected, scope, { input: 0, column }, at));
    }
    case 'join':
      return [joinKey(projected, scope, key, at)];
    case 'partition':
      return partitionKeys(projected, scope, key.by);
  }
}

function findColumn(projected: readonly Projected[], wanted: ResolvedColumn): Projected | null {
  const found = projected.find(
    ({ column }) => column !== null && column.input === wanted.input && column.column === wanted.column,
  );
  return found ?? null;
}

function keyColumn(
  projected: Projected[],
  scope: SelectScope,
  wanted: ResolvedColumn,
  at: number,
): Projected {
  const found = findColumn(projected, wanted);
  if (found !== null) return found;
  const column = scope.inputs[wanted.input]?.source.columns[wanted.column];
  if (column === undefined) throw new TypeError('A resolved column exists.');
  const { name, spelling, type } = column;
  const { run } = scope.columnAt(wanted, at);
  return added(projected, scope, {
    name,
    spelling,
    type,
    run,
    expr: { kind: 'name', source: scope.inputs[wanted.input]?.alias ?? null, name, at },
    explodes: false,
    column: wanted,
    text: null,
    at,
  });
}

function added(projected: Projected[], scope: SelectScope, column: Projected): Projected {
  const { name, at } = column;
  if (!scope.friendly)
    throw sqlError(
      scope.source,
      at,
      `the key column ${name} has to be part of the projection; AS_VALUE(${name}) puts a copy into the value`,
    );
  scope.warn(`the key column ${name} is not in the projection and added to it`);
  projected.unshift(column);
  return column;
}

function joinKey(
  projected: Projected[],
  scope: SelectScope,
  { left, right, value }: KeyRule & { readonly kind: 'join' },
  at: number,
): Projected {
  const columnOf = (side: Expr): ResolvedColumn | null => (side.kind === 'name' ? scope.resolve(side) : null);
  const [leftColumn, rightColumn] = [columnOf(left), columnOf(right)];
  const listedLeft = leftColumn === null ? null : findColumn(projected, leftColumn);
  if (listedLeft !== null) return listedLeft;
  const listedRight = rightColumn === null ? null : findColumn(projected, rightColumn);
  if (listedRight === null && leftColumn !== null) return keyColumn(projected, scope, leftColumn, at);
  if (rightColumn === null) throw new TypeError('The side of the table is its key column.');
  // Of an event without a row in the table the column is NULL; the key is what was looked for.
  const found = listedRight ?? keyColumn(projected, scope, rightColumn, at);
  const key: Projected = { ...found, run: value, expr: left };
  projected.splice(projected.indexOf(found), 1, key);
  return key;
}

function partitionKeys(
  projected: Projected[],
  scope: SelectScope,
  by: readonly Expr[],
): readonly Projected[] {
  const keys: Projected[] = [];
  for (const expr of by) {
    if (expr.kind === 'null') continue;
    const key = partitionKey(projected, scope, expr);
    if (keys.includes(key))
      throw sqlError(scope.source, expr.at, `${printExpression(expr)} stands in PARTITION BY already`);
    keys.push(key);
  }
  return keys;
}

function partitionKey(projected: Projected[], scope: SelectScope, expr: Expr): Projected {
  const column = expr.kind === 'name' ? scope.resolve(expr) : null;
  if (column !== null) return keyColumn(projected, scope, column, expr.at);
  const text = printExpression(expr);
  const found = projected.find((each) => each.text === text);
  if (found !== undefined) return found;
  const { type, run, at } = compileExpression(expr, scope);
  if (type === null) throw sqlError(scope.source, at, 'NULL alone has no type; write CAST(NULL AS …)');
  const taken = projected.filter(({ name }) => name.startsWith('KSQL_COL_')).length;
  const name = `KSQL_COL_${taken}`;
  const unnamed = { name, spelling: name, expr, explodes: false, column: null, text: null };
  return added(projected, scope, { ...unnamed, type, run, at });
}
