import { isIncluded, ruledColumn } from '../emitter/transforms/column-rules.ts';
import type { ShownColumns } from '../enrichment/captured-columns.ts';
import { type DeclaredEnrichment, declareEnrichment } from '../enrichment/declared.ts';
import type { QueryDesk } from '../enrichment/queries/query-desk.ts';
import type { SourceInfo } from '../model/change.ts';
import { tableName } from '../model/table.ts';
import type { EnrichmentParts } from '../pipeline/attempt-parts.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import type { Settings } from '../settings/settings.ts';

/** Parses the statements; null where there are none. Throws what is wrong with them. */
export function declaredOf({ enrich, name }: Settings): DeclaredEnrichment | null {
  return enrich === null ? null : declareEnrichment(enrich, name);
}

/** The stage's code is loaded only where there are statements. */
export function enrichmentParts<P, S extends SourceInfo>(
  settings: Settings,
  block: SourceBlock<S>,
  desk: QueryDesk | null,
): EnrichmentParts<P, S> | null {
  const declared = declaredOf(settings);
  if (declared === null) return null;
  return {
    replicas: declared.replicas,
    open: async (context, signal) => {
      const { openEnrichment } = await import('../enrichment/enrichment.ts');
      const { name, stateDir } = settings;
      return openEnrichment(
        { pipeline: name, declared, shown: shownColumns(settings), block, stateDir, desk },
        context,
        signal,
      );
    },
  };
}

/** As the tables' own records show them: what is left out there is not seen, and what is masked stays so. */
export function shownColumns({ tables, emit }: Settings): ShownColumns {
  const hashKey = emit.hashKey?.reveal() ?? null;
  return (table) => {
    const rules = tables.get(tableName(table.id))?.columns ?? null;
    return table.columns.flatMap((column, index) => {
      if (rules === null) return [{ index, column, write: null }];
      return isIncluded(rules, column.name) ? [{ index, ...ruledColumn(column, rules, hashKey) }] : [];
    });
  };
}
