import { MemoryTables } from './memory-tables.ts';
import { hasDiskTables, openDiskTables, preferDiskTables } from './disk-tables.ts';
import { type BulkGroups, DiskGroupTexts, MemoryGroupTexts } from './bulk-groups.ts';
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
  if (keepsOnDisk({ dir, pipeline, durable })) return openDiskTables(dir, pipeline, mostStaged);
  return new MemoryTables({ limit: memoryLimit, onExceeded: () => preferDiskTables(dir, pipeline) });
}

/** Whether tables and groups are kept on disk. */
export function keepsOnDisk({
  dir,
  pipeline,
  durable,
}: TablesPlace & Pick<JoinedTablesOptions, 'durable'>): boolean {
  return durable || hasDiskTables(dir, pipeline);
}

/** `name`: of the state that holds the groups. */
export async function openGroups(
  { dir, name }: { readonly dir: string; readonly name: string },
  onDisk: boolean,
): Promise<BulkGroups> {
  return onDisk ? await DiskGroupTexts.in(dir, name) : new MemoryGroupTexts();
}
