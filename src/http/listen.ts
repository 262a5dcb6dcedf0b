import type { Server as NetServer } from 'node:net';
import { HeadwaterError } from '../errors/headwater-error.ts';

/** `setting`: what errors name. Throws `http.port-in-use`, `http.cannot-listen`. */
export function listen(
  server: NetServer,
  { host, port }: { readonly host: string; readonly port: number },
  setting: 'http.listen' | 'http.sql',
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(listenError(error, { host, port }, setting)),
    );
    server.listen({ host, port }, resolve);
  });
}

function listenError(
  error: NodeJS.ErrnoException,
  { host, port }: { readonly host: string; readonly port: number },
  setting: string,
): HeadwaterError {
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const options = { details: { host, port }, cause: error };
  switch (error.code) {
    case 'EADDRINUSE':
      return new HeadwaterError(
        'http.port-in-use',
        `${setting}: another process listens on ${place} already.`,
        options,
      );
    case 'EACCES':
      return new HeadwaterError(
        'http.cannot-listen',
        `${setting}: listening on ${place} is not permitted.`,
        options,
      );
    default:
      return new HeadwaterError(
        'http.cannot-listen',
        `${setting}: ${place} is not an address of this machine (${error.code ?? 'unknown reason'}).`,
        options,
      );
  }
}
