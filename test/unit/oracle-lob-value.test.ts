import { describe, expect, test } from 'vitest';
import { UNCHANGED, type Value } from '../../src/model/value.ts';
import { LobValue } from '../../src/readers/oracle/transactions/lob-value.ts';
import { UnreadableValue } from '../../src/readers/oracle/types/unreadable-value.ts';

const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const clob = (initial: Value = ''): LobValue => new LobValue(initial, { binary: false, decode });
const blob = (initial: Value = new Uint8Array()): LobValue => new LobValue(initial, { binary: true, decode });
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe('bytes', () => {
  test('are written one behind the other, over what is there, and past its end', () => {
    const lob = blob();
    lob.write(hex('0102ff'), 2, 1);
    lob.write(hex('0304'), 2, 3);
    expect(lob.value).toEqual(hex('01020304'));
    lob.write(hex('aa'), 1, 2);
    expect(lob.value).toEqual(hex('01aa0304'));
    lob.write(hex('bb'), 1, 7);
    expect(lob.value).toEqual(hex('01aa03040000bb'));
    lob.trim(2);
    expect(lob.value).toEqual(hex('01aa'));
    lob.trim(9);
    expect(lob.value).toEqual(hex('01aa'));
    lob.trim(0);
    expect(lob.value).toEqual(hex(''));
  });

  test('go on behind what the row had', () => {
    const lob = blob(hex('01'));
    lob.append(hex('02'));
    lob.append(hex(''));
    expect(lob.value).toEqual(hex('0102'));
  });
});

test('bytes that are written as text are those of the text', () => {
  const lob = blob(UNCHANGED);
  lob.write('ab', 2, 1);
  expect(lob.value).toEqual(Buffer.from('ab'));
  lob.write('cd', 2, 3);
  lob.append(hex('65'));
  expect(lob.value).toEqual(Buffer.from('abcde'));
});

describe('characters', () => {
  test('are cut to their number, whatever they come as', () => {
    const lob = clob();
    lob.write('abc   ', 3, 1);
    lob.write(Buffer.from('dé'), 2, 4);
    // Two bytes each.
    lob.write(hex('004100420020'), 2, 6);
    expect(lob.value).toBe('abcdéAB');
    lob.write('X', 1, 2);
    expect(lob.value).toBe('aXcdéAB');
    lob.write('!', 1, 10);
    expect(lob.value).toBe('aXcdéAB  !');
  });

  test('may be cut between two pieces of bytes; places count characters all the same', () => {
    const bytes = Buffer.from('é');
    const lob = clob();
    lob.append(bytes.subarray(0, 1));
    lob.append(bytes.subarray(1));
    lob.append('x');
    expect(lob.value).toBe('éx');
    const hole = clob();
    hole.append(bytes);
    hole.write('x', 1, 3);
    expect(hole.value).toBe('é x');
    hole.append(bytes);
    hole.trim(4);
    expect(hole.value).toBe('é xé');
  });
});

describe('what was there before is not known', () => {
  test('until it is written from its beginning, cut to nothing or begun anew', () => {
    const [written, cut, anew] = [clob(UNCHANGED), clob(UNCHANGED), clob(UNCHANGED)];
    expect(written.value).toBe(UNCHANGED);
    written.write('ab', 2, 1);
    expect(written.value).toBe('ab');
    cut.trim(0);
    expect(cut.value).toBe('');
    anew.append('ab');
    expect(anew.value).toBe('ab');
  });

  test('and never will be after a write in the middle, a cut or an erasure', () => {
    const [middle, cut, erased] = [clob(UNCHANGED), clob(UNCHANGED), clob('abc')];
    middle.write('x', 1, 2);
    middle.write('ab', 2, 1);
    cut.trim(1);
    erased.erase();
    for (const lob of [middle, cut, erased]) expect(lob.value).toBe(UNCHANGED);
  });
});

test('nobody’s number makes memory of any size', () => {
  const far = blob();
  far.write(hex('01'), 1, 2 ** 40);
  expect(far.value).toBe(UNCHANGED);
  expect(() => {
    far.write(hex('01'), 1, 0);
  }).toThrow(UnreadableValue);
});
