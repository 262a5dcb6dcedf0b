/** A SELECT whose FROM is a table: its rows change behind each transaction. */
import type { Catalog, TableSource } from '../sources/catalog.ts';
import { type GroupPlan, planGroups } from './group-plan.ts';
import { compileJoins, type JoinPlan, readRows } from './join-plan.ts';
import { type KeyRule, type OutputColumn, type Projection, projectColumns } from './projection.ts';
import type { SelectScope } from './select-scope.ts';
import type { Expr, Select } from '../sql/ast.ts';
import { compileCondition } from '../sql/compile.ts';
import { notSupported, sqlError } from '../sql/sql-error.ts';
import { type SqlType, typeText } from '../sql/sql-type.ts';
import type { KeyValue } from '../sql/value.ts';
import { type TableJoin, TableReader, TableView } from '../state/table-view.ts';

export interface TableSelect extends Projection {
  readonly from: TableSource;
  readonly joins: readonly TableJoin[];
  readonly filtered: boolean;
  readonly rows: TableView;
  readonly group: GroupPlan | null;
}

/** `scope` holds the table of FROM. */
export function compileTableSelect(
  select: Select,
  from: TableSource,
  { scope, catalog }: { readonly scope: SelectScope; readonly catalog: Catalog },
): TableSelect {
  const { source } = scope;
  if (select.partitionBy !== null)
    throw sqlError(source, select.at, 'PARTITION BY belongs to streams; a table keeps its key');
  if (select.window !== null)
    throw sqlError(source, select.window.at, 'WINDOW belongs to events; the rows of a table have no time');
  const first = readRows(scope, from, select.from.at);
  const joins = firstKeys(compileJoins(select.joins, { scope, catalog }), from, scope);
  const where =
    select.where === null ? null : compileCondition(select.where, scope, 'the condition of WHERE');
  const reader = new TableReader({ first, joins, where });
  reader.remember('before');
  const { group, columns, keyOrder } =
    select.groupBy === null
      ? { group: null, ...projectColumns(select, scope, tableKeyRule(joins)) }
      : planGroups(select, scope);
  const exploding = columns.find(({ explodes }) => explodes);
  if (exploding !== undefined)
    throw sqlError(source, select.at, 'EXPLODE belongs to streams; a table has one row for its key');
  if (columns.every(({ key }) => key))
    throw sqlError(source, select.at, 'a table needs a column besides its key');
  if (group?.aggregates.some(({ undo }) => undo === null) === true)
    throw sqlError(
      source,
      select.at,
      'rows of a table can change and go, and only COUNT, SUM, AVG and COLLECT_LIST can be undone; count the events of a STREAM for others',
    );
  const view = new TableView(reader, group === null ? columns : []);
  return { from, joins, filtered: where !== null, rows: view, group, columns, keyOrder };
}

function tableKeyRule([join]: readonly JoinPlan[]): KeyRule {
  const [left, right, value] = [join?.left[0], join?.right[0], join?.values[0]];
  const joined = left !== undefined && right !== undefined && value !== undefined;
  return joined && join?.left.length === 1 ? { kind: 'join', left, right, value } : { kind: 'own' };
}

/** Tables are joined key to key: each key column of the one with one of the first table, or of another so joined. */
function firstKeys(joins: readonly JoinPlan[], from: TableSource, scope: SelectScope): readonly TableJoin[] {
  /** For each source, which key column of the first table each of its own stands for. */
  const places: (readonly number[])[] = [from.keyOrder.map((_, i) => i)];
  const tables = [from, ...joins.map(({ table }) => table)];
  return joins.map((join, j): TableJoin => {
    const own = join.left.map((expr, i) => {
      const resolved = expr.kind === 'name' ? scope.resolve(expr) : null;
      const other = resolved === null ? undefined : tables[resolved.input];
      const place =
        resolved === null || other === undefined || resolved.input > j
          ? undefined
          : places[resolved.input]?.[other.keyOrder.indexOf(resolved.column)];
      if (place === undefined || from.keyOrder.length !== join.left.length)
        throw notItsKey(scope, expr, from);
      refuseOtherKind(scope, expr, {
        own: join.table.columns[join.table.keyOrder[i] ?? -1],
        first: from.columns[from.keyOrder[place] ?? -1],
      });
      return place;
    });
    if (new Set(own).size !== own.length) throw notItsKey(scope, join.left[0], from);
    places.push(own);
    return { ...join, firstKey: keyMapping(own) };
  });
}

function notItsKey(scope: SelectScope, expr: Expr | undefined, from: TableSource): Error {
  return notSupported(
    scope.source,
    expr?.at ?? 0,
    `tables are joined key to key in this version, and the other side is no key column of ${from.name}; with a STREAM of its changes instead any column joins`,
  );
}

/** Keys of the two are compared as they are. */
function refuseOtherKind(
  scope: SelectScope,
  { at }: Expr,
  { own, first }: Readonly<Record<'own' | 'first', Pick<OutputColumn, 'name' | 'type'> | undefined>>,
): void {
  if (own === undefined || first === undefined || keyKind(own.type) === keyKind(first.type)) return;
  throw sqlError(
    scope.source,
    at,
    `${first.name} is ${typeText(first.type)} and ${own.name} ${typeText(own.type)}: tables are joined by keys of one type`,
  );
}

function keyKind(type: SqlType): string {
  return type.kind === 'INTEGER' || type.kind === 'BIGINT' ? 'WHOLE' : type.kind;
}

function keyMapping(places: readonly number[]): (key: KeyValue) => KeyValue {
  if (places.every((place, i) => place === i)) return (key) => key;
  return (key) => {
    const own = JSON.parse(String(key)) as readonly string[];
    const first: string[] = [];
    for (const [i, place] of places.entries()) first[place] = own[i] ?? '';
    return JSON.stringify(first);
  };
}
