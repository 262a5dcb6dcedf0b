import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Log } from '../../observability/log.ts';
import type { Opened, OpenRequest, StoredLog } from '../reader.ts';
import { currentScn, type Database } from './database.ts';
import type { LogCollector } from './logs/collect-logs.ts';
import { readThreads } from './logs/log-files.ts';
import type { OraclePosition } from './position.ts';
import { greatest, least, serverScn } from './scn.ts';
import type { OracleSession } from './session/oracle-session.ts';
import type { OracleReaderOptions } from './settings.ts';

export interface OpenLogParts {
  readonly options: OracleReaderOptions;
  readonly database: Database;
  readonly session: OracleSession;
  readonly collector: LogCollector;
  readonly log: Log;
}

/** How the log relates to the checkpoint. Nothing is made at the source. */
export async function openLog(
  parts: OpenLogParts,
  request: OpenRequest<OraclePosition>,
): Promise<Opened<OraclePosition>> {
  const identity = identityOf(parts);
  if (request.stored === null)
    return { continuity: { kind: 'fresh', start: await startOf(parts) }, identity };
  const reason = await judgeGap(parts, request);
  if (reason === null) return { continuity: { kind: 'continuous' }, identity };
  return { continuity: { kind: 'gap', reason, start: await startOf(parts) }, identity };
}

function identityOf({ database, options }: Pick<OpenLogParts, 'database' | 'options'>): string {
  return JSON.stringify({ dbid: database.dbid, resetlogs: database.resetlogs, pdb: options.pdb });
}

/** Why the stored position cannot be resumed; null where it can. Throws where that is not to be gone on with. */
export async function judgeGap(
  parts: Omit<OpenLogParts, 'log'>,
  { stored, lost }: StoredLog<OraclePosition>,
): Promise<string | null> {
  if (stored === null) return null;
  const { options } = parts;
  const reason = lost ?? (await gapOf(parts, stored, identityOf(parts)));
  if (reason !== null && options.onGap === 'fail') {
    throw new HeadwaterError(
      'source.position-lost',
      `The log no longer reaches back to the checkpoint of ${options.name}: ${reason}.`,
      { fix: 'Take a new snapshot (source.on_gap: resnapshot); lengthen the retention of archived logs.' },
    );
  }
  return reason;
}

async function gapOf(
  { collector }: Pick<OpenLogParts, 'collector'>,
  stored: NonNullable<OpenRequest<OraclePosition>['stored']>,
  identity: string,
): Promise<string | null> {
  if (stored.identity !== null && stored.identity !== identity) {
    return 'the database was restored, flashed back past the checkpoint, or is another one';
  }
  if (
    collector.dictionaries !== null &&
    (await collector.dictionaries.before(stored.position.scn)) === null
  ) {
    return `no archived log has a dictionary of before SCN ${stored.position.scn}`;
  }
  const oldest = await collector.oldest();
  if (oldest === null || stored.position.scn < oldest - 1n) {
    return `the redo of SCN ${stored.position.scn} is gone; the oldest that is kept is ${oldest ?? 'none'}`;
  }
  return null;
}

/** The present SCN with the transactions that are open at it. RAC has those of all instances in GV$ alone. */
function snapshotStatement(cluster: boolean): string {
  return `SELECT TO_CHAR(D.CURRENT_SCN), TO_CHAR(T.START_SCN) FROM V$DATABASE D LEFT OUTER JOIN ${cluster ? 'GV$TRANSACTION' : 'V$TRANSACTION'} T ON T.START_SCN < D.CURRENT_SCN`;
}

/**
 * The position of a snapshot: it shows what committed at or below its SCN, and mining begins before the first
 * change of any transaction that was open, and some earlier for those that were just committing.
 */
async function startOf({ session, collector, options, log }: OpenLogParts): Promise<OraclePosition> {
  // Before the SCN is taken, which has to lie behind it.
  const dictionary = await collector.dictionaries?.ensure(() => currentScn(session));
  const threads = (await readThreads(session)).filter(({ enabled }) => enabled === 'PUBLIC');
  const rows = await session.query(snapshotStatement(threads.length > 1));
  const scn = serverScn(rows[0]?.[0]);
  const oldest = await collector.oldest();
  const floor = greatest(oldest ?? 0n, dictionary?.last ?? 0n);
  const begun = rows.flatMap(([, start]) =>
    start === null || start === undefined ? [] : [serverScn(start)],
  );
  // 0 and 1 stand for a transaction whose beginning is not known.
  const starts = begun.map((start) => (start <= 1n ? floor : start));
  const wanted = least(scn, ...starts) - 1n - options.limits.overlap;
  if (starts.some((start) => start <= floor)) {
    log.warn(
      { scn: String(scn), oldest: String(floor) },
      'a transaction is open that began before the redo that can be read; changes it made before that are not captured',
    );
  }
  return { scn: least(greatest(wanted, floor), scn), read: scn, upTo: scn, commits: new Map(), mid: null };
}
