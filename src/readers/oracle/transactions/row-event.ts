import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { tableName } from '../../../model/table.ts';
import { ABSENT, UNCHANGED, type Value } from '../../../model/value.ts';
import { DELETE, INSERT, UNSUPPORTED, UPDATE } from '../mining/redo-row.ts';
import { UNSUPPORTED as UNSUPPORTED_TYPE, type RedoStatement } from '../redo/literal.ts';
import { parseRedo } from '../redo/parse-redo.ts';
import { type RowImages, rowImages, type UnknownColumn } from '../redo/row-images.ts';
import { quoteTable } from '../quoting.ts';
import { LEFT_OUT, placeOf, type TableModel } from '../table-model.ts';
import type { Warnings } from '../warnings.ts';
import type { LobValue } from './lob-value.ts';
import type { RedoItem } from './redo-item.ts';

/** A change that may still be written to, until it is delivered. */
export interface RowEvent {
  readonly kind: 'row';
  readonly item: RedoItem;
  readonly model: TableModel;
  readonly op: 'c' | 'u' | 'd';
  readonly before: Value[] | null;
  readonly after: Value[] | null;
  /** Contents of LOBs under way, by column; null where there are none. */
  lobs: Map<number, LobValue> | null;
  /** Columns that the set clause names; empty but for updates. */
  readonly set: readonly number[];
  readonly unreadable: HeadwaterError | null;
}

export interface TruncateEvent {
  readonly kind: 'truncate';
  readonly item: RedoItem;
  readonly model: TableModel;
}

const NOTHING: readonly number[] = [];

export interface RowEventOptions {
  readonly lobs: boolean;
  /** Rebuild rows that LogMiner has no names for. */
  readonly hybrid: boolean;
  readonly onUnreadable: 'fail' | 'dead-letter';
  readonly absentColumns: 'unavailable' | 'as-null' | 'fail';
  /** Of the transaction, for messages. */
  readonly xid: string;
  readonly warnings: Warnings;
}

/**
 * The change an item of code 1, 2, 3 or 255 stands for; null where the redo says there is none. Throws
 * UnknownColumn where the model lacks a column.
 */
export function rowEvent(item: RedoItem, model: TableModel, options: RowEventOptions): RowEvent | null {
  const { sql, code, status, info } = item;
  const { warnings } = options;
  const table = tableName(model.schema.id);
  if (code === UNSUPPORTED) {
    warnings.count('unsupported-operation', { scn: item.scn, table, info });
    return refuse(item, model, options, 'is of a kind that LogMiner does not show');
  }
  if (sql === null || sql === '' || sql.startsWith('/* No SQL_REDO')) return null;
  if (status === 2 && info !== null && info !== '') {
    warnings.count('sql-not-reconstructed', { scn: item.scn, table, info });
    if (!options.hybrid) return refuse(item, model, options, `cannot be rebuilt by LogMiner (${info})`);
  }
  try {
    const statement = parseRedo(sql);
    if (statement.relaxed) warnings.count('relaxed-scan', { scn: item.scn, table });
    if (hasUnsupported(statement)) warnings.count('unsupported-type', { scn: item.scn, table });
    const op = statement.op === 'insert' ? 'c' : statement.op === 'update' ? 'u' : 'd';
    if (codeOf(op) !== code) throw refusal(model, 'has a statement of another kind');
    const images = rowImages(statement, model, options.lobs ? 'empty' : 'unknown');
    if (lacksKey(images.before, model)) throw keyNotLogged(model);
    if (options.absentColumns !== 'unavailable' && images.before?.includes(ABSENT) === true) {
      if (options.absentColumns === 'fail') throw notLogged(model, 'without all of its columns');
      nullForAbsent(images, model);
    }
    const set =
      op === 'u' && options.lobs
        ? statement.names.map((name) => placeOf(model, name)!).filter((place) => place !== LEFT_OUT)
        : NOTHING;
    return { kind: 'row', item, model, op, ...images, lobs: null, set, unreadable: null };
  } catch (error) {
    assertRedoUnreadable(error);
    return unreadable(item, model, options, error);
  }
}

/** Anything else that is thrown while a change is read is a bug, and goes on. */
export function assertRedoUnreadable(error: unknown): asserts error is HeadwaterError {
  if (!(error instanceof HeadwaterError) || error.code !== 'source.redo-unreadable') throw error;
}

/** The change that could not be read: for the dead-letter topic, or the end. */
export function unreadable(
  item: RedoItem,
  model: TableModel,
  { onUnreadable, xid }: Pick<RowEventOptions, 'onUnreadable' | 'xid'>,
  cause: HeadwaterError,
): RowEvent {
  const error = at(item, model, { xid, cause });
  if (onUnreadable === 'fail') throw error;
  const op = item.code === INSERT ? 'c' : item.code === DELETE ? 'd' : 'u';
  const nothing = (): Value[] => model.schema.columns.map((): Value => ABSENT);
  return {
    kind: 'row',
    item,
    model,
    op,
    before: op === 'c' ? null : nothing(),
    after: op === 'd' ? null : nothing(),
    lobs: null,
    set: NOTHING,
    unreadable: error,
  };
}

/** UnknownColumn as the error it is once the catalogue has been looked at. */
export function unknownColumn({ column }: UnknownColumn): HeadwaterError {
  return new HeadwaterError(
    'source.redo-unreadable',
    `The redo log names a column ${column} that the table does not have.`,
    {
      details: { column },
    },
  );
}

/** Whether the old row is there without its key: whose change it is cannot be told. */
export function lacksKey(before: readonly Value[] | null, { schema }: TableModel): boolean {
  return before !== null && schema.key.some((place) => before[place] === ABSENT);
}

export function keyNotLogged(model: TableModel): HeadwaterError {
  return notLogged(model, 'without the key of its row');
}

/** A column that may not be null stays unknown. */
function nullForAbsent({ before, after }: RowImages, { schema }: TableModel): void {
  if (before === null || after === null) return;
  for (const [i, { nullable }] of schema.columns.entries())
    if (nullable && before[i] === ABSENT && after[i] === UNCHANGED) after[i] = null;
}

function notLogged({ schema }: TableModel, how: string): HeadwaterError {
  return new HeadwaterError(
    'source.redo-unreadable',
    `A change of ${tableName(schema.id)} is in the redo log ${how}.`,
    {
      fix: `ALTER TABLE ${quoteTable(schema.id)} ADD SUPPLEMENTAL LOG DATA (ALL) COLUMNS; then take a new snapshot of the table.`,
    },
  );
}

function refuse(item: RedoItem, model: TableModel, options: RowEventOptions, what: string): RowEvent {
  return unreadable(item, model, options, refusal(model, what));
}

function refusal({ schema }: TableModel, what: string): HeadwaterError {
  return new HeadwaterError('source.redo-unreadable', `A change of ${tableName(schema.id)} ${what}.`);
}

/** Where in the log it was. */
function at(
  item: RedoItem,
  model: TableModel,
  { xid, cause: error }: { readonly xid: string; readonly cause: HeadwaterError },
): HeadwaterError {
  const { scn, rsId, ssn } = item;
  return new HeadwaterError(
    error.code,
    `${error.message.replace(/\.$/, '')}, at SCN ${scn} (transaction ${xid}, RS_ID ${rsId}, SSN ${ssn}).`,
    {
      details: { ...error.details, table: tableName(model.schema.id), scn: String(scn), xid, rsId, ssn },
      fix: error.fix,
      cause: error,
    },
  );
}

function codeOf(op: 'c' | 'u' | 'd'): number {
  return op === 'c' ? INSERT : op === 'u' ? UPDATE : DELETE;
}

function hasUnsupported({ values, whereValues }: RedoStatement): boolean {
  return values.includes(UNSUPPORTED_TYPE) || whereValues.includes(UNSUPPORTED_TYPE);
}
