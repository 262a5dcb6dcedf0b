/** A statement's SELECT, compiled against the streams and tables that there are so far. */
import { Replica } from '../state/replica.ts';
import type { Catalog } from '../sources/catalog.ts';
import { compileCondition } from '../sql/compile.ts';
import type { Select, SourceRef } from '../sql/ast.ts';
import { notSupported, type SourceText, sqlError } from '../sql/sql-error.ts';
import { TopicTable } from '../topics/topic-table.ts';
import type { Declared, DeclaredEnrichment } from './declared.ts';
import { planGroups } from './group-plan.ts';
import { compileJoins } from './join-plan.ts';
import type { QueryPlan, TableQueryPlan } from './program.ts';
import { type Projection, projectColumns } from './projection.ts';
import { SelectScope } from './select-scope.ts';
import { keyRule, refuseLater } from './select-rules.ts';
import { compileTableSelect, type TableSelect } from './table-select.ts';

export interface KnownSources extends Pick<DeclaredEnrichment, 'dialect'> {
  readonly catalog: Catalog;
  /** Names that stand for topics, and for results of queries over them. */
  readonly ofTopics: ReadonlySet<string>;
}

export interface StreamSelect
  extends
    Projection,
    Pick<
      QueryPlan,
      'select' | 'scope' | 'input' | 'joins' | 'where' | 'group' | 'usesChange' | 'ofTopic' | 'warnings'
    > {
  readonly kind: 'STREAM';
}

export interface FromTable extends TableSelect, Pick<TableQueryPlan, 'select' | 'scope'> {
  readonly kind: 'TABLE';
  readonly warnings: readonly string[];
}

/** Throws HeadwaterError that points into the statement. */
export function compileSelect(
  { parsed }: Declared,
  select: Select,
  known: KnownSources,
): StreamSelect | FromTable {
  const { dialect, catalog, ofTopics } = known;
  const { source } = parsed;
  refuseLater(source, select);
  const warnings: string[] = [];
  const scope = new SelectScope(source, dialect, warnings);
  const { from } = select;
  const input = catalog.find(from.name, { source, offset: from.at });
  if (from.asOf !== null)
    throw sqlError(source, from.at, 'FOR SYSTEM_TIME belongs to the table that is joined');
  scope.add({ source: input, alias: from.alias ?? from.name }, from.at);
  if (input.kind === 'TABLE' && ofTopics.has(from.name))
    throw notSupported(
      source,
      from.at,
      `${from.name} is made of a topic: a stream can be joined with it and it can be asked, but no other query can read it in this version`,
    );
  if (input.kind === 'TABLE')
    return {
      kind: 'TABLE',
      ...compileTableSelect(select, input, { scope, catalog }),
      select,
      scope,
      warnings,
    };
  const joins = compileJoins(select.joins, { scope, catalog });
  const where =
    select.where === null ? null : compileCondition(select.where, scope, 'the condition of WHERE');
  const { group, columns, keyOrder } =
    select.groupBy === null
      ? { group: null, ...projectColumns(select, scope, keyRule(select, joins, source)) }
      : planGroups(select, scope);
  const { usesChange } = scope;
  const ofTopic = ofTopics.has(from.name);
  for (const { source: joined } of select.joins) checkJoined(source, joined, { ofTopic, known });
  return {
    kind: 'STREAM',
    select,
    scope,
    ofTopic,
    input,
    joins,
    where,
    columns,
    keyOrder,
    group,
    usesChange,
    warnings,
  };
}

/** Captured tables and those of topics meet events of topics by time; no other tables do. */
function checkJoined(
  source: SourceText,
  { name, asOf, at }: SourceRef,
  { ofTopic, known }: { readonly ofTopic: boolean; readonly known: KnownSources },
): void {
  const { catalog, ofTopics } = known;
  const table = catalog.get(name);
  if (!ofTopic) {
    if (!ofTopics.has(name)) return;
    throw notSupported(
      source,
      at,
      `${name} is made of a topic, and events of a captured table cannot be joined with it in this version`,
    );
  }
  if (table?.kind !== 'TABLE') return;
  if (!(table.rows instanceof Replica) && !(table.rows instanceof TopicTable))
    throw notSupported(
      source,
      at,
      `a topic is joined with captured tables and those of topics in this version, and ${name} is made by a query`,
    );
  if (asOf !== null)
    throw sqlError(
      source,
      at,
      'FOR SYSTEM_TIME is of a table and a stream of one log; the events of a topic see the table as of their time',
    );
}
