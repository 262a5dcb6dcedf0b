export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Without `http.listen`. */
export const DEFAULT_LISTEN: ListenAddress = { host: '127.0.0.1', port: 8080 };

/** Without `http.sql`, where a file has statements: ksqlDB's port. */
export const DEFAULT_SQL_LISTEN: ListenAddress = { host: '127.0.0.1', port: 8088 };

/** `host:port`, `[::1]:port` or `:port` for all interfaces; null where it is none of them. Port 0 takes a free one. */
export function parseListen(text: string): ListenAddress | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  if (port > 65_535) return null;
  const host = match[1] ?? match[2] ?? '';
  return { host: host === '' || host === '*' ? '0.0.0.0' : host, port };
}

/** Whether nobody outside this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

export function formatListen({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
