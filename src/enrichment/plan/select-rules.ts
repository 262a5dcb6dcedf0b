/** What the clauses of a persistent query's SELECT mean together, and how its columns are written. */
import type { JoinPlan } from './join-plan.ts';
import type { KeyRule, OutputColumn } from './projection.ts';
import type { HeadwaterError } from '../../errors/headwater-error.ts';
import type { SqlColumn } from '../sources/captured-source.ts';
import type { InsertSelect, Select } from '../sql/ast.ts';
import { tryCoerce } from '../sql/coerce.ts';
import { notSupported, type SourceText, sqlError } from '../sql/sql-error.ts';
import { type SqlType, typeText } from '../sql/sql-type.ts';
import { nameText } from '../sql/words.ts';

/** What becomes the key of a query's rows. */
export function keyRule(select: Select, joins: readonly JoinPlan[], source: SourceText): KeyRule {
  const { partitionBy } = select;
  if (partitionBy !== null) {
    if (partitionBy.length === 0) throw sqlError(source, select.at, 'PARTITION BY needs an expression');
    return { kind: 'partition', by: partitionBy };
  }
  const last = joins.at(-1);
  if (last === undefined) return { kind: 'own' };
  const [left, right, value] = [last.left[0], last.right[0], last.values[0]];
  // A key of several columns stays that of the stream.
  if (left === undefined || right === undefined || value === undefined || last.left.length > 1)
    return { kind: 'own' };
  return { kind: 'join', left, right, value };
}

/** Throws for clauses that do not go together, or not in a query that runs for ever. */
export function refuseLater(source: SourceText, select: Select): void {
  const { groupBy, window, having, partitionBy, emit, limit, at } = select;
  if (groupBy === null && window !== null) throw sqlError(source, window.at, 'WINDOW belongs to GROUP BY');
  if (groupBy === null && having !== null)
    throw sqlError(source, at, 'HAVING belongs to GROUP BY; write WHERE');
  if (groupBy !== null && partitionBy !== null)
    throw sqlError(source, at, 'GROUP BY gives the key already; leave PARTITION BY out');
  if (emit === 'FINAL') throw notSupported(source, at, 'EMIT FINAL is not in this version');
  if (limit !== null) throw sqlError(source, at, 'a query that runs for ever cannot have a LIMIT');
}

/** What INSERT INTO writes into the columns of a stream; throws where the SELECT gives other ones. */
export function insertedColumns(
  source: SourceText,
  {
    statement: { name, at },
    into,
    given,
  }: {
    readonly statement: Pick<InsertSelect, 'name' | 'at'>;
    readonly into: readonly SqlColumn[];
    readonly given: readonly OutputColumn[];
  },
): readonly OutputColumn[] {
  const refused = (): HeadwaterError =>
    sqlError(
      source,
      at,
      `${name} has the columns ${signature(into)}, and the SELECT gives ${signature(given)}`,
    );
  if (given.length !== into.length) throw refused();
  return into.map((column, i) => {
    const own = given[i]!;
    // What EXPLODE takes apart is converted as a whole.
    const whole = (type: SqlType): SqlType => (own.explodes ? { kind: 'ARRAY', element: type } : type);
    const value = tryCoerce({ type: whole(own.type), run: own.run, at }, whole(column.type));
    if (value === null || own.key !== column.key) throw refused();
    return { ...column, run: value.run, expr: own.expr, explodes: own.explodes };
  });
}

/** Columns as a person would write them. */
function signature(columns: readonly Pick<OutputColumn, 'name' | 'type' | 'key'>[]): string {
  return columns
    .map(({ name, type, key }) => `${nameText(name)} ${typeText(type)}${key ? ' KEY' : ''}`)
    .join(', ');
}
