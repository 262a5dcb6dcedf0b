import { quoteLiteral } from '../quoting.ts';
import { parseScn, serverScn } from '../scn.ts';
import type { OracleRow, OracleSession } from '../session/oracle-session.ts';

/** A file of the redo log, online or archived. */
export interface LogFile {
  readonly name: string;
  readonly first: bigint;
  /** Exclusive; null where the log is being written. */
  readonly next: bigint | null;
  readonly thread: number;
  readonly sequence: number;
  readonly bytes: number;
  /** DEST_NAME of an archived log; null of an online one. */
  readonly destination: string | null;
}

/** A redo thread: one for each instance. */
export interface RedoThread {
  readonly thread: number;
  readonly open: boolean;
  readonly enabled: 'PUBLIC' | 'PRIVATE' | 'DISABLED';
  readonly checkpoint: bigint;
  readonly enabledAt: bigint;
  /** 0 where it never was disabled. */
  readonly disabledAt: bigint;
  /** SCN of the last redo that is flushed; null where unknown. */
  readonly last: bigint | null;
}

export const VALID_DESTINATIONS = `SELECT DEST_NAME FROM V$ARCHIVE_DEST_STATUS WHERE STATUS = 'VALID' AND TYPE = 'LOCAL'`;

const THREADS = `SELECT TO_CHAR(THREAD#), STATUS, ENABLED, TO_CHAR(CHECKPOINT_CHANGE#), TO_CHAR(ENABLE_CHANGE#), TO_CHAR(DISABLE_CHANGE#), TO_CHAR(LAST_REDO_CHANGE#) FROM V$THREAD`;

export async function readThreads(session: OracleSession): Promise<readonly RedoThread[]> {
  return (await session.query(THREADS)).map((row) => {
    const [thread, status, enabled, checkpoint, enabledAt, disabledAt, last] = row;
    return {
      thread: Number(thread),
      open: status === 'OPEN',
      enabled: enabled === 'PRIVATE' || enabled === 'DISABLED' ? enabled : 'PUBLIC',
      checkpoint: parseScn(checkpoint) ?? 0n,
      enabledAt: parseScn(enabledAt) ?? 0n,
      disabledAt: parseScn(disabledAt) ?? 0n,
      last: parseScn(last),
    };
  });
}

/** This incarnation's archived logs at the destinations that are read. */
function archivedLogs(destinations: readonly string[]): string {
  return `FROM V$ARCHIVED_LOG A, V$DATABASE D, V$ARCHIVE_DEST_STATUS S WHERE A.DEST_ID = S.DEST_ID AND S.DEST_NAME IN (${destinations.map(quoteLiteral).join(',')}) AND A.STATUS = 'A' AND A.RESETLOGS_CHANGE# = D.RESETLOGS_CHANGE# AND A.RESETLOGS_TIME = D.RESETLOGS_TIME`;
}

/** Every log that may hold changes behind `scn`. A log that is neither current nor archived is on its way. */
export function logFilesStatement(
  scn: bigint,
  {
    destinations,
    archiveOnly,
  }: { readonly destinations: readonly string[]; readonly archiveOnly: boolean | null },
): string {
  const online = `SELECT MIN(F.MEMBER), TO_CHAR(L.FIRST_CHANGE#), NULL, TO_CHAR(L.SEQUENCE#), TO_CHAR(L.THREAD#), TO_CHAR(L.BYTES), NULL FROM V$LOGFILE F, V$LOG L WHERE L.STATUS = 'CURRENT' AND F.GROUP# = L.GROUP# AND F.TYPE = 'ONLINE' GROUP BY L.GROUP#, L.FIRST_CHANGE#, L.SEQUENCE#, L.THREAD#, L.BYTES UNION ALL `;
  return `${archiveOnly ? '' : online}SELECT A.NAME, TO_CHAR(A.FIRST_CHANGE#), TO_CHAR(A.NEXT_CHANGE#), TO_CHAR(A.SEQUENCE#), TO_CHAR(A.THREAD#), TO_CHAR(A.BLOCKS*A.BLOCK_SIZE), S.DEST_NAME ${archivedLogs(destinations)} AND A.NAME IS NOT NULL AND A.ARCHIVED = 'YES' AND A.NEXT_CHANGE# > ${scn}`;
}

export function logFileOf(row: OracleRow): LogFile {
  const [name, first, next, sequence, thread, bytes, destination = null] = row;
  return {
    name: String(name),
    first: serverScn(first),
    next: next === null ? null : serverScn(next),
    thread: Number(thread),
    sequence: Number(sequence),
    bytes: Number(bytes),
    destination: destination === null ? null : String(destination),
  };
}

/** The oldest SCN that is still in a log; null where there is none. */
export function oldestStatement(destinations: readonly string[], archiveOnly: boolean | null): string {
  const online = archiveOnly ? '' : 'SELECT MIN(FIRST_CHANGE#) F FROM V$LOG UNION ALL ';
  return `SELECT TO_CHAR(MIN(F)) FROM (${online}SELECT MIN(A.FIRST_CHANGE#) F ${archivedLogs(destinations)})`;
}

/** Archived logs with `scn` in them that RMAN or an operator has deleted. */
export function deletedStatement(scn: bigint): string {
  return `SELECT TO_CHAR(A.THREAD#), TO_CHAR(A.SEQUENCE#), A.NAME FROM V$ARCHIVED_LOG A, V$DATABASE D WHERE A.STATUS = 'D' AND A.FIRST_CHANGE# <= ${scn} AND A.NEXT_CHANGE# > ${scn} AND A.RESETLOGS_CHANGE# = D.RESETLOGS_CHANGE# AND A.RESETLOGS_TIME = D.RESETLOGS_TIME`;
}

/** Logs that a dictionary begins or ends in, and that end at or below `scn`. */
export function dictionariesStatement(scn: bigint, destinations: readonly string[]): string {
  return `SELECT TO_CHAR(A.THREAD#), TO_CHAR(A.SEQUENCE#), TO_CHAR(A.FIRST_CHANGE#), TO_CHAR(A.NEXT_CHANGE#), A.DICTIONARY_BEGIN, A.DICTIONARY_END ${archivedLogs(destinations)} AND A.NAME IS NOT NULL AND A.ARCHIVED = 'YES' AND (A.DICTIONARY_BEGIN = 'YES' OR A.DICTIONARY_END = 'YES') AND A.NEXT_CHANGE# <= ${scn + 1n}`;
}

export const LARGEST_ONLINE_LOG = 'SELECT TO_CHAR(MAX(BYTES)) FROM V$LOG';

/** Whether a log ended at or before `scn`; it may be deleted by now. */
export function endedStatement(
  { thread, sequence }: Pick<LogFile, 'thread' | 'sequence'>,
  scn: bigint,
): string {
  return `SELECT A.NAME FROM V$ARCHIVED_LOG A, V$DATABASE D WHERE A.THREAD# = ${thread} AND A.SEQUENCE# = ${sequence} AND A.NEXT_CHANGE# <= ${scn} AND A.RESETLOGS_CHANGE# = D.RESETLOGS_CHANGE# AND A.RESETLOGS_TIME = D.RESETLOGS_TIME`;
}
