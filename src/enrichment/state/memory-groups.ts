import type { KeyValue } from '../sql/value.ts';
import type { Group, GroupCodec, GroupWindow, KeptGroups } from './group.ts';
import type { SpendBytes } from './slabs.ts';

/** What a group takes besides its states and its name, about, its text in the sink's state included. */
const GROUP_BYTES = 900;
const STATE_BYTES = 150;
/** Of each character of its id. */
const ID_BYTES = 3;

/** Groups as objects: an event finds its own, and changes it. */
export class MemoryGroups implements KeptGroups {
  readonly pending = 0;
  readonly sweeping = false;
  readonly #codec: GroupCodec;
  readonly #spend: SpendBytes;
  readonly #groups = new Map<string, Group>();
  readonly #dirty = new Set<string>();
  /** Groups without windows by the table's key. */
  readonly #byKey = new Map<KeyValue, Group>();
  /** By the text of their keys, in the order of time; null where windows are no sessions. */
  readonly #sessions: Map<string, readonly Group[]> | null;

  constructor(
    codec: GroupCodec,
    { sessions, spend }: { readonly sessions: boolean; readonly spend: SpendBytes },
  ) {
    this.#codec = codec;
    this.#spend = spend;
    this.#sessions = sessions ? new Map() : null;
  }

  /** As the checkpoint has it. */
  restore(group: Group): void {
    this.#put(group, this.#sessions === null ? '' : this.#codec.keyText(group.keys));
  }

  get size(): number {
    return this.#groups.size;
  }

  get(id: string): Group | undefined {
    return this.#groups.get(id);
  }

  ofKey(key: KeyValue): Group | undefined {
    return this.#byKey.get(key);
  }

  sessions(keyText: string): readonly Group[] {
    return this.#sessions?.get(keyText) ?? [];
  }

  add(group: Group, keyText: string): void {
    this.#put(group, keyText);
    this.#dirty.add(group.id);
  }

  touch({ id }: Group): void {
    this.#dirty.add(id);
  }

  delete({ id }: Group): void {
    this.#dirty.add(id);
    const group = this.#groups.get(id);
    if (group === undefined) return;
    this.#groups.delete(id);
    this.#spend(-bytesOf(group));
    if (group.window === null) this.#byKey.delete(group.key);
    else if (this.#sessions !== null) {
      const keyText = this.#codec.keyText(group.keys);
      const left = this.sessions(keyText).filter((each) => each.id !== id);
      if (left.length === 0) this.#sessions.delete(keyText);
      else this.#sessions.set(keyText, left);
    }
  }

  values(): Iterable<Group> {
    return this.#groups.values();
  }

  keys(): Iterable<KeyValue> {
    return this.#byKey.keys();
  }

  *stale(isKept: (window: GroupWindow) => boolean): Generator<Group> {
    for (const group of this.#groups.values())
      if (group.window !== null && !isKept(group.window)) yield group;
  }

  flush(): (readonly [string, string | null])[] {
    const changed: (readonly [string, string | null])[] = [];
    for (const id of this.#dirty) {
      const group = this.#groups.get(id);
      changed.push([id, group === undefined ? null : this.#codec.encode(group)]);
    }
    this.#dirty.clear();
    return changed;
  }

  committing(): void {}

  committed(): void {}

  #put(group: Group, keyText: string): void {
    this.#spend(bytesOf(group));
    this.#groups.set(group.id, group);
    if (group.window === null) this.#byKey.set(group.key, group);
    else this.#sessions?.set(keyText, withSession(this.sessions(keyText), group));
  }
}

function bytesOf({ id, states }: Group): number {
  return GROUP_BYTES + STATE_BYTES * states.length + ID_BYTES * id.length;
}

/** Another list, with the group where its time is. */
export function withSession(sessions: readonly Group[], group: Group): readonly Group[] {
  const start = group.window?.start ?? 0;
  const at = sessions.findIndex((each) => (each.window?.start ?? 0) > start);
  return at < 0 ? [...sessions, group] : sessions.toSpliced(at, 0, group);
}
