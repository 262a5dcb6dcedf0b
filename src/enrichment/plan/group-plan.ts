/** GROUP BY: what makes a group, what is kept of it, and how its row comes about. */
import { type Aggregate, AGGREGATE_NAMES, bindAggregate } from '../sql/functions/aggregates.ts';
import type { OutputColumn, Projection } from './projection.ts';
import type { SelectScope } from './select-scope.ts';
import type { Expr, Select, WindowClause } from '../sql/ast.ts';
import type { Scope } from '../sql/coerce.ts';
import { compileCondition, compileExpression } from '../sql/compile.ts';
import type { Evaluate, Frame, Typed } from '../sql/frame.ts';
import { isOrdered } from '../sql/logic.ts';
import { durationMs } from '../sql/parse-select.ts';
import { printExpression } from '../sql/print-expression.ts';
import { type SourceText, sqlError } from '../sql/sql-error.ts';
import { BIGINT, type SqlType } from '../sql/sql-type.ts';

/** Windows at fixed places in time. */
export interface SpanPlan {
  readonly kind: 'TUMBLING' | 'HOPPING';
  readonly sizeMs: number;
  readonly advanceMs: number;
  readonly graceMs: number;
  /** How long a window is kept behind its end. */
  readonly keptMs: number;
}

/** Windows that last as long as no gap between two events is longer than `gapMs`. */
export interface SessionPlan {
  readonly kind: 'SESSION';
  readonly gapMs: number;
  readonly graceMs: number;
  /** How long a session is kept behind its last event. */
  readonly keptMs: number;
}

export type WindowPlan = SpanPlan | SessionPlan;

export interface GroupPlan {
  readonly keys: readonly { readonly type: SqlType; readonly run: Evaluate }[];
  readonly aggregates: readonly Aggregate[];
  readonly window: WindowPlan | null;
  /** On rows as `columns` see them. */
  readonly having: Evaluate | null;
}

/** Times end there, as JavaScript has them. */
const LONGEST_WINDOW_MS = 8.64e15;

/** Late events are dropped after a day unless GRACE PERIOD says otherwise. */
const DEFAULT_GRACE_MS = 86_400_000;

/**
 * Plan and columns of a grouped SELECT, whose key columns are among them unless `keys` is free. The columns are evaluated on rows that hold the group's values, the start and
 * the end of its window, and the results of its aggregates.
 */
export function planGroups(
  select: Select,
  scope: SelectScope,
  keys: 'listed' | 'free' = 'listed',
): Projection & { readonly group: GroupPlan } {
  const { source } = scope;
  const groups = new GroupScope(scope, select);
  const { columns, keyOrder } = projectGroups(select, groups, keys === 'free');
  const having =
    select.having === null
      ? null
      : compileCondition(select.having, groups.forHaving(), 'the condition of HAVING');
  if (groups.aggregates.length === 0)
    throw sqlError(
      source,
      select.at,
      'GROUP BY needs an aggregate such as COUNT(*) in the projection or in HAVING',
    );
  if (keys === 'listed' && columns.every(({ key }) => key))
    throw sqlError(source, select.at, 'a table needs a column besides its key');
  const { keys: grouped, aggregates } = groups;
  return {
    group: { keys: grouped, aggregates, window: windowPlan(select.window, source), having },
    columns,
    keyOrder,
  };
}

function windowPlan(window: WindowClause | null, source: SourceText): WindowPlan | null {
  if (window === null) return null;
  const { kind, size, advance, grace, retention, at } = window;
  const sizeMs = durationMs(size);
  if (sizeMs > LONGEST_WINDOW_MS) throw sqlError(source, at, 'a window has at most 100,000,000 days');
  const retentionMs = retention === null ? 0 : durationMs(retention);
  const graceMs = grace === null ? Math.max(0, DEFAULT_GRACE_MS - sizeMs) : durationMs(grace);
  if (kind === 'SESSION') {
    if (sizeMs < 1) throw sqlError(source, at, 'the gap that ends a SESSION is at least a millisecond');
    return { kind, gapMs: sizeMs, graceMs, keptMs: Math.max(retentionMs, sizeMs + graceMs) };
  }
  const advanceMs = advance === null ? sizeMs : durationMs(advance);
  if (sizeMs < 1) throw sqlError(source, at, 'a window has a SIZE of at least a millisecond');
  if (advanceMs < 1 || advanceMs > sizeMs)
    throw sqlError(source, at, 'ADVANCE BY is at least a millisecond and at most the SIZE');
  if (sizeMs / advanceMs > 1_000) throw sqlError(source, at, 'one event would be in more than 1,000 windows');
  return { kind, sizeMs, advanceMs, graceMs, keptMs: Math.max(retentionMs - sizeMs, graceMs) };
}

class GroupScope implements Scope {
  readonly source: SourceText;
  readonly keys: { readonly type: SqlType; readonly run: Evaluate }[] = [];
  readonly aggregates: Aggregate[] = [];
  readonly inner: SelectScope;
  readonly #select: Select;
  readonly #texts: string[] = [];
  readonly #having: boolean;

  constructor(inner: SelectScope, select: Select, having: GroupScope | null = null) {
    this.source = inner.source;
    this.inner = inner;
    this.#select = select;
    this.#having = having !== null;
    if (having !== null) {
      this.keys = having.keys;
      this.aggregates = having.aggregates;
      this.#texts = having.#texts;
      return;
    }
    for (const expr of select.groupBy ?? []) {
      const { type, run, at } = compileExpression(expr, inner);
      if (type === null || !isOrdered(type))
        throw sqlError(this.source, at, 'a grouping expression is a number, a text, a time or a boolean');
      const text = this.#textOf(expr);
      if (this.#texts.includes(text))
        throw sqlError(this.source, at, `${printExpression(expr)} stands in GROUP BY already`);
      this.keys.push({ type, run });
      this.#texts.push(text);
    }
    if (this.keys.length === 0) throw sqlError(this.source, select.at, 'GROUP BY needs an expression');
  }

  /** Where aliases of the projection are known too. */
  forHaving(): GroupScope {
    return new GroupScope(this.inner, this.#select, this);
  }

  /** Index of the grouping expression that this is, or −1. */
  keyIndex(expr: Expr): number {
    return this.#texts.indexOf(this.#textOf(expr));
  }

  replaced(expr: Expr): Typed | null {
    const index = this.keyIndex(expr);
    const key = this.keys[index];
    return key === undefined ? null : { type: key.type, at: expr.at, run: slotOf(index) };
  }

  column(name: Expr & { readonly kind: 'name' }): Typed {
    const { at } = name;
    if (this.#select.window !== null && name.source === null) {
      if (name.name === 'WINDOWSTART') return { type: BIGINT, at, run: slotOf(this.keys.length) };
      if (name.name === 'WINDOWEND') return { type: BIGINT, at, run: slotOf(this.keys.length + 1) };
    }
    const aliased = this.#having && this.inner.friendly ? this.#aliased(name) : null;
    if (aliased !== null) return compileExpression(aliased, this);
    this.inner.column(name);
    throw sqlError(
      this.source,
      at,
      `${name.name} is different from row to row of a group; put it into GROUP BY or into an aggregate`,
    );
  }

  call(call: Expr & { readonly kind: 'call' }): Typed | null {
    const { name, args, star, at } = call;
    if (!AGGREGATE_NAMES.has(name)) {
      if (name === 'EXPLODE')
        throw sqlError(
          this.source,
          at,
          'EXPLODE and GROUP BY are two steps: explode in a stream of its own, and group that',
        );
      if (this.inner.call(call) === null) return null;
      throw sqlError(
        this.source,
        at,
        `${name} is different from event to event of a group; put it into GROUP BY or into an aggregate`,
      );
    }
    const compiled = args.map((arg) => compileExpression(arg, this.inner));
    const ofRows = this.inner.inputs[0]?.source.kind === 'TABLE';
    const aggregate = bindAggregate({ name, args: compiled, scope: this.inner, at }, star, ofRows);
    const slot = this.keys.length + 2 + this.aggregates.length;
    this.aggregates.push(aggregate);
    return { type: aggregate.type, at, run: slotOf(slot) };
  }

  /** What the projection calls by that name, where no column of a source does. */
  #aliased({ source, name, at }: Expr & { readonly kind: 'name' }): Expr | null {
    if (source !== null) return null;
    const known = this.inner.inputs.some(({ source }) =>
      source.columns.some((column) => column.name === name),
    );
    const item = this.#select.items.find((each) => each.kind === 'expr' && each.alias === name);
    if (known || item?.kind !== 'expr') return null;
    this.inner.warn(`${name} in HAVING is taken for the column of the projection`);
    return { ...item.expr, at };
  }

  /** Equal for expressions that mean the same column, qualified or not. */
  #textOf(expr: Expr): string {
    const column = expr.kind === 'name' ? this.inner.resolve(expr) : null;
    return column === null ? printExpression(expr) : `${column.input}.${column.column}`;
  }
}

function slotOf(slot: number): Evaluate {
  return (frame: Frame) => frame.rows[0]?.[slot] ?? null;
}

function projectGroups(select: Select, groups: GroupScope, free: boolean): Projection {
  const { source, inner } = groups;
  const columns: OutputColumn[] = [];
  /** Grouping expression → its column. */
  const listed = new Map<number, OutputColumn>();
  let unnamed = 0;
  for (const item of select.items) {
    if (item.kind !== 'expr')
      throw sqlError(source, item.at, 'with GROUP BY the projection lists expressions, not *');
    const { expr, alias, at } = item;
    const copied = expr.kind === 'call' && expr.name === 'AS_VALUE';
    const { type, run } = compileExpression(expr, groups);
    if (type === null) throw sqlError(source, at, 'NULL alone has no type; write CAST(NULL AS …)');
    const index = groups.keyIndex(expr);
    const own = expr.kind === 'name' || expr.kind === 'field' ? expr.name : null;
    const name = alias ?? own ?? `KSQL_COL_${unnamed++}`;
    if (columns.some((column) => column.name === name))
      throw sqlError(source, at, `two columns of the result are called ${name}; name one with AS`);
    const key = !copied && index >= 0 && !listed.has(index);
    const column = { name, spelling: name, type, run, expr, explodes: false, key };
    if (key) listed.set(index, column);
    columns.push(column);
  }
  for (const [index, expr] of (select.groupBy ?? []).entries()) {
    if (free || listed.has(index)) continue;
    const name = expr.kind === 'name' ? expr.name : `KSQL_COL_${unnamed++}`;
    if (!inner.friendly)
      throw sqlError(
        source,
        expr.at,
        `the grouping expression ${printExpression(expr)} has to be part of the projection`,
      );
    inner.warn(`the key column ${name} is not in the projection and added to it`);
    const { type } = groups.keys[index] ?? {};
    if (type === undefined) throw new TypeError('Each grouping expression has its key.');
    const column = { name, spelling: name, type, run: slotOf(index), expr, explodes: false, key: true };
    listed.set(index, column);
    columns.unshift(column);
  }
  const keyOrder = groups.keys.flatMap((_, index) => {
    const column = listed.get(index);
    return column === undefined ? [] : [columns.indexOf(column)];
  });
  return { columns, keyOrder };
}
