import { type TableSchema, tableName } from '../../model/table.ts';
import type { DeclaredEnrichment } from './declared.ts';
import { compileProgram } from './compile-program.ts';
import type { Program, ProgramContext } from './program.ts';
import type { ReplicaJournal } from '../state/replica.ts';
import { MemoryTables } from '../state/memory-tables.ts';

const NO_JOURNAL: ReplicaJournal = { put: () => {}, delete: () => {}, clear: () => {} };

/** Nothing is kept of a program that is only looked at. */
export function nothingKept(): Pick<ProgramContext, 'journal' | 'stores'> {
  return { journal: NO_JOURNAL, stores: new MemoryTables({ limit: Infinity, onExceeded: () => {} }) };
}

export interface TablesNow extends Pick<
  ProgramContext,
  'pipeline' | 'shown' | 'tableTopics' | 'registry' | 'inferred'
> {
  readonly tables: readonly TableSchema[];
}

/** The statements, compiled to be looked at. Throws what is wrong with them, given the tables as they are now. */
export function checkStatements(declared: DeclaredEnrichment, context: TablesNow): Program {
  const { tables, ...others } = context;
  const byName = new Map(tables.map((table) => [tableName(table.id), table]));
  return compileProgram(declared, {
    ...others,
    describe: (name) => byName.get(name) ?? null,
    ...nothingKept(),
    known: new Set(),
    held: new Set(),
    trialFrom: null,
  });
}
