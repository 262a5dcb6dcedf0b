/**
 * A value as SQL_REDO writes it, before its column's type is known. A string literal is a plain string and NULL
 * is null; everything else is tagged, so that a text 'NULL' or 'TO_DATE(…)' somebody typed stays text.
 */
export type Literal =
  string | null | typeof UNSUPPORTED | typeof PRESENT | NumberLiteral | CallLiteral | ConcatLiteral;

/** `Unsupported Type`: LogMiner cannot print the value. */
export const UNSUPPORTED: unique symbol = Symbol('unsupported type');

/** `IS NOT NULL`: there is a value, and nothing more is said about it. */
export const PRESENT: unique symbol = Symbol('is not null');

/** A number without apostrophes, as printed. */
export interface NumberLiteral {
  readonly kind: 'number';
  readonly text: string;
}

export const CALLS = [
  'TO_DATE',
  'TO_TIMESTAMP',
  'TO_TIMESTAMP_TZ',
  'TO_TIMESTAMP_LTZ',
  'TO_DSINTERVAL',
  'TO_YMINTERVAL',
  'HEXTORAW',
  'UNISTR',
  'EMPTY_CLOB',
  'EMPTY_BLOB',
  'XMLTYPE',
] as const;

export type CallName = (typeof CALLS)[number];

export interface CallLiteral {
  readonly kind: 'call';
  readonly name: CallName;
  /** The first argument where it is a string literal; null where there is none. Format masks are not kept. */
  readonly argument: Literal;
}

/** `a || b`. */
export interface ConcatLiteral {
  readonly kind: 'concat';
  readonly parts: readonly Literal[];
}

/** One change as SQL_REDO tells it: names and values run in parallel. */
export interface RedoStatement {
  readonly op: 'insert' | 'update' | 'delete';
  readonly schema: string;
  readonly table: string;
  /** insert: the columns listed; update: the set clause; delete: none. */
  readonly names: readonly string[];
  readonly values: readonly Literal[];
  readonly whereNames: readonly string[];
  readonly whereValues: readonly Literal[];
  /** Of a `ROWID = '…'` predicate. */
  readonly rowid: string | null;
  /** Apostrophes were not doubled, and where values end was told from what follows them. */
  readonly relaxed: boolean;
}
