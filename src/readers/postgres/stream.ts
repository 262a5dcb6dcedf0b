import type { Batch } from '../../model/batch.ts';
import type { Log } from '../../observability/log.ts';
import type { BatchLimits } from './pgoutput/batch-limits.ts';
import { PgoutputDecoder } from './pgoutput/decode.ts';
import type { PostgresPosition } from './position.ts';
import { formatLsn } from './position.ts';
import type { Relations } from './relations.ts';
import type { SchemaVersions } from '../schema-versions.ts';
import type { PostgresSource } from './source-info.ts';
import { StandbyStatus } from './standby-status.ts';
import type { ToastReader } from './toast.ts';
import type { CopyStream, PgConnection } from './wire/connection.ts';
import type { CopyChunk } from './wire/copy-queue.ts';
import { PgConnectionError } from './wire/pg-error.ts';
import { HeldMemory } from '../read-buffer.ts';
import { quoteIdent } from './wire/quoting.ts';

/** A batch that has so much closes at the next COMMIT: a commit may end only there (INV-1). */
const MAX_CHANGES = 1000;
const MAX_BYTES = 256 * 1024;
/** So many times the limits end it inside of a transaction; */
const PATIENCE = 2;
/** and so many where it holds an unchanged TOAST value, which can be read back only behind the COMMIT. */
const TOAST_PATIENCE = 8;
const PROGRESS_MS = 1_000;
/** Without any progress a batch comes all the same: heartbeats and idle commits hang on batches. */
const IDLE_MS = 3_000;

export interface StreamOptions {
  readonly slot: string;
  readonly publications: readonly string[];
  readonly from: PostgresPosition;
  readonly messages: boolean;
  readonly transactionMarkers: boolean;
  readonly serverTimeoutMs: number;
  readonly relations: Relations;
  readonly versions: SchemaVersions;
  readonly toast: ToastReader;
  readonly log: Log;
}

/** One START_REPLICATION session. */
export class ReplicationStream {
  readonly #options: StreamOptions;
  readonly #copy: CopyStream;
  readonly #decoder: PgoutputDecoder;
  readonly #status: StandbyStatus;
  #nudged = false;
  #broken: Error | null = null;

  static async start(
    connection: PgConnection,
    options: StreamOptions,
    signal: AbortSignal,
  ): Promise<ReplicationStream> {
    const copy = await connection.copyBoth(startStatement(connection.serverVersion, options), signal);
    return new ReplicationStream(copy, options);
  }

  private constructor(copy: CopyStream, options: StreamOptions) {
    this.#copy = copy;
    this.#options = options;
    this.#decoder = new PgoutputDecoder(options);
    this.#status = new StandbyStatus({
      stream: copy,
      received: () => this.#decoder.received,
      confirmed: options.from.lsn,
      serverTimeoutMs: options.serverTimeoutMs,
      onTick: () => copy.wake(),
      onSilence: () => {
        this.#broken = new PgConnectionError('lost', 'The server has been silent for a minute');
        copy.wake();
      },
    });
  }

  confirm(position: PostgresPosition): void {
    this.#status.confirm(position.lsn);
  }

  /** Asks for a keepalive; the batch that answers comes also when the position is the same. */
  nudge(): void {
    this.#nudged = true;
    this.#decoder.keepalives = 0; // those before are not the answer
    this.#status.ask();
  }

  /** Says what is confirmed and stops the timers; the connection is the caller's. */
  stop(): void {
    this.#status.stop();
  }

  async *batches(signal: AbortSignal): AsyncIterable<Batch<PostgresPosition, PostgresSource>> {
    const { versions, toast } = this.#options;
    const decoder = this.#decoder;
    const copy = this.#copy;
    const onAbort = (): void => copy.wake();
    signal.addEventListener('abort', onAbort, { once: true });
    let reported = decoder.position;
    let reportedAt = performance.now();
    let chunk: CopyChunk | null = null;
    let frame = 0;
    const held = new HeldMemory();
    try {
      for (;;) {
        if (signal.aborted) return;
        if (this.#broken !== null) throw this.#broken;
        if (chunk === null) {
          frame = 0;
          chunk = copy.take();
          if (chunk === null) {
            if (decoder.changes.length > 0 && !this.#awaitsCommit()) {
              // Nothing more is here: what there is goes out at once.
            } else if (this.#progressDue(reported, reportedAt)) {
              // Position without changes.
            } else {
              chunk = await copy.next();
              if (chunk === null) throw new PgConnectionError('lost', 'The server ended the stream');
              continue;
            }
          }
        }
        if (chunk !== null) {
          const { memory } = chunk;
          if (memory !== undefined) held.hold(memory);
          const stop = decoder.decode(chunk, frame, this.#limits());
          if (decoder.replyRequested) {
            decoder.replyRequested = false;
            this.#status.send();
          }
          if (stop === null) {
            memory?.drop();
            chunk = null;
          } else {
            frame = stop.frame;
            if (stop.relation !== null) {
              await this.#define(stop.relation);
              continue;
            }
          }
          const full = decoder.changes.length >= MAX_CHANGES || decoder.bytes >= MAX_BYTES;
          if (!full || this.#awaitsCommit()) continue;
        }
        const changes = decoder.changes;
        const bytes = decoder.bytes;
        if (decoder.hasUnchanged) await toast.fill(changes, decoder.insideTransaction);
        const resume = decoder.position;
        decoder.reset();
        reported = resume;
        reportedAt = performance.now();
        this.#nudged = false;
        decoder.keepalives = 0;
        const state = versions.takeChanged();
        const release = held.release();
        yield state === undefined
          ? { changes, bytes, resume, release }
          : { changes, bytes, resume, state, release };
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #limits(): BatchLimits {
    const { bytes, hasUnchanged } = this.#decoder;
    return {
      soft: bytes >= MAX_BYTES ? 1 : MAX_CHANGES,
      hard: MAX_CHANGES * (hasUnchanged ? TOAST_PATIENCE : PATIENCE),
    };
  }

  /** The rest of a transaction follows without a pause: the server sends none before it has all of it. */
  #awaitsCommit(): boolean {
    const { hasUnchanged, awaitsCommit, changes, bytes } = this.#decoder;
    const patience = hasUnchanged ? TOAST_PATIENCE : PATIENCE;
    return awaitsCommit && changes.length < MAX_CHANGES * patience && bytes < MAX_BYTES * patience;
  }

  #progressDue(reported: PostgresPosition, reportedAt: number): boolean {
    const decoder = this.#decoder;
    if (decoder.changes.length > 0 || decoder.insideTransaction) return false;
    if (this.#nudged && decoder.keepalives > 0) return true;
    // The COMMIT came behind changes that are out already: it is what their delivery waits for.
    if (reported.mid !== null && decoder.position.mid === null) return true;
    const elapsed = performance.now() - reportedAt;
    return elapsed >= (decoder.position.lsn > reported.lsn ? PROGRESS_MS : IDLE_MS);
  }

  async #define(message: Parameters<Relations['resolve']>[0]): Promise<void> {
    const decoder = this.#decoder;
    const stale = decoder.relation(message.oid)?.labels.unknown ?? false;
    const { state, changes } = await this.#options.relations.resolve(message, decoder.here(), stale);
    decoder.changes.push(...changes);
    decoder.define(state);
  }
}

function startStatement(serverVersion: number, options: StreamOptions): string {
  const { slot, publications, from, messages } = options;
  const protocol =
    serverVersion >= 160_000 ? 4 : serverVersion >= 150_000 ? 3 : serverVersion >= 140_000 ? 2 : 1;
  const names = publications.map(quoteIdent).join(',').replaceAll("'", "''");
  const plugin = [`proto_version '${protocol}'`, `publication_names '${names}'`];
  if (messages && serverVersion >= 140_000) plugin.push("messages 'true'");
  return `START_REPLICATION SLOT ${quoteIdent(slot)} LOGICAL ${formatLsn(from.lsn)} (${plugin.join(', ')})`;
}
