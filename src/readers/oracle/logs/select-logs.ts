import type { LogFile, RedoThread } from './log-files.ts';

/** The files of one mining session, in the order they are added. */
export interface LogSelection {
  readonly files: readonly LogFile[];
  /** Mining must not go past it, since a log behind it was left out; null: up to the log's end. */
  readonly upTo: bigint | null;
}

/** The redo is not whole. It may be for a moment, while the archiver works. */
export interface LogGap {
  readonly reason: string;
}

/** One copy of each log: an archived one before the online one, and of the archived by the order of destinations. */
export function oneOfEach(files: readonly LogFile[], destinations: readonly string[]): readonly LogFile[] {
  const best = new Map<string, LogFile>();
  const rank = ({ destination }: LogFile): number =>
    destination === null ? destinations.length : destinations.indexOf(destination);
  for (const file of files) {
    const key = `${file.thread}.${file.sequence}`;
    const other = best.get(key);
    if (other === undefined || rank(file) < rank(other)) best.set(key, file);
  }
  return [...best.values()].sort((a, b) => a.thread - b.thread || a.sequence - b.sequence);
}

/**
 * Whether the logs hold all redo from `start` on, thread by thread. `resumed`: threads whose log before the first
 * of these is there and ends before `start`, so that the thread was closed in between.
 */
export function findGap(
  files: readonly LogFile[],
  threads: readonly RedoThread[],
  { start, resumed }: { readonly start: bigint; readonly resumed: ReadonlySet<number> },
): LogGap | null {
  for (const thread of threads) {
    if (thread.enabled === 'PRIVATE') continue;
    const logs = files.filter((file) => file.thread === thread.thread);
    const reason = threadGap(logs, thread, { start, resumed });
    if (reason !== null) return { reason: `thread ${thread.thread}: ${reason}` };
  }
  return null;
}

function threadGap(
  logs: readonly LogFile[],
  thread: RedoThread,
  { start, resumed }: { readonly start: bigint; readonly resumed: ReadonlySet<number> },
): string | null {
  const end = endOf(thread);
  if (end !== null && end < start) return null;
  if (logs.length === 0) return end === null ? 'there is no log of it' : null;
  const hole = contiguous(end === null ? logs : logs.filter(({ first }) => first <= end));
  if (hole !== null) return hole;
  if (beginsLate(logs, thread, start) && !resumed.has(thread.thread)) {
    return `the log before sequence ${logs[0]!.sequence} is missing`;
  }
  return null;
}

/** Whether the first of a thread's logs begins behind where it is needed. */
export function beginsLate(logs: readonly LogFile[], thread: RedoThread, start: bigint): boolean {
  if (thread.enabled === 'PRIVATE' || logs[0] === undefined) return false;
  const end = endOf(thread);
  const from = thread.enabledAt > start ? thread.enabledAt : start;
  return logs[0].first > from && (end === null || end >= from);
}

/** The SCN up to which a thread has written that writes no more; null of one that does. */
function endOf({ enabled, open, checkpoint, disabledAt }: RedoThread): bigint | null {
  if (enabled === 'DISABLED') return disabledAt;
  return open ? null : checkpoint;
}

function contiguous(logs: readonly LogFile[]): string | null {
  for (let i = 1; i < logs.length; i++) {
    if (logs[i]!.sequence !== logs[i - 1]!.sequence + 1) {
      return `sequence ${logs[i - 1]!.sequence + 1} is missing`;
    }
  }
  return null;
}

/**
 * As many logs as one session may take: per thread until their bytes reach `bytes`, and `extra` more. Where a
 * thread's newest log is left out, mining ends before what was left out begins.
 */
export function capVolume(
  files: readonly LogFile[],
  { bytes, extra }: { readonly bytes: number; readonly extra: number },
): LogSelection {
  const taken: LogFile[] = [];
  let upTo: bigint | null = null;
  for (const thread of new Set(files.map((file) => file.thread))) {
    const logs = files.filter((file) => file.thread === thread);
    let sum = 0;
    let count = 0;
    while (count < logs.length && (sum < bytes || count === 0)) sum += logs[count++]!.bytes;
    count = Math.min(logs.length, count + extra);
    taken.push(...logs.slice(0, count));
    if (count === logs.length) continue;
    const end = logs[count]!.first - 1n;
    if (upTo === null || end < upTo) upTo = end;
  }
  return { files: taken, upTo };
}
