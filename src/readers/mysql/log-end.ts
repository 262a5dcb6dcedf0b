import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Query } from './catalogue.ts';
import { currentPosition } from './log-status.ts';
import type { MysqlPosition } from './position.ts';
import type { ServerInfo } from './wire/server-info.ts';

/** What the log of a server is recognised by, and how it is read. */
export interface LogServer {
  /** `server_uuid`; of MariaDB, which has none, its address as it sees itself. */
  readonly uuid: string;
  /** Positions are GTIDs rather than files and offsets. */
  readonly gtids: boolean;
  /** Names of databases and tables are in lower case whatever a statement says. */
  readonly lowerCase: boolean;
  /** Whether events of the log end in a checksum. */
  readonly checksum: boolean;
}

export async function describeLogServer(query: Query, { flavour }: ServerInfo): Promise<LogServer> {
  const isMysql = flavour === 'mysql';
  const own = isMysql ? '@@global.server_uuid, @@global.gtid_mode' : '@@global.hostname, @@global.port';
  const [row] = await query(
    `SELECT @@global.server_id, @@global.lower_case_table_names, @@global.binlog_checksum, ${own}`,
  );
  const [id, lowerCase, checksum, first, second] = row ?? [];
  return {
    uuid: isMysql ? (first ?? '') : `${first}:${second}:${id}`,
    // Before gtid_mode is ON there may be transactions without.
    gtids: isMysql ? second === 'ON' : true,
    lowerCase: lowerCase === '1',
    checksum: checksum !== 'NONE',
  };
}

/** Where the log ends now. Throws `source.binlog-off` on a server that writes none. */
export async function logEnd(query: Query, server: ServerInfo, useGtids: boolean): Promise<MysqlPosition> {
  const position = await currentPosition(query, server);
  if (position === null) throw new HeadwaterError('source.binlog-off', 'The server writes no binary log.');
  return useGtids ? position : { ...position, gtids: null };
}
