import { describe, expect, it } from 'vitest';
import { supervise } from '../../src/daemon/supervisor.ts';
import { CATALOGUE, type Code, type Fate } from '../../src/errors/catalogue.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { SILENT } from '../../src/observability/log.ts';
import { PipelineControl } from '../../src/pipeline/control.ts';
import { PipelineMonitor } from '../../src/pipeline/monitor.ts';

function codeWith(fate: Fate): Code {
  return (Object.keys(CATALOGUE) as Code[]).find((code) => CATALOGUE[code].fate === fate)!;
}

function setUp(
  attempts: readonly ((lost: string | null) => 'stopped' | 'complete')[],
  retryBeforeFirstProgress = true,
  mendsGaps = true,
) {
  const monitor = new PipelineMonitor({
    name: 'shop',
    connector: 'postgresql',
    progressTimeoutMs: 60_000,
    now: Date.now,
  });
  let calls = 0;
  const run = (stop: AbortSignal) =>
    supervise(
      {
        attempt: async (_, lost) => attempts[calls++]!(lost),
        control: new PipelineControl(),
        monitor,
        log: SILENT,
        retryBeforeFirstProgress,
        mendsGaps: () => mendsGaps,
        random: () => 0,
      },
      stop,
    );
  return { monitor, run, calls: () => calls };
}

const never = new AbortController().signal;
const retriable = (): never => {
  throw new HeadwaterError(codeWith('retry'), 'The server went away.');
};

describe('supervise', () => {
  it('retries what is retriable, with back-off, until it works', async () => {
    const { run, monitor, calls } = setUp([retriable, retriable, () => 'complete']);
    expect(await run(never)).toEqual({ kind: 'complete' });
    expect(calls()).toBe(3);
    expect(monitor.counters.disconnects).toBe(2);
    expect(monitor.state).toBe('stopped');
  });

  it('ends at once on what only the operator can mend', async () => {
    const { run, monitor, calls } = setUp([
      () => {
        throw new HeadwaterError('settings.no-table-matches', 'No table matches public.nothing.');
      },
    ]);
    const outcome = await run(never);
    expect(outcome).toMatchObject({ kind: 'failed', error: { code: 'settings.no-table-matches' } });
    expect(calls()).toBe(1);
    expect(monitor.state).toBe('failed');
  });

  it('treats what is no HeadwaterError as a bug, not as something to retry', async () => {
    const { run } = setUp([
      () => {
        throw new TypeError('x is undefined');
      },
    ]);
    expect(await run(never)).toMatchObject({ kind: 'failed', error: { code: 'internal.bug' } });
  });

  it('does not retry before the first progress when told so', async () => {
    const { run, calls } = setUp([retriable, () => 'complete'], false);
    expect(await run(never)).toMatchObject({ kind: 'failed' });
    expect(calls()).toBe(1);
  });

  it('tells the next attempt of a lost position until something is durable, where gaps are to be mended', async () => {
    const told: (string | null)[] = [];
    const lose = (lost: string | null): never => {
      told.push(lost);
      throw new HeadwaterError('source.position-lost', 'The publication was made anew.');
    };
    const interrupted = (lost: string | null): never => {
      told.push(lost);
      return retriable();
    };
    const durable = (lost: string | null): never => {
      monitor.counters.commits++;
      return interrupted(lost);
    };
    const { run, monitor } = setUp([lose, interrupted, durable, interrupted, () => 'complete']);
    expect(await run(never)).toEqual({ kind: 'complete' });
    const reason = 'The publication was made anew.';
    expect(told).toEqual([null, reason, reason, null]);
    expect(await setUp([lose], true, false).run(never)).toMatchObject({ kind: 'failed' });
    expect(await setUp([lose, lose]).run(never)).toMatchObject({ kind: 'failed' });
  });

  it('stops while backing off', async () => {
    const stop = new AbortController();
    const { run, monitor } = setUp([retriable, retriable]);
    const running = run(stop.signal);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(monitor.state).toBe('backing-off');
    stop.abort();
    expect(await running).toEqual({ kind: 'stopped' });
  });
});
