/** Queries as SHOW QUERIES, DESCRIBE and EXPLAIN tell of them. */
import { explainQuery } from '../../enrichment/plan/explain.ts';
import type { LiveQueries, RunningSelect } from '../../enrichment/queries/live-queries.ts';
import type { QueryDesk } from '../../enrichment/queries/query-desk.ts';
import type { PausedStatement } from '../../enrichment/plan/program.ts';
import type { PullPlan, SelectPlan } from '../../enrichment/queries/select-plan.ts';
import { type PersistentQuery, sourcesOf } from '../../enrichment/queries/statement-changes.ts';
import type { SqlColumn } from '../../enrichment/sources/captured-source.ts';
import type { Source } from '../../enrichment/sources/catalog.ts';
import type { SqlType } from '../../enrichment/sql/sql-type.ts';

/** A client's SELECT with EMIT CHANGES that is under way. */
export interface PushedQuery {
  readonly text: string;
  readonly running: RunningSelect;
}

export function windowTypeOf(query: PersistentQuery | undefined): string | null {
  if (query === undefined) return null;
  const group = 'rows' in query ? query.groups?.plan : query.group;
  return group?.window?.kind ?? null;
}

type State = 'RUNNING' | 'PAUSED' | 'ERROR';

function stateOf(query: PersistentQuery, running: Iterable<LiveQueries>): State {
  if (!('held' in query)) return 'RUNNING';
  if (query.held) return 'PAUSED';
  const waits = [...running].some(({ basis }) => basis.topics?.waiting.has(query) === true);
  return waits ? 'ERROR' : 'RUNNING';
}

/** `running`: the programs among which the query's is. */
export function queryListing(query: PersistentQuery, running: Iterable<LiveQueries>): object {
  const { id, statement, target } = query;
  const sink = { name: target.name, topics: [target.sink?.topic ?? ''] };
  return listing(statement, { id, sink, type: 'PERSISTENT', state: stateOf(query, running) });
}

/** Of a statement that starts one. */
export function pausedListing({ id, statement, target }: PausedStatement): readonly object[] {
  if (id === null) return [];
  const sink = target === null ? null : { name: target, topics: [] };
  return [listing(statement, { id, sink, type: 'PERSISTENT', state: 'ERROR' })];
}

export function pushListing([id, { text }]: readonly [string, PushedQuery]): object {
  return listing(text, { id, sink: null, type: 'PUSH', state: 'RUNNING' });
}

function listing(
  queryString: string,
  {
    id,
    sink,
    type,
    state,
  }: {
    readonly id: string;
    readonly sink: { readonly name: string; readonly topics: readonly string[] } | null;
    readonly type: 'PERSISTENT' | 'PUSH';
    readonly state: State;
  },
): object {
  return {
    queryString,
    sinks: sink === null ? [] : [sink.name],
    sinkKafkaTopics: sink?.topics ?? [],
    id,
    statusCount: { [state]: 1 },
    queryType: type,
    state,
  };
}

/** As the tables are that run: those of a statement that is only looked at are empty. */
function rowCountIn({ running }: QueryDesk): (table: Pick<Source, 'name'>) => number | null {
  return ({ name }) => {
    for (const queries of running.values()) {
      const found = queries.program.catalog.get(name);
      if (found !== undefined) return queries.rowCount(found);
    }
    return null;
  };
}

export function queryDescription(plan: PersistentQuery, desk: QueryDesk): object {
  const { id, statement, columns, target } = plan;
  return {
    id,
    statementText: statement,
    windowType: windowTypeOf(plan),
    fields: fieldsOf(columns),
    sources: sourcesOf(plan),
    sinks: [target.name],
    topology: '',
    executionPlan: explainQuery(plan, rowCountIn(desk)),
    overriddenProperties: {},
    ksqlHostQueryStatus: {},
    queryType: 'PERSISTENT',
    queryErrors: [],
    tasksMetadata: [],
    state: stateOf(plan, desk.running.values()),
    consumerGroupId: '',
  };
}

export function selectDescription(plan: SelectPlan, text: string, desk: QueryDesk): object {
  const over =
    plan.kind === 'pull' && plan.over === 'table'
      ? pullText(plan, rowCountIn(desk)(plan.table))
      : plan.over === 'table'
        ? `> FOLLOW ${plan.table.name}: each change, once it is durable`
        : explainQuery(plan.query, rowCountIn(desk)).split('\n').slice(1).join('\n');
  return {
    id: '',
    statementText: text,
    windowType: null,
    fields: fieldsOf(plan.columns),
    sources: plan.over === 'table' ? [plan.table.name] : sourcesOf(plan.query),
    sinks: [],
    topology: '',
    executionPlan: over,
    overriddenProperties: {},
    ksqlHostQueryStatus: {},
    queryType: plan.kind.toUpperCase(),
    queryErrors: [],
    tasksMetadata: [],
    state: null,
    consumerGroupId: '',
  };
}

function pullText({ keys, groups, table }: PullPlan, rows: number | null): string {
  const read =
    keys === null
      ? `> SCAN ${table.name}: all${rows === null ? '' : ` ${rows}`} rows, as of the last durable commit`
      : `> LOOK UP ${keys.length} key(s) of ${table.name}, as of the last durable commit`;
  if (groups === null) return read;
  const { aggregates, keys: by } = groups.plan;
  return `> AGGREGATE ${aggregates.length} by ${by.length} expression(s): nothing kept\n ${read}`;
}

export function fieldsOf(columns: readonly SqlColumn[]): readonly object[] {
  return columns.map(({ name, type, key }) => ({
    name,
    schema: schemaOf(type),
    ...(key ? { type: 'KEY' } : {}),
  }));
}

function schemaOf(type: SqlType): object {
  const plain = { type: type.kind, fields: null, memberSchema: null };
  switch (type.kind) {
    case 'DECIMAL':
      return type.precision === null
        ? plain
        : { ...plain, parameters: { precision: type.precision, scale: type.scale } };
    case 'ARRAY':
      return { ...plain, memberSchema: schemaOf(type.element) };
    case 'MAP':
      return { ...plain, memberSchema: schemaOf(type.value) };
    case 'STRUCT':
      return {
        ...plain,
        fields: type.fields.map((field) => ({ name: field.name, schema: schemaOf(field.type) })),
      };
    default:
      return plain;
  }
}
