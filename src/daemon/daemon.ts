import type { HeadwaterError } from '../errors/headwater-error.ts';
import type { ExitCode } from '../errors/catalogue.ts';
import type { Log } from '../observability/log.ts';
import type { PipelineStatus } from '../observability/status.ts';
import { runAttempt } from '../pipeline/attempt.ts';
import { PipelineMonitor } from '../pipeline/monitor.ts';
import type { Settings } from '../settings/settings.ts';
import { attemptParts } from './compose.ts';
import { errorFields } from './error-fields.ts';
import { retainedBudgetBytes } from './sources.ts';
import { type Outcome, supervise } from './supervisor.ts';

export interface DaemonOptions {
  readonly settings: readonly Settings[];
  readonly log: Log;
  /** Snapshot, deliver the log up to where it stood at start, then end. */
  readonly untilCaughtUp: boolean;
}

export interface Daemon {
  /** One entry a pipeline, in the order of the settings. */
  status(): readonly PipelineStatus[];
  /** Resolves when every pipeline has ended; never rejects. */
  readonly finished: Promise<DaemonResult>;
}

export interface DaemonResult {
  readonly exitCode: 0 | ExitCode;
  /** Why pipelines failed, at most one a pipeline. */
  readonly errors: readonly HeadwaterError[];
}

/** The source has been ahead for this long without a delivery: the pipeline is not ready. */
const PROGRESS_TIMEOUT_MS = 60_000;

/**
 * Starts every pipeline and supervises it until `stop` aborts, all are complete, or all have failed. A pipeline
 * that fails does not stop the others.
 */
export function startDaemon(options: DaemonOptions, stop: AbortSignal): Daemon {
  const pipelines = options.settings.map((settings) => ({
    settings,
    monitor: new PipelineMonitor({
      name: settings.name,
      connector: settings.source.connector,
      progressTimeoutMs: PROGRESS_TIMEOUT_MS,
      now: Date.now,
    }),
  }));
  const startedAt = Date.now();
  const running = pipelines.map(async ({ settings, monitor }): Promise<Outcome> => {
    const log = options.log.child({ pipeline: settings.name });
    monitor.retainedBudgetBytes = retainedBudgetBytes(settings);
    const outcome = await supervise(
      {
        attempt: (signal, lost) => {
          const parts = attemptParts(settings, {
            untilCaughtUp: options.untilCaughtUp,
            startedAt,
            lost,
            log,
          });
          return runAttempt(parts, monitor, signal, log);
        },
        monitor,
        log,
        // One beside others is retried: they may work, or wait for the same server to come up.
        retryBeforeFirstProgress: pipelines.length > 1,
        mendsGaps: settings.source.onGap !== 'fail',
        random: Math.random,
      },
      stop,
    );
    if (outcome.kind === 'failed') {
      const { error } = outcome;
      log.error(errorFields(error), error.message);
    } else if (outcome.kind === 'complete') {
      log.info({}, 'complete: everything there was to deliver has been delivered');
    } else {
      log.info({}, 'stopped: what was read has been delivered');
    }
    return outcome;
  });
  return {
    status: () => pipelines.map(({ monitor }) => monitor.status()),
    finished: Promise.all(running).then(resultOf),
  };
}

function resultOf(outcomes: readonly Outcome[]): DaemonResult {
  const errors = outcomes.flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.error] : []));
  return { exitCode: errors[0]?.entry.exit ?? 0, errors };
}
