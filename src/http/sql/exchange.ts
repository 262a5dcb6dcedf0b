/** One request and its response, in either version of HTTP. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { SqlApiError } from './api-error.ts';

export interface SqlExchange {
  readonly request: IncomingMessage | Http2ServerRequest;
  readonly response: ServerResponse | Http2ServerResponse;
}

/** Status and headers, which go out with the first piece of the body. */
export function head(
  { response }: SqlExchange,
  status: number,
  headers: Readonly<Record<string, string>>,
): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}

export const V1 = 'application/vnd.ksql.v1+json';
export const DELIMITED = 'application/vnd.ksqlapi.delimited.v1';
export const JSON_TYPE = 'application/json';

/** What curl says of a body unless it is told otherwise; the examples of ksqlDB's documentation leave it at that. */
const FORM = 'application/x-www-form-urlencoded';

const MAX_BODY = 1024 * 1024;
const BODY_MS = 10_000;

/** The JSON object of the body. Throws SqlApiError 40000. */
export async function readObject({ request }: SqlExchange): Promise<Readonly<Record<string, unknown>>> {
  admitType(request, [V1, JSON_TYPE]);
  const text = await readText(request);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new SqlApiError(40000, 'The body is no JSON.');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new SqlApiError(40000, 'The body has to be a JSON object.');
  return body as Readonly<Record<string, unknown>>;
}

/**
 * The lines of a body that may go on for as long as the client likes; blank ones are left out. Throws SqlApiError 41300
 * for one that is too long, 41500.
 */
export async function* linesOf(request: SqlExchange['request']): AsyncGenerator<string> {
  admitType(request, [DELIMITED, V1, JSON_TYPE]);
  const decoder = new TextDecoder();
  let rest = '';
  for await (const part of request as AsyncIterable<Uint8Array>) {
    rest += decoder.decode(part, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield line;
    if (rest.length > MAX_BODY) throw new SqlApiError(41300, 'A line is longer than 1 MiB.');
  }
  if (rest.trim() !== '') yield rest;
}

/**
 * Other sites' pages can send forms and plain text without asking, and nothing else. A browser that sends one names the
 * page's site, and no other program does. Throws SqlApiError 41500.
 */
function admitType({ headers }: SqlExchange['request'], taken: readonly string[]): void {
  const written = headers['content-type'];
  if (written === undefined) return;
  const type = written.split(';', 1)[0]!.trim().toLowerCase();
  if (taken.includes(type)) return;
  const ofBrowser = headers.origin !== undefined || headers['sec-fetch-site'] !== undefined;
  if (type === FORM && !ofBrowser) return;
  throw new SqlApiError(
    41500,
    `The body is of type ${JSON.stringify(type)}; send ${taken.slice(0, -1).join(', ')} or ${taken.at(-1)}.`,
  );
}

function readText(request: SqlExchange['request']): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
      // The response still has to go out.
      request.removeAllListeners('data');
      request.resume();
    };
    const timer = setTimeout(
      () => fail(new SqlApiError(40800, `The body has not come within ${BODY_MS / 1000} seconds.`)),
      BODY_MS,
    );
    request.on('data', (part: Buffer) => {
      parts.push(part);
      length += part.length;
      if (length > MAX_BODY) fail(new SqlApiError(41300, 'The body is larger than 1 MiB.'));
    });
    request.on('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(parts).toString('utf8'));
    });
    request.on('error', (error) => fail(error));
    request.on('aborted', () => fail(new SqlApiError(40000, 'The body was cut off.')));
  });
}

/** The text of a field. Throws SqlApiError 40000 where it is none. */
export function requiredText(body: Readonly<Record<string, unknown>>, name: string): string {
  const value = body[name];
  if (typeof value === 'string') return value;
  throw new SqlApiError(
    40000,
    value === undefined ? `The body has no field ${name}.` : `The field ${name} has to be a text.`,
  );
}

/** `{name: value}` of texts, numbers and booleans, all as text. */
export function textMap(body: Readonly<Record<string, unknown>>, name: string): ReadonlyMap<string, string> {
  const value = body[name] ?? {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw new SqlApiError(40000, `The field ${name} has to be an object.`);
  return new Map(
    Object.entries(value).flatMap(([key, each]: [string, unknown]) =>
      typeof each === 'string' || typeof each === 'number' || typeof each === 'boolean'
        ? [[key, String(each)] as const]
        : [],
    ),
  );
}

/**
 * The offered type that the Accept header likes best, the first of equals; RFC 9110 12.5.1 without parameters other
 * than q. Throws SqlApiError 40600.
 */
export function acceptedType<T extends string>({ request }: SqlExchange, offered: readonly T[]): T {
  const header = request.headers.accept;
  const [first] = offered;
  if (header === undefined || header.trim() === '') {
    if (first !== undefined) return first;
  }
  const ranges = (header ?? '').split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    return { type, q: q === undefined ? 1 : Number(q.slice(2)) || 0 };
  });
  let best: T | null = null;
  let bestQ = 0;
  for (const type of offered) {
    const matching = ranges.filter((range) => matches(range.type, type));
    // The more exact range counts.
    matching.sort((a, b) => exactness(b.type) - exactness(a.type));
    const q = matching[0]?.q ?? 0;
    if (q > bestQ) {
      best = type;
      bestQ = q;
    }
  }
  if (best !== null) return best;
  throw new SqlApiError(40600, `This answers with ${offered.join(', ')}, and Accept wants none of them.`);
}

function matches(range: string, type: string): boolean {
  return range === '*/*' || range === type || (range.endsWith('/*') && type.startsWith(range.slice(0, -1)));
}

function exactness(range: string): number {
  return range === '*/*' ? 0 : range.endsWith('/*') ? 1 : 2;
}
