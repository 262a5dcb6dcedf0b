/** TLS in front of an HTTP server that has none, as a load balancer does it; it asks for a client's certificate. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { close, forward, listen } from './http-forward.ts';
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
  const url = new URL(target);
  const server = createServer({ ca: cas, cert, key, requestCert: true }, (incoming, outgoing) =>
    forward(incoming, outgoing, url),
  );
  const port = await listen(server);
  return {
    url: `https://127.0.0.1:${port}${url.pathname}`,
    [Symbol.asyncDispose]: () => close(server),
  };
}
