/** The rows of the outbox on their way to the topics that they name. */
import { asHeadwaterError, type HeadwaterError } from '../errors/headwater-error.ts';
import type { RowChange } from '../model/change.ts';
import type { TableSchema } from '../model/table.ts';
import { valuesOf } from '../model/raw-row.ts';
import { misfitOf } from './paused-tables.ts';
import { unreadableOf } from './row-images.ts';
import type { Sink, SinkRecord, TopicHandle } from './sink.ts';
import { topicFaultOf } from './topic-fault.ts';
import type { Outbox } from './transforms/outbox.ts';
import { steadyNow } from '../observability/steady-clock.ts';

/** A topic that could not be had is asked for again, for messages of later batches. */
const RETRY_MS = 10_000;

interface Refused {
  readonly error: HeadwaterError;
  readonly until: number;
}

/** What a row makes: a message for a topic, an error where it cannot be made one, or nothing. */
export type Message = { readonly topic: TopicHandle } | { readonly error: HeadwaterError } | null;

/**
 * What is wrong with one row, one topic, or the columns of the table is wrong with these messages alone: they become
 * dead letters with the row in them, and nobody waits.
 */
export class OutboxMessages {
  readonly #outbox: Outbox;
  readonly #sink: Sink;
  readonly #now: () => number;
  readonly #topics = new Map<string, TopicHandle | Refused>();

  constructor(outbox: Outbox, sink: Sink, now: () => number = steadyNow) {
    this.#outbox = outbox;
    this.#sink = sink;
    this.#now = now;
  }

  takes(table: TableSchema): boolean {
    return this.#outbox.takes(table);
  }

  /** As the settings have it, for dead letters. */
  get topic(): string {
    return this.#outbox.topic;
  }

  /** Finds the topic that the row names. */
  prepare(change: RowChange, waiting: Promise<unknown>[]): void {
    const name = this.#topicOf(change);
    if (typeof name !== 'string') return;
    const known = this.#topics.get(name);
    if (known !== undefined && (!('until' in known) || this.#now() < known.until)) return;
    const finding = this.#sink.topic(name, 'table').then(
      (handle) => this.#topics.set(name, handle),
      (thrown: unknown) => {
        const error = topicFaultOf(thrown);
        if (error === null) throw thrown;
        this.#topics.set(name, { error, until: this.#now() + RETRY_MS });
      },
    );
    waiting.push(finding);
  }

  /** Of a row that has been prepared. */
  of(change: RowChange): Message {
    const name = this.#topicOf(change);
    if (typeof name !== 'string') return name === null ? null : { error: name };
    const found = this.#topics.get(name)!;
    return 'until' in found ? { error: found.error } : { topic: found };
  }

  /** Fills the record. */
  write({ table, after }: RowChange, record: SinkRecord): void {
    record.origin = table.id;
    this.#outbox.write(table, valuesOf(after!), record);
  }

  #topicOf(change: RowChange): string | HeadwaterError | null {
    const unreadable = unreadableOf(change);
    if (unreadable !== null) return this.#outbox.isMessage(change) ? unreadable : null;
    try {
      return this.#outbox.topicOf(change);
    } catch (thrown) {
      const error = misfitOf(thrown) ?? topicFaultOf(thrown);
      if (error === null) throw asHeadwaterError(thrown);
      return error;
    }
  }
}
