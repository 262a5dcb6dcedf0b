/**
 * Brokers, registries and clients of the HTTP interface that say anything at all: each ends with an error of its own,
 * or an answer, and the process lives. Databases are in hostile-bytes.property.test.ts.
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cluster } from '../../src/emitter/sinks/kafka/cluster.ts';
import { KafkaFault } from '../../src/emitter/sinks/kafka/errors.ts';
import { readJson } from '../../src/emitter/sinks/kafka/group-member.ts';
import { resolveKafkaOptions } from '../../src/emitter/sinks/kafka/options.ts';
import { PartitionReader } from '../../src/emitter/sinks/kafka/partition-reader.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { type HttpServer, startHttp } from '../../src/http/server.ts';
import { SILENT } from '../../src/observability/log.ts';
import { RegistryClient } from '../../src/schema/registry/registry-client.ts';
import { framed, onRequests } from '../support/kafka-frames.ts';

const SIGNAL = new AbortController().signal;
const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

describe('a broker', () => {
  const API_VERSIONS = 18;
  /** What it says it speaks: the requests that are asked below, in any version. */
  const spoken = [1, 2, 3, 10, 11].map((key) => {
    const entry = Buffer.alloc(7);
    entry.writeInt16BE(key, 0);
    entry.writeInt16BE(20, 4);
    return entry;
  });
  const honest = Buffer.concat([
    Buffer.from([0, 0, spoken.length + 1]),
    ...spoken,
    Buffer.from([0, 0, 0, 0, 0]),
  ]);

  interface Said {
    /** Answers to requests, one after the other; the last one again. */
    readonly bodies: readonly Buffer[];
    readonly honestFirst: boolean;
    /** Sent without being asked, or in place of a frame. */
    readonly noise: Buffer | null;
  }

  const said: fc.Arbitrary<Said> = fc.record({
    bodies: fc.array(
      fc.oneof(
        bytes(80),
        // Counts of what follows that are as large as can be.
        bytes(20).map((tail) => Buffer.concat([Buffer.from([0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]), tail])),
        bytes(20).map((tail) =>
          Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]), tail]),
        ),
      ),
      { minLength: 1, maxLength: 4 },
    ),
    honestFirst: fc.boolean(),
    noise: fc.option(bytes(30)),
  });

  function answerLike({ bodies, honestFirst, noise }: Said, socket: Socket): void {
    let at = 0;
    onRequests(socket, (request) => {
      const body =
        honestFirst && request.readInt16BE(0) === API_VERSIONS
          ? honest
          : bodies[Math.min(at++, bodies.length - 1)]!;
      socket.write(noise !== null && at > 1 ? noise : framed(request, body));
      // What is not understood, and asks for more than there is, waits for this.
      if (at >= bodies.length) socket.end();
    });
  }

  test('that answers with anything is understood or left', async () => {
    await fc.assert(
      fc.asyncProperty(said, async (answers) => {
        const listening = createServer((socket) => answerLike(answers, socket));
        listening.listen(0, '127.0.0.1');
        await once(listening, 'listening');
        const { port } = listening.address() as AddressInfo;
        const options = {
          name: 'p',
          brokers: [`127.0.0.1:${port}`],
          connectTimeoutMs: 5_000,
          requestTimeoutMs: 5_000,
        };
        const cluster = new Cluster(resolveKafkaOptions(options));
        try {
          const asking: readonly (() => Promise<unknown>)[] = [
            () => cluster.metadata(['t']),
            () => cluster.coordinator('group', 'g'),
            () =>
              new PartitionReader({ cluster, topic: 't', partition: 0, position: 0, committed: true }).poll(
                0,
              ),
          ];
          for (const ask of asking) {
            const outcome = await ask().then(
              () => null,
              (error: unknown) => error,
            );
            if (outcome !== null) expect(outcome).toBeInstanceOf(KafkaFault);
          }
        } finally {
          await cluster[Symbol.asyncDispose]();
          listening.close();
        }
      }),
      { numRuns: 150 },
    );
  });

  test.each([0, 1, 2, 3, -1, 0x7fff_ffff])('that sends a frame of %i bytes is left', async (size) => {
    const listening = createServer((socket) => {
      socket.on('error', () => {});
      const frame = Buffer.alloc(16);
      frame.writeInt32BE(size, 0);
      socket.once('data', () => socket.end(frame.subarray(0, 4 + Math.min(12, Math.max(1, size)))));
    });
    listening.listen(0, '127.0.0.1');
    await once(listening, 'listening');
    const { port } = listening.address() as AddressInfo;
    await using cluster = new Cluster(
      resolveKafkaOptions({ name: 'p', brokers: [`127.0.0.1:${port}`], requestTimeoutMs: 5_000 }),
    );
    await expect(cluster.metadata(['t'])).rejects.toBeInstanceOf(KafkaFault);
    listening.close();
  });

  test('what members of a group say of themselves is JSON or nothing', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          bytes(60),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (said) => {
          expect(() => readJson(said)).not.toThrow();
        },
      ),
    );
  });
});

describe('a registry', () => {
  const body = fc.oneof(
    fc.json(),
    fc.string(),
    bytes(60).map((buffer) => buffer.toString('latin1')),
    fc
      .record(
        {
          id: fc.oneof(fc.integer(), fc.string(), fc.constant(null)),
          version: fc.oneof(fc.integer(), fc.double(), fc.constant(null)),
          schema: fc.oneof(fc.string(), fc.json(), fc.constant(null)),
          schemaType: fc.oneof(fc.constantFrom('AVRO', 'JSON', 'PROTOBUF'), fc.string()),
          references: fc.oneof(fc.constant(null), fc.array(fc.object())),
        },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
  );
  const status = fc.constantFrom(200, 201, 204, 301, 400, 404, 409, 418, 422);

  test('that answers with anything is understood or refused with an error that says so', async () => {
    let answer: { readonly status: number; readonly body: string } = { status: 200, body: '' };
    const listening = createHttpServer((request, response) => {
      request.resume();
      response.writeHead(answer.status).end(answer.status === 204 ? undefined : answer.body);
    });
    listening.listen(0, '127.0.0.1');
    await once(listening, 'listening');
    const { port } = listening.address() as AddressInfo;
    const registry = new RegistryClient(
      {
        urls: [`http://127.0.0.1:${port}`],
        auth: { kind: 'none' },
        tls: { mode: 'verify-full' },
        requestTimeoutMs: 5_000,
        patienceMs: 0,
      },
      SILENT,
    );
    try {
      await fc.assert(
        fc.asyncProperty(status, body, async (code, text) => {
          answer = { status: code, body: text };
          const schema = { type: 'AVRO', text: '"string"', references: [] } as const;
          const asking: readonly (() => Promise<unknown>)[] = [
            () => registry.register('s', schema, SIGNAL),
            () => registry.latest('s', SIGNAL),
            () => registry.byId(1, SIGNAL),
            () => registry.version('s', 1, SIGNAL),
          ];
          for (const ask of asking) {
            const outcome = await ask().then(
              () => null,
              (error: unknown) => error,
            );
            if (outcome === null) continue;
            expect(outcome).toBeInstanceOf(HeadwaterError);
            expect((outcome as HeadwaterError).code).not.toBe('internal.bug');
          }
        }),
        { numRuns: 300 },
      );
    } finally {
      listening.closeAllConnections();
      listening.close();
    }
  });
});

describe('a client of the HTTP interface', () => {
  let server: HttpServer;
  beforeAll(async () => {
    server = await startHttp({
      listen: { host: '127.0.0.1', port: 0 },
      token: null,
      version: '1.2.3',
      status: () => [],
      administration: {
        carryOut: (pipeline, { action }) => Promise.resolve({ pipeline, action, tables: [] }),
        reload: () => Promise.resolve({ started: [], changed: [], stopped: [], atRestart: [] }),
      },
      log: SILENT,
    });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const path = fc.oneof(
    fc.constantFrom('/', '/status', '/metrics?tables=-1', '/admin/reload', '/admin/pipelines/a/snapshot'),
    fc.string({ maxLength: 30 }).map((text) => `/${text}`),
    fc.constantFrom(
      '/%',
      '/%ff',
      '/../../etc/passwd',
      '/page/..%2f..%2fpackage.json',
      '/healthz?verbose=1&verbose=2',
    ),
  );
  const request = fc
    .record({
      method: fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'PATCH', 'X'),
      path,
      headers: fc.array(
        fc.constantFrom(
          'Content-Type: application/json',
          'Content-Length: 99999999999',
          'Content-Length: -1',
          'Transfer-Encoding: chunked',
          'Authorization: Bearer',
          'Authorization: Basic !!!!',
          'Host: [::',
          'Expect: 100-continue',
          'Upgrade: h2c',
        ),
        { maxLength: 4 },
      ),
      body: fc.oneof(
        bytes(60),
        fc.json().map((text) => Buffer.from(text)),
      ),
    })
    .map(({ method, path, headers, body }) =>
      Buffer.concat([
        Buffer.from(
          `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${headers.join('\r\n')}${headers.length > 0 ? '\r\n' : ''}\r\n`,
        ),
        body,
      ]),
    );

  test('that sends anything is answered or hung up on, never with a fault of ours, and others are served', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(request, bytes(200)), async (sent) => {
        const socket = connect(server.port, '127.0.0.1');
        socket.on('error', () => {});
        let text = '';
        socket.on('data', (part) => (text += part.toString('latin1')));
        socket.end(sent);
        await once(socket, 'close');
        // 503 is what the health of no pipeline is.
        expect(text).not.toMatch(/^HTTP\/1\.1 5(?!0[35])/);
        expect(text).not.toContain('root:');
      }),
      { numRuns: 300 },
    );
    expect((await fetch(`http://127.0.0.1:${server.port}/livez`)).status).toBe(200);
  });
});
