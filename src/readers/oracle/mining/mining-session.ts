import type { LogFile } from '../logs/log-files.ts';
import { quoteLiteral } from '../quoting.ts';
import { OracleError, type OracleSession, type RowCursor } from '../session/oracle-session.ts';

const END = 'BEGIN SYS.DBMS_LOGMNR.END_LOGMNR; END;';

const MEMORY = `SELECT TO_CHAR(M.VALUE) FROM V$STATNAME N, V$MYSTAT M WHERE N.STATISTIC# = M.STATISTIC# AND N.NAME = 'session pga memory'`;

function addStatement(file: string, first: boolean): string {
  return `BEGIN SYS.DBMS_LOGMNR.ADD_LOGFILE(LOGFILENAME => ${quoteLiteral(file)}, OPTIONS => DBMS_LOGMNR.${first ? 'NEW' : 'ADDFILE'}); END;`;
}

/** Where LogMiner takes names from: the database as it is now, or a dictionary in the files, which DDL is applied to. */
export type DictionarySource = 'online' | 'redo';

/** SCNs are inclusive here. */
function startStatement(from: bigint, to: bigint, dictionary: DictionarySource): string {
  const source =
    dictionary === 'online'
      ? 'DBMS_LOGMNR.DICT_FROM_ONLINE_CATALOG'
      : 'DBMS_LOGMNR.DICT_FROM_REDO_LOGS + DBMS_LOGMNR.DDL_DICT_TRACKING';
  return `BEGIN SYS.DBMS_LOGMNR.START_LOGMNR(STARTSCN => '${from}', ENDSCN => '${to}', OPTIONS => ${source} + DBMS_LOGMNR.NO_ROWID_IN_STMT); END;`;
}

/** What LogMiner makes of the files it has. */
const FILES = `SELECT FILENAME, TO_CHAR(LOW_SCN), TO_CHAR(NEXT_SCN), TO_CHAR(THREAD_ID), TO_CHAR(STATUS), INFO FROM V$LOGMNR_LOGS`;

/** LogMiner in one database session: which files it has, and since when. */
export class MiningSession {
  readonly #session: OracleSession;
  readonly #dictionary: DictionarySource;
  #files: readonly string[] = [];
  #since = 0;

  constructor(session: OracleSession, dictionary: DictionarySource) {
    this.#session = session;
    this.#dictionary = dictionary;
  }

  /** When the present files were added, ms of performance.now; 0 where none are. */
  get since(): number {
    return this.#since;
  }

  /**
   * Mines `from` to `to`. START_LOGMNR is repeated for each window: without an end its view of the online log
   * would stay as it was.
   */
  async start(files: readonly LogFile[], from: bigint, to: bigint): Promise<void> {
    const names = files.map(({ name }) => name);
    if (names.length !== this.#files.length || names.some((name, i) => name !== this.#files[i])) {
      await this.end();
      for (const [i, name] of names.entries()) await this.#session.execute(addStatement(name, i === 0));
      this.#files = names;
      this.#since = performance.now();
    }
    await this.#session.execute(startStatement(from, to, this.#dictionary));
  }

  /** The cursor over what was started. */
  open(statement: string, binds: Readonly<Record<string, string>>): Promise<RowCursor> {
    return this.#session.open(statement, binds);
  }

  /** The files as LogMiner sees them, for the log, where it would not start. */
  async files(): Promise<readonly string[]> {
    return (await this.#session.query(FILES)).map((row) => row.join(' '));
  }

  /** Bytes of the server's memory for this session. */
  async memory(): Promise<number> {
    const [row] = await this.#session.query(MEMORY);
    return Number(row?.[0] ?? 0);
  }

  /** Ends LogMiner's session if there is one. */
  async end(): Promise<void> {
    if (this.#files.length === 0) return;
    this.#files = [];
    this.#since = 0;
    try {
      await this.#session.execute(END);
    } catch (error) {
      if (!(error instanceof OracleError && error.has(1307))) throw error;
    }
  }
}
