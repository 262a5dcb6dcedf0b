/** Events that wait for the end of their transaction: in memory up to a limit, beyond it in a file. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { StreamEvent } from './event.ts';
import { frameOf, readFrames } from '../state/frame-file.ts';
import type { RowCodec } from '../state/row-text.ts';
import type { ChangeFacts } from '../sql/frame.ts';
import { makeDirectory } from '../../state/make-directory.ts';

/** Events of one frame. */
const FRAME_EVENTS = 1_000;

export interface SpooledEvent {
  readonly stream: number;
  readonly event: StreamEvent;
}

export class EventSpool {
  readonly #dir: string;
  readonly #limit: number;
  readonly #codecOf: (stream: number) => RowCodec | undefined;
  #events: SpooledEvent[] = [];
  #bytes = 0;
  #path: string | null = null;
  #file: number | null = null;

  /** `limit`: bytes of events in memory. */
  constructor(dir: string, limit: number, codecOf: (stream: number) => RowCodec | undefined) {
    this.#dir = dir;
    this.#limit = limit;
    this.#codecOf = codecOf;
  }

  get isEmpty(): boolean {
    return this.#events.length === 0 && this.#path === null;
  }

  /** `bytes`: about what the event takes. */
  add(stream: number, event: StreamEvent, bytes: number): void {
    this.#events.push({ stream, event });
    this.#bytes += bytes;
    if (this.#bytes > this.#limit) this.#spill();
  }

  /** The events, where all of them are in memory: then the spool is empty. Null where some are in the file. */
  take(): readonly SpooledEvent[] | null {
    if (this.#path !== null) return null;
    const events = this.#events;
    this.#events = [];
    this.#bytes = 0;
    return events;
  }

  /** All events in order, some at a time; the spool is empty behind the last. */
  async *drain(): AsyncGenerator<readonly SpooledEvent[]> {
    const path = this.#path;
    if (path !== null) {
      const file = await open(path, 'r');
      try {
        for await (const { text } of readFrames(file)) {
          yield text.split('\n').map((line) => this.#decode(line));
        }
      } finally {
        await file.close();
      }
    }
    const events = this.#events;
    this.close();
    if (events.length > 0) yield events;
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    if (this.#path !== null) rmSync(this.#path, { force: true });
    this.#file = null;
    this.#path = null;
    this.#events = [];
    this.#bytes = 0;
  }

  #spill(): void {
    try {
      if (this.#file === null) {
        makeDirectory(this.#dir);
        this.#path = join(this.#dir, `${randomUUID()}.spool`);
        this.#file = openSync(this.#path, 'ax', 0o600);
      }
      for (let from = 0; from < this.#events.length; from += FRAME_EVENTS) {
        const lines = this.#events.slice(from, from + FRAME_EVENTS).map((each) => this.#encode(each));
        const frame = frameOf(lines.join('\n'));
        for (let at = 0; at < frame.length;) at += writeSync(this.#file, frame, at);
      }
    } catch (cause) {
      throw new HeadwaterError(
        'delivery.disk',
        `A transaction that is too large for memory cannot be written to ${this.#dir}.`,
        { cause },
      );
    }
    this.#events = [];
    this.#bytes = 0;
  }

  #encode({ stream, event }: SpooledEvent): string {
    const codec = this.#codecOf(stream);
    if (codec === undefined) throw new TypeError('Each stream has its codec.');
    const { row, hasValue, seq, time, change } = event;
    const facts =
      change === null
        ? null
        : [
            change.op,
            change.before === null ? null : codec.encode(change.before),
            change.tx,
            change.position,
          ];
    // Changes of a database have no headers.
    return JSON.stringify([stream, codec.encode(row), hasValue, seq, time, facts]);
  }

  /** Of what `#encode` wrote in this very process. */
  #decode(line: string): SpooledEvent {
    const [stream, row, hasValue, seq, time, facts] = JSON.parse(line) as [
      number,
      unknown,
      boolean,
      number,
      number,
      [string, unknown, string | null, string] | null,
    ];
    const codec = this.#codecOf(stream);
    if (codec === undefined) throw new TypeError('Each stream has its codec.');
    let change: ChangeFacts | null = null;
    if (facts !== null) {
      const [op, before, tx, position] = facts;
      change = { op, before: before === null ? null : codec.decode(before), tx, position };
    }
    return { stream, event: { row: codec.decode(row), hasValue, seq, time, change, headers: null } };
  }
}
