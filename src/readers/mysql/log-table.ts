/** Holds a table map against what is known of the table, and makes a table of what it says where that is enough. */
import { TYPE } from './binlog/event-types.ts';
import type { LogColumn, LogMetadata, TableMap } from './binlog/table-map.ts';
import type { SystemVersions } from './binlog/table-state.ts';
import type { MysqlTable } from './catalogue.ts';
import { decoderOf } from './types/charsets.ts';
import { charsetName, charsetOfCollation } from './types/collations.ts';
import { binlogDecoder, type Decode } from './types/decode-binlog.ts';
import type { MysqlColumn } from './types/mysql-column.ts';

/** The collation of bytes. */
const BINARY = 63;

/** Whether the log's rows of this table have the columns that are known: as far as the server says it. */
export function agrees(table: MysqlTable, map: TableMap): boolean {
  return (
    (table.columns.length === map.columns.length || systemVersions(table, map) !== null) &&
    table.columns.every((column, i) => columnAgrees(column, map.columns[i]!, map.metadata, i))
  );
}

function columnAgrees(column: MysqlColumn, log: LogColumn, metadata: LogMetadata, i: number): boolean {
  const { unsigned, collations, names, values } = metadata;
  if (!typeAgrees(column, log)) return false;
  if (names !== null && names[i] !== column.name) return false;
  if (column.nullable !== log.nullable && column.generated === null) return false;
  if (unsigned !== null && isInteger(log.type) && unsigned[i] !== column.unsigned) return false;
  const collation = collations?.[i] ?? 0;
  if (collation !== 0) {
    const charset = charsetOfCollation(collation);
    // One that was stored before has the server's own name, perhaps.
    const known = charsetName(column.charset ?? 'binary');
    if (charset !== null && charset !== known && isText(column)) return false;
  }
  const labels = values?.[i] ?? null;
  if (labels !== null && column.values !== null) {
    const read = labelsOf(labels, column.charset);
    if (read.length !== column.values.length || read.some((label, n) => label !== column.values![n]))
      return false;
  }
  return true;
}

function isInteger(type: number): boolean {
  return (
    type === TYPE.tiny ||
    type === TYPE.short ||
    type === TYPE.int24 ||
    type === TYPE.long ||
    type === TYPE.longlong
  );
}

/** MariaDB's own types and JSON travel as strings of a charset that is not the column's. */
function isText({ dataType }: MysqlColumn): boolean {
  return /char$|text$|blob$|binary$|^enum$|^set$/.test(dataType);
}

function typeAgrees(column: MysqlColumn, { type, meta }: LogColumn): boolean {
  const fraction = column.fraction ?? 0;
  switch (column.dataType) {
    case 'tinyint':
      return type === TYPE.tiny;
    case 'smallint':
      return type === TYPE.short;
    case 'mediumint':
      return type === TYPE.int24;
    case 'int':
      return type === TYPE.long;
    case 'bigint':
      return type === TYPE.longlong;
    case 'decimal':
      return type === TYPE.newdecimal && meta === (((column.length ?? 10) << 8) | (column.scale ?? 0));
    case 'float':
      return type === TYPE.float;
    case 'double':
      return type === TYPE.double;
    case 'bit':
      return type === TYPE.bit && meta === (column.length ?? 1);
    case 'year':
      return type === TYPE.year;
    case 'date':
      return type === TYPE.date || type === TYPE.newdate;
    case 'time':
      return type === TYPE.time || (type === TYPE.time2 && meta === fraction);
    case 'datetime':
      return type === TYPE.datetime || (type === TYPE.datetime2 && meta === fraction);
    case 'timestamp':
      return type === TYPE.timestamp || (type === TYPE.timestamp2 && meta === fraction);
    case 'char':
    case 'binary':
      return type === TYPE.string;
    case 'varchar':
    case 'varbinary':
      return type === TYPE.varchar || type === TYPE.varString || type === TYPE.varcharCompressed;
    case 'tinyblob':
    case 'tinytext':
      return isBlob(type, meta, 1);
    case 'blob':
    case 'text':
      return isBlob(type, meta, 2);
    case 'mediumblob':
    case 'mediumtext':
      return isBlob(type, meta, 3);
    case 'longblob':
    case 'longtext':
      return isBlob(type, meta, 4);
    case 'json':
      return type === TYPE.json || isBlob(type, meta, 4);
    case 'enum':
      return type === TYPE.enum && meta === ((column.values?.length ?? 0) > 255 ? 2 : 1);
    case 'set': {
      const bytes = ((column.values?.length ?? 0) + 7) >> 3;
      return type === TYPE.set && meta === (bytes > 4 ? 8 : bytes);
    }
    case 'uuid':
    case 'inet4':
    case 'inet6':
      return type === TYPE.string;
    case 'vector':
      return type === TYPE.vector || type === TYPE.varchar;
    case 'geometry':
    case 'point':
    case 'linestring':
    case 'polygon':
    case 'multipoint':
    case 'multilinestring':
    case 'multipolygon':
    case 'geomcollection':
    case 'geometrycollection':
      return type === TYPE.geometry;
    default:
      return true;
  }
}

function isBlob(type: number, meta: number, bytes: number): boolean {
  return (type === TYPE.blob || type === TYPE.blobCompressed) && meta === bytes;
}

/** Labels come as bytes (see table-map.ts). */
function labelsOf(labels: readonly string[], charset: string | null): readonly string[] {
  const decode = decoderOf(charset ?? 'utf8mb4');
  return labels.map((label) => {
    const bytes = Buffer.from(label, 'latin1');
    return decode(bytes, 0, bytes.length);
  });
}

/**
 * The table as the log describes it. With binlog_row_metadata=FULL names, order, types, nullability, key and charsets
 * are exact; without it the names are those that are known from elsewhere. What the log does not have (defaults,
 * comments, how an integer is displayed) stays as far as one of `bases` has a column of that name and type. Null where
 * that is not enough.
 */
export function tableFromLog(
  map: TableMap,
  bases: readonly MysqlTable[],
  knownNames: readonly string[] | null,
): MysqlTable | null {
  const { key, values } = map.metadata;
  const hidden = hasImplicitVersions(map) ? 2 : 0;
  const shown = map.columns.length - hidden;
  const names = map.metadata.names?.slice(0, shown) ?? knownNames;
  if (names === null || names.length !== shown) return null;
  const columns = names.map((name, i) => {
    const log = map.columns[i]!;
    for (const base of bases) {
      const known = base.columns.find((column) => column.name === name);
      if (known === undefined) continue;
      const column = { ...known, nullable: log.nullable };
      if (columnAgrees(column, log, { ...map.metadata, names: null }, i)) return column;
    }
    const labelled = log.type === TYPE.enum || log.type === TYPE.set;
    const hint = bases.flatMap((base) => base.columns.find((column) => column.name === name) ?? [])[0];
    return labelled && (values?.[i] ?? null) === null ? null : columnFromLog(name, map, i, hint);
  });
  if (!columns.every((column) => column !== null)) return null;
  const keys = bases.map((base) => base.key.map((i) => names.indexOf(base.columns[i]!.name)));
  return {
    id: map.id,
    columns,
    key: key ?? keys.find((each) => !each.includes(-1)) ?? [],
    charset: bases[0]?.charset ?? null,
    comment: bases[0]?.comment ?? null,
  };
}

/** Columns without names, for rows that nothing is known of: they are read only to be passed over. */
export function anonymousTable(map: TableMap): MysqlTable {
  const columns = map.columns.map((_, i) => columnFromLog(`@${i + 1}`, map, i));
  return { id: map.id, columns, key: [], charset: null, comment: null };
}

const SEQUENCE: readonly number[] = [8, 8, 8, 8, 8, 8, 1, 8];

/** MariaDB logs NEXT VALUE of a sequence as a row: of eight columns that it always has. */
export function isSequence({ columns, metadata: { names } }: TableMap): boolean {
  return (
    columns.length === SEQUENCE.length &&
    columns.every(({ type, nullable }, i) => type === SEQUENCE[i] && !nullable) &&
    (names === null || names[0] === 'next_not_cached_value')
  );
}

/**
 * MariaDB's tables WITH SYSTEM VERSIONING have two more columns in the log than in the catalogue, unless they were
 * declared: from when and until when the row was true.
 */
export function systemVersions(table: MysqlTable, map: TableMap): SystemVersions | null {
  const columns = table.columns.length;
  if (map.columns.length !== columns + 2 || !hasImplicitVersions(map)) return null;
  return { columns, end: columns + 1 };
}

function hasImplicitVersions({ columns, metadata: { names } }: TableMap): boolean {
  const [start, end] = columns.slice(-2);
  const isPeriod = (log: LogColumn | undefined): boolean =>
    log !== undefined && log.type === TYPE.timestamp2 && log.meta === 6 && !log.nullable;
  if (!isPeriod(start) || !isPeriod(end)) return false;
  return names === null || (names.at(-2) === 'row_start' && names.at(-1) === 'row_end');
}

export function versionDecoders(map: TableMap): readonly (Decode | null)[] {
  const first = map.columns.length - 2;
  return [first, first + 1].map((i) => binlogDecoder(columnFromLog('', map, i), map.columns[i]!));
}

const GEOMETRIES: readonly string[] = [
  'geometry',
  'point',
  'linestring',
  'polygon',
  'multipoint',
  'multilinestring',
  'multipolygon',
  'geomcollection',
];

/** `hint`: a column that does not agree, for what the log does not say. */
function columnFromLog(name: string, map: TableMap, i: number, hint?: MysqlColumn): MysqlColumn {
  const { type, meta, nullable } = map.columns[i]!;
  const { unsigned, collations, values, geometryTypes, dimensions, visible } = map.metadata;
  const collation = collations?.[i] ?? 0;
  const logged = collation === 0 || collation === BINARY ? null : charsetOfCollation(collation);
  const charset = collations === null ? (hint?.charset ?? null) : logged;
  const text = charset !== null;
  const labels = values?.[i] ?? null;
  const column: MysqlColumn = {
    ...openColumn(name),
    unsigned: unsigned?.[i] ?? hint?.unsigned ?? false,
    charset,
    values: labels === null ? null : labelsOf(labels, charset),
    nullable,
    invisible: visible?.[i] === false,
  };
  switch (type) {
    case TYPE.tiny:
      return { ...column, dataType: 'tinyint' };
    case TYPE.short:
      return { ...column, dataType: 'smallint' };
    case TYPE.int24:
      return { ...column, dataType: 'mediumint' };
    case TYPE.long:
      return { ...column, dataType: 'int' };
    case TYPE.longlong:
      return { ...column, dataType: 'bigint' };
    case TYPE.newdecimal:
      return { ...column, dataType: 'decimal', length: meta >> 8, scale: meta & 0xff };
    case TYPE.float:
      return { ...column, dataType: 'float' };
    case TYPE.double:
      return { ...column, dataType: 'double' };
    case TYPE.bit:
      return { ...column, dataType: 'bit', length: meta };
    case TYPE.year:
      return { ...column, dataType: 'year' };
    case TYPE.date:
    case TYPE.newdate:
      return { ...column, dataType: 'date' };
    case TYPE.time:
    case TYPE.time2:
      return { ...column, dataType: 'time', fraction: meta };
    case TYPE.datetime:
    case TYPE.datetime2:
      return { ...column, dataType: 'datetime', fraction: meta };
    case TYPE.timestamp:
    case TYPE.timestamp2:
      return { ...column, dataType: 'timestamp', fraction: meta };
    case TYPE.string:
      return { ...column, dataType: text ? 'char' : 'binary', length: lengthOf(meta, charset) };
    case TYPE.varchar:
    case TYPE.varString:
    case TYPE.varcharCompressed:
      return { ...column, dataType: text ? 'varchar' : 'varbinary', length: lengthOf(meta, charset) };
    case TYPE.blob:
    case TYPE.blobCompressed:
      return {
        ...column,
        dataType: `${['tiny', '', 'medium', 'long'][meta - 1] ?? 'long'}${text ? 'text' : 'blob'}`,
      };
    case TYPE.json:
      return { ...column, dataType: 'json' };
    case TYPE.enum:
      return { ...column, dataType: 'enum' };
    case TYPE.set:
      return { ...column, dataType: 'set' };
    case TYPE.geometry:
      return { ...column, dataType: GEOMETRIES[geometryTypes?.[i] ?? 0] ?? 'geometry' };
    case TYPE.vector:
      return { ...column, dataType: 'vector', length: dimensions?.[i] ?? null };
    default:
      return column;
  }
}

/** Of which only the name is known. */
export function openColumn(name: string): MysqlColumn {
  return {
    name,
    dataType: 'varbinary',
    columnType: null,
    unsigned: false,
    length: null,
    scale: null,
    fraction: null,
    charset: null,
    collation: null,
    values: null,
    nullable: true,
    default: null,
    autoIncrement: false,
    generated: null,
    comment: null,
    srid: null,
    invisible: false,
  };
}

const CHARACTER_BYTES: Readonly<Record<string, number>> = {
  utf8mb4: 4,
  utf8mb3: 3,
  utf8: 3,
  utf16: 4,
  utf16le: 4,
  utf32: 4,
  ucs2: 2,
  big5: 2,
  gbk: 2,
  sjis: 2,
  cp932: 2,
  euckr: 2,
  gb2312: 2,
  ujis: 3,
  eucjpms: 3,
  gb18030: 4,
};

/** The log counts bytes, a column of text characters. */
function lengthOf(bytes: number, charset: string | null): number {
  return charset === null ? bytes : Math.floor(bytes / (CHARACTER_BYTES[charset] ?? 1));
}
