import type { PolledTable, PollKeyPage, PollLow, PollScan } from '../poll-dialect.ts';
import type { PgTable } from './catalogue.ts';
import { fromItem } from './snapshot-plan.ts';
import { quoteIdent, quoteLiteral } from './wire/quoting.ts';

const WRAP = 0x1_0000_0000n;
/** Local time at the place on earth where clocks are latest, where nobody says which zone a column holds. */
const WESTERNMOST = 'Etc/GMT+12';

export interface PgPolledTable extends PolledTable {
  readonly table: PgTable;
  readonly wide: readonly boolean[];
  /** Text that changes with the table's columns; empty for a query. */
  readonly fingerprint: string;
}

/** `timeZone`: of columns that hold local times; null: not known. */
export interface ScanContext {
  readonly timeZone: string | null;
}

/** The SELECT of one statement of a scan. `upTo`: inclusive bound of a page; null: `scan.limit` rows, or to the end. */
export function scanSelect(
  polled: PgPolledTable,
  scan: PollScan,
  { timeZone }: ScanContext,
  upTo: readonly string[] | null,
): string {
  const { schema, table } = polled;
  const columns = schema.columns.map(({ name }) => quoteIdent(name)).join(', ');
  const place = placeColumns(polled, scan.kind);
  const conditions = conditionsOf(polled, scan, timeZone);
  if (upTo !== null) conditions.push(`${tuple(place)} <= ${literals(upTo)}`);
  const filter = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const order = place.length === 0 ? '' : ` ORDER BY ${place.join(', ')}`;
  const limit = scan.kind === 'cursor' && place.length > 0 ? ` LIMIT ${scan.limit}` : '';
  return `SELECT ${columns} FROM ${fromItem(table)}${filter}${order}${limit}`;
}

/** The place of the last row of a page of `scan.limit` rows, whoever wrote them; no row where there are fewer. */
export function pageEnd(polled: PgPolledTable, scan: PollScan, { timeZone }: ScanContext): string {
  const place = placeColumns(polled, scan.kind);
  const conditions = conditionsOf(polled, { ...scan, versions: null }, timeZone);
  const filter = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const list = place.join(', ');
  return `SELECT ${list} FROM ${fromItem(polled.table)}${filter} ORDER BY ${list} OFFSET ${scan.limit - 1} LIMIT 1`;
}

/** Keys in their order. */
export function keysSelect(
  { schema, table }: PgPolledTable,
  key: readonly number[],
  { after, limit }: PollKeyPage,
): string {
  const columns = key.map((index) => quoteIdent(schema.columns[index]!.name));
  const list = columns.join(', ');
  const filter = after === null ? '' : ` WHERE ${tuple(columns)} > ${literals(after)}`;
  return `SELECT ${list} FROM ${fromItem(table)}${filter} ORDER BY ${list} LIMIT ${limit}`;
}

export function greatestSelect({ schema, order, table }: PgPolledTable): string {
  const column = quoteIdent(schema.columns[order[0]!]!.name);
  return `SELECT ${column} FROM ${fromItem(table)} WHERE ${column} IS NOT NULL ORDER BY ${column} DESC LIMIT 1`;
}

function conditionsOf(polled: PgPolledTable, scan: PollScan, timeZone: string | null): string[] {
  const conditions: string[] = [];
  const time = timeExpression(polled);
  if (scan.kind === 'nulls' && time !== null) conditions.push(`${time} IS NULL`);
  if (scan.low !== null) {
    conditions.push(
      scan.low.kind === 'time'
        ? `${time} >= ${lowLiteral(polled, scan.low, timeZone)}`
        : `${placeColumns(polled, scan.kind)[0]} > ${quoteLiteral(scan.low.text)}`,
    );
  }
  if (scan.kind === 'cursor' && time !== null && scan.low === null) conditions.push(`${time} IS NOT NULL`);
  if (scan.after !== null) {
    conditions.push(`${tuple(placeColumns(polled, scan.kind))} > ${literals(scan.after)}`);
  }
  if (scan.versions !== null) {
    const { from, to } = scan.versions;
    // Rows hold the lower 32 bits; old ones that happen to lie in the range are read once more.
    if (to - from < WRAP) {
      conditions.push(
        `((xmin::pg_catalog.text::pg_catalog.int8 - ${from % WRAP}) & 4294967295) < ${to - from}`,
      );
    }
  }
  return conditions;
}

/** What rows of a scan are put in order by. */
function placeColumns(polled: PgPolledTable, kind: PollScan['kind']): readonly string[] {
  const { schema, order } = polled;
  const names = order.map((index) => quoteIdent(schema.columns[index]!.name));
  const time = kind === 'cursor' ? timeExpression(polled) : null;
  return time === null || names.length === 0 ? names : [time, ...names];
}

function timeExpression({ schema, timestamp }: PgPolledTable): string | null {
  const names = timestamp.map((index) => quoteIdent(schema.columns[index]!.name));
  if (names.length === 0) return null;
  return names.length === 1 ? names[0]! : `COALESCE(${names.join(', ')})`;
}

/**
 * Times that are written from `us` on are no earlier than this. Local times go back when a clock is put back, so all
 * of the time since then is looked at.
 */
function lowLiteral(
  { schema, timestamp }: PgPolledTable,
  { us, nowUs }: Extract<PollLow, { kind: 'time' }>,
  timeZone: string | null,
): string {
  const instant = `'${isoOf(us)}'::pg_catalog.timestamptz`;
  const { type } = schema.columns[timestamp[0]!]!;
  if (type.kind === 'timestamptz') return instant;
  const zone = quoteLiteral(timeZone ?? WESTERNMOST);
  const ms = Math.max(0, Math.ceil((nowUs - us) / 1000));
  const local = `least(${instant} AT TIME ZONE ${zone}, '${isoOf(nowUs)}'::pg_catalog.timestamptz AT TIME ZONE ${zone} - '${ms} milliseconds'::pg_catalog.interval)`;
  return type.kind === 'date' ? `(${local})::pg_catalog.date` : local;
}

/** Rounded down to the millisecond. */
function isoOf(us: number): string {
  return new Date(Math.floor(us / 1000)).toISOString();
}

function tuple(columns: readonly string[]): string {
  return columns.length === 1 ? columns[0]! : `(${columns.join(', ')})`;
}

function literals(texts: readonly string[]): string {
  return tuple(texts.map(quoteLiteral));
}
