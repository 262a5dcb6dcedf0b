import { describe, expect, it } from 'vitest';
import { supervise } from '../../src/daemon/supervisor.ts';
import type { Emitter } from '../../src/emitter/emitter.ts';
import type { Sink } from '../../src/emitter/sink.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { Batch } from '../../src/model/batch.ts';
import type { PositionCodec } from '../../src/model/position.ts';
import type { Log } from '../../src/observability/log.ts';
import { SILENT } from '../../src/observability/log.ts';
import type { AttemptParts } from '../../src/pipeline/attempt-parts.ts';
import { runAttempt } from '../../src/pipeline/attempt.ts';
import { PipelineControl } from '../../src/pipeline/control.ts';
import { PipelineMonitor } from '../../src/pipeline/monitor.ts';
import type { Reader } from '../../src/readers/reader.ts';
import type { SnapshotSource } from '../../src/snapshot/snapshot-source.ts';

type Position = number;
type Source = { readonly connector: 'postgresql' };

const codec: PositionCodec<Position> = {
  encode: (position) => position,
  decode: (json) => json as number,
  compare: (a, b) => a - b,
  insideTransaction: () => false,
};
const never = new AbortController().signal;
const ID = { schema: 'public', table: 'a' };
const lost = (what = 'The stream broke.') => new HeadwaterError('source.connection-lost', what);

interface Fake {
  read?: Reader<Position, Source>['read'];
  head?: () => Promise<{ position: Position; retainedBytes: number | null }>;
  openView?: SnapshotSource<Position, Source>['openView'];
  disposeSink?: () => Promise<void>;
  mode?: 'initial' | 'no_data';
  restore?: () => Promise<ReadonlyMap<string, string>>;
  openSink?: () => Promise<Sink>;
}

function partsOf(fake: Fake): AttemptParts<Position, Source> {
  const reader: Reader<Position, Source> = {
    codec,
    preflight: () => Promise.resolve([]),
    tables: () => Promise.resolve([{ id: ID, key: ['id'], estimatedRows: 1, limitation: null }]),
    describe: () => Promise.resolve([]),
    examine: () => Promise.resolve(null),
    open: () => Promise.resolve({ continuity: { kind: 'fresh', start: 10 }, identity: '{}' }),
    head: fake.head ?? (() => Promise.resolve({ position: 10, retainedBytes: null })),
    read: fake.read ?? (() => stream([])),
    confirm: () => {},
    nudge: () => {},
    snapshotSource: () =>
      ({ openView: fake.openView ?? (() => Promise.resolve(null)) }) as unknown as SnapshotSource<
        Position,
        Source
      >,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const sink = {
    failed: new Promise<never>(() => {}),
    restore: fake.restore ?? (() => Promise.resolve(new Map<string, string>())),
    ready: () => undefined,
    commit: () => Promise.resolve(),
    stats: () => ({ records: 0, bytes: 0, commits: 0, pendingBytes: 0 }),
    [Symbol.asyncDispose]: fake.disposeSink ?? (() => Promise.resolve()),
  } as unknown as Sink;
  const counts = { creates: 0, updates: 0, deletes: 0, reads: 0, truncates: 0, messages: 0, transactions: 0 };
  return {
    name: 'p',
    control: new PipelineControl(),
    openReader: () => reader,
    changeOver: () => null,
    deliveredBefore: () => Promise.resolve(null),
    deliveredKeys: () => Promise.resolve(null),
    originAt: () => ({ connector: 'postgresql' }),
    openSink: fake.openSink ?? (() => Promise.resolve(sink)),
    misfits: () => Promise.resolve([]),
    idleSettings: () => [],
    openRecords: () =>
      Promise.resolve({
        resumed: [],
        paused: new Map(),
        createEmitter: () =>
          ({
            prepare: () => undefined,
            emit: (batch: Batch<unknown>) => ({ ...counts, records: batch.changes.length }),
            tables: () => [],
            takeState: () => undefined,
          }) as unknown as Emitter,
      }),
    topicOf: () => 't',
    topicsOf: () => [],
    snapshot: {
      mode: fake.mode ?? 'no_data',
      parallelism: 1,
      chunkRows: 10,
      where: new Map(),
      walLimitBytes: null,
    },
    onGap: 'fail',
    lost: null,
    exactlyOnce: true,
    maxTransactionRows: 1000,
    maxTransactionMs: 1000,
    heartbeatMs: null,
    traces: null,
    enrichment: null,
    untilCaughtUp: false,
  };
}

async function* stream(
  batches: readonly (Batch<Position, Source> | HeadwaterError)[],
): AsyncGenerator<Batch<Position, Source>> {
  for (const batch of batches) {
    await new Promise((resolve) => setImmediate(resolve));
    if (batch instanceof Error) throw batch;
    yield batch;
  }
}

function monitorOf(): PipelineMonitor {
  return new PipelineMonitor({
    name: 'p',
    connector: 'postgresql',
    progressTimeoutMs: 60_000,
    now: Date.now,
  });
}

describe('runAttempt', () => {
  it('throws what broke first, not what closing threw', async () => {
    const parts = partsOf({
      restore: () => Promise.reject(lost('The state cannot be read.')),
      disposeSink: () => Promise.reject(new Error('the socket is gone')),
    });
    await expect(runAttempt(parts, monitorOf(), never, SILENT)).rejects.toMatchObject({
      code: 'source.connection-lost',
    });
  });

  it('throws what broke the stream, not what a poll of the head met while it was being closed', async () => {
    let failPoll = (_: unknown): void => {};
    let asked = 0;
    const parts = partsOf({
      head: () =>
        asked++ === 0
          ? Promise.resolve({ position: 10, retainedBytes: null })
          : new Promise((_, reject) => (failPoll = reject)),
      read: async function* () {
        await Promise.resolve();
        setTimeout(() => failPoll(lost('The session is gone.')), 20);
        yield* stream([new HeadwaterError('source.protocol', 'What is this?')]);
      },
    });
    await expect(runAttempt(parts, monitorOf(), never, SILENT)).rejects.toMatchObject({
      code: 'source.protocol',
    });
  });

  it('watches the head of the log during the snapshot too', async () => {
    const monitor = monitorOf();
    const stop = new AbortController();
    const parts = partsOf({
      mode: 'initial',
      head: () => Promise.resolve({ position: 99, retainedBytes: 12_345 }),
      openView: async (_, signal) => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        stop.abort();
        signal.throwIfAborted();
        return null;
      },
    });
    expect(await runAttempt(parts, monitor, stop.signal, SILENT)).toBe('stopped');
    expect(monitor.status()).toMatchObject({ sourceHead: 99, retainedBytes: 12_345 });
  });
});

describe('the log budget', () => {
  it('is watched while the sink is away too, and its alarm raised once', async () => {
    const monitor = monitorOf();
    monitor.retainedBudgetBytes = 1_000;
    let retainedBytes: number | null = 900;
    const warnings: unknown[] = [];
    const log: Log = { ...SILENT, warn: (fields) => warnings.push(fields) };
    const attempt = async (): Promise<void> => {
      const parts = partsOf({
        head: () => Promise.resolve({ position: 10, retainedBytes }),
        openSink: () => Promise.reject(new HeadwaterError('delivery.unreachable', 'No broker answers.')),
      });
      const code = { code: 'delivery.unreachable' };
      await expect(runAttempt(parts, monitor, never, log)).rejects.toMatchObject(code);
    };
    await attempt();
    expect([monitor.status().retainedBytes, warnings]).toEqual([900, []]);
    retainedBytes = 1_100;
    await attempt();
    await attempt();
    expect(monitor.status().retainedBytes).toBe(1_100);
    expect(warnings).toEqual([{ retainedBytes: 1_100, budgetBytes: 1_000 }]);
    retainedBytes = null;
    await attempt();
    retainedBytes = 1_100;
    await attempt();
    expect(warnings).toHaveLength(2);
  });
});

describe('supervise with runAttempt', () => {
  async function delaysOf(batches: readonly Batch<Position, Source>[]): Promise<readonly number[]> {
    const delays: number[] = [];
    const stop = new AbortController();
    const log: Log = {
      ...SILENT,
      warn: (fields) => {
        delays.push((fields as { retryInMs: number }).retryInMs);
        if (delays.length === 3) stop.abort();
      },
    };
    const monitor = monitorOf();
    await supervise(
      {
        attempt: (signal) =>
          runAttempt(partsOf({ read: () => stream([...batches, lost()]) }), monitor, signal, SILENT),
        control: new PipelineControl(),
        monitor,
        log,
        retryBeforeFirstProgress: false,
        mendsGaps: () => true,
        random: () => 0,
      },
      stop.signal,
    );
    return delays;
  }

  it('waits longer and longer where no attempt gets anywhere', async () => {
    expect(await delaysOf([])).toEqual([125, 250, 500]);
  });

  it('starts anew with the waiting where attempts deliver something', async () => {
    const row = { kind: 'row', tx: null } as never;
    expect(await delaysOf([{ changes: [row], bytes: 1, resume: 11 }])).toEqual([125, 125, 125]);
  });
});
