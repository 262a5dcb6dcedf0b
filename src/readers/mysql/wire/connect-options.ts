import type { SslOptions } from 'mysql2';

export interface MysqlTls {
  /** `require` encrypts without checking who answers. */
  readonly mode: 'disable' | 'require' | 'verify-ca' | 'verify-full';
  /** PEM text. */
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

export interface MysqlHost {
  /** A name, an address, or the path of a Unix socket. */
  readonly host: string;
  readonly port: number;
}

export interface MysqlConnectOptions {
  /** Tried in order. */
  readonly hosts: readonly MysqlHost[];
  /** Null: none is selected. */
  readonly database: string | null;
  readonly user: string;
  readonly password: string | null;
  readonly tls: MysqlTls;
  readonly connectTimeoutMs: number;
}

/** For messages: never holds the password. */
export function describeHosts({ hosts }: MysqlConnectOptions): string {
  return hosts.map(({ host, port }) => (host.startsWith('/') ? host : `${host}:${port}`)).join(', ');
}

/** mysql2's TLS options for a mode. */
export function tlsOptions(tls: MysqlTls): SslOptions | undefined {
  if (tls.mode === 'disable') return undefined;
  return {
    rejectUnauthorized: tls.mode !== 'require',
    verifyIdentity: tls.mode === 'verify-full',
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    ...(tls.cert === null ? {} : { cert: tls.cert }),
    ...(tls.key === null ? {} : { key: tls.key }),
  };
}
