import type { RowChange } from '../../../model/change.ts';
import type { MysqlSource } from '../source-info.ts';
import { type ByteCursor, misplaced } from './byte-cursor.ts';
import type { OpenTransaction } from './open-transaction.ts';
import { operationOf, readRowsHead, RowReader, type RowsHead } from './rows.ts';
import type { CapturedState } from './table-state.ts';
import { unreadableChange } from './unreadable-change.ts';

/** Turns rows events into changes of the open transaction; one may be left in the middle of an event. */
export class RowsDecoder {
  readonly #tx: OpenTransaction;
  readonly #connector: MysqlSource['connector'];
  readonly #reader = new RowReader();
  /** Where in the rows event at hand to go on. */
  #left: { readonly head: RowsHead; readonly at: number } | null = null;

  constructor(tx: OpenTransaction, connector: MysqlSource['connector']) {
    this.#tx = tx;
    this.#connector = connector;
  }

  /** In the middle of an event. */
  get isInside(): boolean {
    return this.#left !== null;
  }

  /** An event that was delivered before a restart is counted, so that ordinals go on. */
  passDelivered(type: number, cursor: ByteCursor, captured: CapturedState): void {
    const tx = this.#tx;
    const { progress } = tx;
    tx.passDelivered();
    progress.enter(captured.schema);
    if (captured.undecodable) {
      this.#countNote();
    } else {
      const head = readRowsHead(type, cursor, captured);
      while (cursor.left > 0) {
        if (!this.#reader.read(head, cursor, captured)) continue;
        progress.count();
        tx.nextSeq();
      }
    }
    progress.passEvent();
  }

  /** One note for all rows of an event that cannot be read at all. */
  note(type: number, { schema, unreadable }: CapturedState, eventStart: number): void {
    const tx = this.#tx;
    tx.progress.enter(schema);
    const seq = this.#countNote();
    const error = unreadable ?? misplaced('rows that cannot be read');
    const at = tx.here(eventStart);
    tx.give(unreadableChange(schema, error, { op: operationOf(type), seq, at }), eventStart, 0);
    tx.progress.passEvent();
  }

  /** How many rows it stands for is not known: another server may have cut them into more of them. */
  #countNote(): number {
    const { progress } = this.#tx;
    progress.count();
    progress.notPortable();
    return this.#tx.nextSeq();
  }

  /** From behind the table id and flags. False where there are `hard` changes before the event's end. */
  read(
    type: number,
    cursor: ByteCursor,
    captured: CapturedState,
    { eventStart, hard }: { readonly eventStart: number; readonly hard: number },
  ): boolean {
    const tx = this.#tx;
    tx.progress.enter(captured.schema);
    const head = this.#left?.head ?? readRowsHead(type, cursor, captured);
    if (this.#left !== null) cursor.at = this.#left.at;
    this.#left = null;
    while (cursor.left > 0) {
      if (tx.changes.length >= hard) {
        this.#left = { head, at: cursor.at };
        return false;
      }
      const rowAt = cursor.at;
      const change = this.#row(head, cursor, captured, eventStart);
      if (change !== null) tx.give(change, eventStart, cursor.at - rowAt);
    }
    tx.progress.passEvent();
    return true;
  }

  /** Null for a row that was delivered before a restart, or is about history only. */
  #row(
    head: RowsHead,
    cursor: ByteCursor,
    captured: CapturedState,
    eventStart: number,
  ): RowChange<MysqlSource> | null {
    const open = this.#tx;
    const row = open.progress.nextRow();
    const reader = this.#reader;
    const isChange = reader.read(head, cursor, captured);
    if (open.progress.skipsRow(isChange)) {
      if (isChange) open.nextSeq();
      open.passDelivered();
      return null;
    }
    if (!isChange) return null;
    const tx = open.tx();
    const change: RowChange<MysqlSource> = {
      kind: 'row',
      op: reader.op,
      table: captured.schema,
      before: reader.before,
      after: reader.after,
      tx,
      seq: open.nextSeq(),
      at: {
        connector: this.#connector,
        tx,
        file: open.place.file,
        pos: eventStart,
        row,
        query: open.query,
      },
      snapshot: null,
    };
    return reader.unreadable === null ? change : { ...change, unreadable: reader.unreadable };
  }
}
