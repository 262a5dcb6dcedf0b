/** TLS in front of an HTTP server that has none, as a load balancer does it; it asks for a client's certificate. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificates } from './servers.ts';

export interface TlsProxy extends AsyncDisposable {
  /** `target`'s with another scheme and port; the certificate is for localhost and 127.0.0.1. */
  readonly url: string;
}

export async function startTlsProxy(
  target: string,
  { ca, serverCert, serverKey }: Certificates,
): Promise<TlsProxy> {
  const [cas, cert, key] = await Promise.all([ca, serverCert, serverKey].map((file) => readFile(file)));
  const { hostname, port, pathname } = new URL(target);
  const server = createServer({ ca: cas, cert, key, requestCert: true }, (incoming, outgoing) => {
    const { method, url = '/', headers } = incoming;
    const onward = request({ hostname, port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: own } = server.address() as AddressInfo;
  return {
    url: `https://127.0.0.1:${own}${pathname}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
