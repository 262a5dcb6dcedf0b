import type { SqlType } from './sql-type.ts';
import type { SqlValue } from './value.ts';

/** Why an expression gave NULL although nothing in it was: said in the processing log. */
export type Problem =
  | 'cast'
  | 'division-by-zero'
  | 'overflow'
  | 'index'
  | 'json'
  | 'time'
  | 'pattern'
  | 'aggregate-limit'
  | 'late'
  | 'record-unreadable'
  | 'timestamp'
  | 'key-missing'
  | 'value-not-in-log'
  | 'value-not-representable';

/** What an expression is evaluated on. One object serves all rows of a query. */
export interface Frame {
  /** One row a source of the FROM clause; null where a LEFT JOIN found none. */
  readonly rows: (readonly SqlValue[] | null)[];
  /** ROWTIME, ms since the epoch. */
  time: number;
  /** The change behind the event, where it comes from a database's log. */
  change: ChangeFacts | null;
  note(problem: Problem): void;
}

export interface ChangeFacts {
  readonly op: string;
  readonly before: readonly SqlValue[] | null;
  readonly tx: string | null;
  readonly position: string;
}

export type Evaluate = (frame: Frame) => SqlValue;

/** A compiled expression. */
export interface Typed {
  /** Null for a bare NULL, which fits everywhere. */
  readonly type: SqlType | null;
  readonly run: Evaluate;
  /** Set where the expression is a literal: it may stand for another type where one is expected. */
  readonly literal?: SqlValue;
  readonly at: number;
}

export const nothing: Evaluate = () => null;
