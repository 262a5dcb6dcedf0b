import { checkStatements } from '../../src/enrichment/plan/check-statements.ts';
import { declareEnrichment } from '../../src/enrichment/plan/declared.ts';
import type { Program } from '../../src/enrichment/plan/program.ts';

/** Statements over topics, of a pipeline without captured tables and without a registry. */
export function checkedProgram(sql: string): Program {
  const declared = declareEnrichment({ texts: [{ name: 'a.sql', text: sql }], dialect: 'friendly' }, 'shop');
  return checkStatements(declared, {
    pipeline: 'shop',
    tables: [],
    shown: () => [],
    registry: false,
    inferred: new Map(),
    tableTopics: new Set(),
  });
}
