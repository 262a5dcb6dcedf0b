import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Change, RowChange, SchemaChange } from '../../model/change.ts';
import type { JsonValue } from '../../model/position.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import { TYPE } from './binlog/event-types.ts';
import type { QueryEvent } from './binlog/events.ts';
import type { TableMap } from './binlog/table-map.ts';
import type { TableState } from './binlog/table-state.ts';
import { unreadableChange } from './binlog/unreadable-change.ts';
import { type MysqlTable, schemaOf } from './catalogue.ts';
import { type AlteredColumn, alteredColumns, createdNames } from './ddl/column-names.ts';
import { recognise } from './ddl/statement.ts';
import { describeTable } from './describe-table.ts';
import {
  agrees,
  anonymousTable,
  isSequence,
  openColumn,
  systemVersions,
  tableFromLog,
  versionDecoders,
} from './log-table.ts';
import { type SchemaHistory, shapeOf } from './schema-history.ts';
import type { MysqlSource, MysqlTx } from './source-info.ts';
import { binlogDecoder, type Decode } from './types/decode-binlog.ts';
import type { MysqlColumn, MysqlTypeOptions } from './types/mysql-column.ts';
import { quoteTable } from './wire/quoting.ts';

export interface TablesOptions {
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

interface Known {
  readonly table: MysqlTable;
  readonly schema: TableSchema;
  /** The names of the columns are those of the stream's position: not only what the catalogue says now. */
  readonly certain: boolean;
  /** The statement that made it so, if the element that says so waits for the first row. */
  readonly unsaid: string | null;
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

  constructor(options: TablesOptions) {
    this.#options = options;
    const { continuous, described, history } = options;
    for (const now of described) {
      const stored = continuous ? history.stored(now.id) : null;
      this.#remember(stored ?? now, null);
      if (stored === null) history.record(now.id, now);
    }
  }

  /** Decoders for the rows that follow the table map, and elements that belong before them. */
  async resolve(
    map: TableMap,
    body: Buffer,
    place: StreamPlace,
  ): Promise<{ readonly state: TableState; readonly changes: readonly Change<MysqlSource>[] }> {
    const { describe, history } = this.#options;
    const name = tableName(map.id);
    const known = this.#known.get(name);
    if (known !== undefined && agrees(known.table, map) && known.unsaid === null) {
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
      const schema = schemaOf(anonymous, this.#options.types);
      return { state: this.#state(map, body, { table: anonymous, schema }, error), changes: [] };
    }
    const now = this.#remember(exact, place.position());
    history.record(map.id, exact);
    const ddl = known?.unsaid ?? null;
    const same = ddl === null && known !== undefined && shapeOf(known.schema) === shapeOf(now.schema);
    const changes = same ? [] : [schemaChange(map.id, now, known ?? null, { place, ddl })];
    return { state: this.#state(map, body, now, null), changes };
  }

  /** The table as the rows behind the table map have it; null where nothing says that. */
  #exact(map: TableMap, known: Known | undefined, present: MysqlTable | null): MysqlTable | null {
    const names = known?.certain === true ? namesOf(known.table) : null;
    if (known !== undefined && agrees(known.table, map)) return known.table;
    if (present !== null && agrees(present, map) && (names === null || sameNames(present, names)))
      return present;
    return tableFromLog(
      map,
      [known?.table, present].filter((table) => table != null),
      names,
    );
  }

  /** What a statement of the log did to captured tables. */
  async statement(query: QueryEvent, place: StreamPlace): Promise<readonly Change<MysqlSource>[]> {
    const statement = recognise(query.sql, query.database);
    switch (statement.kind) {
      case 'none':
        return [];
      case 'tables':
        return this.#changed(statement.ids, { verb: statement.verb, ddl: query.sql }, place);
      case 'renames':
        return this.#renamed(statement.pairs, query.sql, place);
      case 'drop-database':
        return this.#changed(
          this.#allKnown().filter(({ schema }) => schema === statement.schema),
          { verb: 'drop', ddl: query.sql },
          place,
        );
      case 'unknown':
        // Anything may have happened: everything that is known is compared with the catalogue.
        return this.#changed(this.#allKnown(), { verb: 'alter', ddl: null }, place);
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
            'rows of this table were removed or moved together with a partition, which is not logged row by row; resync the table if its consumers need to know',
          );
        }
        return [];
      case 'rows':
        return this.#captured(statement.ids)
          .filter((id) => this.#known.has(tableName(id)))
          .map((id) => this.#unlogged(id, place));
    }
  }

  #allKnown(): readonly TableId[] {
    return [...this.#known.values()].map(({ table }) => table.id);
  }

  /**
   * Reads the tables back. `ddl` null: only those that are different now are of interest. The catalogue may be
   * ahead: a table that is gone by now was not dropped by a statement that says something else, and one that is
   * there again was.
   */
  async #changed(
    ids: readonly TableId[],
    { verb, ddl }: { readonly verb: 'create' | 'alter' | 'drop'; readonly ddl: string | null },
    place: StreamPlace,
  ): Promise<readonly Change<MysqlSource>[]> {
    const changes: Change<MysqlSource>[] = [];
    for (const id of this.#captured(ids)) {
      const name = tableName(id);
      const known = this.#known.get(name);
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
      const said = this.#said(id, { verb, ddl }, known, present);
      if (said !== null && (present === null || !sameNames(present, namesOf(said)))) {
        // The catalogue is ahead; the rest comes with the first row.
        this.#await(said, known, ddl);
        continue;
      }
      if (present === null) continue;
      const now = this.#remember(present, place.position(), { certain: said !== null });
      this.#options.history.record(id, present);
      const same = known !== undefined && shapeOf(known.schema) === shapeOf(now.schema);
      if (!same || ddl !== null) changes.push(schemaChange(id, now, known ?? null, { place, ddl }));
    }
    return changes;
  }

  /** One after the other: what was `from` is `to`, unless another table has the name again by now. */
  async #renamed(
    pairs: readonly (readonly [TableId, TableId])[],
    ddl: string,
    place: StreamPlace,
  ): Promise<readonly Change<MysqlSource>[]> {
    const { describe, history } = this.#options;
    const changes: Change<MysqlSource>[] = [];
    for (const [from, to] of pairs) {
      const [source] = this.#captured([from]);
      const [target] = this.#captured([to]);
      const known = source === undefined ? undefined : this.#known.get(tableName(source));
      if (source !== undefined && known !== undefined && (await describe(source)) === null) {
        this.#known.delete(tableName(source));
        history.record(source, null);
        // One record says it, that of the new name, where there is one.
        const gone = schemaChange(source, null, known, { place, ddl });
        if (target === undefined) changes.push(gone);
        else
          changes.push({
            kind: 'schema',
            id: source,
            table: null,
            previous: known.schema,
            ddl,
            tx: gone.tx,
            at: gone.at,
          });
      }
      if (target === undefined) continue;
      const present = await describe(target);
      if (present === null) {
        if (known !== undefined) this.#await({ ...known.table, id: target }, undefined, ddl);
        continue;
      }
      const before = known ?? this.#known.get(tableName(target)) ?? null;
      const certain = known?.certain === true && sameNames(present, namesOf(known.table));
      const now = this.#remember(present, place.position(), { certain });
      history.record(target, present);
      changes.push(schemaChange(target, now, before, { place, ddl }));
    }
    return changes;
  }

  /** The names of the columns are known, their types come with the first row. */
  #await(said: MysqlTable, known: Known | undefined, ddl: string | null): void {
    const schema = known?.schema ?? schemaOf(said, this.#options.types);
    this.#known.set(tableName(said.id), { table: said, schema, certain: true, unsaid: ddl });
    this.#options.history.record(said.id, said);
  }

  /** What the statement alone makes of the table, with the types that are known; null where it is not understood. */
  #said(
    id: TableId,
    { verb, ddl }: { readonly verb: string; readonly ddl: string | null },
    known: Known | undefined,
    present: MysqlTable | null,
  ): MysqlTable | null {
    if (ddl === null) return null;
    if (verb === 'create') {
      const columns = createdNames(ddl)?.map((name) => ({ name, was: null, redefined: true }));
      return columns === undefined ? null : tableOf(id, columns, { before: null, present });
    }
    if (verb !== 'alter' || known?.certain !== true) return null;
    const columns = alteredColumns(ddl, namesOf(known.table));
    return columns === null ? null : tableOf(id, columns, { before: known.table, present });
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
  #unlogged(id: TableId, place: StreamPlace): RowChange<MysqlSource> {
    const name = tableName(id);
    const schema = this.#known.get(name)?.schema ?? { id, version: 0, columns: [], key: [] };
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
    const schema = this.#options.history.number(schemaOf(table, this.#options.types), since);
    // The same object where nothing changed: encoders are cached by it.
    const same =
      before !== undefined &&
      shapeOf(before.schema) === shapeOf(schema) &&
      before.schema.version === schema.version;
    const known = { table, schema: same ? before.schema : schema, certain, unsaid: null };
    this.#known.set(name, known);
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

function sameNames({ columns }: MysqlTable, names: readonly string[]): boolean {
  return columns.length === names.length && columns.every(({ name }, i) => name === names[i]);
}

function namesOf({ columns }: MysqlTable): readonly string[] {
  return columns.map(({ name }) => name);
}

/** Columns as a statement leaves them; of those that are gone by now the type is open until a table map says it. */
function tableOf(
  id: TableId,
  columns: readonly AlteredColumn[],
  { before, present }: { readonly before: MysqlTable | null; readonly present: MysqlTable | null },
): MysqlTable {
  const all = columns.map(({ name, was, redefined }): MysqlColumn => {
    const old = before?.columns.find((column) => column.name === was);
    const now = present?.columns.find((column) => column.name === name);
    const best = redefined ? (now ?? old) : (old ?? now);
    return best === undefined ? openColumn(name) : { ...best, name };
  });
  const keys = [present, before].map((table) =>
    table === null
      ? [-1]
      : table.key.map((i) => all.findIndex(({ name }) => name === table.columns[i]!.name)),
  );
  const base = present ?? before;
  return {
    id,
    columns: all,
    key: keys.find((each) => !each.includes(-1)) ?? [],
    charset: base?.charset ?? null,
    comment: base?.comment ?? null,
  };
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
    previous: before?.schema ?? null,
    // MySQL's mark of CREATE TABLE … SELECT is no part of what was asked for.
    ddl: ddl?.replace(/ START TRANSACTION$/, '') ?? null,
    description: now === null ? null : describeTable(now.table),
    tx: place.tx(),
    at: place.at(),
  };
}
