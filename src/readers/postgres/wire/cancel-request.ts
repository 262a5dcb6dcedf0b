import { connect } from 'node:net';
import type { LoggedIn } from './login.ts';

/** CancelRequest (80877102): what the server tells it from a start-up by. */
const CANCEL = 80_877_102;
const TIMEOUT_MS = 5_000;

/** Asks the server to end what a session is doing. It needs a connection of its own, whose fate doesn't matter. */
export function sendCancelRequest({ host, processId, secretKey }: LoggedIn): void {
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(CANCEL, 4);
  request.writeInt32BE(processId, 8);
  request.writeInt32BE(secretKey, 12);
  const socket = host.host.startsWith('/')
    ? connect(`${host.host}/.s.PGSQL.${host.port}`)
    : connect(host.port, host.host);
  socket.on('error', () => socket.destroy());
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy());
  socket.resume();
  socket.end(request);
}
