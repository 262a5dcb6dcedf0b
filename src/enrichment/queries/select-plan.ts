/** What a SELECT that a client sends does: answer from a table once (pull), or go on with what changes (push). */
import type { CapturedSource } from '../sources/captured-source.ts';
import type { StreamSource, TableSource } from '../sources/catalog.ts';
import { type GroupPlan, planGroups } from '../plan/group-plan.ts';
import { GroupStore } from '../state/group-store.ts';
import { compileJoins } from '../plan/join-plan.ts';
import type { Program, QueryPlan } from '../plan/program.ts';
import { type OutputColumn, projectColumns } from '../plan/projection.ts';
import { SelectScope } from '../plan/select-scope.ts';
import type { Expr, Select } from '../sql/ast.ts';
import { tryCoerce } from '../sql/coerce.ts';
import { compileCondition, compileExpression } from '../sql/compile.ts';
import type { Evaluate } from '../sql/frame.ts';
import type { Parsed } from '../sql/parse-statement.ts';
import { notSupported, type SourceText, sqlError } from '../sql/sql-error.ts';
import type { Dialect } from '../sql/token-cursor.ts';
import type { KeyValue, SqlValue } from '../sql/value.ts';
import { tableKey } from '../sources/table-source.ts';

export interface SelectRequest {
  readonly select: Select;
  readonly parsed: Parsed;
  /** `auto.offset.reset`: a push query over a table begins with the rows there are. */
  readonly fromBeginning: boolean;
  /** Whether a pull query may look at all rows of a table; null: as the dialect has it. */
  readonly scans: boolean | null;
}

export interface PullPlan {
  readonly kind: 'pull';
  readonly over: 'table';
  readonly table: TableSource;
  readonly columns: readonly OutputColumn[];
  readonly where: Evaluate | null;
  /** The keys that WHERE names; null: all rows are looked at. */
  readonly keys: readonly KeyValue[] | null;
  /** What its rows are put into; null without GROUP BY. */
  readonly groups: { readonly plan: GroupPlan; readonly store: GroupStore } | null;
  readonly limit: number | null;
  readonly warnings: readonly string[];
}

interface PushBase {
  readonly kind: 'push';
  readonly columns: readonly OutputColumn[];
  readonly limit: number | null;
  readonly warnings: readonly string[];
}

/** Over a table: each change of a row. */
export interface TablePushPlan extends PushBase {
  readonly over: 'table';
  readonly table: TableSource;
  readonly where: Evaluate | null;
  readonly fromBeginning: boolean;
}

/**
 * Over a stream: what a persistent query with this SELECT would write. One that pulls reads what the stream's topic
 * holds now, and ends.
 */
export interface StreamPlan extends Omit<PushBase, 'kind'> {
  readonly kind: 'pull' | 'push';
  readonly over: 'stream';
  /** Whether it begins with what the stream's topic holds. */
  readonly fromBeginning: boolean;
  readonly query: QueryPlan;
  /** The captured table whose changes it reads, with columns in use of its own; null: a query's results. */
  readonly captured: CapturedSource | null;
}

export type SelectPlan = PullPlan | TablePushPlan | StreamPlan;

/** Throws `enrich.statement-invalid`, `enrich.not-supported`, with line and column. */
export function planSelect(request: SelectRequest, program: Program, dialect: Dialect): SelectPlan {
  const { select, parsed } = request;
  const { source } = parsed;
  const { from, at } = select;
  const found = program.catalog.find(from.name, { source, offset: from.at });
  if (from.asOf !== null)
    throw sqlError(source, from.at, 'FOR SYSTEM_TIME belongs to the table that is joined');
  if (select.partitionBy !== null)
    throw sqlError(source, at, 'PARTITION BY belongs to CREATE STREAM … AS SELECT');
  if (select.emit === 'FINAL') throw notSupported(source, at, 'EMIT FINAL is not in this version');
  if (select.groupBy === null && (select.window !== null || select.having !== null))
    throw sqlError(source, at, 'WINDOW and HAVING belong to GROUP BY');
  if (found.kind === 'STREAM') return overStream(request, found, program, dialect);
  for (const [given, what] of [
    [select.joins.length > 0, 'joins of tables'],
    [select.groupBy !== null && select.emit !== null, 'GROUP BY over a table and EMIT CHANGES'],
  ] as const)
    if (given)
      throw notSupported(
        source,
        at,
        `a SELECT with ${what} is not in this version: CREATE TABLE … AS has it`,
      );
  return overTable(request, found, dialect);
}

function overTable(request: SelectRequest, table: TableSource, dialect: Dialect): PullPlan | TablePushPlan {
  const { select, parsed, fromBeginning } = request;
  const { source } = parsed;
  const warnings = [...parsed.warnings];
  const scope = new SelectScope(source, dialect, warnings);
  const { from, limit } = select;
  scope.add({ source: table, alias: from.alias ?? from.name }, from.at);
  const where = conditionOf(select, scope);
  const grouped = select.groupBy === null ? null : groupsOf(select, scope);
  const columns = grouped === null ? tableColumns(select, scope) : grouped.columns;
  refuseExplode(source, select, columns);
  if (select.emit !== null)
    return { kind: 'push', over: 'table', table, columns, where, limit, fromBeginning, warnings };
  const keys = select.where === null ? null : keysIn(select.where, scope, table);
  const bounded = keys !== null || (select.where !== null && boundsKeys(select.where, scope, table));
  if (!bounded && !(request.scans ?? dialect === 'friendly'))
    throw sqlError(
      source,
      select.at,
      "this looks at all rows of the table; name its key in WHERE, or set 'ksql.query.pull.table.scan.enabled' to true",
    );
  const groups = grouped?.groups ?? null;
  return { kind: 'pull', over: 'table', table, columns, where, keys, groups, limit, warnings };
}

function tableColumns(select: Select, scope: SelectScope): readonly OutputColumn[] {
  // Which of the fields of a struct are keys: none, and what stands behind them is not told.
  const flags = select.items.some(({ kind }) => kind === 'fields') ? [] : keyFlags(select, scope);
  return listed(select, scope).map((column, i) => ({ ...column, key: flags[i] ?? false }));
}

function groupsOf(
  select: Select,
  scope: SelectScope,
): { readonly columns: readonly OutputColumn[] } & Pick<PullPlan, 'groups'> {
  if (!scope.friendly)
    throw sqlError(scope.source, select.at, 'a query that ends has no GROUP BY in this dialect');
  if (select.window !== null)
    throw sqlError(
      scope.source,
      select.window.at,
      'WINDOW belongs to events; the rows of a table have no time',
    );
  scope.warn('GROUP BY of a table ends with what is there now');
  const { group: plan, columns } = planGroups(select, scope, 'free');
  return { columns, groups: { plan, store: clientGroups(plan, columns) } };
}

/** Of a client's query: what it keeps is in no checkpoint. */
function clientGroups(group: GroupPlan, columns: readonly OutputColumn[]): GroupStore {
  const spend = (): void => {};
  return new GroupStore({ name: '', lineage: '', group, columns, replicas: [], counted: true, spend });
}

function overStream(
  { select, parsed, fromBeginning }: SelectRequest,
  input: StreamSource,
  program: Program,
  dialect: Dialect,
): StreamPlan {
  const { source } = parsed;
  const { from, at, limit } = select;
  const kind = select.emit === null ? 'pull' : 'push';
  const past = kind === 'pull' || fromBeginning;
  if (past && input.captured !== null)
    throw notSupported(
      source,
      at,
      `the past of ${from.name} lies in its topic as change events, which are not read back: ${kind === 'pull' ? 'EMIT CHANGES at the end shows its rows as they come' : "set 'auto.offset.reset' to latest, or leave it out"}`,
    );
  const warnings = [...parsed.warnings];
  if (kind === 'pull' && (select.joins.length > 0 || select.groupBy !== null)) {
    if (dialect === 'ksqldb') throw sqlError(source, at, 'joins and GROUP BY need EMIT CHANGES at the end');
    warnings.push('without EMIT CHANGES the query ends with what is there now');
  }
  const scope = new SelectScope(source, dialect, warnings);
  const captured = input.captured?.fresh() ?? null;
  scope.add({ source: { ...input, captured }, alias: from.alias ?? from.name }, from.at);
  const joins = compileJoins(select.joins, {
    scope,
    catalog: program.catalog,
  });
  const where = conditionOf(select, scope);
  const { group, columns } =
    select.groupBy === null
      ? { group: null, columns: listed(select, scope) }
      : planGroups(select, scope, 'free');
  if (group !== null) refuseExplode(source, select, columns);
  const query: QueryPlan = {
    id: '',
    statement: '',
    select,
    scope,
    input,
    joins,
    where,
    columns,
    target: {
      kind: 'STREAM',
      name: '',
      columns,
      captured: null,
      topic: null,
      sink: null,
      kept: false,
      keyOrder: [],
    },
    onError: 'LOG',
    group,
    store: group === null ? null : clientGroups(group, columns),
    usesChange: scope.usesChange,
    ofTopic: input.topic !== null,
    made: null,
    held: false,
    fromLatest: false,
    warnings,
  };
  return { kind, over: 'stream', fromBeginning: past, query, captured, columns, limit, warnings };
}

function conditionOf({ where }: Select, scope: SelectScope): Evaluate | null {
  return where === null ? null : compileCondition(where, scope, 'the condition of WHERE');
}

/** As the projection lists them: a client's result needs no key. */
function listed(select: Select, scope: SelectScope): readonly OutputColumn[] {
  return projectColumns(select, scope, { kind: 'partition', by: [] }).columns;
}

/** Which columns of the result are key columns of the table and nothing more. */
function keyFlags(select: Select, scope: SelectScope): readonly boolean[] {
  const columns = scope.inputs[0]?.source.columns ?? [];
  return select.items.flatMap((item) => {
    if (item.kind === 'star') return columns.map(({ key }) => key);
    const column = item.kind === 'expr' && item.expr.kind === 'name' ? scope.resolve(item.expr) : null;
    return [column !== null && columns[column.column]?.key === true];
  });
}

function refuseExplode(source: SourceText, { at }: Select, columns: readonly OutputColumn[]): void {
  if (columns.some(({ explodes }) => explodes))
    throw notSupported(source, at, 'EXPLODE belongs to a query over a stream without GROUP BY');
}

/**
 * The keys of the rows that can satisfy the condition, where `key = constant` or `key IN (…)` says so for every key
 * column. Null where it does not.
 */
function keysIn(where: Expr, scope: SelectScope, table: TableSource): readonly KeyValue[] | null {
  // The key of a windowed table holds the window too.
  if (table.rows === null) return null;
  const keys = table.columns.flatMap(({ key, type }, index) => (key ? [{ index, type }] : []));
  const named = new Map<number, readonly SqlValue[]>();
  for (const part of conjuncts(where)) {
    const found = constantsOf(part, scope);
    if (found !== null) named.set(found.column, found.values);
  }
  let combinations: SqlValue[][] = [[]];
  for (const { index } of keys) {
    const values = named.get(index);
    if (values === undefined || values.length * combinations.length > 10_000) return null;
    combinations = combinations.flatMap((some) => values.map((value) => [...some, value]));
  }
  const types = keys.map(({ type }) => type);
  const distinct = new Set<KeyValue>();
  for (const values of combinations) {
    if (values.some((value) => value === null)) continue;
    distinct.add(tableKey(types, values));
  }
  return [...distinct];
}

/** Whether the condition bounds each key column by constants: a few rows are meant, though all have to be looked at. */
function boundsKeys(where: Expr, scope: SelectScope, table: TableSource): boolean {
  const bounded = new Set(conjuncts(where).map((part) => boundsOf(part, scope)?.column));
  return table.columns.every(({ key }, index) => !key || bounded.has(index));
}

function boundsOf(expr: Expr, scope: SelectScope): Bounded | null {
  if (expr.kind === 'between' && !expr.negated) return constants(expr.operand, [expr.low, expr.high], scope);
  if (expr.kind !== 'comparison' || expr.op === '=' || expr.op === '<>') return constantsOf(expr, scope);
  return constants(expr.left, [expr.right], scope) ?? constants(expr.right, [expr.left], scope);
}

/** A column, and the constants that it is compared with. */
interface Bounded {
  readonly column: number;
  readonly values: readonly SqlValue[];
}

function conjuncts(expr: Expr): readonly Expr[] {
  return expr.kind === 'and' ? [...conjuncts(expr.left), ...conjuncts(expr.right)] : [expr];
}

function constantsOf(expr: Expr, scope: SelectScope): Bounded | null {
  if (expr.kind === 'in' && !expr.negated) return constants(expr.operand, expr.items, scope);
  if (expr.kind !== 'comparison' || expr.op !== '=') return null;
  return constants(expr.left, [expr.right], scope) ?? constants(expr.right, [expr.left], scope);
}

function constants(name: Expr, others: readonly Expr[], scope: SelectScope): Bounded | null {
  if (name.kind !== 'name') return null;
  const column = scope.resolve(name) ?? scope.rowKey(name);
  const type = column === null ? undefined : scope.inputs[0]?.source.columns[column.column]?.type;
  if (column === null || type === undefined) return null;
  const values: SqlValue[] = [];
  for (const other of others) {
    const value = tryCoerce(compileExpression(other, scope), type);
    if (value?.literal === undefined) return null;
    values.push(value.literal);
  }
  return { column: column.column, values };
}
