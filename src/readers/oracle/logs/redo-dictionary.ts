import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { serverScn } from '../scn.ts';
import type { OracleSession } from '../session/oracle-session.ts';
import { dictionariesStatement } from './log-files.ts';

const BUILD = 'BEGIN SYS.DBMS_LOGMNR_D.BUILD(OPTIONS => SYS.DBMS_LOGMNR_D.STORE_IN_REDO_LOGS); END;';

/** Which log each thread writes. */
const CURRENT_LOGS = `SELECT TO_CHAR(THREAD#), TO_CHAR(SEQUENCE#) FROM V$LOG WHERE STATUS = 'CURRENT' ORDER BY THREAD#`;

/** A dictionary in archived logs: it begins in the first of them and is complete at the end of the last. */
export interface RedoDictionary {
  /** First SCN of the log it begins in. */
  readonly first: bigint;
  /** All of it lies at or below. */
  readonly last: bigint;
}

export interface DictionaryParts {
  readonly session: OracleSession;
  readonly destinations: () => Promise<readonly string[]>;
  /** Before the nth look for a dictionary that was written just now. */
  readonly wait: (attempt: number) => Promise<void>;
  readonly attempts: number;
}

/**
 * The dictionaries that LogMiner takes names from under the strategy redo_log_catalog. They are written into the redo
 * log, and found once the logs are archived.
 */
export class RedoDictionaries {
  readonly #parts: DictionaryParts;
  /** Logs that were current when the last one had been written; null: none was, by this reader. */
  #current: string | null = null;

  constructor(parts: DictionaryParts) {
    this.#parts = parts;
  }

  /** The latest one that is complete at or below `scn`; null where there is none. */
  async before(scn: bigint): Promise<RedoDictionary | null> {
    const { session, destinations } = this.#parts;
    const rows = await session.query(dictionariesStatement(scn, await destinations()));
    const logs = rows.map(([thread, sequence, first, next, begins, ends]) => ({
      thread: String(thread),
      sequence: Number(sequence),
      first: serverScn(first),
      next: serverScn(next),
      begins: begins === 'YES',
      ends: ends === 'YES',
    }));
    for (const end of logs.filter(({ ends }) => ends).sort((a, b) => (a.next < b.next ? 1 : -1))) {
      const begin = logs
        .filter(({ thread, sequence, begins }) => begins && thread === end.thread && sequence <= end.sequence)
        .sort((a, b) => b.sequence - a.sequence)[0];
      if (begin !== undefined) return { first: begin.first, last: end.next - 1n };
    }
    return null;
  }

  /** One that is complete now; it is written where there is none. `now`: the present SCN. */
  async ensure(now: () => Promise<bigint>): Promise<RedoDictionary> {
    const there = await this.before(await now());
    if (there !== null) return there;
    await this.#build();
    for (let attempt = 0; attempt <= this.#parts.attempts; attempt++) {
      if (attempt > 0) await this.#parts.wait(attempt);
      const written = await this.before(await now());
      if (written !== null) return written;
    }
    throw new HeadwaterError(
      'source.log-missing',
      'The dictionary that was written into the redo log is in no archived log yet.',
      { fix: 'ALTER SYSTEM ARCHIVE LOG CURRENT; or look why logs are not archived.' },
    );
  }

  /** Writes another one where a thread has begun another log since the last. */
  async keepUp(): Promise<void> {
    const current = await this.#currentLogs();
    this.#current ??= current;
    if (current !== this.#current) await this.#build();
  }

  async #build(): Promise<void> {
    await this.#parts.session.execute(BUILD);
    // Writing it may switch the log by itself.
    this.#current = await this.#currentLogs();
  }

  async #currentLogs(): Promise<string> {
    return JSON.stringify(await this.#parts.session.query(CURRENT_LOGS));
  }
}
