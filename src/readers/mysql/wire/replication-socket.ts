import type { Socket } from 'node:net';
import type { TakenSocket } from './connection.ts';
import { type EventChunk, eventQueue } from './event-queue.ts';
import { MysqlConnectionError, parseErrorPacket } from './mysql-error.ts';
import { PacketCutter } from './packet-cutter.ts';

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
 * Reads the packets of a socket that was taken from mysql2, whose packet objects cost more than everything we do with
 * an event (0x00 and the event; 0xff error; 0xfe end), and sends the commands; the answers to all but the last have to be OK.
 */
export function startDump(
  { socket, input }: TakenSocket,
  commands: readonly Buffer[],
  place: string,
): ReplicationSocket {
  const queue = eventQueue(socket);
  let next = 1;
  const end = (error: Error): void => {
    queue.end(error);
    socket.destroy();
  };
  const push = (buffer: Buffer): void => {
    const chunk = cutter.chunk(buffer);
    if (chunk !== null) queue.push(chunk);
  };
  const cutter = new PacketCutter(input.buffer, {
    packet(buffer, start, stop) {
      const status = stop > start ? buffer[start] : undefined;
      const command = commands[next];
      if (status === 0 && command === undefined) {
        cutter.keep(buffer, start + 1, stop);
        return;
      }
      if (status === 0 && command !== undefined) {
        next++;
        write(socket, command);
        return;
      }
      push(buffer);
      if (status === 0xff) end(parseErrorPacket(buffer.subarray(start, stop)));
      else if (status === 0xfe && command === undefined) queue.end(null);
      else throw new MysqlConnectionError('protocol', 'The server sent something else than a binlog event');
    },
    behind: push,
  });
  input.onBytes = (bytes) => {
    try {
      cutter.cut();
      queue.afterRead(bytes);
    } catch (error) {
      end(error instanceof Error ? error : new MysqlConnectionError('protocol', String(error)));
    }
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
