/** What the rows behind a table map are decoded with. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { tableName } from '../../model/table.ts';
import { ABSENT } from '../../model/value.ts';
import { TYPE } from './binlog/event-types.ts';
import { BinlogRows } from './binlog/raw-rows.ts';
import type { TableMap } from './binlog/table-map.ts';
import type { TableState } from './binlog/table-state.ts';
import type { MysqlTable } from './catalogue.ts';
import type { KnownTable } from './known-tables.ts';
import { systemVersions, versionDecoders } from './log-table.ts';
import { insertedDefault } from './types/column-default.ts';
import { binlogDecoder, type Decode } from './types/decode-binlog.ts';

/** `body`: of the table map, which is copied. `unreadable`: why the rows cannot be read; null where they can. */
export function rowDecoding(
  map: TableMap,
  body: Buffer,
  { table, schema }: Pick<KnownTable, 'table' | 'schema'>,
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
      raw:
        versions === null && decoders !== null ? BinlogRows.of(table.columns, map.columns, decoders) : null,
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
