import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Change, RowChange, SchemaChange } from '../../model/change.ts';
import type { JsonValue } from '../../model/position.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import { TYPE } from './binlog/event-types.ts';
import type { QueryEvent } from './binlog/events.ts';
import type { TableMap } from './binlog/table-map.ts';
import type { TableState } from './binlog/table-state.ts';
import { type MysqlTable, schemaOf } from './catalogue.ts';
import { recognise } from './ddl/statement.ts';
import { describeTable } from './describe-table.ts';
import {
  agrees,
  anonymousTable,
  isSequence,
  systemVersions,
  tableFromLog,
  versionDecoders,
} from './log-table.ts';
import { type SchemaHistory, shapeOf } from './schema-history.ts';
import type { MysqlSource, MysqlTx } from './source-info.ts';
import { binlogDecoder } from './types/decode-binlog.ts';
import type { MysqlTypeOptions } from './types/mysql-column.ts';

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
}

/**
 * The shape of each table at the stream's own position. It is the one of the checkpoint until a statement of the log
 * touches the table; then the catalogue is read back, which may be ahead of the stream. Before any row is read with
 * it, each table map is held against it: where they differ, what the log itself says (binlog_row_metadata=FULL)
 * decides, and where that is not enough the rows of that one table go to the dead-letter topic.
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
    if (known !== undefined && agrees(known.table, map)) {
      return { state: this.#state(map, body, known, null), changes: [] };
    }
    const present = await describe(map.id);
    if (present === null && known === undefined && isSequence(map)) {
      return {
        state: { tableId: map.tableId, id: map.id, map: Buffer.from(body), captured: null },
        changes: [],
      };
    }
    const exact =
      present !== null && agrees(present, map) ? present : tableFromLog(map, present ?? known?.table ?? null);
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
    const same = known !== undefined && shapeOf(known.schema) === shapeOf(now.schema);
    const changes = same ? [] : [schemaChange(map.id, now, known ?? null, { place, ddl: null })];
    return { state: this.#state(map, body, now, null), changes };
  }

  /** What a statement of the log did to captured tables. */
  async statement(query: QueryEvent, place: StreamPlace): Promise<readonly Change<MysqlSource>[]> {
    const statement = recognise(query.sql, query.database);
    switch (statement.kind) {
      case 'none':
        return [];
      case 'tables':
        return this.#changed(statement.ids, { verb: statement.verb, ddl: query.sql }, place);
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
        const tx = place.tx();
        return [{ kind: 'truncate', table: known.schema, tx, seq: place.nextSeq(), at: place.at() }];
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
    { verb, ddl }: { readonly verb: 'create' | 'alter' | 'rename' | 'drop'; readonly ddl: string | null },
    place: StreamPlace,
  ): Promise<readonly Change<MysqlSource>[]> {
    const changes: Change<MysqlSource>[] = [];
    for (const id of this.#captured(ids)) {
      const name = tableName(id);
      const known = this.#known.get(name);
      const present = verb === 'drop' ? null : await this.#options.describe(id);
      if (present === null) {
        if (known === undefined || verb === 'alter' || verb === 'create') continue;
        this.#known.delete(name);
        this.#options.history.record(id, null);
        changes.push(schemaChange(id, null, known, { place, ddl }));
        continue;
      }
      const now = this.#remember(present, place.position());
      this.#options.history.record(id, present);
      const same = known !== undefined && shapeOf(known.schema) === shapeOf(now.schema);
      if (!same || ddl !== null) changes.push(schemaChange(id, now, known ?? null, { place, ddl }));
    }
    return changes;
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
    return {
      kind: 'row',
      op: 'u',
      table: schema,
      before: null,
      after: null,
      tx: place.tx(),
      seq: place.nextSeq(),
      at: place.at(),
      snapshot: null,
      unreadable: new HeadwaterError(
        'source.statement-logged',
        `Rows of ${name} were changed by a statement that is in the log instead of the rows, at offset ${place.at().pos} of ${place.at().file}.`,
        { details: { table: name } },
      ),
    };
  }

  #remember(table: MysqlTable, since: JsonValue): Known {
    const name = tableName(table.id);
    const before = this.#known.get(name);
    const schema = this.#options.history.number(schemaOf(table, this.#options.types), since);
    // The same object where nothing changed: encoders are cached by it.
    const same =
      before !== undefined &&
      shapeOf(before.schema) === shapeOf(schema) &&
      before.schema.version === schema.version;
    const known = { table, schema: same ? before.schema : schema };
    this.#known.set(name, known);
    return known;
  }

  #state(
    map: TableMap,
    body: Buffer,
    { table, schema }: Known,
    unreadable: HeadwaterError | null,
  ): TableState {
    const versions = systemVersions(table, map);
    return {
      tableId: map.tableId,
      id: map.id,
      map: Buffer.from(body),
      captured: {
        schema,
        decoders: [
          ...table.columns.map((column, i) => binlogDecoder(column, map.columns[i]!)),
          ...(versions === null ? [] : versionDecoders(map)),
        ],
        versions,
        json: map.columns.flatMap(({ type }, i) => (type === TYPE.json ? [i] : [])),
        unreadable,
      },
    };
  }

  #warn(key: string, fields: Record<string, unknown>, message: string): void {
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#options.log.warn(fields, message);
  }
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
    ddl,
    description: now === null ? null : describeTable(now.table),
    tx: place.tx(),
    at: place.at(),
  };
}
