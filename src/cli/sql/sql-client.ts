/** Asks the SQL interface of a running daemon. */
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { createInterface } from 'node:readline';
import type { Code } from '../../errors/catalogue.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type DaemonAddress, reachable } from '../daemon-client.ts';

/** What SET and DEFINE have left behind. */
export interface SqlSession {
  readonly properties: ReadonlyMap<string, string>;
  readonly variables: ReadonlyMap<string, string>;
}

export interface QueryHead {
  readonly columnNames: readonly string[];
  readonly columnTypes: readonly string[];
}

/** The entities of statements that are no SELECT. Throws what the daemon answers, and `http.no-daemon`. */
export async function askStatement(
  address: DaemonAddress,
  { text, session }: { readonly text: string; readonly session: SqlSession },
  signal: AbortSignal,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const { properties, variables } = session;
  const response = await post(
    address,
    '/ksql',
    {
      ksql: text,
      streamsProperties: Object.fromEntries(properties),
      sessionVariables: Object.fromEntries(variables),
    },
    signal,
  );
  let body = '';
  for await (const line of createInterface({ input: response })) body += line;
  const entities: unknown = JSON.parse(body);
  return Array.isArray(entities) ? (entities as readonly Readonly<Record<string, unknown>>[]) : [];
}

export interface RunningQuery {
  readonly head: QueryHead;
  /** JSON arrays as they come. Throws what ends the query before its time. */
  readonly rows: AsyncIterable<string>;
}

/** Throws what the daemon answers, and `http.no-daemon`. */
export async function askQuery(
  address: DaemonAddress,
  { text, session }: { readonly text: string; readonly session: SqlSession },
  signal: AbortSignal,
): Promise<RunningQuery> {
  const { properties, variables } = session;
  const response = await post(
    address,
    '/query-stream',
    {
      sql: text,
      properties: Object.fromEntries(properties),
      sessionVariables: Object.fromEntries(variables),
    },
    signal,
  );
  const lines = createInterface({ input: response })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done === true) throw new HeadwaterError('query.ended', 'The daemon has closed the connection.');
  return { head: JSON.parse(first.value) as QueryHead, rows: rowsOf(lines, response) };
}

/** The lines of PRINT as they come; blank ones are left out. Throws what the daemon answers, and `http.no-daemon`. */
export async function* askPrint(
  address: DaemonAddress,
  { text, session }: { readonly text: string; readonly session: SqlSession },
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { variables } = session;
  const content = { sql: text, sessionVariables: Object.fromEntries(variables) };
  const response = await post(address, '/query-stream', content, signal);
  for await (const line of createInterface({ input: response })) {
    if (line.startsWith('{')) throw refusal(JSON.parse(line));
    if (line !== '') yield line;
  }
}

async function* rowsOf(lines: AsyncIterator<string>, response: IncomingMessage): AsyncGenerator<string> {
  for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
    if (next.value === '') continue;
    // A row is an array; an object says why there are no more.
    if (next.value.startsWith('{')) throw refusal(JSON.parse(next.value));
    yield next.value;
  }
  if (!response.complete)
    throw new HeadwaterError('query.ended', 'The connection ended before the query did.');
}

function post(
  address: DaemonAddress,
  path: string,
  content: object,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { host, port, place } = reachable(address.listen);
  const { token } = address;
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    };
    const asked = httpRequest(
      { host, port, path, method: 'POST', headers, signal, agent: false },
      (response) => {
        // Told by its not being complete.
        response.on('error', () => {});
        if (response.statusCode === 200) resolve(response);
        else void refusalOf(response, place).then(reject, reject);
      },
    );
    asked.on('error', (cause) => {
      if (signal.aborted) reject(cause);
      else
        reject(
          new HeadwaterError('http.no-daemon', `No SQL interface answers at ${place}.`, {
            cause,
            fix: 'Start it with `headwater run`, or name the settings file whose http.sql it uses.',
          }),
        );
    });
    asked.end(JSON.stringify(content));
  });
}

async function refusalOf(response: IncomingMessage, place: string): Promise<HeadwaterError> {
  let body = '';
  response.setEncoding('utf8');
  for await (const part of response) body += String(part);
  if (response.statusCode === 401)
    return new HeadwaterError('http.unauthorized', `The daemon at ${place} refuses the token.`);
  try {
    return refusal(JSON.parse(body));
  } catch {
    return new HeadwaterError('http.no-daemon', `What answers at ${place} is not Headwater.`);
  }
}

const CODES: ReadonlyMap<number, Code> = new Map([
  [40001, 'enrich.statement-invalid'],
  [40003, 'query.too-many'],
  [42900, 'query.cut-off'],
  [50302, 'query.not-ready'],
  [50303, 'query.ended'],
]);

/** `{"error_code": …, "message": …}`, as far as it is that. */
function refusal(body: unknown): HeadwaterError {
  if (typeof body !== 'object' || body === null || !('message' in body) || typeof body.message !== 'string')
    return new HeadwaterError('request.invalid', 'The daemon refuses, and does not say why.');
  const number = 'error_code' in body ? Number(body.error_code) : 0;
  const code = CODES.get(number) ?? 'request.invalid';
  const fix = code === 'enrich.statement-invalid' ? 'docs/sql-api.md shows what can be asked.' : undefined;
  return new HeadwaterError(code, body.message, { fix });
}
