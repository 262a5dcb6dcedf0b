/**
 * Sessions that see the tables at one known position of the log. What the server offers is tried in this order:
 *
 * 1. MariaDB and Percona: a transaction WITH CONSISTENT SNAPSHOT knows its place in the log by itself;
 * 2. LOCK TABLES … READ of the tables that are to be read, which holds their writers back while the sessions begin
 *    their transactions.
 *
 * FLUSH TABLES WITH READ LOCK is not used (docs/decisions/0014-mysql-snapshot-lock.md).
 *
 * The lock is asked for so that no writer waits for long: the request is taken back when it has waited itself for
 * LOCK_WAIT_MS at most, and the lock is given up HELD_MS after it was asked for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TableId } from '../../model/table.ts';
import type { Query } from './catalogue.ts';
import { mapping } from './errors.ts';
import { type GtidSet, parseGtidSet } from './gtid/gtid-set.ts';
import { logEnd } from './log-end.ts';
import { currentPosition, type LogPlaceInFile, mariadbPosition } from './log-status.ts';
import { compareFiles, type MysqlPosition } from './position.ts';
import { queryOf } from './snapshot-plan.ts';
import { MysqlConnectionError, MysqlError } from './wire/mysql-error.ts';
import { quoteTable } from './wire/quoting.ts';
import type { RowSession } from './wire/row-session.ts';

/** Half of what a writer may wait at most, two seconds, is left for what follows. */
const LOCK_WAIT_MS = 1_000;
const HELD_MS = 1_800;

interface Patience {
  readonly waitMs: number;
  readonly attempts: number;
  readonly pauseMs: number;
}

const ONE_TABLE: Patience = { waitMs: LOCK_WAIT_MS, attempts: 3, pauseMs: 250 };
/**
 * While the lock of one table is held and that of another is waited for, a transaction that has changed the other and
 * goes on to the one is in a deadlock with us, and it is the one that MySQL rolls back: such waits are short.
 */
const SEVERAL_TABLES: Patience = { waitMs: 50, attempts: 10, pauseMs: 50 };
/** Sessions of MariaDB that happen to begin between the same two commits. */
const SAME_PLACE_ATTEMPTS = 10;

/** What is in the log becomes visible within a moment; or when a replica has confirmed it, where commits wait for one. */
const PLACE_PAUSE_MS = 2;
const MAX_PLACE_PAUSE_MS = 250;

/** Access denied for the statement; not allowed to lock; a server that may not be locked (managed services). */
const REFUSED: ReadonlySet<number> = new Set([1044, 1045, 1142, 1227, 1235, 1290]);
/** The lock was not to be had in time, or our own KILL QUERY ended the wait. */
const WAITED: ReadonlySet<number> = new Set([1205, 1213, 1317]);

export interface LockOptions {
  readonly connect: (signal: AbortSignal) => Promise<RowSession>;
  /** Sessions to open at most. */
  readonly sessions: number;
  /** What is to be read in them. */
  readonly tables: readonly TableId[];
  /**
   * They stay open for long, so that tables have to be given back between two statements, and the stream begins where
   * they stand. Else the stream runs already, and they see what it has delivered.
   */
  readonly longLived: boolean;
}

/** Sessions in a transaction each, which has a savepoint `unread` that nothing has been read behind. */
export interface TakenSnapshot extends AsyncDisposable {
  readonly position: MysqlPosition;
  /** By the server's clock, microseconds since the epoch. */
  readonly takenUs: number;
  readonly sessions: readonly RowSession[];
}

/** Null where the server offers none of these. */
export async function takeSnapshot(options: LockOptions, signal: AbortSignal): Promise<TakenSnapshot | null> {
  return mapping('Taking a snapshot', async () => {
    const sessions: RowSession[] = [];
    try {
      for (let i = 0; i < Math.max(1, options.sessions); i++) sessions.push(await options.connect(signal));
      const givesBack = await Promise.all(sessions.map((session) => canReleaseTables(session, signal)));
      const apt = !options.longLived || givesBack.every(Boolean);
      const taken = apt
        ? ((await consistentSnapshot(options, sessions, signal)) ??
          (await lockedSnapshot(options, sessions, signal)))
        : null;
      if (taken !== null) return taken;
    } catch (error) {
      await closeAll(sessions);
      throw error;
    }
    await closeAll(sessions);
    return null;
  });
}

/**
 * Whether going back to a savepoint gives a table's metadata lock back. On MariaDB it does not while the session
 * may write to the log, though it never does, and only an administrator may say so.
 */
async function canReleaseTables(session: RowSession, signal: AbortSignal): Promise<boolean> {
  if (session.server.flavour !== 'mariadb') return true;
  try {
    await session.query('SET SESSION sql_log_bin = 0', signal);
    return true;
  } catch (error) {
    if (error instanceof MysqlError) return false;
    throw error;
  }
}

/** Null where the user may not lock, or the lock is not to be had. */
async function lockedSnapshot(
  { connect, tables }: LockOptions,
  sessions: readonly RowSession[],
  signal: AbortSignal,
): Promise<TakenSnapshot | null> {
  if (tables.length === 0) return null;
  const lock = `LOCK TABLES ${tables.map((id) => `${quoteTable(id)} READ`).join(', ')}`;
  const { waitMs, attempts, pauseMs } = tables.length > 1 ? SEVERAL_TABLES : ONE_TABLE;
  for (let attempt = 1; attempt <= attempts; attempt++) {
    if (attempt > 1) await sleep(pauseMs * attempt, undefined, { signal });
    const outcome = await tryLock(connect, sessions, { lock, waitMs }, signal);
    if (outcome === 'refused') return null;
    if (outcome !== 'waited') return snapshotOf(sessions, outcome, signal);
  }
  return null;
}

async function tryLock(
  connect: LockOptions['connect'],
  sessions: readonly RowSession[],
  { lock, waitMs }: { readonly lock: string; readonly waitMs: number },
  signal: AbortSignal,
): Promise<MysqlPosition | 'refused' | 'waited'> {
  await using locker = await connect(signal);
  await using killer = await connect(signal);
  const query = queryOf(locker, signal);
  // Whole seconds, and for each of the locks that the statement takes in turn: the timers below are stricter.
  await query('SET SESSION lock_wait_timeout = 1');
  const patience = setTimeout(() => {
    killer.query(`KILL QUERY ${locker.threadId}`, signal).catch(() => undefined);
  }, waitMs);
  const limit = setTimeout(() => void locker.close(), HELD_MS);
  try {
    // Before 5.7 the lock alone lets transactions commit that have already changed the table. Without autocommit
    // InnoDB takes a lock of its own along, which waits for them.
    const old = locker.server.flavour === 'mysql' && locker.server.version < 50_700;
    if (old) await query('SET SESSION autocommit = 0');
    await query(lock);
    clearTimeout(patience);
    await Promise.all(sessions.map((session) => begin(session, signal)));
    const position = await currentPosition(query, locker.server);
    if (old) await query('COMMIT');
    await query('UNLOCK TABLES');
    return position ?? 'refused';
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MysqlError && REFUSED.has(error.errno)) return 'refused';
    if (error instanceof MysqlError && WAITED.has(error.errno)) return 'waited';
    if (error instanceof MysqlConnectionError && !locker.open && sessions.every(({ open }) => open))
      return 'waited';
    throw error;
  } finally {
    clearTimeout(patience);
    clearTimeout(limit);
  }
}

/** Null on servers that do not say where in the log a transaction's snapshot lies. */
async function consistentSnapshot(
  { longLived }: LockOptions,
  sessions: readonly RowSession[],
  signal: AbortSignal,
): Promise<TakenSnapshot | null> {
  // While the stream runs it may have delivered all of the log that there is.
  const least = longLived ? null : await logEnd(queryOf(sessions[0]!, signal), sessions[0]!.server, false);
  for (let attempt = 1; ; attempt++) {
    const places = await Promise.all(
      sessions.map(async (session) => {
        await begin(session, signal);
        if (least !== null) return beginBehind(session, least, signal);
        return snapshotPlace(queryOf(session, signal));
      }),
    );
    const first = places[0];
    if (first === undefined || first === null) return null;
    const same = sessions.filter((_, i) => places[i]?.file === first.file && places[i]?.pos === first.pos);
    // Fewer sessions read as much, only slower.
    if (same.length < sessions.length && attempt < SAME_PLACE_ATTEMPTS) continue;
    await closeAll(sessions.filter((session) => !same.includes(session)));
    const [session] = same;
    const query = queryOf(session!, signal);
    const position =
      session!.server.flavour === 'mariadb'
        ? await mariadbPosition(query, session!.server, first)
        : { gtids: first.gtids, file: first.file, pos: first.pos, mid: null, prepared: null };
    return snapshotOf(same, position, signal);
  }
}

interface SnapshotPlace extends LogPlaceInFile {
  /** Percona's. */
  readonly gtids: GtidSet | null;
}

/**
 * Where in the log the snapshot of a session that has begun its transaction lies. The transaction is begun anew until
 * that is not before `least`. Null where the server does not say.
 */
export async function beginBehind(
  session: RowSession,
  least: LogPlaceInFile,
  signal: AbortSignal,
): Promise<SnapshotPlace | null> {
  const query = queryOf(session, signal);
  for (let pause = PLACE_PAUSE_MS; ; pause = Math.min(MAX_PLACE_PAUSE_MS, pause * 2)) {
    const place = await snapshotPlace(query);
    if (place === null || !isBefore(place, least)) return place;
    await sleep(pause, undefined, { signal });
    await begin(session, signal);
  }
}

function isBefore(place: LogPlaceInFile, other: LogPlaceInFile): boolean {
  const files = compareFiles(place.file, other.file);
  return files === null || files < 0 || (files === 0 && place.pos < other.pos);
}

/** Where in the log the session's snapshot lies; null where the server does not say. */
async function snapshotPlace(query: Query): Promise<SnapshotPlace | null> {
  const rows = await query("SHOW STATUS LIKE 'binlog_snapshot_%'");
  const values = new Map(rows.map(([name, value]) => [name?.toLowerCase(), value]));
  const file = values.get('binlog_snapshot_file') ?? '';
  if (file === '') return null;
  const gtids = values.get('binlog_snapshot_gtid_executed');
  return {
    file,
    pos: Number(values.get('binlog_snapshot_position')),
    gtids: gtids === undefined || gtids === null ? null : parseGtidSet(gtids.replaceAll('\n', ''), 'mysql'),
  };
}

export async function begin(session: RowSession, signal: AbortSignal): Promise<void> {
  // In READ COMMITTED every statement would have a snapshot of its own.
  await session.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ', signal);
  await session.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY', signal);
}

async function snapshotOf(
  sessions: readonly RowSession[],
  position: MysqlPosition,
  signal: AbortSignal,
): Promise<TakenSnapshot> {
  await Promise.all(sessions.map((session) => session.query('SAVEPOINT unread', signal)));
  return {
    position,
    takenUs: await serverTimeUs(sessions[0]!, signal),
    sessions,
    [Symbol.asyncDispose]: () => closeAll(sessions),
  };
}

/** Whole seconds, as Debezium has it. */
export async function serverTimeUs(session: RowSession, signal: AbortSignal): Promise<number> {
  const [row] = await session.query('SELECT UNIX_TIMESTAMP()', signal);
  return Number(row?.[0]) * 1_000_000;
}

async function closeAll(sessions: readonly RowSession[]): Promise<void> {
  await Promise.all(sessions.map((session) => session.close()));
}
