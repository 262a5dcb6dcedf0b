import type { Batch } from '../model/batch.ts';
import type { PositionCodec } from '../model/position.ts';
import { failpoint } from '../observability/failpoint.ts';
import type { Sink } from '../emitter/sink.ts';
import { POSITION_KEY } from '../state/checkpoint.ts';
import { positionText } from '../state/durable-state.ts';

export interface CommitterOptions<P> {
  readonly sink: Sink;
  readonly codec: PositionCodec<P>;
  /** Goes into every position record. */
  readonly epoch: number;
  /** 1 for exactly once; more where commits may overlap. */
  readonly maxInFlight: number;
  /** A source transaction with more rows, or older than `maxMs` since its first row, is split. */
  readonly maxRows: number;
  readonly maxMs: number;
  /** How long progress without records may wait before it is made durable. */
  readonly idleMs: number;
  /** Called when a commit begins, which holds all that has been added so far. */
  readonly onCommit?: () => void;
  /** Called in order, after the commit is durable (INV-2: persist, then confirm). */
  readonly onDurable: (commit: DurableCommit<P>) => void;
  /** Called when a source transaction is split: what is added from now on comes apart from what was before. */
  readonly onSplit: () => void;
  /** Called once, with what was to be made durable; the committer does nothing afterwards. */
  readonly onFailure: (error: unknown, commit: DurableCommit<P>) => void;
  readonly now: () => number;
}

export interface DurableCommit<P> {
  readonly position: P;
  readonly commitTimeUs: number | null;
  readonly rows: number;
  /** By `now`, when the first of its rows was added, and when it was begun. */
  readonly since: number;
  readonly begunAt: number;
}

/**
 * Decides where one commit ends and the next begins. As many batches as arrive while a commit is under way
 * make up the next one, so latency is one commit when idle and throughput grows with load by itself.
 *
 * INV-1: a commit ends only where the last appended batch has a `resume`; inside a source transaction only
 * when that transaction is larger than the limits.
 */
export class Committer<P> {
  readonly #options: CommitterOptions<P>;
  #state = new Map<string, string | null>();
  #resume: P | null = null;
  #inside = false;
  #rows = 0;
  #since = 0;
  #commitTimeUs: number | null;
  #lastCommitAt: number;
  #committed: P | null;
  #inFlight = 0;
  #failed = false;
  /** Records of a batch are being appended that has not been added yet. */
  #appending = false;
  #idle: (() => void) | null = null;

  /** `committed` is the position of the restored checkpoint, null for a new pipeline. */
  constructor(options: CommitterOptions<P>, committed: P | null, commitTimeUs: number | null) {
    this.#options = options;
    this.#committed = committed;
    this.#commitTimeUs = commitTimeUs;
    this.#lastCommitAt = options.now();
  }

  /** State that becomes durable with the batch added next. */
  note(state: ReadonlyMap<string, string | null>): void {
    for (const [key, value] of state) this.#state.set(key, value);
  }

  /**
   * Call before the first record of a batch is appended to the sink: until `add` no commit begins, since it would
   * take records without the position and state that go with them.
   */
  begin(): void {
    this.#appending = true;
  }

  /** Call after the batch's records have been appended to the sink. */
  add(batch: Batch<P>, rows: number): void {
    this.#appending = false;
    if (this.#rows === 0 && this.#state.size === 0) this.#since = this.#options.now();
    if (batch.state !== undefined) {
      for (const [key, value] of batch.state) this.#state.set(key, value);
    }
    this.#resume = batch.resume;
    this.#inside = batch.resume !== null && this.#options.codec.insideTransaction(batch.resume);
    this.#rows += rows;
    for (let i = batch.changes.length - 1; i >= 0; i--) {
      const change = batch.changes[i]!;
      if (change.tx?.commitTimeUs != null) {
        this.#commitTimeUs = change.tx.commitTimeUs;
        break;
      }
    }
    if (this.#due()) this.#commit();
  }

  /** Commits what is left, where the last batch allows it, and waits until nothing is in flight. */
  async drain(): Promise<void> {
    await this.#settled();
    if (!this.#failed && this.#resume !== null && this.#dirty()) this.#commit();
    await this.#settled();
  }

  /**
   * Makes state durable at the position of the last batch; false where that lies inside a transaction, or a commit
   * has failed. For the end of an attempt, after `drain`.
   */
  async amend(state: ReadonlyMap<string, string | null>): Promise<boolean> {
    if (this.#failed || this.#resume === null || this.#inside) return false;
    for (const [key, value] of state) this.#state.set(key, value);
    await this.drain();
    return !this.#failed;
  }

  #settled(): Promise<void> | void {
    if (this.#inFlight === 0) return;
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  #dirty(): boolean {
    return this.#rows > 0 || this.#state.size > 0 || this.#moved();
  }

  #moved(): boolean {
    if (this.#resume === null) return false;
    return this.#committed === null || this.#options.codec.compare(this.#committed, this.#resume) !== 0;
  }

  #due(): boolean {
    if (this.#appending || this.#failed || this.#resume === null) return false;
    if (this.#inFlight >= this.#options.maxInFlight) return false;
    if (this.#rows === 0 && this.#state.size === 0) {
      return this.#moved() && this.#options.now() - this.#lastCommitAt >= this.#options.idleMs;
    }
    if (!this.#inside) return true;
    return this.#rows >= this.#options.maxRows || this.#options.now() - this.#since >= this.#options.maxMs;
  }

  #commit(): void {
    if (this.#inside) this.#options.onSplit();
    const position = this.#resume!;
    const begunAt = this.#options.now();
    const commitTimeUs = this.#commitTimeUs;
    const commit = { position, commitTimeUs, rows: this.#rows, since: this.#since, begunAt };
    const state = this.#state;
    state.set(
      POSITION_KEY,
      positionText(this.#options.codec, position, { epoch: this.#options.epoch, commitTimeUs }),
    );
    this.#state = new Map();
    this.#rows = 0;
    this.#committed = position;
    this.#lastCommitAt = begunAt;
    this.#inFlight++;
    this.#options.onCommit?.();
    failpoint('before-commit');
    this.#options.sink.commit(state).then(
      () => {
        this.#inFlight--;
        if (this.#failed) return;
        failpoint('after-commit');
        this.#options.onDurable(commit);
        failpoint('after-confirm');
        if (this.#due()) this.#commit();
        this.#wakeDrain();
      },
      (error: unknown) => {
        this.#inFlight--;
        if (!this.#failed) {
          this.#failed = true;
          this.#options.onFailure(error, commit);
        }
        this.#wakeDrain();
      },
    );
  }

  #wakeDrain(): void {
    if (this.#inFlight > 0) return;
    this.#idle?.();
    this.#idle = null;
  }
}
