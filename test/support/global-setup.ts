/** vitest globalSetup: a small service in the main process through which tests ask for shared servers. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ServerUnavailable } from '../../src/local-servers/missing-server.ts';
import { sharedAddress, stopSharedServers } from './shared-servers.ts';

export default async function setUp(): Promise<() => Promise<void>> {
  const service = createServer((request, response) => {
    void sharedAddress((request.url ?? '/').slice(1)).then(
      (address) => response.end(JSON.stringify({ address })),
      (error: unknown) => {
        const kind = error instanceof ServerUnavailable ? error.kind : 'missing';
        if (kind === 'download') process.env['HEADWATER_TEST_DOWNLOAD_FAILED'] = '1';
        response.end(JSON.stringify({ kind, message: (error as Error).message }));
      },
    );
  });
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  process.env['HEADWATER_TEST_SERVERS'] = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  return async () => {
    service.closeAllConnections();
    service.close();
    await stopSharedServers();
  };
}
