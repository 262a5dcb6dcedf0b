/** The statements of a pipeline as a script of Flink SQL 2.2. */
import type { StreamSource, TableSource } from '../sources/catalog.ts';
import type { Program, QueryPlan, TableQueryPlan } from '../plan/program.ts';
import { durationMs } from '../sql/parse-select.ts';
import { type FlinkView, streamView, tableView } from './flink-queries.ts';
import { flinkSink } from './flink-sinks.ts';
import { capturedStream, capturedTable, keepsDeleted } from './flink-captured.ts';
import { type FlinkTopics, versionsOf } from './flink-sources.ts';
import { NoEqual } from './flink-text.ts';
import { topicStream, topicTable } from './flink-topics.ts';

export interface FlinkScript {
  readonly text: string;
  /** One sentence for each statement that is not in it. */
  readonly missing: readonly string[];
  /** One sentence for each thing that is in it, and not quite the same. */
  readonly differences: readonly string[];
}

export interface FlinkScriptOptions {
  readonly pipeline: string;
  readonly program: Program;
  readonly topics: FlinkTopics;
}

export function flinkScript(options: FlinkScriptOptions): FlinkScript {
  const exporter = new FlinkExporter(options);
  exporter.addAll();
  return exporter.script;
}

type Query = QueryPlan | TableQueryPlan;

type Made = Pick<FlinkView, 'windowKey' | 'timed'>;

class FlinkExporter {
  readonly #options: FlinkScriptOptions;
  readonly #queries: readonly Query[];
  readonly #definitions: string[] = [];
  readonly #inserts: string[] = [];
  readonly #missing: string[] = [];
  readonly #differences: string[] = [];
  readonly #made = new Map<string, Made | NoEqual>();
  /** Streams whose events have another time than those that they were made of. */
  readonly #retimed = new Set<string>();

  constructor(options: FlinkScriptOptions) {
    this.#options = options;
    this.#queries = [...options.program.queries, ...options.program.tables];
  }

  get script(): FlinkScript {
    const { pipeline, program } = this.#options;
    const paused = program.paused.map(
      ({ target, error }) => `${target ?? 'A statement'} is paused and has no equal: ${error.message}`,
    );
    const missing = [...paused, ...this.#missing];
    const parts = [
      HEADER.replaceAll('%s', pipeline),
      ...(missing.length === 0 ? [] : [missing.map((each) => comment(`NOT HERE: ${each}`)).join('\n')]),
      ...(this.#differences.length === 0
        ? []
        : [this.#differences.map((each) => comment(`DIFFERS: ${each}`)).join('\n')]),
      ...this.#definitions.map((each) => (each.startsWith('--') ? each : `${each};`)),
    ];
    if (this.#inserts.length > 0)
      parts.push(`EXECUTE STATEMENT SET BEGIN\n${this.#inserts.map((each) => `${each};\n`).join('')}END;`);
    return { text: `${parts.join('\n\n')}\n`, missing, differences: this.#differences };
  }

  addAll(): void {
    const targets = new Set<StreamSource>();
    for (const { target } of this.#queries) targets.add(target);
    for (const target of targets) this.#addResult(target);
  }

  #addResult(target: StreamSource): void {
    const { name, sink, columns, keyOrder, kept } = target;
    if (sink === null) return;
    const parts = this.#partsOf(target);
    try {
      const made = this.#view(target.name, () => this.#queryViews(parts, name));
      const differs = (sentence: string): void => this.#differ(name, sentence);
      const { table, insert } = flinkSink(
        { name, columns, keyOrder, sink, kept, differs, ...made },
        this.#options.topics,
      );
      this.#definitions.push(table);
      this.#inserts.push(insert);
    } catch (error) {
      if (!(error instanceof NoEqual)) throw error;
      for (const { id } of parts) this.#missing.push(`${id} has no equal: ${error.message}.`);
    }
  }

  #partsOf(target: StreamSource): readonly Query[] {
    return this.#queries.filter((query) => query.target === target);
  }

  /** Makes it once; what has no equal has none for all that read it. */
  #view(name: string, make: () => Made): Made {
    const known = this.#made.get(name);
    if (known instanceof NoEqual) throw new NoEqual(`it reads ${name}, where ${known.message}`);
    if (known !== undefined) return known;
    try {
      const made = make();
      this.#made.set(name, made);
      return made;
    } catch (error) {
      if (error instanceof NoEqual) this.#made.set(name, error);
      throw error;
    }
  }

  #queryViews(parts: readonly Query[], name: string): Made {
    const [only] = parts;
    if (only === undefined)
      throw new NoEqual('its query has been terminated, so that nothing writes to it any more');
    if (parts.length === 1) return this.#queryView(only, name);
    const names = parts.map((part, i) => {
      const each = `${name}__part${i + 1}`;
      this.#queryView(part, each);
      return each;
    });
    const columns = [...only.target.columns.map((column) => column.name), '__MS', '__TIME'];
    const list = columns.map((column) => `\`${column.replaceAll('`', '``')}\``).join(', ');
    this.#definitions.push(
      `CREATE VIEW \`${name}\` AS\n${names.map((each) => `SELECT ${list} FROM \`${each}\``).join('\nUNION ALL\n')}`,
    );
    return { windowKey: [], timed: true };
  }

  #queryView(query: Query, name: string): Made {
    const differs = (sentence: string): void => this.#differ(query.id, sentence);
    const ofTables = 'rows' in query;
    const from = ofTables ? query.from : query.input;
    this.#source(from);
    for (const { table } of query.joins) {
      this.#source(table);
      if (!ofTables) this.#versions(table);
    }
    if (!ofTables) this.#checkTime(query);
    const inputs = {
      from: from.name,
      joined: ({ table }: { readonly table: TableSource }): string =>
        ofTables ? table.name : versionsOf(table.name),
      keepsDeleted: ({ table }: { readonly table: TableSource }): boolean =>
        keepsDeleted(table.captured, this.#options.topics),
      differs,
    };
    const view = ofTables
      ? tableView(name, query, { ...inputs, versions: false })
      : streamView(name, query, { ...inputs });
    this.#definitions.push(comment(query.statement), ...view.statements);
    if (
      !ofTables &&
      !query.usesChange &&
      query.input.captured !== null &&
      query.joins.length === 0 &&
      query.where === null
    )
      differs('a deleted row makes no record, where Headwater writes one without value');
    return view;
  }

  /** Time goes through a view as it is: what TIMESTAMP makes of it can be read, and is no time attribute. */
  #checkTime({ input, target, joins, group }: QueryPlan): void {
    const retimed = this.#retimed.has(input.name);
    if (retimed && (joins.length > 0 || group?.window != null))
      throw new NoEqual(
        `TIMESTAMP gives the events of ${input.name} another time, by which Flink can neither join nor make windows`,
      );
    if (retimed || target.sink?.timestamp != null) this.#retimed.add(target.name);
  }

  #source(source: StreamSource | TableSource): void {
    const { name } = source;
    const result = source.kind === 'TABLE' ? source.result : source.sink === null ? null : source;
    if (result !== null) {
      this.#view(name, () => this.#queryViews(this.#partsOf(result), name));
      return;
    }
    this.#view(name, () => {
      this.#definitions.push(...this.#sourceStatements(source));
      return { windowKey: [], timed: source.kind === 'STREAM' };
    });
  }

  #sourceStatements(source: StreamSource | TableSource): readonly string[] {
    const { name, captured, topic } = source;
    const { topics } = this.#options;
    const differs = (sentence: string): void => this.#differ(name, sentence);
    if (source.kind === 'TABLE') {
      if (captured !== null) return capturedTable(name, captured, topics);
      return topic === null ? [] : topicTable(name, { topic, differs }, topics);
    }
    const delayMs = this.#delay(source);
    if (captured !== null) return capturedStream(name, { captured, delayMs }, topics);
    return topic === null ? [] : topicStream(name, { topic, delayMs, differs }, topics);
  }

  /** The rows of a table with their times, for joins with a stream. */
  #versions(table: TableSource): void {
    const { name, captured, topic } = table;
    // Those of a topic come with its rows.
    if (captured !== null || topic !== null) return;
    this.#view(versionsOf(name), () => {
      const query = this.#queries.find(({ target }) => target === table.result);
      if (query === undefined || !('rows' in query) || query.groups !== null || query.joins.length > 0)
        throw new NoEqual(
          `${name} is made by a join or by GROUP BY, and Flink keeps no versions of such rows that a stream could be joined with`,
        );
      if (this.#options.topics.format === 'avro')
        throw new NoEqual(
          `${name} is made of a table whose changes are Avro, where Flink knows no times of rows that a condition leaves out`,
        );
      this.#source(query.from);
      this.#versions(query.from);
      const view = tableView(versionsOf(name), query, {
        from: versionsOf(query.from.name),
        joined: ({ table }) => versionsOf(table.name),
        keepsDeleted: () => false,
        differs: () => undefined,
        versions: true,
      });
      this.#definitions.push(...view.statements);
      return view;
    });
  }

  /** How long sessions wait for late events, where that is said. */
  #delay(source: StreamSource | TableSource): number {
    const delays = this.#queries.map((query) => {
      const { window } = query.select;
      if ('rows' in query || window?.kind !== 'SESSION' || window.grace === null) return 0;
      return this.#reads(query, source) ? durationMs(window.grace) : 0;
    });
    return Math.max(0, ...delays);
  }

  #reads(query: QueryPlan, source: StreamSource | TableSource): boolean {
    if (query.input === source) return true;
    return this.#partsOf(query.input).some((part) => !('rows' in part) && this.#reads(part, source));
  }

  #differ(what: string, sentence: string): void {
    const line = `${what}: ${sentence}.`;
    if (!this.#differences.includes(line)) this.#differences.push(line);
  }
}

function comment(text: string): string {
  return text
    .split(/\r\n?|\n/)
    .map((line) => `-- ${line}`)
    .join('\n');
}

const HEADER = `-- The statements of the pipeline %s for Apache Flink 2.2, made by headwater sql export.
-- Flink reads the topics that Headwater writes and needs of an update the row before it: REPLICA IDENTITY FULL in
-- PostgreSQL, binlog_row_image = FULL in MySQL. Results go to the topics that Headwater's own statements write: stop
-- those first. Delivery is at least once; docs/flink.md says how it becomes exactly once.

SET 'table.local-time-zone' = 'UTC';

-- Tables and streams in which nothing happens hold nobody back for longer than this.
SET 'table.exec.source.idle-timeout' = '5 s';`;
