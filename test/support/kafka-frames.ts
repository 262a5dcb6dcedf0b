import type { Socket } from 'node:net';

/** Calls back with each request of a client of Kafka, whole and without its size. */
export function onRequests(socket: Socket, heard: (request: Buffer) => void): void {
  let pending = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (part) => {
    pending = Buffer.concat([pending, part]);
    while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
      const request = pending.subarray(4, 4 + pending.readInt32BE(0));
      pending = pending.subarray(4 + request.length);
      heard(request);
    }
  });
}

/** An answer to it: size, correlation id, and the body. */
export function framed(request: Buffer, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(4 + body.length, 0);
  request.copy(head, 4, 4, 8);
  return Buffer.concat([head, body]);
}
