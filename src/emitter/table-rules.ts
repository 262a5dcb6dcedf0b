/** What the settings make of one version of a table, and whether they fit it. */
import type { RowFilter } from '../model/row-verdict.ts';
import type { Column, TableSchema } from '../model/table.ts';
import type { Profile } from '../schema/column-schema.ts';
import { type TableTopic, type TopicNaming, tableTopic } from './topic-names.ts';
import { type ColumnHeader, columnHeaders } from './transforms/added-headers.ts';
import type { ColumnRules } from './transforms/column-rules.ts';
import { type TableShape, tableShape } from './transforms/table-shape.ts';

export interface TableSettings {
  /** Instead of the template. */
  readonly topic?: string | undefined;
  /** Column names, in order, instead of the table's own key. */
  readonly key?: readonly string[] | undefined;
  readonly columns?: ColumnRules | undefined;
  /** Header → column. */
  readonly headers?: ReadonlyMap<string, string> | undefined;
  /** Made for each version of the table: which changes its topic holds. */
  readonly filter?: ((table: TableSchema) => RowFilter) | undefined;
}

export interface TableRules {
  readonly shape: TableShape;
  /** Asked with images before they are projected; null: every row. */
  readonly filter: RowFilter | null;
  /** Null where columns give no headers. */
  readonly headers: readonly ColumnHeader[] | null;
}

export interface RuleOptions {
  readonly naming: TopicNaming;
  /** Of masks by hash. */
  readonly hashKey: string | null;
  readonly profile: Profile;
  /** Fields that unwrapped records have behind the row's own. */
  readonly added: readonly Column[];
}

/** Throws where the settings do not fit the columns: `settings.*`, `enrich.statement-invalid`. */
export function tableRules(
  table: TableSchema,
  settings: TableSettings | undefined,
  { naming, hashKey, profile, added }: RuleOptions,
): TableRules {
  const { keyField }: TableTopic = tableTopic(naming, table.id, settings?.topic);
  return {
    shape: tableShape(table, { key: settings?.key, columns: settings?.columns, hashKey, keyField, added }),
    filter: settings?.filter?.(table) ?? null,
    headers:
      settings?.headers === undefined || settings.headers.size === 0
        ? null
        : columnHeaders(table, settings.headers, profile),
  };
}
