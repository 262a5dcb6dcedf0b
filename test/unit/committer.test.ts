import { describe, expect, it } from 'vitest';
import type { Sink } from '../../src/emitter/sink.ts';
import type { Batch } from '../../src/model/batch.ts';
import type { PositionCodec } from '../../src/model/position.ts';
import { Committer, type DurableCommit } from '../../src/pipeline/committer.ts';

interface At {
  readonly lsn: number;
  readonly done: number;
}

const codec: PositionCodec<At> = {
  encode: (at) => [at.lsn, at.done],
  decode: (json) => ({ lsn: (json as number[])[0]!, done: (json as number[])[1]! }),
  compare: (a, b) => a.lsn - b.lsn || a.done - b.done,
  insideTransaction: (at) => at.done > 0,
};

interface PendingCommit {
  readonly state: ReadonlyMap<string, string | null>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function setUp(options: { maxInFlight?: number; maxRows?: number; idleMs?: number } = {}) {
  const commits: PendingCommit[] = [];
  const durable: DurableCommit<At>[] = [];
  const failures: unknown[] = [];
  const splits: number[] = [];
  const clock = { now: 0 };
  const sink = {
    commit: (state: ReadonlyMap<string, string | null>) =>
      new Promise<void>((resolve, reject) => commits.push({ state, resolve, reject })),
  } as unknown as Sink;
  const committer = new Committer<At>(
    {
      sink,
      codec,
      epoch: 3,
      maxInFlight: options.maxInFlight ?? 1,
      maxRows: options.maxRows ?? 1000,
      maxMs: 10_000,
      idleMs: options.idleMs ?? 5000,
      onDurable: (commit) => durable.push(commit),
      onFailure: (error) => failures.push(error),
      onSplit: () => splits.push(commits.length),
      now: () => clock.now,
    },
    { lsn: 1, done: 0 },
    null,
  );
  return { commits, durable, failures, splits, clock, committer };
}

function batch(resume: At | null, state?: Map<string, string>): Batch<At> {
  return state === undefined ? { changes: [], bytes: 0, resume } : { changes: [], bytes: 0, resume, state };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Committer', () => {
  it('commits at once when idle, and gathers what arrives meanwhile into the next commit', async () => {
    const { committer, commits, durable, clock } = setUp();
    clock.now = 10;
    committer.add(batch({ lsn: 2, done: 0 }), 5);
    expect(commits).toHaveLength(1);
    clock.now = 20;
    committer.add(batch({ lsn: 3, done: 0 }), 5);
    clock.now = 30;
    committer.add(batch({ lsn: 4, done: 0 }, new Map([['table/a', '{}']])), 5);
    expect(commits).toHaveLength(1);
    clock.now = 40;
    commits[0]!.resolve();
    await turn();
    const first = { position: { lsn: 2, done: 0 }, commitTimeUs: null, rows: 5, since: 10, begunAt: 10 };
    expect(durable).toEqual([first]);
    expect(commits).toHaveLength(2);
    commits[1]!.resolve();
    await turn();
    expect(durable[1]).toMatchObject({ rows: 10, since: 20, begunAt: 40 });
    expect([...commits[1]!.state.keys()]).toEqual(['table/a', 'position']);
    expect(JSON.parse(commits[1]!.state.get('position')!)).toEqual({
      v: 1,
      epoch: 3,
      position: [4, 0],
      commitTimeUs: null,
    });
  });

  it('begins no commit while a batch is being appended', async () => {
    const { commits, committer } = setUp();
    committer.add(batch({ lsn: 2, done: 0 }), 1);
    committer.add(batch({ lsn: 3, done: 0 }), 1);
    committer.begin();
    commits[0]!.resolve();
    await turn();
    // Some of its records are with the sink by now, and its position is not known.
    expect(commits).toHaveLength(1);
    committer.add(batch({ lsn: 4, done: 0 }), 1);
    expect(commits).toHaveLength(2);
    expect(JSON.parse(commits[1]!.state.get('position')!)).toMatchObject({ position: [4, 0] });
  });

  it('does not commit inside a transaction below the limit, and splits one above it', () => {
    const { committer, commits } = setUp({ maxRows: 100 });
    committer.add(batch({ lsn: 2, done: 60 }), 60);
    expect(commits).toHaveLength(0);
    committer.add(batch({ lsn: 2, done: 120 }), 60);
    expect(commits).toHaveLength(1);
  });

  it('splits a transaction that takes too long, and says so', () => {
    const { committer, commits, clock, splits } = setUp({ maxInFlight: 9 });
    committer.add(batch({ lsn: 1, done: 0 }), 1);
    expect(commits.splice(0)).toHaveLength(1);
    committer.add(batch({ lsn: 2, done: 1 }), 1);
    expect(splits).toEqual([]);
    clock.now = 10_001;
    committer.add(batch({ lsn: 2, done: 2 }), 1);
    expect(commits).toHaveLength(1);
    expect(splits).toEqual([0]);
    committer.add(batch({ lsn: 3, done: 0 }), 1);
    expect(commits).toHaveLength(2);
    expect(splits).toEqual([0]);
  });

  it('counts the age of a transaction from its first batch, also where that brings state alone', async () => {
    const { committer, commits, clock } = setUp();
    committer.add(batch({ lsn: 2, done: 0 }), 1);
    commits[0]!.resolve();
    await turn();
    clock.now = 60_000;
    committer.add(batch({ lsn: 2, done: 1 }, new Map([['schema/a', '{}']])), 0);
    expect(commits).toHaveLength(1);
    clock.now = 70_000;
    committer.add(batch({ lsn: 2, done: 2 }), 1);
    expect(commits).toHaveLength(2);
  });

  it('never commits where the last batch has no resume', async () => {
    const { committer, commits } = setUp();
    committer.add(batch(null), 5000);
    await committer.drain();
    expect(commits).toHaveLength(0);
  });

  it('makes bare progress durable only now and then, and not when nothing moved', async () => {
    const { committer, commits, clock } = setUp();
    committer.add(batch({ lsn: 2, done: 0 }), 0);
    expect(commits).toHaveLength(0);
    clock.now = 6000;
    committer.add(batch({ lsn: 1, done: 0 }), 0);
    expect(commits).toHaveLength(0);
    committer.add(batch({ lsn: 2, done: 0 }), 0);
    expect(commits).toHaveLength(1);
    commits[0]!.resolve();
    await committer.drain();
    expect(commits).toHaveLength(1);
  });

  it('drains: waits for what is under way, then commits the rest', async () => {
    const { committer, commits, durable } = setUp();
    committer.add(batch({ lsn: 2, done: 0 }), 1);
    committer.add(batch({ lsn: 3, done: 7 }), 1);
    let drained = false;
    const draining = committer.drain().then(() => (drained = true));
    await turn();
    expect(drained).toBe(false);
    commits[0]!.resolve();
    await turn();
    expect(commits).toHaveLength(2);
    commits[1]!.resolve();
    await draining;
    expect(durable.map((commit) => commit.position.lsn)).toEqual([2, 3]);
  });

  it('reports the first failure once and commits nothing afterwards', async () => {
    const { committer, commits, durable, failures } = setUp({ maxInFlight: 2 });
    committer.add(batch({ lsn: 2, done: 0 }), 1);
    committer.add(batch({ lsn: 3, done: 0 }), 1);
    const error = new Error('broker went away');
    commits[0]!.reject(error);
    commits[1]!.resolve();
    await turn();
    committer.add(batch({ lsn: 4, done: 0 }), 1);
    await committer.drain();
    expect(failures).toEqual([error]);
    expect(durable).toEqual([]);
    expect(commits).toHaveLength(2);
  });
});
