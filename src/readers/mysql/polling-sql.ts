import type { PolledTable, PollKeyPage, PollLow, PollScan } from '../poll-dialect.ts';
import { localTime } from '../local-time.ts';
import { fromItem, type MysqlTable } from './catalogue.ts';
import { boundItem, boundLiteral, boundText, tupleComparison } from './key-bounds.ts';
import type { RawTextRows } from './raw-text-rows.ts';
import { selectItem } from './types/decode-text.ts';
import type { MysqlColumn } from './types/mysql-column.ts';
import { quoteIdent, quoteLiteral } from './wire/quoting.ts';

export interface MysqlPolledTable extends PolledTable {
  readonly table: MysqlTable;
  readonly rows: RawTextRows;
}

/** One statement of a scan; rows hold the columns, and behind them what of `order` has no order as it is printed. */
export function scanSelect(polled: MysqlPolledTable, scan: PollScan, timeZone: string | null): string {
  const { table, order } = polled;
  const items = table.columns.map(selectItem);
  for (const column of orderColumns(polled)) {
    const item = boundItem(column);
    if (item !== null) items.push(item);
  }
  const place = placeExpressions(polled, scan.kind);
  const conditions = conditionsOf(polled, scan, timeZone);
  const filter = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const sorted = order.length === 0 ? '' : ` ORDER BY ${place.join(', ')} LIMIT ${scan.limit}`;
  return `SELECT ${items.join(', ')} FROM ${fromItem(table)}${filter}${sorted}`;
}

/** The place of a row whose cells these are, as `PollScan.after` takes it. */
export function placeOf(
  polled: MysqlPolledTable,
  kind: PollScan['kind'],
  cells: (indexes: readonly number[]) => readonly Buffer[],
): readonly string[] {
  let further = polled.table.columns.length;
  const texts = orderColumns(polled).map((column, i) => {
    const index = boundItem(column) === null ? polled.order[i]! : further++;
    return boundText(column, cells([index])[0]!);
  });
  if (kind !== 'cursor' || polled.timestamp.length === 0) return texts;
  // Of NULL there is nothing.
  const time = cells(polled.timestamp).find(({ length }) => length > 0);
  return [time?.toString('latin1') ?? '', ...texts];
}

/** Keys in their order; rows hold them, and behind them what of them has no order as it is printed. */
export function keysSelect(
  { table }: MysqlPolledTable,
  key: readonly number[],
  { after, limit }: PollKeyPage,
): string {
  const columns = key.map((index) => table.columns[index]!);
  const names = columns.map(({ name }) => quoteIdent(name));
  const items = [...columns.map(selectItem), ...columns.flatMap((column) => boundItem(column) ?? [])];
  const filter =
    after === null
      ? ''
      : ` WHERE ${tupleComparison(
          names,
          after.map((text, i) => boundLiteral(columns[i]!, text)),
          '>',
        )}`;
  return `SELECT ${items.join(', ')} FROM ${fromItem(table)}${filter} ORDER BY ${names.join(', ')} LIMIT ${limit}`;
}

export function greatestSelect(polled: MysqlPolledTable): string {
  const column = orderColumns(polled)[0]!;
  return `SELECT MAX(${quoteIdent(column.name)}) FROM ${fromItem(polled.table)}`;
}

function conditionsOf(polled: MysqlPolledTable, scan: PollScan, timeZone: string | null): string[] {
  const conditions: string[] = [];
  const time = timeExpression(polled);
  const [first] = orderColumns(polled);
  if (scan.kind === 'nulls') conditions.push(`${time} IS NULL`);
  if (scan.low?.kind === 'time') {
    conditions.push(`${time} >= ${quoteLiteral(lowText(polled, scan.low, timeZone))}`);
  } else if (scan.low?.kind === 'value') {
    conditions.push(`${quoteIdent(first!.name)} > ${boundLiteral(first!, scan.low.text)}`);
  } else if (scan.kind === 'cursor' && time !== null) {
    conditions.push(`${time} IS NOT NULL`);
  }
  if (scan.after !== null) {
    const timed = scan.kind === 'cursor' && time !== null;
    const columns = orderColumns(polled);
    const literals = scan.after.map((text, i) =>
      timed && i === 0 ? quoteLiteral(text) : boundLiteral(columns[timed ? i - 1 : i]!, text),
    );
    conditions.push(tupleComparison(placeExpressions(polled, scan.kind), literals, '>'));
  }
  return conditions;
}

function orderColumns({ table, order }: MysqlPolledTable): readonly MysqlColumn[] {
  return order.map((index) => table.columns[index]!);
}

function placeExpressions(polled: MysqlPolledTable, kind: PollScan['kind']): readonly string[] {
  const names = orderColumns(polled).map(({ name }) => quoteIdent(name));
  const time = kind === 'cursor' ? timeExpression(polled) : null;
  return time === null ? names : [time, ...names];
}

function timeExpression({ table, timestamp }: MysqlPolledTable): string | null {
  const names = timestamp.map((index) => quoteIdent(table.columns[index]!.name));
  if (names.length === 0) return null;
  return names.length === 1 ? names[0]! : `COALESCE(${names.join(', ')})`;
}

/**
 * Times that are written from `us` on are no earlier. A TIMESTAMP is read in UTC, which the session is in; a DATETIME
 * holds local time, which goes back when a clock is put back.
 */
function lowText(
  { table, timestamp }: MysqlPolledTable,
  { us, nowUs }: Extract<PollLow, { kind: 'time' }>,
  timeZone: string | null,
): string {
  const { dataType } = table.columns[timestamp[0]!]!;
  const lowMs = Math.floor(us / 1000);
  const nowMs = Math.floor(nowUs / 1000);
  const ms =
    dataType === 'timestamp'
      ? lowMs
      : Math.min(localTime(lowMs, timeZone), localTime(nowMs, timeZone) - Math.max(0, nowMs - lowMs));
  const text = new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
  // Columns without fractions round, or cut off: either way no more than a second.
  return dataType === 'date' ? text.slice(0, 10) : text.slice(0, 19);
}
