/**
 * Statements of clients that change the program: each is compiled with the tables as they are now, beside those that
 * are there, before anything is written. What comes of them is an edit of the pipeline's durable state.
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { nearest } from '../../errors/nearest.ts';
import type { Source } from '../sources/catalog.ts';
import { type Declared, type DeclaredEnrichment, declaring } from '../plan/declared.ts';
import { madeEdits, type MadeStatements } from '../plan/made-statements.ts';
import type { PausedStatement, Program, QueryPlan, TableQueryPlan } from '../plan/program.ts';
import type { Statement } from '../sql/ast.ts';
import type { Parsed } from '../sql/parse-statement.ts';
import { printStatement } from '../sql/print-statement.ts';
import { notSupported, type SourceText, sqlError } from '../sql/sql-error.ts';
import { statementHash } from '../sql/statement-hash.ts';
import type { LiveQueries } from './live-queries.ts';

export type PersistentQuery = QueryPlan | TableQueryPlan;

/** What a statement has done. */
export type Outcome =
  /** `source`: null for an INSERT. */
  | {
      readonly kind: 'created';
      readonly number: number;
      readonly source: Source | null;
      readonly query: PersistentQuery | null;
    }
  /** `source`: null of one that was paused. */
  | {
      readonly kind: 'dropped';
      readonly number: number;
      readonly type: Source['kind'];
      readonly name: string;
      readonly source: Source | null;
    }
  /** Ids of queries. */
  | { readonly kind: 'terminated' | 'paused' | 'resumed'; readonly ids: readonly string[] }
  /** There was nothing to do, which IF (NOT) EXISTS takes as it is. */
  | { readonly kind: 'nothing'; readonly message: string };

type Named<K extends Statement['kind']> = Extract<Statement, { readonly kind: K }>;

export class StatementChanges {
  /** What ran when they were begun. */
  readonly live: LiveQueries;
  readonly #signal: AbortSignal;
  readonly #fresh = new Map<number, Parsed>();
  #made: MadeStatements;
  #declared: DeclaredEnrichment;
  #program: Program;

  constructor(live: LiveQueries, signal: AbortSignal) {
    this.live = live;
    this.#signal = signal;
    this.#made = live.basis.made;
    this.#declared = live.basis.declared;
    this.#program = live.program;
  }

  /** As it will be. */
  get program(): Program {
    return this.#program;
  }

  /** Empty where nothing has changed. */
  get edits(): ReadonlyMap<string, string | null> {
    return madeEdits(this.live.basis.made, this.#made);
  }

  /**
   * CREATE, INSERT INTO … SELECT. `fromLatest`: of topics, what is there already is not read. `opens`: its topics have
   * to be there, or are made.
   */
  async create(
    parsed: Parsed,
    { fromLatest, opens }: { readonly fromLatest: boolean; readonly opens: boolean },
  ): Promise<Outcome> {
    const statement = declaring(parsed);
    if (statement.kind !== 'insertSelect' && statement.ifNotExists) {
      const known = this.#program.catalog.get(statement.name);
      if (known?.kind === statement.type)
        return {
          kind: 'nothing',
          message: `There is a ${statement.type.toLowerCase()} ${statement.name} already.`,
        };
    }
    this.#refuseNameOfPaused(parsed, statement);
    refuseStop(parsed, statement);
    // Those of the settings have the numbers before.
    const number = Math.max(this.#made.next, this.#declared.statements.length);
    const sql = printStatement(statement);
    this.#fresh.set(number, parsed);
    try {
      const next = {
        ...this.#made,
        all: [...this.#made.all, { number, sql, terminated: false, fromLatest }],
        next: number + 1,
      };
      // A pipeline that begins with a topic that is not to be had ends.
      await this.#try(next, async ({ catalog }) => {
        const made = statement.kind === 'insertSelect' ? undefined : catalog.get(statement.name);
        if (opens && made !== undefined) await this.#openTopics(parsed, made);
      });
    } catch (error) {
      this.#fresh.delete(number);
      throw error;
    }
    const source =
      statement.kind === 'insertSelect' ? null : (this.#program.catalog.get(statement.name) ?? null);
    const query = this.queries.find(({ made }) => made === number) ?? null;
    return { kind: 'created', number, source, query };
  }

  /** One that is paused comes back when it fits again. */
  #refuseNameOfPaused({ source }: Parsed, { kind, name, at }: Declared['statement']): void {
    if (kind === 'insertSelect') return;
    const paused = this.#program.paused.find(({ target }) => target === name);
    const known = paused === undefined ? undefined : this.#declarationOf(name);
    if (paused === undefined || known === undefined || known.statement.kind === 'insertSelect') return;
    const { type } = known.statement;
    const end = known.made === null ? ofTheSettings(name) : `DROP ${type} ${name} ends it`;
    throw sqlError(
      source,
      at,
      `there is a ${type.toLowerCase()} ${name} already, which is paused: ${paused.error.message.replace(/\.$/, '')}. ${end}`,
    );
  }

  async #openTopics({ source, statement }: Parsed, of: Source): Promise<void> {
    try {
      await this.live.basis.openTopics(of);
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.code !== 'delivery.topic-missing' || of.topic === null)
        throw error;
      const { topic } = of.topic;
      throw sqlError(
        source,
        statement.at,
        `there is no topic ${topic}; correct KAFKA_TOPIC, or write PARTITIONS beside it to have it made`,
      );
    }
  }

  async drop(parsed: Parsed, { name, type, ifExists, at }: Named<'drop'>): Promise<Outcome> {
    const { source: text } = parsed;
    if (type === 'TYPE')
      throw notSupported(text, at, 'CREATE TYPE is not in this version, so there are none');
    const found = this.#program.catalog.get(name);
    const declared = this.#declarationOf(name);
    if (found === undefined && declared !== undefined) {
      if (declared.made === null) throw sqlError(text, at, ofTheSettings(name));
      const { number } = declared.made;
      await this.#try(this.#without(number));
      return { kind: 'dropped', number, type, name, source: null };
    }
    if (found === undefined) {
      if (ifExists) return { kind: 'nothing', message: `There is no ${type.toLowerCase()} ${name}.` };
      const meant = nearest(
        name,
        [...this.#program.catalog.all()].map((each) => each.name),
      );
      throw sqlError(
        text,
        at,
        `there is no ${type.toLowerCase()} ${name}${meant === null ? '' : `; did you mean ${meant}?`}`,
      );
    }
    if (found.kind !== type)
      throw sqlError(text, at, `${name} is a ${found.kind.toLowerCase()}: write DROP ${found.kind}`);
    const made = declared?.made ?? null;
    if (made === null) throw sqlError(text, at, ofTheSettings(name));
    const others = this.queries.filter((query) => query.made !== made.number);
    const users = others.filter((query) => sourcesOf(query).includes(name) || query.target.name === name);
    if (users.length > 0)
      throw sqlError(
        text,
        at,
        `${name} is read or written by ${users.map(({ id }) => id).join(', ')}: TERMINATE that first`,
      );
    await this.#try(this.#without(made.number));
    return { kind: 'dropped', number: made.number, type, name, source: found };
  }

  async terminate(parsed: Parsed, { id, at }: Named<'terminate' | 'pause' | 'resume'>): Promise<Outcome> {
    const { source: text } = parsed;
    const paused = id === null ? undefined : this.#program.paused.find((each) => each.id === id);
    if (paused !== undefined) return this.#terminatePaused(text, { ...paused, id: id ?? '', at });
    const queries =
      id === null ? this.queries.filter(({ made }) => made !== null) : [this.#query(parsed, id, at)];
    for (const query of queries) {
      if (query.made === null) throw sqlError(text, at, ofTheSettings(query.id));
      const readers = this.queries.filter(
        (other) => !queries.includes(other) && sourcesOf(other).includes(query.target.name),
      );
      // A stream without a query is an empty one; a table would be a wrong one.
      if (query.target.kept && readers.length > 0)
        throw sqlError(
          text,
          at,
          `the table ${query.target.name} is read by ${readers.map((each) => each.id).join(', ')}: TERMINATE that first`,
        );
    }
    const numbers = new Set(queries.map(({ made }) => made));
    const inserts = new Set(
      this.#declared.statements.flatMap(({ statement, made }) =>
        statement.kind === 'insertSelect' && made !== null ? [made.number] : [],
      ),
    );
    const all = this.#made.all.flatMap((each) =>
      !numbers.has(each.number) ? [each] : inserts.has(each.number) ? [] : [{ ...each, terminated: true }],
    );
    await this.#try({ ...this.#made, all });
    return { kind: 'terminated', ids: queries.map((query) => query.id) };
  }

  /** Of an INSERT: the stream or table of another one ends with it. */
  async #terminatePaused(
    text: SourceText,
    { id, target, hash, at }: PausedStatement & { readonly id: string; readonly at: number },
  ): Promise<Outcome> {
    const declared = this.#declared.statements.find(
      ({ statement }) => statementHash(printStatement(statement)) === hash,
    );
    if (declared?.made == null) throw sqlError(text, at, ofTheSettings(id));
    if (target !== null)
      throw sqlError(text, at, `${id} is paused, and has nothing that could stay: DROP ${target} instead`);
    await this.#try(this.#without(declared.made.number));
    return { kind: 'terminated', ids: [id] };
  }

  /** PAUSE and RESUME, of the settings' queries too. */
  async hold(parsed: Parsed, { kind, id, at }: Named<'terminate' | 'pause' | 'resume'>): Promise<Outcome> {
    const pauses = kind === 'pause';
    const queries =
      id === null ? this.queries.filter((query) => !('rows' in query)) : [this.#query(parsed, id, at)];
    const held = new Set(this.#made.held);
    for (const query of queries) {
      if ('rows' in query)
        throw notSupported(
          parsed.source,
          at,
          `${query.id} is a query over a table, whose result would not be that of its tables any more; TERMINATE ends it`,
        );
      const hash = statementHash(query.statement);
      if (pauses) held.add(hash);
      else held.delete(hash);
    }
    await this.#try({ ...this.#made, held });
    return { kind: pauses ? 'paused' : 'resumed', ids: queries.map((query) => query.id) };
  }

  get queries(): readonly PersistentQuery[] {
    return [...this.#program.queries, ...this.#program.tables];
  }

  #query({ source }: Parsed, id: string, at: number): PersistentQuery {
    const found = this.queries.find((query) => query.id === id);
    if (found !== undefined) return found;
    const ids = this.queries.map((query) => query.id);
    throw sqlError(
      source,
      at,
      `there is no query ${id}${ids.length === 0 ? '' : `; there are ${ids.join(', ')}`}`,
    );
  }

  #declarationOf(name: string): Declared | undefined {
    return this.#declared.statements.find(
      ({ statement }) => statement.kind !== 'insertSelect' && statement.name === name,
    );
  }

  #without(number: number): MadeStatements {
    return { ...this.#made, all: this.#made.all.filter((each) => each.number !== number) };
  }

  /** `prepare`: throws where it cannot be, though it compiles. */
  async #try(next: MadeStatements, prepare?: (program: Program) => Promise<void>): Promise<void> {
    const { declared, program } = await this.live.basis.trial(next, this.#fresh, this.#signal);
    await prepare?.(program);
    // What is held of a statement that is gone holds nobody.
    const known = new Set(
      declared.statements.map(({ statement }) => statementHash(printStatement(statement))),
    );
    this.#made = { ...next, held: new Set([...next.held].filter((hash) => known.has(hash))) };
    this.#declared = declared;
    this.#program = program;
  }
}

/** A row that fails would end every start, and only a pipeline that runs takes a statement back. */
function refuseStop({ source }: Parsed, statement: Declared['statement']): void {
  if (statement.kind !== 'createAs') return;
  const stops = statement.properties.find(
    ({ key, value }) => key === 'ON_ERROR' && String(value).toUpperCase() === 'STOP',
  );
  if (stops !== undefined)
    throw notSupported(
      source,
      stops.at,
      'STOP would end the pipeline at each start, so it belongs to statements of the settings file; LOG and DLQ go on',
    );
}

/** The streams and tables that the query reads. */
export function sourcesOf(query: PersistentQuery): readonly string[] {
  const first = 'rows' in query ? query.from.name : query.input.name;
  return [first, ...query.joins.map(({ table }) => table.name)];
}

function ofTheSettings(name: string): string {
  return `${name} stands in the settings file, under enrich.sql: take it out there, then \`headwater reload\``;
}
