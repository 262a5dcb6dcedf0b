import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import type { ChunkRange, PlanOptions, TablePlan } from '../../snapshot/snapshot-source.ts';
import { chunkKeyChanged } from '../changed-table.ts';
import type { PgTable } from './catalogue.ts';
import { isWide } from './pgoutput/relation-state.ts';
import type { Query } from './types/type-registry.ts';
import { loadTypeRegistry, type TypeRegistry } from './types/type-registry.ts';
import { PgError } from './wire/pg-error.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './wire/quoting.ts';

/** Below this the table fits a few reads whatever the order, and resuming is worth more than a bare scan. */
const SMALL_BYTES = 64 * 1024 * 1024;
/** Physical order at least this near to the key's order makes reading by key as good as reading by block. */
const GOOD_CORRELATION = 0.6;
/** The ledger holds the bounds and goes out with every commit. */
const MAX_CHUNKS = 64;
const MAX_BOUNDS_LENGTH = 16_384;
const SAMPLED_PAGES_A_CHUNK = 30;
const INTEGERS = new Set(['int2', 'int4', 'int8']);

/** Tables as the catalogue has them; those that are gone are missing. */
export type Describe = (
  query: Query,
  registry: TypeRegistry,
  ids: readonly TableId[],
) => Promise<readonly PgTable[]>;

export interface PgPlan extends TablePlan {
  readonly table: PgTable;
  readonly wide: readonly boolean[];
  readonly where: string | null;
  /** Casts for the key's literals, in the order of `key`. */
  readonly keyTypes: readonly string[];
  /** Text that changes with the table's columns. */
  readonly fingerprint: string;
  /** Bytes of a row, roughly; null where unknown. */
  readonly rowBytes: number | null;
}

/** The catalogue as one session sees it, and types looked up once. */
export class Planner {
  readonly #describe: Describe;
  readonly #number: (schema: TableSchema) => TableSchema;
  #registry: TypeRegistry | null = null;
  /** Looked at ahead. */
  readonly #known = new Map<string, { readonly table: PgTable; readonly facts: Facts }>();

  constructor(describe: Describe, number: (schema: TableSchema) => TableSchema) {
    this.#describe = describe;
    this.#number = number;
  }

  /** `fresh`: types may have been made since. Throws `snapshot.table-unreadable` where a table is gone. */
  async describe(query: Query, ids: readonly TableId[], fresh = false): Promise<readonly PgTable[]> {
    if (this.#registry === null || fresh) this.#registry = await loadTypeRegistry(query);
    return this.#describe(query, this.#registry, ids);
  }

  /** What `plan` will ask about these tables, asked for all together. Throws PgError. */
  async lookAhead(query: Query, ids: readonly TableId[]): Promise<void> {
    const tables = await this.describe(query, ids);
    const facts = tables.length === 0 ? [] : await readFacts(query, tables);
    tables.forEach((table, i) => this.#known.set(tableName(table.schema.id), { table, facts: facts[i]! }));
  }

  knows(id: TableId): boolean {
    return this.#known.has(tableName(id));
  }

  /**
   * `by`: how to read, where the table leaves a choice. Throws `snapshot.table-unreadable`,
   * `snapshot.where-invalid`, PgError.
   */
  async plan(
    query: Query,
    id: TableId,
    options: PlanOptions & { readonly by: 'key' | 'any' },
  ): Promise<PgPlan> {
    const name = tableName(id);
    const known = this.#known.get(name);
    this.#known.delete(name);
    const table = known?.table ?? (await this.describe(query, [id]))[0];
    if (table === undefined)
      throw new HeadwaterError('snapshot.table-unreadable', `The table ${name} does not exist.`);
    if (options.where !== null) await checkWhere(query, table, options.where);
    const key = chunkKey(table);
    const facts = known?.facts ?? (await readFacts(query, [table]))[0]!;
    const by = key.length === 0 ? 'block' : options.by === 'key' ? 'key' : choose(table, facts);
    const plan: Omit<PgPlan, 'chunks'> = {
      id,
      schema: this.#number(table.schema),
      by,
      key,
      estimatedRows: facts.rows,
      table,
      wide: table.schema.columns.map((column) => isWide(column.type)),
      where: options.where,
      keyTypes: facts.keyTypes,
      fingerprint: facts.fingerprint,
      rowBytes: facts.rows === null || facts.rows < 1 ? null : facts.bytes / facts.rows,
    };
    if (by === 'key' && options.chunks !== undefined) return { ...plan, chunks: options.chunks };
    const count = chunkCount(facts, options.chunkRows);
    const bounds =
      count === 1
        ? []
        : by === 'key'
          ? await keyBounds(query, plan, { count, pages: facts.pages })
          : blockBounds(count, facts.leafPages);
    return { ...plan, chunks: ranges(bounds) };
  }

  /** The table as it is now, with the chunks of an earlier plan. The key must still be the same columns. */
  async replan(query: Query, plan: PgPlan): Promise<PgPlan> {
    this.#registry = null;
    const again = await this.plan(query, plan.id, {
      chunkRows: 1,
      where: plan.where,
      chunks: plan.chunks,
      by: 'key',
    });
    const names = (of: PgPlan): string => of.key.map((column) => of.schema.columns[column]!.name).join('\0');
    if (names(again) !== names(plan)) {
      throw chunkKeyChanged(plan.id);
    }
    return again;
  }
}

/**
 * What windows and chunks go by: the key whose old values the log holds whenever they change. A table with
 * REPLICA IDENTITY FULL or NOTHING goes by its primary key.
 */
export function chunkKey(table: PgTable): readonly number[] {
  switch (table.replicaIdentity) {
    case 'd':
    case 'i':
      return table.replicaIdentityColumns;
    case 'f':
    case 'n':
      return table.keyFrom === 'primary' ? table.schema.key : [];
  }
}

/** `FROM` item: a plain table without the tables that inherit from it, which pgoutput reports by themselves. */
export function fromItem(table: PgTable): string {
  if (table.query !== undefined) return `(${table.query}\n) AS polled`;
  const name = quoteTable(table.schema.id);
  return table.relkind === 'p' ? name : `ONLY ${name}`;
}

/** As a subquery: the relations that hold the table's rows. */
function leaves({ oid, relkind }: PgTable): string {
  return relkind === 'p'
    ? `SELECT relid FROM pg_catalog.pg_partition_tree(${oid}) WHERE isleaf`
    : `SELECT ${oid}::pg_catalog.oid`;
}

/** Expression for PgPlan.fingerprint. */
export function fingerprintOf(oid: number): string {
  return `(SELECT ${FINGERPRINT} FROM pg_catalog.pg_attribute
    WHERE attrelid = ${oid} AND attnum > 0 AND NOT attisdropped)`;
}

const FINGERPRINT = `pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(' ', attnum, attname, atttypid,
    atttypmod, attnotnull, attgenerated), ',' ORDER BY attnum))`;

/**
 * Expression: whether the table was truncated or rewritten since this transaction's snapshot. Such rows are
 * simply not there for older snapshots. The catalogue is read by the snapshot, pg_relation_filenode is not.
 */
export function rewrittenSince(table: PgTable): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid IN (${leaves(table)}) AND c.relfilenode <> 0
    AND pg_catalog.pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode)`;
}

interface Facts {
  readonly bytes: number;
  readonly pages: number;
  /** Of the largest leaf: a block range applies to every leaf alike. */
  readonly leafPages: number;
  readonly rows: number | null;
  /** Of the key's first column with the physical order; null where it was never analysed. */
  readonly correlation: number | null;
  readonly keyTypes: readonly string[];
  readonly fingerprint: string;
}

/** In the order of the tables. Takes the lock of each for a moment, for its size. */
async function readFacts(query: Query, tables: readonly PgTable[]): Promise<readonly Facts[]> {
  const asked = tables.map((table) => ({
    table,
    names: chunkKey(table).map((column) => table.schema.columns[column]!.name),
  }));
  const values = asked.map(({ table: { oid, relkind, schema }, names }) => {
    const texts = [schema.id.schema, schema.id.table, names[0] ?? ''].map(quoteLiteral).join(', ');
    return `(${oid}::pg_catalog.oid, ${relkind === 'p'}, ${texts})`;
  });
  const rows = await query(`WITH asked (oid, partitioned, nsp, rel, att) AS (VALUES ${values.join(', ')}),
    leaves AS (
      SELECT oid AS root, oid AS leaf FROM asked WHERE NOT partitioned
      UNION ALL SELECT a.oid, p.relid FROM asked a, LATERAL pg_catalog.pg_partition_tree(a.oid) p
        WHERE a.partitioned AND p.isleaf),
    sizes AS (
      SELECT root, pg_catalog.sum(bytes) AS bytes, pg_catalog.max(bytes) AS largest,
        pg_catalog.sum(reltuples) FILTER (WHERE reltuples >= 0) AS tuples,
        pg_catalog.bool_or(reltuples < 0 AND bytes > 0) AS unknown
      FROM (SELECT l.root, c.reltuples, pg_catalog.pg_relation_size(c.oid) AS bytes
        FROM leaves l JOIN pg_catalog.pg_class c ON c.oid = l.leaf) sized GROUP BY root),
    attributes AS (
      SELECT attrelid, ${FINGERPRINT} AS fingerprint,
        pg_catalog.json_object_agg(attname, pg_catalog.format_type(atttypid, -1)) AS types
      FROM pg_catalog.pg_attribute WHERE attrelid IN (SELECT oid FROM asked) AND attnum > 0 AND NOT attisdropped
      GROUP BY attrelid)
    SELECT a.oid, s.bytes, s.largest, s.tuples, s.unknown, pg_catalog.current_setting('block_size'),
      t.fingerprint, t.types, (SELECT correlation FROM pg_catalog.pg_stats
        WHERE schemaname = a.nsp AND tablename = a.rel AND attname = a.att AND NOT inherited)
    FROM asked a LEFT JOIN sizes s ON s.root = a.oid LEFT JOIN attributes t ON t.attrelid = a.oid`);
  const byOid = new Map(rows.map((row) => [Number(row[0]), row]));
  return asked.map(({ table, names }) => {
    const [, bytes, largest, tuples, unknown, block, fingerprint, types, correlation] = byOid.get(table.oid)!;
    const typeOf = new Map(types == null ? [] : Object.entries(JSON.parse(types) as Record<string, string>));
    return {
      bytes: Number(bytes ?? 0),
      pages: Math.ceil(Number(bytes ?? 0) / Number(block)),
      leafPages: Math.ceil(Number(largest ?? 0) / Number(block)),
      rows: unknown === 't' ? null : Math.round(Number(tuples ?? 0)),
      correlation: correlation === null || correlation === undefined ? null : Math.abs(Number(correlation)),
      keyTypes: names.map((name) => typeOf.get(name) ?? 'text'),
      fingerprint: fingerprint ?? '',
    };
  });
}

/**
 * By key wherever that costs little, since it can be resumed after any row: small tables, keys that grow as
 * rows are added. Random keys of large tables (uuid) would be read page by random page: by block.
 */
function choose(table: PgTable, facts: Facts): 'key' | 'block' {
  if (facts.bytes <= SMALL_BYTES) return 'key';
  if (facts.correlation !== null) return facts.correlation >= GOOD_CORRELATION ? 'key' : 'block';
  const first = table.schema.columns[chunkKey(table)[0]!]!;
  return INTEGERS.has(first.nativeType) ? 'key' : 'block';
}

function chunkCount(facts: Facts, chunkRows: number): number {
  const rows = facts.rows ?? facts.bytes / 100;
  return Math.max(1, Math.min(MAX_CHUNKS, Math.ceil(rows / Math.max(1, chunkRows)), facts.pages));
}

/** Bounds that halve a sample's rows evenly; cut and ordered by the server, as its text. */
async function keyBounds(
  query: Query,
  plan: Omit<PgPlan, 'chunks'>,
  { count, pages }: { readonly count: number; readonly pages: number },
): Promise<readonly string[]> {
  const percent = Math.min(100, (100 * SAMPLED_PAGES_A_CHUNK * count) / Math.max(1, pages));
  const columns = plan.key.map((column) => quoteIdent(plan.schema.columns[column]!.name));
  const descending = columns.map((column) => `${column} DESC`).join(', ');
  const rows = await query(`SELECT DISTINCT ON (tile) ${columns.join(', ')} FROM (
      SELECT ${columns.join(', ')}, pg_catalog.ntile(${count}) OVER (ORDER BY ${columns.join(', ')}) AS tile
      FROM ${fromItem(plan.table)} TABLESAMPLE SYSTEM (${percent.toFixed(6)})) AS sampled
    ORDER BY tile, ${descending}`);
  const bounds = rows.slice(0, -1).map((row) => JSON.stringify(row));
  return bounds.reduce((sum, bound) => sum + bound.length, 0) <= MAX_BOUNDS_LENGTH ? bounds : [];
}

/** Page numbers, as text. */
function blockBounds(count: number, pages: number): readonly string[] {
  const bounds: string[] = [];
  for (let i = 1; i < count; i++) {
    const bound = String(Math.floor((pages * i) / count));
    if (bound !== '0' && bound !== bounds.at(-1)) bounds.push(bound);
  }
  return bounds;
}

function ranges(bounds: readonly string[]): readonly ChunkRange[] {
  return [...bounds, null].map((to, i) => ({ from: bounds[i - 1] ?? null, to }));
}

async function checkWhere(query: Query, table: PgTable, where: string): Promise<void> {
  try {
    await query(`SELECT FROM ${fromItem(table)} WHERE (${where}\n) LIMIT 0`);
  } catch (cause) {
    if (!(cause instanceof PgError) || !cause.sqlstate.startsWith('42') || cause.sqlstate === '42501')
      throw cause;
    const name = tableName(table.schema.id);
    throw new HeadwaterError(
      'snapshot.where-invalid',
      `The server does not accept the condition for rows of ${name} (SQLSTATE ${cause.sqlstate}).`,
      { details: { table: name, sqlstate: cause.sqlstate }, cause },
    );
  }
}

/** The SELECT of one chunk. `limit` only with `by: 'key'`. */
export function chunkSelect(plan: PgPlan, range: ChunkRange, limit: number | null): string {
  const { schema, table, where, by } = plan;
  const columns = schema.columns.map((column) => quoteIdent(column.name)).join(', ');
  const conditions: string[] = [];
  if (where !== null) conditions.push(`(${where}\n)`);
  let order = '';
  if (by === 'block') {
    if (range.from !== null) conditions.push(`ctid >= '(${Number(range.from)},0)'::pg_catalog.tid`);
    if (range.to !== null) conditions.push(`ctid < '(${Number(range.to)},0)'::pg_catalog.tid`);
  } else {
    const key = plan.key.map((column) => quoteIdent(schema.columns[column]!.name));
    const tuple = key.length === 1 ? key[0]! : `(${key.join(', ')})`;
    if (range.from !== null) conditions.push(`${tuple} > ${keyLiteral(plan, range.from)}`);
    if (range.to !== null) conditions.push(`${tuple} <= ${keyLiteral(plan, range.to)}`);
    order = ` ORDER BY ${key.join(', ')}`;
  }
  const filter = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const end = limit === null ? '' : ` LIMIT ${limit}`;
  return `SELECT ${columns} FROM ${fromItem(table)}${filter}${order}${end}`;
}

/** A bound is a JSON array of the key columns' texts. */
function keyLiteral(plan: PgPlan, bound: string): string {
  const texts = JSON.parse(bound) as readonly string[];
  const values = plan.keyTypes.map((type, i) => `${quoteLiteral(texts[i] ?? '')}::${type}`);
  return values.length === 1 ? values[0]! : `(${values.join(', ')})`;
}
