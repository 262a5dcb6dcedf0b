/**
 * Changes → records: which topic, which key, which records a change makes. Encoding is the encoders' business,
 * delivery the sink's. `emit` is synchronous and runs once per change: no promise, no closure per row.
 */
import { randomUUID } from 'node:crypto';
import { asHeadwaterError, type HeadwaterError } from '../errors/headwater-error.ts';
import type { Batch } from '../model/batch.ts';
import type {
  Change,
  MessageChange,
  RowChange,
  SchemaChange,
  SourceInfo,
  TruncateChange,
  Tx,
  TxMarker,
} from '../model/change.ts';
import { type TableId, type TableSchema, tableName } from '../model/table.ts';
import { type Image, valuesOf } from '../model/text-row.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import type { DeadLetter } from './dead-letter.ts';
import type { Encoding, Envelope, Header, TransactionPlace } from './encoders/encoder.ts';
import { OutboxMessages } from './outbox-messages.ts';
import type { PausedTables } from './paused-tables.ts';
import { keyChanged, refuseUnknownKey, shownRow } from './row-images.ts';
import type { KeyAndValue, Notification } from './side-records.ts';
import { type SideTopics, sideTopics } from './side-topics.ts';
import type { EmitCounts, Emitter, EmitterOptions, EmitterParts } from './emitter.ts';
import type { Sink, SinkRecord, TopicHandle } from './sink.ts';
import { type TableRoute, TableRoutes, type TableTotals } from './table-routes.ts';
import { placeJson, TransactionOrder } from './transaction-order.ts';
import { headersOf } from './transforms/added-headers.ts';
import { Outbox } from './transforms/outbox.ts';
import { unchanged } from './transforms/same-row.ts';
import { type EnvelopeParts, UnwrappedFields } from './transforms/unwrapped.ts';

export function createEmitter<S extends SourceInfo>(
  options: EmitterOptions,
  parts: EmitterParts<S>,
): Emitter {
  // Batches are typed by the reader's source at the pipeline; the emitter sees only its own block's.
  return new RecordEmitter<S>(options, parts);
}

class RecordEmitter<S extends SourceInfo> {
  readonly #options: EmitterOptions;
  readonly #sink: Sink;
  readonly #block: SourceBlock<S>;
  readonly #blocks: Encoding['blocks'];
  /** Null where records are whole envelopes, or rows with nothing added. */
  readonly #unwrapped: UnwrappedFields | null;
  readonly #outbox: OutboxMessages | null;
  /** Null where no record has headers by the settings. */
  readonly #headers: readonly Header[] | null;
  readonly #skipped: ReadonlySet<RowChange['op']>;
  readonly #routes: TableRoutes<S>;
  readonly #paused: PausedTables | null;
  readonly #order: TransactionOrder;
  readonly #record: SinkRecord = {
    key: null,
    value: null,
    plain: false,
    headers: null,
    timestamp: 0,
    origin: null,
  };
  readonly #envelope: Envelope = {
    op: 'c',
    before: null,
    after: null,
    source: '',
    sourceValues: [],
    at: null,
    snapshot: null,
    transaction: 'null',
    place: null,
    timeUs: 0,
  };
  readonly #encoding: Encoding;
  readonly #sides: SideTopics<S>;
  #counts: EmitCounts = emptyCounts();
  #lastTx: Tx | null = null;
  /** For each record of a transaction of which a part has been committed; null in all others. */
  #splitHeader: Header | null = null;

  constructor(options: EmitterOptions, parts: EmitterParts<S>) {
    const { encoding, block, sink, pausing = null } = parts;
    this.#options = options;
    this.#paused = pausing?.tables ?? null;
    this.#sink = sink;
    this.#block = block;
    const added = new UnwrappedFields(options.unwrapped, block.schema);
    this.#unwrapped = options.envelope === 'unwrapped' && added.any ? added : null;
    this.#blocks = this.#unwrapped === null ? encoding.blocks : 'values';
    this.#outbox =
      options.outbox === null ? null : new OutboxMessages(new Outbox(options.outbox, encoding.profile), sink);
    this.#headers = options.headers.size === 0 ? null : [...options.headers];
    this.#skipped = new Set(options.skipOperations);
    this.#routes = new TableRoutes(options, { encoding, block, sink, pausing, unwrapped: this.#unwrapped });
    this.#order = new TransactionOrder();
    this.#encoding = encoding;
    this.#sides = sideTopics(options, parts);
  }

  prepare(batch: Batch<unknown, S>): Promise<void> | undefined {
    const { heartbeats, messages, transactionMetadata } = this.#options;
    const sides = this.#sides;
    const waiting: Promise<unknown>[] = [];
    this.#routes.forgetOld();
    const retrying = this.#paused?.retry(this.#routes.mayWrite);
    if (retrying !== undefined) waiting.push(retrying);
    // Needed without a change of theirs in the batch: heartbeats come by time, dead letters by surprise.
    if (heartbeats) sides.heartbeat.prepare(waiting);
    let last: TableSchema | null = null;
    for (const change of batch.changes) {
      if (change.kind === 'row' || change.kind === 'truncate') {
        if (this.#outbox?.takes(change.table) === true) {
          sides.deadLetter.prepare(waiting);
          if (change.kind === 'row') this.#outbox.prepare(change, waiting);
          continue;
        }
        if (change.table === last) continue;
        last = change.table;
        const opening = this.#routes.prepare(last);
        if (opening !== undefined) waiting.push(opening);
        sides.deadLetter.prepare(waiting);
      } else if (change.kind === 'message') {
        if (messages) sides.message.prepare(waiting);
      } else if (change.kind === 'schema') {
        if (this.#isRecord(change)) sides.schemaChange.prepare(waiting);
      } else if (transactionMetadata) {
        sides.transaction.prepare(waiting);
      }
    }
    return waiting.length === 0 ? undefined : Promise.all(waiting).then(() => undefined);
  }

  emit(batch: Batch<unknown, S>): EmitCounts {
    const counts = (this.#counts = emptyCounts());
    const nowUs = Math.floor((performance.timeOrigin + performance.now()) * 1000);
    this.#envelope.timeUs = nowUs;
    this.#record.timestamp = Math.floor(nowUs / 1000);
    for (const change of batch.changes) {
      if (change.kind === 'schema') {
        // The next row carries it.
        if (this.#isRecord(change)) this.#emitSchemaChange(change);
        continue;
      }
      if (change.tx !== this.#lastTx) {
        this.#lastTx = change.tx;
        if (change.tx !== null) counts.transactions++;
        this.#order.begin();
        this.#splitHeader = null;
        // After a restart inside of a transaction its rest comes first, numbered on.
        if ('seq' in change && change.seq > 0) this.split();
      }
      this.#emitChange(change);
    }
    return counts;
  }

  split(): void {
    if (this.#lastTx !== null) this.#splitHeader = ['__headwater.split', this.#lastTx.id];
  }

  heartbeat(nowMs: number): void {
    this.#record.timestamp = Math.floor(nowMs);
    const { topic, records } = this.#sides.heartbeat;
    this.#apart(topic, records(nowMs));
  }

  async notify(notification: Notification, nowMs: number): Promise<void> {
    const side = this.#sides.notification;
    const waiting: Promise<unknown>[] = [];
    side.prepare(waiting);
    await Promise.all(waiting);
    this.#record.timestamp = Math.floor(nowMs);
    this.#apart(side.topic, side.records(notification, randomUUID(), nowMs));
  }

  tables(): Iterable<Readonly<TableTotals>> {
    return this.#routes.all();
  }

  takeState(): ReadonlyMap<string, string | null> | undefined {
    const parts = [this.#routes.takeChanged(), this.#paused?.takeChanged(), this.#encoding.takeState?.()];
    const changed = parts.filter((part) => part !== undefined);
    return changed.length === 0 ? undefined : new Map(changed.flatMap((part) => [...part]));
  }

  #emitChange(change: Exclude<Change<S>, { kind: 'schema' }>): void {
    switch (change.kind) {
      case 'row':
        this.#emitRow(change);
        break;
      case 'truncate':
        this.#emitTruncate(change);
        break;
      case 'message':
        this.#emitMessage(change);
        break;
      case 'begin':
      case 'end':
        this.#emitMarker(change);
        break;
    }
  }

  /** A row of the outbox: a message of its own, or nothing. */
  #emitOutboxRow(change: RowChange<S>, outbox: OutboxMessages): void {
    const message = outbox.of(change);
    const topic = message !== null && 'topic' in message ? message.topic : null;
    const totals = this.#routes.totalsOf(change.table.id, topic?.name ?? '');
    totals.events++;
    totals.lastEventAt = this.#record.timestamp;
    if (topic !== null) {
      const record = this.#record;
      const { timestamp } = record;
      outbox.write(change, record);
      record.plain = true;
      this.#append(topic);
      record.plain = false;
      record.timestamp = timestamp;
    } else if (message !== null && 'error' in message) {
      this.#buryMessage(change, message.error, outbox.topic);
    } else {
      this.#counts.filtered++;
    }
  }

  #buryMessage(change: RowChange<S>, error: HeadwaterError, topic: string): void {
    const { id, columns } = change.table;
    const readable = error.code !== 'source.value-unreadable';
    this.#bury(change, error, {
      id,
      topic,
      source: this.#block.forTable(id)(change.at, change.snapshot),
      columns: readable ? columns.map(({ name }) => name) : [],
      before: null,
      after: readable ? valuesOf(change.after) : null,
    });
  }

  #emitRow(change: RowChange<S>): void {
    const counts = this.#counts;
    if (this.#outbox?.takes(change.table) === true) {
      this.#emitOutboxRow(change, this.#outbox);
      return;
    }
    const route = this.#routes.of(change.table);
    this.#record.origin = route.id;
    if (route.paused) {
      counts.filtered++;
      return;
    }
    route.totals.events++;
    route.totals.lastEventAt = this.#record.timestamp;
    this.#setBlocks(route, change, change.snapshot);
    if (change.unreadable !== undefined) {
      this.#refuse(route, change, asHeadwaterError(change.unreadable));
      return;
    }
    try {
      this.#emitReadable(route, change);
    } catch (error) {
      // Text that nobody had looked at before.
      const known = asHeadwaterError(error);
      if (known.code !== 'source.value-unreadable') throw error;
      this.#refuse(route, change, known);
    }
  }

  /** Throws `source.value-unreadable`, before anything of the change has been appended. */
  #emitReadable(route: TableRoute<S>, change: RowChange<S>): void {
    const counts = this.#counts;
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
    this.#append(route.topic);
    if (op === 'd') this.#appendTombstone(route.topic, null);
  }

  /** A row that no longer satisfies the table's filter: to the topic's readers it is gone. */
  #emitLeaving(route: TableRoute<S>, change: RowChange<S>, was: Image): void {
    if (this.#skips(route, 'd', was, null)) {
      this.#counts.filtered++;
      return;
    }
    if (!this.#encode(route, change, 'd', was, null)) return;
    this.#append(route.topic);
    this.#appendTombstone(route.topic, null);
  }

  /** A changed key is a delete of the old and a create of the new, each pointing to the other. */
  #emitKeyChange(route: TableRoute<S>, change: RowChange<S>, before: Image, after: Image): void {
    const record = this.#record;
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
      this.#append(route.topic);
      this.#appendTombstone(route.topic, pointer);
    }
    record.key = newKey;
    record.value = created;
    record.headers = [
      ...(createdHeaders ?? []),
      ...(oldKey === null ? [] : [['__debezium.oldkey', oldKey] as const]),
    ];
    if (this.#options.transactionMetadata) {
      // The second record has its own place in the transaction.
      this.#setPlace(this.#placeOf(change, route.name));
      this.#envelope.op = 'c';
      this.#envelope.before = null;
      this.#envelope.after = after;
      if (this.#options.envelope === 'full') record.value = route.encoder.value(this.#envelope);
      route.encoder.takeHeaders();
    }
    this.#append(route.topic);
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
    const record = this.#record;
    try {
      const keyed = op === 'd' ? before : after;
      if (op === 'd' && route.ownKey) refuseUnknownKey(route, before!);
      record.key = keyed === null ? null : encoder.key(keyed);
      if (this.#options.envelope === 'full') {
        const envelope = this.#envelope;
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
    const row = this.#unwrapped === null ? image : this.#unwrapped.extend(valuesOf(image), this.#parts(op));
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
      ...(this.#unwrapped?.headers(this.#parts(op)) ?? []),
    ];
  }

  #parts(op: Envelope['op']): EnvelopeParts {
    const { sourceValues, timeUs } = this.#envelope;
    return { op, sourceValues, timeUs };
  }

  #refuse(route: TableRoute<S>, change: RowChange<S>, error: HeadwaterError): void {
    // Half a row would be taken for the whole.
    const readable = error.code !== 'source.value-unreadable';
    this.#bury(change, error, {
      id: route.id,
      topic: route.topic.name,
      source: route.source(change.at, change.snapshot),
      columns: route.fields.map((i) => route.columns[i]!),
      before: readable ? shownRow(route, change.before) : null,
      after: readable ? shownRow(route, change.after) : null,
    });
  }

  #bury(
    { op }: RowChange<S>,
    error: HeadwaterError,
    of: Pick<DeadLetter, 'topic' | 'source' | 'columns' | 'before' | 'after'> & { readonly id: TableId },
  ): void {
    const { id, ...shown } = of;
    const { topic, records } = this.#sides.deadLetter;
    const { timestamp: timeMs } = this.#record;
    this.#side(topic, records({ ...shown, table: tableName(id), op, error, timeMs }));
    this.#options.onDeadLetter(id, error);
  }

  #emitTruncate(change: TruncateChange<S>): void {
    this.#counts.truncates++;
    const route = this.#routes.of(change.table);
    const envelope = this.#envelope;
    if (route.paused) return;
    this.#setBlocks(route, change, null);
    if (!this.#options.truncates || this.#options.envelope === 'unwrapped') return;
    envelope.op = 't';
    envelope.before = null;
    envelope.after = null;
    this.#side(route.topic, { key: null, value: route.encoder.value(envelope) });
  }

  #emitMessage(change: MessageChange<S>): void {
    this.#counts.messages++;
    if (!this.#options.messages) return;
    const transaction = placeJson(this.#placeOf(change, null));
    const { topic, records } = this.#sides.message;
    this.#side(topic, records(change, transaction, this.#envelope.timeUs));
  }

  #isRecord({ description }: SchemaChange<S>): boolean {
    return this.#options.schemaChanges && description !== undefined;
  }

  #emitSchemaChange(change: SchemaChange<S>): void {
    const { topic, records } = this.#sides.schemaChange;
    this.#apart(topic, records(change, change.description ?? null, this.#record.timestamp));
  }

  #emitMarker(marker: TxMarker<S>): void {
    if (!this.#options.transactionMetadata) return;
    const { topic, records } = this.#sides.transaction;
    this.#side(topic, records(marker, this.#order));
  }

  #setBlocks(
    route: TableRoute<S>,
    change: RowChange<S> | TruncateChange<S>,
    snapshot: RowChange<S>['snapshot'],
  ): void {
    const envelope = this.#envelope;
    if (this.#blocks === 'bytes') {
      envelope.at = change.at;
      envelope.snapshot = snapshot;
    } else if (this.#blocks === 'text') envelope.source = route.source(change.at, snapshot);
    else envelope.sourceValues = route.sourceValues(change.at, snapshot);
    this.#setPlace(this.#placeOf(change, route.name));
  }

  #setPlace(place: TransactionPlace | null): void {
    if (this.#blocks === 'values') this.#envelope.place = place;
    else this.#envelope.transaction = placeJson(place);
  }

  /** Counts the change: once for each record. */
  #placeOf(
    change: RowChange<S> | TruncateChange<S> | MessageChange<S>,
    table: string | null,
  ): TransactionPlace | null {
    if (!this.#options.transactionMetadata || change.tx === null) return null;
    return this.#order.next(this.#block.transactionId(change.at), table, change.seq);
  }

  #append(topic: TopicHandle): void {
    const record = this.#record;
    const { headers } = record;
    if (this.#splitHeader !== null) record.headers = [...(headers ?? []), this.#splitHeader];
    this.#sink.append(topic, record);
    record.headers = headers;
    this.#counts.records++;
  }

  /** The record's key again, without a value: compaction may forget the key. */
  #appendTombstone(topic: TopicHandle, headers: readonly Header[] | null): void {
    // An unwrapped delete is one itself.
    if (!this.#options.tombstones || this.#deletesAreTombstones) return;
    this.#record.value = null;
    this.#record.headers = headers;
    this.#append(topic);
  }

  get #deletesAreTombstones(): boolean {
    return this.#options.envelope === 'unwrapped' && this.#options.unwrapped.deletes === 'tombstone';
  }

  #side(topic: TopicHandle, content: SideContent): void {
    this.#fill(content);
    this.#append(topic);
  }

  /** A record that belongs to no transaction. */
  #apart(topic: TopicHandle, content: KeyAndValue): void {
    this.#fill(content);
    this.#sink.append(topic, this.#record);
    this.#counts.records++;
  }

  #fill({ key, value }: SideContent): void {
    this.#record.origin = null;
    this.#record.key = key;
    this.#record.value = value;
    this.#record.headers = null;
  }
}

interface SideContent {
  readonly key: KeyAndValue['key'] | null;
  readonly value: KeyAndValue['value'];
}

function emptyCounts(): EmitCounts {
  return {
    creates: 0,
    updates: 0,
    deletes: 0,
    reads: 0,
    truncates: 0,
    messages: 0,
    filtered: 0,
    transactions: 0,
    records: 0,
  };
}

/** The encoder writes into its buffer again before this is appended. */
function kept(encoded: SinkRecord['key']): SinkRecord['key'] {
  return encoded === null || typeof encoded === 'string' ? encoded : Uint8Array.from(encoded);
}
