import { get } from 'node:http';
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

/** Asks the running daemon. Throws `http.no-daemon`, `http.unauthorized`. */
export async function fetchStatus(
  { listen, token }: DaemonAddress,
  signal: AbortSignal,
): Promise<DaemonStatus> {
  // Who listens on all interfaces listens on loopback too.
  const host = listen.host === '0.0.0.0' ? '127.0.0.1' : listen.host === '::' ? '::1' : listen.host;
  const place = formatListen({ host, port: listen.port });
  const { status, body } = await request(host, listen.port, token, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new HeadwaterError('http.no-daemon', `No daemon answers at ${place}.`, { cause: error });
  });
  if (status === 401)
    throw new HeadwaterError('http.unauthorized', `The daemon at ${place} refuses the token.`);
  try {
    const parsed: unknown = JSON.parse(body);
    if (status === 200 && isDaemonStatus(parsed)) return parsed;
  } catch {
    // Not JSON: something else listens there.
  }
  throw new HeadwaterError('http.no-daemon', `What answers at ${place} is not Headwater.`);
}

function isDaemonStatus(value: unknown): value is DaemonStatus {
  return (
    typeof value === 'object' && value !== null && 'pipelines' in value && Array.isArray(value.pipelines)
  );
}

function request(
  host: string,
  port: number,
  token: string | null,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const headers = token === null ? {} : { authorization: `Bearer ${token}` };
    const asked = get(
      { host, port, path: '/status', headers, signal, timeout: TIMEOUT_MS, agent: false },
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
  });
}
