import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import type { Row } from '../../model/value.ts';
import type { ChunkRange, PlanOptions, TablePlan } from '../../snapshot/snapshot-source.ts';
import { chunkKeyChanged } from '../changed-table.ts';
import {
  describeTables,
  fromItem,
  isTransactional,
  type MysqlTable,
  type Query,
  schemaOf,
} from './catalogue.ts';
import { boundItem, boundOf, isIntegerKey, isOrderable, rangeConditions } from './key-bounds.ts';
import { keyCondition } from './key-conditions.ts';
import { RawTextRows } from './raw-text-rows.ts';
import { selectItem } from './types/decode-text.ts';
import type { MysqlColumn, MysqlTypeOptions } from './types/mysql-column.ts';
import { MysqlError } from './wire/mysql-error.ts';
import { quoteIdent, quoteLiteral } from './wire/quoting.ts';
import type { CatalogueSession } from './wire/row-session.ts';

/** The ledger holds the bounds and goes out with every commit. */
const MAX_CHUNKS = 64;
const MAX_BOUNDS_LENGTH = 16_384;
/** Syntax, an unknown column or function, a wrong number of columns, an invalid use of an aggregate. */
const CONDITION_ERRORS: ReadonlySet<number> = new Set([1054, 1064, 1111, 1241, 1305, 1583, 1630]);

export interface MysqlPlan extends TablePlan {
  readonly table: MysqlTable;
  readonly keyColumns: readonly MysqlColumn[];
  readonly rows: RawTextRows;
  /** Select list, and where in it the key's bound is found. */
  readonly items: string;
  readonly boundCells: readonly number[];
  readonly where: string | null;
  /** Only what InnoDB and its like hold can be seen at one position. */
  readonly transactional: boolean;
  /** Bytes of a row, roughly; null where unknown. */
  readonly rowBytes: number | null;
}

export interface PlannerOptions {
  readonly types: MysqlTypeOptions;
  /** Gives a schema the version number it has in the stream. */
  readonly number: (schema: TableSchema, table: MysqlTable) => TableSchema;
  /** For polling, whose views and keys are the settings'. */
  readonly describe?: (
    session: CatalogueSession,
    id: TableId,
    signal: AbortSignal,
  ) => Promise<MysqlTable | undefined>;
}

/** The catalogue as one session sees it. */
export class Planner {
  readonly #options: PlannerOptions;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** Throws `snapshot.table-unreadable`, `snapshot.where-invalid`, MysqlError. */
  async plan(
    session: CatalogueSession,
    id: TableId,
    options: PlanOptions,
    signal: AbortSignal,
  ): Promise<MysqlPlan> {
    const { describe } = this.#options;
    const query = queryOf(session, signal);
    const table = await (describe === undefined
      ? describeTables(query, session.server, [id]).then(([found]) => found)
      : describe(session, id, signal));
    if (table === undefined) {
      throw new HeadwaterError(
        'snapshot.table-unreadable',
        `The table ${tableName(id)} does not exist, or the user may not see it.`,
        { details: { table: tableName(id) } },
      );
    }
    if (options.where !== null) await checkWhere(query, table, options.where);
    const facts = await readFacts(query, id);
    const plan = this.#planOf(table, options.where, facts);
    if (plan.by === 'key' && options.chunks !== undefined) return { ...plan, chunks: options.chunks };
    const count = Math.max(
      1,
      Math.min(MAX_CHUNKS, Math.ceil((facts.rows ?? 0) / Math.max(1, options.chunkRows))),
    );
    const bounds = plan.by === 'key' && count > 1 ? await keyBounds(query, plan, count) : [];
    return { ...plan, chunks: ranges(bounds) };
  }

  /** The table as it is now, with the chunks of an earlier plan. The key must still be the same columns. */
  async replan(session: CatalogueSession, plan: MysqlPlan, signal: AbortSignal): Promise<MysqlPlan> {
    const asBefore = { chunkRows: 1, where: plan.where, chunks: plan.chunks };
    const again = await this.plan(session, plan.id, asBefore, signal);
    const names = (of: MysqlPlan): string => of.keyColumns.map(({ name }) => name).join('\0');
    if (names(again) !== names(plan)) {
      throw chunkKeyChanged(plan.id);
    }
    return again;
  }

  #planOf(table: MysqlTable, where: string | null, facts: Facts): Omit<MysqlPlan, 'chunks'> {
    const { columns } = table;
    const key = chunkKey(table);
    const items = columns.map(selectItem);
    const keyColumns = key.map((index) => columns[index]!);
    const boundCells = key.map((index, i) => {
      const item = boundItem(keyColumns[i]!);
      return item === null ? index : items.push(item) - 1;
    });
    return {
      id: table.id,
      schema: this.#options.number(schemaOf(table, this.#options.types), table),
      by: key.length === 0 ? 'block' : 'key',
      key,
      estimatedRows: facts.rows,
      table,
      keyColumns,
      rows: new RawTextRows(table.id, columns),
      items: items.join(', '),
      boundCells,
      where,
      // Polling takes a row as it finds it, whatever the engine.
      transactional: facts.transactional || this.#options.describe !== undefined,
      rowBytes: facts.rowBytes,
    };
  }
}

/** What chunks and windows go by; empty where there is no key, or one that cannot be put in order. */
export function chunkKey({ columns, key }: MysqlTable): readonly number[] {
  return key.every((index) => isOrderable(columns[index]!)) ? key : [];
}

interface Facts {
  readonly rows: number | null;
  readonly rowBytes: number | null;
  readonly transactional: boolean;
}

async function readFacts(query: Query, id: TableId): Promise<Facts> {
  const [row] = await query(
    `SELECT TABLE_ROWS, AVG_ROW_LENGTH, ENGINE FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = ${quoteLiteral(id.schema)} AND TABLE_NAME = ${quoteLiteral(id.table)}`,
  );
  const rowBytes = Number(row?.[1] ?? 0);
  return {
    rows: row?.[0] === null || row?.[0] === undefined ? null : Number(row[0]),
    rowBytes: rowBytes > 0 ? rowBytes : null,
    transactional: isTransactional(row?.[2] ?? ''),
  };
}

async function checkWhere(query: Query, table: MysqlTable, where: string): Promise<void> {
  try {
    await query(`SELECT 1 FROM ${fromItem(table)} WHERE (${where}\n) LIMIT 0`);
  } catch (cause) {
    if (!(cause instanceof MysqlError) || !CONDITION_ERRORS.has(cause.errno)) throw cause;
    const name = tableName(table.id);
    throw new HeadwaterError(
      'snapshot.where-invalid',
      `The server does not accept the condition for rows of ${name} (error ${cause.errno}).`,
      { details: { table: name, errno: cause.errno }, cause },
    );
  }
}

/** The SELECT of a part of a table; by key in its order, of `limit` rows at most. */
export function rowSelect(plan: MysqlPlan, range: ChunkRange, limit: number | null): string {
  const { table, items, keyColumns, where, by } = plan;
  const conditions = by === 'key' ? [...rangeConditions(keyColumns, range)] : [];
  if (where !== null) conditions.push(`(${where}\n)`);
  const filter = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const order = by === 'key' ? ` ORDER BY ${keyColumns.map(({ name }) => quoteIdent(name)).join(', ')}` : '';
  return `SELECT ${items} FROM ${fromItem(table)}${filter}${order}${limit === null ? '' : ` LIMIT ${limit}`}`;
}

/** The SELECT of the rows that have these keys. */
export function keySelect({ table, items, keyColumns, where }: MysqlPlan, keys: readonly Row[]): string {
  const any = keys.map((key) => `(${keyCondition(keyColumns, key)})`).join(' OR ');
  const own = where === null ? '' : ` AND (${where}\n)`;
  return `SELECT ${items} FROM ${fromItem(table)} WHERE (${any})${own}`;
}

/**
 * Integers are cut evenly between their least and greatest; of other keys the index is walked, a chunk's rows at
 * a time.
 */
async function keyBounds(
  query: Query,
  plan: Omit<MysqlPlan, 'chunks'>,
  count: number,
): Promise<readonly string[]> {
  const { table, keyColumns, estimatedRows } = plan;
  const first = keyColumns[0]!;
  if (isIntegerKey(first)) {
    const name = quoteIdent(first.name);
    const [row] = await query(`SELECT MIN(${name}), MAX(${name}) FROM ${fromItem(table)}`);
    if (row?.[0] === null || row?.[0] === undefined || row[1] === null || row[1] === undefined) return [];
    return evenly(BigInt(row[0]), BigInt(row[1]), count).map((bound) => JSON.stringify([String(bound)]));
  }
  const step = Math.ceil((estimatedRows ?? 0) / count);
  const bounds: string[] = [];
  const items = keyColumns.map((column) => boundHex(column)).join(', ');
  const order = keyColumns.map(({ name }) => quoteIdent(name)).join(', ');
  let length = 0;
  while (bounds.length < count - 1) {
    const [from = null] = bounds.slice(-1);
    const [condition] = rangeConditions(keyColumns, { from, to: null });
    const [row] = await query(
      `SELECT ${items} FROM ${fromItem(table)}${condition === undefined ? '' : ` WHERE ${condition}`} ORDER BY ${order} LIMIT 1 OFFSET ${step - 1}`,
    );
    if (row === undefined) break;
    const bound = boundOf(
      keyColumns,
      row.map((hex) => Buffer.from(hex ?? '', 'hex')),
    );
    length += bound.length;
    if (length > MAX_BOUNDS_LENGTH) break;
    bounds.push(bound);
  }
  return bounds;
}

/** Bytes of a bound, whatever its character set, past the text that queries give. */
function boundHex(column: MysqlColumn): string {
  const item = boundItem(column) ?? selectItem(column);
  return column.charset === null || boundItem(column) !== null ? `HEX(CONCAT(${item}))` : `HEX(${item})`;
}

function evenly(min: bigint, max: bigint, count: number): readonly bigint[] {
  const bounds = new Set<bigint>();
  const span = max - min;
  for (let i = 1; i < count; i++) {
    const bound = min + (span * BigInt(i)) / BigInt(count);
    if (bound < max) bounds.add(bound);
  }
  return [...bounds];
}

function ranges(bounds: readonly string[]): readonly ChunkRange[] {
  return Array.from({ length: bounds.length + 1 }, (_, i) => ({
    from: bounds[i - 1] ?? null,
    to: bounds[i] ?? null,
  }));
}

/** A session's statements as the planner wants them. */
export function queryOf(session: CatalogueSession, signal: AbortSignal): Query {
  return (sql) => session.query(sql, signal);
}
