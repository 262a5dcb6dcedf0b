/** What the SQL interface answers (docs/sql-api.md). */
import { randomUUID } from 'node:crypto';
import type { RunningSelect } from '../../enrichment/queries/live-queries.ts';
import type { Statement } from '../../enrichment/sql/ast.ts';
import type { Parsed } from '../../enrichment/sql/parse-statement.ts';
import { parseSession } from '../../enrichment/sql/script.ts';
import { isReady } from '../../observability/metrics.ts';
import { carriesToken, isOwnPage, isPlainHost } from '../access.ts';
import { errorBody, SqlApiError, statusOf } from './api-error.ts';
import { changes, RequestedChanges } from './changes.ts';
import {
  acceptedType,
  DELIMITED,
  head,
  JSON_TYPE,
  readObject,
  requiredText,
  type SqlExchange,
  textMap,
  V1,
} from './exchange.ts';
import { insertsStream, insertValues } from './inserts.ts';
import { ClusterIds } from './kafka-facts.ts';
import { writePrinted } from './print.ts';
import type { PushedQuery } from './query-descriptions.ts';
import { type QueryForm, writeQuery } from './query-response.ts';
import { dialectOf, parseSelectText, runSelect, type SelectText } from './select-request.ts';
import type { SqlServerOptions } from './sql-server.ts';
import { answerStatement, entityOf } from './statements.ts';

/** ksqlDB's version whose interface this is: clients compare it. Our own is in the Server header. */
const KSQL_VERSION = '0.29.0';

/** How long a statement that a request waits for may take. */
const COMMAND_MS = 5_000;

/** Statements whose status is kept. */
const MOST_COMMANDS = 1_000;

/** `closing`: queries under way end. */
export function createSqlRoutes(
  options: SqlServerOptions,
  closing: AbortSignal,
): (exchange: SqlExchange) => void {
  const routes = new SqlRoutes(options, closing);
  return (exchange) => void routes.answer(exchange);
}

class SqlRoutes {
  readonly #options: SqlServerOptions;
  readonly #closing: AbortSignal;
  /** Queries that are being answered, by their ids. */
  readonly #queries = new Map<string, PushedQuery>();
  /** What has become of statements of this process's time, by their ids without quotes. */
  readonly #commands = new Map<string, object>();
  readonly #clusterIds = new ClusterIds();
  /** Done when no request changes anything. */
  #changing: Promise<void> = Promise.resolve();

  constructor(options: SqlServerOptions, closing: AbortSignal) {
    this.#options = options;
    this.#closing = closing;
    closing.addEventListener('abort', () => {
      for (const { running } of this.#queries.values()) running.close();
    });
  }

  /** Never rejects. */
  async answer(exchange: SqlExchange): Promise<void> {
    const { response, request } = exchange;
    response.on('error', () => {});
    try {
      head(exchange, 200, {
        server: `headwater/${this.#options.version}`,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      });
      this.#admit(exchange);
      await this.#route(exchange, request.method ?? 'GET', (request.url ?? '/').split('?', 1)[0] ?? '/');
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  /** Throws SqlApiError 40100, 40300, 42100. */
  #admit(exchange: SqlExchange): void {
    const { headers, method } = exchange.request;
    const { token } = this.#options;
    if (token !== null) {
      if (carriesToken(headers.authorization, token)) return;
      head(exchange, 401, { 'www-authenticate': 'Basic realm="headwater", charset="UTF-8"' });
      throw new SqlApiError(
        40100,
        'This needs the token of http.token, as "Authorization: Bearer …" or as the password of Basic.',
      );
    }
    const authority = headers[':authority'];
    if (!isPlainHost(typeof authority === 'string' ? authority : headers.host))
      throw new SqlApiError(
        42100,
        'Without http.token this answers to localhost and addresses only, not to names.',
      );
    if (method === 'POST' && !isOwnPage(headers))
      throw new SqlApiError(40300, 'Another site’s page may not ask for this.');
  }

  async #route(exchange: SqlExchange, method: string, path: string): Promise<void> {
    switch (`${method} ${path}`) {
      case 'GET /':
        head(exchange, 307, { location: '/info' });
        exchange.response.end();
        return;
      case 'GET /info':
        return json(exchange, {
          KsqlServerInfo: {
            version: KSQL_VERSION,
            kafkaClusterId: await this.#clusterIds.of(this.#options.desk),
            ksqlServiceId: 'default_',
            serverStatus: 'RUNNING',
          },
        });
      case 'GET /healthcheck':
        return json(exchange, this.#health());
      case 'GET /chc/live':
        return json(exchange, {});
      case 'GET /chc/ready': {
        const { isHealthy } = this.#health();
        return json(exchange, {}, isHealthy ? 200 : 503);
      }
      case 'GET /clusterStatus':
        return json(exchange, this.#cluster());
      case 'GET /status':
        return json(exchange, { commandStatuses: Object.fromEntries(this.#commands) });
      case 'POST /ksql':
        return this.#statements(exchange);
      case 'POST /query':
        return this.#query(exchange, 'ksql', 'streamsProperties', [V1, JSON_TYPE]);
      case 'POST /query-stream':
        return this.#query(exchange, 'sql', 'properties', [DELIMITED, JSON_TYPE, V1]);
      case 'POST /close-query':
        return this.#closeQuery(exchange);
      case 'POST /inserts-stream':
        this.#admitChange();
        return insertsStream(exchange, this.#options.desk, acceptedType(exchange, [DELIMITED, JSON_TYPE]));
      default: {
        const command =
          method === 'GET' && path.startsWith('/status/') ? path.slice('/status/'.length) : null;
        const status = command === null ? undefined : this.#commands.get(decoded(command));
        if (status !== undefined) return json(exchange, status);
        throw new SqlApiError(
          40400,
          'Not here. There are /ksql, /query, /query-stream, /inserts-stream, /close-query, /status, /info, /clusterStatus and /healthcheck.',
        );
      }
    }
  }

  #health(): { readonly isHealthy: boolean; readonly [other: string]: unknown } {
    const { status, desk } = this.#options;
    const pipelines = status();
    const ready = pipelines.length > 0 && pipelines.every((each) => isReady(each));
    const isHealthy = ready && desk.running.size > 0;
    return {
      isHealthy,
      details: {
        metastore: { isHealthy: desk.running.size > 0 },
        kafka: { isHealthy: ready },
        commandRunner: { isHealthy: true },
        ...Object.fromEntries(
          pipelines.map((each) => [each.name, { isHealthy: isReady(each), state: each.state }]),
        ),
        ...Object.fromEntries(this.#bootstrapping()),
      },
      serverState: desk.running.size > 0 ? 'READY' : 'INITIALIZING',
    };
  }

  /** Tables that are still being read, which is as it should be. */
  #bootstrapping(): readonly (readonly [string, object])[] {
    return [...this.#options.desk.running].flatMap(([pipeline, queries]) =>
      [...queries.program.catalog.all()].flatMap((source) => {
        const kept = queries.keptRows(source);
        if (kept === null || kept.complete) return [];
        const detail = { isHealthy: true, state: 'bootstrapping', rows: kept.rows };
        return [[`${pipeline}.${source.name}`, detail] as const];
      }),
    );
  }

  /** This process alone, since each query runs in one. */
  #cluster(): object {
    const { desk, listen } = this.#options;
    const now = Date.now();
    const queries = [...desk.running.values()].flatMap(({ program }) => [
      ...program.queries,
      ...program.tables,
    ]);
    const activeStandbyPerQuery = Object.fromEntries(
      queries.map(({ id }) => [
        id,
        { activeStores: [], activePartitions: [], standByStores: [], standByPartitions: [] },
      ]),
    );
    return {
      clusterStatus: {
        [`${listen.host}:${listen.port}`]: {
          hostAlive: true,
          lastStatusUpdateMs: now,
          activeStandbyPerQuery,
          hostStoreLags: { stateStoreLags: {}, updateTimeMs: now },
        },
      },
    };
  }

  async #statements(exchange: SqlExchange): Promise<void> {
    const type = acceptedType(exchange, [V1, JSON_TYPE]);
    const body = await readObject(exchange);
    await this.#awaitCommand(body);
    return json(exchange, await this.#answerStatements(body), 200, type);
  }

  /** Throws SqlApiError 50301 where the statement with the number that the request names is not carried out in time. */
  async #awaitCommand({ commandSequenceNumber: number }: Readonly<Record<string, unknown>>): Promise<void> {
    if (number === undefined || number === null) return;
    if (typeof number !== 'number' || !Number.isSafeInteger(number))
      throw new SqlApiError(40000, 'The field commandSequenceNumber has to be a whole number.');
    // Of a statement that was none of those.
    if (number < 0) return;
    const { desk } = this.#options;
    if (await desk.follows(number, AbortSignal.any([this.#closing, AbortSignal.timeout(COMMAND_MS)]))) return;
    throw new SqlApiError(50301, `The statement with the number ${number} has not been carried out yet.`);
  }

  async #answerStatements(body: Readonly<Record<string, unknown>>): Promise<readonly object[]> {
    const { desk, change } = this.#options;
    const properties = new Map(textMap(body, 'streamsProperties'));
    const given = textMap(body, 'sessionVariables');
    const variables = new Map([...given].map(([name, value]) => [name.toUpperCase(), value]));
    const text = requiredText(body, 'ksql');
    const entities: object[] = [];
    const requested = new RequestedChanges(desk, change, this.#closing);
    let current: string | null = text;
    let release: (() => void) | null = null;
    try {
      for (const parsed of parseSession(text, dialectOf(desk), given)) {
        const { statement, source, warnings } = parsed;
        current = source.text;
        if (changes(statement)) {
          this.#admitChange();
          release ??= await this.#turn();
          for (const entity of await requested.add(parsed, statement, properties)) {
            entities.push(entityOf(entity, { text: current, warnings }));
            this.#remember(entity);
          }
          continue;
        }
        if (!isOfRequest(statement)) await requested.carryOut();
        if (statement.kind === 'insertValues') {
          this.#admitChange();
          await insertValues(parsed, statement, desk);
          continue;
        }
        const entity = await answerStatement(parsed, {
          desk,
          properties,
          variables,
          pushed: new Map([...this.#queries].filter(([, { running }]) => running.plan.kind === 'push')),
          signal: this.#closing,
        });
        if (entity !== null) entities.push(entityOf(entity, { text: current, warnings }));
      }
      await requested.carryOut();
      return entities;
    } catch (error) {
      // Those before the one that failed are done.
      await requested.carryOut();
      throw new StatementFailure(error, current, entities);
    } finally {
      release?.();
    }
  }

  #remember(entity: object): void {
    if (!('commandId' in entity) || !('commandStatus' in entity)) return;
    const { commandId, commandStatus } = entity;
    if (typeof commandStatus === 'object' && commandStatus !== null)
      this.#commands.set(String(commandId).replaceAll('`', ''), commandStatus);
    const [oldest] = this.#commands.keys();
    if (this.#commands.size > MOST_COMMANDS && oldest !== undefined) this.#commands.delete(oldest);
  }

  /** One request that changes something after the other: each sees what those before have changed. */
  async #turn(): Promise<() => void> {
    const before = this.#changing;
    let release = (): void => {};
    this.#changing = new Promise((resolve) => (release = resolve));
    await before;
    return release;
  }

  /** Throws SqlApiError 40300: whoever can reach the port may read what the statements hold, and no more. */
  #admitChange(): void {
    const { token, changesNeedToken } = this.#options;
    if (token !== null || !changesNeedToken) return;
    throw new SqlApiError(
      40300,
      'Statements that change something, and PRINT, need a token: set http.token (or http.sql_changes: open), and send it as "Authorization: Bearer …" or as the password of Basic.',
    );
  }

  async #query(
    exchange: SqlExchange,
    textField: string,
    propertiesField: string,
    forms: readonly QueryForm[],
  ): Promise<void> {
    const { desk } = this.#options;
    const { response } = exchange;
    const accepted = acceptedType(exchange, forms);
    const body = await readObject(exchange);
    await this.#awaitCommand(body);
    const request: SelectText = {
      sql: requiredText(body, textField),
      properties: textMap(body, propertiesField),
      variables: textMap(body, 'sessionVariables'),
    };
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, this.#closing]);
    let running: RunningSelect;
    let parsed: Parsed;
    try {
      parsed = parseSelectText(request, desk);
      if (parsed.statement.kind === 'print') {
        this.#admitChange();
        return await writePrinted(exchange, parsed.statement, {
          desk,
          signal,
          type: textField === 'ksql' ? accepted : acceptedType(exchange, [DELIMITED]),
        });
      }
      running = await runSelect(parsed, request, { desk, signal });
    } catch (error) {
      throw new StatementFailure(error, request.sql, []);
    }
    const id = `transient_${randomUUID()}`;
    response.once('close', () => running.close());
    this.#queries.set(id, { text: parsed.source.text.trim(), running });
    try {
      const form = textField === 'ksql' ? V1 : accepted;
      await writeQuery(exchange, { id, running, form, contentType: accepted });
    } finally {
      this.#queries.delete(id);
    }
  }

  async #closeQuery(exchange: SqlExchange): Promise<void> {
    const id = requiredText(await readObject(exchange), 'queryId');
    const query = this.#queries.get(id);
    if (query === undefined) throw new SqlApiError(40000, `There is no query ${JSON.stringify(id)}.`);
    query.running.close();
    exchange.response.end();
  }

  #fail(exchange: SqlExchange, thrown: unknown): void {
    const { response } = exchange;
    if (response.headersSent) {
      response.end();
      return;
    }
    const body =
      thrown instanceof StatementFailure
        ? errorBody(thrown.cause, thrown.statement, thrown.entities)
        : errorBody(thrown);
    if (body.error_code === 50000)
      this.#options.log.error({ err: thrown }, 'a request to the SQL interface failed');
    if (body.error_code === 50302) head(exchange, 503, { 'retry-after': '1' });
    // What is left of a body that is not read does not hold the connection.
    if (body.error_code >= 40800 && body.error_code < 42000 && exchange.request.httpVersionMajor === 1)
      head(exchange, 400, { connection: 'close' });
    json(exchange, body, statusOf(body));
  }
}

/** What went wrong with a statement, and what those before it gave. */
class StatementFailure extends Error {
  readonly statement: string | null;
  readonly entities: readonly object[];

  constructor(cause: unknown, statement: string | null, entities: readonly object[]) {
    super('a statement failed', { cause });
    this.statement = statement;
    this.entities = entities;
  }
}

/** Whether the statement concerns those behind it in the request, and nothing that runs. */
function isOfRequest({ kind }: Statement): boolean {
  return kind === 'set' || kind === 'unset' || kind === 'define' || kind === 'undefine';
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path).replaceAll('`', '');
  } catch {
    return path;
  }
}

function json(exchange: SqlExchange, body: object, status = 200, type: string = JSON_TYPE): void {
  const text = JSON.stringify(body);
  head(exchange, status, { 'content-type': type, 'content-length': String(Buffer.byteLength(text)) });
  exchange.response.end(text);
}
