import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { tableName } from '../../../model/table.ts';
import { ABSENT, UNCHANGED, type Value } from '../../../model/value.ts';
import { LEFT_OUT, placeOf, type TableModel } from '../table-model.ts';
import { isEmptyLob } from '../types/column-decoder.ts';
import { assertUnreadable, type UnreadableValue } from '../types/unreadable-value.ts';
import { type Literal, PRESENT, type RedoStatement } from './literal.ts';

/** Rows in the order of the model's columns. */
export interface RowImages {
  readonly before: Value[] | null;
  readonly after: Value[] | null;
}

/** Whether EMPTY_CLOB() is an empty LOB, or the beginning of one whose content is not followed. */
export type EmptyLobs = 'empty' | 'unknown';

/**
 * The old and the new row of a statement. A column that the statement does not mention is NULL in an insert;
 * elsewhere it did not change: UNCHANGED in the new row, ABSENT in the old one, but UNCHANGED in both where the
 * log never has old values of its type.
 *
 * Throws `source.redo-unreadable` for a value that is not of its column's type, UnknownColumn for a column that
 * the model does not have.
 */
export function rowImages(
  statement: RedoStatement,
  model: TableModel,
  emptyLobs: EmptyLobs = 'empty',
): RowImages {
  const { op, names, values, whereNames, whereValues } = statement;
  if (op === 'insert') {
    // Without a dictionary LOBs are not shown, or as locators.
    const nameless = names[0]?.startsWith('COL ') === true;
    const { decoders } = model;
    const after: Value[] = [];
    for (let i = 0; i < decoders.length; i++) after.push(decoders[i]!.large && nameless ? UNCHANGED : null);
    fill(after, { names, values, model, emptyLobs });
    return { before: null, after };
  }
  const before = model.unmentioned.slice();
  fill(before, { names: whereNames, values: whereValues, model, emptyLobs });
  if (op === 'delete') return { before, after: null };
  const after = before.slice();
  for (let i = 0; i < after.length; i++) if (after[i] === ABSENT) after[i] = UNCHANGED;
  fill(after, { names, values, model, emptyLobs });
  return { before, after };
}

/** A column that the table's model lacks: it may be out of date. */
export class UnknownColumn extends Error {
  readonly column: string;
  constructor(column: string) {
    super(`unknown column ${column}`);
    this.name = 'UnknownColumn';
    this.column = column;
  }
}

function fill(
  row: Value[],
  {
    names,
    values,
    model,
    emptyLobs,
  }: {
    readonly names: readonly string[];
    readonly values: readonly Literal[];
    readonly model: TableModel;
    readonly emptyLobs: EmptyLobs;
  },
): void {
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    const literal = values[i]!;
    if (literal === PRESENT) continue;
    const place = model.places.get(name) ?? placeOf(model, name);
    if (place === undefined) {
      if (name === 'ORA_ARCHIVE_STATE') continue; // in-database archiving's hidden column
      throw new UnknownColumn(name);
    }
    if (place === LEFT_OUT) continue;
    const decoder = model.decoders[place]!;
    if (
      decoder.large &&
      literal !== null &&
      (name.startsWith('COL ') || (emptyLobs === 'unknown' && isEmptyLob(literal)))
    ) {
      row[place] = UNCHANGED;
      continue;
    }
    try {
      row[place] = decoder.fromRedo(literal);
    } catch (error) {
      assertUnreadable(error);
      throw unreadable(model, place, error);
    }
  }
}

function unreadable(model: TableModel, place: number, error: UnreadableValue): HeadwaterError {
  const { id, columns } = model.schema;
  const { name, nativeType } = columns[place]!;
  return new HeadwaterError(
    'source.redo-unreadable',
    `A change of ${tableName(id)} holds a value in the column ${name} (${nativeType}) that is not ${error.message}.`,
    { details: { table: tableName(id), column: name, type: nativeType }, cause: error },
  );
}
