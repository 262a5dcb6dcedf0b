import { asHeadwaterError, type HeadwaterError } from '../errors/headwater-error.ts';
import type { Log } from '../observability/log.ts';
import type { PipelineControl } from '../pipeline/control.ts';
import type { PipelineMonitor } from '../pipeline/monitor.ts';
import { errorFields } from './error-fields.ts';

export interface SuperviseOptions {
  /** One attempt; see pipeline/attempt.ts. `lost`: why the one before found the position lost. */
  readonly attempt: (stop: AbortSignal, lost: string | null) => Promise<'stopped' | 'complete'>;
  readonly control: PipelineControl;
  readonly monitor: PipelineMonitor;
  readonly log: Log;
  /**
   * Whether the first attempt is followed by another where it fails with a retriable error before anything was
   * committed. A mistyped host must end a lone daemon at once; beside other pipelines it is retried.
   */
  readonly retryBeforeFirstProgress: boolean;
  /**
   * Whether a lost position is answered by another attempt (`source.on_gap`) rather than by the end. Asked each time:
   * the settings may be read again.
   */
  readonly mendsGaps: () => boolean;
  readonly random: () => number;
}

export type Outcome =
  { readonly kind: 'stopped' | 'complete' } | { readonly kind: 'failed'; readonly error: HeadwaterError };

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;

/**
 * Runs attempts until one ends by itself or fails for good. The only place that retries: back-off is
 * exponential with jitter and starts anew after progress, not after a mere connection.
 */
export async function supervise(options: SuperviseOptions, stop: AbortSignal): Promise<Outcome> {
  const { control, monitor, log } = options;
  let failures = 0;
  let lost: string | null = null;
  for (;;) {
    if (control.paused) {
      monitor.enter('paused');
      await control.running(stop);
    }
    monitor.attempts++;
    monitor.enter('starting');
    const { progress: progressBefore } = monitor;
    const { commits: commitsBefore } = monitor.counters;
    try {
      const kind = await options.attempt(AbortSignal.any([stop, control.beginAttempt()]), lost);
      // Ended for an operator's sake.
      if (kind === 'stopped' && !stop.aborted) continue;
      monitor.enter('stopped');
      return { kind };
    } catch (thrown) {
      const error = asHeadwaterError(thrown);
      monitor.failed(error);
      monitor.counters.disconnects++;
      const committed = monitor.counters.commits !== commitsBefore;
      const started = committed || monitor.attempts > 1;
      // What was told is durable with the first commit; until then it is told again.
      if (committed) lost = null;
      const gap = error.entry.fate === 'resnapshot' && options.mendsGaps() && lost === null;
      if (gap) lost = error.message;
      // Every attempt that gets so far commits where it starts: that is a connection, not progress.
      if (monitor.progress !== progressBefore) failures = 0;
      const retry =
        (gap || (error.entry.fate === 'retry' && (started || options.retryBeforeFirstProgress))) &&
        !stop.aborted;
      if (!retry) {
        monitor.enter('failed');
        return { kind: 'failed', error };
      }
      const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
      const delay = Math.round(ceiling * (0.5 + options.random() / 2));
      failures++;
      log.warn({ ...errorFields(error), retryInMs: delay }, error.message);
      monitor.retryAt = Date.now() + delay;
      monitor.enter('backing-off');
      await sleep(delay, AbortSignal.any([stop, control.beginAttempt()]));
      monitor.retryAt = null;
      if (stop.aborted) return { kind: 'stopped' };
    }
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
