import type { Socket } from 'node:net';
import { Client, type ClientConfig } from 'pg';
import { copyInto, newSocketInput, type SocketInput, socketInto } from '../../socket-input.ts';
import { type PgConnectOptions, type PgHost, SESSION_OPTIONS, tlsOptions } from './connect-options.ts';
import { PgConnectionError, PgError } from './pg-error.ts';

/** A socket after login, taken from `pg`, at the point where the server waits for a first command. */
export interface LoggedIn {
  readonly socket: Socket;
  readonly host: PgHost;
  readonly processId: number;
  readonly secretKey: number;
  readonly parameters: Map<string, string>;
  /** Bytes land here; `onBytes` is called after each read. */
  readonly input: SocketInput;
}

/** What of pg's Client and Connection is used here and not in its public types. */
interface ClientInternals {
  readonly connection: {
    readonly stream: Socket;
    on(event: string, listener: (message: unknown) => void): void;
    removeAllListeners(): void;
    _ending: boolean;
  };
  readonly processID: number | null;
  readonly secretKey: number | null;
}

/** Login, TLS and SCRAM by `pg`; throws PgError or PgConnectionError. */
export async function logIn(
  options: PgConnectOptions,
  host: PgHost,
  replication: 'database' | undefined,
  signal: AbortSignal,
): Promise<LoggedIn> {
  signal.throwIfAborted();
  const input = newSocketInput();
  const config: ClientConfig & { replication?: string } = {
    host: host.host,
    port: host.port,
    database: options.database,
    user: options.user,
    ...(options.password === null ? {} : { password: options.password }),
    ssl: tlsOptions(options.tls, host.host),
    application_name: 'headwater',
    options: SESSION_OPTIONS,
    connectionTimeoutMillis: options.connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 30_000,
    ...(options.tls.mode === 'disable' ? { stream: () => socketInto(input) } : {}),
    ...(replication === undefined ? {} : { replication }),
  };
  const client = new Client(config);
  const internals = client as unknown as ClientInternals;
  const stage = { connected: false, tls: false, passwordAsked: false };
  const parameters = new Map<string, string>();
  const { connection } = internals;
  connection.on('connect', () => {
    stage.connected = true;
    if (options.tls.mode === 'disable') guard(connection.stream);
  });
  connection.on('sslconnect', () => {
    stage.tls = true;
    guard(connection.stream);
  });
  for (const event of [
    'authenticationSASL',
    'authenticationMD5Password',
    'authenticationCleartextPassword',
  ]) {
    connection.on(event, () => (stage.passwordAsked = true));
  }
  connection.on('parameterStatus', (message) => {
    const { parameterName, parameterValue } = message as { parameterName: string; parameterValue: string };
    parameters.set(parameterName, parameterValue);
  });
  const onAbort = (): void => {
    connection.stream.destroy(new Error('aborted'));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  client.on('error', ignore);
  try {
    await client.connect();
  } catch (error) {
    connection.stream.destroy();
    signal.throwIfAborted();
    throw loginError(error, options, host, stage);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  const socket = connection.stream;
  // From here on pg hears nothing: neither bytes nor the end of the connection.
  connection.removeAllListeners();
  // What the server began and did not wait for, as a login by SASL, may still fail.
  connection.on('error', ignore);
  for (const event of ['data', 'end', 'close', 'error', 'connect']) socket.removeAllListeners(event);
  if (options.tls.mode !== 'disable') copyInto(input, socket);
  return {
    socket,
    host,
    processId: internals.processID ?? 0,
    secretKey: internals.secretKey ?? 0,
    parameters,
    input,
  };
}

/** What pg's parser throws at bytes that are none of PostgreSQL would end the process: it ends the connection. */
function guard(stream: Socket): void {
  const listeners = stream.listeners('data') as ((chunk: Buffer) => void)[];
  stream.removeAllListeners('data');
  stream.on('data', (chunk: Buffer) => {
    try {
      for (const listener of listeners) listener.call(stream, chunk);
    } catch (error) {
      stream.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

function ignore(): void {
  // The failed promise of connect() says the same, or the session that is made of it.
}

function loginError(
  error: unknown,
  options: PgConnectOptions,
  { host, port }: PgHost,
  stage: { connected: boolean; tls: boolean; passwordAsked: boolean },
): Error {
  const place = host.startsWith('/') ? host : `${host}:${port}`;
  if (!(error instanceof Error)) return new PgConnectionError('lost', `Login at ${place} failed`, error);
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  if (typeof code === 'string' && typeof severity === 'string') {
    return new PgError(
      new Map([
        ['M', error.message],
        ['C', code],
        ['V', severity],
      ]),
    );
  }
  const wantsTls = options.tls.mode !== 'disable';
  if (!stage.connected) {
    const reason = typeof code === 'string' ? code : 'no answer';
    if (typeof code !== 'string') {
      return new PgConnectionError(
        'timeout',
        `No connection to ${place} within ${options.connectTimeoutMs} ms`,
        error,
      );
    }
    return new PgConnectionError('unreachable', `Nothing answers at ${place} (${reason})`, error);
  }
  if (wantsTls && !stage.tls) {
    return new PgConnectionError('tls', `The server at ${place} does not offer TLS`, error);
  }
  if (stage.passwordAsked) {
    const sentence =
      options.password === null
        ? `The server at ${place} asks for a password and none is set`
        : `Password authentication at ${place} could not be completed`;
    return new PgError(
      new Map([
        ['M', sentence],
        ['C', '28P01'],
        ['V', 'FATAL'],
      ]),
    );
  }
  if (wantsTls && typeof code === 'string') {
    return new PgConnectionError('tls', `TLS with ${place} failed (${code})`, error);
  }
  return new PgConnectionError('lost', `${place} closed the connection during login`, error);
}
