import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Change } from '../../model/change.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import { isAhead, namesOf } from './altered-table.ts';
import type { QueryEvent } from './binlog/events.ts';
import type { TableMap } from './binlog/table-map.ts';
import type { TableState } from './binlog/table-state.ts';
import { type MysqlTable, schemaOf } from './catalogue.ts';
import { type KnownTable, KnownTables } from './known-tables.ts';
import { agrees, anonymousTable, isSequence, tableFromLog } from './log-table.ts';
import { rowDecoding } from './row-decoding.ts';
import { type SchemaHistory, shapeOf } from './schema-history.ts';
import type { MysqlSource, StreamPlace } from './source-info.ts';
import { tableChange } from './table-change.ts';
import { TableStatements } from './table-statements.ts';
import type { MysqlTypeOptions } from './types/mysql-column.ts';

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
  /** Waits until the catalogue shows what the log has told of the table: see untilVisible. */
  readonly untilVisible: (id: TableId) => Promise<void>;
  /** The database that a statement's names are looked up in without regard to case (lower_case_table_names). */
  readonly lowerCase: boolean;
  readonly log: Log;
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
  readonly #known: KnownTables;
  readonly #statements: TableStatements;

  constructor(options: TablesOptions) {
    this.#options = options;
    const { continuous, described, history, isCaptured } = options;
    const known = new KnownTables(options);
    this.#known = known;
    this.#statements = new TableStatements({ ...options, known });
    // What is met first may have been made, or altered, behind the place where the stream goes on.
    for (const now of described) {
      if (!continuous || history.stored(now.id) === null) known.remember(now, null, { certain: !continuous });
    }
    // Also those that have been dropped behind it.
    if (continuous) for (const id of history.allStored()) if (isCaptured(id)) known.restore(id);
    if (!continuous) for (const id of history.allFollowed()) history.unfollow(id);
  }

  /** What a statement of the log did to captured tables. */
  statement(query: QueryEvent, place: StreamPlace): Promise<readonly Change<MysqlSource>[]> {
    return this.#statements.apply(query, place);
  }

  /** Decoders for the rows that follow the table map, and elements that belong before them. */
  async resolve(
    map: TableMap,
    body: Buffer,
    place: StreamPlace,
  ): Promise<{ readonly state: TableState; readonly changes: readonly Change<MysqlSource>[] }> {
    const name = tableName(map.id);
    const known = this.#known.get(map.id);
    if (known !== undefined && agrees(known.table, map) && known.awaits === null) {
      if (!known.certain && map.metadata.names !== null) this.#known.remember(known.table, place.position());
      return { state: rowDecoding(map, body, known, null), changes: [] };
    }
    const present = await this.#options.describe(map.id);
    if (present === null && known === undefined && isSequence(map)) {
      return {
        state: { tableId: map.tableId, id: map.id, map: Buffer.from(body), captured: null },
        changes: [],
      };
    }
    const exact = exactTable(map, known, present);
    if (exact === null) {
      const error = new HeadwaterError(
        'source.schema-unknown',
        `The columns that ${name} had at offset ${place.at().pos} of ${place.at().file} are not known: the table was changed again since, and the server does not log the names of columns.`,
        { details: { table: name } },
      );
      const anonymous = anonymousTable(map);
      const schema = { ...schemaOf(anonymous, this.#options.types), nameless: true } as const;
      return { state: rowDecoding(map, body, { table: anonymous, schema }, error), changes: [] };
    }
    const certain = known?.certain === true || map.metadata.names !== null;
    const now = this.#known.remember(exact, place.position(), { certain });
    const ddl = known?.awaits?.ddl ?? null;
    const same = ddl === null && known !== undefined && shapeOf(known.schema) === shapeOf(now.schema);
    const changes = same ? [] : [tableChange(map.id, now, known ?? null, { place, ddl })];
    return { state: rowDecoding(map, body, now, null), changes };
  }
}

/** The table as the rows behind the table map have it; null where nothing says that. */
function exactTable(
  map: TableMap,
  known: KnownTable | undefined,
  present: MysqlTable | null,
): MysqlTable | null {
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
