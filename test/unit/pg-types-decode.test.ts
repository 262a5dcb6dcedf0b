import { describe, expect, test } from 'vitest';
import {
  decodeBit,
  decodeBits,
  decodeBytea,
  decodeEwkb,
  decodePoint,
  decodeVector,
} from '../../src/readers/postgres/types/decode-binary.ts';
import { arrayDecoder } from '../../src/readers/postgres/types/decode-array.ts';
import { decodeHstore } from '../../src/readers/postgres/types/decode-hstore.ts';
import {
  decodeFloat,
  decodeInt,
  decodeInt64,
  decodeMoney,
} from '../../src/readers/postgres/types/decode-scalar.ts';
import {
  decodeDate,
  decodeInterval,
  decodeTime,
  decodeTimestamp,
  decodeTimestamptz,
} from '../../src/readers/postgres/types/decode-temporal.ts';
import { TEXT_DECODERS } from '../support/text-decoders.ts';

describe('numbers', () => {
  test.each([
    ['0', 0],
    ['-1', -1],
    ['32767', 32_767],
    ['-2147483648', -2_147_483_648],
    ['999999999999999', 999_999_999_999_999],
  ])('int %s', (text, value) => expect(decodeInt64(text)).toBe(value));

  test('int8 is a bigint only where a double would round it', () => {
    expect(decodeInt64('9007199254740991')).toBe(9_007_199_254_740_991);
    expect(decodeInt64('9007199254740993')).toBe(9_007_199_254_740_993n);
    expect(decodeInt64('-9223372036854775808')).toBe(-9_223_372_036_854_775_808n);
  });

  test('floats, with what JSON has no number for', () => {
    expect(decodeFloat('NaN')).toBeNaN();
    expect(decodeFloat('-Infinity')).toBe(-Infinity);
    expect(Object.is(decodeFloat('-0'), -0)).toBe(true);
    expect(decodeFloat('5e-324')).toBe(5e-324);
  });

  test.each([
    ['$1,234.11', '1234.11'],
    ['-$1,234.11', '-1234.11'],
    ['($0.05)', '-0.05'],
    ['1.234,11 €', '1234.11'],
    ['¥1,234', '1234.00'],
    ['-$92,233,720,368,547,758.08', '-92233720368547758.08'],
  ])('money %s', (text, value) => expect(decodeMoney(text)).toBe(value));
});

describe('dates and times', () => {
  test.each([
    ['1970-01-01', 0],
    ['2024-02-29', 19_782],
    ['0001-01-01', -719_162],
    ['0001-12-31 BC', -719_163],
    ['12345-06-07', 3_789_548],
    ['infinity', Infinity],
    ['-infinity', -Infinity],
  ])('date %s', (text, value) => expect(decodeDate(text)).toBe(value));

  test.each([
    ['1970-01-01 00:00:00', 0],
    ['1969-12-31 23:59:59.999999', -1],
    ['2016-11-04 13:51:30.123456', 1_478_267_490_123_456],
    ['2016-11-04 13:51:30.1', 1_478_267_490_100_000],
    ['21016-11-04 13:51:30.123456', 601_060_312_290_123_456n],
    ['4713-12-31 23:59:59.999999 BC', -210_831_897_600_000_001n],
    ['0044-03-15 12:00:00 BC', -63_517_780_800_000_000n],
    ['infinity', Infinity],
  ])('timestamp %s', (text, value) => expect(decodeTimestamp(text)).toBe(value));

  test.each([
    ['2016-11-04 11:51:30.123456+00', 1_478_267_490_123_456 - 7_200_000_000],
    ['2016-11-04 13:51:30.123456+02', 1_478_267_490_123_456 - 7_200_000_000],
    ['2016-11-04 08:21:30.123456-03:30', 1_478_267_490_123_456 - 7_200_000_000],
    ['1850-01-01 00:19:32+00:19:32', -3_786_825_600_000_000],
    ['-infinity', -Infinity],
  ])('timestamptz %s', (text, value) => expect(decodeTimestamptz(text)).toBe(value));

  test('the end of a day is a time', () => {
    expect(decodeTime('24:00:00')).toBe(86_400_000_000);
    expect(decodeTime('00:00:00.000001')).toBe(1);
  });

  test.each([
    ['1 year 2 mons 3 days 04:05:06.78', [14, 3, 14_706_780_000]],
    ['-1 years +2 days -04:05:06.5', [-12, 2, -14_706_500_000]],
    ['-00:00:00.5', [0, 0, -500_000]],
    ['1 day', [0, 1, 0]],
    ['00:00:00', [0, 0, 0]],
    ['2562047788:00:54.775807', [0, 0, 9_223_372_036_854_775_807n]],
    ['infinity', [Infinity, 0, 0]],
  ])('interval %s', (text, value) => expect(decodeInterval(text)).toEqual(value));
});

describe('bytes', () => {
  test('bytea in hex and in the old escapes', () => {
    expect([...decodeBytea('\\x00ff10')]).toEqual([0, 255, 16]);
    expect([...decodeBytea('\\x')]).toEqual([]);
    expect([...decodeBytea('a\\\\b\\000\\377')]).toEqual([97, 92, 98, 0, 255]);
  });

  test('bits are little-endian, the last one first', () => {
    expect([...decodeBits('101')]).toEqual([5]);
    expect([...decodeBits('111011010001000110000001000000001')]).toEqual([1, 2, 0x23, 0xda, 1]);
    expect([...decodeBits('00')]).toEqual([0]);
    expect(decodeBit('1')).toBe(true);
  });

  test('EWKB with and without SRID, in both byte orders', () => {
    const point = '0101000000000000000000F03F0000000000000040';
    expect(decodeEwkb(point)[1]).toBeNull();
    expect(decodeEwkb('0101000020E6100000000000000000F03F0000000000000040')[1]).toBe(4326);
    expect(decodeEwkb('0020000001000010E63FF00000000000004000000000000000')[1]).toBe(4326);
  });

  test('points and vectors', () => {
    expect(decodePoint('(1.5,-2)')).toEqual([1.5, -2]);
    expect(decodePoint('(1e+300,NaN)')).toEqual([1e300, NaN]);
    expect(decodeVector('[1,2.5,-3e-05]')).toEqual([1, 2.5, -3e-5]);
  });
});

describe('arrays', () => {
  const texts = arrayDecoder((text) => text, ',');
  const ints = arrayDecoder(decodeInt, ',');
  test.each([
    ['{}', []],
    ['{1,NULL,3}', [1, null, 3]],
    [
      '{{1,2},{3,NULL}}',
      [
        [1, 2],
        [3, null],
      ],
    ],
    ['[0:1]={5,6}', [5, 6]],
    [
      '[-1:0][2:3]={{1,2},{3,4}}',
      [
        [1, 2],
        [3, 4],
      ],
    ],
  ])('%s', (text, value) => expect(ints(text)).toEqual(value));

  test('quotes, escapes, and the word NULL as text', () => {
    expect(texts('{a,"NULL",NULL,"q\\"u","b\\\\s",""," sp ","a,b","{c}"}')).toEqual([
      'a',
      'NULL',
      null,
      'q"u',
      'b\\s',
      '',
      ' sp ',
      'a,b',
      '{c}',
    ]);
  });

  test('box arrays are separated by semicolons', () => {
    expect(arrayDecoder((text) => text, ';')('{(3,4),(1,2);(7,8),(5,6)}')).toEqual([
      '(3,4),(1,2)',
      '(7,8),(5,6)',
    ]);
  });
});

describe('hstore', () => {
  test('in the order a java.util.HashMap gives', () => {
    expect(decodeHstore('"key4"=>"val4", "key5"=>NULL')).toBe('{"key5":null,"key4":"val4"}');
    expect(decodeHstore('"key 2"=>" ##123 78", "key_#1"=>"val 1"')).toBe(
      '{"key_#1":"val 1","key 2":" ##123 78"}',
    );
  });

  test('quotes and backslashes in keys and values', () => {
    expect(JSON.parse(decodeHstore('"q\\"u"=>"x\\\\y", ""=>"=>, "'))).toEqual({ 'q"u': 'x\\y', '': '=>, ' });
    expect(decodeHstore('')).toBe('{}');
  });
});

describe('what the server cannot have sent is refused, without the value in the message', () => {
  test.each(Object.entries(TEXT_DECODERS))('%s', (name, decode) => {
    // The old form of bytea can be nearly any text, and digits alone tell nothing of a numeric.
    const loose = ['decodeBytea', 'decodeNumeric', 'decodeMoney'].includes(name);
    const general = ['secret!', '{secret', '2024-99', '"secret"=>'];
    for (const garbage of name === 'decodeBytea'
      ? ['\\xsecret', 'secret\\9']
      : loose
        ? ['secret']
        : general) {
      let error: unknown;
      try {
        decode(garbage);
      } catch (thrown) {
        error = thrown;
      }
      expect(error, garbage).toMatchObject({ code: 'source.value-unreadable' });
      expect((error as Error).message).not.toContain('secret');
    }
  });
});
