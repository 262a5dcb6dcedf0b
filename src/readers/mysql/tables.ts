import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Change, RowChange, SchemaChange } from '../../model/change.ts';
import type { JsonValue } from '../../model/position.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import { ABSENT } from '../../model/value.ts';
import type { Log } from '../../observability/log.ts';
import { TYPE } from './binlog/event-types.ts';
import type { QueryEvent } from './binlog/events.ts';
import type { TableMap } from './binlog/table-map.ts';
import type { TableState } from './binlog/table-state.ts';
import { unreadableChange } from './binlog/unreadable-change.ts';
import { type MysqlTable, schemaOf } from './catalogue.ts';
import { alteredTable, createdTable, isAhead, namesOf, renamedTables } from './altered-table.ts';
import { recognise, type Statement } from './ddl/statement.ts';
import { TemporaryTables } from './ddl/temporary-tables.ts';
import type { Sql } from './ddl/tokens.ts';
import { describeTable } from './describe-table.ts';
import {
  agrees,
  anonymousTable,
  isSequence,
  systemVersions,
  tableFromLog,
  versionDecoders,
} from './log-table.ts';
import { type Awaited, type SchemaHistory, shapeOf } from './schema-history.ts';
import type { MysqlSource, MysqlTx } from './source-info.ts';
import { insertedDefault } from './types/column-default.ts';
import { binlogDecoder, type Decode } from './types/decode-binlog.ts';
import type { MysqlTypeOptions } from './types/mysql-column.ts';
import { quoteTable } from './wire/quoting.ts';

export interface TablesOptions {
  readonly connector: MysqlSource['connector'];
  readonly isCaptured: (id: TableId) => boolean;
  /** As the catalogue had them when the reader was opened. */
  readonly described: readonly MysqlTable[];
  readonly history: SchemaHistory;
  /** The stream goes on from the checkpoint that the history belongs to. */
  readonly continuous: boolean;
  readonly types: MysqlTypeOptions;
  /** Reads the catalogue anew; null where there is no such table. */
  readonly describe: (id: TableId) => Promise<MysqlTable | null>;
  /** The database that a statement's names are looked up in without regard to case (lower_case_table_names). */
  readonly lowerCase: boolean;
  readonly log: Log;
}

/** What a place of the stream gives to the elements made at it. */
export interface StreamPlace {
  at(): MysqlSource;
  tx(): MysqlTx;
  nextSeq(): number;
  /** Encoded, for the history. */
  position(): JsonValue;
}

type TablesStatement = Extract<Statement, { readonly kind: 'tables' }>;

interface Known {
  readonly table: MysqlTable;
  readonly schema: TableSchema;
  /** The names of the columns are those of the stream's position: not only what the catalogue says now. */
  readonly certain: boolean;
  /** Null where `schema` is that of `table`; else what the first row decides. */
  readonly awaits: Awaited | null;
}

/**
 * The shape of each table at the stream's own position. It is the one of the checkpoint until a statement of the log
 * touches the table; then the catalogue is read back, which may be ahead of the stream: so the names of the columns
 * are followed through the statements. Before any row is read, each table map is held against what is known: where they
 * differ, what the log itself says decides, and where that is not enough the rows of that one table go to the
 * dead-letter topic.
 */
export class Tables {
  readonly #options: TablesOptions;
  readonly #known = new Map<string, Known>();
  readonly #warned = new Set<string>();
  readonly #temporary: TemporaryTables;

  constructor(options: TablesOptions) {
    this.#options = options;
    const { connector, continuous, described, history, isCaptured } = options;
    this.#temporary = new TemporaryTables((id) => tableName(this.#spelled(id)), connector);
    // What is met first may have been made, or altered, behind the place where the stream goes on.
    for (const now of described) {
      if (!continuous || history.stored(now.id) === null) this.#remember(now, null, { certain: !continuous });
    }
    // Also those that have been dropped behind it.
    if (continuous) for (const id of history.allStored()) if (isCaptured(id)) this.#restore(id);
    if (!continuous) for (const id of history.allFollowed()) history.unfollow(id);
  }

  /** Decoders for the rows that follow the table map, and elements that belong before them. */
  async resolve(
    map: TableMap,
    body: Buffer,
    place: StreamPlace,
  ): Promise<{ readonly state: TableState; readonly changes: readonly Change<MysqlSource>[] }> {
    const { describe } = this.#options;
    const name = tableName(map.id);
    const known = this.#known.get(name);
    if (known !== undefined && agrees(known.table, map) && known.awaits === null) {
      if (!known.certain && map.metadata.names !== null) this.#remember(known.table, place.position());
      return { state: this.#state(map, body, known, null), changes: [] };
    }
    const present = await describe(map.id);
    if (present === null && known === undefined && isSequence(map)) {
      return {
        state: { tableId: map.tableId, id: map.id, map: Buffer.from(body), captured: null },
        changes: [],
      };
    }
    const exact = this.#exact(map, known, present);
    if (exact === null) {
      const error = new HeadwaterError(
        'source.schema-unknown',
        `The columns that ${name} had at offset ${place.at().pos} of ${place.at().file} are not known: the table was changed again since, and the server does not log the names of columns.`,
        { details: { table: name } },
      );
      const anonymous = anonymousTable(map);
      const schema = { ...schemaOf(anonymous, this.#options.types), nameless: true } as const;
      return { state: this.#state(map, body, { table: anonymous, schema }, error), changes: [] };
    }
    const certain = known?.certain === true || map.metadata.names !== null;
    const now = this.#remember(exact, place.position(), { certain });
    const ddl = known?.awaits?.ddl ?? null;
    const same = ddl === null && known !== undefined && shapeOf(known.schema) === shapeOf(now.schema);
    const changes = same ? [] : [schemaChange(map.id, now, known ?? null, { place, ddl })];
    return { state: this.#state(map, body, now, null), changes };
  }

  /** The table as the rows behind the table map have it; null where nothing says that. */
  #exact(map: TableMap, known: Known | undefined, present: MysqlTable | null): MysqlTable | null {
    const names = known?.certain === true ? namesOf(known.table) : null;
    if (known !== undefined && agrees(known.table, map)) return known.table;
    const ahead = present !== null && known?.certain === true && isAhead(present, known.table);
    if (present !== null && agrees(present, map) && !ahead) return present;
    return tableFromLog(
      map,
      [known?.table, present].filter((table) => table != null),
      names,
    );
  }

  /** What a statement of the log did to captured tables. */
  async statement(query: QueryEvent, place: StreamPlace): Promise<readonly Change<MysqlSource>[]> {
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
        return this.#changed({ kind: 'tables', verb: 'alter', ids: this.#allKnown() }, null, place);
      case 'truncate': {
        const id = this.#spelled(statement.id);
        const known = this.#known.get(tableName(id));
        if (known === undefined) return [];
        // As a statement of its own it belongs to no transaction.
        return [{ kind: 'truncate', table: known.schema, tx: null, seq: 0, at: place.at() }];
      }
      case 'partitions':
        for (const id of this.#captured(statement.ids)) {
          this.#warn(
            `partitions ${tableName(id)}`,
            { table: tableName(id) },
            'rows of this table were removed or moved together with a partition or a tablespace, which is not logged row by row; resync the table if its consumers need to know',
          );
        }
        return this.#partitioned(statement, query, place);
      case 'rows':
        return this.#captured(statement.ids).flatMap((id) => {
          const known = this.#known.get(tableName(id));
          return known === undefined ? [] : [this.#unlogged(known.schema, place)];
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

  #allKnown(): readonly TableId[] {
    return [...this.#known.values()].map(({ table }) => table.id);
  }

  #databaseDropped(name: string, query: Sql, place: StreamPlace): Promise<readonly Change<MysqlSource>[]> {
    const { history } = this.#options;
    const { schema: spelled } = this.#spelled({ schema: name, table: '' });
    for (const id of history.allFollowed()) if (id.schema === spelled) history.unfollow(id);
    const ids = this.#allKnown().filter(({ schema }) => schema === spelled);
    return this.#changed({ kind: 'tables', verb: 'drop', ids }, query, place);
  }

  /**
   * Reads the tables back. `ddl` null: only those that are different now are of interest. The catalogue may be
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
    for (const id of this.#captured(statement.ids)) {
      const name = tableName(id);
      const known = this.#known.get(name);
      if (ifNotExists === true && known?.certain === true) continue;
      changes.push(...this.#sayAwaited(id, place));
      const present = verb === 'drop' ? null : await this.#options.describe(id);
      if (verb === 'drop') {
        if (known === undefined) continue;
        this.#known.delete(name);
        this.#options.history.record(id, null);
        // One statement may drop several tables, and each record is about one.
        const own = /^\s*DROP\s+TABLE/i.test(ddl ?? '') ? `DROP TABLE ${quoteTable(id)}` : ddl;
        changes.push(schemaChange(id, null, known, { place, ddl: own }));
        continue;
      }
      const said = query === null ? null : this.#said(id, statement, query, present);
      if (said !== null && (present === null || isAhead(present, said))) {
        // The catalogue is ahead; the rest comes with the first row.
        this.#await(said, known, ddl);
        continue;
      }
      if (present === null) continue;
      const now = this.#remember(present, place.position(), { certain: said !== null });
      const same = known !== undefined && shapeOf(known.schema) === shapeOf(now.schema);
      if (!same || ddl !== null) changes.push(schemaChange(id, now, known ?? null, { place, ddl }));
    }
    return changes;
  }

  /** One after the other: what was `from` is `to`, unless another table has the name again by the statement's end. */
  async #renamed(
    pairs: readonly (readonly [TableId, TableId])[],
    query: Sql,
    place: StreamPlace,
  ): Promise<readonly Change<MysqlSource>[]> {
    const { describe, history, isCaptured } = this.#options;
    const { sql: ddl } = query;
    const spelled = pairs.map(([from, to]) => [this.#spelled(from), this.#spelled(to)] as const);
    const names = renamedTables(spelled, query, (id) => this.#shapeOf(id));
    const changes = spelled.flat().flatMap((id) => this.#sayAwaited(id, place));
    const before = new Map(this.#known);
    for (const [from, to] of spelled) {
      const known = before.get(tableName(from));
      if (
        known !== undefined &&
        names.get(tableName(from)) === 'gone' &&
        this.#known.delete(tableName(from))
      ) {
        history.record(from, null);
        // One record says it, that of the new name, where there is one.
        const { description: _, ...gone } = schemaChange(from, null, known, { place, ddl });
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
      const present = await describe(to);
      if (said !== null && (present === null || isAhead(present, said))) {
        this.#await(said, before.get(tableName(to)), ddl);
        continue;
      }
      if (present === null) continue;
      const now = this.#remember(present, place.position(), { certain: said !== null });
      const old = known ?? before.get(tableName(to)) ?? null;
      changes.push(schemaChange(to, now, old, { place, ddl }));
    }
    for (const [name, shape] of names) {
      const left = shape === 'gone' ? spelled.flat().find((id) => tableName(id) === name) : undefined;
      if (left !== undefined) history.unfollow(left);
    }
    return changes;
  }

  /** A table as it is at the stream's position, where that is certain; captured or not. */
  #shapeOf(id: TableId): MysqlTable | null {
    const known = this.#known.get(tableName(id));
    if (known !== undefined) return known.certain ? known.table : null;
    return this.#options.history.followed(id);
  }

  /** Tables that are not captured may be renamed to one that is: their columns are followed from the beginning. */
  #follow({ verb, ids, like, ifNotExists }: TablesStatement, query: Sql): void {
    const { history, isCaptured } = this.#options;
    for (const each of ids) {
      const id = this.#spelled(each);
      if (isCaptured(id)) continue;
      const before = history.followed(id);
      let now: MysqlTable | null = null;
      if (verb === 'create') {
        if (ifNotExists === true && before !== null) continue;
        if (like !== undefined) now = this.#shapeOf(this.#spelled(like));
        else if (this.#allKnown().some(({ schema }) => schema === id.schema))
          now = createdTable(id, query, null);
      } else if (verb === 'alter' && before !== null) {
        now = alteredTable(id, query, { before, present: null });
      }
      if (now === null) history.unfollow(id);
      else history.follow(id, now);
    }
  }

  /** The names of the columns are known, their types come with the first row. */
  #await(said: MysqlTable, known: Known | undefined, ddl: string | null): void {
    const schema = known?.schema ?? schemaOf(said, this.#options.types);
    const before = known === undefined ? null : known.awaits === null ? known.table : known.awaits.before;
    const awaits = { ddl, before };
    this.#known.set(tableName(said.id), { table: said, schema, certain: true, awaits });
    this.#options.history.record(said.id, said, awaits);
  }

  /** A statement whose element still waits for a row is told before the next one, with the types that are known. */
  #sayAwaited(id: TableId, place: StreamPlace): readonly Change<MysqlSource>[] {
    const known = this.#known.get(tableName(id));
    if (known?.awaits?.ddl == null) return [];
    const { table, awaits } = known;
    const said = { ddl: null, before: awaits.before ?? table };
    this.#known.set(tableName(id), { ...known, awaits: said });
    this.#options.history.record(id, table, said);
    return [schemaChange(id, known, known, { place, ddl: awaits.ddl })];
  }

  /** As it was at the checkpoint. */
  #restore(id: TableId): void {
    const { history, types } = this.#options;
    const stored = history.stored(id);
    if (stored === null) return;
    const { table, awaits } = stored;
    if (awaits === null) {
      this.#remember(table, null);
      return;
    }
    const { before } = awaits;
    const schema = before === null ? schemaOf(table, types) : history.number(schemaOf(before, types), before);
    this.#known.set(tableName(id), { table, schema, certain: true, awaits });
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
      const shape = this.#shapeOf(this.#spelled(like));
      return shape === null ? null : { ...shape, id };
    }
    const known = this.#known.get(tableName(id));
    if (verb !== 'alter' || known?.certain !== true) return null;
    return alteredTable(id, query, { before: known.table, present });
  }

  #captured(ids: readonly TableId[]): readonly TableId[] {
    const seen = new Map<string, TableId>();
    for (const id of ids) {
      const spelled = this.#spelled(id);
      if (this.#options.isCaptured(spelled)) seen.set(tableName(spelled), spelled);
    }
    return [...seen.values()];
  }

  /** Servers that do not tell upper from lower case store names in lower case and log statements as written. */
  #spelled(id: TableId): TableId {
    return this.#options.lowerCase ? { schema: id.schema.toLowerCase(), table: id.table.toLowerCase() } : id;
  }

  /** Rows that were changed, and are not in the log: a note for the dead-letter topic, and the table's status. */
  #unlogged(schema: TableSchema, place: StreamPlace): RowChange<MysqlSource> {
    const name = tableName(schema.id);
    const error = new HeadwaterError(
      'source.statement-logged',
      `Rows of ${name} were changed by a statement that is in the log instead of the rows, at offset ${place.at().pos} of ${place.at().file}.`,
      { details: { table: name } },
    );
    return unreadableChange(schema, error, { seq: place.nextSeq(), at: place.at() });
  }

  #remember(
    table: MysqlTable,
    since: JsonValue,
    { certain = true }: { readonly certain?: boolean } = {},
  ): Known {
    const name = tableName(table.id);
    const before = this.#known.get(name);
    const schema = this.#options.history.number(schemaOf(table, this.#options.types), table, since);
    // The same object where nothing changed: encoders are cached by it.
    const same =
      before !== undefined &&
      shapeOf(before.schema) === shapeOf(schema) &&
      before.schema.version === schema.version;
    const known = { table, schema: same ? before.schema : schema, certain, awaits: null };
    this.#known.set(name, known);
    // What is not certain is asked for again after a restart.
    this.#options.history.record(table.id, certain ? table : null);
    return known;
  }

  #state(
    map: TableMap,
    body: Buffer,
    { table, schema }: Pick<Known, 'table' | 'schema'>,
    unreadable: HeadwaterError | null,
  ): TableState {
    const versions = systemVersions(table, map);
    const decoders = decodersOf(table, map);
    const name = tableName(map.id);
    const unknownType =
      decoders === null
        ? new HeadwaterError(
            'source.schema-unknown',
            `A column of ${name} has a type that this version cannot read; none of its changes can be.`,
            { details: { table: name } },
          )
        : null;
    return {
      tableId: map.tableId,
      id: map.id,
      map: Buffer.from(body),
      captured: {
        schema,
        decoders: decoders ?? [],
        versions,
        inserted: table.columns.map((column, i) => {
          const value = insertedDefault(column, schema.columns[i]!.type);
          return value === undefined ? ABSENT : value;
        }),
        json: map.columns.flatMap(({ type }, i) => (type === TYPE.json ? [i] : [])),
        unreadable: unreadable ?? unknownType,
        undecodable: decoders === null,
      },
    };
  }

  #warn(key: string, fields: Record<string, unknown>, message: string): void {
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#options.log.warn(fields, message);
  }
}

/** Null where a type is not known, and with it the length of its values. */
function decodersOf(table: MysqlTable, map: TableMap): readonly Decode[] | null {
  const decoders = map.columns.map((log, i) => {
    const column = table.columns[i];
    return column === undefined ? null : binlogDecoder(column, log);
  });
  const extra = systemVersions(table, map) === null ? [] : versionDecoders(map);
  const all = [...decoders.slice(0, table.columns.length), ...extra];
  return all.every((decode) => decode !== null) ? all : null;
}

function schemaChange(
  id: TableId,
  now: Known | null,
  before: Known | null,
  { place, ddl }: { readonly place: StreamPlace; readonly ddl: string | null },
): SchemaChange<MysqlSource> {
  return {
    kind: 'schema',
    id,
    table: now?.schema ?? null,
    previous: before === null || before.awaits?.before === null ? null : before.schema,
    // MySQL's mark of CREATE TABLE … SELECT is no part of what was asked for.
    ddl: ddl?.replace(/ START TRANSACTION$/, '') ?? null,
    description: now === null ? null : describeTable(now.table),
    tx: place.tx(),
    at: place.at(),
  };
}
