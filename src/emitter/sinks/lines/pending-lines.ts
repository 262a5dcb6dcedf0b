import type { SinkRecord, SinkStats, TopicHandle } from '../../sink.ts';
import { jsonLine } from './json-lines.ts';
import { SinkFailure } from '../sink-failure.ts';

interface LineTopic extends TopicHandle {
  /** The name as JSON. */
  readonly json: string;
}

export interface PendingLinesOptions {
  /** Lines are gathered to writes of about so many characters. */
  readonly writeBytes: number;
  /** So many bytes under way make whoever appends wait. */
  readonly maxPendingBytes: number;
}

/**
 * The lines of a sink that are not durable yet: gathered to large writes, counted, held back when too many bytes are
 * under way, and let go of when the sink breaks. Where they are written to is the sink's business.
 */
export class PendingLines {
  readonly failure = new SinkFailure();
  readonly #options: PendingLinesOptions;
  #lines: string[] = [];
  #linesLength = 0;
  #pendingBytes = 0;
  #waiters: (() => void)[] = [];
  #records = 0;
  #bytes = 0;
  #commits = 0;

  constructor(options: PendingLinesOptions) {
    this.#options = options;
  }

  topic(name: string): TopicHandle {
    const topic: LineTopic = { name, json: JSON.stringify(name) };
    return topic;
  }

  /** `topic` is of `topic()`. True where there is enough for a write. */
  add(topic: TopicHandle, record: SinkRecord): boolean {
    const line = jsonLine((topic as LineTopic).json, record);
    this.#lines.push(line);
    this.#linesLength += line.length;
    this.#records++;
    return this.#linesLength >= this.#options.writeBytes;
  }

  /** The lines added since the last call, pending until `written`; null where there are none. */
  take(): Buffer | null {
    if (this.#lines.length === 0) return null;
    const data = Buffer.from(this.#lines.join(''));
    this.#lines = [];
    this.#linesLength = 0;
    this.#pendingBytes += data.length;
    this.#bytes += data.length;
    return data;
  }

  written(bytes: number): void {
    this.#pendingBytes -= bytes;
    if (this.#pendingBytes < this.#options.maxPendingBytes) this.#wake();
  }

  committed(): void {
    this.#commits++;
  }

  /** As `Sink.ready`. */
  ready(): Promise<void> | undefined {
    if (this.#pendingBytes < this.#options.maxPendingBytes || this.failure.error !== null) return undefined;
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  fail(error: unknown): void {
    this.failure.report(error);
    this.#wake();
  }

  close(): void {
    this.failure.close();
    this.#wake();
  }

  stats(): SinkStats {
    return {
      records: this.#records,
      bytes: this.#bytes,
      commits: this.#commits,
      pendingBytes: this.#pendingBytes + this.#linesLength,
    };
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
