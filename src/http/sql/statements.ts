/** `POST /ksql`: what can be asked about the program, one entity a statement. */
import type { ListedTopic } from '../../emitter/topic-admin.ts';
import { entryOf } from '../../errors/catalogue.ts';
import type { Source } from '../../enrichment/sources/catalog.ts';
import type { LiveQueries } from '../../enrichment/queries/live-queries.ts';
import type { QueryDesk } from '../../enrichment/queries/query-desk.ts';
import { planSelect } from '../../enrichment/queries/select-plan.ts';
import {
  type PersistentQuery,
  sourcesOf,
  StatementChanges,
} from '../../enrichment/queries/statement-changes.ts';
import { formatsOf } from '../../enrichment/plan/sink-format.ts';
import type { Select, Statement } from '../../enrichment/sql/ast.ts';
import { printStatement } from '../../enrichment/sql/print-statement.ts';
import type { Parsed } from '../../enrichment/sql/parse-statement.ts';
import { notSupported, sqlError } from '../../enrichment/sql/sql-error.ts';
import { SqlApiError } from './api-error.ts';
import { describeFunction, functionNames } from './functions.ts';
import { consumersOf, kafkaOf } from './kafka-facts.ts';
import {
  fieldsOf,
  pausedListing,
  type PushedQuery,
  pushListing,
  queryDescription,
  queryListing,
  selectDescription,
  windowTypeOf,
} from './query-descriptions.ts';
import { defaultProperties, readOptions } from './select-request.ts';

export interface StatementContext {
  readonly desk: QueryDesk;
  /** Properties of the request; SET and UNSET change them for the statements behind. */
  readonly properties: Map<string, string>;
  /** By names in upper case; DEFINE and UNDEFINE change them likewise. */
  readonly variables: Map<string, string>;
  /** Queries of clients with EMIT CHANGES, by their ids. */
  readonly pushed: ReadonlyMap<string, PushedQuery>;
  readonly signal: AbortSignal;
}

/** As it is answered, with the statement that it is the result of. */
export function entityOf(
  entity: object,
  { text, warnings }: { readonly text: string; readonly warnings: readonly string[] },
): object {
  return {
    ...entity,
    statementText: `${text.trim()};`,
    warnings: warnings.map((message) => ({ message })),
  };
}

/** The result, or null for a statement without one. Throws what is wrong with it. */
export async function answerStatement(parsed: Parsed, context: StatementContext): Promise<object | null> {
  const { statement } = parsed;
  if (statement.kind === 'explain') return explanation(parsed, statement.statement, context);
  if (statement.kind === 'show' && statement.what === 'TOPICS') return topics(context, statement);
  const extended = (statement.kind === 'describe' || statement.kind === 'show') && statement.extended;
  const sizes = extended
    ? new Map((await listed(context)).map(({ name, replicas }) => [name, replicas]))
    : null;
  return resultOf(parsed, parsed.statement, { ...context, sizes });
}

/** Replicas of each partition, by topic. */
type TopicSizes = ReadonlyMap<string, readonly number[]>;
const NO_SIZES: TopicSizes = new Map();

/** `sizes`: null unless EXTENDED. */
type ResultContext = StatementContext & { readonly sizes: TopicSizes | null };

function resultOf(parsed: Parsed, statement: Statement, context: ResultContext): object | null {
  const { desk, properties } = context;
  const { source } = parsed;
  const { at } = statement;
  switch (statement.kind) {
    case 'show':
      return show(statement, context);
    case 'describe': {
      return {
        '@type': 'sourceDescription',
        sourceDescription: describe(desk.programOf(statement.name, source, at), context.sizes),
      };
    }
    case 'describeAll': {
      const wanted = statement.what === 'STREAMS' ? 'STREAM' : 'TABLE';
      const described = everything(desk)
        .filter(({ found }) => found.kind === wanted)
        .map((each) => describe(each, null));
      return { '@type': 'source_descriptions', sourceDescriptions: described };
    }
    case 'explainQuery': {
      const plan = persistent(desk).find(({ id }) => id === statement.id);
      if (plan === undefined)
        throw sqlError(
          source,
          at,
          `there is no query ${statement.id}${listText(persistent(desk).map(({ id }) => id))}`,
        );
      return { '@type': 'queryDescription', queryDescription: queryDescription(plan, desk) };
    }
    case 'explain':
      throw new TypeError('What is explained is compiled first.');
    case 'set':
      properties.set(statement.name, statement.value);
      return null;
    case 'unset':
      properties.delete(statement.name);
      return null;
    case 'select':
    case 'print':
      throw new SqlApiError(
        40002,
        'SELECT and PRINT belong to /query-stream or /query, and all other statements to this endpoint.',
      );
    case 'alter':
      throw notSupported(source, at, 'ALTER is not in this version: DROP and CREATE it');
    case 'createSource':
    case 'createAs':
    case 'insertSelect':
    case 'drop':
    case 'terminate':
    case 'pause':
    case 'resume':
    case 'insertValues':
      throw new TypeError('What changes something is carried out, and not answered.');
    case 'unsupported':
      throw notSupported(source, at, `${statement.what} is not supported`);
    case 'define':
      context.variables.set(statement.name, statement.value);
      return null;
    case 'undefine':
      context.variables.delete(statement.name);
      return null;
    case 'describeFunction':
      return describeFunction(statement.name, source, at);
    case 'createType':
      throw notSupported(source, at, 'types of your own are not in this version: write the type out');
  }
}

type ShowStatement = Extract<Statement, { readonly kind: 'show' }>;

function show(
  { what, extended }: ShowStatement,
  { desk, properties, variables, pushed, sizes }: ResultContext,
): object {
  switch (what) {
    case 'STREAMS':
    case 'TABLES': {
      const wanted = what === 'STREAMS' ? 'STREAM' : 'TABLE';
      const found = everything(desk).filter((each) => each.found.kind === wanted);
      if (extended)
        return {
          '@type': 'source_descriptions',
          sourceDescriptions: found.map((each) => describe(each, sizes ?? NO_SIZES)),
        };
      const list = found.map((each) => listing(each.queries, each.found));
      return wanted === 'STREAM'
        ? { '@type': 'streams', streams: list }
        : { '@type': 'tables', tables: list };
    }
    case 'QUERIES':
      return extended
        ? {
            '@type': 'query_descriptions',
            queryDescriptions: [
              ...persistent(desk).map((plan) => queryDescription(plan, desk)),
              ...[...pushed].map(
                ([
                  id,
                  {
                    text,
                    running: { plan },
                  },
                ]) => ({
                  ...selectDescription(plan, text, desk),
                  id,
                  state: 'RUNNING',
                }),
              ),
            ],
          }
        : {
            '@type': 'queries',
            queries: [
              ...persistent(desk).map((query) => queryListing(query, desk.running.values())),
              ...[...desk.running.values()].flatMap(({ program }) => program.paused.flatMap(pausedListing)),
              ...[...pushed].map(pushListing),
            ],
          };
    case 'FUNCTIONS':
      return functionNames();
    case 'PROPERTIES': {
      const defaults = defaultProperties(desk);
      const all = new Map([...defaults, ...properties]);
      return {
        '@type': 'properties',
        properties: [...all].map(([name, value]) => ({
          name,
          scope: 'KSQL',
          value,
          editable: true,
          level: 'QUERY',
        })),
        overwrittenProperties: [...properties.keys()],
        defaultProperties: [...defaults.keys()].filter((name) => !properties.has(name)),
      };
    }
    case 'VARIABLES':
      return {
        '@type': 'variables',
        variables: [...variables].map(([name, value]) => ({ name, value })),
      };
    case 'TOPICS':
      throw new TypeError('Kafka is asked for its topics.');
    // CREATE TYPE is not in this version.
    case 'TYPES':
      return { '@type': 'type_list', types: {} };
  }
}

interface Named {
  readonly queries: LiveQueries;
  readonly found: Source;
}

function everything(desk: QueryDesk): readonly Named[] {
  if (desk.running.size === 0)
    throw new SqlApiError(50302, `No pipeline with statements runs. ${entryOf('query.not-running').advice}`);
  return [...desk.running.values()].flatMap((queries) =>
    [...queries.program.catalog.all()].map((found) => ({ queries, found })),
  );
}

function persistent(desk: QueryDesk): readonly PersistentQuery[] {
  return [...desk.running.values()].flatMap((queries) => persistentOf(queries));
}

function persistentOf({ program }: LiveQueries): readonly PersistentQuery[] {
  return [...program.queries, ...program.tables];
}

function isWindowed(source: Source): boolean {
  return (
    source.kind === 'TABLE' && source.result !== null && source.columns.length > source.result.columns.length
  );
}

function listing(queries: LiveQueries, source: Source): object {
  const formats = formatsOf(source);
  return {
    type: source.kind,
    name: source.name,
    topic: queries.topicOf(source),
    keyFormat: formats?.keyFormat ?? 'JSON',
    valueFormat: formats?.valueFormat ?? 'JSON',
    isWindowed: isWindowed(source),
  };
}

/** `sizes`: null unless EXTENDED. */
function describe({ queries, found: source }: Named, sizes: TopicSizes | null): object {
  const all = persistentOf(queries);
  const kept = sizes === null ? null : queries.keptRows(source);
  const replicas = sizes?.get(queries.topicOf(source)) ?? [];
  const reads = all.filter((query) => sourcesOf(query).includes(source.name));
  const writes = all.filter(({ target }) => target.name === source.name);
  return {
    ...listing(queries, source),
    windowType: windowTypeOf(writes[0]),
    readQueries: reads.map((query) => queryListing(query, [queries])),
    writeQueries: writes.map((query) => queryListing(query, [queries])),
    fields: fieldsOf(source.columns),
    timestamp: timestampOf(source),
    statistics: kept === null ? '' : `rows: ${kept.rows}, ${kept.complete ? 'complete' : 'still being read'}`,
    errorStats: '',
    extended: sizes !== null,
    partitions: replicas.length,
    replication: replicas[0] ?? 0,
    statement: declarationOf(queries, source.name),
    queryOffsetSummaries: [],
    sourceConstraints: [],
    clusterStatistics: [],
    clusterErrorStats: [],
  };
}

/** The column that gives the time of its events. */
function timestampOf(source: Source): string {
  const stream = source.kind === 'STREAM' ? source : source.result;
  const index = (source.topic ?? stream?.sink)?.timestamp?.index;
  return index === undefined ? '' : (source.columns[index]?.name ?? '');
}

function declarationOf({ basis }: LiveQueries, name: string): string {
  const declared = basis.declared.statements.find(
    ({ statement }) => statement.kind !== 'insertSelect' && statement.name === name,
  );
  return declared === undefined ? '' : printStatement(declared.statement);
}

/** All there are; without Kafka those of the statements. */
async function listed({ desk }: StatementContext): Promise<readonly ListedTopic[]> {
  const access = kafkaOf(desk);
  if (access === null) {
    const named = new Set(everything(desk).map((each) => each.queries.topicOf(each.found)));
    return [...named].sort().map((name) => ({ name, replicas: [] }));
  }
  await using admin = await access.openAdmin();
  return await admin.list();
}

async function topics(context: StatementContext, { extended }: ShowStatement): Promise<object> {
  const all = (await listed(context)).map(({ name, replicas }) => ({ name, replicaInfo: replicas }));
  if (!extended) return { '@type': 'kafka_topics', topics: all };
  const consumers = await consumersOf(context.desk);
  const counted = all.map((each) => {
    const { consumers: consumerCount = 0, groups: consumerGroupCount = 0 } = consumers.get(each.name) ?? {};
    return { ...each, consumerCount, consumerGroupCount };
  });
  return { '@type': 'kafka_topics_extended', topics: counted };
}

/** The statement is compiled, and not run. */
async function explanation(parsed: Parsed, statement: Statement, context: StatementContext): Promise<object> {
  const { source } = parsed;
  const { desk, signal } = context;
  switch (statement.kind) {
    case 'select':
      return {
        '@type': 'queryDescription',
        queryDescription: explained(parsed, statement.select, context),
      };
    case 'createAs':
    case 'insertSelect': {
      const { from } = statement.select;
      const { queries } = desk.programOf(from.name, source, from.at);
      const tried = await new StatementChanges(queries, signal).create(
        { ...parsed, statement },
        { fromLatest: false, opens: false },
      );
      if (tried.kind !== 'created' || tried.query === null)
        return { '@type': 'warning_entity', message: 'There is such a one already.' };
      return { '@type': 'queryDescription', queryDescription: queryDescription(tried.query, desk) };
    }
    default:
      throw notSupported(
        source,
        statement.at,
        'EXPLAIN takes a SELECT, CREATE … AS SELECT, INSERT INTO … SELECT, or the id of a query (SHOW QUERIES lists them)',
      );
  }
}

function explained(parsed: Parsed, select: Select, { desk, properties }: StatementContext): object {
  const { source, warnings } = parsed;
  const { queries } = desk.programOf(select.from.name, source, select.from.at);
  const options = readOptions(properties);
  const plan = planSelect(
    { select, parsed: { ...parsed, warnings }, ...options },
    queries.program,
    queries.dialect,
  );
  return {
    ...selectDescription(plan, source.text.trim(), desk),
    overriddenProperties: Object.fromEntries(properties),
  };
}

function listText(names: readonly string[]): string {
  return names.length === 0 ? '' : `; there are ${names.join(', ')}`;
}
