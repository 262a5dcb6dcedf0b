/** A group of a query with GROUP BY, and how it is written down. */
import { type Aggregate, type AggregateState } from '../sql/functions/aggregates.ts';
import type { SqlType } from '../sql/sql-type.ts';
import type { KeyValue, SqlValue } from '../sql/value.ts';
import { tableKey } from '../sources/table-source.ts';
import { type RowCodec, rowCodec } from './row-text.ts';

export interface GroupWindow {
  readonly start: number;
  /** Behind the window's last millisecond; of a session the time of its last event. */
  readonly end: number;
}

export interface Group {
  readonly id: string;
  readonly keys: readonly SqlValue[];
  /** Its key in the table, whatever its window. */
  readonly key: KeyValue;
  /** Null without a window. */
  readonly window: GroupWindow | null;
  readonly states: readonly AggregateState[];
  /** The highest time of an event that went into it. */
  time: number;
  /** Whether the table shows a row for it. */
  shown: boolean;
  /** Events, or rows of a table, that are in it. */
  rows: number;
}

/** Groups as texts: an id of keys and window, and `[time, shown, rows, counts, ordinals, values]`, both JSON. */
export class GroupCodec {
  readonly keyTypes: readonly SqlType[];
  readonly #keyCodec: RowCodec;
  readonly #stateCodec: RowCodec;

  constructor(keyTypes: readonly SqlType[], aggregates: readonly Aggregate[]) {
    this.keyTypes = keyTypes;
    this.#keyCodec = rowCodec(keyTypes);
    this.#stateCodec = rowCodec(
      aggregates.flatMap(({ valueType, itemType }) => [
        valueType,
        { kind: 'ARRAY' as const, element: itemType },
      ]),
    );
  }

  /** Equal for equal values of the grouping expressions. */
  keyText(keys: readonly SqlValue[]): string {
    return JSON.stringify(this.#keyCodec.encode(keys));
  }

  idOf(keyText: string, window: GroupWindow | null): string {
    return window === null ? `[${keyText},null,null]` : `[${keyText},${window.start},${window.end}]`;
  }

  windowOf(id: string): GroupWindow | null {
    const [, start, end] = JSON.parse(id) as [unknown, number | null, number | null];
    return start === null || end === null ? null : { start, end };
  }

  keyOf(id: string): KeyValue {
    const [keys] = JSON.parse(id) as [unknown];
    return tableKey(this.keyTypes, this.#keyCodec.decode(keys));
  }

  encode({ states, time, shown, rows }: Group): string {
    const values = states.flatMap(({ value, items }): SqlValue[] => [value, items]);
    const counts = states.map(({ count }) => count);
    const ordinals = states.map(({ ordinals }) => ordinals);
    return JSON.stringify([time, shown, rows, counts, ordinals, this.#stateCodec.encode(values)]);
  }

  /** Of what `encode` wrote. */
  decode(id: string, text: string): Group {
    const [keys, start, end] = JSON.parse(id) as [unknown, number | null, number | null];
    const [time, shown, rows, counts, ordinals, values] = JSON.parse(text) as [
      number,
      boolean,
      number,
      number[],
      number[][],
      unknown,
    ];
    const decoded = this.#stateCodec.decode(values);
    const states = counts.map((count, i): AggregateState => {
      const items = decoded[2 * i + 1] as readonly SqlValue[] | null;
      return {
        count,
        value: decoded[2 * i] ?? null,
        items: [...(items ?? [])],
        ordinals: ordinals[i] ?? [],
        seen: null,
      };
    });
    const window = start === null || end === null ? null : { start, end };
    const decodedKeys = this.#keyCodec.decode(keys);
    const key = tableKey(this.keyTypes, decodedKeys);
    return { id, keys: decodedKeys, key, window, states, time, shown, rows };
  }
}

/** The groups of one table, in memory (memory-groups.ts) or on disk (disk-groups.ts). */
export interface KeptGroups {
  readonly size: number;
  /** Of those that are elsewhere: in memory until the commit that holds them is durable. */
  readonly pending: number;
  /** To be looked at; `touch` it before it changes. `keyText`: of its keys. */
  get(id: string, keyText: string): Group | undefined;
  /** That of a key of the table, where there are no windows. */
  ofKey(key: KeyValue): Group | undefined;
  /** Those of one key in the order of time, where the windows are sessions; the list is the caller's. */
  sessions(keyText: string): readonly Group[];
  add(group: Group, keyText: string): void;
  touch(group: Group): void;
  delete(group: Group): void;
  values(): Iterable<Group>;
  keys(): Iterable<KeyValue>;
  /** Whether `stale` has more to look at. */
  readonly sweeping: boolean;
  /** Groups that are not to be kept any longer; they may be deleted as they come. Some may wait for a later call. */
  stale(isKept: (window: GroupWindow) => boolean): Iterable<Group>;
  /** What has changed since the last call: ids and texts, null for one that is gone. */
  flush(): (readonly [string, string | null])[];
  /** A commit begins that makes durable what has been flushed. */
  committing(): void;
  /** The oldest commit under way is durable. */
  committed(): void;
}
