/** Positions as they are given to the changes of a log (model/log-position.ts). */
import type { RowChange, SourceInfo, Tx } from '../model/change.ts';
import { POSITION_HEADER } from '../model/log-position.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import { LOG_TIME_KEY } from '../state/checkpoint.ts';
import type { Header } from './encoders/encoder.ts';

/** The durable state: the last that was given, and to which transaction; null: to rows that a snapshot has read. */
interface LogTime {
  readonly v: 1;
  readonly us: number;
  readonly tx: string | null;
}

export class Positions {
  #us: number;
  #tx: string | null;
  #stored: string | null;
  #prefix = '';
  /** Of the last change; undefined before the first. */
  #entered: Tx | null | undefined = undefined;

  constructor(state: ReadonlyMap<string, string>) {
    this.#stored = state.get(LOG_TIME_KEY) ?? null;
    const known = this.#stored === null ? null : (JSON.parse(this.#stored) as LogTime);
    this.#us = known?.us ?? 0;
    this.#tx = known?.tx ?? null;
  }

  header<S extends SourceInfo>({ tx, seq, at }: RowChange<S>, block: SourceBlock<S>): Header {
    if (tx !== this.#entered) {
      this.#entered = tx;
      this.#enter(tx, seq, block.commitTimeMs(at));
    }
    return [POSITION_HEADER, this.#prefix + seq];
  }

  /** A transaction, or rows that a snapshot has read between two of them. */
  #enter(tx: Tx | null, seq: number, commitTimeMs: number): void {
    const id = tx?.id ?? null;
    // What was begun before a restart goes on: a snapshot, which is one, or the rest of a transaction.
    const goesOn = this.#us > 0 && id === this.#tx && (id === null || seq > 0);
    if (!goesOn) this.#us = Math.max(this.#us + 1, commitTimeMs * 1000);
    this.#tx = id;
    this.#prefix = `${this.#us}:`;
  }

  /** What became new since the last call, to be made durable with the records. */
  takeChanged(): ReadonlyMap<string, string> | undefined {
    const now = JSON.stringify({ v: 1, us: this.#us, tx: this.#tx } satisfies LogTime);
    if (now === this.#stored || this.#us === 0) return undefined;
    this.#stored = now;
    return new Map([[LOG_TIME_KEY, now]]);
  }
}
