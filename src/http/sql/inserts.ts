/** `POST /inserts-stream`, and INSERT INTO … VALUES of `POST /ksql` (docs/sql-api.md). */
import type { QueryDesk } from '../../enrichment/queries/query-desk.ts';
import type { LiveQueries } from '../../enrichment/queries/live-queries.ts';
import { parseJson } from '../../enrichment/sql/exact-json.ts';
import { insertedSource, JsonRows, recordsOf, valuesRow } from '../../enrichment/queries/insert-rows.ts';
import type { Statement } from '../../enrichment/sql/ast.ts';
import type { Parsed } from '../../enrichment/sql/parse-statement.ts';
import type { TopicQueries } from '../../enrichment/run/topic-queries.ts';
import { errorBody, SqlApiError } from './api-error.ts';
import { type DELIMITED, head, JSON_TYPE, linesOf, requiredText, type SqlExchange } from './exchange.ts';

/** Rows that have not been acknowledged yet. */
const MOST_UNDER_WAY = 1_000;

/** Resolves when the row is durable. Throws what is wrong with it. */
export async function insertValues(
  parsed: Parsed,
  statement: Extract<Statement, { readonly kind: 'insertValues' }>,
  desk: QueryDesk,
): Promise<void> {
  const { source } = parsed;
  const { queries } = desk.programOf(statement.name, source, statement.at);
  const stream = insertedSource(queries.program.catalog, statement.name, { source, offset: statement.at });
  const row = valuesRow(statement, stream, { source, dialect: queries.dialect });
  const topics = topicsOf(queries);
  const recordOf = await recordsOf(stream, topics);
  await topics.insert(stream.topic.topic, [recordOf(row)]);
}

function topicsOf({ basis }: LiveQueries): TopicQueries {
  const { topics } = basis;
  if (topics === null) throw new TypeError('A stream over a topic has a producer.');
  return topics;
}

/** Acknowledges each row in order once it is durable; the first that is wrong ends it. */
export async function insertsStream(
  exchange: SqlExchange,
  desk: QueryDesk,
  form: typeof DELIMITED | typeof JSON_TYPE,
): Promise<void> {
  const { request, response } = exchange;
  const lines = linesOf(request);
  const first = await lines.next();
  if (first.done === true) throw new SqlApiError(40000, 'The first line has to be {"target": "…"}.');
  const target = requiredText(objectOf(first.value), 'target');
  const name = /^`(.+)`$/.exec(target)?.[1] ?? target.toUpperCase();
  const source = { text: target, line: 1, column: 1 };
  const { queries } = desk.programOf(name, source, 0);
  const stream = insertedSource(queries.program.catalog, name, { source, offset: 0 });
  const rows = new JsonRows(stream);
  const topics = topicsOf(queries);
  const recordOf = await recordsOf(stream, topics);
  head(exchange, 200, { 'content-type': form });
  const acks = new Acks(response, form);
  acks.begin();
  let seq = 0;
  let underWay = 0;
  let failure: unknown = null;
  let acknowledged = Promise.resolve();
  try {
    for await (const line of lines) {
      if (failure !== null) break;
      const durable = topics.insert(stream.topic.topic, [recordOf(rows.read(objectOf(line)))]);
      underWay++;
      acknowledged = Promise.all([durable, acknowledged]).then(
        () => {
          underWay--;
          if (failure === null) acks.ok(seq++);
        },
        (error: unknown) => {
          failure ??= error;
        },
      );
      if (underWay >= MOST_UNDER_WAY) await acknowledged;
    }
    await acknowledged;
  } catch (error) {
    // Those before the line that is wrong are on their way.
    await acknowledged;
    failure ??= error;
  }
  acks.end(failure, seq);
}

class Acks {
  readonly #response: SqlExchange['response'];
  readonly #array: boolean;
  #any = false;

  constructor(response: SqlExchange['response'], form: typeof DELIMITED | typeof JSON_TYPE) {
    this.#response = response;
    this.#array = form === JSON_TYPE;
  }

  begin(): void {
    if (this.#array) this.#write('[');
  }

  ok(seq: number): void {
    this.#piece({ status: 'ok', seq });
  }

  end(error: unknown, seq: number): void {
    if (error !== null) {
      const { error_code, message } = errorBody(error);
      this.#piece({ status: 'error', seq, error_code, message });
    }
    if (this.#array) this.#write(']');
    this.#response.end();
  }

  #piece(ack: object): void {
    const lead = this.#array && this.#any ? ',' : '';
    this.#any = true;
    this.#write(`${lead}${JSON.stringify(ack)}\n`);
  }

  #write(text: string): void {
    const response = this.#response;
    if (response.destroyed) return;
    if ('stream' in response) response.write(text);
    else response.write(text);
  }
}

function objectOf(line: string): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = parseJson(line);
  } catch {
    throw new SqlApiError(40000, 'A line is no JSON.');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new SqlApiError(40000, 'A line has to be a JSON object.');
  return json as Readonly<Record<string, unknown>>;
}
