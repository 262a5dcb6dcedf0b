import { HeadwaterError } from '../errors/headwater-error.ts';
import type { JsonValue } from '../model/position.ts';
import { REQUEST_PREFIX, SNAPSHOT_PAUSED_KEY, TABLE_PREFIX } from '../state/checkpoint.ts';
import { Ledger } from './ledger.ts';

/** A snapshot of one table that an operator asked for: checkpoint key `request/<schema>.<table>`. */
export interface SnapshotRequest {
  readonly v: 1;
  /** SQL condition; null: all rows; left out: that of the settings. */
  readonly where?: string | null;
  /** ISO 8601. */
  readonly requestedAt: string;
}

/** The edits of the durable state by which operators steer snapshots. Tables are `schema.table`. */
export type StateEdits = ReadonlyMap<string, string | null>;

/** Reads the tables again, with the conditions of the settings: what is known of them is forgotten. */
export function resyncEdits(tables: readonly string[], now: Date): StateEdits {
  return requestEdits(tables, { v: 1, requestedAt: now.toISOString() });
}

/** Reads the rows of the tables that satisfy `where`; null: all. */
export function snapshotEdits(tables: readonly string[], where: string | null, now: Date): StateEdits {
  return requestEdits(tables, { v: 1, where, requestedAt: now.toISOString() });
}

function requestEdits(tables: readonly string[], request: SnapshotRequest): StateEdits {
  return new Map(
    tables.flatMap((table): (readonly [string, string | null])[] => [
      [TABLE_PREFIX + table, null],
      [REQUEST_PREFIX + table, JSON.stringify(request)],
    ]),
  );
}

/** Leaves the rest of the tables unread; their changes are delivered as ever. */
export function stopEdits(tables: readonly string[], now: Date): StateEdits {
  return new Map<string, string | null>([
    ...tables.flatMap((table): (readonly [string, string | null])[] => [
      [TABLE_PREFIX + table, Ledger.skipped(now).encode()],
      [REQUEST_PREFIX + table, null],
    ]),
    [SNAPSHOT_PAUSED_KEY, null],
  ]);
}

export function pauseEdits(paused: boolean): StateEdits {
  return new Map([[SNAPSHOT_PAUSED_KEY, paused ? 'true' : null]]);
}

/**
 * Requests for some rows of tables that have to be read whole, made into requests for all that the settings want.
 * `isMeant` is asked with `schema.table`.
 */
export function widenedRequests(
  state: ReadonlyMap<string, string>,
  isMeant: (table: string) => boolean,
): ReadonlyMap<string, string> {
  const widened = new Map<string, string>();
  for (const [key, text] of state) {
    if (!key.startsWith(REQUEST_PREFIX) || !isMeant(key.slice(REQUEST_PREFIX.length))) continue;
    const { v, where, requestedAt } = decodeRequest(text, key);
    if (typeof where === 'string') widened.set(key, JSON.stringify({ v, requestedAt }));
  }
  return widened;
}

/** Throws `state.snapshot-invalid`. */
export function decodeRequest(text: string, key: string): SnapshotRequest {
  let value: JsonValue = null;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    // Said below.
  }
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    const { v, where, requestedAt } = value as { readonly [key: string]: JsonValue };
    if (v === 1 && typeof requestedAt === 'string') {
      if (where === undefined) return { v, requestedAt };
      if (where === null || typeof where === 'string') return { v, where, requestedAt };
    }
  }
  throw new HeadwaterError(
    'state.snapshot-invalid',
    `The stored snapshot state ${key} is not one this version can read.`,
    { details: { key } },
  );
}
