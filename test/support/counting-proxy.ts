/** Counts what a client asks of a broker or of an HTTP server, and passes it on. */
import { once } from 'node:events';
import { createServer as createHttpServer, request } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface CountingProxy extends AsyncDisposable {
  readonly port: number;
  /** By what was asked: `METHOD /path`, or the number of Kafka's API. */
  readonly asked: ReadonlyMap<string, number>;
}

export interface CountingHttpProxy extends CountingProxy {
  /** How many were under way at the same time, at most. */
  readonly together: number;
}

/** For a broker whose `advertised.listeners` name the proxy's port. `target`: asked with each connection. */
export async function countKafkaRequests(
  target: () => { readonly host: string; readonly port: number },
): Promise<CountingProxy> {
  const asked = new Map<string, number>();
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const broker = connect(target());
    let held = Buffer.alloc(0);
    let skip = 0;
    client.on('data', (chunk: Buffer) => {
      broker.write(chunk);
      // Frames: four bytes of size, two of the API's number, and what else belongs to it.
      held = Buffer.concat([held, chunk]);
      for (;;) {
        const passed = Math.min(skip, held.length);
        skip -= passed;
        held = held.subarray(passed);
        if (held.length < 6) return;
        count(asked, String(held.readInt16BE(4)));
        skip = 4 + held.readInt32BE(0);
      }
    });
    broker.pipe(client);
    const end = (): void => {
      for (const socket of [client, broker]) {
        socket.destroy();
        sockets.delete(socket);
      }
    };
    for (const socket of [client, broker]) sockets.add(socket.on('error', end).on('close', end));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

export async function countHttpRequests(target: string): Promise<CountingHttpProxy> {
  const asked = new Map<string, number>();
  let underWay = 0;
  let together = 0;
  const { hostname, port } = new URL(target);
  const server = createHttpServer((incoming, outgoing) => {
    const { method, url = '/', headers } = incoming;
    count(asked, `${method} ${url}`);
    together = Math.max(together, ++underWay);
    outgoing.on('close', () => underWay--);
    const onward = request({ hostname, port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    get together() {
      return together;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function count(asked: Map<string, number>, what: string): void {
  asked.set(what, (asked.get(what) ?? 0) + 1);
}
