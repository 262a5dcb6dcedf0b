import { tableName } from '../model/table.ts';
import type { QueryPlan } from './program.ts';
import { printExpression } from './sql/print-expression.ts';
import { typeText } from './sql/sql-type.ts';
import { nameText } from './sql/words.ts';

/** What a query does, one operator a line, innermost last. */
export function explainQuery({ input, joins, where, group, columns, target }: QueryPlan): string {
  const lines = [
    `> WRITE ${target.name} to topic ${target.sink?.topic ?? ''}, keys ${target.sink?.keyFormat ?? ''}, values JSON`,
    `> PROJECT ${columns
      .map(({ name, type, key }) => `${nameText(name)} ${typeText(type)}${key ? ' KEY' : ''}`)
      .join(', ')}`,
  ];
  if (group !== null) {
    const { window } = group;
    const size = window === null ? 0 : window.kind === 'SESSION' ? window.gapMs : window.sizeMs;
    const windows = window === null ? '' : ` in ${window.kind} windows of ${size} ms`;
    lines.push(
      `> AGGREGATE ${group.aggregates.length} by ${group.keys.length} expression(s)${windows}${group.having === null ? '' : ', HAVING'}: state in the checkpoint`,
    );
  }
  if (where !== null) lines.push('> FILTER');
  for (const { kind, table, replica, asOf, left, right } of joins.toReversed()) {
    const on = left.map((expr, i) => {
      const own = right[i];
      return `${printExpression(expr)} = ${own === undefined ? '' : printExpression(own)}`;
    });
    const kept = replica.captured.used.length;
    lines.push(
      `> ${kind} JOIN ${table} AS OF ${asOf} ON ${on.join(' AND ')}: one log, no repartitioning; ${kept} of ${replica.captured.columns.length} columns of ${tableName(replica.captured.id)} in memory`,
    );
  }
  const from =
    input.captured === null
      ? `the results of ${input.name}`
      : `the changes of ${tableName(input.captured.id)}`;
  lines.push(`> READ ${input.name}: ${from}`);
  return lines.map((line, depth) => `${' '.repeat(depth)}${line}`).join('\n');
}
