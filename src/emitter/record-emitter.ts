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
import { valuesOf } from '../model/raw-row.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import type { DeadLetter } from './dead-letter.ts';
import type { Encoding } from './encoders/encoder.ts';
import { EnvelopeFrame } from './envelope-frame.ts';
import { OutboxMessages } from './outbox-messages.ts';
import type { PausedTables } from './paused-tables.ts';
import type { Positions } from './positions.ts';
import { RecordAppender } from './record-appender.ts';
import { shownRow } from './row-images.ts';
import { RowRecords } from './row-records.ts';
import type { Notification } from './side-records.ts';
import { type SideTopics, sideTopics } from './side-topics.ts';
import type { EmitCounts, Emitter, EmitterOptions, EmitterParts } from './emitter.ts';
import { type TableRoute, TableRoutes, type TableTotals } from './table-routes.ts';
import { placeJson } from './transaction-order.ts';
import { Outbox } from './transforms/outbox.ts';
import { UnwrappedFields } from './transforms/unwrapped.ts';

/** Changes → records of all topics of a pipeline, appended to `parts.sink`. */
export function createEmitter<S extends SourceInfo>(
  options: EmitterOptions,
  parts: EmitterParts<S>,
): Emitter {
  // Batches are typed by the reader's source at the pipeline; the emitter sees only its own block's.
  return new RecordEmitter<S>(options, parts);
}

class RecordEmitter<S extends SourceInfo> {
  readonly #options: EmitterOptions;
  readonly #block: SourceBlock<S>;
  readonly #records: RecordAppender;
  readonly #frame: EnvelopeFrame<S>;
  readonly #rows: RowRecords<S>;
  readonly #outbox: OutboxMessages | null;
  readonly #routes: TableRoutes<S>;
  readonly #paused: PausedTables | null;
  readonly #encoding: Encoding;
  readonly #sides: SideTopics<S>;
  readonly #positions: Positions | null;
  #lastTx: Tx | null = null;

  constructor(options: EmitterOptions, parts: EmitterParts<S>) {
    const { encoding, block, sink, pausing = null } = parts;
    this.#options = options;
    this.#paused = pausing?.tables ?? null;
    this.#block = block;
    const added = new UnwrappedFields(options.unwrapped, block.schema);
    const unwrapped = options.envelope === 'unwrapped' && added.any ? added : null;
    const blocks = unwrapped === null ? encoding.blocks : 'values';
    this.#records = new RecordAppender(sink, options);
    this.#frame = new EnvelopeFrame(block, blocks, options.transactionMetadata);
    this.#rows = new RowRecords(options, {
      records: this.#records,
      frame: this.#frame,
      unwrapped,
      refuse: (route, change, error) => this.#refuse(route, change, error),
    });
    this.#outbox =
      options.outbox === null ? null : new OutboxMessages(new Outbox(options.outbox, encoding.profile), sink);
    this.#routes = new TableRoutes(options, { encoding, block, sink, pausing, unwrapped });
    this.#encoding = encoding;
    this.#positions = parts.positions ?? null;
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
    const counts = this.#records.begin();
    const nowUs = Math.floor((performance.timeOrigin + performance.now()) * 1000);
    this.#frame.envelope.timeUs = nowUs;
    this.#records.record.timestamp = Math.floor(nowUs / 1000);
    for (const change of batch.changes) {
      if (change.kind === 'schema') {
        // The next row carries it.
        if (this.#isRecord(change)) this.#emitSchemaChange(change);
        continue;
      }
      if (change.tx !== this.#lastTx) {
        this.#lastTx = change.tx;
        if (change.tx !== null) counts.transactions++;
        this.#frame.order.begin();
        this.#records.splitHeader = null;
        // After a restart inside of a transaction its rest comes first, numbered on.
        if ('seq' in change && change.seq > 0) this.split();
      }
      this.#emitChange(change);
    }
    return counts;
  }

  split(): void {
    if (this.#lastTx !== null) this.#records.splitHeader = ['__headwater.split', this.#lastTx.id];
  }

  heartbeat(nowMs: number): void {
    this.#records.record.timestamp = Math.floor(nowMs);
    const { topic, records } = this.#sides.heartbeat;
    this.#records.apart(topic, records(nowMs));
  }

  async notify(notification: Notification, nowMs: number): Promise<void> {
    const side = this.#sides.notification;
    const waiting: Promise<unknown>[] = [];
    side.prepare(waiting);
    await Promise.all(waiting);
    this.#records.record.timestamp = Math.floor(nowMs);
    this.#records.apart(side.topic, side.records(notification, randomUUID(), nowMs));
  }

  tables(): Iterable<Readonly<TableTotals>> {
    return this.#routes.all();
  }

  takeState(): ReadonlyMap<string, string | null> | undefined {
    const parts = [
      this.#routes.takeChanged(),
      this.#paused?.takeChanged(),
      this.#encoding.takeState?.(),
      this.#positions?.takeChanged(),
    ];
    const changed = parts.filter((part) => part !== undefined);
    return changed.length === 0 ? undefined : new Map(changed.flatMap((part) => [...part]));
  }

  #emitChange(change: Exclude<Change<S>, { kind: 'schema' }>): void {
    switch (change.kind) {
      case 'row':
        if (this.#positions !== null)
          this.#records.positionHeader = this.#positions.header(change, this.#block);
        this.#emitRow(change);
        this.#records.positionHeader = null;
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
    totals.lastEventAt = this.#records.record.timestamp;
    if (topic !== null) {
      const { record } = this.#records;
      const { timestamp } = record;
      outbox.write(change, record);
      record.plain = true;
      this.#records.append(topic);
      record.plain = false;
      record.timestamp = timestamp;
    } else if (message !== null && 'error' in message) {
      this.#buryMessage(change, message.error, outbox.topic);
    } else {
      this.#records.counts.filtered++;
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
    const { counts } = this.#records;
    if (this.#outbox?.takes(change.table) === true) {
      this.#emitOutboxRow(change, this.#outbox);
      return;
    }
    const route = this.#routes.of(change.table);
    this.#records.record.origin = route.id;
    if (route.paused) {
      counts.filtered++;
      return;
    }
    route.totals.events++;
    route.totals.lastEventAt = this.#records.record.timestamp;
    this.#frame.enter(route, change, change.snapshot);
    if (change.unreadable !== undefined) {
      this.#refuse(route, change, asHeadwaterError(change.unreadable));
      return;
    }
    try {
      this.#rows.emit(route, change);
    } catch (error) {
      // Text that nobody had looked at before.
      const known = asHeadwaterError(error);
      if (known.code !== 'source.value-unreadable') throw error;
      this.#refuse(route, change, known);
    }
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
    const { timestamp: timeMs } = this.#records.record;
    this.#records.positionHeader = null;
    this.#records.side(topic, records({ ...shown, table: tableName(id), op, error, timeMs }));
    this.#options.onDeadLetter(id, error);
  }

  #emitTruncate(change: TruncateChange<S>): void {
    this.#records.counts.truncates++;
    const route = this.#routes.of(change.table);
    const { envelope } = this.#frame;
    if (route.paused) return;
    this.#frame.enter(route, change, null);
    if (!this.#options.truncates || this.#options.envelope === 'unwrapped') return;
    envelope.op = 't';
    envelope.before = null;
    envelope.after = null;
    this.#records.side(route.topic, { key: null, value: route.encoder.value(envelope) });
  }

  #emitMessage(change: MessageChange<S>): void {
    this.#records.counts.messages++;
    if (!this.#options.messages) return;
    const transaction = placeJson(this.#frame.placeOf(change, null));
    const { topic, records } = this.#sides.message;
    this.#records.side(topic, records(change, transaction, this.#frame.envelope.timeUs));
  }

  #isRecord({ description }: SchemaChange<S>): boolean {
    return this.#options.schemaChanges && description !== undefined;
  }

  #emitSchemaChange(change: SchemaChange<S>): void {
    const { topic, records } = this.#sides.schemaChange;
    this.#records.apart(topic, records(change, change.description ?? null, this.#records.record.timestamp));
  }

  #emitMarker(marker: TxMarker<S>): void {
    if (!this.#options.transactionMetadata) return;
    const { topic, records } = this.#sides.transaction;
    this.#records.side(topic, records(marker, this.#frame.order));
  }
}
