/** Counts what a client asks of a broker or of an HTTP server, and passes it on. */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { close, forward, listen } from './http-forward.ts';

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
  // Without delay, as the two ends are: two small answers in a row would wait 40 ms for each other.
  const server = createServer({ noDelay: true }, (client) => {
    const broker = connect({ ...target(), noDelay: true });
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
  return {
    port: await listen(server),
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
  const url = new URL(target);
  const server = createHttpServer((incoming, outgoing) => {
    count(asked, `${incoming.method} ${incoming.url ?? '/'}`);
    together = Math.max(together, ++underWay);
    outgoing.on('close', () => underWay--);
    forward(incoming, outgoing, url);
  });
  return {
    port: await listen(server),
    asked,
    get together() {
      return together;
    },
    [Symbol.asyncDispose]: () => close(server),
  };
}

function count(asked: Map<string, number>, what: string): void {
  asked.set(what, (asked.get(what) ?? 0) + 1);
}
