import { keyValues } from '../sources/table-source.ts';
import type { KeyValue } from '../sql/value.ts';
import type { BulkGroups } from './bulk-groups.ts';
import type { Group, GroupCodec, GroupWindow, KeptGroups } from './group.ts';
import { withSession } from './memory-groups.ts';

/** Groups that may become too old before anybody looks for such. */
const LEAST_SWEPT = 1_000;
/** As are looked for when so much of all has been added. */
const SWEPT_PART = 4;
/** Groups that are looked at in one go. */
const SWEPT_AT_ONCE = 100;

interface Sessions {
  /** In the order of time. */
  groups: readonly Group[];
  /** Commits that had begun when they were last looked at. */
  at: number;
}

/**
 * Groups as the sink's durable state has them, read when an event needs them, with what no commit has brought there yet in
 * memory over it.
 */
export class DiskGroups implements KeptGroups {
  readonly #codec: GroupCodec;
  readonly #texts: BulkGroups;
  /** In front of the ids. */
  readonly #prefix: string;
  /** Changed since the last flush; null: it is gone. */
  readonly #live = new Map<string, Group | null>();
  /** Flushed, by commit, the oldest first; the last are in none that has begun. */
  readonly #layers: Map<string, string | null>[] = [new Map()];
  /** Of the keys that events have touched since the oldest commit under way began. */
  readonly #sessions = new Map<string, Sessions>();
  readonly #hasSessions: boolean;
  /** What the state holds is of no use, and goes with the commit of that number; null: it is, or has gone. */
  #coveredUntil: number | null;
  #begun = 0;
  #durable = 0;
  #size = 0;
  #addedSinceSweep = 0;
  /** Those that are still to be looked at. */
  #sweep: Iterator<readonly [string, string]> | null = null;

  /** `known`: whether what the state holds of the table is of use. */
  constructor(
    codec: GroupCodec,
    {
      texts,
      prefix,
      known,
      sessions,
    }: {
      readonly texts: BulkGroups;
      readonly prefix: string;
      readonly known: boolean;
      readonly sessions: boolean;
    },
  ) {
    this.#codec = codec;
    this.#texts = texts;
    this.#prefix = prefix;
    this.#hasSessions = sessions;
    this.#coveredUntil = known ? null : Infinity;
    if (known) this.#size = texts.tables.get(prefix) ?? 0;
    // When they were last looked at nobody knows.
    this.#addedSinceSweep = this.#size;
  }

  get size(): number {
    return this.#size;
  }

  get pending(): number {
    return this.#layers.reduce((sum, { size }) => sum + size, this.#live.size);
  }

  get(id: string, keyText: string): Group | undefined {
    if (this.#hasSessions) return this.sessions(keyText).find((each) => each.id === id);
    return this.#current(id);
  }

  ofKey(key: KeyValue): Group | undefined {
    const keyText = this.#codec.keyText(keyValues(this.#codec.keyTypes, key));
    return this.get(this.#codec.idOf(keyText, null), keyText);
  }

  sessions(keyText: string): readonly Group[] {
    return this.#sessionsOf(keyText).groups;
  }

  add(group: Group, keyText: string): void {
    this.#size++;
    this.#addedSinceSweep++;
    if (this.#hasSessions) {
      const sessions = this.#sessionsOf(keyText);
      sessions.groups = withSession(sessions.groups, group);
    }
    this.#live.set(group.id, group);
  }

  touch(group: Group): void {
    this.#live.set(group.id, group);
  }

  delete(group: Group): void {
    const { id, keys } = group;
    const keyText = this.#codec.keyText(keys);
    if (this.get(id, keyText) !== undefined) this.#size--;
    if (this.#hasSessions) {
      const sessions = this.#sessionsOf(keyText);
      sessions.groups = sessions.groups.filter((each) => each.id !== id);
    }
    this.#live.set(id, null);
  }

  *values(): Generator<Group> {
    for (const [id, each] of this.#all())
      yield typeof each === 'string' ? this.#codec.decode(id, each) : each;
  }

  *keys(): Generator<KeyValue> {
    for (const [id] of this.#all()) yield this.#codec.keyOf(id);
  }

  get sweeping(): boolean {
    return this.#sweep !== null;
  }

  /**
   * Those that a commit has brought to the state are looked at, only now and then, so that it costs each that is added the same,
   * and some at a time, since all of them would take seconds.
   */
  *stale(isKept: (window: GroupWindow) => boolean): Generator<Group> {
    if (this.#sweep === null) {
      if (this.#addedSinceSweep < Math.max(LEAST_SWEPT, this.#size / SWEPT_PART)) return;
      if (this.#coveredUntil !== null) return;
      this.#addedSinceSweep = 0;
      this.#sweep = this.#texts.entries(this.#prefix);
    }
    for (let i = 0; i < SWEPT_AT_ONCE; i++) {
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = null;
        return;
      }
      const id = next.value[0].slice(this.#prefix.length);
      const window = this.#codec.windowOf(id);
      if (window === null || isKept(window)) continue;
      // It may have changed since it was come across.
      const group = this.#current(id);
      if (group !== undefined) yield group;
    }
  }

  flush(): (readonly [string, string | null])[] {
    if (this.#coveredUntil === Infinity) this.#coveredUntil = this.#begun + 1;
    const changed: (readonly [string, string | null])[] = [];
    const layer = this.#layers.at(-1);
    for (const [id, group] of this.#live) {
      const text = group === null ? null : this.#codec.encode(group);
      layer?.set(id, text);
      changed.push([id, text]);
    }
    this.#live.clear();
    return changed;
  }

  committing(): void {
    this.#begun++;
    this.#layers.push(new Map());
  }

  committed(): void {
    this.#durable++;
    if (this.#layers.length > 1) this.#layers.shift();
    if (this.#coveredUntil !== null && this.#durable >= this.#coveredUntil) this.#coveredUntil = null;
    // What was last touched before that commit began is in the state now.
    for (const [keyText, { at }] of this.#sessions) if (at < this.#durable) this.#sessions.delete(keyText);
  }

  #current(id: string): Group | undefined {
    const live = this.#live.get(id);
    if (live !== undefined) return live ?? undefined;
    const text = this.#text(id);
    return text === undefined ? undefined : this.#codec.decode(id, text);
  }

  #text(id: string): string | undefined {
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      const text = this.#layers[i]!.get(id);
      if (text !== undefined) return text ?? undefined;
    }
    return this.#coveredUntil === null ? this.#texts.get(this.#prefix + id) : undefined;
  }

  #sessionsOf(keyText: string): Sessions {
    let sessions = this.#sessions.get(keyText);
    if (sessions === undefined) {
      // Nothing of that key has changed that the state does not hold.
      const { length } = this.#prefix;
      const found = this.#coveredUntil === null ? this.#texts.entries(`${this.#prefix}[${keyText},`) : [];
      const groups = [...found].map(([key, text]) => this.#codec.decode(key.slice(length), text));
      groups.sort((a, b) => (a.window?.start ?? 0) - (b.window?.start ?? 0));
      this.#sessions.set(keyText, (sessions = { groups, at: 0 }));
    }
    sessions.at = this.#begun;
    return sessions;
  }

  *#all(): Generator<readonly [string, Group | string]> {
    const over = new Map<string, Group | string | null>();
    for (const each of [...this.#layers, this.#live]) for (const [id, group] of each) over.set(id, group);
    if (this.#coveredUntil === null) {
      for (const [key, text] of this.#texts.entries(this.#prefix)) {
        const id = key.slice(this.#prefix.length);
        if (!over.has(id)) yield [id, text];
      }
    }
    for (const [id, each] of over) if (each !== null) yield [id, each];
  }
}
