import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Change, RowChange } from '../../model/change.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import { alteredTable, createdTable, isAhead, renamedTables } from './altered-table.ts';
import type { QueryEvent } from './binlog/events.ts';
import { unreadableChange } from './binlog/unreadable-change.ts';
import type { MysqlTable } from './catalogue.ts';
import { recognise, type Statement } from './ddl/statement.ts';
import { TemporaryTables } from './ddl/temporary-tables.ts';
import type { Sql } from './ddl/tokens.ts';
import type { KnownTables } from './known-tables.ts';
import { type SchemaHistory, shapeOf } from './schema-history.ts';
import type { MysqlSource, StreamPlace } from './source-info.ts';
import { tableChange } from './table-change.ts';
import { quoteTable } from './wire/quoting.ts';

export interface TableStatementsOptions {
  readonly connector: MysqlSource['connector'];
  readonly isCaptured: (id: TableId) => boolean;
  readonly known: KnownTables;
  readonly history: SchemaHistory;
  /** Reads the catalogue anew; null where there is no such table. */
  readonly describe: (id: TableId) => Promise<MysqlTable | null>;
  /** Waits until the catalogue shows what the log has told of the table: see untilVisible. */
  readonly untilVisible: (id: TableId) => Promise<void>;
  readonly log: Log;
}

type TablesStatement = Extract<Statement, { readonly kind: 'tables' }>;

/** What statements of the log make of the known tables. */
export class TableStatements {
  readonly #options: TableStatementsOptions;
  readonly #known: KnownTables;
  readonly #temporary: TemporaryTables;
  readonly #warned = new Set<string>();

  constructor(options: TableStatementsOptions) {
    this.#options = options;
    this.#known = options.known;
    this.#temporary = new TemporaryTables((id) => tableName(options.known.spelled(id)), options.connector);
  }

  /** The elements that say what a statement did to captured tables. */
  async apply(query: QueryEvent, place: StreamPlace): Promise<readonly Change<MysqlSource>[]> {
    const known = this.#known;
    const statement = this.#temporary.without(recognise(query, query.database), query);
    switch (statement.kind) {
      case 'none':
      case 'temporary':
        return [];
      case 'tables':
        this.#follow(statement, query);
        return this.#changed(statement, query, place);
      case 'renames':
        return this.#renamed(statement.pairs, query, place);
      case 'drop-database':
        return this.#databaseDropped(statement.schema, query, place);
      case 'unknown':
        // Anything may have happened: everything that is known is compared with the catalogue.
        for (const id of this.#options.history.allFollowed()) this.#options.history.unfollow(id);
        return this.#changed({ kind: 'tables', verb: 'alter', ids: known.all() }, null, place);
      case 'truncate': {
        const table = known.get(known.spelled(statement.id));
        if (table === undefined) return [];
        // As a statement of its own it belongs to no transaction.
        return [{ kind: 'truncate', table: table.schema, tx: null, seq: 0, at: place.at() }];
      }
      case 'partitions':
        for (const id of known.captured(statement.ids)) {
          this.#warn(
            `partitions ${tableName(id)}`,
            { table: tableName(id) },
            'rows of this table were removed or moved together with a partition or a tablespace, which is not logged row by row; resync the table if its consumers need to know',
          );
        }
        return this.#partitioned(statement, query, place);
      case 'rows':
        return known.captured(statement.ids).flatMap((id) => {
          const table = known.get(id);
          return table === undefined ? [] : [unlogged(table.schema, place)];
        });
    }
  }

  /** Tables that were a partition before, or are one now. */
  async #partitioned(
    { made, gone }: Extract<Statement, { readonly kind: 'partitions' }>,
    query: Sql,
    place: StreamPlace,
  ): Promise<readonly Change<MysqlSource>[]> {
    if (gone !== undefined) return this.#changed({ kind: 'tables', verb: 'drop', ids: [gone] }, query, place);
    return made === undefined
      ? []
      : this.#changed({ kind: 'tables', verb: 'alter', ids: [made] }, query, place);
  }

  #databaseDropped(name: string, query: Sql, place: StreamPlace): Promise<readonly Change<MysqlSource>[]> {
    const { history } = this.#options;
    const { schema: spelled } = this.#known.spelled({ schema: name, table: '' });
    for (const id of history.allFollowed()) if (id.schema === spelled) history.unfollow(id);
    const ids = this.#known.all().filter(({ schema }) => schema === spelled);
    return this.#changed({ kind: 'tables', verb: 'drop', ids }, query, place);
  }

  /**
   * Reads the tables back. `query` null: only those that are different now are of interest. The catalogue may be
   * ahead: a table that is gone by now was not dropped by a statement that says something else, and one that is
   * there again was.
   */
  async #changed(
    statement: TablesStatement,
    query: Sql | null,
    place: StreamPlace,
  ): Promise<readonly Change<MysqlSource>[]> {
    const { verb, ifNotExists } = statement;
    const ddl = query?.sql ?? null;
    const changes: Change<MysqlSource>[] = [];
    for (const id of this.#known.captured(statement.ids)) {
      const known = this.#known.get(id);
      if (ifNotExists === true && known?.certain === true) continue;
      changes.push(...this.#untold(id, place));
      if (verb === 'drop') {
        if (known === undefined) continue;
        this.#known.forget(id);
        // One statement may drop several tables, and each record is about one.
        const own = /^\s*DROP\s+TABLE/i.test(ddl ?? '') ? `DROP TABLE ${quoteTable(id)}` : ddl;
        changes.push(tableChange(id, null, known, { place, ddl: own }));
        continue;
      }
      const present = await this.#present(id);
      const said = query === null ? null : this.#said(id, statement, query, present);
      if (said !== null && (present === null || isAhead(present, said))) {
        // The catalogue is ahead; the rest comes with the first row.
        this.#known.expect(said, known, ddl);
        continue;
      }
      if (present === null) continue;
      const now = this.#known.remember(present, place.position(), { certain: said !== null });
      const same = known !== undefined && shapeOf(known.schema) === shapeOf(now.schema);
      if (!same || ddl !== null) changes.push(tableChange(id, now, known ?? null, { place, ddl }));
    }
    return changes;
  }

  /** One after the other: what was `from` is `to`, unless another table has the name again by the statement's end. */
  async #renamed(
    pairs: readonly (readonly [TableId, TableId])[],
    query: Sql,
    place: StreamPlace,
  ): Promise<readonly Change<MysqlSource>[]> {
    const { history, isCaptured } = this.#options;
    const { sql: ddl } = query;
    const spelled = pairs.map(([from, to]) => [this.#known.spelled(from), this.#known.spelled(to)] as const);
    const names = renamedTables(spelled, query, (id) => this.#known.certainShape(id));
    const changes = spelled.flat().flatMap((id) => this.#untold(id, place));
    const before = new Map(spelled.flat().map((id) => [tableName(id), this.#known.get(id)]));
    for (const [from, to] of spelled) {
      const known = before.get(tableName(from));
      if (known !== undefined && names.get(tableName(from)) === 'gone' && this.#known.forget(from)) {
        // One record says it, that of the new name, where there is one.
        const { description: _, ...gone } = tableChange(from, null, known, { place, ddl });
        changes.push(isCaptured(to) ? gone : { ...gone, description: null });
      }
      const shape = names.get(tableName(to));
      if (shape === 'gone' || shape === undefined) continue;
      if (!isCaptured(to)) {
        if (shape === 'unknown') history.unfollow(to);
        else history.follow(to, shape);
        continue;
      }
      const said = shape === 'unknown' ? null : { ...shape, id: to };
      const present = await this.#present(to);
      if (said !== null && (present === null || isAhead(present, said))) {
        this.#known.expect(said, before.get(tableName(to)), ddl);
        continue;
      }
      if (present === null) continue;
      const now = this.#known.remember(present, place.position(), { certain: said !== null });
      const old = known ?? before.get(tableName(to)) ?? null;
      changes.push(tableChange(to, now, old, { place, ddl }));
    }
    for (const [name, shape] of names) {
      const left = shape === 'gone' ? spelled.flat().find((id) => tableName(id) === name) : undefined;
      if (left !== undefined) history.unfollow(left);
    }
    return changes;
  }

  /** The table as the catalogue has it behind the statement at hand, or behind a later one. */
  async #present(id: TableId): Promise<MysqlTable | null> {
    await this.#options.untilVisible(id);
    return this.#options.describe(id);
  }

  /** A statement whose element still waits for a row is told before the next one, with the types that are known. */
  #untold(id: TableId, place: StreamPlace): readonly Change<MysqlSource>[] {
    const untold = this.#known.takeUntold(id);
    if (untold === null) return [];
    const { known, ddl } = untold;
    return [tableChange(id, known, known, { place, ddl })];
  }

  /** Tables that are not captured may be renamed to one that is: their columns are followed from the beginning. */
  #follow({ verb, ids, like, ifNotExists }: TablesStatement, query: Sql): void {
    const { history, isCaptured } = this.#options;
    const known = this.#known;
    for (const each of ids) {
      const id = known.spelled(each);
      if (isCaptured(id)) continue;
      const before = history.followed(id);
      let now: MysqlTable | null = null;
      if (verb === 'create') {
        if (ifNotExists === true && before !== null) continue;
        if (like !== undefined) now = known.certainShape(known.spelled(like));
        else if (known.all().some(({ schema }) => schema === id.schema)) now = createdTable(id, query, null);
      } else if (verb === 'alter' && before !== null) {
        now = alteredTable(id, query, { before, present: null });
      }
      if (now === null) history.unfollow(id);
      else history.follow(id, now);
    }
  }

  /** What the statement alone makes of the table, with the types that are known; null where it is not understood. */
  #said(
    id: TableId,
    { verb, like }: TablesStatement,
    query: Sql,
    present: MysqlTable | null,
  ): MysqlTable | null {
    if (verb === 'create') {
      if (like === undefined) return createdTable(id, query, present);
      const shape = this.#known.certainShape(this.#known.spelled(like));
      return shape === null ? null : { ...shape, id };
    }
    const known = this.#known.get(id);
    if (verb !== 'alter' || known?.certain !== true) return null;
    return alteredTable(id, query, { before: known.table, present });
  }

  #warn(key: string, fields: Record<string, unknown>, message: string): void {
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#options.log.warn(fields, message);
  }
}

/** Rows that were changed, and are not in the log: a note for the dead-letter topic, and the table's status. */
function unlogged(schema: TableSchema, place: StreamPlace): RowChange<MysqlSource> {
  const name = tableName(schema.id);
  const error = new HeadwaterError(
    'source.statement-logged',
    `Rows of ${name} were changed by a statement that is in the log instead of the rows, at offset ${place.at().pos} of ${place.at().file}.`,
    { details: { table: name } },
  );
  return unreadableChange(schema, error, { seq: place.nextSeq(), at: place.at() });
}
