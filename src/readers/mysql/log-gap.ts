import { HeadwaterError } from '../../errors/headwater-error.ts';
import { queryIfAllowed } from './grants.ts';
import { containsAll, type GtidSet, withGtids } from './gtid/gtid-set.ts';
import { MariadbGtidSet } from './gtid/mariadb-gtid-set.ts';
import { MysqlGtidSet } from './gtid/mysql-gtid-set.ts';
import type { LogServer } from './log-end.ts';
import { executedGtids, unfinishedGtids } from './log-status.ts';
import type { Query } from './catalogue.ts';
import type { ServerInfo } from './wire/server-info.ts';
import { compareFiles, type MysqlPosition, startOfReading } from './position.ts';
import { quoteLiteral } from './wire/quoting.ts';

/** A server that is asked about its log. */
export interface AskedServer extends LogServer {
  readonly query: Query;
  readonly info: ServerInfo;
}

/**
 * Why the log cannot be read on from the position; null where it can. `sameServer`: the position was reached on this
 * one. Throws `source.behind` where waiting may help.
 */
export async function findGap(
  server: AskedServer,
  position: MysqlPosition,
  sameServer: boolean,
): Promise<string | null> {
  const { gtids } = position;
  if (gtids === null || !server.gtids) return findFileGap(server, position, sameServer);
  if (gtids instanceof MysqlGtidSet !== (server.info.flavour === 'mysql')) {
    return 'the position holds GTIDs of another kind of server';
  }
  const absent = await absentGtids(server, gtids);
  const needed = startOfReading(position).gtids ?? gtids;
  const purged = await purgedSet(server);
  if (purged !== null && !containsAll(needed, purged)) {
    return `the server has purged transactions that were not delivered yet: ${missing(purged, needed)}`;
  }
  if (absent === null) return null;
  const ahead = `the server has not the transactions ${absent}, which were delivered`;
  if (sameServer) return `${ahead}: its log was reset`;
  if (await isReplica(server)) {
    throw new HeadwaterError('source.behind', `The server is a replica that lags behind: ${ahead}.`);
  }
  return ahead;
}

/** Which of the transactions the server does not have; null: it has them all. */
async function absentGtids({ query, info }: AskedServer, gtids: GtidSet): Promise<string | null> {
  // Delivered is also what is in the log and waits for a replica. Asked for first: none is missed on its way.
  const unfinished = await unfinishedGtids(query, info);
  const executed = await executedGtids(query, info);
  if (executed === null) return null;
  const known = withGtids(executed, unfinished);
  return containsAll(known, gtids) ? null : missing(gtids, known);
}

/**
 * Throws `source.position-lost` where what the stream has delivered is no longer in the log: it was reset, and the
 * server, which goes on waiting for the old log's end to grow, will not tell. `end`: where it ends now.
 */
export async function refuseReset(
  server: AskedServer,
  { gtids, file, pos }: MysqlPosition,
  end: MysqlPosition,
): Promise<void> {
  const files = compareFiles(end.file, file);
  const behind = files !== null && (files < 0 || (files === 0 && end.pos < pos));
  const byGtid = gtids !== null && server.gtids;
  // MariaDB's numbers may go back where several servers are written to, the log's end does not.
  if (!behind && !(byGtid && server.info.flavour === 'mysql')) return;
  const absent = byGtid ? await absentGtids(server, gtids) : null;
  if (byGtid && absent === null) return;
  const what = absent === null ? `${file} up to offset ${pos}` : `the transactions ${absent}`;
  throw new HeadwaterError(
    'source.position-lost',
    `The log was reset while it was read: the server no longer has ${what}.`,
  );
}

async function findFileGap(
  { query, uuid }: AskedServer,
  position: MysqlPosition,
  sameServer: boolean,
): Promise<string | null> {
  const { file, pos, gtids } = position;
  if (!sameServer) {
    return gtids === null
      ? 'file and offset mean nothing on another server'
      : 'the server has gtid_mode other than ON, and is not the one that was read';
  }
  const files = await query('SHOW BINARY LOGS');
  const first = startOfReading(position).file;
  if (!files.some(([name]) => name === first)) return `the server has no longer the file ${first}`;
  const found = files.find(([name]) => name === file);
  if (found === undefined) return `the server has no longer the file ${file}`;
  if (Number(found[1]) < pos) {
    return `the file ${file} ends at ${Number(found[1])}, before the checkpoint ${pos}: the log of ${uuid} was reset`;
  }
  return null;
}

/** The transactions that are no longer in the server's files. */
async function purgedSet({ query, info }: AskedServer): Promise<GtidSet | null> {
  if (info.flavour === 'mysql') {
    const [row] = await query('SELECT @@global.gtid_purged');
    return MysqlGtidSet.parse(row?.[0] ?? '');
  }
  const [first] = await query('SHOW BINARY LOGS');
  if (first?.[0] == null) return null;
  // A file of MariaDB's begins with where the one before has ended, as `[0-1-5,7-1-1]`.
  const events = await query(`SHOW BINLOG EVENTS IN ${quoteLiteral(first[0])} LIMIT 3`);
  const list = events.find(([, , type]) => type === 'Gtid_list')?.[5];
  return MariadbGtidSet.parse(list?.replaceAll(/[[\]]/g, '') ?? '');
}

function missing(wanted: GtidSet, have: GtidSet): string {
  if (wanted instanceof MysqlGtidSet && have instanceof MysqlGtidSet) return wanted.minus(have).toString();
  return wanted.toString();
}

async function isReplica({ query, info }: AskedServer): Promise<boolean> {
  const renamed = info.flavour === 'mysql' ? info.version >= 80_022 : info.version >= 100_501;
  return (await query(renamed ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS')).length > 0;
}

/** Global variables that say it, of servers old and new. */
export const RETENTION_VARIABLES: readonly string[] = [
  'binlog_expire_logs_auto_purge',
  'binlog_expire_logs_seconds',
  'expire_logs_days',
];

/** For how many seconds the server keeps a file of its log, by its global variables; null: for ever. */
export function retentionSeconds(variables: ReadonlyMap<string, string>): number | null {
  if (variables.get('binlog_expire_logs_auto_purge') === 'OFF') return null;
  const seconds = Number(variables.get('binlog_expire_logs_seconds') ?? 0);
  return seconds || Number(variables.get('expire_logs_days') ?? 0) * 86_400 || null;
}

export async function logRetentionMs({ query }: AskedServer): Promise<number | null> {
  const names = RETENTION_VARIABLES.map(quoteLiteral).join(', ');
  const rows = await query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${names})`);
  const seconds = retentionSeconds(new Map(rows.map(([name, value]) => [name ?? '', value ?? ''])));
  return seconds === null ? null : seconds * 1000;
}

/**
 * Whether another reader or replica is registered under our server id. MariaDB tells it only to who has REPLICATION
 * MASTER ADMIN, which is more than a reader needs: without it the answer is no.
 */
export async function serverIdTaken({ query, info }: AskedServer, serverId: number): Promise<boolean> {
  const renamed = info.flavour === 'mysql' ? info.version >= 80_022 : info.version >= 100_501;
  const rows = await queryIfAllowed(
    query,
    renamed ? (info.flavour === 'mysql' ? 'SHOW REPLICAS' : 'SHOW REPLICA HOSTS') : 'SHOW SLAVE HOSTS',
  );
  return rows?.some(([id]) => Number(id) === serverId) ?? false;
}
