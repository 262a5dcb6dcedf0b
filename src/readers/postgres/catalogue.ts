/**
 * Tables as PostgreSQL's catalogue has them now → TableSchema, decoders, and what the reader must know to
 * capture them. Columns are in attnum order, as pgoutput and COPY send them; dropped ones are skipped.
 */
import type { Column, TableId, TableSchema } from '../../model/table.ts';
import type { Value } from '../../model/value.ts';
import { readDefault, showsDefault } from './types/column-default.ts';
import { decodeText } from './types/decode-scalar.ts';
import type { ColumnTypeInfo, Query, TypeRegistry } from './types/type-registry.ts';
import { quoteLiteral } from './wire/quoting.ts';

export interface PgTable {
  readonly oid: number;
  /** Version 1: the caller counts versions. */
  readonly schema: TableSchema;
  /** One per column of `schema`. */
  readonly decoders: readonly ((text: string) => Value)[];
  /** A query of the settings that stands for the table; it has no oid. */
  readonly query?: string;
  /** r table, p partitioned, m materialised view, f foreign table, v view. */
  readonly relkind: string;
  /** d default, n nothing, f full, i index. */
  readonly replicaIdentity: 'd' | 'n' | 'f' | 'i';
  /** Columns (indexes into `schema.columns`) that the log holds of an old row; empty: none, or not all sent. */
  readonly replicaIdentityColumns: readonly number[];
  /** Where `schema.key` comes from. */
  readonly keyFrom: 'primary' | 'replica-index' | null;
  /** The topmost partitioned table this is a partition of, or null. */
  readonly partitionRoot: { readonly oid: number; readonly id: TableId } | null;
  /** Columns that are generated and not part of `schema`. */
  readonly omittedGenerated: readonly string[];
}

export interface TableFilter {
  readonly oids?: readonly number[];
  readonly ids?: readonly TableId[];
}

/**
 * `generatedColumns: 'stored'` where the publication publishes them (PostgreSQL 18,
 * publish_generated_columns = stored); with `none` they are left out, so that snapshot and stream agree.
 */
export interface DescribeOptions {
  readonly generatedColumns: 'stored' | 'none';
}

/**
 * Tables that do not exist (any more) are missing from the result; without a filter, all tables outside the
 * system's schemas. A column type the registry does not know is read as text: load the registry first.
 */
export async function describeTables(
  query: Query,
  registry: TypeRegistry,
  filter: TableFilter,
  options: DescribeOptions,
): Promise<readonly PgTable[]> {
  const condition = filterCondition(filter);
  if (condition === null) return [];
  const tables =
    await query(`SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, r.oid, rn.nspname, r.relname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_class r ON c.relispartition AND r.oid = pg_catalog.pg_partition_root(c.oid)
    LEFT JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
    WHERE ${condition} ORDER BY n.nspname, c.relname`);
  if (tables.length === 0) return [];
  const oids = tables.map((row) => Number(row[0])).join(',');
  const attributes = groupByOid(
    // A default names no column; asked of its table, pg_get_expr would wait for whoever has that locked.
    await query(`SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attndims,
      a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attgenerated,
      a.attidentity, CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, 0) END
    FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid IN (${oids}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum`),
  );
  const indexes = groupByOid(
    await query(`SELECT indrelid, indisprimary, indisreplident, indkey, indnkeyatts FROM pg_catalog.pg_index
    WHERE indrelid IN (${oids}) AND (indisprimary OR indisreplident) AND indislive`),
  );
  return tables.map((row) => {
    const oid = row[0] ?? '';
    return buildTable(row, attributes.get(oid) ?? [], indexes.get(oid) ?? [], { registry, options });
  });
}

type RawRow = readonly (string | null)[];

interface BuildContext {
  readonly registry: TypeRegistry;
  readonly options: DescribeOptions;
}

function filterCondition(filter: TableFilter): string | null {
  if (filter.oids !== undefined) {
    return filter.oids.length === 0
      ? null
      : `c.oid IN (${filter.oids.map((oid) => Math.trunc(oid)).join(',')})`;
  }
  if (filter.ids !== undefined) {
    if (filter.ids.length === 0) return null;
    const pairs = filter.ids.map((id) => `(${quoteLiteral(id.schema)},${quoteLiteral(id.table)})`);
    return `(n.nspname, c.relname) IN (${pairs.join(',')}) AND c.relkind IN ('r', 'p', 'm', 'f', 'v')`;
  }
  return `c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_t%'`;
}

function buildTable(
  table: RawRow,
  attributes: readonly RawRow[],
  indexes: readonly RawRow[],
  context: BuildContext,
): PgTable {
  const columns: Column[] = [];
  const decoders: ((text: string) => Value)[] = [];
  const omittedGenerated: string[] = [];
  const positions = new Map<number, number>(); // attnum → index into columns
  for (const attribute of attributes) {
    const [, attnum, name, , , , , generated] = attribute;
    const left = generated === 'v' || (generated === 's' && context.options.generatedColumns === 'none');
    if (left) {
      omittedGenerated.push(name ?? '');
      continue;
    }
    positions.set(Number(attnum), columns.length);
    const info = columnType(attribute, context.registry);
    columns.push(buildColumn(attribute, info));
    decoders.push(info.decode);
  }
  const primary = indexColumns(indexes, positions, 1);
  const identityIndex = indexColumns(indexes, positions, 2);
  const replicaIdentity = table[4] as PgTable['replicaIdentity'];
  // Of an old row the log holds the identity's columns alone: a key it does not hold would be no key.
  const primaryKnown = replicaIdentity !== 'i' || primary.every((column) => identityIndex.includes(column));
  const key = primary.length > 0 && primaryKnown ? primary : identityIndex;
  const identity = { d: primary, i: identityIndex, f: columns.map((_, i) => i), n: [] }[replicaIdentity];
  return {
    oid: Number(table[0]),
    schema: { id: { schema: table[1] ?? '', table: table[2] ?? '' }, version: 1, columns, key },
    decoders,
    relkind: table[3] ?? '',
    replicaIdentity,
    replicaIdentityColumns: identity,
    keyFrom: key.length === 0 ? null : key === primary ? 'primary' : 'replica-index',
    partitionRoot:
      table[5] === null || table[5] === undefined
        ? null
        : { oid: Number(table[5]), id: { schema: table[6] ?? '', table: table[7] ?? '' } },
    omittedGenerated,
  };
}

const UNKNOWN: ColumnTypeInfo = {
  type: { kind: 'string' },
  nativeType: 'unknown',
  length: null,
  scale: null,
  opaque: true,
  decode: decodeText,
};

function columnType(attribute: RawRow, registry: TypeRegistry): ColumnTypeInfo {
  const dimensions = Math.max(1, Number(attribute[5]));
  return registry.column(Number(attribute[3]), Number(attribute[4]), dimensions) ?? UNKNOWN;
}

function buildColumn(attribute: RawRow, info: ColumnTypeInfo): Column {
  const [, , name, , , , notNull, generated, identity, expression] = attribute;
  // Of a generated column pg_attrdef holds the expression, which is no default; nor has an identity one.
  const found = generated === '' && identity === '' ? readDefault(expression ?? null, info) : null;
  const column: Column = {
    name: name ?? '',
    type: info.type,
    nullable: notNull !== 't',
    default: found?.kind === 'constant' ? found.value : undefined,
    nativeType: info.nativeType,
    length: info.length,
    scale: info.scale,
  };
  return {
    ...column,
    ...(found?.kind === 'computed' ? { computedDefault: true as const } : {}),
    ...(found !== null && !showsDefault(info) ? { hiddenDefault: true as const } : {}),
    ...(info.opaque ? { opaque: true as const } : {}),
  };
}

/**
 * Columns of the primary key's index (1) or of the replica identity's (2), in index order and without INCLUDE
 * columns; none where one of them is not captured, since the rest would not identify a row.
 */
function indexColumns(
  indexes: readonly RawRow[],
  positions: ReadonlyMap<number, number>,
  flag: 1 | 2,
): readonly number[] {
  const index = indexes.find((row) => row[flag] === 't');
  if (index === undefined) return [];
  const attnums = (index[3] ?? '').split(' ').slice(0, Number(index[4]));
  const columns = attnums.map((attnum) => positions.get(Number(attnum)));
  return columns.every((column) => column !== undefined) ? columns : [];
}

function groupByOid(rows: readonly RawRow[]): ReadonlyMap<string, readonly RawRow[]> {
  const groups = new Map<string, RawRow[]>();
  for (const row of rows) {
    const oid = row[0] ?? '';
    const group = groups.get(oid);
    if (group === undefined) groups.set(oid, [row]);
    else group.push(row);
  }
  return groups;
}
