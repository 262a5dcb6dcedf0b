import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from '../observability/log.ts';
import type { Administration } from './admin.ts';
import { listen } from './listen.ts';
import type { PipelineStatus } from '../observability/status.ts';

export interface HttpServerOptions {
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Null: everything is open to whoever can reach the address. */
  readonly token: string | null;
  readonly version: string;
  readonly status: () => readonly PipelineStatus[];
  /** Null: nothing can be changed. */
  readonly administration: Administration | null;
  readonly log: Log;
}

export interface HttpServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

/** How long a request that is under way may keep the process from ending. */
const CLOSE_MS = 1_000;

/**
 * Listens at once, so that a port that is taken is known before anything else begins; what answers is loaded with
 * the first request. Throws `http.port-in-use`, `http.cannot-listen`.
 */
export async function startHttp(options: HttpServerOptions): Promise<HttpServer> {
  let routes: Promise<Handler> | null = null;
  const load = async (): Promise<Handler> => {
    const { createRoutes } = await import('./routes.ts');
    return await createRoutes(options);
  };
  const server = createServer((request, response) => {
    routes ??= load();
    routes.then(
      (handle) => handle(request, response),
      (error: unknown) => {
        options.log.error({ err: error }, 'the HTTP interface could not be loaded');
        response.writeHead(500).end();
      },
    );
  });
  // Slow or idle clients do not hold on to anything.
  server.requestTimeout = 10_000;
  server.headersTimeout = 5_000;
  server.maxConnections = 200;
  await listen(server, options.listen, 'http.listen');
  const { port } = server.address() as AddressInfo;
  return {
    host: options.listen.host,
    port,
    [Symbol.asyncDispose]: () => close(server),
  };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
