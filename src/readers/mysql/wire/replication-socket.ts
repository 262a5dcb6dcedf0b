import type { Socket } from 'node:net';
import { type EventChunk, eventQueue } from './event-queue.ts';
import { MysqlConnectionError } from './mysql-error.ts';
import { PacketFramer } from './packet-framer.ts';

/** The events of a binlog dump, as they come. */
export interface ReplicationSocket {
  /** The next events (none after `wake`), or null when the server ended the stream. Rejects when it breaks. */
  next(): Promise<EventChunk | null>;
  /** The next events if they are here already. */
  take(): EventChunk | null;
  /** Resolves a pending `next`. */
  wake(): void;
  /** performance.now() of the last byte received. */
  readonly lastReceivedAt: number;
  /** True while reading is stopped because what was received has not been taken. */
  readonly paused: boolean;
  close(): void;
}

/**
 * Takes the socket over from mysql2, whose packet objects cost more than everything we do with an event, and
 * sends the commands; the answers to all but the last have to be OK.
 */
export function startDump(socket: Socket, commands: readonly Buffer[], place: string): ReplicationSocket {
  const queue = eventQueue(socket);
  const framer = new PacketFramer();
  let oks = commands.length - 1;
  for (const event of ['data', 'error', 'end', 'close'] as const) socket.removeAllListeners(event);
  const end = (error: Error): void => {
    queue.end(error);
    socket.destroy();
  };
  socket.on('data', (data: Buffer) => {
    try {
      let rest = data;
      while (oks > 0 && rest.length > 0) rest = answered(rest);
      if (rest.length > 0) {
        for (const framed of framer.push(rest)) {
          if (framed.kind === 'events') queue.push(framed.chunk);
          else if (framed.kind === 'error') end(framed.error);
          else queue.end(null);
        }
      }
      queue.afterRead(data.length);
    } catch (error) {
      end(error instanceof Error ? error : new MysqlConnectionError('protocol', String(error)));
    }
  });
  /** Cuts one OK off; they are so small that they come whole. */
  const answered = (data: Buffer): Buffer => {
    const length = data.length < 4 ? Infinity : 4 + data.readUIntLE(0, 3);
    if (length > data.length || data[4] !== 0) {
      const [framed] = framer.push(data);
      throw framed?.kind === 'error'
        ? framed.error
        : new MysqlConnectionError(
            'protocol',
            'The server answered a command of replication with something unknown',
          );
    }
    oks--;
    const next = commands[commands.length - oks - 1]!;
    write(socket, next);
    return data.subarray(length);
  };
  socket.on('error', (error) =>
    end(new MysqlConnectionError('lost', `The connection to ${place} broke`, error)),
  );
  socket.on('close', () => queue.end(new MysqlConnectionError('lost', `${place} closed the connection`)));
  write(socket, commands[0]!);
  socket.resume();
  return {
    next: () => queue.next(),
    take: () => queue.take(),
    wake: () => queue.wake(),
    get lastReceivedAt() {
      return queue.lastReceivedAt;
    },
    get paused() {
      return queue.full;
    },
    close: () => end(new MysqlConnectionError('lost', 'The connection was closed')),
  };
}

/** Each command begins a sequence of its own. */
function write(socket: Socket, command: Buffer): void {
  const header = Buffer.alloc(4);
  header.writeUIntLE(command.length, 0, 3);
  socket.write(Buffer.concat([header, command]));
}
