import { MemoryTables } from './memory-tables.ts';
import { hasDiskTables, openDiskTables, preferDiskTables } from './disk-tables.ts';
import type { TableStores } from './table-store.ts';

export interface JoinedTablesOptions {
  /** Bytes that joined tables may take in memory; beyond it the next attempt keeps them on disk. */
  readonly memoryLimit: number;
  /** On disk from the beginning. */
  readonly durable: boolean;
  /** Rows that may go to disk and wait in memory; for tests. */
  readonly mostStaged?: number;
}

export interface TablesPlace {
  readonly dir: string;
  readonly pipeline: string;
}

/** Once on disk, tables stay there: also where the limit has been found to be passed. */
export async function openTables({
  dir,
  pipeline,
  memoryLimit,
  durable,
  mostStaged,
}: TablesPlace & JoinedTablesOptions): Promise<TableStores> {
  if (durable || hasDiskTables(dir, pipeline)) return openDiskTables(dir, pipeline, mostStaged);
  return new MemoryTables({ limit: memoryLimit, onExceeded: () => preferDiskTables(dir, pipeline) });
}
