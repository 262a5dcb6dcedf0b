/** Analyses the statements of a settings file against the captured tables, and compiles them. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { SqlColumn } from '../sources/captured-source.ts';
import { keysInOrder, type StreamSource } from '../sources/catalog.ts';
import { type Declared, type DeclaredEnrichment, located, sinkTopic } from './declared.ts';
import { compileSelect, type FromTable, type KnownSources, type StreamSelect } from './compile-select.ts';
import type { OutputColumn } from './projection.ts';
import { GroupStore } from '../state/group-store.ts';
import type { PausedStatement, Program, ProgramContext, QueryPlan, TableQueryPlan } from './program.ts';
import { ProgramNames } from './program-names.ts';
import { insertedColumns } from './select-rules.ts';
import { sinkFormat } from './sink-format.ts';
import { SourceCompiler } from './source-compiler.ts';
import type { CreateAs, InsertSelect, Select } from '../sql/ast.ts';
import { printStatement } from '../sql/print-statement.ts';
import { notSupported, sqlError } from '../sql/sql-error.ts';
import { BIGINT } from '../sql/sql-type.ts';
import { statementHash } from '../sql/statement-hash.ts';

/** Throws HeadwaterError with the text's name, line and column. */
export function compileProgram(declared: DeclaredEnrichment, context: ProgramContext): Program {
  const compiler = new Compiler(declared, context);
  for (const each of declared.statements) compiler.addOrPause(each);
  return compiler.program;
}

class Compiler {
  readonly #context: ProgramContext;
  readonly #names: ProgramNames;
  readonly #sources: SourceCompiler;
  readonly #queries: QueryPlan[] = [];
  readonly #tables: TableQueryPlan[] = [];
  readonly #known: KnownSources;
  /** Of each name the hash of its statement and of all that it reads: what is kept of another one is of no use. */
  readonly #lineage = new Map<string, string>();
  readonly #mayPause: boolean;
  readonly #compiled: string[] = [];
  readonly #paused: PausedStatement[] = [];
  /** What is not made since it is refused, or what it is made of. */
  readonly #waiting = new Map<string, HeadwaterError>();
  #numbered = 0;
  /** Numbers that are those of clients' statements. */
  readonly #taken: ReadonlySet<number>;

  constructor(
    { dialect, statements, unreadable, sharedTopics }: DeclaredEnrichment,
    context: ProgramContext,
  ) {
    this.#names = new ProgramNames(sharedTopics, context.tableTopics);
    this.#sources = new SourceCompiler(this.#names, context);
    const { catalog, ofTopics } = this.#names;
    this.#known = { dialect, catalog, ofTopics };
    this.#context = context;
    const written = statements.filter(({ made }) => made === null);
    this.#mayPause = written.every(({ statement }) =>
      context.known.has(statementHash(printStatement(statement))),
    );
    this.#taken = new Set(statements.flatMap(({ made }) => made?.number ?? []));
    for (const { made, error } of unreadable)
      this.#paused.push({
        hash: statementHash(made.sql),
        statement: made.sql,
        target: null,
        id: null,
        query: null,
        error,
      });
  }

  get program(): Program {
    const { streams, topicTables } = this.#sources;
    return {
      queries: this.#queries,
      tables: this.#tables,
      replicas: this.#sources.replicas(),
      streams,
      topicTables,
      catalog: this.#names.catalog,
      compiled: this.#compiled,
      paused: this.#paused,
    };
  }

  /** A script that was followed as it is has not become wrong by itself: what does not fit any more is paused. */
  addOrPause(declared: Declared): void {
    const { statement, origin, made } = declared;
    const text = printStatement(statement);
    const hash = statementHash(text);
    const refused = this.#refusedBy(statement);
    if (refused !== null) {
      this.#pause({ hash, statement: text, error: refused }, declared);
      return;
    }
    try {
      // One that is made anew, by the same words, begins anew.
      const own = made === null ? text : `${made.number} ${text}`;
      if (statement.kind === 'createAs')
        this.#lineage.set(statement.name, this.#lineageOf(own, statement.select));
      located(origin, () => this.#add(declared));
      this.#compiled.push(hash);
    } catch (error) {
      if (!this.#mayBePaused(declared) || !(error instanceof HeadwaterError)) throw error;
      this.#pause({ hash, statement: text, error }, declared);
    }
  }

  #pause(paused: Omit<PausedStatement, 'target' | 'id' | 'query'>, declared: Declared): void {
    const { statement, made } = declared;
    const target = statement.kind === 'insertSelect' ? null : statement.name;
    if (statement.kind === 'createSource') {
      this.#paused.push({ ...paused, target, id: null, query: null });
      return;
    }
    const writesStream = statement.kind === 'insertSelect' || statement.type === 'STREAM';
    const query = {
      target: { name: statement.name },
      input: { name: statement.select.from.name },
      made: made?.number ?? null,
      behind: this.#queries.filter(({ ofTopic }) => ofTopic).length,
    };
    // The ids of those behind it stay what they were.
    this.#paused.push({ ...paused, target, id: this.#queryId(declared), query: writesStream ? query : null });
  }

  /** Why a statement waits: its results are refused, or those of one that it names. */
  #refusedBy(statement: Declared['statement']): HeadwaterError | null {
    if (statement.kind === 'createSource') return null;
    const own = statement.kind === 'createAs' ? this.#context.refused?.get(statement.name) : undefined;
    const { from, joins } = statement.select;
    const named = [statement.name, from.name, ...joins.map(({ source }) => source.name)];
    const found = own ?? named.flatMap((name) => this.#waiting.get(name) ?? [])[0] ?? null;
    if (found !== null && statement.kind === 'createAs') this.#waiting.set(statement.name, found);
    return found;
  }

  #mayBePaused({ made }: Declared): boolean {
    const { trialFrom } = this.#context;
    return made === null ? this.#mayPause : trialFrom === null || made.number < trialFrom;
  }

  #number(made: Declared['made']): number {
    if (made !== null) return made.number;
    while (this.#taken.has(this.#numbered)) this.#numbered++;
    return this.#numbered++;
  }

  #lineageOf(text: string, { from, joins }: Select): string {
    const read = [from.name, ...joins.map(({ source }) => source.name)];
    return statementHash([text, ...read.map((name) => this.#lineage.get(name) ?? '')].join('\n'));
  }

  #add(declared: Declared): void {
    const { statement } = declared;
    switch (statement.kind) {
      case 'createSource':
        this.#sources.add(declared, statement);
        break;
      case 'createAs':
        this.#createAs(declared, statement);
        break;
      case 'insertSelect':
        this.#insertSelect(declared, statement);
        break;
    }
  }

  #createAs(declared: Declared, statement: CreateAs): void {
    const { source } = declared.parsed;
    const { name, type, select, at } = statement;
    if (!this.#names.isFree(source, statement)) return;
    const query = compileSelect(declared, select, this.#known);
    const { columns } = query;
    if (type === 'TABLE' && query.kind === 'STREAM' && query.group === null)
      throw sqlError(
        source,
        at,
        'a table is made of a table, or of a stream with GROUP BY; events as they are make a stream: write CREATE STREAM',
      );
    if (type === 'STREAM' && (query.kind === 'TABLE' || query.group !== null))
      throw sqlError(
        source,
        at,
        `the result of ${query.kind === 'TABLE' ? 'a query over a table' : 'GROUP BY'} is a table: write CREATE TABLE`,
      );
    const { properties, topic } = sinkTopic(declared, statement);
    if (!this.#names.isFreeTopic(topic))
      throw properties.error('KAFKA_TOPIC', `the topic ${topic} holds other records already; choose another`);
    this.#names.written.add(topic);
    const from = this.#names.catalog.find(select.from.name, { source, offset: select.from.at });
    const { registry } = this.#context;
    const sink = sinkFormat(properties, { name, topic, columns, from, registry });
    const { onError } = sink;
    if (onError === 'DLQ' && query.kind === 'TABLE')
      throw notSupported(
        source,
        properties.at('ON_ERROR'),
        'rows of a table are no events that could be put aside: ON_ERROR is LOG or STOP here',
      );
    const target: StreamSource = {
      kind: 'STREAM',
      name,
      columns,
      captured: null,
      topic: null,
      sink,
      kept: type === 'TABLE',
      // Rows of tables that were written before would stay under their former keys.
      keyOrder: type === 'TABLE' ? keysInOrder(columns) : query.keyOrder,
    };
    if (query.kind === 'STREAM' && query.ofTopic) this.#names.ofTopics.add(name);
    if (type === 'STREAM') this.#names.catalog.add(target);
    else this.#addTable(declared, { name, target, query, onError });
    if (type === 'STREAM' && query.kind === 'STREAM' && declared.made?.terminated !== true)
      this.#query(declared, { ...query, store: null, target, onError });
  }

  /** The table that a query makes, with the rows that others read of it. */
  #addTable(
    declared: Declared,
    made: Pick<QueryPlan, 'target' | 'onError'> & {
      readonly name: string;
      readonly query: StreamSelect | FromTable;
    },
  ): void {
    const { name, target, query, onError } = made;
    const { columns, keyOrder, group } = query;
    const tables = query.kind === 'TABLE' ? query.rows.replicas : [];
    const lineage = this.#lineage.get(name) ?? '';
    const store =
      group === null
        ? null
        : new GroupStore({
            name,
            lineage,
            group,
            columns,
            replicas: tables,
            counted: query.kind === 'STREAM' || query.rows.counted,
            spend: (bytes) => this.#context.stores.spend(bytes),
          });
    const view = query.kind === 'TABLE' ? query.rows : null;
    const rows = group?.window == null ? (store ?? view) : null;
    const shown = group?.window == null ? columns : [...columns, ...windowColumns(columns)];
    this.#names.catalog.add({
      kind: 'TABLE',
      name,
      columns: shown,
      captured: null,
      result: target,
      topic: null,
      keyOrder,
      rows,
    });
    if (declared.made?.terminated === true) return;
    if (query.kind === 'STREAM') {
      this.#query(declared, { ...query, store, target, onError });
      return;
    }
    const { parsed, statement, made: by } = declared;
    this.#tables.push({
      ...query,
      id: this.#queryId(declared),
      statement: printStatement(statement),
      made: by?.number ?? null,
      lineage,
      target,
      onError,
      groups: group === null || store === null ? null : { plan: group, store },
      warnings: [...parsed.warnings, ...query.warnings],
    });
  }

  #insertSelect(declared: Declared, statement: InsertSelect): void {
    const { source } = declared.parsed;
    const { name, select, at } = statement;
    const target = this.#names.catalog.find(name, { source, offset: at });
    if (target.kind !== 'STREAM' || target.sink === null)
      throw sqlError(
        source,
        at,
        `${name} is a captured table or a topic; INSERT INTO writes to a stream made by CREATE STREAM … AS`,
      );
    if (select.groupBy !== null)
      throw sqlError(source, at, 'the result of GROUP BY is a table, and INSERT INTO writes to a stream');
    const query = compileSelect(declared, select, this.#known);
    if (query.kind === 'TABLE')
      throw sqlError(
        source,
        at,
        'the result of a query over a table is a table, and INSERT INTO writes to a stream',
      );
    if (query.ofTopic !== this.#names.ofTopics.has(name))
      throw notSupported(
        source,
        at,
        `${name} and this query differ in where their events come from: one from a Kafka topic, one from the database's log`,
      );
    if (this.#feeds(target, query.input))
      throw sqlError(source, at, `${name} is what this query reads, so its events would go round for ever`);
    const columns = insertedColumns(source, { statement, into: target.columns, given: query.columns });
    this.#query(declared, {
      ...query,
      store: null,
      columns,
      target,
      onError: target.sink.onError,
    });
  }

  /** Whether what is written to `from` arrives in `to`. */
  #feeds(from: StreamSource, to: StreamSource): boolean {
    if (from === to) return true;
    return this.#queries.some(({ input, target }) => input === from && this.#feeds(target, to));
  }

  /** Takes the next number. */
  #queryId({ statement, made }: Declared): string {
    const number = this.#number(made);
    if (statement.kind === 'insertSelect') return `${statement.queryId ?? 'INSERTQUERY'}_${number}`;
    return `${statement.type === 'STREAM' ? 'CSAS' : 'CTAS'}_${statement.name}_${number}`;
  }

  #query(declared: Declared, plan: CompiledQuery): void {
    const { parsed, statement, made } = declared;
    const text = printStatement(statement);
    this.#queries.push({
      ...plan,
      id: this.#queryId(declared),
      statement: text,
      made: made?.number ?? null,
      held: this.#context.held.has(statementHash(text)),
      fromLatest: made?.fromLatest ?? false,
      warnings: [...parsed.warnings, ...plan.warnings],
    });
  }
}

/** What is known of a query before it has its place among the others. */
type CompiledQuery = Omit<QueryPlan, 'id' | 'statement' | 'made' | 'held' | 'fromLatest'>;

/** What a windowed table has besides the columns of its query. */
function windowColumns(columns: readonly OutputColumn[]): readonly SqlColumn[] {
  return ['WINDOWSTART', 'WINDOWEND'].map((name) => {
    // One that the query lists by that very name hides it.
    const own = columns.some((column) => column.name === name);
    const shown = own ? `KSQL_${name}` : name;
    return { name: shown, spelling: shown, type: BIGINT, key: false };
  });
}
