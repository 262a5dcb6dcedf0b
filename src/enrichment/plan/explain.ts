import { tableName } from '../../model/table.ts';
import type { StreamSource, TableSource } from '../sources/catalog.ts';
import type { GroupPlan, WindowPlan } from './group-plan.ts';
import { GroupStore } from '../state/group-store.ts';
import type { JoinPlan } from './join-plan.ts';
import type { QueryPlan, TableQueryPlan } from './program.ts';
import { printExpression } from '../sql/print-expression.ts';
import { typeText } from '../sql/sql-type.ts';
import { nameText } from '../sql/words.ts';

/** How many rows a table has, where that is known. */
type RowCount = (table: TableSource) => number | null;

/** What a query does, one operator a line, innermost last. */
export function explainQuery(query: QueryPlan | TableQueryPlan, rowCount: RowCount = () => null): string {
  const { columns, target } = query;
  const ofTables = 'rows' in query;
  const group = ofTables ? (query.groups?.plan ?? null) : query.group;
  const lines = [
    `> WRITE ${target.name} to topic ${target.sink?.topic ?? ''}, keys ${target.sink?.keyFormat ?? ''}, values ${target.sink?.valueFormat ?? ''}` +
      (ofTables ? ': at most one record for a key in a transaction' : ''),
    `> PROJECT ${columns
      .map(({ name, type, key }) => `${nameText(name)} ${typeText(type)}${key ? ' KEY' : ''}`)
      .join(', ')}`,
  ];
  const { partitionBy } = query.select;
  if (partitionBy !== null) lines.push(`> PARTITION BY ${partitionBy.map(printExpression).join(', ')}`);
  if (group !== null) lines.push(aggregateLine(group));
  if (ofTables ? query.filtered : query.where !== null) lines.push('> FILTER');
  for (const join of query.joins.toReversed())
    lines.push(joinLine(join, !ofTables && query.ofTopic, rowCount));
  lines.push(
    ofTables ? `> READ ${query.from.name}: ${rowsOf(query.from, rowCount)}` : streamLine(query.input),
  );
  return lines.map((line, depth) => `${' '.repeat(depth)}${line}`).join('\n');
}

function aggregateLine({ window, aggregates, keys, having }: GroupPlan): string {
  const windows = window === null ? '' : ` in ${windowText(window)}`;
  return `> AGGREGATE ${aggregates.length} by ${keys.length} expression(s)${windows}${having === null ? '' : ', HAVING'}: state in the checkpoint`;
}

function windowText(window: WindowPlan): string {
  const late = `, ${window.graceMs} ms of grace`;
  if (window.kind === 'SESSION') return `SESSION windows with gaps of ${window.gapMs} ms${late}`;
  const { kind, sizeMs, advanceMs } = window;
  return `${kind} windows of ${sizeMs} ms${kind === 'HOPPING' ? ` every ${advanceMs} ms` : ''}${late}`;
}

function joinLine(
  { kind, table, asOf, left, right }: JoinPlan,
  ofTopic: boolean,
  rowCount: RowCount,
): string {
  const on = left.map((expr, i) => {
    const own = right[i];
    return `${printExpression(expr)} = ${own === undefined ? '' : printExpression(own)}`;
  });
  return `> ${kind} JOIN ${table.name} AS OF ${ofTopic ? 'THE TIME' : asOf} ON ${on.join(' AND ')}: ${ofTopic ? 'two logs, merged by time' : 'one log'}, no repartitioning; ${rowsOf(table, rowCount)}`;
}

function rowsOf(table: TableSource, rowCount: RowCount): string {
  const count = rowCount(table);
  return count === null ? stateOf(table) : `${stateOf(table)}, ${count} rows`;
}

function stateOf({ captured, topic, rows }: TableSource): string {
  if (topic !== null) return `the rows of topic ${topic.topic}, kept`;
  if (captured !== null)
    return `${captured.used.length} of ${captured.columns.length} columns of ${tableName(captured.id)}, kept`;
  return rows instanceof GroupStore
    ? 'groups that the checkpoint holds'
    : 'computed from its tables when asked for, nothing kept';
}

function streamLine({ name, captured, topic }: StreamSource): string {
  if (topic !== null)
    return `> READ ${name}: the records of topic ${topic.topic}, values ${topic.valueFormat}`;
  const from = captured === null ? `the results of ${name}` : `the changes of ${tableName(captured.id)}`;
  return `> READ ${name}: ${from}`;
}
