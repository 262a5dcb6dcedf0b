import { Socket } from 'node:net';
import { ReadBuffer } from './read-buffer.ts';

/** Where a socket's bytes go. While a driver logs in they are handed to it as 'data' events. */
export interface SocketInput {
  readonly buffer: ReadBuffer;
  /** Called after each read, once the driver has done its part. */
  onBytes: ((bytes: number) => void) | null;
}

export function newSocketInput(): SocketInput {
  return { buffer: new ReadBuffer(), onBytes: null };
}

/**
 * A plain socket that reads straight into `input`: no buffer is allocated per read, and pausing it stops the
 * reads themselves, which 'data' events with their look-ahead don't.
 */
export function socketInto(input: SocketInput): Socket {
  const socket: Socket = new Socket({
    onread: {
      buffer: () => input.buffer.room(),
      callback(bytes, buffer) {
        if (input.onBytes === null) {
          socket.emit('data', Buffer.from(buffer.subarray(0, bytes)));
        } else {
          input.buffer.filled(bytes);
          input.onBytes(bytes);
        }
        return true;
      },
    },
  });
  return socket;
}

/** For a socket that cannot read into `input` itself, as one of TLS. */
export function copyInto(input: SocketInput, socket: Socket): void {
  socket.on('data', (chunk: Buffer) => {
    input.buffer.append(chunk);
    input.onBytes?.(chunk.length);
  });
}
