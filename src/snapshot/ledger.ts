import type { JsonValue } from '../model/position.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { ChunkRange } from './snapshot-source.ts';

/**
 * What is durable about the snapshot of one table: checkpoint key `table/<schema>.<table>`, written in the same
 * commit as the rows it counts (INV-3: a row of a key chunk is delivered exactly once).
 */
interface LedgerRecord {
  readonly v: 1;
  /** `none`: nothing was to be read (mode no_data). */
  readonly by: 'key' | 'block' | 'none';
  /** Inner bounds: chunk i is (bounds[i-1], bounds[i]]. Emptied when the table is complete. */
  readonly bounds: readonly string[];
  /** One entry a chunk: 0 not begun, 1 done, text: the key of the last row delivered. */
  readonly chunks: readonly (0 | 1 | string)[];
  readonly rows: number;
  /** Version of the table's schema the rows were read with last. */
  readonly schema: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly completedAt: string | null;
  /** Keys (row-key.ts, `keyText`) of rows that moved among those delivered, and have not been delivered whole since. */
  readonly owed?: readonly string[];
}

/** The snapshot as a whole: checkpoint key `snapshot`. */
export interface SnapshotRecord {
  readonly v: 1;
  readonly mode: string;
  readonly startedAt: string;
  readonly completedAt: string | null;
}

/** How far one table has been read; moved on as its rows are delivered. */
export class Ledger {
  readonly by: LedgerRecord['by'];
  readonly startedAt: string;
  #bounds: readonly string[];
  #chunks: (0 | 1 | string)[];
  #open: number;
  #rows: number;
  #schema: number;
  #completedAt: string | null;
  readonly #owed: Set<string>;

  private constructor(record: LedgerRecord) {
    this.by = record.by;
    this.startedAt = record.startedAt;
    this.#bounds = record.bounds;
    this.#chunks = [...record.chunks];
    this.#open = this.#chunks.reduce<number>((n, chunk) => (chunk === 1 ? n : n + 1), 0);
    this.#rows = record.rows;
    this.#schema = record.schema;
    this.#completedAt = record.completedAt;
    this.#owed = new Set(record.owed);
  }

  /** Nothing read yet of these chunks. */
  static begin(by: 'key' | 'block', chunks: readonly ChunkRange[], now: Date): Ledger {
    return new Ledger({
      v: 1,
      by,
      bounds: chunks.slice(0, -1).map((chunk) => chunk.to ?? ''),
      chunks: chunks.map(() => 0 as const),
      rows: 0,
      schema: 0,
      startedAt: now.toISOString(),
      completedAt: null,
    });
  }

  /** For a table whose rows are not wanted. */
  static skipped(now: Date): Ledger {
    const at = now.toISOString();
    return new Ledger({
      v: 1,
      by: 'none',
      bounds: [],
      chunks: [],
      rows: 0,
      schema: 0,
      startedAt: at,
      completedAt: at,
    });
  }

  /** Throws `state.snapshot-invalid` on anything `encode` has not produced. */
  static decode(text: string, key: string): Ledger {
    const record = parse(text, key);
    const { by, bounds, chunks, rows, schema, startedAt, completedAt, owed = [] } = record;
    const valid =
      record['v'] === 1 &&
      (by === 'key' || by === 'block' || by === 'none') &&
      isList(bounds, (bound) => typeof bound === 'string') &&
      isList(chunks, (chunk) => chunk === 0 || chunk === 1 || typeof chunk === 'string') &&
      (completedAt !== null || bounds.length === chunks.length - 1) &&
      typeof rows === 'number' &&
      typeof schema === 'number' &&
      typeof startedAt === 'string' &&
      isList(owed, (key) => typeof key === 'string') &&
      (completedAt === null || typeof completedAt === 'string');
    if (!valid) throw invalid(key);
    return new Ledger({
      v: 1,
      by,
      bounds: bounds as readonly string[],
      chunks: chunks as readonly (0 | 1 | string)[],
      rows,
      schema,
      startedAt,
      completedAt,
      owed: owed as readonly string[],
    });
  }

  encode(): string {
    const record: LedgerRecord = {
      v: 1,
      by: this.by,
      bounds: this.#bounds,
      chunks: this.#chunks,
      rows: this.#rows,
      schema: this.#schema,
      startedAt: this.startedAt,
      completedAt: this.#completedAt,
      ...(this.#owed.size === 0 ? {} : { owed: [...this.#owed] }),
    };
    return JSON.stringify(record);
  }

  get rows(): number {
    return this.#rows;
  }

  get completed(): boolean {
    return this.#completedAt !== null;
  }

  /** Chunks that have been read to their end, and all there are. */
  get chunkCounts(): { readonly done: number; readonly total: number } {
    return { done: this.#chunks.length - this.#open, total: this.#chunks.length };
  }

  /** All chunks as they were planned. */
  ranges(): readonly ChunkRange[] {
    return this.#chunks.map((_, i) => ({ from: this.#bounds[i - 1] ?? null, to: this.#bounds[i] ?? null }));
  }

  /** What is still to be read of a chunk; null where nothing is. */
  remaining(chunk: number): ChunkRange | null {
    const state = this.#chunks[chunk];
    if (state === undefined || state === 1) return null;
    const from = state === 0 ? (this.#bounds[chunk - 1] ?? null) : state;
    return { from, to: this.#bounds[chunk] ?? null };
  }

  /** Rows up to `lastKey` of this chunk, or others where it is null, are delivered together with this ledger. */
  advance(chunk: number | null, lastKey: string | null, rows: number): void {
    this.#rows += rows;
    if (chunk !== null && lastKey !== null && this.#chunks[chunk] !== 1) this.#chunks[chunk] = lastKey;
  }

  /** The chunk has been read to its end. Answers whether all have. */
  finish(chunk: number): boolean {
    if (this.#chunks[chunk] !== 1) {
      this.#chunks[chunk] = 1;
      this.#open--;
    }
    return this.#open === 0;
  }

  /** Whether nothing is left to be read of any chunk. */
  get allRead(): boolean {
    return this.#open === 0;
  }

  get owed(): ReadonlySet<string> {
    return this.#owed;
  }

  /** The row of this key is in no topic with all its columns. */
  owe(key: string): void {
    this.#owed.add(key);
  }

  settle(key: string): void {
    this.#owed.delete(key);
  }

  complete(now: Date): void {
    this.#completedAt = now.toISOString();
    this.#bounds = [];
    this.#chunks = [];
    this.#open = 0;
    this.#owed.clear();
  }

  set schema(version: number) {
    this.#schema = version;
  }
}

/** Throws `state.snapshot-invalid`, which names `key`. */
export function decodeSnapshotRecord(text: string, key: string): SnapshotRecord {
  const { v, mode, startedAt, completedAt } = parse(text, key);
  if (
    v !== 1 ||
    typeof mode !== 'string' ||
    typeof startedAt !== 'string' ||
    (completedAt !== null && typeof completedAt !== 'string')
  ) {
    throw invalid(key);
  }
  return { v, mode, startedAt, completedAt };
}

function parse(text: string, key: string): { readonly [key: string]: JsonValue } {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw invalid(key, cause);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalid(key);
  return value as { readonly [key: string]: JsonValue };
}

function isList(
  value: JsonValue | undefined,
  entry: (value: JsonValue) => boolean,
): value is readonly JsonValue[] {
  return Array.isArray(value) && (value as readonly JsonValue[]).every(entry);
}

function invalid(key: string, cause?: unknown): HeadwaterError {
  return new HeadwaterError(
    'state.snapshot-invalid',
    `The stored snapshot state ${key} is not one this version can read.`,
    { details: { key }, cause },
  );
}
