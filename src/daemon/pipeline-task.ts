import type { QueryDesk } from '../enrichment/queries/query-desk.ts';
import { TopicRefusals } from '../emitter/topic-refusals.ts';
import type { TurnTaking } from '../emitter/sink.ts';
import type { HeadwaterError } from '../errors/headwater-error.ts';
import type { BatchTraces } from '../observability/batch-traces.ts';
import type { Log } from '../observability/log.ts';
import { steadyNow } from '../observability/steady-clock.ts';
import type { PipelineStatus } from '../observability/status.ts';
import { runAttempt } from '../pipeline/attempt.ts';
import { PipelineControl } from '../pipeline/control.ts';
import { PipelineMonitor } from '../pipeline/monitor.ts';
import type { Settings } from '../settings/settings.ts';
import { shareTopics } from './shared-topics.ts';
import { attemptParts } from './compose.ts';
import { errorFields } from './error-fields.ts';
import { decideCapture } from './sources/capture.ts';
import { retainedBudgetBytes } from './sources/source.ts';
import { type Outcome, supervise } from './supervisor.ts';

/** The source has been ahead for this long without a delivery: the pipeline is not ready. */
const PROGRESS_TIMEOUT_MS = 60_000;

export interface TaskOptions {
  readonly log: Log;
  readonly untilCaughtUp: boolean;
  readonly desk: QueryDesk | null;
  readonly traces: BatchTraces | null;
  /** Where the process answers over HTTP, for those who wait for it; null where it does not. */
  readonly http: string | null;
  /** Whether the process has other pipelines; see SuperviseOptions.retryBeforeFirstProgress. */
  readonly alone: boolean;
  /** What has to end before: a pipeline that may hold what this one needs, as its replication slot. */
  readonly after: Promise<unknown>;
  /** Whether the pipeline had better run here than in another instance of the fleet. */
  readonly preferred: () => boolean;
}

/** One pipeline of the daemon, from its start to its end, over all its attempts. */
export class PipelineTask {
  readonly control = new PipelineControl();
  readonly finished: Promise<Outcome>;
  readonly #monitor: PipelineMonitor;
  readonly #log: Log;
  readonly #stop = new AbortController();
  #settings: Settings;

  constructor(settings: Settings, options: TaskOptions, stop: AbortSignal) {
    this.#settings = settings;
    this.#monitor = new PipelineMonitor({
      name: settings.name,
      connector: settings.source.connector,
      progressTimeoutMs: PROGRESS_TIMEOUT_MS,
      now: Date.now,
      steady: steadyNow,
    });
    this.#log = options.log.child({ pipeline: settings.name });
    this.finished = this.#run(options, AbortSignal.any([stop, this.#stop.signal]));
  }

  get settings(): Settings {
    return this.#settings;
  }

  status(): PipelineStatus {
    return this.#monitor.status();
  }

  /** The attempt under way ends, and the next goes by these. */
  reload(settings: Settings): void {
    this.#settings = settings;
    this.#log.info({}, 'new settings: the pipeline goes on with them');
    this.control.restart();
  }

  /** Ends this pipeline alone, after what was read has been delivered. */
  stop(): void {
    this.#log.info({}, 'no longer in the settings: the pipeline ends');
    this.#stop.abort();
  }

  async #run(
    { after, alone, untilCaughtUp, desk, traces, http, preferred }: TaskOptions,
    stop: AbortSignal,
  ): Promise<Outcome> {
    await after;
    const startedAt = Date.now();
    const log = this.#log;
    const refusals = new TopicRefusals();
    const ending = new AbortController();
    const shared = shareTopics(
      this.#settings,
      { log, untilCaughtUp },
      AbortSignal.any([stop, ending.signal]),
    )?.then((outcome) => {
      if (outcome.kind === 'failed') this.#stop.abort();
      return outcome;
    });
    const ended = await supervise(
      {
        attempt: async (signal, lost) => {
          const { settings, mode, reason } = await decideCapture(this.#settings, signal);
          if (this.#monitor.captures(mode, reason)) log.warn({ mode, reason }, CAPTURES[mode]);
          this.#monitor.retainedBudgetBytes = mode === 'log' ? retainedBudgetBytes(settings) : null;
          const parts = await attemptParts(settings, {
            untilCaughtUp,
            desk,
            traces,
            startedAt,
            lost,
            log,
            refusals,
            control: this.control,
            turns: this.#turns(http, preferred),
          });
          return runAttempt(parts, this.#monitor, signal, log);
        },
        control: this.control,
        monitor: this.#monitor,
        log,
        // One beside others is retried: they may work, or wait for the same server to come up.
        retryBeforeFirstProgress: !alone,
        mendsGaps: () => this.#settings.source.onGap !== 'fail',
        random: Math.random,
      },
      stop,
    );
    // What is complete here may not be there.
    if (ended.kind !== 'complete') ending.abort();
    const others = await shared;
    const outcome = others?.kind === 'failed' && ended.kind !== 'failed' ? others : ended;
    tell(log, outcome);
    return outcome;
  }

  #turns(http: string | null, preferred: () => boolean): TurnTaking {
    const monitor = this.#monitor;
    return {
      http,
      // Where it failed another may do better; and a snapshot under way is not begun again for evenness' sake.
      preferred: () => (preferred() && !monitor.troubled) || monitor.snapshotProgress()?.running === true,
      onYield: () => {
        this.#log.info({}, 'gives way to the instance whose share of the pipelines this one is');
        this.control.restart();
      },
    };
  }
}

const CAPTURES = { log: 'changes are read from the log', poll: 'changes are found by polling' } as const;

function tell(log: Log, outcome: Outcome): void {
  if (outcome.kind === 'failed') {
    const { error } = outcome;
    log.error(errorFields(error), error.message);
  } else if (outcome.kind === 'complete') {
    log.info({}, 'complete: everything there was to deliver has been delivered');
  } else {
    log.info({}, 'stopped: what was read has been delivered');
  }
}

/** Why pipelines failed, at most one a pipeline. */
export function errorsOf(outcomes: Iterable<Outcome>): readonly HeadwaterError[] {
  return [...outcomes].flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.error] : []));
}
