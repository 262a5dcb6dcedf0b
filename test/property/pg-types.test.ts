import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { decimalBase64 } from '../../src/emitter/encoders/decimal-bytes.ts';
import { isoDate, isoTimestamp } from '../../src/emitter/encoders/iso-time.ts';
import { quote } from '../../src/emitter/encoders/json-text.ts';
import { arrayDecoder } from '../../src/readers/postgres/types/decode-array.ts';
import { decodeBits, decodeBytea } from '../../src/readers/postgres/types/decode-binary.ts';
import { decodeHstore } from '../../src/readers/postgres/types/decode-hstore.ts';
import { decodeInt64 } from '../../src/readers/postgres/types/decode-scalar.ts';
import {
  decodeDate,
  decodeTimestamp,
  decodeTimestamptz,
} from '../../src/readers/postgres/types/decode-temporal.ts';
import { TEXT_DECODERS } from '../support/text-decoders.ts';

test('every int8 reads as itself', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      (n) => BigInt(decodeInt64(String(n))) === n,
    ),
  );
});

test('a decimal is its unscaled value in the fewest bytes of two’s complement', () => {
  const digits = fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n });
  fc.assert(
    fc.property(
      fc.oneof(digits, fc.bigInt({ min: -70_000n, max: 70_000n })),
      fc.nat(12),
      (unscaled, scale) => {
        const bytes = Buffer.from(decimalBase64(decimalText(unscaled, scale), scale), 'base64');
        const value = BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`));
        const shorter = bytes.length > 1 && BigInt.asIntN((bytes.length - 1) * 8, unscaled) === unscaled;
        return value === unscaled && !shorter;
      },
    ),
  );
});

test('dates and timestamps come back as they were, in every year PostgreSQL knows', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -2_440_588, max: 106_751_991 }),
      (days) => decodeDate(serverDate(days)) === days,
    ),
  );
  fc.assert(
    fc.property(fc.bigInt({ min: -210_866_803_200_000_000n, max: 9_224_318_015_999_999_999n }), (us) => {
      const perDay = 86_400_000_000n;
      const time = ((us % perDay) + perDay) % perDay;
      const [date, era] = serverDate(Number((us - time) / perDay)).split(' ');
      const clock = isoTimestamp(time, 6).slice(11, -1);
      const suffix = era === undefined ? '' : ` ${era}`;
      return (
        BigInt(decodeTimestamp(`${date} ${clock}${suffix}`)) === us &&
        BigInt(decodeTimestamptz(`${date} ${clock}+00${suffix}`)) === us
      );
    }),
  );
});

test('dates agree with JavaScript’s', () => {
  fc.assert(
    fc.property(fc.integer({ min: -100_000_000, max: 100_000_000 }), (days) => {
      const theirs = new Date(days * 86_400_000).toISOString().split('T')[0]!;
      // JavaScript writes six digits where java.time, and we, write as few as it takes.
      return (
        isoDate(days) ===
        theirs.replace(/^([+-])0*(\d{4,})-/, (_, sign: string, year: string) => `${sign}${year}-`)
      );
    }),
  );
});

test('arrays of any nesting and text come back', () => {
  const element = fc.option(fc.string({ unit: 'grapheme' }), { nil: null });
  const rows = fc
    .integer({ min: 1, max: 3 })
    .chain((width) => fc.array(fc.array(element, { minLength: width, maxLength: width }), { minLength: 1 }));
  const decode = arrayDecoder((text) => text, ',');
  fc.assert(
    fc.property(fc.array(element), (values) => {
      expect(decode(arrayText(values))).toEqual(values);
    }),
  );
  fc.assert(
    fc.property(rows, (values) => {
      expect(decode(arrayText(values))).toEqual(values);
    }),
  );
});

test('bytes and bits come back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect([...decodeBytea(`\\x${Buffer.from(bytes).toString('hex')}`)]).toEqual([...bytes]);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.boolean()), (bits) => {
      const bytes = decodeBits(bits.map(Number).join(''));
      return bits.toReversed().every((bit, i) => ((bytes[i >>> 3]! >>> (i & 7)) & 1) === Number(bit));
    }),
  );
});

test('hstore keeps every pair', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.option(fc.string(), { nil: null })), (pairs) => {
      const escape = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
      const text = Object.entries(pairs)
        .map(([k, v]) => `${escape(k)}=>${v === null ? 'NULL' : escape(v)}`)
        .join(', ');
      expect(JSON.parse(decodeHstore(text))).toEqual({ ...pairs });
    }),
  );
});

test('a quoted string is JSON of the same text', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => JSON.parse(quote(text)) === text));
});

test('no decoder does anything with noise but read it or refuse it', () => {
  const samples = [
    '2024-02-29 13:51:30.123456+00',
    '{{1,2},{3,NULL}}',
    '"a"=>"1", "b"=>NULL',
    '1 year 2 mons -04:05:06',
    '\\x00ff',
    '(1,2)',
    '-1,234.11',
  ];
  const truncated = fc
    .tuple(fc.constantFrom(...samples), fc.nat(30))
    .map(([text, length]) => text.slice(0, length));
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(TEXT_DECODERS)),
      fc.oneof(fc.string(), truncated),
      (decode, text) => {
        try {
          decode(text);
          return true;
        } catch (error) {
          return error instanceof HeadwaterError && error.code === 'source.value-unreadable';
        }
      },
    ),
    { numRuns: 5000 },
  );
});

function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const sign = unscaled < 0n ? '-' : '';
  return scale === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** As PostgreSQL prints it: years before 1 count backwards from 1 BC. */
function serverDate(days: number): string {
  const [, sign, year, rest] = /^([+-]?)(\d+)(-.*)$/.exec(isoDate(days))!;
  const astronomical = Number(year) * (sign === '-' ? -1 : 1);
  return astronomical > 0
    ? `${String(astronomical).padStart(4, '0')}${rest}`
    : `${String(1 - astronomical).padStart(4, '0')}${rest} BC`;
}

function arrayText(values: readonly (string | null | readonly (string | null)[])[]): string {
  const texts = values.map((value) => {
    if (value === null) return 'NULL';
    if (typeof value !== 'string') return arrayText(value);
    return `"${value.replaceAll(/["\\]/g, '\\$&')}"`;
  });
  return `{${texts.join(',')}}`;
}
