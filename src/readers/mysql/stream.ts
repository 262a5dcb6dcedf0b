import type { Batch } from '../../model/batch.ts';
import { HeldMemory } from '../read-buffer.ts';
import { BinlogDecoder } from './binlog/decode.ts';
import type { BatchLimits, DecoderOptions, Stop } from './binlog/decoding.ts';
import { payloadEvents } from './binlog/transaction-payload.ts';
import { MYSQL_POSITIONS, type MysqlPosition } from './position.ts';
import type { SchemaHistory } from './schema-history.ts';
import type { MysqlSource, StreamPlace } from './source-info.ts';
import type { Tables } from './tables.ts';
import type { EventChunk } from './wire/event-queue.ts';
import { MysqlConnectionError } from './wire/mysql-error.ts';
import type { ReplicationSocket } from './wire/replication-socket.ts';

/** A batch that has so much closes at the next end of a transaction: a commit may end only there (INV-1). */
const MAX_CHANGES = 1000;
const MAX_BYTES = 256 * 1024;
/** So many times the limits end it inside of a transaction. */
const PATIENCE = 2;
const PROGRESS_MS = 1_000;
/** Without any progress a batch comes all the same: heartbeats and idle commits hang on batches. */
const IDLE_MS = 3_000;
const TICK_MS = 250;
/** The server sends a heartbeat so often when it has nothing else. */
export const HEARTBEAT_SECONDS = 1;
/** Silence after which the server is taken for gone. */
const GONE_MS = 60_000;

export interface StreamOptions extends DecoderOptions {
  readonly tables: Tables;
  readonly history: SchemaHistory;
}

/** One binlog dump. */
export class BinlogStream {
  readonly #socket: ReplicationSocket;
  readonly #tables: Tables;
  readonly #history: SchemaHistory;
  readonly #decoder: BinlogDecoder;
  readonly #place: StreamPlace;
  readonly #timer: NodeJS.Timeout;
  #nudged = false;
  readonly #held = new HeldMemory();
  #broken: Error | null = null;
  #awakeSince = performance.now();
  #lastTick = performance.now();

  constructor(socket: ReplicationSocket, options: StreamOptions) {
    this.#socket = socket;
    this.#tables = options.tables;
    this.#history = options.history;
    const decoder = new BinlogDecoder(options);
    this.#decoder = decoder;
    this.#place = {
      at: () => decoder.here(),
      tx: () => decoder.transaction(),
      nextSeq: () => decoder.nextSeq(),
      position: () => MYSQL_POSITIONS.encode(decoder.position),
    };
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Behind all that was read, also of a transaction whose end has not come. */
  get position(): MysqlPosition {
    return this.#decoder.position;
  }

  /** The batch that answers comes also when the position is the same. */
  nudge(): void {
    this.#nudged = true;
    this.#socket.wake();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async *batches(signal: AbortSignal): AsyncIterable<Batch<MysqlPosition, MysqlSource>> {
    const decoder = this.#decoder;
    const socket = this.#socket;
    const onAbort = (): void => socket.wake();
    signal.addEventListener('abort', onAbort, { once: true });
    const progress = { reported: decoder.position, at: performance.now() };
    let chunk: EventChunk | null = null;
    let frame = 0;
    try {
      for (;;) {
        if (signal.aborted) return;
        if (this.#broken !== null) throw this.#broken;
        if (chunk === null) {
          frame = 0;
          chunk = socket.take();
          if (chunk === null) {
            if (decoder.changes.length > 0 && !this.#awaitsCommit()) {
              // Nothing more is here: what there is goes out at once.
            } else if (this.#progressDue(progress)) {
              // Position without changes.
            } else {
              chunk = await socket.next();
              if (chunk === null) throw new MysqlConnectionError('lost', 'The server ended the stream');
              continue;
            }
          }
        }
        if (chunk !== null) {
          const { memory } = chunk;
          if (memory !== undefined) this.#held.hold(memory);
          const stop = decoder.decode(chunk, frame, this.#limits());
          // Rows that wait for XA COMMIT leave in a batch to come: what they lie in is left to the collector.
          if (decoder.takeKept()) memory?.hold();
          if (stop === null) {
            memory?.drop();
            chunk = null;
          } else {
            frame = stop.frame;
            if (stop.payload !== null) {
              // The events within, from one batch to the next.
              for await (const inner of payloadEvents(stop.payload)) {
                let at = 0;
                for (;;) {
                  const inside = decoder.decode(inner, at, this.#limits(), true);
                  if (inside === null) break;
                  at = inside.frame;
                  if (await this.#resolved(inside)) continue;
                  if (this.#isFull()) yield this.#batch(progress);
                }
                if (this.#isFull() && !this.#awaitsCommit()) yield this.#batch(progress);
              }
              continue;
            }
            if (await this.#resolved(stop)) continue;
          }
          if (!this.#isFull() || this.#awaitsCommit()) continue;
        }
        yield this.#batch(progress);
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #batch(progress: { reported: MysqlPosition; at: number }): Batch<MysqlPosition, MysqlSource> {
    const decoder = this.#decoder;
    const { changes, bytes, position: resume } = decoder;
    decoder.reset();
    progress.reported = resume;
    progress.at = performance.now();
    this.#nudged = false;
    const state = this.#history.takeChanged();
    const release = this.#held.release();
    return state === undefined
      ? { changes, bytes, resume, release }
      : { changes, bytes, resume, state, release };
  }

  /** Does what takes time; false where it was only a full batch that stopped the decoder. */
  async #resolved(stop: Stop): Promise<boolean> {
    const decoder = this.#decoder;
    if (stop.table !== null) {
      const { map, body } = stop.table;
      const { state, changes } = await this.#tables.resolve(map, body, this.#place);
      for (const change of changes) decoder.changes.push(change);
      decoder.define(state);
      return true;
    }
    if (stop.statement !== null) {
      const changes = await this.#tables.statement(stop.statement, this.#place);
      for (const change of changes) decoder.changes.push(change);
      if (changes.length > 0) decoder.forgetTables();
      if (decoder.statementAlone) decoder.endStatement();
      return true;
    }
    return false;
  }

  #limits(): BatchLimits {
    return {
      soft: this.#decoder.bytes >= MAX_BYTES ? 1 : MAX_CHANGES,
      hard: MAX_CHANGES * PATIENCE,
    };
  }

  #isFull(): boolean {
    return this.#decoder.changes.length >= MAX_CHANGES || this.#decoder.bytes >= MAX_BYTES;
  }

  /** The rest of a transaction follows without a pause: the server logs none before it has all of it. */
  #awaitsCommit(): boolean {
    const { awaitsCommit, changes, bytes } = this.#decoder;
    return awaitsCommit && changes.length < MAX_CHANGES * PATIENCE && bytes < MAX_BYTES * PATIENCE;
  }

  #progressDue({ reported, at }: { readonly reported: MysqlPosition; readonly at: number }): boolean {
    const decoder = this.#decoder;
    if (decoder.changes.length > 0 || decoder.insideTransaction) return false;
    if (this.#nudged) return true;
    const { position } = decoder;
    // The end came behind changes that are out already: it is what their delivery waits for.
    if (reported.mid !== null && position.mid === null) return true;
    const moved = position.pos !== reported.pos || position.file !== reported.file;
    return performance.now() - at >= (moved ? PROGRESS_MS : IDLE_MS);
  }

  #tick(): void {
    const now = performance.now();
    // A process that was suspended, or paused by back-pressure, gives the server its whole time again.
    if (now - this.#lastTick > 5_000 || this.#socket.paused) this.#awakeSince = now;
    this.#lastTick = now;
    if (now - Math.max(this.#socket.lastReceivedAt, this.#awakeSince) >= GONE_MS) {
      this.#broken = new MysqlConnectionError('lost', 'The server has been silent for a minute');
    }
    this.#socket.wake();
  }
}
