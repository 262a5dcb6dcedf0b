/**
 * Whoever sits at the other end of a connection may send anything. What decodes it ends with an answer or with an
 * error of its own, soon, and makes nothing larger than what came or was announced.
 *
 * Recordings that are damaged or cut off are fed to the decoders of pgoutput and of the binary log in
 * unit/pg-decode.test.ts and unit/mysql-decode.test.ts.
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { deflateSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { jsonText } from '../../src/readers/mysql/binlog/json-binary.ts';
import { inflateEvent } from '../../src/readers/mysql/binlog/mariadb-compression.ts';
import { payloadEvents } from '../../src/readers/mysql/binlog/transaction-payload.ts';
import type { MysqlConnectOptions } from '../../src/readers/mysql/wire/connect-options.ts';
import { connectMysql } from '../../src/readers/mysql/wire/connection.ts';
import {
  MysqlConnectionError,
  MysqlError,
  parseErrorPacket,
} from '../../src/readers/mysql/wire/mysql-error.ts';
import { ReadBuffer } from '../../src/readers/read-buffer.ts';
import { PacketCutter } from '../../src/readers/mysql/wire/packet-cutter.ts';
import { connectPg } from '../../src/readers/postgres/wire/connection.ts';
import { modelTable } from './snapshot-model.ts';
import { openColumn } from '../../src/readers/mysql/log-table.ts';
import type { MysqlColumn } from '../../src/readers/mysql/types/mysql-column.ts';
import { RawTextRows } from '../../src/readers/mysql/raw-text-rows.ts';
import { TextRowReader } from '../../src/readers/mysql/snapshot-rows.ts';
import { valuesOf } from '../../src/model/raw-row.ts';
import { PgConnectionError, PgError } from '../../src/readers/postgres/wire/pg-error.ts';

const TLS = { mode: 'disable', ca: null, cert: null, key: null } as const;
const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

/** The value, or the error where it is one of ours; anything else is thrown. */
function outcome<T>(decode: () => T): T | HeadwaterError {
  try {
    return decode();
  } catch (error) {
    if (error instanceof HeadwaterError && error.code === 'source.protocol') return error;
    throw error;
  }
}

/** The largest piece of memory that was asked for meanwhile. */
function largestAllocation(work: () => void): number {
  const made = (['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const).map((name) => vi.spyOn(Buffer, name));
  try {
    work();
    return Math.max(0, ...made.flatMap(({ mock }) => mock.calls.map(([size]) => size)));
  } finally {
    for (const spy of made) spy.mockRestore();
  }
}

describe('JSON of MySQL', () => {
  const container = fc
    .tuple(fc.integer({ min: 0, max: 3 }), bytes(300))
    .map(([type, rest]) => Buffer.from([type, ...rest]));
  /** Entries that mean something more often than by chance. */
  const plausible = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 120 })), { maxLength: 20 })
    .map((entries) => {
      const buffer = Buffer.alloc(5 + entries.length * 3 + 40, 1);
      buffer[0] = 2;
      buffer.writeUInt16LE(entries.length, 1);
      buffer.writeUInt16LE(buffer.length - 1, 3);
      for (const [i, [type, at]] of entries.entries()) {
        buffer[5 + i * 3] = type;
        buffer.writeUInt16LE(at, 6 + i * 3);
      }
      return buffer;
    });

  test('of any bytes is a text no longer than they allow, or refused', () => {
    fc.assert(
      fc.property(fc.oneof(bytes(300), container, plausible), (buffer) => {
        const text = outcome(() => jsonText(buffer, 0, buffer.length));
        // A double of eight bytes, or an entry of three that holds `false`, is the longest for its bytes.
        if (typeof text === 'string') expect(text.length).toBeLessThanOrEqual(24 * buffer.length + 24);
      }),
      { numRuns: 10_000 },
    );
  });

  test('whose entries share what they point to is refused, not written out a trillion times', () => {
    const depth = 40;
    const buffer = Buffer.alloc(1 + depth * 10);
    buffer[0] = 2;
    for (let level = 0; level < depth; level++) {
      const at = 1 + level * 10;
      const last = level === depth - 1;
      buffer.writeUInt16LE(2, at);
      buffer.writeUInt16LE(buffer.length - at, at + 2);
      for (const entry of [at + 4, at + 7]) {
        buffer[entry] = last ? 4 : 2;
        buffer.writeUInt16LE(last ? 1 : 10, entry + 1);
      }
    }
    expect(outcome(() => jsonText(buffer, 0, buffer.length))).toBeInstanceOf(HeadwaterError);
  });
});

describe('compressed events', () => {
  test('of any bytes are inflated up to the length they announce, or refused', () => {
    fc.assert(
      fc.property(bytes(200), (buffer) => {
        const inflated = outcome(() => inflateEvent(buffer));
        expect(inflated).toBeDefined();
      }),
      { numRuns: 5_000 },
    );
    const bomb = Buffer.concat([Buffer.from([0x82, 0, 100]), deflateSync(Buffer.alloc(50_000_000))]);
    let refused: unknown;
    const largest = largestAllocation(() => {
      refused = outcome(() => inflateEvent(bomb));
    });
    expect(refused).toBeInstanceOf(HeadwaterError);
    expect(largest).toBeLessThan(1_000_000);
  });

  const eventsIn = async (compressed: boolean, data: Buffer): Promise<number | HeadwaterError> => {
    let count = 0;
    try {
      for await (const { frames } of payloadEvents({ compressed, data })) count += frames.length / 2;
      return count;
    } catch (error) {
      if (error instanceof HeadwaterError && error.code === 'source.protocol') return error;
      throw error;
    }
  };

  test('a transaction of any bytes is cut into events, or refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), bytes(200), async (compressed, data) => {
        expect(await eventsIn(compressed, data)).toBeDefined();
      }),
      { numRuns: 1_000 },
    );
  });

  test('one large event in many pieces is put together once, and an impossible one is refused', async () => {
    const event = Buffer.alloc(64 * 1024 * 1024);
    event.writeUInt32LE(event.length, 9);
    expect(await eventsIn(true, zstdCompressSync(event))).toBe(1);
    expect(await eventsIn(true, zstdCompressSync(event.subarray(0, -1)))).toBeInstanceOf(HeadwaterError);
    event.writeUInt32LE(0xffff_ffff, 9);
    expect(await eventsIn(true, zstdCompressSync(event))).toBeInstanceOf(HeadwaterError);
  });
});

test('packets of MySQL are cut anywhere alike, and none is larger than what came', () => {
  fc.assert(
    fc.property(fc.array(bytes(60), { maxLength: 20 }), (pieces) => {
      const cut = (parts: readonly Buffer[]): string[] => {
        const packets: string[] = [];
        const input = new ReadBuffer();
        const cutter = new PacketCutter(input, {
          packet: (buffer, start, end) => packets.push(buffer.toString('hex', start, end)),
          behind: () => {},
        });
        for (const part of parts) {
          input.append(part);
          cutter.cut();
        }
        return packets;
      };
      const whole = Buffer.concat(pieces);
      expect(cut(pieces)).toEqual(cut([whole]));
      const largest = largestAllocation(() => void cut(pieces));
      // What a socket is read into, whatever lengths the packets claim.
      expect(largest).toBeLessThanOrEqual(256 * 1024);
    }),
    { numRuns: 3_000 },
  );
  fc.assert(fc.property(bytes(40), (packet) => parseErrorPacket(packet) instanceof MysqlError));
});

test('rows of MySQL of any bytes are as many cells as were asked for, or refused', () => {
  const schema = modelTable('a', true);
  const columns = schema.columns.map(({ name }): MysqlColumn => ({
    ...openColumn(name),
    dataType: 'varchar',
    charset: 'latin1',
  }));
  const rowsOf = new RawTextRows(schema.id, columns);
  const cell = fc.oneof(
    bytes(4).map((text) => Buffer.from([text.length, ...text])),
    fc.constantFrom(Buffer.from([0xfb]), Buffer.from([0xfc, 1, 0, 65]), Buffer.from([0xfd, 1, 0, 0, 65])),
    // Lengths that claim more than there is, or whose own bytes are cut off.
    fc.constantFrom(Buffer.from([0xfc, 255, 255]), Buffer.from([0xfe, 255, 255, 255]), Buffer.from([0xff])),
  );
  const row = fc.oneof(
    bytes(20),
    fc.array(cell, { maxLength: 5 }).map((cells) => Buffer.concat(cells)),
  );
  fc.assert(
    fc.property(row, (buffer) => {
      const rows = new TextRowReader({ schema, rows: rowsOf, at: { connector: 'polling' } as const });
      const found = outcome(() => {
        rows.push({ buffer, frames: [0, buffer.length] });
        const cells = rows.lastCells([0]);
        return [cells, valuesOf(rows.take(null).rows[0]!.after!)] as const;
      });
      if (found instanceof HeadwaterError) return;
      const [cells, values] = found;
      expect(cells[0]!.length).toBeLessThanOrEqual(buffer.length);
      expect(values).toHaveLength(schema.columns.length);
    }),
    { numRuns: 5_000 },
  );
});

/** A server that says this to whoever comes, and then hangs up. */
async function server(answer: (socket: Socket) => void): Promise<{ port: number } & AsyncDisposable> {
  const listening = createServer((socket) => {
    // What the client says is read, so that its end is seen.
    socket.on('error', () => {}).resume();
    answer(socket);
  });
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return {
    port: (listening.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => listening.close(() => resolve())),
  };
}

function pgMessage(type: string, body: Buffer): Buffer {
  const frame = Buffer.alloc(5 + body.length);
  frame.write(type);
  frame.writeInt32BE(4 + body.length, 1);
  body.copy(frame, 5);
  return frame;
}

const PG_READY = pgMessage('Z', Buffer.from('I'));
const PG_LOGIN = Buffer.concat([
  pgMessage('R', Buffer.alloc(4)),
  pgMessage('S', Buffer.from('server_version\x0018.1\0')),
  pgMessage('K', Buffer.alloc(8)),
  PG_READY,
]);

/** What a session that is asked for rows ends with when the server answers so. */
const askPg = (answer: Buffer): Promise<unknown> =>
  askPgServer((socket) => {
    socket.write(PG_LOGIN);
    socket.once('data', () => socket.end(answer));
  });

/** As `askPg`; `serve` is called with the client's first words. */
async function askPgServer(
  serve: (socket: Socket) => void,
  password: string | null = null,
): Promise<unknown> {
  await using hostile = await server((socket) => void socket.once('data', () => serve(socket)));
  const options = {
    hosts: [{ host: '127.0.0.1', port: hostile.port }],
    database: 'd',
    user: 'u',
    password,
    tls: TLS,
    connectTimeoutMs: 5_000,
  };
  const { signal } = new AbortController();
  try {
    await using connection = await connectPg(options, {}, signal);
    return await connection.query('SELECT', signal);
  } catch (error) {
    return error;
  }
}

const isPgAnswer = (found: unknown): boolean =>
  Array.isArray(found) || found instanceof PgError || found instanceof PgConnectionError;

describe('a server of PostgreSQL', () => {
  const message = fc
    .tuple(fc.constantFrom('D', 'T', 'C', 'E', 'N', 'S', 'G', 'H', 'd', 'Z', 'R', 'A', 'x'), bytes(40))
    .map(([type, body]) => pgMessage(type, body));

  test('that answers with anything is understood or left', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 4, arbitrary: message }, bytes(40)), { maxLength: 6 }),
        async (parts) => {
          expect(await askPg(Buffer.concat([...parts, PG_READY]))).toSatisfy(isPgAnswer);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('that logs in with anything is understood or left', async () => {
    const login = fc
      .tuple(
        fc.constantFrom('R', 'S', 'K', 'Z', 'E', 'N', 'v', 'D'),
        fc.constantFrom(0, 3, 5, 10, 11, 12, 99),
        bytes(40),
      )
      .map(([type, kind, body]) => pgMessage(type, Buffer.concat([Buffer.from([0, 0, 0, kind]), body])));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 4, arbitrary: login }, bytes(40)), { minLength: 1, maxLength: 4 }),
        async (parts) => {
          expect(await askPgServer((socket) => socket.end(Buffer.concat(parts)))).toSatisfy(isPgAnswer);
        },
      ),
      { numRuns: 200 },
    );
  });

  test.each([
    ['nothing', () => ''],
    ['no parameters', () => 'hello'],
    ['no salt', (nonce: string) => `r=${nonce}x,i=4096`],
    ['a nonce of its own', () => 'r=other,s=AAAA,i=4096'],
    ['iterations for hours', (nonce: string) => `r=${nonce}x,s=AAAA,i=2147483647`],
    ['iterations past every number', (nonce: string) => `r=${nonce}x,s=AAAA,i=99999999999999999999`],
  ])('that answers a login by SCRAM with %s is left at once', async (_what, answer) => {
    const heard: string[] = [];
    const authentication = (kind: number, text: string): Buffer =>
      pgMessage('R', Buffer.concat([Buffer.from([0, 0, 0, kind]), Buffer.from(text)]));
    const found = await askPgServer((socket) => {
      socket.write(authentication(10, 'SCRAM-SHA-256\0\0'));
      socket.on('data', (part) => {
        heard.push(part.toString('latin1'));
        socket.write(authentication(11, answer(/r=(.*)$/.exec(heard[0]!)?.[1] ?? '')));
      });
    }, 'secret');
    expect(found).toSatisfy(isPgAnswer);
    // Whoever works with the password answers with a proof.
    expect(heard).toHaveLength(1);
  });

  test.each([
    ['a row that ends before its count', pgMessage('D', Buffer.from([0]))],
    ['a row with more columns than bytes', pgMessage('D', Buffer.from([0x7f, 0xff]))],
    ['a column longer than its row', pgMessage('D', Buffer.from([0, 1, 0x7f, 0xff, 0xff, 0xff, 65]))],
    ['a frame of four gigabytes', Buffer.from([0x44, 0xff, 0xff, 0xff, 0xff])],
    ['a frame of no length', Buffer.from([0x44, 0, 0, 0, 0])],
  ])('%s breaks the session, and nothing else', async (_what, answer) => {
    expect(await askPg(Buffer.concat([answer, PG_READY]))).toMatchObject({
      name: 'PgConnectionError',
      kind: 'protocol',
    });
  });
});

describe('a server of MySQL', () => {
  const mysqlAt = (port: number): MysqlConnectOptions => ({
    hosts: [{ host: '127.0.0.1', port }],
    database: null,
    user: 'u',
    password: 'p',
    tls: TLS,
    connectTimeoutMs: 5_000,
  });
  const mysqlPacket = (sequence: number, body: Buffer): Buffer =>
    Buffer.concat([Buffer.from([body.length, 0, 0, sequence]), body]);
  /** Protocol 10, version, thread, eight bytes of a challenge, capabilities, character set, the rest of the challenge. */
  const HONEST = mysqlPacket(
    0,
    Buffer.concat([
      Buffer.from([10]),
      Buffer.from('9.0.0\0'),
      Buffer.alloc(4),
      Buffer.alloc(8, 1),
      Buffer.from([0, 0xff, 0xf7, 45, 2, 0, 0xff, 0x81, 21]),
      Buffer.alloc(10),
      Buffer.alloc(12, 1),
      Buffer.from('\0caching_sha2_password\0'),
    ]),
  );

  test('that greets rightly and says anything then is left, or taken at its word', async () => {
    // The driver warns of packets out of order.
    using _quiet = vi.spyOn(console, 'error').mockImplementation(() => {});
    const next = fc
      .tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom(0x00, 0x01, 0xfe, 0xff, 0xfb, 3), bytes(40))
      .map(([sequence, kind, body]) => mysqlPacket(sequence, Buffer.concat([Buffer.from([kind]), body])));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 4, arbitrary: next }, bytes(40)), { maxLength: 4 }),
        async (said) => {
          await using hostile = await server((socket) => {
            socket.write(HONEST);
            socket.once('data', () => socket.end(Buffer.concat(said)));
          });
          const { signal } = new AbortController();
          const found = await connectMysql(mysqlAt(hostile.port), signal).then(
            (connection) => connection.close().then(() => null),
            (error: unknown) => error,
          );
          if (found !== null) {
            expect(found).toSatisfy(
              (error) => error instanceof MysqlError || error instanceof MysqlConnectionError,
            );
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test('that greets with anything is left', async () => {
    const greeting = fc.oneof(
      bytes(100),
      // A packet of the right length, as a greeting begins.
      bytes(90).map((body) => Buffer.concat([Buffer.from([body.length + 1, 0, 0, 0, 10]), body])),
    );
    await fc.assert(
      fc.asyncProperty(greeting, async (answer) => {
        await using hostile = await server((socket) => socket.end(answer));
        const found = await connectMysql(mysqlAt(hostile.port), new AbortController().signal).catch(
          (error: unknown) => error,
        );
        expect(found).toSatisfy(
          (error) => error instanceof MysqlError || error instanceof MysqlConnectionError,
        );
      }),
      { numRuns: 200 },
    );
  });
});
