/** What the emitter asks of the images of a row before they are encoded. */
import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';
import type { RowChange, SourceInfo } from '../model/change.ts';
import { type Image, RawRow, valueOf, valuesOf } from '../model/raw-row.ts';
import { ABSENT, type Row, UNCHANGED } from '../model/value.ts';
import type { TableRoute } from './table-routes.ts';
import { sameValue } from './transforms/same-row.ts';

/** A key of the settings that the old row does not hold: with nulls in its stead nobody would delete anything. */
export function refuseUnknownKey<S extends SourceInfo>(
  { key, name, columns }: Pick<TableRoute<S>, 'key' | 'name' | 'columns'>,
  before: Image,
): void {
  const missing = key.find((column) => valueOf(before, column) === ABSENT);
  if (missing === undefined) return;
  const column = columns[missing] ?? null;
  throw new HeadwaterError(
    'delivery.key-unknown',
    `The log does not hold the column ${column} of rows deleted from ${name}, which tables.${name}.key makes part of the key.`,
    { details: { table: name, column } },
  );
}

/** Whether the two images of an update have different keys; what the log does not hold counts as unchanged. */
export function keyChanged(key: readonly number[], before: Image, after: Image): boolean {
  const raw = before instanceof RawRow && after instanceof RawRow;
  for (const column of key) {
    if (raw && before.sameCell(after, column)) continue;
    const was = valueOf(before, column);
    const is = valueOf(after, column);
    if (was !== ABSENT && is !== UNCHANGED && !sameValue(was, is)) return true;
  }
  return false;
}

/** Of a row that goes to the dead-letter topic only what its record would have shown. */
export function shownRow<S extends SourceInfo>(
  { project, fields }: TableRoute<S>,
  image: Image | null,
): Row | null {
  if (image === null) return null;
  const row = valuesOf(image);
  const shown = project === null ? row : project(row);
  return fields.map((i) => shown[i] ?? null);
}

/** Why the row after the change cannot be read, also where it is text that nobody has looked at; null where it can. */
export function unreadableOf({ unreadable, after }: RowChange): HeadwaterError | null {
  if (unreadable !== undefined) return asHeadwaterError(unreadable);
  try {
    valuesOf(after);
    return null;
  } catch (error) {
    return asHeadwaterError(error);
  }
}
