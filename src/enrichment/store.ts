import type { KeyValue, SqlValue } from './sql/value.ts';

export type StoredRow = readonly SqlValue[];

/** The rows of one table by key. What is put in becomes durable with the next checkpoint (image.ts). */
export interface TableStore {
  readonly size: number;
  get(key: KeyValue): StoredRow | undefined;
  put(key: KeyValue, row: StoredRow): void;
  /** Answers whether there was one. */
  delete(key: KeyValue): boolean;
  clear(): void;
  keys(): Iterable<KeyValue>;
  entries(): Iterable<readonly [KeyValue, StoredRow]>;
}

export function memoryStore(): TableStore {
  const rows = new Map<KeyValue, StoredRow>();
  return {
    get size() {
      return rows.size;
    },
    get: (key) => rows.get(key),
    put: (key, row) => void rows.set(key, row),
    delete: (key) => rows.delete(key),
    clear: () => rows.clear(),
    keys: () => rows.keys(),
    entries: () => rows,
  };
}
