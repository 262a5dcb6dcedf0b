import type { ColumnMetadata, Connection, ExecuteOptions, ResultColumnMetadata, ResultSet } from 'oracledb';
import { classify } from '../errors.ts';
import { unshownIdentity } from './unshown-identity.ts';
import {
  type Binds,
  type ConnectOracle,
  OracleError,
  type OracleRow,
  type OracleSession,
  type OracleValue,
  type ResultColumn,
  type RowCursor,
} from './oracle-session.ts';

export interface OracleConnectOptions {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly service: string;
  readonly user: string;
  readonly password: string | null;
  /** `tcps`; null is plain TCP. `ca`, `cert` and `key` are PEM texts; a certificate has its key, and `ca` with it. */
  readonly tls: {
    readonly matchName: boolean;
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
  } | null;
  readonly connectTimeoutMs: number;
  /** Longest silence of the server within one call. */
  readonly queryTimeoutMs: number;
}

const FETCH_ROWS = 2_000;

/** Connections by `oracledb` in thin mode. The driver is loaded with the first one. Hosts are tried in order. */
export function connectByDriver(options: OracleConnectOptions): ConnectOracle {
  const addresses = options.hosts.map(
    ({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`,
  );
  return async (_use, signal, address) => {
    let failure: unknown;
    for (const each of address === undefined ? addresses : [address]) {
      signal.throwIfAborted();
      try {
        return await connect(options, each, signal);
      } catch (error) {
        // Only another host can be up where this one is not; a login that is refused is so everywhere.
        if (!(error instanceof OracleError) || classify(error).class !== 'reconnect') throw error;
        failure = error;
      }
    }
    throw failure;
  };
}

async function connect(
  options: OracleConnectOptions,
  address: string,
  signal: AbortSignal,
): Promise<OracleSession> {
  const { default: driver } = await import('oracledb');
  try {
    const protocol = options.tls === null ? 'tcp' : 'tcps';
    const connecting = driver.getConnection({
      user: options.user,
      password: options.password ?? '',
      connectString: `${protocol}://${address.includes('/') ? address : `${address}/${options.service}`}`,
      // LogMiner may be silent for minutes, and networks forget connections that are.
      expireTime: 1,
      connectTimeout: seconds(options.connectTimeoutMs),
      transportConnectTimeout: seconds(options.connectTimeoutMs),
      retryCount: 0,
      ...tlsOptions(options),
    });
    // The driver's timeouts end with the listener's answer: what comes then may stay away for ever.
    const connection = await within(connecting, 2_000 * seconds(options.connectTimeoutMs), signal);
    connection.callTimeout = options.queryTimeoutMs;
    const strings = new Set([
      driver.DB_TYPE_NUMBER,
      driver.DB_TYPE_CLOB,
      driver.DB_TYPE_NCLOB,
      driver.DB_TYPE_LONG,
    ]);
    const handler = ({ dbType }: ColumnMetadata): ReturnType<TypeHandler> => {
      if (strings.has(dbType)) return { type: driver.STRING };
      return dbType === driver.DB_TYPE_BLOB ? { type: driver.BUFFER } : undefined;
    };
    return new DriverSession(connection, { outFormat: driver.OUT_FORMAT_ARRAY, fetchTypeHandler: handler });
  } catch (error) {
    signal.throwIfAborted();
    throw oracleError(error);
  }
}

/** A connection that comes too late, or when nobody wants it any more, is closed. */
function within(connecting: Promise<Connection>, ms: number, signal: AbortSignal): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let given = false;
    const giveUp = (error: Error): void => {
      if (given) return;
      given = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      reject(error);
    };
    const abort = (): void => giveUp(signal.reason as Error);
    const timer = setTimeout(() => giveUp(new OracleError('NJS-510: the login was not answered')), ms);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    connecting.then((connection) => {
      if (given) {
        connection.close({ drop: true }).catch(() => undefined);
        return;
      }
      given = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      resolve(connection);
    }, giveUp);
  });
}

type TypeHandler = NonNullable<ExecuteOptions['fetchTypeHandler']>;

function tlsOptions({ tls }: OracleConnectOptions): { sslServerDNMatch?: boolean; walletContent?: string } {
  if (tls === null) return {};
  const { matchName: sslServerDNMatch, ca, cert, key } = tls;
  if (ca === null) return { sslServerDNMatch }; // whom the system trusts
  const own = key === null || cert === null ? unshownIdentity() : `${key}\n${cert}`;
  return { sslServerDNMatch, walletContent: `${own}\n${ca}` };
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}

class DriverSession implements OracleSession {
  readonly #connection: Connection;
  readonly #options: ExecuteOptions;

  constructor(connection: Connection, options: ExecuteOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  async execute(sql: string, binds: Binds = {}): Promise<void> {
    try {
      await this.#connection.execute(sql, binds, this.#options);
    } catch (error) {
      throw oracleError(error);
    }
  }

  async query(sql: string, binds: Binds = {}): Promise<readonly OracleRow[]> {
    const cursor = await this.open(sql, binds);
    const all: OracleRow[] = [];
    try {
      for (;;) {
        const rows = await cursor.next(FETCH_ROWS);
        if (rows.length === 0) return all;
        all.push(...rows);
      }
    } finally {
      await cursor.close();
    }
  }

  async columns(sql: string): Promise<readonly ResultColumn[]> {
    try {
      const { metaData = [] } = await this.#connection.getStatementInfo(sql);
      return metaData.map(resultColumn);
    } catch (error) {
      throw oracleError(error);
    }
  }

  async open(sql: string, binds: Binds = {}, rowsAtOnce = FETCH_ROWS): Promise<RowCursor> {
    try {
      const { resultSet } = await this.#connection.execute(sql, binds, {
        ...this.#options,
        resultSet: true,
        fetchArraySize: rowsAtOnce,
        prefetchRows: rowsAtOnce,
      });
      if (resultSet === undefined) throw new Error('NJS-019: the statement has no rows');
      return new DriverCursor(resultSet);
    } catch (error) {
      throw oracleError(error);
    }
  }

  interrupt(): void {
    this.#connection.break().catch(() => undefined); // the call fails by itself, or has ended already
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing of ours is worth a farewell from a server that may not answer any more.
    await this.#connection.close({ drop: true }).catch(() => undefined);
  }
}

class DriverCursor implements RowCursor {
  readonly #resultSet: ResultSet;

  constructor(resultSet: ResultSet) {
    this.#resultSet = resultSet;
  }

  async next(max: number): Promise<readonly OracleRow[]> {
    try {
      return (await this.#resultSet.getRows(max)).map((row) => row.map(valueOf));
    } catch (error) {
      throw oracleError(error);
    }
  }

  async close(): Promise<void> {
    await this.#resultSet.close().catch(() => undefined); // broken with its connection
  }
}

/** The scale of numbers that declare none. */
const UNDECLARED_SCALE = -127;

export function resultColumn({
  name,
  dbTypeName: dataType,
  byteSize,
  precision = 0,
  scale = 0,
}: ResultColumnMetadata): ResultColumn {
  if (dataType === 'NUMBER') {
    // Binary digits without a scale make FLOAT; what is computed declares neither.
    if (precision !== 0 && scale === UNDECLARED_SCALE)
      return { name, dataType: 'FLOAT', bytes: null, precision, scale: null };
    const declared = precision !== 0;
    return {
      name,
      dataType,
      bytes: null,
      precision: declared ? precision : null,
      scale: declared ? scale : null,
    };
  }
  if (dataType.startsWith('TIMESTAMP'))
    return { name, dataType, bytes: null, precision: null, scale: precision };
  return { name, dataType, bytes: byteSize ?? null, precision: null, scale: null };
}

function valueOf(value: unknown): OracleValue {
  if (typeof value === 'string' || value === null || Buffer.isBuffer(value)) return value;
  if (value === undefined) return null;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value); // BINARY_DOUBLE, BOOLEAN
  throw new OracleError(`NJS-119: a column of a type that was not asked for (${typeof value})`);
}

function oracleError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof OracleError || error.name === 'AbortError') return error;
  const { errorNum, code } = error as { errorNum?: unknown; code?: unknown };
  return new OracleError(
    `${typeof code === 'string' ? code : ''} ${error.message}`,
    typeof errorNum === 'number' ? errorNum : undefined,
  );
}
