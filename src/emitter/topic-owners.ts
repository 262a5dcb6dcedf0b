/**
 * Which table a topic belongs to. By the template alone two tables may come to one topic (`a.b`.`c` and `a`.`b.c`,
 * `a b` and `a_b`), where nobody could tell their records apart: the second of them waits
 * (docs/decisions/0025-names-of-tables-and-topics.md).
 */
import { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableId, tableName } from '../model/table.ts';
import { POLL_PREFIX, SCHEMA_PREFIX, TABLE_PREFIX, TOPIC_PREFIX } from '../state/checkpoint.ts';
import { pausedFor } from './paused-tables.ts';
import { type TopicNaming, tableTopic } from './topic-names.ts';

export interface OwnerOptions {
  readonly naming: TopicNaming;
  /** `tables.….topic`, by name of the table. */
  readonly ownTopic: (table: string) => string | null | undefined;
  /** What else is written: transactions, heartbeats, dead letters, the state. */
  readonly reserved: readonly string[];
  /** Topics of statements, which yield to those of the tables captured at the start. */
  readonly results: readonly string[];
  /** Kafka has no two topics whose names differ in dots and underscores alone. */
  readonly kafka: boolean;
}

interface Owner {
  readonly topic: string;
  /** The table that the template alone has brought there; null while there is none. */
  table: string | null;
  /** No table may come there. */
  readonly reserved: boolean;
}

export class TopicOwners {
  /** By table, of those captured at the start: why it has no topic. */
  readonly refused = new Map<string, HeadwaterError>();
  /** By table: the topic that it went on in after an incompatible change. */
  readonly moved: ReadonlyMap<string, string>;
  readonly #options: OwnerOptions;
  readonly #owners = new Map<string, Owner>();

  /** Gives the captured tables their topics, in an order that a restart keeps: who has one goes on in it. */
  constructor(options: OwnerOptions, captured: readonly TableId[], state: ReadonlyMap<string, string>) {
    this.#options = options;
    this.moved = movedTopics(state);
    for (const topic of options.reserved) this.#reserve(topic);
    const waiting = pausedFor(state, 'settings.topic-taken');
    const isWaiting = (id: TableId): boolean => waiting.has(tableName(id));
    const isKnown = (id: TableId): boolean => BEGUN.some((prefix) => state.has(prefix + tableName(id)));
    const others = captured.filter((id) => !isWaiting(id));
    this.#claimAll(others.filter(isKnown));
    this.#claimAll(others.filter((id) => !isKnown(id)));
    for (const topic of options.results) this.#reserve(topic);
    this.#claimAll(captured.filter(isWaiting));
  }

  /**
   * Null where the topic is the table's from now on, else `settings.topic-taken`. `moved`: the one it goes on in, beside
   * that of the settings, which holds its older records.
   */
  claim(id: TableId, moved: string | null): HeadwaterError | null {
    const table = tableName(id);
    const { topic, chosen } = tableTopic(this.#options.naming, id, this.#options.ownTopic(table));
    const refused = this.#take(table, topic, chosen);
    return refused ?? (moved === null ? null : this.#take(table, moved, chosen));
  }

  #claimAll(ids: readonly TableId[]): void {
    for (const id of ids) {
      const table = tableName(id);
      const error = this.claim(id, this.moved.get(table) ?? null);
      if (error !== null) this.refused.set(table, error);
    }
  }

  #take(table: string, topic: string, chosen: boolean): HeadwaterError | null {
    const place = this.#placeOf(topic);
    const owner = this.#owners.get(place);
    if (owner === undefined) {
      this.#owners.set(place, { topic, table: chosen ? null : table, reserved: false });
      return null;
    }
    if (owner.reserved) return taken(table, topic, `holds records of Headwater's own`);
    if (owner.topic !== topic)
      return taken(
        table,
        topic,
        `differs from ${owner.topic} in dots and underscores alone, which Kafka refuses`,
      );
    // Several tables are where the settings say so; of those that the template alone brings there is one.
    if (chosen || owner.table === table) return null;
    if (owner.table !== null) return taken(table, topic, `is that of the table ${owner.table}`);
    owner.table = table;
    return null;
  }

  #reserve(topic: string): void {
    const place = this.#placeOf(topic);
    if (!this.#owners.has(place)) this.#owners.set(place, { topic, table: null, reserved: true });
  }

  #placeOf(topic: string): string {
    return this.#options.kafka ? topic.replaceAll('.', '_') : topic;
  }
}

/** What the durable state has of a table that was captured before. */
const BEGUN = [TABLE_PREFIX, POLL_PREFIX, SCHEMA_PREFIX];

function taken(table: string, topic: string, why: string): HeadwaterError {
  return new HeadwaterError('settings.topic-taken', `The table ${table} waits: its topic ${topic} ${why}.`, {
    details: { table, topic },
  });
}

function movedTopics(state: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const moved = new Map<string, string>();
  for (const [key, text] of state) {
    if (!key.startsWith(TOPIC_PREFIX)) continue;
    const parsed: unknown = JSON.parse(text);
    const topic = typeof parsed === 'object' && parsed !== null && 'topic' in parsed ? parsed.topic : null;
    if (typeof topic === 'string') moved.set(key.slice(TOPIC_PREFIX.length), topic);
  }
  return moved;
}
