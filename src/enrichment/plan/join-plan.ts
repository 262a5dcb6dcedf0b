/** The joins of a SELECT: which table, by which key, as of when. */
import type { Catalog, TableSource } from '../sources/catalog.ts';
import type { SelectScope } from './select-scope.ts';
import type { Expr, JoinClause } from '../sql/ast.ts';
import { explicit } from '../sql/cast.ts';
import { describeType, tryCoerce } from '../sql/coerce.ts';
import { compileExpression } from '../sql/compile.ts';
import type { Evaluate, Frame, Typed } from '../sql/frame.ts';
import { notSupported, sqlError } from '../sql/sql-error.ts';
import { commonType, type SqlType, typeText } from '../sql/sql-type.ts';
import { keyOf, type KeyValue, type SqlValue } from '../sql/value.ts';
import { type JoinAsOf, type ReadTable, tableKey } from '../sources/table-source.ts';

export interface JoinPlan {
  readonly kind: 'INNER' | 'LEFT';
  readonly table: TableSource;
  readonly rows: ReadTable;
  readonly asOf: JoinAsOf;
  /** The key to look for; null where a part of it is NULL. */
  readonly key: (frame: Frame) => KeyValue | null;
  /** The values it is made of, in the types of the table's key columns. */
  readonly values: readonly Evaluate[];
  /** The two sides of the equalities, in the order of the table's key columns. */
  readonly left: readonly Expr[];
  readonly right: readonly Expr[];
}

interface JoinContext {
  readonly scope: SelectScope;
  readonly catalog: Catalog;
}

/** Adds each table to the scope, so that the next join can use its columns. */
export function compileJoins(joins: readonly JoinClause[], context: JoinContext): readonly JoinPlan[] {
  return joins.map((join) => compileJoin(join, context));
}

function compileJoin(join: JoinClause, { scope, catalog }: JoinContext): JoinPlan {
  const { source } = scope;
  const { kind, source: ref, at } = join;
  const ofTables = scope.inputs[0]?.source.kind === 'TABLE';
  if (kind !== 'INNER' && kind !== 'LEFT')
    throw ofTables
      ? notSupported(source, at, `tables are joined with INNER or LEFT in this version, not ${kind}`)
      : sqlError(
          source,
          at,
          `a stream joins a table with INNER or LEFT: an event decides, not a ${kind} side`,
        );
  const table = catalog.find(ref.name, { source, offset: ref.at });
  if (table.kind !== 'TABLE')
    throw notSupported(
      source,
      ref.at,
      ofTables
        ? `${ref.name} is a stream, and a table joins tables; begin with the stream: FROM ${ref.name} … JOIN`
        : `${ref.name} is a stream, and joins of two streams are not in this version; make it a TABLE with CDC_TABLE`,
    );
  const rows = readRows(scope, table, ref.at);
  if (rows.counted && !ofTables)
    throw notSupported(
      source,
      ref.at,
      `${ref.name} counts events of a stream, and a stream cannot be joined with it in this version; count rows of a TABLE instead`,
    );
  if (join.within !== null)
    throw sqlError(source, at, 'WITHIN belongs to joins of two streams; a table has one row for the event');
  if (ref.asOf === 'ROWTIME')
    throw notSupported(
      source,
      ref.at,
      'AS OF ROWTIME is not in this version; write COMMIT, STATEMENT or BEFORE',
    );
  if (ref.asOf !== null && ofTables)
    throw sqlError(
      source,
      ref.at,
      'FOR SYSTEM_TIME belongs to a table that a stream is joined with; tables are joined as of the commit',
    );
  const asOf = ref.asOf ?? 'COMMIT';
  if (asOf !== 'COMMIT') rows.remember(asOf === 'BEFORE' ? 'before' : 'versions');
  const left = new SidesOf(scope, equalities(join.on));
  scope.add({ source: table, alias: ref.alias ?? ref.name }, ref.at);
  const input = scope.inputs.length - 1;
  const keys = table.keyOrder.flatMap((index) => {
    const column = table.columns[index];
    return column === undefined ? [] : [{ column, index }];
  });
  const sides = left.assign(
    input,
    keys.map(({ index }) => index),
    join,
  );
  const values = keys.map(({ column }, i): Evaluate => {
    const expr = sides[i]?.other;
    if (expr === undefined) throw new TypeError('Each key column has its equality.');
    const value = compileExpression(expr, scope);
    return keyValue(scope, value, { type: column.type, name: `${ref.name}.${column.name}` });
  });
  return {
    kind,
    table,
    rows,
    asOf,
    key: keyFunction(
      keys.map(({ column }) => column.type),
      values,
    ),
    values,
    left: sides.map(({ other }) => other),
    right: sides.map(({ own }) => own),
  };
}

/** The table's rows, for a query that reads them. Throws where it has none to be read. */
export function readRows(scope: SelectScope, { name, rows }: TableSource, at: number): ReadTable {
  if (rows !== null) return rows;
  throw notSupported(
    scope.source,
    at,
    `${name} has windows, and tables with windows cannot be read by another query in this version`,
  );
}

interface Equality {
  readonly left: Expr;
  readonly right: Expr;
  readonly at: number;
}

/** `a = b AND c = d`; null where it is anything else. */
function equalities(on: Expr): readonly Equality[] | null {
  if (on.kind === 'comparison' && on.op === '=') return [{ left: on.left, right: on.right, at: on.at }];
  if (on.kind !== 'and') return null;
  const [left, right] = [equalities(on.left), equalities(on.right)];
  return left === null || right === null ? null : [...left, ...right];
}

class SidesOf {
  readonly #scope: SelectScope;
  readonly #equalities: readonly Equality[] | null;

  constructor(scope: SelectScope, list: readonly Equality[] | null) {
    this.#scope = scope;
    this.#equalities = list;
  }

  /** For each key column of the table the side that names it and the other one. */
  assign(
    input: number,
    keys: readonly number[],
    join: JoinClause,
  ): readonly { readonly own: Expr; readonly other: Expr }[] {
    const list = this.#equalities;
    const found = keys.map((key) => {
      for (const { left, right } of list ?? []) {
        if (this.#isColumn(right, input, key) && !this.#uses(left, input)) return { own: right, other: left };
        if (this.#isColumn(left, input, key) && !this.#uses(right, input)) return { own: left, other: right };
      }
      return null;
    });
    const complete = found.flatMap((side) => side ?? []);
    if (list === null || complete.length !== keys.length || list.length !== keys.length) {
      const table = this.#scope.inputs[input];
      const wanted = keys
        .map((key) => `… = ${table?.alias ?? ''}.${table?.source.columns[key]?.name ?? ''}`)
        .join(' AND ');
      throw sqlError(
        this.#scope.source,
        join.on.at,
        `a table is joined by its primary key; write ON ${wanted}, with columns of the sources before it`,
      );
    }
    return complete;
  }

  #isColumn(expr: Expr, input: number, column: number): boolean {
    if (expr.kind !== 'name') return false;
    const resolved = this.#scope.resolve(expr);
    return resolved?.input === input && resolved.column === column;
  }

  /** Whether a column of that source occurs in the expression. */
  #uses(expr: Expr, input: number): boolean {
    if (expr.kind === 'name') return this.#scope.resolve(expr)?.input === input;
    return Object.values(expr).some((part: unknown) => this.#usesAny(part, input));
  }

  #usesAny(part: unknown, input: number): boolean {
    if (Array.isArray(part)) return part.some((each) => this.#usesAny(each, input));
    if (typeof part !== 'object' || part === null) return false;
    if (isExpr(part)) return this.#uses(part, input);
    return Object.values(part).some((each) => this.#usesAny(each, input));
  }
}

/** Types hold a kind too, but no place in the text. */
function isExpr(part: object): part is Expr {
  return 'kind' in part && 'at' in part;
}

function keyValue(
  scope: SelectScope,
  value: Typed,
  key: { readonly type: SqlType; readonly name: string },
): Evaluate {
  const same = tryCoerce(value, key.type);
  if (same !== null) return same.run;
  // A wider left side is found if it holds a value of the key's type.
  const common = value.type === null ? null : commonType(value.type, key.type);
  const convert = common === null || value.type === null ? null : explicit(value.type, key.type);
  const back = common === null || value.type === null ? null : explicit(key.type, value.type);
  if (convert !== null && back !== null && value.type !== null) {
    const { type } = value;
    return (frame) => {
      const found = value.run(frame);
      if (found === null) return null;
      const narrowed = convert(found);
      if (narrowed === undefined || narrowed === null) return null;
      const again = back(narrowed);
      return again != null && keyOf(type, again) === keyOf(type, found) ? narrowed : null;
    };
  }
  throw sqlError(
    scope.source,
    value.at,
    `${describeType(value.type)} cannot be compared with ${key.name}, which is ${typeText(key.type)}; write CAST(… AS ${typeText(key.type)})`,
  );
}

function keyFunction(types: readonly SqlType[], values: readonly Evaluate[]): JoinPlan['key'] {
  const [type] = types;
  const [value] = values;
  if (type === undefined || value === undefined) throw new TypeError('A table has a key.');
  if (types.length === 1) {
    return (frame) => {
      const found = value(frame);
      return found === null ? null : keyOf(type, found);
    };
  }
  return (frame) => {
    const parts: SqlValue[] = [];
    for (const each of values) {
      const part = each(frame);
      if (part === null) return null;
      parts.push(part);
    }
    return tableKey(types, parts);
  };
}
