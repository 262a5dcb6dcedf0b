import type { GtidSet } from '../gtid/gtid-set.ts';
import { MysqlGtidSet } from '../gtid/mysql-gtid-set.ts';
import type { ServerInfo } from './server-info.ts';

const COM_BINLOG_DUMP = 0x12;
const COM_REGISTER_SLAVE = 0x15;
const COM_BINLOG_DUMP_GTID = 0x1e;
/** MariaDB: send the statements too. */
const SEND_ANNOTATE_ROWS = 0x02;
/** Where the events of a file begin, behind its magic number. */
const FIRST_EVENT = 4;

/** Of the name that SHOW REPLICAS shows; the lists of both servers take so much. */
const MAX_NAME = 60;

export interface DumpStart {
  readonly server: ServerInfo;
  readonly serverId: number;
  /** The pipeline's name, for SHOW REPLICAS. */
  readonly name: string;
  /** Which transactions not to send; null: from file and offset. */
  readonly gtids: GtidSet | null;
  readonly file: string;
  readonly pos: number;
  /** Seconds without an event after which the server sends a heartbeat. */
  readonly heartbeatSeconds: number;
  /** Tells several dump sessions of one server id apart. */
  readonly uuid: string;
}

/** Statements of the session before the dump, as a replica sends them. */
export function dumpStatements({ server, heartbeatSeconds, gtids, uuid }: DumpStart): readonly string[] {
  const period = Math.round(heartbeatSeconds * 1e9);
  const statements = [
    `SET @master_heartbeat_period = ${period}, @source_heartbeat_period = ${period}`,
    'SET @master_binlog_checksum = @@global.binlog_checksum, @source_binlog_checksum = @@global.binlog_checksum',
  ];
  if (server.flavour === 'mysql')
    return [...statements, `SET @slave_uuid = '${uuid}', @replica_uuid = '${uuid}'`];
  statements.push('SET @mariadb_slave_capability = 4');
  if (gtids !== null) {
    statements.push(
      `SET @slave_connect_state = '${gtids.toString()}'`,
      'SET @slave_gtid_strict_mode = 0',
      'SET @slave_gtid_ignore_duplicates = 0',
    );
  }
  return statements;
}

/** The registration, which shows us in SHOW REPLICAS, and the dump. */
export function dumpCommands(start: DumpStart): readonly Buffer[] {
  const byGtid = start.server.flavour === 'mysql' && start.gtids instanceof MysqlGtidSet;
  return [registration(start), byGtid ? gtidDump(start, start.gtids) : fileDump(start)];
}

function registration({ serverId, name }: DumpStart): Buffer {
  const host = Buffer.from(`headwater ${name}`.slice(0, MAX_NAME), 'latin1');
  const command = Buffer.alloc(1 + 4 + 1 + host.length + 1 + 1 + 2 + 4 + 4);
  command[0] = COM_REGISTER_SLAVE;
  command.writeUInt32LE(serverId, 1);
  command[5] = host.length;
  host.copy(command, 6);
  return command;
}

function fileDump({ server, serverId, gtids, file, pos }: DumpStart): Buffer {
  // MariaDB finds the file of @slave_connect_state itself.
  const name = Buffer.from(gtids === null ? file : '');
  const command = Buffer.alloc(11 + name.length);
  command[0] = COM_BINLOG_DUMP;
  command.writeUInt32LE(gtids === null ? pos : FIRST_EVENT, 1);
  command.writeUInt16LE(server.flavour === 'mariadb' ? SEND_ANNOTATE_ROWS : 0, 5);
  command.writeUInt32LE(serverId, 7);
  name.copy(command, 11);
  return command;
}

function gtidDump({ serverId }: DumpStart, gtids: MysqlGtidSet): Buffer {
  const set = gtids.encode();
  const command = Buffer.alloc(1 + 2 + 4 + 4 + 8 + 4 + set.length);
  command[0] = COM_BINLOG_DUMP_GTID;
  command.writeUInt32LE(serverId, 3);
  command.writeUInt32LE(FIRST_EVENT, 11);
  command.writeUInt32LE(set.length, 19);
  set.copy(command, 23);
  return command;
}
