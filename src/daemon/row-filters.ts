import { HeadwaterError } from '../errors/headwater-error.ts';
import type { RowFilter } from '../model/row-verdict.ts';
import type { TableSchema } from '../model/table.ts';
import type { Settings } from '../settings/settings.ts';
import { shownColumns } from './enrichment.ts';

/**
 * The filters of the settings by table, to be made for each version of a table. SQL is loaded only where there are
 * any. Throws `enrich.statement-invalid`, which names the table.
 */
export async function rowFilters(
  settings: Settings,
): Promise<ReadonlyMap<string, (table: TableSchema) => RowFilter>> {
  const filters = new Map<string, (table: TableSchema) => RowFilter>();
  const shown = shownColumns(settings);
  for (const [name, { filter }] of settings.tables) {
    if (filter === null) continue;
    const { FilterText } = await import('../enrichment/plan/row-filter.ts');
    const text = about(name, () => new FilterText(filter));
    filters.set(name, (table) => about(name, () => text.compile(table, shown)));
  }
  return filters;
}

function about<T>(table: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof HeadwaterError)) throw error;
    throw new HeadwaterError(error.code, `The filter of ${table}, ${error.message}`, {
      details: { ...error.details, table },
      cause: error,
    });
  }
}
