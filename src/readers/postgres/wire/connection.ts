import type { Socket } from 'node:net';
import { sendCancelRequest } from './cancel-request.ts';
import { describeHosts, type PgConnectOptions } from './connect-options.ts';
import { CopyQueue, type CopyChunk } from './copy-queue.ts';
import { type LoggedIn, logIn } from './login.ts';
import {
  COMMAND_COMPLETE,
  COPY_BOTH_RESPONSE,
  COPY_DATA,
  COPY_DONE,
  COPY_FAIL,
  COPY_IN_RESPONSE,
  DATA_ROW,
  ERROR_RESPONSE,
  NOTICE_RESPONSE,
  NOTIFICATION_RESPONSE,
  PARAMETER_STATUS,
  parseDataRow,
  parseRowDescription,
  QUERY,
  READY_FOR_QUERY,
  type ResultColumn,
  ROW_DESCRIPTION,
  TERMINATE,
  type TextRows,
  versionNumber,
} from './messages.ts';
import { parseErrorFields, PgConnectionError, PgError } from './pg-error.ts';

/**
 * One session. Commands queue up behind each other; nothing is retried. Everything here throws PgError (the
 * server's answer), PgConnectionError (network) or the signal's reason, and only these.
 */
export interface PgConnection extends AsyncDisposable {
  readonly processId: number;
  /** As server_version_num: 150004, 180001. */
  readonly serverVersion: number;
  readonly open: boolean;
  /** Rows of the last statement that returned any. An abort cancels the statement and closes the session. */
  query(sql: string, signal?: AbortSignal): Promise<TextRows>;
  /** The columns of a statement's rows; the rows are dropped, so ask for none. */
  columns(sql: string, signal?: AbortSignal): Promise<readonly ResultColumn[]>;
  /** As `query`, for statements without rows; resolves to the last command tag. */
  command(sql: string, signal?: AbortSignal): Promise<string>;
  /**
   * COPY … TO STDOUT. Chunks hold whole rows; the five bytes before each frame are zeroed, so that a chunk of
   * ASCII rows is ASCII from its first frame to its last. Leaving the loop early closes the session.
   */
  copyOut(sql: string, signal: AbortSignal): AsyncIterable<CopyChunk>;
  /** START_REPLICATION. The session can do nothing else afterwards. */
  copyBoth(sql: string, signal: AbortSignal): Promise<CopyStream>;
  close(): Promise<void>;
}

/** A stream in both directions. */
export interface CopyStream {
  /** The next frames (none after `wake`), or null when the server ended the stream. Rejects when it breaks. */
  next(): Promise<CopyChunk | null>;
  /** Resolves a pending `next`. */
  wake(): void;
  /** The next frames if they are here already. */
  take(): CopyChunk | null;
  send(payload: Uint8Array): void;
  /** performance.now() of the last byte received. */
  readonly lastReceivedAt: number;
  /** True while reading is stopped because the frames received so far have not been taken. */
  readonly paused: boolean;
}

/** Tries the hosts in order. Throws PgError or PgConnectionError. */
export async function connectPg(
  options: PgConnectOptions,
  { replication }: { readonly replication?: 'database' },
  signal: AbortSignal,
): Promise<PgConnection> {
  let failure: unknown = new PgConnectionError('unreachable', 'No host is configured');
  for (const host of options.hosts) {
    try {
      const connection = new Connection(await logIn(options, host, replication, signal));
      if (options.hosts.length === 1) return connection;
      const [row] = await connection.query('SELECT pg_catalog.pg_is_in_recovery()', signal);
      if (row?.[0] === 'f') return connection;
      await connection.close();
      failure = new PgConnectionError('read-only', `None of ${describeHosts(options)} accepts writes`);
    } catch (error) {
      signal.throwIfAborted();
      // An answer says more than a host that is down.
      if (!(failure instanceof PgError)) failure = error;
    }
  }
  throw failure;
}

interface Operation {
  readonly copy: CopyQueue | null;
  message(type: number, body: Buffer): void;
  ready(): void;
  fail(error: Error): void;
}

const MAX_FRAME = 0x4000_0000;

class Connection implements PgConnection {
  readonly processId: number;
  readonly serverVersion: number;
  readonly #socket: Socket;
  readonly #login: LoggedIn;
  #operation: Operation | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #lost: Error | null = null;
  #closed: (() => void) | null = null;

  constructor(login: LoggedIn) {
    this.#login = login;
    this.#socket = login.socket;
    this.processId = login.processId;
    this.serverVersion = versionNumber(login.parameters.get('server_version') ?? '');
    login.input.onBytes = (bytes) => this.#received(bytes);
    const { host, port } = login.host;
    this.#socket.on('error', (error: Error) => {
      this.#break(new PgConnectionError('lost', `The connection to ${host}:${port} broke`, error));
    });
    this.#socket.on('close', () => {
      this.#break(new PgConnectionError('lost', `${host}:${port} closed the connection`));
      this.#closed?.();
    });
    this.#socket.resume();
  }

  get open(): boolean {
    return this.#lost === null;
  }

  query(sql: string, signal?: AbortSignal): Promise<TextRows> {
    return this.#simple(sql, signal).then(({ rows }) => rows);
  }

  columns(sql: string, signal?: AbortSignal): Promise<readonly ResultColumn[]> {
    return this.#simple(sql, signal).then(({ columns }) => columns);
  }

  command(sql: string, signal?: AbortSignal): Promise<string> {
    return this.#simple(sql, signal).then(({ tag }) => tag);
  }

  #simple(sql: string, signal: AbortSignal | undefined): Promise<SimpleResult> {
    return this.#enqueue(
      signal,
      () =>
        new Promise<SimpleResult>((resolve, reject) => {
          let rows: (string | null)[][] = [];
          let columns: readonly ResultColumn[] = [];
          let tag = '';
          let error: Error | null = null;
          this.#start(sql, {
            copy: null,
            message: (type, body) => {
              if (type === DATA_ROW) rows.push(parseDataRow(body));
              else if (type === ROW_DESCRIPTION) {
                rows = [];
                columns = parseRowDescription(body);
              } else if (type === COMMAND_COMPLETE) tag = body.latin1Slice(0, body.length - 1);
              else if (type === ERROR_RESPONSE) error ??= new PgError(parseErrorFields(body));
              else if (type === COPY_IN_RESPONSE)
                this.#write(COPY_FAIL, Buffer.from('COPY FROM is not used\0'));
            },
            ready: () => (error === null ? resolve({ rows, columns, tag }) : reject(error)),
            fail: reject,
          });
        }),
    );
  }

  async *copyOut(sql: string, signal: AbortSignal): AsyncIterable<CopyChunk> {
    const queue = new CopyQueue(this.#socket, { zeroHeaders: true, lazy: false });
    const finished = this.#enqueue(
      signal,
      () =>
        new Promise<void>((resolve, reject) => {
          let error: Error | null = null;
          const settle = (): void => {
            queue.end(error);
            if (error === null) resolve();
            else reject(error);
          };
          this.#start(sql, {
            copy: queue,
            message: (type, body) => {
              if (type === ERROR_RESPONSE) error ??= new PgError(parseErrorFields(body));
            },
            ready: settle,
            fail: (reason) => {
              error ??= reason;
              settle();
            },
          });
        }),
    );
    // A failure before or after the first frame reaches the consumer through the queue.
    finished.catch((error: unknown) => queue.end(error as Error));
    try {
      for (;;) {
        const chunk = queue.take() ?? (await queue.next());
        if (chunk === null) break;
        yield chunk;
      }
      await finished;
    } finally {
      // Left by the consumer rather than ended by the server: nothing else may be said before the rest came.
      if (this.#operation?.copy === queue) {
        this.#abandon(new PgConnectionError('lost', 'The COPY was left before its end'));
      }
    }
  }

  copyBoth(sql: string, signal: AbortSignal): Promise<CopyStream> {
    const queue = new CopyQueue(this.#socket, { zeroHeaders: false, lazy: true });
    return this.#enqueue(
      signal,
      () =>
        new Promise<CopyStream>((resolve, reject) => {
          let error: Error | null = null;
          const settle = (): void => {
            error ??= null;
            queue.end(error);
            reject(error ?? new PgConnectionError('protocol', 'The server did not start to stream'));
          };
          this.#start(sql, {
            copy: queue,
            message: (type, body) => {
              if (type === COPY_BOTH_RESPONSE) resolve(this.#copyStream(queue));
              else if (type === ERROR_RESPONSE) error ??= new PgError(parseErrorFields(body));
              else if (type === COPY_DONE) {
                // The server ends the stream (shutdown): answer, so that it can.
                if (!this.#socket.destroyed) this.#write(COPY_DONE, Buffer.alloc(0));
              }
            },
            ready: settle,
            fail: (reason) => {
              error ??= reason;
              settle();
            },
          });
        }),
    );
  }

  #copyStream(queue: CopyQueue): CopyStream {
    return {
      next: () => queue.next(),
      take: () => queue.take(),
      wake: () => queue.wake(),
      send: (payload) => {
        if (this.#lost === null) this.#write(COPY_DATA, payload);
      },
      get lastReceivedAt() {
        return queue.lastReceivedAt;
      },
      get paused() {
        return queue.full;
      },
    };
  }

  async close(): Promise<void> {
    if (!this.#socket.destroyed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => this.#socket.destroy(), 1000);
        this.#closed = () => {
          clearTimeout(timer);
          resolve();
        };
        this.#break(new PgConnectionError('lost', 'The connection was closed'), false);
        this.#socket.resume();
        this.#socket.end(Buffer.from([TERMINATE, 0, 0, 0, 4]));
      });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Runs one operation after the former; an abort cancels it at the server and closes the session. */
  #enqueue<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      signal?.throwIfAborted();
      if (this.#lost !== null) throw this.#lost;
      if (signal === undefined) return await run();
      const onAbort = (): void => this.#abandon(signal.reason as Error);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        return await run();
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  #start(sql: string, operation: Operation): void {
    this.#operation = operation;
    this.#write(QUERY, Buffer.from(`${sql}\0`));
  }

  #write(type: number, payload: Uint8Array): void {
    const frame = Buffer.allocUnsafe(5 + payload.length);
    frame[0] = type;
    frame.writeInt32BE(4 + payload.length, 1);
    frame.set(payload, 5);
    this.#socket.write(frame);
  }

  #received(bytes: number): void {
    const input = this.#login.input.buffer;
    const { buffer, end, memory } = input;
    let at = input.start;
    if (this.#lost !== null) {
      input.consumed(end); // what still comes in while the session closes is nobody's
      return;
    }
    const copy = this.#operation?.copy ?? null;
    let expected = 0;
    let noted = memory.noted;
    const push = (): void => {
      if (memory.noted === noted) return;
      memory.hold();
      copy!.push({ buffer, frames: memory.frames(noted), memory });
      noted = memory.noted;
    };
    const zero = copy?.zeroHeaders ?? false;
    while (end - at >= 5) {
      const length = buffer.readInt32BE(at + 1);
      if (length < 4 || length > MAX_FRAME) {
        this.#abandon(new PgConnectionError('protocol', 'The server sent a frame of impossible length'));
        return;
      }
      const next = at + 1 + length;
      if (next > end) {
        expected = 1 + length;
        break;
      }
      const type = buffer[at]!;
      if (type === COPY_DATA && copy !== null) {
        if (zero) buffer.fill(0, at, at + 5);
        memory.frame(at + 5, next);
      } else {
        push();
        try {
          this.#message(type, buffer.subarray(at + 5, next));
        } catch (error) {
          // Nobody is above us but the socket, where it would end the process.
          this.#abandon(
            new PgConnectionError('protocol', 'The server sent a message that cannot be read', error),
          );
        }
        if (this.#lost !== null) return;
      }
      at = next;
      if (this.#operation?.copy !== copy && end - at >= 5) {
        // The next operation began with bytes left over: take them in its light.
        input.consumed(at);
        this.#received(0);
        return;
      }
    }
    input.consumed(at);
    if (copy !== null) {
      push();
      copy.afterRead(bytes);
    }
    // Last: it may move on to other memory.
    if (expected > 0) input.expect(expected);
  }

  #message(type: number, body: Buffer): void {
    switch (type) {
      case PARAMETER_STATUS: {
        const [name, value] = body.utf8Slice(0, body.length).split('\0');
        this.#login.parameters.set(name ?? '', value ?? '');
        return;
      }
      case NOTICE_RESPONSE:
      case NOTIFICATION_RESPONSE:
        return;
      case READY_FOR_QUERY: {
        const operation = this.#operation;
        this.#operation = null;
        operation?.ready();
        return;
      }
      case ERROR_RESPONSE:
        if (this.#operation === null) {
          // Unasked: the server is shutting down or an administrator ended this session.
          this.#break(new PgError(parseErrorFields(body)));
          return;
        }
    }
    this.#operation?.message(type, body);
  }

  /** The session is over; whoever waits learns why. */
  #break(error: Error, destroy = true): void {
    if (this.#lost !== null) return;
    this.#lost = error;
    const operation = this.#operation;
    this.#operation = null;
    operation?.fail(error);
    if (destroy) this.#socket.destroy();
  }

  #abandon(reason: Error): void {
    if (this.#lost !== null) return;
    if (this.#operation !== null) sendCancelRequest(this.#login);
    this.#break(reason);
  }
}

interface SimpleResult {
  readonly rows: TextRows;
  readonly columns: readonly ResultColumn[];
  readonly tag: string;
}
