import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Fetched, NewTopic, TopicReader } from '../../emitter/topic-reader.ts';

/** One partition of a topic as if it were all of it; a topic that does not have it is without records. */
export class OnePartition implements TopicReader {
  readonly #reader: TopicReader;
  readonly #partition: number;
  readonly #counted: number;
  #count = 0;

  /** `counted`: partitions that somebody works off. */
  constructor(reader: TopicReader, partition: number, counted: number) {
    this.#reader = reader;
    this.#partition = partition;
    this.#counted = counted;
  }

  /** Throws `enrich.partitions-added` where the topic has got more since they were counted. */
  async open(topic: string, create: NewTopic | null): Promise<number> {
    this.#count = await this.#reader.open(topic, create);
    if (this.#count > this.#counted)
      throw new HeadwaterError(
        'enrich.partitions-added',
        `The topic ${topic} has ${this.#count} partitions, and ${this.#counted} are shared.`,
        { details: { topic, partitions: this.#count } },
      );
    return this.#partition < this.#count ? 1 : 0;
  }

  range(): Promise<{ readonly start: number; readonly end: number }> {
    return this.#reader.range(this.#partition);
  }

  async written(): Promise<readonly number[]> {
    return (await this.#reader.written()).slice(this.#partition, this.#partition + 1);
  }

  start(offsets: readonly number[]): void {
    this.#reader.start(Array.from({ length: this.#count }, () => offsets[0] ?? 0));
    for (let other = 0; other < this.#count; other++)
      if (other !== this.#partition) this.#reader.pause(other, true);
  }

  async poll(maxWaitMs: number): Promise<readonly Fetched[]> {
    const fetched = await this.#reader.poll(maxWaitMs);
    return fetched.flatMap((each) => (each.partition === this.#partition ? { ...each, partition: 0 } : []));
  }

  pause(_: number, paused: boolean): void {
    this.#reader.pause(this.#partition, paused);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#reader[Symbol.asyncDispose]();
  }
}
