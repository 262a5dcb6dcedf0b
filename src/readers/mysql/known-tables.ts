import type { JsonValue } from '../../model/position.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import { type MysqlTable, schemaOf } from './catalogue.ts';
import { type Awaited, type SchemaHistory, shapeOf } from './schema-history.ts';
import type { MysqlTypeOptions } from './types/mysql-column.ts';

export interface KnownTable {
  readonly table: MysqlTable;
  readonly schema: TableSchema;
  /** The names of the columns are those of the stream's position: not only what the catalogue says now. */
  readonly certain: boolean;
  /** Null where `schema` is that of `table`; else what the first row decides. */
  readonly awaits: Awaited | null;
}

export interface KnownTablesOptions {
  readonly isCaptured: (id: TableId) => boolean;
  readonly history: SchemaHistory;
  readonly types: MysqlTypeOptions;
  /** The database that a statement's names are looked up in without regard to case (lower_case_table_names). */
  readonly lowerCase: boolean;
}

/** The captured tables as they are at the stream's position; what changes here becomes part of the durable state. */
export class KnownTables {
  readonly #options: KnownTablesOptions;
  readonly #tables = new Map<string, KnownTable>();

  constructor(options: KnownTablesOptions) {
    this.#options = options;
  }

  get(id: TableId): KnownTable | undefined {
    return this.#tables.get(tableName(id));
  }

  all(): readonly TableId[] {
    return Array.from(this.#tables.values(), ({ table }) => table.id);
  }

  /** A table as it is at the stream's position, where that is certain; captured or not. */
  certainShape(id: TableId): MysqlTable | null {
    const known = this.get(id);
    if (known !== undefined) return known.certain ? known.table : null;
    return this.#options.history.followed(id);
  }

  /** Servers that do not tell upper from lower case store names in lower case and log statements as written. */
  spelled(id: TableId): TableId {
    return this.#options.lowerCase ? { schema: id.schema.toLowerCase(), table: id.table.toLowerCase() } : id;
  }

  captured(ids: readonly TableId[]): readonly TableId[] {
    const seen = new Map<string, TableId>();
    for (const id of ids) {
      const spelled = this.spelled(id);
      if (this.#options.isCaptured(spelled)) seen.set(tableName(spelled), spelled);
    }
    return [...seen.values()];
  }

  /** From `since` on the table is so. */
  remember(
    table: MysqlTable,
    since: JsonValue,
    { certain = true }: { readonly certain?: boolean } = {},
  ): KnownTable {
    const before = this.get(table.id);
    const schema = this.#options.history.number(schemaOf(table, this.#options.types), table, since);
    // The same object where nothing changed: encoders are cached by it.
    const same =
      before !== undefined &&
      shapeOf(before.schema) === shapeOf(schema) &&
      before.schema.version === schema.version;
    const known = { table, schema: same ? before.schema : schema, certain, awaits: null };
    this.#tables.set(tableName(table.id), known);
    // What is not certain is asked for again after a restart.
    this.#options.history.record(table.id, certain ? table : null);
    return known;
  }

  /** Whether it was there. */
  forget(id: TableId): boolean {
    if (!this.#tables.delete(tableName(id))) return false;
    this.#options.history.record(id, null);
    return true;
  }

  /** The names of the columns are known, their types come with the first row. */
  expect(said: MysqlTable, known: KnownTable | undefined, ddl: string | null): void {
    const schema = known?.schema ?? schemaOf(said, this.#options.types);
    const before = known === undefined ? null : known.awaits === null ? known.table : known.awaits.before;
    this.#expect({ table: said, schema, certain: true, awaits: { ddl, before } });
  }

  /** The table whose statement has not been told yet, which from now on it is; null where there is none. */
  takeUntold(id: TableId): { readonly known: KnownTable; readonly ddl: string } | null {
    const known = this.get(id);
    if (known?.awaits?.ddl == null) return null;
    const { table, awaits } = known;
    this.#expect({ ...known, awaits: { ddl: null, before: awaits.before ?? table } });
    return { known, ddl: known.awaits.ddl };
  }

  /** As it was at the checkpoint. */
  restore(id: TableId): void {
    const { history, types } = this.#options;
    const stored = history.stored(id);
    if (stored === null) return;
    const { table, awaits } = stored;
    if (awaits === null) {
      this.remember(table, null);
      return;
    }
    const { before } = awaits;
    const schema = before === null ? schemaOf(table, types) : history.number(schemaOf(before, types), before);
    this.#tables.set(tableName(id), { table, schema, certain: true, awaits });
  }

  #expect(known: KnownTable): void {
    const { table, awaits } = known;
    this.#tables.set(tableName(table.id), known);
    this.#options.history.record(table.id, table, awaits);
  }
}
