/** What a log is recognised by at the next start; stored beside the position (checkpoint key `source`). */
export interface LogIdentity {
  readonly connector: 'mysql' | 'mariadb';
  /** See LogServer. */
  readonly server: string;
}

export function encodeIdentity({ connector, server }: LogIdentity): string {
  return JSON.stringify({ connector, server });
}

/** Null for what is no identity of MySQL's or MariaDB's. */
export function decodeIdentity(text: string | null): LogIdentity | null {
  if (text === null) return null;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof json !== 'object' || json === null || !('connector' in json) || !('server' in json)) return null;
  const { connector, server } = json;
  if ((connector !== 'mysql' && connector !== 'mariadb') || typeof server !== 'string') return null;
  return { connector, server };
}
