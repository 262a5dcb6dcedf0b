/**
 * Whether each partition can be worked off by itself: the events of a group, and the rows that they are joined with
 * where a table is not whole in each instance, have to lie in the partition of the same number.
 */
import { located, type Declared, type DeclaredEnrichment } from '../plan/declared.ts';
import type { CreateAs, CreateSource, Expr, InsertSelect, Select } from '../sql/ast.ts';
import { sqlError } from '../sql/sql-error.ts';

/** Names of the columns that events lie by; null where nobody knows what they lie by. */
type PartitionedBy = readonly string[] | null;

/** Throws what has to be partitioned anew first, and how that is written. */
export function checkPartitioning({ statements }: DeclaredEnrichment): void {
  const streams = new Map<string, PartitionedBy>();
  const partitionedTables = new Map<string, readonly string[]>();
  for (const each of statements) {
    const { statement, origin } = each;
    if (statement.kind === 'createSource') {
      const keys = keysOf(statement);
      if (statement.type === 'STREAM') streams.set(statement.name, keys.length === 0 ? null : keys);
      else if (isPartitioned(statement)) partitionedTables.set(statement.name, keys);
      continue;
    }
    const by = streams.get(statement.select.from.name) ?? null;
    located(origin, () => {
      checkJoins(each, statement, { by, partitionedTables });
      checkGroups(each, statement, by);
    });
    if (statement.kind === 'createAs') streams.set(statement.name, keptBy(statement.select, by));
  }
}

/** REPLICATION = 'PARTITIONED': an instance has the rows of its partitions only. */
function isPartitioned({ properties }: CreateSource): boolean {
  return properties.some(
    ({ key, value }) => key === 'REPLICATION' && String(value).toUpperCase() === 'PARTITIONED',
  );
}

function keysOf({ columns }: CreateSource): readonly string[] {
  return columns.flatMap(({ name, role }) => (role === 'KEY' || role === 'PRIMARY KEY' ? [name] : []));
}

function checkGroups({ parsed }: Declared, { select }: CreateAs | InsertSelect, by: PartitionedBy): void {
  const { groupBy, at } = select;
  if (groupBy === null) return;
  const names = groupBy.map((expr) => (expr.kind === 'name' ? expr.name : null));
  if (by !== null && by.every((name) => names.includes(name))) return;
  throw sqlError(
    parsed.source,
    groupBy[0]?.at ?? at,
    `the events of a group lie in several partitions, which instances share (enrich.shared): let one query write them ` +
      `with PARTITION BY, declare its topic as a stream with that column as KEY, and group that stream by it; or do without enrich.shared`,
  );
}

function checkJoins(
  { parsed }: Declared,
  { select }: CreateAs | InsertSelect,
  {
    by,
    partitionedTables,
  }: { readonly by: PartitionedBy; readonly partitionedTables: ReadonlyMap<string, readonly string[]> },
): void {
  for (const { source, on } of select.joins) {
    const keys = partitionedTables.get(source.name);
    if (keys === undefined) continue;
    const own = new Set([source.name, source.alias ?? source.name]);
    const sides = equalities(on).map(([left, right]) => (isOf(left, own, keys) ? right : left));
    const names = sides.map((side) => (side.kind === 'name' ? side.name : null));
    if (by !== null && by.length === names.length && by.every((name) => names.includes(name))) continue;
    throw sqlError(
      parsed.source,
      source.at,
      `${source.name} is PARTITIONED, and these events do not lie by what they are joined on: leave REPLICATION out, ` +
        `so that each instance has all rows, or let a query write the events with PARTITION BY first and declare its topic as a stream with that KEY`,
    );
  }
}

function isOf(expr: Expr, own: ReadonlySet<string>, keys: readonly string[]): boolean {
  if (expr.kind !== 'name' || !keys.includes(expr.name)) return false;
  return expr.source === null || own.has(expr.source);
}

function equalities(on: Expr): readonly (readonly [Expr, Expr])[] {
  if (on.kind === 'comparison') return [[on.left, on.right]];
  return on.kind === 'and' ? [...equalities(on.left), ...equalities(on.right)] : [];
}

/** By what the results lie, in the partitions where the query works them off. */
function keptBy({ items, partitionBy }: Select, by: PartitionedBy): PartitionedBy {
  if (by === null || partitionBy !== null) return null;
  return by.map((key) => {
    for (const item of items) {
      if (item.kind === 'expr' && item.expr.kind === 'name' && item.expr.name === key)
        return item.alias ?? key;
    }
    return key;
  });
}
