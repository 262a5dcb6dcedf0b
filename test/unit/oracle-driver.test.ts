/** The real driver's errors: a listener that refuses, hangs and cuts. Nothing of Oracle's is needed. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Certificates, makeCertificates } from '../../src/local-servers/certificates.ts';
import { FirstConnection } from '../../src/readers/oracle/session/first-connection.ts';
import { classify } from '../../src/readers/oracle/errors.ts';
import { SILENT } from '../../src/observability/log.ts';
import { UnknownErrors } from '../../src/readers/oracle/mining/recovery.ts';
import { createOracleReader } from '../../src/readers/oracle/reader.ts';
import {
  connectByDriver,
  type OracleConnectOptions,
} from '../../src/readers/oracle/session/driver-session.ts';
import { OracleError } from '../../src/readers/oracle/session/oracle-session.ts';
import { Harness, serverWith } from '../support/oracle/harness.ts';

const never = new AbortController().signal;
let listener: Server | null = null;
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  const closing = listener;
  listener = null;
  if (closing !== null) await new Promise((resolve) => closing.close(resolve));
});

/** Listens, and does `answer` when a client has sent its first packet. */
async function listen(answer: (socket: Socket, first: Buffer) => void): Promise<number> {
  return opened(
    createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('data', (first: Buffer) => answer(socket, first));
    }),
  );
}

async function opened(server: Server, host = '127.0.0.1'): Promise<number> {
  listener = server;
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A REFUSE packet of Oracle Net: header of 8 bytes, reasons, length of the text, the text. */
function refusal(code: number): Buffer {
  const text = Buffer.from(
    `(DESCRIPTION=(TMP=)(VSNNUM=301989888)(ERR=${code})(ERROR_STACK=(ERROR=(CODE=${code})(EMFI=4))))`,
  );
  const packet = Buffer.alloc(12 + text.length);
  packet.writeUInt16BE(packet.length, 0);
  packet[4] = 4;
  packet[8] = 1;
  packet.writeUInt16BE(text.length, 10);
  text.copy(packet, 12);
  return packet;
}

/** An ACCEPT packet of Oracle Net: protocol version 318, large data units, no native services. */
const ACCEPTANCE = ((): Buffer => {
  const packet = Buffer.alloc(45);
  packet.writeUInt16BE(packet.length, 0);
  packet[4] = 2;
  packet.writeUInt16BE(318, 8);
  packet[23] = 8;
  packet.writeUInt32BE(8192, 32);
  packet.writeUInt32BE(65_535, 36);
  return packet;
})();

function options(port: number, more: Partial<OracleConnectOptions> = {}): OracleConnectOptions {
  return {
    hosts: [{ host: '127.0.0.1', port }],
    service: 'orclpdb',
    user: 'c##cdc',
    password: 'secret',
    tls: null,
    connectTimeoutMs: 1_000,
    queryTimeoutMs: 60_000,
    ...more,
  };
}

async function failure(connect: OracleConnectOptions): Promise<OracleError> {
  try {
    await (await connectByDriver(connect)('utility', never))[Symbol.asyncDispose]();
    throw new Error('connected');
  } catch (error) {
    expect(error).toBeInstanceOf(OracleError);
    return error as OracleError;
  }
}

describe('the driver’s errors', () => {
  test.each([
    [12514, 518, 'source.unreachable'],
    [12505, 519, 'source.unreachable'],
    [12516, 511, 'source.too-many-connections'],
    [12528, 511, 'source.unreachable'],
    [12519, 511, 'source.too-many-connections'],
  ])('the listener refuses with ORA-%i', async (ora, njs, code) => {
    const port = await listen((socket) => socket.end(refusal(ora)));
    const error = await failure(options(port));
    expect(error.njs).toContain(njs);
    expect(classify(error)).toMatchObject({ class: 'reconnect', code });
  });

  test('the listener cuts the connection', async () => {
    const port = await listen((socket) => socket.destroy());
    expect(classify(await failure(options(port)))).toMatchObject({
      class: 'reconnect',
      code: 'source.connection-lost',
    });
  });

  test('the listener says nothing', async () => {
    const port = await listen(() => undefined);
    expect(classify(await failure(options(port)))).toMatchObject({
      class: 'reconnect',
      code: 'source.unreachable',
    });
  });

  test.each<[string, (socket: Socket) => void, string]>([
    [
      'is cut off within its answer',
      (socket) => socket.end(refusal(12514).subarray(0, 30)),
      'source.connection-lost',
    ],
    [
      'hangs within its answer',
      (socket) => socket.write(refusal(12514).subarray(0, 30)),
      'source.unreachable',
    ],
    ['resets the connection', (socket) => socket.resetAndDestroy(), 'source.connection-lost'],
    ['accepts, and cuts the connection', (socket) => socket.end(ACCEPTANCE), 'source.connection-lost'],
    ['accepts, and says nothing more', (socket) => socket.write(ACCEPTANCE), 'source.unreachable'],
  ])('the listener %s', async (_, answer, code) => {
    const port = await listen(answer);
    expect(classify(await failure(options(port)))).toMatchObject({ class: 'reconnect', code });
  });

  test('the attempt is given up while the server is silent', async () => {
    const stop = new AbortController();
    const port = await listen((socket) => {
      socket.write(ACCEPTANCE);
      stop.abort(new Error('stopped'));
    });
    await expect(connectByDriver(options(port))('utility', stop.signal)).rejects.toThrow('stopped');
  });

  test('the attempt is given up while the driver is loaded: what comes of it is nobody’s', async () => {
    const stop = new AbortController();
    const refused = Promise.withResolvers<void>();
    const port = await listen((socket) => {
      socket.once('close', refused.resolve);
      socket.end(refusal(12514));
    });
    const connecting = connectByDriver(options(port))('utility', stop.signal);
    stop.abort(new Error('stopped'));
    await expect(connecting).rejects.toThrow('stopped');
    await refused.promise;
  });

  test('an attempt that nobody wants any more is not begun', async () => {
    let asked = false;
    const port = await listen(() => (asked = true));
    const stopped = AbortSignal.abort(new Error('stopped'));
    await expect(connectByDriver(options(port))('utility', stopped)).rejects.toThrow('stopped');
    expect(asked).toBe(false);
  });

  test.each<[string, (port: number) => string | undefined, string]>([
    ['the settings', () => undefined, 'orclpdb'],
    ['another address', (port) => `127.0.0.1:${port}`, 'orclpdb'],
    ['another address with a service', (port) => `127.0.0.1:${port}/instance2`, 'instance2'],
  ])('%s: the listener is asked for the service', async (_, addressOf, service) => {
    let asked = '';
    const port = await listen((socket, first) => {
      const refuse = (data: Buffer): void => {
        asked += data.toString('latin1');
        if (asked.includes('CONNECT_DATA')) socket.end(refusal(12514));
      };
      socket.on('data', refuse);
      refuse(first);
    });
    // A password is not asked for before the listener has answered.
    const connect = connectByDriver(options(addressOf(port) === undefined ? port : 1, { password: null }));
    await expect(connect('flush', never, addressOf(port))).rejects.toMatchObject({ njs: [518] });
    expect(asked).toContain(`(SERVICE_NAME=${service})`);
    expect(asked).toContain('(PROTOCOL=tcp)');
  });

  test('an IPv6 address is one, and not a host with many ports', async () => {
    const error = await failure(options(1, { hosts: [{ host: '::1', port: 1 }] }));
    expect(error.njs).toEqual([503]);
  });

  test('somebody else listens: no error of ours is unknown, and none is a crash', async () => {
    for (const said of ['HTTP/1.1 400 Bad Request\r\n\r\n', '\0'.repeat(64), 'x'.repeat(70_000)]) {
      const port = await listen((socket) => socket.end(said));
      const error = await failure(options(port));
      expect(error.message, JSON.stringify(said.slice(0, 20))).toMatch(/^(ORA|NJS)-\d+/);
      const closing = listener!;
      listener = null;
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => closing.close(resolve));
    }
  });

  test('nobody listens', async () => {
    const port = await listen(() => undefined);
    const closing = listener!;
    listener = null;
    await new Promise((resolve) => closing.close(resolve));
    expect(classify(await failure(options(port)))).toMatchObject({
      class: 'reconnect',
      code: 'source.unreachable',
    });
  });

  test('a host that does not exist', async () => {
    const error = await failure(options(1521, { hosts: [{ host: 'no-such-host.invalid', port: 1521 }] }));
    expect(classify(error)).toMatchObject({ class: 'reconnect', code: 'source.unreachable' });
  });

  test('of several hosts the next is tried', async () => {
    const port = await listen((socket) => socket.end(refusal(12514)));
    const hosts = [
      { host: '127.0.0.1', port: 1 },
      { host: '127.0.0.1', port },
    ];
    expect((await failure(options(1, { hosts }))).njs).toContain(518);
  });

  describe('TLS', () => {
    let directory = '';
    let files: Certificates;
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'headwater-oracle-tls-'));
      files = await makeCertificates(directory);
    });
    afterAll(() => rm(directory, { recursive: true, force: true }));

    const pem = (file: string): Promise<string> => readFile(file, 'utf8');

    /** Who shows a certificate that is for localhost and 127.0.0.1; whether the client has shown one. */
    async function listenSecurely(
      host?: string,
    ): Promise<{ readonly port: number; readonly known: () => boolean }> {
      let known = false;
      const [key, cert, ca] = await Promise.all([files.serverKey, files.serverCert, files.ca].map(pem));
      const server = createTlsServer({ key, cert, ca, requestCert: true, rejectUnauthorized: false });
      server.on('secureConnection', (socket) => {
        known = socket.authorized;
        sockets.add(socket);
        socket.on('error', () => undefined);
        socket.once('data', () => socket.end(refusal(12514)));
      });
      server.on('tlsClientError', () => undefined);
      return { port: await opened(server, host), known: () => known };
    }

    test('the server is known by the authority, and the client by its certificate', async () => {
      const { port, known } = await listenSecurely();
      const [ca, cert, key] = await Promise.all([files.ca, files.clientCert, files.clientKey].map(pem));
      const tls = { matchName: true, ca: ca!, cert: cert!, key: key! };
      expect((await failure(options(port, { tls }))).njs).toContain(518);
      expect(known()).toBe(true);
    });

    // Other systems have one address to themselves only.
    test.runIf(process.platform === 'linux')('a name that the certificate does not have', async () => {
      const { port } = await listenSecurely('127.0.0.2');
      const hosts = [{ host: '127.0.0.2', port }];
      const tls = { matchName: false, ca: await pem(files.ca), cert: null, key: null };
      expect((await failure(options(port, { hosts, tls }))).njs).toContain(518);
      const named = { ...tls, matchName: true };
      expect(classify(await failure(options(port, { hosts, tls: named })))).toMatchObject({
        code: 'source.tls-failed',
      });
    });

    test('an authority that nobody has named is not trusted', async () => {
      const { port } = await listenSecurely();
      const tls = { matchName: false, ca: null, cert: null, key: null };
      expect(classify(await failure(options(port, { tls })))).toMatchObject({ code: 'source.tls-failed' });
    });
  });

  test('TLS with somebody who does not speak it', async () => {
    const port = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const tls = { matchName: true, ca: null, cert: null, key: null };
    const entry = classify(await failure(options(port, { tls })));
    expect(['reconnect', 'fatal']).toContain(entry.class);
    expect(entry.code).not.toBe('source.query-failed');
  });

  test('a message of the server’s does not get into ours', async () => {
    const port = await listen((socket) => socket.end(refusal(12514)));
    const error = await failure(options(port));
    expect(error.message).not.toContain('secret');
    expect(error.message).toMatch(/^(ORA-\d{5}|NJS-\d{3})(, (ORA-\d{5}|NJS-\d{3}))*$/);
  });

  test('doctor says what to do', async () => {
    const port = await listen((socket) => socket.end(refusal(12514)));
    const harness = new Harness(serverWith({}));
    await using reader = createOracleReader(harness.options, {
      connect: connectByDriver(options(port)),
      unknownErrors: new UnknownErrors(),
      firstConnection: new FirstConnection(),
      log: SILENT,
    });
    const findings = await reader.preflight(never);
    expect(findings).toEqual([
      expect.objectContaining({
        check: 'connection',
        level: 'error',
        code: 'source.unreachable',
        message: 'Checking the scripted server failed: the listener does not know the service (NJS-518).',
        fix: expect.stringContaining('lsnrctl services') as string,
      }),
    ]);
    await harness.close();
  });
});

describe('what the driver says, taken apart', () => {
  test.each<[string, number | undefined, Partial<OracleError>, string]>([
    [
      'NJS-500: connection to the Oracle Database was closed\nORA-03113: end-of-file',
      3113,
      { ora: [3113], njs: [500] },
      'reconnect',
    ],
    [
      'ORA-00604: error at recursive SQL level 1\nORA-01555: snapshot too old',
      604,
      { ora: [604, 1555] },
      'passing',
    ],
    [
      "ORA-06550: line 1, column 7:\nPLS-00201: identifier 'SYS.DBMS_LOGMNR' must be declared",
      6550,
      { pls: [201] },
      'fatal',
    ],
    [
      'NJS-500: x\nORA-00600: internal error code, arguments: [krvrdccs10], [a]',
      600,
      { internal: 'krvrdccs10' },
      'reconnect',
    ],
    ['ORA-7445: exception encountered: core dump [kghalo]', 7445, { internal: 'kghalo' }, 'unknown'],
    ['ORA-00001: unique constraint violated', 1, { ora: [1] }, 'unknown'],
    ['something without a number', undefined, { ora: [], njs: [] }, 'unknown'],
    ['NJS-123: call timeout of 1000 ms exceeded', undefined, { njs: [123] }, 'timeout'],
    [
      'ORA-12660: Encryption or crypto-checksumming parameters incompatible',
      12660,
      { ora: [12660] },
      'fatal',
    ],
  ])('%s', (text, number, parts, kind) => {
    const error = new OracleError(text, number);
    expect(error).toMatchObject(parts);
    expect(classify(error).class).toBe(kind);
  });
});
