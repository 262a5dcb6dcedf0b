import type { QueryDesk } from '../enrichment/queries/query-desk.ts';
import type { HeadwaterError } from '../errors/headwater-error.ts';
import type { ExitCode } from '../errors/catalogue.ts';
import type { BatchTraces } from '../observability/batch-traces.ts';
import type { Log } from '../observability/log.ts';
import type { PipelineState, PipelineStatus } from '../observability/status.ts';
import type { Settings } from '../settings/settings.ts';
import { Fleets } from './fleets.ts';
import { errorsOf, PipelineTask, type TaskOptions } from './pipeline-task.ts';
import type { Outcome } from './supervisor.ts';

export interface DaemonOptions {
  readonly settings: readonly Settings[];
  readonly log: Log;
  /** Snapshot, deliver the log up to where it stood at start, then end. */
  readonly untilCaughtUp: boolean;
  /** Where clients ask the pipelines' statements; left out: nobody can. */
  readonly desk?: QueryDesk | null;
  /** Where commits are traced; left out: nowhere. */
  readonly traces?: BatchTraces | null;
  /** See `TaskOptions`; left out: nowhere. */
  readonly http?: string | null;
}

export interface Daemon {
  /** One entry a pipeline, in the order of the settings. */
  status(): readonly PipelineStatus[];
  /** Null where the daemon has no such pipeline. */
  pipeline(name: string): PipelineTask | null;
  /** Goes on with other settings: pipelines that are new start, those that are gone end, changed ones begin anew. */
  reload(settings: readonly Settings[]): ReloadSummary;
  /** Resolves when every pipeline has ended; never rejects. */
  readonly finished: Promise<DaemonResult>;
}

/** Names of pipelines. */
export interface ReloadSummary {
  readonly started: readonly string[];
  readonly changed: readonly string[];
  readonly stopped: readonly string[];
}

export interface DaemonResult {
  readonly exitCode: 0 | ExitCode;
  /** Why pipelines failed, at most one a pipeline. */
  readonly errors: readonly HeadwaterError[];
}

/**
 * Starts every pipeline and supervises it until `stop` aborts, all are complete, or all have failed. A pipeline
 * that fails does not stop the others.
 */
export function startDaemon(options: DaemonOptions, stop: AbortSignal): Daemon {
  return new RunningDaemon(options, stop);
}

class RunningDaemon implements Daemon {
  readonly finished: Promise<DaemonResult>;
  readonly #options: DaemonOptions;
  readonly #stop: AbortSignal;
  #tasks: Map<string, PipelineTask>;
  readonly #fleets: Fleets;
  /** What pipelines that are no longer in the settings wait for to end. */
  #leaving: Promise<Outcome>[] = [];

  constructor(options: DaemonOptions, stop: AbortSignal) {
    this.#options = options;
    this.#stop = stop;
    this.#fleets = new Fleets(() => this.#running(), options.log);
    const start = { alone: options.settings.length === 1, after: Promise.resolve() };
    this.#tasks = new Map(options.settings.map((settings) => [settings.name, this.#start(settings, start)]));
    // A job does its work wherever it was started.
    if (!options.untilCaughtUp) this.#fleets.update(options.settings);
    stop.addEventListener('abort', () => void this.#fleets.close(), { once: true });
    this.finished = this.#finish();
  }

  status(): readonly PipelineStatus[] {
    return [...this.#tasks.values()].map((task) => task.status());
  }

  pipeline(name: string): PipelineTask | null {
    return this.#tasks.get(name) ?? null;
  }

  reload(settings: readonly Settings[]): ReloadSummary {
    const summary = { started: [] as string[], changed: [] as string[], stopped: [] as string[] };
    const gone = new Map(this.#tasks);
    for (const each of settings) {
      const task = gone.get(each.name);
      if (task !== undefined && goesOn(task, each)) gone.delete(each.name);
    }
    for (const [name, task] of gone) {
      if (isOver(task)) continue;
      summary.stopped.push(name);
      task.stop();
      this.#leaving.push(task.finished);
    }
    this.#fleets.update(settings);
    // Under another name it may be the same pipeline, with the same slot.
    const start = { alone: settings.length === 1, after: Promise.all(this.#leaving) };
    this.#tasks = new Map(
      settings.map((each) => {
        const task = this.#tasks.get(each.name);
        if (task === undefined || gone.has(each.name)) {
          summary.started.push(each.name);
          return [each.name, this.#start(each, start)];
        }
        if (task.settings.fingerprint !== each.fingerprint) {
          summary.changed.push(each.name);
          task.reload(each);
        }
        return [each.name, task];
      }),
    );
    return summary;
  }

  #start(settings: Settings, start: Pick<TaskOptions, 'alone' | 'after'>): PipelineTask {
    const { log, untilCaughtUp, desk = null, traces = null, http = null } = this.#options;
    return new PipelineTask(
      settings,
      {
        log,
        untilCaughtUp,
        desk,
        traces,
        http,
        ...start,
        preferred: () => this.#fleets.prefers(settings.name),
      },
      this.#stop,
    );
  }

  #running(): readonly string[] {
    const statuses = [...this.#tasks.values()].map((task) => task.status());
    return statuses.filter(({ state }) => RUNS.has(state)).map(({ name }) => name);
  }

  /** Pipelines that a reload has started meanwhile are waited for too. */
  async #finish(): Promise<DaemonResult> {
    let outcomes: readonly Outcome[] = [];
    let waited: readonly PipelineTask[] = [];
    while ([...this.#tasks.values()].some((task) => !waited.includes(task)) || this.#leaving.length > 0) {
      waited = [...this.#tasks.values()];
      const leaving = this.#leaving;
      this.#leaving = [];
      outcomes = await Promise.all(waited.map(({ finished }) => finished));
      await Promise.all(leaving);
    }
    await this.#fleets.close();
    const errors = errorsOf(outcomes);
    return { exitCode: errors[0]?.entry.exit ?? 0, errors };
  }
}

const RUNS: ReadonlySet<PipelineState> = new Set(['snapshotting', 'streaming']);

/** With another connector it is another pipeline, which happens to have the name. */
function goesOn(task: PipelineTask, { source }: Settings): boolean {
  return !isOver(task) && task.settings.source.connector === source.connector;
}

function isOver(task: PipelineTask): boolean {
  const { state } = task.status();
  return state === 'stopped' || state === 'failed';
}
