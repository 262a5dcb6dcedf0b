/** Which server answers. */
export interface ServerInfo {
  readonly flavour: 'mysql' | 'mariadb';
  /** major × 10,000 + minor × 100 + patch: 90700, 101106. */
  readonly version: number;
  /** As the server prints it. */
  readonly text: string;
}

/** '9.7.1', '8.0.36-28' (Percona), '11.8.3-MariaDB-0+deb13u1', '5.5.5-10.11.6-MariaDB' (old MariaDB handshake). */
export function serverInfo(text: string): ServerInfo {
  const flavour = /mariadb/i.test(text) ? 'mariadb' : 'mysql';
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(flavour === 'mariadb' ? text.replace(/^5\.5\.5-/, '') : text);
  const [, major, minor, patch] = match ?? [];
  return {
    flavour,
    version: Number(major ?? 0) * 10_000 + Number(minor ?? 0) * 100 + Number(patch ?? 0),
    text,
  };
}
