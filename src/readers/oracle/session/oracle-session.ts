/** All that the reader knows of a database connection; tests put a scripted one in its place. */

/** Numbers come as decimal text, dates only through TO_CHAR, LOBs whole. */
export type OracleValue = string | Buffer | null;

/** In the order of the select list. */
export type OracleRow = readonly OracleValue[];

export type Binds = Readonly<Record<string, string | number | null>>;

/**
 * One connection, which runs one call at a time. Whatever fails throws OracleError. LogMiner's state lives in the
 * session it was started in.
 */
export interface OracleSession extends AsyncDisposable {
  /** A statement without rows. Nothing is committed by itself. */
  execute(sql: string, binds?: Binds): Promise<void>;
  /** All rows at once: for small results. */
  query(sql: string, binds?: Binds): Promise<readonly OracleRow[]>;
  /** What a query would give, without running it. */
  columns(sql: string): Promise<readonly ResultColumn[]>;
  /**
   * The cursor must be closed before the next call. So many rows are held at a time: LOBs come whole, and a few of them
   * may be as much as can be.
   */
  open(sql: string, binds?: Binds, rowsAtOnce?: number): Promise<RowCursor>;
  /** Makes a call under way fail soon. Never throws. */
  interrupt(): void;
}

/** A column of a query's result. */
export interface ResultColumn {
  readonly name: string;
  /** As ALL_TAB_COLS has it, without length or precision: `TIMESTAMP WITH TIME ZONE`. */
  readonly dataType: string;
  /** Bytes of texts and RAW; null elsewhere. */
  readonly bytes: number | null;
  /** Digits of NUMBER, binary digits of FLOAT; null where it is not declared, as of what is computed. */
  readonly precision: number | null;
  /** Of NUMBER; of TIMESTAMP the fraction digits. */
  readonly scale: number | null;
}

export interface RowCursor {
  /** Up to `max` rows; none at the end. */
  next(max: number): Promise<readonly OracleRow[]>;
  close(): Promise<void>;
}

/**
 * What a connection is for, since no two uses may share one: `mining` stays in the root container and has
 * LogMiner's session, `utility` asks V$ views, `catalogue` and `snapshot` are in the PDB where there is one,
 * `flush` commits to the flush table of one RAC instance.
 */
export type SessionUse = 'mining' | 'utility' | 'catalogue' | 'snapshot' | 'flush';

/** Throws OracleError. `address`: another `host:port/service` than the settings', for RAC instances. */
export type ConnectOracle = (
  use: SessionUse,
  signal: AbortSignal,
  address?: string,
) => Promise<OracleSession>;

/**
 * What the server or the driver said. The message has error numbers alone: newer servers put values of rows into
 * their texts.
 */
export class OracleError extends Error {
  /** Numbers of all ORA- and PLS- codes: the driver hides some behind codes of its own. */
  readonly ora: readonly number[];
  readonly pls: readonly number[];
  readonly njs: readonly number[];
  /** First argument of ORA-00600 or ORA-07445. */
  readonly internal: string | null;

  constructor(text: string, errorNum?: number) {
    const ora = numbersOf(text, /ORA-0*(\d+)/g);
    const njs = numbersOf(text, /NJS-0*(\d+)/g);
    const pls = numbersOf(text, /PLS-0*(\d+)/g);
    if (errorNum !== undefined && errorNum !== 0 && !ora.includes(errorNum)) ora.push(errorNum);
    const internal = /ORA-0*(?:600|7445)\b[^[]*\[([^\]]*)\]/.exec(text)?.[1] ?? null;
    const codes = [
      ...ora.map((n) => `ORA-${String(n).padStart(5, '0')}`),
      ...pls.map((n) => `PLS-${String(n).padStart(5, '0')}`),
      ...njs.map((n) => `NJS-${String(n).padStart(3, '0')}`),
    ];
    super(`${codes.join(', ') || 'an error without a number'}${internal === null ? '' : ` [${internal}]`}`);
    this.name = 'OracleError';
    this.ora = ora;
    this.pls = pls;
    this.njs = njs;
    this.internal = internal;
  }

  /** Whether any of the server's error numbers is among them. */
  has(...numbers: readonly number[]): boolean {
    return this.ora.some((n) => numbers.includes(n));
  }
}

/** Anything else that is thrown while the server is asked is a bug, or an end that was asked for, and goes on. */
export function assertOracleError(error: unknown): asserts error is OracleError {
  if (!(error instanceof OracleError)) throw error;
}

function numbersOf(text: string, pattern: RegExp): number[] {
  return [...new Set([...text.matchAll(pattern)].map((match) => Number(match[1])))];
}
