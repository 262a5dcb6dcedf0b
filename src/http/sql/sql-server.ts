/** The SQL interface: HTTP/1.1 and HTTP/2 without TLS ("prior knowledge", RFC 9113 3.3) on one port. */
import { createServer as createHttp1 } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { QueryDesk } from '../../enrichment/queries/query-desk.ts';
import type { Log } from '../../observability/log.ts';
import type { PipelineStatus } from '../../observability/status.ts';
import { listen } from '../listen.ts';
import type { HttpServer } from '../server.ts';
import type { ChangePipeline } from './changes.ts';
import type { SqlExchange } from './exchange.ts';

export interface SqlServerOptions {
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Null: open to whoever can reach the address. */
  readonly token: string | null;
  readonly version: string;
  readonly desk: QueryDesk;
  readonly status: () => readonly PipelineStatus[];
  readonly change: ChangePipeline;
  /** Whether statements that change something need the token, so that without one nobody can send them. */
  readonly changesNeedToken: boolean;
  readonly log: Log;
}

const MAX_CONNECTIONS = 200;
/** A connection that says nothing in this time is closed. */
const FIRST_BYTES_MS = 5_000;
/** How long a request that is under way may keep the process from ending. */
const CLOSE_MS = 1_000;
/** How HTTP/2 begins; no method of HTTP/1 does. */
const PREFACE = 'PRI ';

/** Throws `http.port-in-use`, `http.cannot-listen`. What answers is loaded with the first request. */
export async function startSqlServer(options: SqlServerOptions): Promise<HttpServer> {
  let routes: Promise<(exchange: SqlExchange) => void> | null = null;
  const closing = new AbortController();
  const sockets = new Set<Socket>();
  let underWay = 0;
  const hangUp = (): void => {
    if (!closing.signal.aborted || underWay > 0) return;
    for (const socket of sockets) socket.destroySoon();
  };
  const answer = (exchange: SqlExchange): void => {
    underWay++;
    exchange.response.once('close', () => {
      underWay--;
      hangUp();
    });
    routes ??= import('./sql-routes.ts').then(({ createSqlRoutes }) =>
      createSqlRoutes(options, closing.signal),
    );
    routes.then(
      (handle) => handle(exchange),
      (error: unknown) => {
        options.log.error({ err: error }, 'the SQL interface could not be loaded');
        exchange.response.statusCode = 500;
        exchange.response.end();
      },
    );
  };
  const http1 = createHttp1((request, response) => answer({ request, response }));
  const http2 = createHttp2({ maxSessionMemory: 10 }, (request, response) => answer({ request, response }));
  http2.on('session', (session) => session.on('error', () => session.destroy()));
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    firstBytes(socket, (bytes) => {
      const isHttp2 = bytes.toString('latin1', 0, PREFACE.length) === PREFACE;
      socket.unshift(bytes);
      (isHttp2 ? http2 : http1).emit('connection', socket);
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, options.listen, 'http.sql');
  const { port } = server.address() as AddressInfo;
  return {
    host: options.listen.host,
    port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Queries under way end with their last sentence, which is given a moment to leave.
      closing.abort();
      hangUp();
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, CLOSE_MS);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** As many as tell the protocol. */
function firstBytes(socket: Socket, then: (bytes: Buffer) => void): void {
  let seen = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), FIRST_BYTES_MS);
  socket.once('close', () => clearTimeout(timer));
  const look = (): void => {
    const part: unknown = socket.read();
    if (Buffer.isBuffer(part)) seen = Buffer.concat([seen, part]);
    const begun = seen.toString('latin1', 0, PREFACE.length);
    if (begun.length < PREFACE.length && PREFACE.startsWith(begun)) {
      if (socket.readableEnded) socket.destroy();
      else socket.once('readable', look);
      return;
    }
    clearTimeout(timer);
    then(seen);
  };
  socket.once('end', () => socket.end());
  socket.once('readable', look);
}
