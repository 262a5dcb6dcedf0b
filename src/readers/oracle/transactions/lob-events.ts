import { tableName } from '../../../model/table.ts';
import { ABSENT, UNCHANGED, type Value } from '../../../model/value.ts';
import {
  LOB_ERASE,
  LOB_TRIM,
  LOB_WRITE,
  LONG_STRING_BEGIN,
  LONG_STRING_END,
  LONG_STRING_WRITE,
  SELECT_LOB_LOCATOR,
  XML_BEGIN,
  XML_END,
  XML_WRITE,
} from '../mining/redo-row.ts';
import {
  lobLocator,
  type LobTarget,
  lobTrim,
  lobWrite,
  longStringPiece,
  longStringTarget,
  xmlPiece,
  xmlTarget,
} from '../redo/lob-texts.ts';
import { rowImages } from '../redo/row-images.ts';
import { placeOf, type TableModel } from '../table-model.ts';
import type { DecodeText } from '../types/character-sets.ts';
import { assertUnreadable } from '../types/unreadable-value.ts';
import type { Warnings } from '../warnings.ts';
import { LobValue } from './lob-value.ts';
import type { RedoItem } from './redo-item.ts';
import { keyNotLogged, lacksKey, type RowEvent, type TruncateEvent } from './row-event.ts';

/** Rows that may still be written to; older ones get an update of their own. */
const MOST_OPEN = 1_000;

/**
 * Puts the writes into LOBs, XML and long strings of one transaction into the changes of their rows: an INSERT
 * comes with an empty LOB, and what it holds follows in operations of its own.
 */
export class LobEvents {
  readonly #decode: DecodeText;
  readonly #warnings: Warnings;
  #open: (RowEvent | TruncateEvent)[] = [];
  /** The value that is written to. */
  #target: { readonly event: RowEvent; readonly place: number; readonly lob: LobValue } | null = null;

  constructor(decode: DecodeText, warnings: Warnings) {
    this.#decode = decode;
    this.#warnings = warnings;
  }

  /** An event of a row or table; answers those that no write can reach any more. */
  add(event: RowEvent | TruncateEvent): readonly (RowEvent | TruncateEvent)[] {
    this.#target = null;
    if (event.kind === 'row' && this.#merge(event)) return [];
    this.#open.push(event);
    return this.#open.length > MOST_OPEN ? finished(this.#open.splice(0, 1)) : [];
  }

  /** An operation on a LOB. */
  write(item: RedoItem, model: TableModel): void {
    const sql = item.sql ?? '';
    switch (item.code) {
      case SELECT_LOB_LOCATOR:
        this.#aim(item, model, lobLocator(sql));
        return;
      case XML_BEGIN:
        this.#aim(item, model, xmlTarget(sql));
        this.#target?.lob.restart();
        return;
      case LONG_STRING_BEGIN:
        this.#aim(item, model, longStringTarget(sql));
        this.#target?.lob.restart();
        return;
      case LOB_WRITE: {
        const { data, length, offset } = lobWrite(sql);
        this.#target?.lob.write(data, length, offset);
        return;
      }
      case XML_WRITE: {
        const piece = xmlPiece(sql);
        if (piece !== null) this.#target?.lob.append(piece);
        else if (this.#target !== null) this.#setNull(this.#target);
        return;
      }
      case LONG_STRING_WRITE:
        this.#target?.lob.append(longStringPiece(sql));
        return;
      case LOB_TRIM: {
        const length = lobTrim(sql);
        if (length === null) this.#aim(item, model, lobLocator(sql));
        else this.#target?.lob.trim(length);
        return;
      }
      case LOB_ERASE:
        this.#target?.lob.erase();
        this.#warnings.count('lob-erase', { scn: item.scn, table: tableName(item.ref.id) });
        return;
      case XML_END:
      case LONG_STRING_END:
        this.#target = null;
        return;
    }
  }

  /** All that is left, at the transaction's end. */
  finish(): readonly (RowEvent | TruncateEvent)[] {
    this.#target = null;
    return finished(this.#open.splice(0));
  }

  /** An update of LOBs alone right behind a change of the same row is a part of that. */
  #merge(event: RowEvent): boolean {
    const last = this.#open.at(-1);
    if (event.op !== 'u' || event.unreadable !== null || event.set.length === 0) return false;
    if (
      last?.kind !== 'row' ||
      last.after === null ||
      last.unreadable !== null ||
      last.item.ref !== event.item.ref
    )
      return false;
    if (last.model !== event.model || !event.set.every((place) => event.model.decoders[place]!.large))
      return false;
    const { key } = event.model.schema;
    const same =
      key.length > 0
        ? key.every((place) => sameValue(last.after![place]!, event.before![place]!))
        : last.item.rowId === event.item.rowId;
    if (!same) return false;
    for (const place of event.set) {
      last.after[place] = event.after![place]!;
      last.lobs?.delete(place);
    }
    return true;
  }

  #aim(item: RedoItem, model: TableModel, { column, row }: LobTarget): void {
    const place = placeOf(model, column);
    if (place === undefined || place < 0) {
      this.#target = null;
      return;
    }
    const where = rowImages(row, model).before!;
    let event = this.#find(item, model, where);
    if (event === undefined) {
      if (lacksKey(where, model)) throw keyNotLogged(model);
      event = this.#update(item, model, where);
    }
    event.lobs ??= new Map();
    let lob = event.lobs.get(place);
    if (lob === undefined) {
      const binary = model.schema.columns[place]!.type.kind === 'bytes';
      lob = new LobValue(event.after![place]!, { binary, decode: this.#decode });
      event.lobs.set(place, lob);
    }
    this.#target = { event, place, lob };
  }

  /** The latest change of the row that the where clause names. */
  #find(item: RedoItem, model: TableModel, where: readonly Value[]): RowEvent | undefined {
    const { key } = model.schema;
    const places =
      key.length > 0
        ? key
        : where.flatMap((value, i) => (value === ABSENT || value === UNCHANGED ? [] : [i]));
    for (let i = this.#open.length - 1; i >= 0; i--) {
      const event = this.#open[i]!;
      if (
        event.kind !== 'row' ||
        event.after === null ||
        event.item.ref !== item.ref ||
        event.unreadable !== null
      )
        continue;
      if (event.model === model && places.every((place) => sameValue(event.after![place]!, where[place]!)))
        return event;
    }
    return undefined;
  }

  #update(item: RedoItem, model: TableModel, where: Value[]): RowEvent {
    const event: RowEvent = {
      kind: 'row',
      item,
      model,
      op: 'u',
      before: where,
      after: where.map((value) => (value === ABSENT ? UNCHANGED : value)),
      lobs: null,
      set: [],
      unreadable: null,
    };
    this.#open.push(event);
    return event;
  }

  #setNull({ event, place }: { readonly event: RowEvent; readonly place: number }): void {
    event.lobs?.delete(place);
    event.after![place] = null;
    this.#target = null;
  }
}

function finished(events: readonly (RowEvent | TruncateEvent)[]): readonly (RowEvent | TruncateEvent)[] {
  for (const event of events) {
    if (event.kind !== 'row' || event.lobs === null) continue;
    for (const [place, lob] of event.lobs) event.after![place] = contentOf(lob);
    event.lobs = null;
  }
  return events;
}

function contentOf(lob: LobValue): Value {
  try {
    return lob.value;
  } catch (error) {
    assertUnreadable(error);
    return UNCHANGED; // bytes that are no text of the database's character set
  }
}

function sameValue(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  return (
    Array.isArray(a) &&
    Array.isArray(b) &&
    a.length === b.length &&
    a.every((value, i) => sameValue(value, b[i] as Value))
  );
}
