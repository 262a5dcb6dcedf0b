/**
 * A position in a source's log: (commit position, number of changes of that transaction already delivered).
 * Only the reader that made it knows what is inside; everyone else uses its codec.
 */
export interface PositionCodec<P> {
  /** Readable, stable JSON value: it is what `headwater offsets show` prints and what the checkpoint stores. */
  encode(position: P): JsonValue;
  /** Throws HeadwaterError `state.position-invalid` on anything `encode` has not produced. */
  decode(json: JsonValue): P;
  /** Negative, zero or positive; null where the two are not ordered (diverged GTID sets). */
  compare(a: P, b: P): number | null;
  /** True where the position lies inside a source transaction. */
  insideTransaction(position: P): boolean;
}

export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };
