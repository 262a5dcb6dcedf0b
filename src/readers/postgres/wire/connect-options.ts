import { checkServerIdentity, type ConnectionOptions } from 'node:tls';

export interface PgTls {
  /** As libpq's sslmode. `require` encrypts without checking who answers. */
  readonly mode: 'disable' | 'require' | 'verify-ca' | 'verify-full';
  /** PEM text. */
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

export interface PgHost {
  /** A name, an address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
}

export interface PgConnectOptions {
  /** Tried in order. With several hosts only a server that accepts writes is taken. */
  readonly hosts: readonly PgHost[];
  readonly database: string;
  readonly user: string;
  readonly password: string | null;
  readonly tls: PgTls;
  readonly connectTimeoutMs: number;
}

/** For messages: never holds the password. */
export function describeHosts(options: PgConnectOptions): string {
  return options.hosts.map(({ host, port }) => (host.startsWith('/') ? host : `${host}:${port}`)).join(', ');
}

/**
 * Settings that decide how values are printed, the same for snapshot and stream, and time limits
 * that a role may have been given for its people's sessions.
 */
export const SESSION_OPTIONS: string = Object.entries({
  DateStyle: 'ISO',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '3', // from 12 on anything above 0 is the shortest exact form
  bytea_output: 'hex',
  lc_monetary: 'C',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
})
  .map(([name, value]) => `-c ${name}=${value}`)
  .join(' ');

/** Node's TLS options for a mode, as `pg` takes them. */
export function tlsOptions(tls: PgTls, host: string): false | ConnectionOptions {
  if (tls.mode === 'disable') return false;
  return {
    rejectUnauthorized: tls.mode !== 'require',
    // Spelled out, since pg names the host to Node only where it is no address, and Node then takes `localhost`.
    checkServerIdentity: (_, certificate) =>
      tls.mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined,
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    ...(tls.cert === null ? {} : { cert: tls.cert }),
    ...(tls.key === null ? {} : { key: tls.key }),
  };
}
