/**
 * A scripted Oracle: as much of the server as the reader talks to, with its rules. A statement that it does not
 * know, or one in a session that is not set up for it, is a violation, which fails the test; so the exact SQL and
 * its order are pinned here, in texts of their own and not in those of the reader.
 */
import {
  type ConnectOracle,
  OracleError,
  type OracleValue,
  type ResultColumn,
} from '../../../src/readers/oracle/session/oracle-session.ts';
import { FakeSession } from './fake-session.ts';

export interface FakeThread {
  thread: number;
  open: boolean;
  enabled: 'PUBLIC' | 'PRIVATE' | 'DISABLED';
  checkpoint: bigint;
  enabledAt: bigint;
  disabledAt: bigint;
  /** Last SCN flushed; null: it keeps up with the current SCN. */
  last: bigint | null;
}

export interface FakeLog {
  thread: number;
  sequence: number;
  first: bigint;
  /** Exclusive; null while it is written. */
  next: bigint | null;
  bytes: number;
  state: 'current' | 'unarchived' | 'archived' | 'deleted';
  destination: string;
  /** A dictionary begins, and ends, in it. */
  dictionary?: boolean;
}

/** A row of V$LOGMNR_CONTENTS under the view's names; what is left out is NULL, or 0 where it is a flag. */
export interface FakeRedo {
  readonly SCN: string;
  readonly XID: string;
  readonly OPERATION_CODE: number;
  readonly 'THREAD#'?: number;
  readonly RS_ID?: string;
  readonly SSN?: number;
  readonly TIMESTAMP?: string;
  readonly ROLLBACK?: number;
  readonly CSF?: number;
  readonly STATUS?: number;
  readonly INFO?: string;
  readonly SEG_OWNER?: string;
  readonly TABLE_NAME?: string;
  readonly ROW_ID?: string;
  readonly 'DATA_OBJ#'?: string;
  readonly 'DATA_OBJD#'?: string;
  readonly USERNAME?: string;
  readonly SQL_REDO?: string | null;
  /** Of another container than the captured one. */
  readonly container?: string;
}

export interface FakeColumn {
  readonly name: string;
  /** As ALL_TAB_COLS prints it: `TIMESTAMP(6) WITH TIME ZONE`, `NUMBER`. */
  readonly type: string;
  readonly length: number | null;
  readonly precision: number | null;
  readonly scale: number | null;
  readonly nullable: boolean;
  readonly expression: string | null;
  readonly hidden?: boolean;
  /** Computed. */
  readonly virtual?: boolean;
}

export interface FakeTable {
  owner: string;
  name: string;
  columns: readonly FakeColumn[];
  key: readonly string[];
  /** First column, or expression, of each index. */
  indexes?: readonly string[];
  uniqueIndexes?: readonly (readonly string[])[];
  objectId: string;
  dataObjectId: string;
  allColumns: boolean;
  indexOrganized?: boolean;
  /** IOT_TYPE of a segment that belongs to an index-organized table. */
  iotType?: string;
  rowMovement?: boolean;
  /** NUM_ROWS is NULL. */
  neverAnalysed?: boolean;
  temporary?: boolean;
  /** Changes of rows by commit SCN; values as the select expressions give them. */
  rows: {
    readonly scn: bigint;
    readonly rowId: string;
    readonly values: Readonly<Record<string, OracleValue>> | null;
  }[];
  /** Highest ROWID and blocks of each extent. */
  extents: readonly { readonly high: string; readonly blocks: number }[];
  /** Flashback does not go back further. */
  undoHorizon: bigint;
  /** Flashback across it is refused (ORA-01466). */
  lastDdl: bigint;
}

export interface Fault {
  /** CONNECT, START_LOGMNR, ADD_LOGFILE, FETCH (of redo), READ (of a table), FLUSH, or SQL (any statement). */
  readonly on: string;
  /** Rows that come before it. */
  readonly afterRows?: number;
  readonly message: string;
  times: number;
  /** Matches only in statements with this text. */
  readonly within?: string;
  /** What else happens at that moment. */
  readonly meanwhile?: () => void;
}

export class FakeOracle {
  name = 'ORCLCDB';
  dbid = '2913407132';
  resetlogs = '1';
  pdb: string | null = null;
  pdbMode = 'READ WRITE';
  sessionContainer = 'CDB$ROOT';
  logMode = 'ARCHIVELOG';
  role = 'PRIMARY';
  openMode = 'READ WRITE';
  minimalLogging = 'YES';
  keyLogging = 'NO';
  allColumnLogging = 'NO';
  currentScn = 0n;
  clock = '+00:00';
  /** CLOUD_SERVICE of the session. */
  cloud: string | null = null;
  characterSet = 'AL32UTF8';
  nationalCharacterSet = 'AL16UTF16';
  privileges = new Set(['CREATE SESSION', 'LOGMINING', 'SELECT ANY TRANSACTION', 'SET CONTAINER']);
  unreadable = new Set<string>();
  mayMine = true;
  mayReadExtents = true;
  mayFlashback = true;
  mayBuild = true;
  /** How many dictionaries were written into the redo log. */
  dictionaries = 0;
  /** The log with a dictionary is archived only after so many looks for it. */
  dictionaryDelay = 0;
  destinations = ['LOG_ARCHIVE_DEST_1'];
  logBytes = 200 * 1024 ** 2;
  threads: FakeThread[] = [
    { thread: 1, open: true, enabled: 'PUBLIC', checkpoint: 0n, enabledAt: 1n, disabledAt: 0n, last: null },
  ];
  logs: FakeLog[] = [];
  redo: FakeRedo[] = [];
  tables: FakeTable[] = [];
  /** START_SCNs of transactions that are open now. */
  openTransactions: bigint[] = [];
  views: { readonly owner: string; readonly name: string; readonly of: string }[] = [];
  /** Text of a query that may be polled → its columns, and the table whose rows it gives. */
  queries = new Map<string, { readonly columns: readonly ResultColumn[]; readonly of: string }>();
  /** Transactions and calls under way, with their age in seconds. */
  transactions: { readonly xid: string; readonly seconds: number }[] = [];
  calls: { readonly session: string; readonly seconds: number }[] = [];
  /** The clock, in microseconds since the epoch. */
  clockUs = Date.UTC(2026, 0, 1) * 1000;
  /** Whoever polls has one that goes with it. */
  readonly clocks = { wall: (): number => this.clockUs / 1000, steady: (): number => this.clockUs / 1000 };
  /** LAST_DDL_TIME of all objects is younger than that clock by so little that it may change again unseen. */
  justAltered = false;
  /** Happens before a page of a table is read. */
  beforeRead: (() => void) | null = null;
  faults: Fault[] = [];
  flushTable: { scn: bigint; writable: boolean; rows: number } = { scn: 0n, writable: true, rows: 0 };
  sessionMemory = 1_000_000;
  /** What went wrong against the rules of this server. */
  readonly violations: string[] = [];
  readonly statements: string[] = [];
  readonly cursors: { readonly sql: string; readonly rowsAtOnce: number }[] = [];
  openCursors = 0;
  openSessions = 0;
  miningSessions = 0;
  connects = 0;

  readonly connect: ConnectOracle = async (use, signal, address) => {
    signal.throwIfAborted();
    this.connects++;
    this.raise('CONNECT', `${use} ${address ?? ''}`);
    this.openSessions++;
    return new FakeSession(this, use);
  };

  /** The current log of a thread ends at `scn`, and another begins there. */
  switchLog(thread: number, scn: bigint, { archive = true }: { readonly archive?: boolean } = {}): void {
    const current = this.logs.find((log) => log.thread === thread && log.state === 'current');
    if (current === undefined) throw new Error(`thread ${thread} has no current log`);
    current.next = scn;
    current.state = archive ? 'archived' : 'unarchived';
    this.logs.push({ ...current, sequence: current.sequence + 1, first: scn, next: null, state: 'current' });
  }

  startLog(thread: number, sequence: number, first: bigint): void {
    const bytes = this.logBytes;
    this.logs.push({
      thread,
      sequence,
      first,
      next: null,
      bytes,
      state: 'current',
      destination: this.destinations[0]!,
    });
  }

  archive(thread: number): void {
    for (const log of this.logs)
      if (log.thread === thread && log.state === 'unarchived') log.state = 'archived';
  }

  raise(on: string, statement: string): void {
    const fault = this.faults.find(
      (each) =>
        each.on === on &&
        each.times > 0 &&
        each.afterRows === undefined &&
        (each.within === undefined || statement.includes(each.within)),
    );
    if (fault === undefined) return;
    fault.times--;
    fault.meanwhile?.();
    throw new OracleError(fault.message);
  }

  /** The fault that comes after some rows of a cursor. */
  laterFault(on: string): Fault | undefined {
    return this.faults.find((fault) => fault.on === on && fault.times > 0 && fault.afterRows !== undefined);
  }

  violate(what: string): never {
    this.violations.push(what);
    throw new Error(`against the rules of the scripted server: ${what}`);
  }

  /** What is not as it should be when everything has been closed. */
  problems(): readonly string[] {
    const problems = [...this.violations];
    if (this.openCursors !== 0) problems.push(`${this.openCursors} cursors are open`);
    if (this.openSessions !== 0) problems.push(`${this.openSessions} sessions are open`);
    if (this.miningSessions !== 0) problems.push(`${this.miningSessions} LogMiner sessions are open`);
    return problems;
  }

  lastOf({ last }: FakeThread): bigint {
    return last ?? this.currentScn + 1n;
  }

  fileName(log: FakeLog): string {
    return log.state === 'archived'
      ? `/arch/${log.destination}/${log.thread}_${log.sequence}.arc`
      : `/redo/${log.thread}_${log.sequence}.log`;
  }
}
