import { isReady } from '../observability/metrics.ts';
import type { PipelineStatus } from '../observability/status.ts';

export interface Readiness {
  readonly ready: boolean;
  /** One sentence for each pipeline that is not ready. */
  readonly reasons: readonly string[];
}

/**
 * Ready is progress, not being alive: every pipeline reads, or stands by, and delivers what the source writes.
 * Pipelines that are complete (`initial_only`) no longer count as long as others run.
 */
export function readinessOf(status: readonly PipelineStatus[]): Readiness {
  const counted = status.filter(({ state }) => state !== 'stopped');
  if (counted.length === 0) return { ready: false, reasons: ['no pipeline runs'] };
  const reasons = counted.filter((pipeline) => !isReady(pipeline)).map(reasonOf);
  return { ready: reasons.length === 0, reasons };
}

function reasonOf({ name, state, progressing, lastError }: PipelineStatus): string {
  const code = lastError === null ? '' : ` (${lastError.code})`;
  switch (state) {
    case 'starting':
      return `${name} is starting${code}`;
    case 'backing-off':
      return `${name} waits before it tries again${code}`;
    case 'failed':
      return `${name} has failed${code}`;
    case 'paused':
      return `${name} is paused by an operator`;
    case 'stopping':
      return `${name} is stopping`;
    case 'standby':
    case 'snapshotting':
    case 'streaming':
    case 'stopped':
      return progressing ? `${name} is ${state}` : `${name}: the source advances and nothing is delivered`;
  }
}

/** What `/healthz?verbose` tells anyone: states and codes, no sentences, which may name hosts. */
export function verboseHealth(status: readonly PipelineStatus[]): object[] {
  return status.map((pipeline) => ({
    name: pipeline.name,
    state: pipeline.state,
    since: pipeline.since,
    ready: isReady(pipeline),
    progressing: pipeline.progressing,
    caughtUp: pipeline.caughtUp,
    lagMs: pipeline.lagMs,
    lastError:
      pipeline.lastError === null ? null : { code: pipeline.lastError.code, at: pipeline.lastError.at },
    tables: pipeline.tables.map(({ table, state }) => ({ table, state })),
  }));
}
