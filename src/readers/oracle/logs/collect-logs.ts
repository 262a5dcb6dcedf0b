import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { OracleSession } from '../session/oracle-session.ts';
import type { OracleReaderOptions } from '../settings.ts';
import { currentScn } from '../database.ts';
import { greatest, least, parseScn } from '../scn.ts';
import {
  deletedStatement,
  endedStatement,
  LARGEST_ONLINE_LOG,
  logFileOf,
  logFilesStatement,
  type LogFile,
  oldestStatement,
  readThreads,
  type RedoThread,
  VALID_DESTINATIONS,
} from './log-files.ts';
import { RedoDictionaries } from './redo-dictionary.ts';
import { beginsLate, capVolume, findGap, type LogSelection, oneOfEach } from './select-logs.ts';

/** Finds the files a mining session needs, over the utility session. */
export class LogCollector {
  readonly #session: OracleSession;
  readonly #options: OracleReaderOptions;
  readonly #wait: (ms: number) => Promise<void>;
  /** Null where the names come from the database's dictionary of today. */
  readonly dictionaries: RedoDictionaries | null;
  #destinations: readonly string[] | null = null;
  #largest: number | null = null;

  constructor(session: OracleSession, options: OracleReaderOptions, wait: (ms: number) => Promise<void>) {
    this.#session = session;
    this.#options = options;
    this.#wait = wait;
    this.dictionaries =
      options.strategy === 'redo_log_catalog'
        ? new RedoDictionaries({
            session,
            destinations: () => this.destinations(),
            wait: (attempt) => this.#pause(attempt),
            attempts: options.limits.logRetries,
          })
        : null;
  }

  /** The names of archive destinations, in order of preference. */
  async destinations(): Promise<readonly string[]> {
    const { archiveDestinations } = this.#options;
    if (archiveDestinations.length > 0) return archiveDestinations;
    this.#destinations ??= (await this.#session.query(VALID_DESTINATIONS)).map(([name]) => String(name));
    if (this.#destinations.length > 0) return this.#destinations;
    throw noDestination();
  }

  /** The oldest SCN whose redo is still there. */
  async oldest(): Promise<bigint | null> {
    const statement = oldestStatement(await this.destinations(), this.#options.archiveOnly);
    const [row] = await this.#session.query(statement);
    return parseScn(row?.[0]);
  }

  /**
   * The logs behind `start`, complete, and before them those from the dictionary on that is read from the log. Waits for the archiver a few times where they are not.
   * Throws `source.position-lost` where one was deleted, `source.log-missing` where one does not come.
   */
  async collect(start: bigint, extra: number): Promise<Collected> {
    const { limits } = this.#options;
    let gap = '';
    for (let attempt = 0; attempt <= limits.logRetries; attempt++) {
      if (attempt > 0) await this.#pause(attempt);
      const from = await this.#from(start);
      const { files, threads } = await this.#look(from);
      const resumed = await this.#resumed(files, threads, from);
      const found = findGap(files, threads, { start: from, resumed });
      if (found === null) {
        const bytes = limits.logsPerSession * (await this.#largestLog());
        return { selection: capVolume(files, { bytes, extra }), threads };
      }
      gap = found.reason;
    }
    throw await this.missing(start, gap);
  }

  /** Where the logs of a session that mines from `start` begin. */
  async #from(start: bigint): Promise<bigint> {
    if (this.dictionaries === null) return start;
    const dictionary = await this.dictionaries.before(start);
    if (dictionary === null) throw noDictionary(start);
    return least(dictionary.first, start);
  }

  /** Before the nth further attempt. */
  #pause(attempt: number): Promise<void> {
    const { logRetryMs } = this.#options.limits;
    return this.#wait(Math.min(logRetryMs * 2 ** (attempt - 1), logRetryMs * 10));
  }

  /** How far can be read now: what every instance has flushed, or has archived behind `read`. */
  edge(read = 0n): Promise<bigint | null> {
    return this.#options.archiveOnly ? this.#archived(read) : this.#flushed();
  }

  /**
   * What is read when all has been read that was flushed by now. Where archived logs alone are read they have to be
   * written first.
   */
  logged(): Promise<bigint> {
    return this.#options.archiveOnly ? currentScn(this.#session) : this.#flushed();
  }

  async #flushed(): Promise<bigint> {
    const threads = await this.#writers();
    const scn = await currentScn(this.#session);
    return threads.reduce((edge, { last }) => (last !== null && last - 1n < edge ? last - 1n : edge), scn);
  }

  /** Null where a thread has none. */
  async #archived(read: bigint): Promise<bigint | null> {
    const { archiveOnly } = this.#options;
    const threads = await this.#writers();
    const rows = await this.#session.query(
      logFilesStatement(read, { destinations: await this.destinations(), archiveOnly }),
    );
    const files = rows.map(logFileOf);
    let edge: bigint | null = null;
    for (const { thread } of threads) {
      const ends = files.filter((file) => file.thread === thread).map(({ next }) => next!); // archived
      if (ends.length === 0) return null;
      const end = greatest(...ends) - 1n;
      if (edge === null || end < edge) edge = end;
    }
    return edge;
  }

  async #writers(): Promise<readonly RedoThread[]> {
    return (await readThreads(this.#session)).filter(({ open, enabled }) => open && enabled === 'PUBLIC');
  }

  /** What is told of a log that is gone: the deleted one by name, where the database knows of it. */
  async missing(scn: bigint, gap: string): Promise<HeadwaterError> {
    const deleted = await this.#session.query(deletedStatement(scn));
    const fix =
      'Restore the archived log with RMAN, or let source.on_gap take a new snapshot; lengthen the retention of archived logs.';
    if (deleted.length > 0) {
      const [thread, sequence] = deleted[0]!.map(String);
      return new HeadwaterError(
        'source.position-lost',
        `The archived log of thread ${thread!} sequence ${sequence!} was deleted before it was read (SCN ${scn}).`,
        { fix, details: { thread: thread!, sequence: sequence!, scn: String(scn) } },
      );
    }
    return new HeadwaterError('source.log-missing', `The redo behind SCN ${scn} is not whole: ${gap}.`, {
      fix,
      details: { scn: String(scn) },
    });
  }

  async #look(
    start: bigint,
  ): Promise<{ readonly files: readonly LogFile[]; readonly threads: readonly RedoThread[] }> {
    const destinations = await this.destinations();
    const { archiveOnly } = this.#options;
    const threads = await readThreads(this.#session);
    const rows = await this.#session.query(logFilesStatement(start, { destinations, archiveOnly }));
    const private_ = new Set(
      threads.filter(({ enabled }) => enabled === 'PRIVATE').map(({ thread }) => thread),
    );
    const files = rows.map(logFileOf).filter(({ thread }) => !private_.has(thread));
    return { files: oneOfEach(files, destinations), threads };
  }

  /** Threads that were closed at `start`: their log before the first one found ends in front of it. */
  async #resumed(
    files: readonly LogFile[],
    threads: readonly RedoThread[],
    start: bigint,
  ): Promise<ReadonlySet<number>> {
    const resumed = new Set<number>();
    for (const thread of threads) {
      const logs = files.filter((file) => file.thread === thread.thread);
      if (!beginsLate(logs, thread, start)) continue;
      const before = { thread: thread.thread, sequence: logs[0]!.sequence - 1 };
      const rows = await this.#session.query(endedStatement(before, start));
      if (rows.length > 0) resumed.add(thread.thread);
    }
    return resumed;
  }

  async #largestLog(): Promise<number> {
    if (this.#largest === null) {
      const [row] = await this.#session.query(LARGEST_ONLINE_LOG);
      this.#largest = Number(row![0]);
    }
    return this.#largest;
  }
}

export function noDestination(): HeadwaterError {
  return new HeadwaterError(
    'source.archive-mode',
    'The database archives its redo logs to no local destination.',
    {
      fix: "Set log_archive_dest_1 to 'LOCATION=…', or name a destination in source.oracle.archive_destinations.",
    },
  );
}

function noDictionary(start: bigint): HeadwaterError {
  return new HeadwaterError(
    'source.position-lost',
    `No archived log has a dictionary of before SCN ${start}, which source.oracle.strategy: redo_log_catalog needs.`,
    {
      fix: 'Restore the archived logs, or use source.oracle.strategy: hybrid.',
      details: { scn: String(start) },
    },
  );
}

export interface Collected {
  readonly selection: LogSelection;
  readonly threads: readonly RedoThread[];
}
