/**
 * One session for reading whole tables: the socket is taken over from mysql2 after the login, since rows are
 * decoded from the packets as they lie in memory and a large result has to wait for whoever takes it. Text
 * protocol: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
 */
import type { Socket } from 'node:net';
import '../../buffer-slices.ts';
import { cellLength, lengthBytes, NULL_CELL } from './cell-length.ts';
import type { MysqlConnectOptions } from './connect-options.ts';
import { connectMysql, type MysqlConnection, type TakenSocket, type TextRows } from './connection.ts';
import { MysqlConnectionError, type MysqlError, parseErrorPacket } from './mysql-error.ts';
import { type PacketChunk, PacketCutter } from './packet-cutter.ts';
import { parseResultColumn, type ResultColumn } from './result-columns.ts';
import type { ServerInfo } from './server-info.ts';

/** Rows of the text protocol: row i is `buffer[frames[2i], frames[2i+1])`, its cells each behind their length. */
export type RowChunk = PacketChunk;

/** What the catalogue is read by. */
export interface CatalogueSession {
  readonly server: ServerInfo;
  /** Rows as text in UTF-8; none of a statement without a result. */
  query(sql: string, signal: AbortSignal): Promise<TextRows>;
  /** Columns of a statement's result; its rows are left out. */
  columns(sql: string, signal: AbortSignal): Promise<readonly ResultColumn[]>;
}

/** One statement at a time. Throws MysqlError, MysqlConnectionError or the signal's reason. */
export interface RowSession extends CatalogueSession, AsyncDisposable {
  readonly threadId: number;
  readonly open: boolean;
  /**
   * Rows as they come, values in the bytes of their column's own character set. Leaving early ends the session:
   * what is still on its way cannot be told from the answer to the next statement.
   */
  rows(sql: string, signal: AbortSignal): AsyncGenerator<RowChunk>;
  close(): Promise<void>;
}

/** Received and not taken at which reading stops. */
const HIGH_WATER = 1024 * 1024;
const COM_QUERY = 3;

/** Character strings arrive as they are stored; catalogues are in UTF-8 all the same. */
const RAW_RESULTS = 'SET character_set_results = NULL';

/** Servers may end statements that take long; a table without a key is one. */
const UNLIMITED = {
  mysql: { since: 50_708, statement: 'SET SESSION max_execution_time = 0' },
  mariadb: { since: 100_101, statement: 'SET SESSION max_statement_time = 0' },
} as const;

/** Throws MysqlError or MysqlConnectionError. */
export async function connectRows(options: MysqlConnectOptions, signal: AbortSignal): Promise<RowSession> {
  const connection = await connectMysql(options, signal);
  const session = new Session(connection, connection.takeOver());
  await session.query(RAW_RESULTS, signal);
  const limit = UNLIMITED[session.server.flavour];
  if (session.server.version >= limit.since) await session.query(limit.statement, signal);
  return session;
}

type State = 'idle' | 'answer' | 'columns' | 'rows';

class Session implements RowSession {
  readonly server: ServerInfo;
  readonly threadId: number;
  readonly #connection: MysqlConnection;
  readonly #socket: Socket;
  readonly #cutter: PacketCutter;
  #state: State = 'idle';
  #columnsLeft = 0;
  /** Of the statement under way, where they are asked for. */
  #columns: ResultColumn[] | null = null;
  #chunks: RowChunk[] = [];
  #bytes = 0;
  #failure: MysqlError | null = null;
  #lost: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(connection: MysqlConnection, { socket, input }: TakenSocket) {
    this.server = connection.server;
    this.threadId = connection.threadId;
    this.#connection = connection;
    this.#socket = socket;
    this.#cutter = new PacketCutter(input.buffer, { packet: this.#packet, behind: this.#endOfBuffer });
    input.onBytes = () => this.#received();
    socket.on('error', (error) =>
      this.#break(new MysqlConnectionError('lost', 'The connection broke', error)),
    );
    socket.on('close', () =>
      this.#break(new MysqlConnectionError('lost', 'The server closed the connection')),
    );
    socket.resume();
  }

  get open(): boolean {
    return this.#lost === null;
  }

  async query(sql: string, signal: AbortSignal): Promise<TextRows> {
    const rows: (string | null)[][] = [];
    for await (const { buffer, frames, memory } of this.rows(sql, signal)) {
      for (let i = 0; i < frames.length; i += 2) rows.push(texts(buffer, frames[i]!, frames[i + 1]!));
      memory?.drop();
    }
    return rows;
  }

  async columns(sql: string, signal: AbortSignal): Promise<readonly ResultColumn[]> {
    const columns: ResultColumn[] = [];
    this.#columns = columns;
    try {
      await this.query(sql, signal);
      return columns;
    } finally {
      this.#columns = null;
    }
  }

  async *rows(sql: string, signal: AbortSignal): AsyncGenerator<RowChunk> {
    signal.throwIfAborted();
    this.#throwIfLost();
    if (this.#state !== 'idle') throw new MysqlConnectionError('protocol', 'A statement is still under way');
    const onAbort = (): void =>
      this.#break(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      this.#failure = null;
      this.#state = 'answer';
      this.#send(sql);
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.#bytes -= chunk.frames[chunk.frames.length - 1]! - chunk.frames[0]!;
          if (this.#bytes < HIGH_WATER / 2 && this.#socket.isPaused()) this.#socket.resume();
          yield chunk;
          continue;
        }
        this.#throwIfLost();
        if (this.#over()) break;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      this.#throwFailure();
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (!this.#over()) this.#break(new MysqlConnectionError('lost', 'A result was left before its end'));
    }
  }

  /** Whether the statement's answer is here to its end. */
  #over(): boolean {
    return this.#state === 'idle';
  }

  async close(): Promise<void> {
    this.#break(new MysqlConnectionError('lost', 'The connection was closed'));
    await this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #send(sql: string): void {
    const length = Buffer.byteLength(sql) + 1;
    const packet = Buffer.allocUnsafe(4 + length);
    packet.writeUIntLE(length, 0, 3);
    packet[3] = 0;
    packet[4] = COM_QUERY;
    packet.write(sql, 5);
    this.#socket.write(packet);
  }

  #received(): void {
    try {
      this.#cutter.cut();
    } catch (error) {
      this.#break(error instanceof Error ? error : new MysqlConnectionError('protocol', String(error)));
    }
    if (this.#bytes >= HIGH_WATER) this.#socket.pause();
    this.#notify();
  }

  readonly #packet = (buffer: Buffer, start: number, end: number): void => {
    const head = buffer[start];
    switch (this.#state) {
      case 'rows':
        if (head === 0xfe && end - start < 9) this.#state = 'idle';
        else if (head === 0xff) this.#failed(buffer.subarray(start, end));
        else this.#cutter.keep(buffer, start, end);
        return;
      case 'answer':
        if (head === 0xff) this.#failed(buffer.subarray(start, end));
        else if (head === 0) this.#state = 'idle';
        else if (head === NULL_CELL)
          throw new MysqlConnectionError('protocol', 'The server asked for a file');
        else {
          this.#columnsLeft = columnCount(buffer, start, end);
          this.#state = 'columns';
        }
        return;
      case 'columns': // their definitions, and an EOF
        if (this.#columnsLeft-- === 0) this.#state = 'rows';
        else this.#columns?.push(parseResultColumn(buffer, start, end));
        return;
      case 'idle': // the server says that it ends the session
        if (head === 0xff) this.#break(parseErrorPacket(buffer.subarray(start, end)));
    }
  };

  readonly #endOfBuffer = (buffer: Buffer): void => {
    const chunk = this.#cutter.chunk(buffer);
    if (chunk === null) return;
    const { frames } = chunk;
    this.#chunks.push(chunk);
    this.#bytes += frames[frames.length - 1]! - frames[0]!;
  };

  #failed(packet: Buffer): void {
    this.#failure = parseErrorPacket(packet);
    this.#state = 'idle';
  }

  #throwIfLost(): void {
    if (this.#lost !== null) throw this.#lost;
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  #break(error: Error): void {
    if (this.#lost !== null) return;
    this.#lost = error;
    this.#chunks = [];
    this.#socket.on('error', () => undefined);
    this.#socket.destroy();
    this.#notify();
  }
}

function columnCount(buffer: Buffer, start: number, end: number): number {
  const head = buffer[start]!;
  if (head < NULL_CELL) return head;
  if (head === 0xfc && end - start >= 3) return buffer.readUInt16LE(start + 1);
  throw new MysqlConnectionError('protocol', 'The server announced an impossible number of columns');
}

function texts(buffer: Buffer, start: number, end: number): (string | null)[] {
  const cells: (string | null)[] = [];
  for (let at = start; at < end;) {
    const head = buffer[at]!;
    if (head === NULL_CELL) {
      cells.push(null);
      at++;
      continue;
    }
    const from = at + lengthBytes(head);
    const to = from > end ? from : from + cellLength(buffer, at);
    if (to > end) throw new MysqlConnectionError('protocol', 'A row is shorter than it says');
    cells.push(buffer.utf8Slice(from, to));
    at = to;
  }
  return cells;
}
