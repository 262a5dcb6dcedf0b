import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type Image, valueOf, valuesOf } from '../../model/raw-row.ts';
import type { Row } from '../../model/value.ts';

/** Null where one of them is not in the form of its type: such a row is for the dead letters. */
export function readableValues(image: Image): Row | null {
  try {
    return valuesOf(image);
  } catch (error) {
    return nullIfUnreadable(error);
  }
}

/** The same of some columns. */
export function readableCells(image: Image, columns: readonly number[]): Row | null {
  try {
    return columns.map((column) => valueOf(image, column));
  } catch (error) {
    return nullIfUnreadable(error);
  }
}

function nullIfUnreadable(error: unknown): null {
  if (error instanceof HeadwaterError && error.code === 'source.value-unreadable') return null;
  throw error;
}
