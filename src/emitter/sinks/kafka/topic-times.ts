/**
 * Which timestamps a topic takes. Kafka refuses a batch with a record outside of them for ever (INVALID_TIMESTAMP,
 * https://kafka.apache.org/documentation/#topicconfigs_message.timestamp.after.max.ms); since version 4 that is, if nobody sets
 * it, an hour ahead of the broker's clock. Records come with the time of a commit, or of a column that a statement
 * names, so that a wrong clock elsewhere would stop a pipeline. They are written with the nearest time that is taken
 * instead, and their own in the header `__headwater.timestamp`.
 */
import type { SinkRecord } from '../../sink.ts';

export const TIMESTAMP_SETTINGS = [
  'message.timestamp.type',
  'message.timestamp.after.max.ms',
  'message.timestamp.before.max.ms',
  'message.timestamp.difference.max.ms',
] as const;

/** Kafka 4's limit, for where the broker does not tell. */
const AFTER_MAX_MS = 3_600_000;
/** The broker's clock is another one than ours, and a batch may wait before it is sent. */
const MARGIN_MS = 60_000;

export class TopicTimes {
  /** How far ahead of the clock a record may be, and how far behind, ms. */
  readonly #ahead: number;
  readonly #behind: number;
  /** Up to here nobody needs to look at the clock, which only goes on. */
  #safeUntil = -Infinity;

  /** `settings`: of the topic, empty where they are not told. */
  constructor(settings: ReadonlyMap<string, string>) {
    const limit = (name: (typeof TIMESTAMP_SETTINGS)[number], otherwise: number): number => {
      const text = settings.get(name) ?? settings.get('message.timestamp.difference.max.ms');
      const told = text === undefined ? otherwise : Number(text);
      return Number.isSafeInteger(told) ? told - Math.min(MARGIN_MS, told / 10) : Infinity;
    };
    const takesAll = settings.get('message.timestamp.type') === 'LogAppendTime';
    this.#ahead = takesAll ? Infinity : limit('message.timestamp.after.max.ms', AFTER_MAX_MS);
    this.#behind = takesAll ? Infinity : limit('message.timestamp.before.max.ms', Infinity);
  }

  /** The record, or one with the nearest time that the topic takes. */
  fit(record: SinkRecord, clock: () => number = Date.now): SinkRecord {
    const { timestamp, headers } = record;
    if (timestamp <= this.#safeUntil && this.#behind === Infinity) return record;
    const now = clock();
    this.#safeUntil = now + this.#ahead;
    const nearest = Math.max(now - this.#behind, Math.min(timestamp, this.#safeUntil));
    if (nearest === timestamp) return record;
    return {
      ...record,
      timestamp: Math.floor(nearest),
      headers: [...(headers ?? []), ['__headwater.timestamp', String(timestamp)]],
    };
  }
}
