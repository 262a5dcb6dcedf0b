import { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type Connection, createConnection, type QueryError } from 'mysql2';
import '../../buffer-slices.ts';
import { copyInto, newSocketInput, type SocketInput, socketInto } from '../../socket-input.ts';
import { type MysqlConnectOptions, type MysqlHost, tlsOptions } from './connect-options.ts';
import { ed25519Login } from './ed25519-login.ts';
import { MysqlConnectionError, MysqlError } from './mysql-error.ts';
import { type ReplicationSocket, startDump } from './replication-socket.ts';
import { type ServerInfo, serverInfo } from './server-info.ts';

/** Rows, every value as the server's text in UTF-8. */
export type TextRows = readonly (readonly (string | null)[])[];
/** Rows, every value as the bytes of the text protocol. */
export type CellRows = readonly (readonly (Buffer | null)[])[];

/**
 * One session over mysql2. Commands queue up behind each other; nothing is retried. Everything here throws
 * MysqlError (the server's answer), MysqlConnectionError (network) or the signal's reason, and only these.
 * The session's time zone is UTC and its character set utf8mb4.
 */
export interface MysqlConnection extends AsyncDisposable {
  readonly server: ServerInfo;
  readonly threadId: number;
  readonly open: boolean;
  query(sql: string, signal?: AbortSignal): Promise<TextRows>;
  cells(sql: string, signal?: AbortSignal): Promise<CellRows>;
  /** The socket, at the point where the server waits for a command. Nothing else can be done afterwards but to close. */
  takeOver(): TakenSocket;
  /** Sends `commands` (each without its frame), the last of which starts the dump. Nothing else can be done afterwards. */
  dump(commands: readonly Buffer[], signal: AbortSignal): Promise<ReplicationSocket>;
  close(): Promise<void>;
}

/** What mysql2 has logged in with; nobody listens to it any more. */
export interface TakenSocket {
  readonly socket: Socket;
  readonly input: SocketInput;
}

/** How sessions are set up whatever the server's defaults: printing of values, and patience with slow readers. */
const SESSION = [
  "time_zone = '+00:00'",
  "sql_mode = ''",
  'net_write_timeout = 600',
  'net_read_timeout = 600',
  'wait_timeout = 86400',
];

/** Tries the hosts in order. Throws MysqlError or MysqlConnectionError. */
export async function connectMysql(
  options: MysqlConnectOptions,
  signal: AbortSignal,
): Promise<MysqlConnection> {
  let failure: unknown = new MysqlConnectionError('unreachable', 'No host is configured');
  for (const host of options.hosts) {
    try {
      return await connectHost(options, host, signal);
    } catch (error) {
      signal.throwIfAborted();
      // An answer says more than a host that is down.
      if (!(failure instanceof MysqlError)) failure = error;
    }
  }
  throw failure;
}

async function connectHost(
  options: MysqlConnectOptions,
  host: MysqlHost,
  signal: AbortSignal,
): Promise<MysqlConnection> {
  signal.throwIfAborted();
  const ssl = tlsOptions(options.tls);
  const input = newSocketInput();
  const driver = createConnection({
    ...(host.host.startsWith('/') ? { socketPath: host.host } : { host: host.host, port: host.port }),
    ...(ssl === undefined ? { stream: () => connectSocket(input, host) } : {}),
    user: options.user,
    ...(options.password === null ? {} : { password: options.password }),
    ...(options.database === null ? {} : { database: options.database }),
    ...(ssl === undefined ? {} : { ssl }),
    charset: 'UTF8MB4_BIN',
    connectTimeout: options.connectTimeoutMs,
    rowsAsArray: true,
    typeCast: false,
    // A COM_QUERY is the statement and nothing else: row-session.ts sends its own.
    flags: ['-CLIENT_QUERY_ATTRIBUTES'],
    connectAttributes: { program_name: 'headwater' },
    authPlugins: { client_ed25519: ed25519Login(options.password ?? '') },
  });
  const connection = new Session(driver, host, input);
  const onAbort = (): void =>
    connection.break(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await connection.logIn();
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** As mysql2 would make it, but for where the bytes go. */
function connectSocket(input: SocketInput, { host, port }: MysqlHost): Socket {
  const socket = socketInto(input);
  if (host.startsWith('/')) return socket.connect(host);
  return socket.setKeepAlive(true).setNoDelay(true).connect(port, host);
}

/** What of the driver is used here and not in its types. */
interface DriverInternals {
  handlePacket(packet: unknown): void;
}

/** What the driver throws at bytes that are none of MySQL would end the process. */
function guard(driver: Connection, onError: (error: unknown) => void): void {
  const internals = driver as unknown as DriverInternals;
  const handle = internals.handlePacket.bind(driver);
  internals.handlePacket = (packet) => {
    try {
      handle(packet);
    } catch (error) {
      onError(error);
    }
  };
}

class Session implements MysqlConnection {
  readonly #driver: Connection;
  readonly #input: SocketInput;
  readonly #place: string;
  #server: ServerInfo = serverInfo('');
  #lost: Error | null = null;
  #replication: ReplicationSocket | null = null;
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(driver: Connection, host: MysqlHost, input: SocketInput) {
    this.#driver = driver;
    this.#input = input;
    this.#place = host.host.startsWith('/') ? host.host : `${host.host}:${host.port}`;
    driver.on('error', (error: unknown) => this.break(this.#asError(error)));
    guard(driver, (error) =>
      this.break(new MysqlConnectionError('protocol', `What ${this.#place} answers cannot be read`, error)),
    );
  }

  get server(): ServerInfo {
    return this.#server;
  }

  get threadId(): number {
    return this.#driver.threadId;
  }

  get open(): boolean {
    return this.#lost === null;
  }

  async logIn(): Promise<void> {
    await this.#run<void>(undefined, (resolve, reject) =>
      this.#driver.connect((error) => (error === null ? resolve() : reject(error))),
    );
    const [row] = await this.query('SELECT VERSION(), @@version_comment');
    const [version = '', comment = ''] = row ?? [];
    this.#server = serverInfo(/mariadb/i.test(comment ?? '') ? `${version}-MariaDB` : (version ?? ''));
    await this.query(`SET SESSION ${SESSION.join(', ')}`);
    await this.query('SET NAMES utf8mb4');
  }

  async query(sql: string, signal?: AbortSignal): Promise<TextRows> {
    const rows = await this.cells(sql, signal);
    return rows.map((row) => row.map((cell) => (cell === null ? null : cell.utf8Slice(0, cell.length))));
  }

  cells(sql: string, signal?: AbortSignal): Promise<CellRows> {
    return this.#run<CellRows>(signal, (resolve, reject) => {
      this.#driver.query(sql, (error: QueryError | null, rows: unknown) => {
        if (error === null) resolve(isCellRows(rows) ? rows : []);
        else reject(error);
      });
    });
  }

  takeOver(): TakenSocket {
    // After startTLS it is the TLS socket.
    const socket = 'stream' in this.#driver ? this.#driver.stream : null;
    if (!(socket instanceof Socket)) {
      throw new MysqlConnectionError('protocol', 'The driver has no socket');
    }
    for (const event of ['data', 'error', 'end', 'close'] as const) socket.removeAllListeners(event);
    if (socket instanceof TLSSocket) copyInto(this.#input, socket);
    return { socket, input: this.#input };
  }

  async dump(commands: readonly Buffer[], signal: AbortSignal): Promise<ReplicationSocket> {
    signal.throwIfAborted();
    if (this.#lost !== null) throw this.#lost;
    this.#replication = startDump(this.takeOver(), commands, this.#place);
    return this.#replication;
  }

  async close(): Promise<void> {
    this.#replication?.close();
    this.break(new MysqlConnectionError('lost', 'The connection was closed'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The session is over; whoever waits learns why. */
  break(error: Error): void {
    if (this.#lost !== null) return;
    this.#lost = error;
    for (const reject of this.#waiting) reject(error);
    this.#waiting.clear();
    // Errors after the end are nobody's; without a listener they would end the process.
    this.#driver.removeAllListeners('error');
    this.#driver.on('error', () => undefined);
    this.#driver.destroy();
    // The driver only says that it is done, and waits for the server to say so too: for ever, if that hangs.
    if ('stream' in this.#driver && this.#driver.stream instanceof Socket) this.#driver.stream.destroySoon();
  }

  /** One command; an abort closes the session, at which the server gives the statement up. */
  async #run<T>(
    signal: AbortSignal | undefined,
    start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    signal?.throwIfAborted();
    if (this.#lost !== null) throw this.#lost;
    const onAbort = (): void =>
      this.break(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
    signal?.addEventListener('abort', onAbort, { once: true });
    let onLost: ((error: Error) => void) | null = null;
    try {
      return await new Promise<T>((resolve, reject) => {
        onLost = reject;
        this.#waiting.add(reject);
        start(resolve, (error) => reject(this.#lost ?? this.#asError(error)));
      });
    } finally {
      if (onLost !== null) this.#waiting.delete(onLost);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #asError(error: unknown): Error {
    if (error instanceof MysqlConnectionError || error instanceof MysqlError) return error;
    const { errno, sqlState, code, message } = fieldsOf(error);
    // mysql2 gives answers of the server their number, and network errors Node's negative one.
    if (errno !== null && errno > 0) return new MysqlError({ errno, sqlstate: sqlState ?? 'HY000', message });
    switch (code) {
      case 'ETIMEDOUT':
        return new MysqlConnectionError('timeout', `${this.#place} did not answer in time`, error);
      case 'ECONNREFUSED':
      case 'ENOTFOUND':
      case 'EAI_AGAIN':
      case 'EHOSTUNREACH':
      case 'ENETUNREACH':
      case 'ENOENT':
      case 'EACCES':
        return new MysqlConnectionError('unreachable', `${this.#place} cannot be reached: ${code}`, error);
      case 'HANDSHAKE_NO_SSL_SUPPORT':
        return new MysqlConnectionError('tls', `${this.#place} does not support TLS`, error);
      case 'HANDSHAKE_SSL_ERROR':
        return new MysqlConnectionError('tls', `TLS with ${this.#place} failed: ${message}`, error);
      case 'AUTH_SWITCH_PLUGIN_ERROR':
      case 'MYSQL_CLEAR_PASSWORD_NOT_ENABLED':
        return new MysqlConnectionError('auth', `The login at ${this.#place} failed: ${message}`, error);
      default:
        return new MysqlConnectionError(
          'lost',
          `The connection to ${this.#place} broke: ${code ?? message}`,
          error,
        );
    }
  }
}

function isCellRows(rows: unknown): rows is CellRows {
  return Array.isArray(rows);
}

function fieldsOf(error: unknown): {
  readonly errno: number | null;
  readonly sqlState: string | null;
  readonly code: string | null;
  readonly message: string;
} {
  if (!(error instanceof Error)) return { errno: null, sqlState: null, code: null, message: String(error) };
  return {
    errno: 'errno' in error && typeof error.errno === 'number' ? error.errno : null,
    sqlState: 'sqlState' in error && typeof error.sqlState === 'string' ? error.sqlState : null,
    code: 'code' in error && typeof error.code === 'string' ? error.code : null,
    message: error.message,
  };
}
