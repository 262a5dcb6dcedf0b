import { request as httpRequest } from 'node:http';
import { CATALOGUE, type Code } from '../errors/catalogue.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import { formatListen, type ListenAddress } from '../settings/listen.ts';
import type { PipelineStatus } from '../observability/status.ts';

export interface DaemonAddress {
  readonly listen: ListenAddress;
  readonly token: string | null;
}

export interface DaemonStatus {
  readonly version: string;
  readonly startedAt: string;
  readonly pipelines: readonly PipelineStatus[];
}

const TIMEOUT_MS = 5_000;
/** Longer than the daemon waits for a pipeline to come to a request. */
const REQUEST_TIMEOUT_MS = 90_000;

/** Asks the running daemon. Throws `http.no-daemon`, `http.unauthorized`. */
export async function fetchStatus(address: DaemonAddress, signal: AbortSignal): Promise<DaemonStatus> {
  const { status, body, place } = await ask(address, { method: 'GET', path: '/status' }, signal);
  if (status === 200 && isDaemonStatus(body)) return body;
  throw new HeadwaterError('http.no-daemon', `What answers at ${place} is not Headwater.`);
}

/**
 * Asks the running daemon to do something: `path` is below `/admin/`. Resolves to its answer. Throws
 * `http.no-daemon`, `http.unauthorized`, and whatever the daemon answers with.
 */
export async function postAdmin(
  address: DaemonAddress,
  path: string,
  content: object,
  signal: AbortSignal,
): Promise<unknown> {
  const { status, body, place } = await ask(
    address,
    { method: 'POST', path: `/admin/${path}`, content: JSON.stringify(content) },
    signal,
  );
  if (status === 200) return body;
  const errors = errorsIn(body);
  if (errors.length > 1) throw new AggregateError(errors, 'The daemon refuses.');
  throw errors[0] ?? new HeadwaterError('http.no-daemon', `What answers at ${place} is not Headwater.`);
}

interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** JSON text. */
  readonly content?: string;
}

async function ask(
  { listen, token }: DaemonAddress,
  question: Question,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: unknown; readonly place: string }> {
  const { host, port, place } = reachable(listen);
  const answer = await send({ host, port, token }, question, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new HeadwaterError('http.no-daemon', `No daemon answers at ${place}.`, { cause: error });
  });
  if (answer.status === 401) {
    throw new HeadwaterError('http.unauthorized', `The daemon at ${place} refuses the token.`);
  }
  let body: unknown = null;
  try {
    body = JSON.parse(answer.body);
  } catch {
    // Not JSON: something else listens there.
  }
  return { status: answer.status, body, place };
}

/** Where to connect to whoever listens there, and how to call the place. */
export function reachable({
  host: listening,
  port,
}: ListenAddress): ListenAddress & { readonly place: string } {
  // Who listens on all interfaces listens on loopback too.
  const host = listening === '0.0.0.0' ? '127.0.0.1' : listening === '::' ? '::1' : listening;
  return { host, port, place: formatListen({ host, port }) };
}

function isDaemonStatus(value: unknown): value is DaemonStatus {
  return (
    typeof value === 'object' && value !== null && 'pipelines' in value && Array.isArray(value.pipelines)
  );
}

/** `{"errors": [{"code", "message", "advice"}]}`, as far as it is that. */
function errorsIn(body: unknown): readonly HeadwaterError[] {
  if (typeof body !== 'object' || body === null || !('errors' in body) || !Array.isArray(body.errors)) {
    return [];
  }
  return body.errors.flatMap((each: unknown) => {
    if (typeof each !== 'object' || each === null || !('code' in each) || !('message' in each)) return [];
    const { code, message } = each;
    if (typeof code !== 'string' || !isCode(code) || typeof message !== 'string') return [];
    const fix = 'advice' in each && typeof each.advice === 'string' ? each.advice : undefined;
    return [new HeadwaterError(code, message, { fix })];
  });
}

function isCode(code: string): code is Code {
  return Object.hasOwn(CATALOGUE, code);
}

function send(
  { host, port, token }: { readonly host: string; readonly port: number; readonly token: string | null },
  { method, path, content }: Question,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(content === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const timeout = method === 'GET' ? TIMEOUT_MS : REQUEST_TIMEOUT_MS;
    const asked = httpRequest(
      { host, port, path, method, headers, signal, timeout, agent: false },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (body += part));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    asked.on('timeout', () => asked.destroy(new Error('time-out')));
    asked.on('error', reject);
    asked.end(content);
  });
}
