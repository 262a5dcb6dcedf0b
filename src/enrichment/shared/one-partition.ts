import type { Fetched, NewTopic, TopicReader } from '../../emitter/topic-reader.ts';

/** One partition of a topic as if it were all of it; a topic that does not have it is without records. */
export class OnePartition implements TopicReader {
  readonly #reader: TopicReader;
  readonly #partition: number;
  #count = 0;

  constructor(reader: TopicReader, partition: number) {
    this.#reader = reader;
    this.#partition = partition;
  }

  async open(topic: string, create: NewTopic | null): Promise<number> {
    this.#count = await this.#reader.open(topic, create);
    return this.#partition < this.#count ? 1 : 0;
  }

  range(): Promise<{ readonly start: number; readonly end: number }> {
    return this.#reader.range(this.#partition);
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
