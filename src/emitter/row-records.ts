import { asHeadwaterError, type HeadwaterError } from '../errors/headwater-error.ts';
import type { RowChange, SourceInfo } from '../model/change.ts';
import { type Image, valuesOf } from '../model/raw-row.ts';
import type { Envelope, Header } from './encoders/encoder.ts';
import type { EmitterOptions } from './emitter.ts';
import type { EnvelopeFrame } from './envelope-frame.ts';
import type { RecordAppender } from './record-appender.ts';
import { keyChanged, refuseUnknownKey } from './row-images.ts';
import type { SinkRecord } from './sink.ts';
import type { TableRoute } from './table-routes.ts';
import { headersOf } from './transforms/added-headers.ts';
import { unchanged } from './transforms/same-row.ts';
import type { UnwrappedFields } from './transforms/unwrapped.ts';

export interface RowRecordsParts<S extends SourceInfo> {
  readonly records: RecordAppender;
  readonly frame: EnvelopeFrame<S>;
  /** Null where records are whole envelopes, or rows with nothing added. */
  readonly unwrapped: UnwrappedFields | null;
  /** The change cannot be encoded. */
  readonly refuse: (route: TableRoute<S>, change: RowChange<S>, error: HeadwaterError) => void;
}

/** Which records the change of a row makes: none, one, with a tombstone, or those of a changed key. */
export class RowRecords<S extends SourceInfo> {
  readonly #options: EmitterOptions;
  readonly #records: RecordAppender;
  readonly #frame: EnvelopeFrame<S>;
  readonly #unwrapped: UnwrappedFields | null;
  readonly #refuse: RowRecordsParts<S>['refuse'];
  /** Null where no record has headers by the settings. */
  readonly #headers: readonly Header[] | null;
  readonly #skipped: ReadonlySet<RowChange['op']>;

  constructor(options: EmitterOptions, { records, frame, unwrapped, refuse }: RowRecordsParts<S>) {
    this.#options = options;
    this.#records = records;
    this.#frame = frame;
    this.#unwrapped = unwrapped;
    this.#refuse = refuse;
    this.#headers = options.headers.size === 0 ? null : [...options.headers];
    this.#skipped = new Set(options.skipOperations);
  }

  /** Throws `source.value-unreadable`, before anything of the change has been appended. */
  emit(route: TableRoute<S>, change: RowChange<S>): void {
    const { counts } = this.#records;
    const { op } = change;
    const { project, filter } = route;
    const before =
      project === null || change.before === null ? change.before : project(valuesOf(change.before));
    const after = project === null || change.after === null ? change.after : project(valuesOf(change.after));
    const verdict = filter === null ? 'keep' : filter(op, valuesOf(change.before), valuesOf(change.after));
    switch (op) {
      case 'c':
        counts.creates++;
        break;
      case 'r':
        counts.reads++;
        break;
      case 'u':
        counts.updates++;
        if (verdict !== 'keep') break;
        if (before !== null && after !== null && keyChanged(route.key, before, after)) {
          if (this.#skipped.has('u')) break;
          this.#emitKeyChange(route, change, before, after);
          return;
        }
        break;
      case 'd':
        counts.deletes++;
        break;
    }
    if (verdict === 'leave') {
      this.#emitLeaving(route, change, before ?? after!);
      return;
    }
    if (verdict === 'skip' || this.#skips(route, op, before, after)) {
      counts.filtered++;
      return;
    }
    if (!this.#encode(route, change, op, before, after)) return;
    this.#records.append(route.topic);
    if (op === 'd') this.#records.appendTombstone(route.topic, null);
  }

  /** A row that no longer satisfies the table's filter: to the topic's readers it is gone. */
  #emitLeaving(route: TableRoute<S>, change: RowChange<S>, was: Image): void {
    if (this.#skips(route, 'd', was, null)) {
      this.#records.counts.filtered++;
      return;
    }
    if (!this.#encode(route, change, 'd', was, null)) return;
    this.#records.append(route.topic);
    this.#records.appendTombstone(route.topic, null);
  }

  /** A changed key is a delete of the old and a create of the new, each pointing to the other. */
  #emitKeyChange(route: TableRoute<S>, change: RowChange<S>, before: Image, after: Image): void {
    const { record } = this.#records;
    if (!this.#encode(route, change, 'c', null, after)) return;
    const { headers: createdHeaders } = record;
    const newKey = kept(record.key);
    const created = kept(record.value);
    if (!this.#encode(route, change, 'd', before, null)) return;
    const oldKey = kept(record.key);
    record.key = oldKey;
    if (!this.#skips(route, 'd', before, null)) {
      const pointer: readonly Header[] = newKey === null ? [] : [['__debezium.newkey', newKey]];
      record.headers = [...(record.headers ?? []), ...pointer];
      this.#records.append(route.topic);
      this.#records.appendTombstone(route.topic, pointer);
    }
    record.key = newKey;
    record.value = created;
    record.headers = [
      ...(createdHeaders ?? []),
      ...(oldKey === null ? [] : [['__debezium.oldkey', oldKey] as const]),
    ];
    if (this.#options.transactionMetadata) {
      // The second record has its own place in the transaction.
      const { envelope } = this.#frame;
      this.#frame.enterAgain(route, change);
      envelope.op = 'c';
      envelope.before = null;
      envelope.after = after;
      if (this.#options.envelope === 'full') record.value = route.encoder.value(envelope);
      route.encoder.takeHeaders();
    }
    this.#records.append(route.topic);
  }

  /** Fills the record; false where that failed and the change lies in the dead-letter topic. */
  #encode(
    route: TableRoute<S>,
    change: RowChange<S>,
    op: Envelope['op'],
    before: Image | null,
    after: Image | null,
  ): boolean {
    const { encoder } = route;
    const { record } = this.#records;
    try {
      const keyed = op === 'd' ? before : after;
      if (op === 'd' && route.ownKey) refuseUnknownKey(route, before!);
      record.key = keyed === null ? null : encoder.key(keyed);
      if (this.#options.envelope === 'full') {
        const { envelope } = this.#frame;
        envelope.op = op;
        envelope.before = before;
        envelope.after = after;
        record.value = encoder.value(envelope);
      } else {
        record.value = this.#unwrappedValue(route, op, before, after);
      }
      record.headers = encoder.takeHeaders();
      if (this.#headers !== null || route.headers !== null || this.#unwrapped !== null) {
        record.headers = this.#allHeaders(route, op, keyed, record.headers);
      }
      return true;
    } catch (error) {
      encoder.takeHeaders();
      this.#refuse(route, change, asHeadwaterError(error));
      return false;
    }
  }

  #skips(route: TableRoute<S>, op: RowChange['op'], before: Image | null, after: Image | null): boolean {
    if (this.#skipped.has(op)) return true;
    if (op === 'd') {
      return this.#options.envelope === 'unwrapped' && this.#options.unwrapped.deletes === 'drop';
    }
    if (op !== 'u' || !this.#options.skipUnchanged) return false;
    return before !== null && after !== null && unchanged(route.fields, valuesOf(before), valuesOf(after));
  }

  #unwrappedValue(
    route: TableRoute<S>,
    op: Envelope['op'],
    before: Image | null,
    after: Image | null,
  ): SinkRecord['value'] {
    const image = op === 'd' && this.#options.unwrapped.deletes === 'rewrite' ? before : after;
    if (image === null) return null;
    const row =
      this.#unwrapped === null ? image : this.#unwrapped.extend(valuesOf(image), this.#frame.parts(op));
    return route.encoder.row(row);
  }

  #allHeaders(
    route: TableRoute<S>,
    op: Envelope['op'],
    row: Image | null,
    noted: readonly Header[] | null,
  ): readonly Header[] {
    return [
      ...(noted ?? []),
      ...(this.#headers ?? []),
      ...(route.headers === null || row === null ? [] : headersOf(route.headers, valuesOf(row))),
      ...(this.#unwrapped?.headers(this.#frame.parts(op)) ?? []),
    ];
  }
}

/** The encoder writes into its buffer again before this is appended. */
function kept(encoded: SinkRecord['key']): SinkRecord['key'] {
  return encoded === null || typeof encoded === 'string' ? encoded : Uint8Array.from(encoded);
}
