import { type TableSchema, tableName } from '../model/table.ts';
import type { DeclaredEnrichment } from './declared.ts';
import { compileProgram, type ProgramContext } from './program.ts';
import type { ReplicaJournal } from './replica.ts';
import { MemoryTables } from './state/memory-tables.ts';

/** Nothing is kept of a program that is only looked at. */
export const NO_JOURNAL: ReplicaJournal = { put: () => {}, delete: () => {}, clear: () => {} };

export function nothingKept(): MemoryTables {
  return new MemoryTables({ limit: Infinity, onExceeded: () => {} });
}

/** Throws what is wrong with the statements, given the tables as they are now. */
export function checkStatements(
  declared: DeclaredEnrichment,
  context: Pick<ProgramContext, 'pipeline' | 'shown' | 'tableTopics' | 'registry' | 'inferred'> & {
    readonly tables: readonly TableSchema[];
  },
): void {
  const { tables, ...others } = context;
  const byName = new Map(tables.map((table) => [tableName(table.id), table]));
  compileProgram(declared, {
    ...others,
    describe: (name) => byName.get(name) ?? null,
    journal: NO_JOURNAL,
    stores: nothingKept(),
    known: new Set(),
    held: new Set(),
    trialFrom: null,
  });
}
