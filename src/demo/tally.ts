import type { Written } from './shop.ts';

/** A delivered record, as a reader of committed records sees it. */
export interface DeliveredRecord {
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

/** What the demo reads of an event. */
export interface SeenEvent {
  readonly op: string;
  readonly transaction: number;
  /** From the commit in the database until now, ms. */
  readonly latencyMs: number;
}

interface Envelope {
  readonly op: string;
  readonly source: { readonly ts_us: number; readonly txId: number; readonly lsn: number };
}

/** Compares what was delivered with what the shop wrote. */
export class Tally {
  readonly written: Written = { c: 0, u: 0, d: 0, unhappy: 0 };
  readonly delivered = { r: 0, c: 0, u: 0, d: 0 };
  /** Records by topic, those without value (tombstones) too. */
  readonly topics = new Map<string, number>();
  /** Records of the query: one for each rating of an unhappy platinum customer. */
  unhappy = 0;
  /** Events seen more than once. */
  repeated = 0;
  readonly #seen = new Set<string>();
  readonly #latencies: number[] = [];
  readonly #decoder = new TextDecoder();

  wrote(written: Written): void {
    for (const kind of ['c', 'u', 'd', 'unhappy'] as const) this.written[kind] += written[kind];
  }

  sawUnhappy(record: DeliveredRecord): void {
    this.topics.set(record.topic, (this.topics.get(record.topic) ?? 0) + 1);
    this.unhappy++;
  }

  /** Null for a record without value. */
  saw(record: DeliveredRecord): SeenEvent | null {
    this.topics.set(record.topic, (this.topics.get(record.topic) ?? 0) + 1);
    if (record.value === null) return null;
    const { op, source } = JSON.parse(this.#decoder.decode(record.value)) as Envelope;
    const key = this.#decoder.decode(record.key ?? undefined);
    const identity = `${record.topic} ${key} ${op === 'r' ? op : source.lsn} ${op}`;
    if (this.#seen.has(identity)) this.repeated++;
    else this.#seen.add(identity);
    if (op === 'r' || op === 'c' || op === 'u' || op === 'd') this.delivered[op]++;
    const latencyMs = Math.max(0, Date.now() - source.ts_us / 1_000);
    if (op !== 'r') this.#latencies.push(latencyMs);
    return { op, transaction: source.txId, latencyMs };
  }

  get changesWritten(): number {
    return this.written.c + this.written.u + this.written.d;
  }

  get changesDelivered(): number {
    return this.delivered.c + this.delivered.u + this.delivered.d;
  }

  /** Milliseconds; null before the first change. */
  get latency(): { readonly median: number; readonly slowest: number } | null {
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    const [median, slowest] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
    return median === undefined || slowest === undefined ? null : { median, slowest };
  }
}
