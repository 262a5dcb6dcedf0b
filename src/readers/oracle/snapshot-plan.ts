import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type { ChunkRange, PlanOptions, TablePlan } from '../../snapshot/snapshot-source.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quoting.ts';
import { assertOracleError, OracleError, type OracleSession } from './session/oracle-session.ts';
import { mapOracleError, pastIsGone } from './errors.ts';
import type { TableModel } from './table-model.ts';

/** Chunks are ranges of ROWIDs, from exclusive to inclusive, in the text form of ROWIDTOCHAR. */
export interface OraclePlan extends TablePlan {
  readonly model: TableModel;
  readonly where: string | null;
}

const EXTENTS = `SELECT DBMS_ROWID.ROWID_CREATE(1, O.DATA_OBJECT_ID, E.RELATIVE_FNO, E.BLOCK_ID + E.BLOCKS - 1, 32767), TO_CHAR(O.DATA_OBJECT_ID), TO_CHAR(E.BLOCKS) FROM DBA_EXTENTS E JOIN DBA_OBJECTS O ON O.OWNER = E.OWNER AND O.OBJECT_NAME = E.SEGMENT_NAME AND NVL(O.SUBOBJECT_NAME,'#') = NVL(E.PARTITION_NAME,'#') AND O.OBJECT_TYPE = E.SEGMENT_TYPE AND O.DATA_OBJECT_ID IS NOT NULL WHERE E.OWNER = :o AND E.SEGMENT_NAME = :t AND E.SEGMENT_TYPE IN ('TABLE','TABLE PARTITION','TABLE SUBPARTITION') ORDER BY O.DATA_OBJECT_ID, E.RELATIVE_FNO, E.BLOCK_ID`;

const MOVEMENT = `SELECT 1 FROM ALL_TABLES WHERE OWNER = :o AND TABLE_NAME = :t AND ROW_MOVEMENT = 'ENABLED'`;

/** Whether SHRINK SPACE is allowed, which puts rows elsewhere in their segment: nothing tells of that afterwards. */
export async function mayShrink(session: OracleSession, { schema, table }: TableId): Promise<boolean> {
  return (await session.query(MOVEMENT, { o: schema, t: table })).length > 0;
}

/** A ROWID says which segment it is of. */
const SEGMENT = `SELECT 1 FROM DBA_OBJECTS WHERE OWNER = :o AND OBJECT_NAME = :t AND DATA_OBJECT_ID = DBMS_ROWID.ROWID_OBJECT(CHARTOROWID(:r)) AND ROWNUM = 1`;

/**
 * Whether the rows of a chunk, which lies within one segment, are still there: MOVE and its like put them into a new
 * one, behind all others. So they are seen by the last chunk, which is open, and by none of those before it.
 */
export async function isInPlace(
  session: OracleSession,
  { schema, table }: TableId,
  { to }: ChunkRange,
): Promise<boolean> {
  if (to === null) return true;
  try {
    return (await session.query(SEGMENT, { o: schema, t: table, r: to })).length > 0;
  } catch (error) {
    assertOracleError(error);
    if (!error.has(942, 1031)) throw error;
    return false; // the extents may not be looked at any more, either: then the table is read in one piece
  }
}

export async function planTable(
  session: OracleSession,
  model: TableModel,
  {
    options,
    estimatedRows,
    chunkBlocks,
  }: { readonly options: PlanOptions; readonly estimatedRows: number | null; readonly chunkBlocks: number },
): Promise<OraclePlan> {
  const { schema } = model;
  // Asked of the server before anything is read, as the others do.
  if (options.where !== null) {
    await session.query(`SELECT 1 FROM ${quoteTable(schema.id)} T WHERE ROWNUM < 1 AND (${options.where}\n)`);
  }
  const chunks =
    options.chunks ??
    rangesOf(await readExtents(session, schema.id), {
      chunkBlocks,
      chunkRows: options.chunkRows,
      rows: estimatedRows,
    });
  return {
    id: schema.id,
    schema,
    by: 'key',
    key: schema.key,
    chunks,
    estimatedRows,
    model,
    where: options.where,
  };
}

interface Extent {
  /** The highest ROWID it can hold. */
  readonly high: string;
  readonly object: string;
  readonly blocks: number;
}

/** In the order of ROWIDs; none where they may not be looked at. */
async function readExtents(session: OracleSession, { schema, table }: TableId): Promise<readonly Extent[]> {
  try {
    const rows = await session.query(EXTENTS, { o: schema, t: table });
    return rows.map(([high, object, blocks]) => ({
      high: String(high),
      object: String(object),
      blocks: Number(blocks),
    }));
  } catch (error) {
    assertOracleError(error);
    if (!error.has(942, 1031)) throw error;
    return [];
  }
}

/**
 * Neighbours of one segment joined up to a chunk's size. The first begins open and the last ends open, and each
 * begins where the one before it ends: what lies between or was added meanwhile is in one of them.
 */
function rangesOf(
  extents: readonly Extent[],
  {
    chunkBlocks,
    chunkRows,
    rows,
  }: { readonly chunkBlocks: number; readonly chunkRows: number; readonly rows: number | null },
): readonly ChunkRange[] {
  const blocks = extents.reduce((sum, extent) => sum + extent.blocks, 0);
  const byRows =
    rows === null || rows === 0 ? Infinity : Math.max(1, Math.floor((chunkRows * blocks) / rows));
  const most = Math.min(chunkBlocks, byRows);
  const bounds: string[] = [];
  let sum = 0;
  extents.forEach((extent, i) => {
    const next = extents[i + 1];
    sum += extent.blocks;
    if (next === undefined || (next.object === extent.object && sum + next.blocks <= most)) return;
    bounds.push(extent.high);
    sum = 0;
  });
  return [
    ...bounds.map((to, i) => ({ from: bounds[i - 1] ?? null, to })),
    { from: bounds.at(-1) ?? null, to: null },
  ];
}

/** The columns, and the ROWID behind them. ROWIDs sort as they lie, so a range is resumed behind any row. */
export function chunkStatement(
  plan: OraclePlan,
  range: ChunkRange,
  scn: bigint,
  rows: number | null,
): string {
  const { model, where } = plan;
  const columns = model.schema.columns.map(({ name }, i) =>
    model.decoders[i]!.select(`T.${quoteIdent(name)}`),
  );
  const conditions: string[] = [];
  if (range.from !== null) conditions.push(`T.ROWID > CHARTOROWID(${quoteLiteral(range.from)})`);
  if (range.to !== null) conditions.push(`T.ROWID <= CHARTOROWID(${quoteLiteral(range.to)})`);
  if (where !== null) conditions.push(`(${where}\n)`);
  return (
    `SELECT ${[...columns, 'ROWIDTOCHAR(T.ROWID)'].join(', ')} FROM ${quoteTable(plan.id)} AS OF SCN ${scn} T` +
    `${conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`} ORDER BY T.ROWID` +
    (rows === null ? '' : ` FETCH FIRST ${rows} ROWS ONLY`)
  );
}

/** Whatever reading a table threw, so that it stays with the table where it is the table's. */
export function tableError(error: unknown, plan: Pick<OraclePlan, 'id' | 'where'>): unknown {
  if (!(error instanceof OracleError)) return error;
  const name = tableName(plan.id);
  if (pastIsGone(error) || (plan.where === null && error.has(904))) {
    return new HeadwaterError(
      'snapshot.table-rewritten',
      `The table ${name} cannot be read as it was: ${error.message}.`,
      {
        fix: 'It is read again at a later SCN. Where that recurs raise UNDO_RETENTION and the undo tablespace, or snapshot.parallelism.',
        details: { table: name },
        cause: error,
      },
    );
  }
  if (error.has(942, 1031)) {
    return new HeadwaterError(
      'snapshot.table-unreadable',
      `The table ${name} cannot be read: ${error.message}.`,
      {
        fix: `GRANT SELECT, FLASHBACK ON ${quoteTable(plan.id)} TO the user of source.url;`,
        details: { table: name },
        cause: error,
      },
    );
  }
  if (plan.where !== null && error.ora.some((n) => n >= 900 && n < 1000)) {
    return new HeadwaterError(
      'snapshot.where-invalid',
      `The condition for rows of ${name} is refused: ${error.message}.`,
      { details: { table: name }, cause: error },
    );
  }
  return mapOracleError(error, `Reading the table ${name}`);
}
