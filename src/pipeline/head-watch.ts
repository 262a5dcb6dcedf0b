import type { SourceInfo } from '../model/change.ts';
import type { Log } from '../observability/log.ts';
import type { Reader } from '../readers/reader.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { Ending } from './ending.ts';
import type { PipelineMonitor } from './monitor.ts';

const POLL_MS = 5_000;
/** How often the source is asked whether its own writes fail because of us; more rarely where the answer takes long. */
const HARM_MS = 1_000;
const HARM_SHARE = 0.02;
/** How often the source is asked whether it still publishes what the settings name. */
const TABLES_MS = 30_000;
/** While a target is waited for on an idle source. */
const NUDGE_MS = 50;

export interface HeadWatch<P> extends AsyncDisposable {
  /** Tell it how far the stream has come. */
  readonly passed: (position: P) => void;
  /** Ends the attempt when the stream has passed `target` and the snapshot is done. */
  until(target: P, onReached: () => void): void;
}

interface Watched<P, S extends SourceInfo> {
  readonly reader: Reader<P, S>;
  readonly snapshot: Snapshot<P, S>;
  readonly monitor: PipelineMonitor;
  readonly ending: Ending;
  readonly log: Log;
}

/** Raises the alarm of the log budget, once. */
export function noteRetained(bytes: number | null, monitor: PipelineMonitor, log: Log): void {
  if (!monitor.sawRetained(bytes)) return;
  log.warn(
    { retainedBytes: bytes, budgetBytes: monitor.retainedBudgetBytes },
    'the source keeps more log for this pipeline than its budget allows',
  );
}

/**
 * Compares the source's head with what has come through the stream: lag, readiness, the log budget's alarm,
 * and the end of a run that is to stop when caught up. A failing poll ends the attempt.
 */
export function watchHead<P, S extends SourceInfo>(run: Watched<P, S>): HeadWatch<P> {
  const { reader, monitor, snapshot, ending } = run;
  const { signal } = ending;
  let at: P | null = null;
  let target: { readonly position: P; readonly onReached: () => void } | null = null;
  let head: P | null = null;
  let headSeenAt = -Infinity;
  let tablesSeenAt = performance.now();
  let harmDueAt = 0;
  const reached = (position: P): boolean => at !== null && (reader.codec.compare(at, position) ?? -1) >= 0;

  const poll = async (): Promise<void> => {
    const now = performance.now();
    if (now - headSeenAt >= POLL_MS - HARM_MS / 2) {
      headSeenAt = now;
      await lookAtHead();
    }
    if (target !== null || reader.harms === undefined || now < harmDueAt) return;
    const harmed = await reader.harms(signal);
    harmDueAt = now + Math.max(HARM_MS / 2, (performance.now() - now) / HARM_SHARE);
    if (!harmed) return;
    // Worth a new attempt whatever is being read; where that could not mend it, this has been said.
    await reader.checkTables?.(signal);
    harmDueAt = now + TABLES_MS;
  };
  const lookAtHead = async (): Promise<void> => {
    const { position, retainedBytes, retentionMs = null } = await reader.head(signal);
    head = position;
    monitor.sawHead(reader.codec.encode(position), !reached(position));
    noteRetained(retainedBytes, monitor, run.log);
    monitor.retentionMs = retentionMs;
    // Not while tables are read: a new attempt would begin some of them again.
    if (target !== null || !snapshot.done || performance.now() - tablesSeenAt < TABLES_MS) return;
    tablesSeenAt = performance.now();
    await reader.checkTables?.(signal);
  };
  let polling: Promise<void> | null = null;
  const tick = (): void => {
    polling ??= poll()
      .catch((error: unknown) => {
        if (!signal.aborted) ending.fail(error);
      })
      .finally(() => (polling = null));
  };
  tick();
  const timer = setInterval(tick, reader.harms === undefined ? POLL_MS : HARM_MS);
  let nudger: NodeJS.Timeout | null = null;

  const checkTarget = (): void => {
    if (target === null || !snapshot.done || !reached(target.position)) return;
    target.onReached();
    target = null;
    ending.end();
  };
  return {
    passed(position) {
      at = position;
      // Between two polls: what was last known of the head is behind us.
      if (!monitor.caughtUp && head !== null && reached(head)) monitor.caughtUp = true;
      checkTarget();
    },
    until(position, onReached) {
      target = { position, onReached };
      nudger = setInterval(() => reader.nudge(), NUDGE_MS);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      if (nudger !== null) clearInterval(nudger);
      await polling;
    },
  };
}
