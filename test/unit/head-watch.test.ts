import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { SourceInfo } from '../../src/model/change.ts';
import { SILENT } from '../../src/observability/log.ts';
import { Ending } from '../../src/pipeline/ending.ts';
import { watchHead } from '../../src/pipeline/head-watch.ts';
import { PipelineMonitor } from '../../src/pipeline/monitor.ts';
import type { Reader } from '../../src/readers/reader.ts';
import type { Snapshot } from '../../src/snapshot/snapshot.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp(harms?: () => Promise<boolean>) {
  const snapshot = { done: false };
  const checks: { at: number; answer: Error | null }[] = [];
  const next: { answer: Error | null } = { answer: null };
  const reader = {
    codec: {
      encode: (position: number) => position,
      compare: (a: number, b: number) => a - b,
    },
    head: () => Promise.resolve({ position: 1, retainedBytes: 0 }),
    nudge() {},
    harms,
    checkTables() {
      checks.push({ at: performance.now(), answer: next.answer });
      return next.answer === null ? Promise.resolve() : Promise.reject(next.answer);
    },
  } as unknown as Reader<number>;
  const ending = new Ending(new AbortController().signal);
  const watch = watchHead<number, SourceInfo>({
    reader,
    snapshot: snapshot as Snapshot<number, SourceInfo>,
    monitor: new PipelineMonitor({
      name: 'p',
      connector: 'postgresql',
      progressTimeoutMs: 60_000,
      now: Date.now,
    }),
    ending,
    log: SILENT,
  });
  return { watch, snapshot, checks, ending, next };
}

describe('looking for changed tables', () => {
  it('waits for the snapshot, then comes every half minute, and ends the attempt with what it finds', async () => {
    const { watch, snapshot, checks, ending, next } = setUp();
    await vi.advanceTimersByTimeAsync(100_000);
    expect(checks).toHaveLength(0);
    snapshot.done = true;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(checks).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(90_000);
    expect(checks).toHaveLength(4);
    expect(ending.signal.aborted).toBe(false);
    next.answer = new HeadwaterError('source.tables-changed', 'A table came.');
    await vi.advanceTimersByTimeAsync(30_000);
    expect(ending.signal.aborted).toBe(true);
    expect(ending.causeOf(undefined)).toEqual({ error: next.answer });
    await watch[Symbol.asyncDispose]();
  });

  it('leaves a run alone that is to end when it has caught up', async () => {
    const { watch, snapshot, checks } = setUp();
    watch.until(2, () => {});
    snapshot.done = true;
    await vi.advanceTimersByTimeAsync(100_000);
    expect(checks).toHaveLength(0);
    await watch[Symbol.asyncDispose]();
  });
});

describe('looking for writes that fail because of what was made at the source', () => {
  it('comes every second, also while tables are read, and what it finds is looked into at once', async () => {
    let harmed = false;
    let asked = 0;
    const { watch, checks, ending, next } = setUp(() => {
      asked++;
      return Promise.resolve(harmed);
    });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toBeGreaterThanOrEqual(10);
    expect(checks).toHaveLength(0);
    harmed = true;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(checks).toHaveLength(1);
    // Where it could not be mended it is not asked about every second.
    await vi.advanceTimersByTimeAsync(20_000);
    expect(checks).toHaveLength(1);
    next.answer = new HeadwaterError('source.tables-changed', 'A table lost its key.');
    await vi.advanceTimersByTimeAsync(15_000);
    expect(ending.signal.aborted).toBe(true);
    await watch[Symbol.asyncDispose]();
  });
});
