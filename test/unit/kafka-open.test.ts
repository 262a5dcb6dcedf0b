import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { openKafkaSink } from '../../src/emitter/sinks/kafka/kafka-sink.ts';
import { SILENT } from '../../src/observability/log.ts';

test('a broker that says nothing does not keep the process from being stopped', async () => {
  const silent = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  try {
    const stop = new AbortController();
    const { port } = silent.address() as AddressInfo;
    const opening = openKafkaSink({ name: 'p', brokers: [`127.0.0.1:${port}`] }, SILENT, stop.signal);
    silent.once('connection', () => stop.abort());
    // The request itself would time out only after the test.
    await expect(opening).rejects.toMatchObject({ name: 'AbortError' });
  } finally {
    silent.close();
  }
});
