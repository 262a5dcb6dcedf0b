/** The real driver's errors: a listener that refuses, hangs and cuts. Nothing of Oracle's is needed. */
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
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
async function listen(answer: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
  listener = server;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
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
