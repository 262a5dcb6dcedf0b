import type { SourceInfo } from '../model/change.ts';
import type { Log } from '../observability/log.ts';
import type { AttemptParts } from './attempt-parts.ts';
import { begin } from './begin.ts';
import { deliver } from './deliver.ts';
import { Ending } from './ending.ts';
import type { PipelineMonitor } from './monitor.ts';
import { takeOver } from './take-over.ts';

/**
 * One attempt of a pipeline: take ownership, restore, snapshot, stream, until `stop` aborts (resolves with
 * 'stopped'), the work is done ('complete'), or something breaks (throws). It never retries; whatever it
 * opened is closed when it settles.
 */
export async function runAttempt<P, S extends SourceInfo>(
  parts: AttemptParts<P, S>,
  monitor: PipelineMonitor,
  stop: AbortSignal,
  log: Log,
): Promise<'stopped' | 'complete'> {
  using ending = new Ending(stop);
  try {
    await using resources = new AsyncDisposableStack();
    try {
      const attempt = { parts, monitor, log, ending, resources };
      const owned = await takeOver(attempt);
      return await deliver(attempt, await begin(attempt, owned));
    } catch (error) {
      // Noted before anything is closed: what closing breaks must not look like the cause.
      ending.fail(error);
      throw error;
    }
  } catch (error) {
    const cause = ending.causeOf(error);
    if (cause === null) return 'stopped';
    throw cause.error;
  } finally {
    monitor.settle();
  }
}
