/**
 * Places of rows: what they are put in order by, as texts that the server gives and takes back exactly. Only the server
 * compares them. All of it goes into statements as binds, so that each table has few statements, however often it is
 * asked.
 */
import type { Binds } from './session/oracle-session.ts';

interface PlaceKind {
  /** Of an expression: its value as text. */
  readonly text: (expression: string) => string;
  /** Of a bind that holds such a text: the value. */
  readonly value: (bind: string) => string;
}

const MOMENT = `'YYYY-MM-DD"T"HH24:MI:SS.FF9'`;
const SECOND = `'YYYY-MM-DD"T"HH24:MI:SS'`;

const asIs = (text: string): string => text;
const NUMBER: PlaceKind = { text: asIs, value: (bind) => `TO_NUMBER(${bind})` };
const TEXT: PlaceKind = { text: asIs, value: asIs };
/** The database's character set may not have what the national one has. */
const NATIONAL: PlaceKind = { text: (e) => `ASCIISTR(${e})`, value: (bind) => `UNISTR(${bind})` };

const KINDS: Readonly<Record<string, PlaceKind>> = {
  NUMBER,
  FLOAT: NUMBER,
  CHAR: TEXT,
  VARCHAR2: TEXT,
  NCHAR: NATIONAL,
  NVARCHAR2: NATIONAL,
  RAW: { text: (e) => `RAWTOHEX(${e})`, value: (bind) => `HEXTORAW(${bind})` },
  ROWID: { text: (e) => `ROWIDTOCHAR(${e})`, value: (bind) => `CHARTOROWID(${bind})` },
  DATE: { text: (e) => `TO_CHAR(${e},${SECOND})`, value: (bind) => `TO_DATE(${bind},${SECOND})` },
  TIMESTAMP: { text: (e) => `TO_CHAR(${e},${MOMENT})`, value: (bind) => `TO_TIMESTAMP(${bind},${MOMENT})` },
  'TIMESTAMP WITH TIME ZONE': {
    text: (e) => `TO_CHAR(SYS_EXTRACT_UTC(${e}),${MOMENT})`,
    value: (bind) => `FROM_TZ(TO_TIMESTAMP(${bind},${MOMENT}),'00:00')`,
  },
  // The session's zone is UTC.
  'TIMESTAMP WITH LOCAL TIME ZONE': {
    text: (e) => `TO_CHAR(${e},${MOMENT})`,
    value: (bind) => `CAST(TO_TIMESTAMP(${bind},${MOMENT}) AS TIMESTAMP WITH LOCAL TIME ZONE)`,
  },
};

/** Columns that tell when a row was written may have these types. */
export const TIME_TYPES: ReadonlySet<string> = new Set([
  'DATE',
  'TIMESTAMP',
  'TIMESTAMP WITH TIME ZONE',
  'TIMESTAMP WITH LOCAL TIME ZONE',
]);

/** Whether rows can be put in order by a column of the type. */
export function isOrderable(dataType: string): boolean {
  return KINDS[dataType] !== undefined;
}

/** A part of a place. */
export interface PlacePart {
  /** Expression that rows are put in order by. */
  readonly expression: string;
  readonly dataType: string;
}

export function placeText({ expression, dataType }: PlacePart): string {
  return kindOf(dataType).text(expression);
}

/** Values of one statement. */
export class StatementBinds {
  readonly values: Record<string, string> = {};
  #count = 0;

  /** The expression that has the value of such a text. */
  add({ dataType }: PlacePart, text: string): string {
    const name = `p${this.#count++}`;
    this.values[name] = text;
    return kindOf(dataType).value(`:${name}`);
  }
}

export interface Statement {
  readonly sql: string;
  readonly binds: Binds;
}

/** Rows behind the place, or up to it. Rows cannot be compared as a whole; the first condition is for the index. */
export function comparison(
  parts: readonly PlacePart[],
  texts: readonly string[],
  how: { readonly operator: '>' | '<='; readonly binds: StatementBinds },
): string {
  const strict = how.operator === '>' ? '>' : '<';
  const last = parts.length - 1;
  let condition = '';
  for (let i = last; i >= 0; i--) {
    const part = parts[i]!;
    const value = how.binds.add(part, texts[i]!);
    condition =
      i === last
        ? `${part.expression} ${how.operator} ${value}`
        : `${part.expression} ${strict}= ${value} AND (${part.expression} ${strict} ${value} OR ${condition})`;
    if (i < last && i > 0) condition = `(${condition})`;
  }
  return parts.length > 1 ? `(${condition})` : condition;
}

function kindOf(dataType: string): PlaceKind {
  return KINDS[dataType] ?? TEXT;
}
