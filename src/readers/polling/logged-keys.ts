import type { Batch } from '../../model/batch.ts';
import type { RowChange } from '../../model/change.ts';
import type { PositionCodec } from '../../model/position.ts';
import type { Image } from '../../model/raw-row.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import { ABSENT, UNCHANGED } from '../../model/value.ts';
import { LOGGED_KEY, TABLE_PREFIX } from '../../state/checkpoint.ts';
import type { DeliveredKeys } from '../delivered-before.ts';
import { encodePolledRecord, keptOf } from './polled-before.ts';
import { readableCells } from './readable-values.ts';
import { RowState, type RowStateOptions } from './row-state.ts';
import { textOfValues } from './row-text.ts';

export interface LoggedKeysOptions<P> {
  readonly file: RowStateOptions;
  readonly codec: PositionCodec<P>;
  /** Captured tables whose keys are to be known. */
  readonly tables: readonly TableId[];
  /** The durable state. */
  readonly state: ReadonlyMap<string, string>;
  /** Whether a table of which the state says nothing is read from its beginning. */
  readonly snapshots: boolean;
}

/** Neither hash nor row: of what the log has delivered only keys are kept. */
const KEY_ALONE = { hash: new Uint8Array(), row: null, version: 0, stamp: 0 };

/**
 * Keys of rows that the log has delivered, in a file like polling's own (row-state.ts): where polling takes over later,
 * what is known here and not in the table any more was deleted in between. Most updates leave the key as it is, and cost a
 * look at the file; the others, inserts and deletes cost a write.
 */
export class LoggedKeys<P> implements DeliveredKeys<P> {
  readonly #codec: PositionCodec<P>;
  readonly #tables: ReadonlySet<string>;
  readonly #state: RowState;
  /** Batches of the file that are not known to be durable yet, with the position behind each; oldest first. */
  #waiting: { readonly position: P; readonly batch: number }[] = [];
  #placed: number;

  constructor({ file, codec, tables, state, snapshots }: LoggedKeysOptions<P>) {
    this.#codec = codec;
    this.#tables = new Set(tables.map(tableName));
    const text = state.get(LOGGED_KEY);
    this.#state = new RowState(file, text === undefined ? null : keptOf(text));
    this.#placed = this.#state.batch;
    // Not kept up to date any more.
    const left = this.#state.completeTables.filter((table) => !this.#tables.has(table));
    if (left.length > 0)
      this.#state.inNextBatch(() => left.forEach((table) => this.#state.forgetTable(table)));
    for (const table of this.#tables)
      if (snapshots && !state.has(TABLE_PREFIX + table)) this.#state.beginTable(table);
  }

  note({ changes, resume }: Batch<P>): ReadonlyMap<string, string> | null {
    const state = this.#state;
    const was = state.batch;
    if (
      changes.some((change) => 'table' in change && change.table !== null && this.#concerns(change.table))
    ) {
      state.inNextBatch(() => {
        for (const change of changes) {
          if (change.kind === 'row' && this.#concerns(change.table)) this.#note(change);
          if (change.kind === 'truncate' && this.#concerns(change.table))
            state.removeAll(tableName(change.table.id));
        }
      });
    }
    if (resume !== null && state.batch !== this.#placed) {
      this.#placed = state.batch;
      this.#waiting.push({ position: resume, batch: state.batch });
    }
    return state.batch === was
      ? null
      : new Map([[LOGGED_KEY, encodePolledRecord({ kept: state.kept, shapes: {} })]]);
  }

  confirm(position: P): void {
    let durable: number | null = null;
    while (this.#waiting.length > 0) {
      const [first] = this.#waiting;
      if ((this.#codec.compare(position, first!.position) ?? -1) < 0) break;
      durable = first!.batch;
      this.#waiting.shift();
    }
    if (durable !== null) this.#state.confirm(durable);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#state.close();
    return Promise.resolve();
  }

  #concerns({ id }: TableSchema): boolean {
    return this.#tables.has(tableName(id));
  }

  #note({ op, table, before, after, unreadable }: RowChange): void {
    const name = tableName(table.id);
    const state = this.#state;
    state.useColumns(
      name,
      table.key.map((index) => table.columns[index]!.name),
    );
    // It is for the dead letters, and the consumer has the row as it was.
    if (unreadable !== undefined) return;
    const was = op === 'c' || op === 'r' || before === null ? null : keyOf(table, before);
    const is = after === null ? null : keyOf(table, after);
    if (was !== null && (op === 'd' || (is !== null && Buffer.compare(was, is) !== 0)))
      state.remove(name, was);
    if (is !== null && !state.has(name, is)) state.put(name, is, KEY_ALONE);
  }
}

/** Null where not all of the key is there. */
function keyOf({ key }: TableSchema, image: Image): Uint8Array | null {
  if (key.length === 0) return null;
  const cells = readableCells(image, key);
  if (cells === null || cells.some((cell) => cell === ABSENT || cell === UNCHANGED)) return null;
  return Buffer.from(textOfValues(cells));
}
