/**
 * `postgres://user:password@host:port,host2:port/database?sslmode=…`, with several hosts as libpq has them; the same
 * with `mysql://` and `mariadb://`, where the database may be left out, and `oracle://…/service`.
 */
export interface SourceUrl {
  readonly connector: 'postgresql' | 'mysql' | 'mariadb' | 'oracle';
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  /** Null where the URL names none. On Oracle the service. */
  readonly database: string | null;
  readonly user: string;
  readonly password: string | null;
  readonly tlsMode: 'disable' | 'require' | 'verify-ca' | 'verify-full' | null;
  readonly connectTimeoutMs: number | null;
}

const PARTS = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(?:([^/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const HOST = /^(\[[0-9A-Fa-f:.%]+\]|[^:[\]\s]*)(?::(\d*))?$/;
const DEFAULT_PORTS = { postgresql: 5432, mysql: 3306, mariadb: 3306, oracle: 1521 } as const;
const EXAMPLES = {
  postgresql: 'postgres://user@host:5432/database',
  mysql: 'mysql://user@host:3306',
  mariadb: 'mariadb://user@host:3306',
  oracle: 'oracle://user@host:1521/service',
} as const;

/** The parts, or what is wrong as the end of a sentence that begins with the key; never with any of the text. */
export function parseSourceUrl(url: string): SourceUrl | string {
  const parts = PARTS.exec(url.trim());
  if (parts === null) return 'is not a URL such as postgres://user@host:5432/database';
  const [, scheme = '', credentials, authority = '', path = '', query = ''] = parts;
  const connector = connectorOf(scheme.toLowerCase());
  if (connector === null) {
    return 'has to begin with postgres://, mysql://, mariadb:// or oracle://';
  }
  const example = EXAMPLES[connector];
  try {
    const parameters = readParameters(query);
    if (typeof parameters === 'string') return parameters;
    const [user = '', ...password] = (credentials ?? '').split(':');
    if (user === '') return `names no user; write ${example}`;
    const database = decodeURIComponent(path);
    if (database === '' && connector === 'postgresql') return `names no database; write ${example}`;
    if (database === '' && connector === 'oracle') return `names no service; write ${example}`;
    if (database.includes('/'))
      return 'has more than one part after the host; only the database stands there';
    const hosts = readHosts(parameters.host ?? authority, connector);
    if (typeof hosts === 'string') return hosts;
    return {
      connector,
      hosts,
      database: database === '' ? null : database,
      user: decodeURIComponent(user),
      password: password.length === 0 ? null : decodeURIComponent(password.join(':')),
      tlsMode: parameters.tlsMode,
      connectTimeoutMs: parameters.connectTimeoutMs,
    };
  } catch {
    return 'holds a % that does not begin a percent-encoded character; write %25 for a plain %';
  }
}

function connectorOf(scheme: string): SourceUrl['connector'] | null {
  if (scheme === 'postgres' || scheme === 'postgresql') return 'postgresql';
  return scheme === 'mysql' || scheme === 'mariadb' || scheme === 'oracle' ? scheme : null;
}

function readHosts(authority: string, connector: SourceUrl['connector']): SourceUrl['hosts'] | string {
  const hosts: { host: string; port: number }[] = [];
  for (const part of authority.split(',')) {
    const match = HOST.exec(part);
    if (match === null) {
      return 'has a host that cannot be read; write host:port, and percent-encode @ : / in the password';
    }
    const host = decodeURIComponent(match[1]!.replace(/^\[(.*)\]$/, '$1'));
    if (host === '') return `names no host; write ${EXAMPLES[connector]}`;
    const port = match[2] === undefined || match[2] === '' ? DEFAULT_PORTS[connector] : Number(match[2]);
    if (port < 1 || port > 65_535) return 'has a port that is not between 1 and 65535';
    hosts.push({ host, port });
  }
  return hosts;
}

interface Parameters {
  readonly host: string | null;
  readonly tlsMode: SourceUrl['tlsMode'];
  readonly connectTimeoutMs: number | null;
}

function readParameters(query: string): Parameters | string {
  let host: string | null = null;
  let tlsMode: SourceUrl['tlsMode'] = null;
  let connectTimeoutMs: number | null = null;
  for (const [name, value] of new URLSearchParams(query)) {
    switch (name) {
      case 'host':
        host = encodeURIComponent(value).replaceAll('%2C', ',');
        break;
      case 'sslmode':
        if (value === 'prefer' || value === 'allow') {
          return 'has an sslmode that falls back to plain text silently; write disable or require';
        }
        if (!isTlsMode(value)) return 'has an sslmode other than disable, require, verify-ca and verify-full';
        tlsMode = value;
        break;
      case 'connect_timeout':
        if (!/^[1-9]\d{0,5}$/.test(value)) return 'has a connect_timeout that is not a number of seconds';
        connectTimeoutMs = Number(value) * 1000;
        break;
      default:
        return 'has a parameter other than sslmode, connect_timeout and host';
    }
  }
  return { host, tlsMode, connectTimeoutMs };
}

function isTlsMode(text: string): text is NonNullable<SourceUrl['tlsMode']> {
  return text === 'disable' || text === 'require' || text === 'verify-ca' || text === 'verify-full';
}
