/**
 * Where the change of a record stands in the log of its database, told in a header (docs/decisions/0028):
 * `<µs>:<index>`. The former grows from transaction to transaction as the log has them: the commit time, or one more than the
 * transaction before has, whichever is later. The latter is the change's place in its transaction.
 */
export const POSITION_HEADER = '__headwater.position';

const WRITTEN = /^(\d{1,16}):(\d{1,16})$/;

/** The header's value among those of a record; null where it has none, or one of somebody else's making. */
export function positionOf(
  headers: readonly (readonly [name: string, value: Uint8Array | null])[],
): { readonly us: number; readonly index: number } | null {
  for (const [name, value] of headers) {
    if (name !== POSITION_HEADER || value === null) continue;
    const match = WRITTEN.exec(
      Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1'),
    );
    return match === null ? null : { us: Number(match[1]), index: Number(match[2]) };
  }
  return null;
}
