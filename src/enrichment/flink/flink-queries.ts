/** Queries as views of Flink. */
import type { GroupPlan, WindowPlan } from '../plan/group-plan.ts';
import type { JoinPlan } from '../plan/join-plan.ts';
import type { OutputColumn } from '../plan/projection.ts';
import type { QueryPlan, TableQueryPlan } from '../plan/program.ts';
import type { SelectScope } from '../plan/select-scope.ts';
import type { Expr } from '../sql/ast.ts';
import { printExpression } from '../sql/print-expression.ts';
import { FlinkExpressions } from './flink-expression.ts';
import { millisOfTimestamp, MS, SINCE, TIME } from './flink-sources.ts';
import { flinkName, flinkType, interval, losesDigits, millisOf, NoEqual } from './flink-text.ts';

export interface FlinkView {
  readonly statements: readonly string[];
  /** Columns of the window that belong to the result's key. */
  readonly windowKey: readonly string[];
  /** Whether it has the time of its events. */
  readonly timed: boolean;
}

/** Views of the sources that a query reads. */
export interface FlinkInputs {
  readonly from: string;
  /** Of the versions of a table for joins with a stream, of its rows for those with a table. */
  readonly joined: (join: JoinPlan) => string;
  /** Whether the versions of a joined table hold those of deleted rows. */
  readonly keepsDeleted: (join: JoinPlan) => boolean;
  readonly differs: (sentence: string) => void;
}

interface Reading {
  readonly scope: SelectScope;
  readonly from: string;
  readonly where: readonly string[];
  readonly expressions: FlinkExpressions;
  readonly alias: (input: number) => string;
}

/** A query over a stream. Throws NoEqual. */
export function streamView(name: string, plan: QueryPlan, inputs: FlinkInputs): FlinkView {
  const { select, group, columns, input, target } = plan;
  checkDigits(columns, inputs);
  const reading = readingOf(plan, inputs, { times: true });
  if (input.captured !== null && !plan.usesChange) reading.where.push(`${reading.alias(0)}.\`__OP\` <> 'd'`);
  if (select.where !== null) reading.where.push(reading.expressions.text(select.where));
  if (group !== null) return groupView(name, { plan, group, reading }, inputs);
  const exploding = columns.filter(({ explodes }) => explodes);
  if (exploding.length > 1)
    throw new NoEqual('several EXPLODE in one projection run in step, and UNNEST crosses them');
  const [exploded] = exploding;
  const unnested =
    exploded === undefined
      ? ''
      : `\nCROSS JOIN UNNEST(${reading.expressions.text(exploded.expr)}) AS \`__U\` (\`__ITEM\`)`;
  const items = columns.map((column) => {
    const text = column.explodes ? '`__U`.`__ITEM`' : reading.expressions.column(column.expr, column.type);
    return `${text} AS ${flinkName(column.name)}`;
  });
  const first = reading.alias(0);
  const timed = columns[target.sink?.timestamp?.index ?? -1];
  const own =
    timed === undefined
      ? null
      : millisOfTimestamp(
          reading.expressions.column(timed.expr, timed.type),
          target.sink?.timestamp?.pattern ?? null,
        );
  const ms = own === null ? `${first}.\`${MS}\`` : `COALESCE(${own}, ${first}.\`${MS}\`) AS \`${MS}\``;
  return {
    statements: [
      viewText(name, [...items, ms, `${first}.\`${TIME}\``], {
        ...reading,
        from: reading.from + unnested,
      }),
    ],
    windowKey: [],
    timed: true,
  };
}

/** A query over tables. Throws NoEqual. */
export function tableView(
  name: string,
  plan: TableQueryPlan,
  inputs: FlinkInputs & { readonly versions: boolean },
): FlinkView {
  const { select, groups, columns } = plan;
  checkDigits(columns, inputs);
  const reading = readingOf(plan, inputs, { times: false });
  if (select.where !== null) reading.where.push(reading.expressions.text(select.where));
  if (groups !== null) return groupView(name, { plan, group: groups.plan, reading }, inputs);
  if (plan.joins.length > 0)
    inputs.differs(
      'a change of one side may show a row with NULLs for a moment: Flink knows no transactions',
    );
  const items = columns.map(
    ({ name, expr, type }) => `${reading.expressions.column(expr, type)} AS ${flinkName(name)}`,
  );
  const since = inputs.versions ? [`${reading.alias(0)}.\`${SINCE}\``] : [];
  return { statements: [viewText(name, [...items, ...since], reading)], windowKey: [], timed: false };
}

function checkDigits(columns: readonly OutputColumn[], { differs }: FlinkInputs): void {
  const wide = columns.filter(({ type }) => losesDigits(type)).map(({ name }) => name);
  if (wide.length > 0)
    differs(
      `${wide.join(', ')}: a DECIMAL has 38 digits at most, and 18 behind the point where its size is not known`,
    );
}

function viewText(
  name: string,
  items: readonly string[],
  { from, where }: Pick<Reading, 'from' | 'where'>,
): string {
  const condition = where.length === 0 ? '' : `\nWHERE ${where.join(' AND ')}`;
  return `CREATE VIEW ${flinkName(name)} AS\nSELECT ${items.join(', ')}\nFROM ${from}${condition}`;
}

function readingOf(
  { scope, joins }: Pick<QueryPlan, 'scope' | 'joins'>,
  inputs: FlinkInputs,
  { times }: { readonly times: boolean },
): Reading & { readonly where: string[] } {
  const alias = (input: number): string => flinkName(scope.inputs[input]?.alias ?? '');
  const expressions = new FlinkExpressions({
    scope,
    column: (input, name) => `${alias(input)}.${flinkName(name)}`,
    replaced: () => null,
    aliased: () => null,
    differs: inputs.differs,
  });
  const lines = [`${flinkName(inputs.from)} AS ${alias(0)}`];
  for (const [i, join] of joins.entries()) {
    if (times && join.asOf !== 'COMMIT')
      throw new NoEqual(
        `FOR SYSTEM_TIME AS OF ${join.asOf} has no equal: Flink knows a change's time, and not its place in the transaction`,
      );
    const on = join.left.map((left, k) => {
      const right = join.right[k];
      const key = join.table.columns[join.table.keyOrder[k] ?? -1];
      if (right === undefined || key === undefined) throw new TypeError('Each key column has its equality.');
      const same = flinkType(expressions.type(left)) === flinkType(key.type);
      const own = expressions.text(left);
      return `${same ? own : `TRY_CAST(${own} AS ${flinkType(key.type)})`} = ${expressions.text(right)}`;
    });
    if (times && inputs.keepsDeleted(join)) on.push(`${alias(i + 1)}.\`__OP\` <> 'd'`);
    const version = times ? ` FOR SYSTEM_TIME AS OF ${alias(0)}.\`${TIME}\`` : '';
    lines.push(
      `${join.kind} JOIN ${flinkName(inputs.joined(join))}${version} AS ${alias(i + 1)} ON ${on.join(' AND ')}`,
    );
  }
  return { scope, from: lines.join('\n'), where: [], expressions, alias };
}

interface Grouping {
  readonly plan: Pick<QueryPlan, 'select' | 'scope' | 'columns'>;
  readonly group: GroupPlan;
  readonly reading: Reading;
}

const START = 'WINDOWSTART';
const END = 'WINDOWEND';

function groupView(name: string, grouping: Grouping, inputs: FlinkInputs): FlinkView {
  const { plan, group, reading } = grouping;
  const { window } = group;
  const by = plan.select.groupBy ?? [];
  if (window === null) {
    const expressions = groupExpressions(grouping, inputs, {
      column: (input, column) => `${reading.alias(input)}.${flinkName(column)}`,
      keys: by.map((expr) => reading.expressions.text(expr)),
      window: null,
    });
    const keys = by.map((expr) => reading.expressions.text(expr));
    const where = [...reading.where, ...keys.map((key) => `${key} IS NOT NULL`)];
    const text = viewText(name, projected(plan.columns, expressions), { ...reading, where });
    return {
      statements: [`${text}\nGROUP BY ${keys.join(', ')}${having(plan, expressions)}`],
      windowKey: [],
      timed: false,
    };
  }
  return windowView(name, { ...grouping, window, by }, inputs);
}

/** First the events with all that is asked of them, then the groups in their windows. */
function windowView(
  name: string,
  { window, by, ...grouping }: Grouping & { readonly window: WindowPlan; readonly by: readonly Expr[] },
  inputs: FlinkInputs,
): FlinkView {
  const { plan, reading } = grouping;
  const used = new Map<string, string>();
  const column = (input: number, of: string): string => {
    const flat = flinkName(`${input}.${of}`);
    used.set(flat, `${reading.alias(input)}.${flinkName(of)} AS ${flat}`);
    return flat;
  };
  const keys = by.map((_, i) => flinkName(`__G${i}`));
  const [start, end] =
    window.kind === 'SESSION'
      ? // The end of a session is here the time of its last event.
        [millisOf('`window_start`'), `(${millisOf('`window_end`')} - ${window.gapMs})`]
      : [flinkName(START), `(${flinkName(START)} + ${window.sizeMs})`];
  const expressions = groupExpressions(grouping, inputs, { column, keys, window: { start, end } });
  const items = projected(plan.columns, expressions);
  const filter = having(plan, expressions);
  const grouped = by.map((expr) => reading.expressions.text(expr));
  const events = `${name}__events`;
  const eventsView = viewText(
    events,
    [
      ...used.values(),
      ...grouped.map((text, i) => `${text} AS ${keys[i] ?? ''}`),
      `${reading.alias(0)}.\`${TIME}\``,
    ],
    { ...reading, where: [...reading.where, ...grouped.map((text) => `${text} IS NOT NULL`)] },
  );
  const windowKey = plan.columns.some((each) => each.name === START) ? `KSQL_${START}` : START;
  items.push(`${start} AS ${flinkName(windowKey)}`);
  const time = `DESCRIPTOR(\`${TIME}\`)`;
  const head = `CREATE VIEW ${flinkName(name)} AS\n`;
  inputs.differs('the key of a record is an object with the group and the start of its window');
  if (window.kind === 'SESSION') {
    const gap = interval(window.gapMs);
    inputs.differs('a session is written once, when it is over, and events that come later are left out');
    return {
      statements: [
        eventsView,
        `${head}SELECT ${items.join(', ')}\n` +
          `FROM TABLE(SESSION(TABLE ${flinkName(events)} PARTITION BY (${keys.join(', ')}), ${time}, ${gap}))\n` +
          `GROUP BY ${[...keys, '`window_start`', '`window_end`'].join(', ')}${filter}`,
      ],
      windowKey: [windowKey],
      timed: false,
    };
  }
  const size = interval(window.sizeMs);
  const call =
    window.kind === 'TUMBLING'
      ? `TUMBLE(TABLE ${flinkName(events)}, ${time}, ${size})`
      : `HOP(TABLE ${flinkName(events)}, ${time}, ${interval(window.advanceMs)}, ${size})`;
  inputs.differs(
    'late events are counted however late they are; groups are kept for table.exec.state.ttl, which begins when they last changed',
  );
  const inWindows = `SELECT *, ${millisOf('`window_start`')} AS ${flinkName(START)}\n  FROM TABLE(${call})`;
  return {
    statements: [
      eventsView,
      `${head}SELECT ${items.join(', ')}\nFROM (\n  ${inWindows}\n)\n` +
        `GROUP BY ${[...keys, flinkName(START)].join(', ')}${filter}`,
    ],
    windowKey: [windowKey],
    timed: false,
  };
}

function projected(columns: readonly OutputColumn[], expressions: FlinkExpressions): string[] {
  return columns.map(({ name, expr, type }) => `${expressions.column(expr, type)} AS ${flinkName(name)}`);
}

function having({ select }: Grouping['plan'], expressions: FlinkExpressions): string {
  return select.having === null ? '' : `\nHAVING ${expressions.text(select.having)}`;
}

interface GroupTexts {
  readonly column: (input: number, name: string) => string;
  /** Of the grouping expressions. */
  readonly keys: readonly string[];
  /** Of its bounds in milliseconds. */
  readonly window: { readonly start: string; readonly end: string } | null;
}

/** Expressions of a group's row: grouping expressions as a whole, aggregates, and aliases in HAVING. */
function groupExpressions(
  { plan }: Pick<Grouping, 'plan'>,
  { differs }: FlinkInputs,
  { column, keys, window }: GroupTexts,
): FlinkExpressions {
  const { scope, select } = plan;
  const by = (select.groupBy ?? []).map((expr) => meaning(expr, scope));
  return new FlinkExpressions({
    scope,
    column,
    aliased: (name) => aliased(name, plan),
    differs,
    replaced: (expr) => {
      if (window !== null && expr.kind === 'name' && expr.source === null) {
        if (expr.name === START) return window.start;
        if (expr.name === END) return window.end;
      }
      if (expr.kind === 'name' && aliased(expr, plan) !== null) return null;
      return keys[by.indexOf(meaning(expr, scope))] ?? null;
    },
  });
}

/** What HAVING calls by a name of the projection. */
function aliased(expr: Expr & { readonly kind: 'name' }, { scope, select }: Grouping['plan']): Expr | null {
  if (expr.source !== null || scope.resolve(expr) !== null) return null;
  const item = select.items.find((each) => each.kind === 'expr' && each.alias === expr.name);
  return item?.kind === 'expr' ? item.expr : null;
}

/** Equal for expressions that mean the same column, qualified or not. */
function meaning(expr: Expr, scope: SelectScope): string {
  const column = expr.kind === 'name' ? scope.resolve(expr) : null;
  return column === null ? printExpression(expr) : `${column.input}.${column.column}`;
}
