import { checkStatements } from '../../src/enrichment/plan/check-statements.ts';
import { type DeclaredEnrichment, declareEnrichment } from '../../src/enrichment/plan/declared.ts';
import type { Program } from '../../src/enrichment/plan/program.ts';

/** Statements over topics, of a pipeline without captured tables and without a registry. */
export function checkedProgram(sql: string): Program {
  return checkedStatements(
    declareEnrichment({ texts: [{ name: 'a.sql', text: sql }], dialect: 'friendly' }, 'shop'),
  );
}

export function checkedStatements(declared: DeclaredEnrichment): Program {
  return checkStatements(declared, {
    pipeline: 'shop',
    tables: [],
    shown: () => [],
    registry: false,
    inferred: new Map(),
    tableTopics: new Set(),
  });
}
