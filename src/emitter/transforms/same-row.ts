import { ABSENT, type Row, UNCHANGED, type Value } from '../../model/value.ts';

/** Scalars nearly always; what is compared by identity only is compared as text. */
export function sameValue(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return Object.is(a, b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return JSON.stringify(a, text) === JSON.stringify(b, text);
}

/** Whether two images of a row agree in these columns, as far as the log tells; where it does not, they don't. */
export function unchanged(columns: readonly number[], before: Row, after: Row): boolean {
  return columns.every((column) => {
    const was = before[column]!;
    const is = after[column]!;
    return is === UNCHANGED || (was !== ABSENT && is !== ABSENT && sameValue(was, is));
  });
}

function text(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
