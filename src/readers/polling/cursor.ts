import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { JsonValue } from '../../model/position.ts';

/**
 * How far one table has been read; durable under `poll/<schema>.<table>`, together with the rows that it says have
 * been delivered. JSON: `{"v": 1, "from": "7341", "us": 1764…, "ahead": -1200, "value": "99", "pass": {…}, "sweptAt": …, "missed": 0}`.
 */
export interface TableCursor {
  /** Transactions below this number have been delivered; null where rows do not tell theirs. */
  readonly from: bigint | null;
  /** Rows with an earlier time than this (microseconds since the epoch) are complete; null: none is known to be. */
  readonly us: number | null;
  /** The same of the incrementing column. */
  readonly value: string | null;
  /** How far the source's clock was ahead of ours when `us` was known, in microseconds; null: not known. */
  readonly aheadUs: number | null;
  /** A pass that is under way; what it goes by stays as it was when it began. */
  readonly pass: PassCursor | null;
  /** When the keys were last compared, milliseconds since the epoch. */
  readonly sweptAt: number;
  /** Transactions below this number are known to be delivered whatever their rows' times; null: none. */
  readonly sweptFrom: bigint | null;
  /** Rows found by comparing keys that polling had not seen change, since the pipeline was new. */
  readonly missed: number;
}

export interface PassCursor {
  readonly to: bigint | null;
  /** Number of the scan within the pass. */
  readonly scan: number;
  readonly after: readonly string[] | null;
}

/** Where a table begins that nothing is known of: part of the position. */
export type Beginning = Pick<TableCursor, 'from' | 'us' | 'aheadUs'>;

export function beginAt({ from, us, aheadUs }: Beginning): TableCursor {
  return { from, us, aheadUs, value: null, pass: null, sweptAt: Date.now(), sweptFrom: from, missed: 0 };
}

export function encodeBeginning({ from, us, aheadUs }: Beginning): JsonValue {
  return { from: numberText(from), us, ahead: aheadUs };
}

export function decodeBeginning(json: JsonValue): Beginning {
  const { from, us, ahead = null } = fields(json, 'position');
  return {
    from: numberOf(from, 'position'),
    us: timeOf(us, 'position'),
    aheadUs: timeOf(ahead, 'position'),
  };
}

export function encodeCursor(cursor: TableCursor): string {
  const { from, us, aheadUs, value, pass, sweptAt, sweptFrom, missed } = cursor;
  return JSON.stringify({
    v: 1,
    from: numberText(from),
    us,
    ahead: aheadUs,
    value,
    pass: pass === null ? null : { ...pass, to: numberText(pass.to) },
    sweptAt,
    sweptFrom: numberText(sweptFrom),
    missed,
  });
}

/** Throws `state.position-invalid`. */
export function decodeCursor(text: string, key: string): TableCursor {
  let json: JsonValue;
  try {
    json = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw invalid(key, cause);
  }
  const { v, from, us, ahead = null, value, pass, sweptAt, sweptFrom, missed } = fields(json, key);
  if (v !== 1 || typeof missed !== 'number' || (value !== null && typeof value !== 'string'))
    throw invalid(key);
  return {
    from: numberOf(from, key),
    us: timeOf(us, key),
    aheadUs: timeOf(ahead, key),
    value,
    pass: pass == null ? null : passOf(fields(pass, key), key),
    sweptAt: timeOf(sweptAt, key) ?? 0,
    sweptFrom: numberOf(sweptFrom, key),
    missed,
  };
}

function passOf(
  { to, scan, after }: { readonly [key: string]: JsonValue | undefined },
  key: string,
): PassCursor {
  if (typeof scan !== 'number') throw invalid(key);
  if (after === null) return { to: numberOf(to, key), scan, after: null };
  if (!Array.isArray(after)) throw invalid(key);
  const texts = (after as readonly JsonValue[]).filter((each) => typeof each === 'string');
  return { to: numberOf(to, key), scan, after: texts };
}

function numberText(value: bigint | null): string | null {
  return value === null ? null : String(value);
}

function numberOf(json: JsonValue | undefined, key: string): bigint | null {
  if (json === null) return null;
  if (typeof json !== 'string' || !/^\d+$/.test(json)) throw invalid(key);
  return BigInt(json);
}

function timeOf(json: JsonValue | undefined, key: string): number | null {
  if (json === null) return null;
  if (typeof json !== 'number') throw invalid(key);
  return json;
}

function fields(json: JsonValue, key: string): { readonly [key: string]: JsonValue | undefined } {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw invalid(key);
  return json as { readonly [key: string]: JsonValue };
}

function invalid(key: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError(
    'state.position-invalid',
    `The stored state ${key} of polling is not one this version can read.`,
    { details: { key }, cause },
  );
}
