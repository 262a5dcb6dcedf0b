import { DDL, DELETE, INSERT, UNSUPPORTED, UPDATE } from '../mining/redo-row.ts';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { UnknownColumn } from '../redo/row-images.ts';
import type { CapturedRef, TableHistory } from '../table-history.ts';
import type { TableModel } from '../table-model.ts';
import type { DecodeText } from '../types/character-sets.ts';
import { UnreadableValue } from '../types/unreadable-value.ts';
import { LobEvents } from './lob-events.ts';
import type { RedoItem } from './redo-item.ts';
import {
  assertRedoUnreadable,
  type RowEvent,
  rowEvent,
  type RowEventOptions,
  type TruncateEvent,
  unknownColumn,
  unreadable,
} from './row-event.ts';
import type { Transaction } from './transaction.ts';

export interface AssemblerOptions extends RowEventOptions {
  readonly history: TableHistory;
  readonly decode: DecodeText;
  /** The model lacks a column: reads the catalogue anew and adds to the history, before that SCN. */
  readonly drifted: (ref: CapturedRef, scn: bigint) => Promise<void>;
}

export type Event = RowEvent | TruncateEvent;

/** The changes of a committed transaction, in order, from its items. */
export async function* assemble(
  transaction: Transaction,
  options: AssemblerOptions,
): AsyncGenerator<readonly Event[]> {
  const { history } = options;
  const lobs = options.lobs ? new LobEvents(options.decode, options.warnings) : null;
  for await (const items of transaction.items((number) => history.ref(number))) {
    const events: Event[] = [];
    for (const item of items) {
      const model = history.modelAt(item.ref, item.scn);
      if (item.code === DDL) {
        add(events, { kind: 'truncate', item, model }, lobs);
        continue;
      }
      if (item.code !== INSERT && item.code !== UPDATE && item.code !== DELETE && item.code !== UNSUPPORTED) {
        const failed = writeLob(lobs, item, model, options);
        if (failed !== null) add(events, failed, lobs);
        continue;
      }
      let event: RowEvent | null;
      try {
        event = rowEvent(item, model, options);
      } catch (error) {
        if (!(error instanceof UnknownColumn)) throw error;
        event = await again(item, options);
      }
      if (event !== null) add(events, event, lobs);
    }
    if (events.length > 0) yield events;
  }
  const last = lobs?.finish() ?? [];
  if (last.length > 0) yield last;
}

function add(events: Event[], event: Event, lobs: LobEvents | null): void {
  if (lobs === null) events.push(event);
  else events.push(...lobs.add(event));
}

/** Once more, after the catalogue has been read. */
async function again(item: RedoItem, options: AssemblerOptions): Promise<RowEvent | null> {
  await options.drifted(item.ref, item.scn);
  const model = options.history.modelAt(item.ref, item.scn);
  try {
    return rowEvent(item, model, options);
  } catch (error) {
    if (!(error instanceof UnknownColumn)) throw error;
    return unreadable(item, model, options, unknownColumn(error));
  }
}

/** A write that cannot be read makes the change of an unknown row unreadable. */
function writeLob(
  lobs: LobEvents | null,
  item: RedoItem,
  model: TableModel,
  options: AssemblerOptions,
): RowEvent | null {
  if (lobs === null) return null; // the end of a statement that only wrote into LOBs, here to be undone
  try {
    lobs.write(item, model);
    return null;
  } catch (error) {
    if (error instanceof UnknownColumn) return unreadable(item, model, options, unknownColumn(error));
    if (error instanceof UnreadableValue) {
      const wrapped = new HeadwaterError(
        'source.redo-unreadable',
        `A write into a LOB is not ${error.message}.`,
        { cause: error },
      );
      return unreadable(item, model, options, wrapped);
    }
    assertRedoUnreadable(error);
    return unreadable(item, model, options, error);
  }
}
