import type { BulkState } from '../sink.ts';

/** The entries of a state, those of the bulk kept where they belong. */
export class StateEntries {
  readonly values = new Map<string, string>();
  readonly bulk: BulkState | null;

  constructor(bulk: BulkState | null) {
    this.bulk = bulk;
  }

  clear(): void {
    this.values.clear();
    this.bulk?.clear();
  }

  get(key: string): string | undefined {
    return this.#bulkOf(key)?.get(key) ?? this.values.get(key);
  }

  set(key: string, value: string | null): void {
    const bulk = this.#bulkOf(key);
    if (bulk !== null) bulk.set(key, value);
    else if (value === null) this.values.delete(key);
    else this.values.set(key, value);
  }

  isBulk(key: string): boolean {
    return this.#bulkOf(key) !== null;
  }

  *[Symbol.iterator](): Generator<readonly [string, string]> {
    yield* this.values;
    if (this.bulk !== null) yield* this.bulk.entries(this.bulk.prefix);
  }

  /** Null where the key is none of the bulk's. */
  #bulkOf(key: string): BulkState | null {
    return this.bulk !== null && key.startsWith(this.bulk.prefix) ? this.bulk : null;
  }
}
