/** Where the server's log ends, and which transactions it has. */
import type { Query } from './catalogue.ts';
import { type GtidSet, parseGtidSet } from './gtid/gtid-set.ts';
import type { MysqlPosition } from './position.ts';
import { MysqlConnectionError } from './wire/mysql-error.ts';
import { quoteLiteral } from './wire/quoting.ts';
import type { ServerInfo } from './wire/server-info.ts';

export interface LogPlaceInFile {
  readonly file: string;
  readonly pos: number;
}

/** The end of the binlog. Needs REPLICATION CLIENT, on MariaDB BINLOG MONITOR. Null where the log is off. */
async function logFileEnd(query: Query, server: ServerInfo): Promise<LogPlaceInFile | null> {
  const renamed = server.flavour === 'mysql' && server.version >= 80_200;
  const [row] = await query(renamed ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
  const [file, pos] = row ?? [];
  return file === null || file === undefined || file === '' ? null : { file, pos: Number(pos) };
}

/** The transactions that have been committed; null where the server has no GTIDs. */
export async function executedGtids(query: Query, server: ServerInfo): Promise<GtidSet | null> {
  if (server.flavour === 'mariadb') {
    const [row] = await query('SELECT @@GLOBAL.gtid_binlog_pos');
    return parseSet(row?.[0] ?? '', server);
  }
  if (server.version < 50_600) return null;
  const [row] = await query('SELECT @@GLOBAL.gtid_mode, @@GLOBAL.gtid_executed');
  // Before gtid_mode is ON there may be transactions without.
  return row?.[0]?.toUpperCase() === 'ON' ? parseSet(row[1] ?? '', server) : null;
}

/**
 * GTIDs of transactions that the server has not finished: on a source those that are being committed, which may be in
 * the log and wait for a replica (semi-synchronous, AFTER_SYNC) before anybody sees them; on a replica also those that
 * are being applied. Printed as `uuid:5#thread:6#thread,uuid:tag:1#thread`. Empty where there are no GTIDs.
 */
export async function unfinishedGtids(query: Query, server: ServerInfo): Promise<readonly string[]> {
  if (server.flavour === 'mariadb' || server.version < 50_600) return [];
  const [row] = await query('SELECT @@GLOBAL.gtid_owned');
  return (row?.[0] ?? '').split(',').flatMap((part) => {
    const [uuid = '', ...fields] = part.replaceAll(/\s/g, '').toLowerCase().split(':');
    let source = uuid;
    return fields.flatMap((field) => {
      const number = /^(\d+)(?:#\d+)?$/.exec(field)?.[1];
      if (number !== undefined) return [`${source}:${number}`];
      source = `${uuid}:${field}`;
      return [];
    });
  });
}

/** The log's end as a position. GTIDs are asked for first: what is in them lies before the offset. */
export async function currentPosition(query: Query, server: ServerInfo): Promise<MysqlPosition | null> {
  const gtids = await executedGtids(query, server);
  const end = await logFileEnd(query, server);
  return end === null ? null : { gtids, ...end, mid: null, prepared: null };
}

/** MariaDB's position at a place of its log. It reads the file up to there. */
export async function mariadbPosition(
  query: Query,
  server: ServerInfo,
  { file, pos }: LogPlaceInFile,
): Promise<MysqlPosition> {
  const [row] = await query(`SELECT BINLOG_GTID_POS(${quoteLiteral(file)}, ${pos})`);
  return { gtids: parseSet(row?.[0] ?? '', server), file, pos, mid: null, prepared: null };
}

function parseSet(text: string, { flavour }: ServerInfo): GtidSet {
  const set = parseGtidSet(text.replaceAll('\n', ''), flavour);
  if (set === null) {
    throw new MysqlConnectionError('protocol', 'The server sent something else than a set of GTIDs');
  }
  return set;
}
