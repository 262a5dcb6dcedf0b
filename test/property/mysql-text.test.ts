import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { cellDecoder } from '../../src/readers/mysql/types/decode-text.ts';
import { decoderOf } from '../../src/readers/mysql/types/charsets.ts';
import { shortestFloat } from '../../src/readers/mysql/types/float-values.ts';
import type { MysqlColumn } from '../../src/readers/mysql/types/mysql-column.ts';
import { type PacketChunk, PacketCutter } from '../../src/readers/mysql/wire/packet-cutter.ts';
import { ReadBuffer } from '../../src/readers/read-buffer.ts';

function column(dataType: string, more: Partial<MysqlColumn> = {}): MysqlColumn {
  return {
    name: 'c',
    dataType,
    columnType: dataType,
    unsigned: false,
    length: null,
    scale: null,
    fraction: null,
    charset: null,
    collation: null,
    values: null,
    nullable: true,
    default: null,
    autoIncrement: false,
    generated: null,
    comment: null,
    srid: null,
    invisible: false,
    ...more,
  };
}

function decode(of: MysqlColumn, text: string | Buffer): unknown {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  // Among other bytes, as in a packet.
  const packet = Buffer.concat([Buffer.from('9'), bytes, Buffer.from('9')]);
  return cellDecoder(of)(packet, 1, 1 + bytes.length);
}

describe('text protocol', () => {
  test('integers of 64 bits are exact', () => {
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n), (n) => {
        const value = decode(column('bigint'), String(n));
        expect(BigInt(value as number | bigint)).toBe(n);
        expect(typeof value).toBe(Number.isSafeInteger(Number(n)) ? 'number' : 'bigint');
      }),
    );
  });

  test('dates, times and their fractions', () => {
    const instants = fc.date({
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(instants, fc.integer({ min: 0, max: 999_999 }), (instant, us) => {
        const seconds = Math.floor(instant.getTime() / 1000);
        const text = new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
        const exact = BigInt(seconds) * 1_000_000n + BigInt(us);
        const datetime = decode(
          column('datetime', { fraction: 6 }),
          `${text}.${String(us).padStart(6, '0')}`,
        );
        expect(BigInt(datetime as number | bigint)).toBe(exact);
        expect(decode(column('date'), text.slice(0, 10))).toBe(Math.floor(seconds / 86_400));
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: -3_020_399_999_999, max: 3_020_399_999_999 }), (us) => {
        const size = Math.abs(us);
        const part = (n: number): string => String(n).padStart(2, '0');
        const hours = Math.floor(size / 3_600_000_000);
        const text = `${us < 0 ? '-' : ''}${part(hours)}:${part(Math.floor(size / 60_000_000) % 60)}:${part(Math.floor(size / 1_000_000) % 60)}.${String(size % 1_000_000).padStart(6, '0')}`;
        expect(decode(column('time', { fraction: 6 }), text)).toBe(us);
      }),
    );
  });

  test('a four-byte float is the shortest number that is it', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (float) => {
        const value = shortestFloat(float);
        expect(Math.fround(value)).toBe(float);
        const digits = (n: number): number =>
          String(Math.abs(n))
            .replace(/e.*|\.|^0+/g, '')
            .replace(/^0+|0+$/g, '').length;
        for (let fewer = digits(value) - 1; fewer > 0; fewer--) {
          expect(Math.fround(Number(float.toPrecision(fewer)))).not.toBe(float);
        }
        expect(decode(column('float'), Object.is(float, -0) ? '-0' : String(float))).toBe(value);
      }),
    );
  });

  test('whatever comes: a value or an error that says so', () => {
    const types = [
      'int',
      'bigint',
      'decimal',
      'float',
      'double',
      'bit',
      'date',
      'datetime',
      'time',
      'year',
      'vector',
      'point',
      'polygon',
      'json',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 40 }), (type, bytes) => {
        try {
          decode(column(type, { fraction: 3 }), Buffer.from(bytes));
        } catch (error) {
          if (!(error instanceof HeadwaterError)) throw error;
        }
      }),
    );
    const charsets = [
      'latin1',
      'swe7',
      'ucs2',
      'utf16',
      'utf32',
      'sjis',
      'big5',
      'gb18030',
      'ujis',
      'euckr',
      'utf8mb4',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...charsets), fc.uint8Array({ maxLength: 40 }), (charset, bytes) => {
        const text = decoderOf(charset)(Buffer.from(bytes), 0, bytes.length);
        expect(text.length).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});

test('packets are the same however the network cuts them', () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 });
  fc.assert(
    fc.property(payloads, fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1 }), (packets, sizes) => {
      const stream = Buffer.concat(
        packets.flatMap((payload, i) => {
          const header = Buffer.alloc(4);
          header.writeUIntLE(payload.length, 0, 3);
          header[3] = i;
          return [header, Buffer.from(payload)];
        }),
      );
      const found: string[] = [];
      const input = new ReadBuffer();
      const cutter = new PacketCutter(input, {
        packet: (buffer, start, end) => found.push(buffer.toString('hex', start, end)),
        behind: () => {},
      });
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length]!;
        input.append(stream.subarray(at, at + size));
        cutter.cut();
        at += size;
      }
      expect(found).toEqual(packets.map((payload) => Buffer.from(payload).toString('hex')));
    }),
  );
});

test('packets that are kept stay as they are until their memory is dropped, large ones of several packets too', () => {
  const packets = [300, 0xff_ffff + 5, 70_000, 200_000, 0, 2 * 0xff_ffff, 9].map((length, i) =>
    Buffer.alloc(length, 65 + i),
  );
  const input = new ReadBuffer();
  const chunks: PacketChunk[] = [];
  const take = (buffer: Buffer): void => {
    const chunk = cutter.chunk(buffer);
    if (chunk !== null) chunks.push(chunk);
  };
  const cutter: PacketCutter = new PacketCutter(input, {
    packet: (buffer, start, end) => cutter.keep(buffer, start, end),
    behind: take,
  });
  const stream = Buffer.concat(packets.flatMap(framed));
  const seen: Buffer[] = [];
  for (let at = 0; at < stream.length;) {
    const room = input.room();
    const size = Math.min(room.length, stream.length - at);
    stream.copy(room, 0, at, at + size);
    input.filled(size);
    at += size;
    cutter.cut();
    // Two reads behind, as rows that wait for their delivery are.
    while (chunks.length > 2 || (at === stream.length && chunks.length > 0)) {
      const { buffer, frames, memory } = chunks.shift()!;
      for (let i = 0; i < frames.length; i += 2)
        seen.push(Buffer.from(buffer.subarray(frames[i], frames[i + 1])));
      memory?.drop();
    }
  }
  expect(seen.map(({ length }) => length)).toEqual(packets.map(({ length }) => length));
  expect(seen.every((packet, i) => packet.equals(packets[i]!))).toBe(true);
});

/** As the client protocol cuts a payload into packets: a full one is followed by another, be it empty. */
function framed(payload: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; ; at += 0xff_ffff) {
    const part = payload.subarray(at, at + 0xff_ffff);
    const header = Buffer.alloc(4);
    header.writeUIntLE(part.length, 0, 3);
    parts.push(header, part);
    if (part.length < 0xff_ffff) return parts;
  }
}
