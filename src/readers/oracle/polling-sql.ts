import { chunkKeyChanged } from '../changed-table.ts';
import { localTime } from '../local-time.ts';
import type { PolledTable, PollKeyPage, PollLow, PollScan } from '../poll-dialect.ts';
import type { ChunkRange } from '../../snapshot/snapshot-source.ts';
import { comparison, type PlacePart, placeText, type Statement, StatementBinds } from './polling-places.ts';
import { quoteIdent } from './quoting.ts';
import type { TableModel } from './table-model.ts';

export interface OraclePolledTable extends PolledTable {
  readonly model: TableModel;
  /** What stands behind FROM: a table, or a query in brackets. */
  readonly from: string;
  /** Indexes of the key's columns, which chunks of a snapshot are cut by; empty where they cannot be put in order. */
  readonly chunkKey: readonly number[];
}

/** Rows of a scan: the columns, and behind them their place. `timeZone`: of columns that hold local times. */
export function scanSelect(polled: OraclePolledTable, scan: PollScan, timeZone: string | null): Statement {
  const place = placeOf(polled, scan.kind);
  const binds = new StatementBinds();
  const time = timePart(polled);
  const conditions: string[] = [];
  if (scan.kind === 'nulls' && time !== null) conditions.push(`${time.expression} IS NULL`);
  if (scan.low?.kind === 'time' && time !== null) {
    conditions.push(`${time.expression} >= ${binds.add(time, lowText(time, scan.low, timeZone))}`);
  } else if (scan.low?.kind === 'value') {
    conditions.push(comparison(place.slice(0, 1), [scan.low.text], { operator: '>', binds }));
  } else if (scan.kind === 'cursor') {
    conditions.push(`${place[0]!.expression} IS NOT NULL`);
  }
  // A place of before the key was another one is none: what was read is read again.
  if (scan.after?.length === place.length) {
    conditions.push(comparison(place, scan.after, { operator: '>', binds }));
  }
  return { sql: select(polled, { place, conditions, limit: scan.limit }), binds: binds.values };
}

/** Rows of a part of the table in the order of its key; without one all of it, in no order. */
export function rangeSelect(
  polled: OraclePolledTable,
  { from, to }: ChunkRange,
  { where, limit }: { readonly where: string | null; readonly limit: number | null },
): Statement {
  const place = polled.chunkKey.map((index) => columnPart(polled, index));
  const binds = new StatementBinds();
  const conditions: string[] = [];
  const textsOf = (text: string): readonly string[] => {
    const texts = decodePlace(text);
    if (texts.length !== place.length) throw chunkKeyChanged(polled.schema.id);
    return texts;
  };
  if (from !== null) conditions.push(comparison(place, textsOf(from), { operator: '>', binds }));
  if (to !== null) conditions.push(comparison(place, textsOf(to), { operator: '<=', binds }));
  if (where !== null) conditions.push(`(${where}\n)`);
  return { sql: select(polled, { place, conditions, limit }), binds: binds.values };
}

/** Keys in their order, and behind them their place. */
export function keysSelect(
  polled: OraclePolledTable,
  key: readonly number[],
  { after, limit }: PollKeyPage,
): Statement {
  const place = key.map((index) => columnPart(polled, index));
  const binds = new StatementBinds();
  const conditions = after === null ? [] : [comparison(place, after, { operator: '>', binds })];
  return { sql: select(polled, { place, conditions, limit, columns: key }), binds: binds.values };
}

export function greatestSelect(polled: OraclePolledTable): string {
  const part = columnPart(polled, polled.order[0]!);
  return `SELECT ${placeText({ ...part, expression: `MAX(${part.expression})` })} FROM ${polled.from} T`;
}

export function encodePlace(texts: readonly string[]): string {
  return JSON.stringify(texts);
}

function decodePlace(text: string): readonly string[] {
  return (JSON.parse(text) as readonly unknown[]).map(String);
}

function select(
  polled: OraclePolledTable,
  of: {
    readonly place: readonly PlacePart[];
    readonly conditions: readonly string[];
    readonly limit: number | null;
    readonly columns?: readonly number[];
  },
): string {
  const { schema, decoders } = polled.model;
  const { place, conditions, limit, columns = schema.columns.keys().toArray() } = of;
  const items = columns.map((index) =>
    decoders[index]!.select(`T.${quoteIdent(schema.columns[index]!.name)}`),
  );
  const filter = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const list = [...items, ...place.map(placeText)].join(', ');
  if (place.length === 0) return `SELECT ${list} FROM ${polled.from} T${filter}`;
  const order = place.map(({ expression }) => expression).join(', ');
  const first = limit === null ? '' : ` FETCH FIRST ${limit} ROWS ONLY`;
  return `SELECT ${list} FROM ${polled.from} T${filter} ORDER BY ${order}${first}`;
}

/** What rows of a scan are put in order by. */
function placeOf(polled: OraclePolledTable, kind: PollScan['kind']): readonly PlacePart[] {
  const parts = polled.order.map((index) => columnPart(polled, index));
  const time = kind === 'cursor' ? timePart(polled) : null;
  return time === null || parts.length === 0 ? parts : [time, ...parts];
}

function columnPart({ model: { schema } }: OraclePolledTable, index: number): PlacePart {
  const { name, nativeType } = schema.columns[index]!;
  return { expression: `T.${quoteIdent(name)}`, dataType: nativeType };
}

function timePart(polled: OraclePolledTable): PlacePart | null {
  const parts = polled.timestamp.map((index) => columnPart(polled, index));
  const [first] = parts;
  if (first === undefined || parts.length === 1) return first ?? null;
  return { ...first, expression: `COALESCE(${parts.map(({ expression }) => expression).join(', ')})` };
}

/** Whether times of the type say what a clock on some wall showed. */
export function isLocal(dataType: string): boolean {
  return dataType === 'DATE' || dataType === 'TIMESTAMP';
}

/**
 * Times that are written from `us` on are no earlier than this. Local times go back when a clock is put back, so all of
 * the time since then is looked at.
 */
function lowText(
  { dataType }: PlacePart,
  { us, nowUs }: Extract<PollLow, { kind: 'time' }>,
  timeZone: string | null,
): string {
  const lowMs = Math.floor(us / 1000);
  const nowMs = Math.floor(nowUs / 1000);
  const ms = isLocal(dataType)
    ? Math.min(localTime(lowMs, timeZone), localTime(nowMs, timeZone) - Math.max(0, nowMs - lowMs))
    : lowMs;
  // Columns without fractions round, or cut off: either way no more than a second.
  const text = new Date(ms).toISOString().slice(0, 19);
  return dataType === 'DATE' ? text : `${text}.000000000`;
}
