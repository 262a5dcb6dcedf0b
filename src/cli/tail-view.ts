import type { ColumnTypes } from '../daemon/column-types.ts';
import { readableDecimals } from './readable-decimals.ts';

/** One delivered record, for people: what happened to which row, and what it was before. */
export interface DeliveredRecord {
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
}

type Row = Readonly<Record<string, unknown>>;

const WORDS: Readonly<Record<string, string>> = {
  c: 'insert',
  u: 'update',
  d: 'delete',
  r: 'read',
  t: 'truncate',
  m: 'message',
};
const COLOURS: Readonly<Record<string, string>> = {
  c: '\u001b[32m',
  u: '\u001b[33m',
  d: '\u001b[31m',
  r: '\u001b[36m',
  t: '\u001b[31m',
  m: '\u001b[35m',
};
const RESET = '\u001b[0m';
const DIM = '\u001b[2m';
const LONGEST_VALUE = 60;
/** Table and key on one line, so that what follows stands in a column. */
const BRIEF_WIDTH = 26;

/** Finds the types of a table's columns; undefined where they are not known. */
export type TypesOf = (table: string) => ColumnTypes | undefined;

/** Text of one or more lines, or null for what says nothing of its own (the tombstone after a delete). */
export function describeRecord(
  record: DeliveredRecord,
  colour: boolean,
  typesOf: TypesOf = () => undefined,
): string | null {
  if (record.value === null) return null;
  const paint = (code: string, text: string): string => (colour ? `${code}${text}${RESET}` : text);
  const time = new Date(record.timestamp).toISOString().slice(11, 23);
  const event = parse(record.value);
  const op = isRow(event) && typeof event.op === 'string' ? event.op : null;
  if (!isRow(event) || op === null) {
    return `${paint(DIM, time)} ${record.topic} ${shorten(JSON.stringify(event) ?? 'not JSON')}\n`;
  }
  const table = tableOf(event) ?? record.topic;
  const types = typesOf(table);
  const decimals = (row: unknown): unknown =>
    types !== undefined && isRow(row) ? readableDecimals(row, types) : row;
  const key = decimals(parse(record.key));
  const value = { ...event, before: decimals(event.before), after: decimals(event.after) };
  const head = `${paint(DIM, time)} ${paint(COLOURS[op] ?? '', (WORDS[op] ?? op).padEnd(6))} ${table}${keyText(key)}`;
  const rest = isKeyAlone(value, key) ? `  ${paint(DIM, KEY_ALONE)}` : rowLines(value, paint);
  return `${head}${rest}\n`;
}

const KEY_ALONE = '(of the deleted row the log holds the key alone)';

/** With PostgreSQL's default replica identity, or a minimal row image, the others are null because nobody knows them. */
function isKeyAlone({ op, before }: Row, key: unknown): boolean {
  if (op !== 'd' || !isRow(before) || !isRow(key)) return false;
  const others = Object.entries(before).filter(([name]) => !(name in key));
  return others.length > 0 && others.every(([, value]) => value === null);
}

/** The same on one line, with a note at its end: `update public.orders [id=7]  status: new → paid   (tx 812, 3 ms)` */
export function describeBriefly(record: DeliveredRecord, note: string, colour: boolean): string | null {
  if (record.value === null) return null;
  const paint = (code: string, text: string): string => (colour ? `${code}${text}${RESET}` : text);
  const value = parse(record.value);
  if (!isRow(value) || typeof value.op !== 'string') return null;
  const { op } = value;
  const key = parse(record.key);
  const what = `${tableOf(value) ?? record.topic}${keyText(key)}`.padEnd(BRIEF_WIDTH);
  const head = `${paint(COLOURS[op] ?? '', (WORDS[op] ?? op).padEnd(6))} ${what}`;
  const changes = changesOf(value, paint);
  const row = isRow(value.after) ? value.after : isRow(value.before) ? value.before : {};
  const others = Object.entries(row).filter(([name]) => !isRow(key) || !(name in key));
  const text = isKeyAlone(value, key)
    ? `  ${paint(DIM, KEY_ALONE)}`
    : changes === null
      ? rowText({ after: Object.fromEntries(others) }, paint)
      : `  ${changes.join(', ')}`;
  return `${head}${text}   ${paint(DIM, `(${note})`)}`;
}

/** A record that is a row and no change, on one line. */
export function describeRow(record: DeliveredRecord, what: string, colour: boolean): string {
  const paint = (code: string, text: string): string => (colour ? `${code}${text}${RESET}` : text);
  const head = `${paint(COLOURS.r!, what.padEnd(6))} ${record.topic.padEnd(BRIEF_WIDTH)}`;
  const value = parse(record.value);
  return isRow(value) ? `${head}${rowText({ after: value }, paint)}` : head;
}

/** Which columns are different now; null where one of the two images is missing. */
function changesOf(event: Row, paint: (code: string, text: string) => string): readonly string[] | null {
  const before = isRow(event.before) ? event.before : null;
  const after = isRow(event.after) ? event.after : null;
  if (before === null || after === null) return null;
  const changed = Object.keys(after).filter((name) => !same(before[name], after[name]));
  if (changed.length === 0) return [paint(DIM, 'nothing changed')];
  return changed.map(
    (name) => `${name}: ${paint(COLOURS.d!, shown(before[name]))} → ${paint(COLOURS.c!, shown(after[name]))}`,
  );
}

function rowLines(event: Row, paint: (code: string, text: string) => string): string {
  const changes = changesOf(event, paint);
  if (changes === null) return rowText(event, paint);
  return changes.map((change) => `\n    ${change}`).join('');
}

/** The one image there is. */
function rowText(event: Row, paint: (code: string, text: string) => string): string {
  const after = isRow(event.after) ? event.after : null;
  const before = isRow(event.before) ? event.before : null;
  const row = after ?? before;
  if (row === null) return '';
  return `  ${Object.entries(row)
    .map(([name, value]) => `${paint(DIM, `${name}=`)}${shown(value)}`)
    .join(' ')}`;
}

function tableOf({ source }: Row): string | null {
  if (!isRow(source) || typeof source.table !== 'string') return null;
  return typeof source.schema === 'string' ? `${source.schema}.${source.table}` : source.table;
}

function keyText(key: unknown): string {
  if (!isRow(key)) return '';
  const parts = Object.entries(key).map(([name, value]) => `${name}=${shown(value)}`);
  return ` [${parts.join(', ')}]`;
}

function shown(value: unknown): string {
  return shorten(typeof value === 'string' ? value : (JSON.stringify(value) ?? 'absent'));
}

/** On one line. Control characters could act on the terminal. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}

/** Not so long that the next column is out of sight. */
function shorten(text: string): string {
  const line = printable(text);
  return line.length > LONGEST_VALUE ? `${line.slice(0, LONGEST_VALUE)}…` : line;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The JSON value; with a schema beside it, its payload. Undefined where it is not JSON. */
function parse(bytes: Uint8Array | null): unknown {
  if (bytes === null) return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isRow(value) && 'schema' in value && 'payload' in value && Object.keys(value).length === 2
      ? value.payload
      : value;
  } catch {
    return undefined;
  }
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
