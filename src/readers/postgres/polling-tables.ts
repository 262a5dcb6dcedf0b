import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import type { PollTableOptions } from '../poll-dialect.ts';
import { columnIndex } from '../polled-column.ts';
import { choosePolled, type PolledNames } from '../polled-names.ts';
import type { CapturedTable } from '../reader.ts';
import { describeTables, type PgTable } from './catalogue.ts';
import { isWide } from './pgoutput/relation-state.ts';
import type { PgPolledTable } from './polling-sql.ts';
import { fingerprintOf } from './snapshot-plan.ts';
import type { Query, TypeRegistry } from './types/type-registry.ts';
import type { PgConnection } from './wire/connection.ts';
import { quoteIdent } from './wire/quoting.ts';

/** Ordinary tables tell who wrote a row, and partitioned ones. */
const VERSIONED: ReadonlySet<string> = new Set(['r', 'p', 'm']);

/** Whatever holds rows; partitions through their root. */
const RELATIONS = `SELECT n.nspname, c.relname, c.relkind,
    CASE WHEN c.reltuples >= 0 AND c.relkind = 'r' THEN c.reltuples::pg_catalog.int8 END,
    pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
    (SELECT pg_catalog.json_agg(a.attname ORDER BY k.ord) FROM pg_catalog.pg_index i,
      pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY k (attnum, ord), pg_catalog.pg_attribute a
      WHERE i.indrelid = c.oid AND i.indisprimary AND k.ord <= i.indnkeyatts
        AND a.attrelid = c.oid AND a.attnum = k.attnum)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND NOT c.relispartition
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
  ORDER BY n.nspname, c.relname`;

export interface PolledRelation {
  readonly id: TableId;
  readonly kind: string;
  readonly estimatedRows: number | null;
  readonly readable: boolean;
  readonly key: readonly string[] | null;
}

export interface PgPolledNames extends PolledNames {
  readonly place: string;
}

/** What the settings ask to poll. Throws `settings.no-table-matches`, as `Reader.tables` does. */
export async function listPolled(
  query: Query,
  names: PgPolledNames,
  onUnmatched?: (message: string) => void,
): Promise<readonly PolledRelation[]> {
  const { optionsOf, place } = names;
  const all = (await query(RELATIONS)).map(([schema, table, kind, rows, readable, key]): PolledRelation => ({
    id: { schema: schema ?? '', table: table ?? '' },
    kind: kind ?? '',
    estimatedRows: rows == null ? null : Number(rows),
    readable: readable === 't',
    key: key == null ? null : (JSON.parse(key) as string[]),
  }));
  const relations = choosePolled(
    {
      all,
      isView: ({ kind }) => kind !== 'r' && kind !== 'p',
      ofQuery: (id) => ({ id, kind: 'q', estimatedRows: null, readable: true, key: null }),
    },
    names,
    {
      where: `in ${place}`,
      advice: (visible) => ({
        fix: `Check schema and spelling. The role sees ${visible === '' ? 'no table' : visible}.`,
      }),
      onUnmatched,
    },
  );
  return relations.map((relation) => ({ ...relation, key: optionsOf(relation.id).key ?? relation.key }));
}

export function capturedOf({ id, key, estimatedRows }: PolledRelation): CapturedTable {
  return { id, key, estimatedRows, limitation: null };
}

/** A query's result as a table. */
async function describeQuery(
  session: PgConnection,
  registry: TypeRegistry,
  { id, options }: { readonly id: TableId; readonly options: PollTableOptions },
  signal: AbortSignal | undefined,
): Promise<PgTable> {
  const text = options.query ?? '';
  const found = await session.columns(`SELECT * FROM (${text}\n) AS polled LIMIT 0`, signal);
  const infos = found.map(({ name, typeOid, typmod }) => ({ name, info: registry.column(typeOid, typmod) }));
  const columns = infos.map(({ name, info }) => ({
    name,
    type: info?.type ?? ({ kind: 'string' } as const),
    nullable: !(options.key ?? []).includes(name),
    default: undefined,
    nativeType: info?.nativeType ?? 'unknown',
    length: info?.length ?? null,
    scale: info?.scale ?? null,
    ...(info === null || info.opaque === true ? { opaque: true as const } : {}),
  }));
  return {
    oid: 0,
    query: text,
    schema: { id, version: 1, columns, key: [] },
    decoders: infos.map(({ info }) => info?.decode ?? ((text: string) => text)),
    relkind: 'q',
    replicaIdentity: 'n',
    replicaIdentityColumns: [],
    keyFrom: null,
    partitionRoot: null,
    omittedGenerated: [],
  };
}

/** Tables and queries, their keys as the settings have them. */
export async function describePolled(
  session: PgConnection,
  registry: TypeRegistry,
  of: { readonly ids: readonly TableId[]; readonly names: Pick<PolledNames, 'queries' | 'optionsOf'> },
  signal?: AbortSignal,
): Promise<readonly PgTable[]> {
  const { ids, names } = of;
  const queries = new Set(names.queries.map(tableName));
  const real = ids.filter((id) => !queries.has(tableName(id)));
  const query: Query = (sql) => session.query(sql, signal);
  const tables = [...(await describeTables(query, registry, { ids: real }, { generatedColumns: 'stored' }))];
  for (const id of ids) {
    if (!queries.has(tableName(id))) continue;
    tables.push(await describeQuery(session, registry, { id, options: names.optionsOf(id) }, signal));
  }
  return tables.map((table) => {
    const { key } = names.optionsOf(table.schema.id);
    if (key === null) return table;
    const indexes = key.map((column) => columnIndex(table.schema, column));
    return { ...table, schema: { ...table.schema, key: indexes } };
  });
}

/** Throws `settings.column-missing` where the settings name a column that is not there or cannot be used so. */
export function polledTable(
  table: PgTable,
  options: PollTableOptions,
  of: { readonly fingerprint: string; readonly number: (schema: TableSchema) => TableSchema },
): PgPolledTable {
  const { columns } = table.schema;
  const name = tableName(table.schema.id);
  const indexOf = (column: string): number => columnIndex(table.schema, column);
  const schema = of.number(table.schema);
  const { key } = schema;
  const timestamp = options.timestamp.map(indexOf);
  const kinds = new Set(timestamp.map((index) => columns[index]!.type.kind));
  if (kinds.size > 1 || [...kinds].some((kind) => !['timestamp', 'timestamptz', 'date'].includes(kind))) {
    throw new HeadwaterError(
      'settings.column-missing',
      `The timestamp columns of ${name} have to be all timestamp, all timestamptz, or all date.`,
      { details: { table: name } },
    );
  }
  const incrementing = options.incrementing === null ? null : indexOf(options.incrementing);
  const order = incrementing === null ? key : [incrementing];
  if (options.mode !== 'bulk' && order.length === 0) {
    throw new HeadwaterError(
      'settings.column-missing',
      `${name} has no primary key, so rows of one timestamp cannot be told apart.`,
      { fix: `Name columns of a unique key as source.poll.tables.${name}.key.`, details: { table: name } },
    );
  }
  return {
    schema,
    options,
    versioned: VERSIONED.has(table.relkind),
    timestamp,
    order,
    nullable: timestamp.length > 0 && timestamp.every((index) => columns[index]!.nullable),
    table,
    wide: columns.map(({ type }) => isWide(type)),
    fingerprint: of.fingerprint,
  };
}

/** oid → text that changes with the table's columns. */
export async function fingerprints(
  query: Query,
  oids: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  const real = oids.filter((oid) => oid !== 0);
  if (real.length === 0) return new Map();
  const rows = await query(
    real.map((oid) => `SELECT ${oid}, ${fingerprintOf(oid)}, ${keyOf(oid)}`).join(' UNION ALL '),
  );
  return new Map(rows.map(([oid, columns, key]) => [Number(oid), `${columns ?? ''} ${key ?? ''}`]));
}

/** Expression that changes with the primary key. */
function keyOf(oid: number): string {
  return `(SELECT indkey::text FROM pg_catalog.pg_index WHERE indrelid = ${oid} AND indisprimary)`;
}

export function grantOf({ id }: PolledRelation, user: string): string {
  const role = quoteIdent(user);
  return `GRANT USAGE ON SCHEMA ${quoteIdent(id.schema)} TO ${role}; GRANT SELECT ON ${quoteIdent(id.schema)}.${quoteIdent(id.table)} TO ${role};`;
}
