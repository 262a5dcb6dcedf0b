import { expect, test } from 'vitest';
import { ReadBuffer } from '../../src/readers/read-buffer.ts';

const KB = 1024;

// Compared by ===: a difference between two buffers takes minutes to print.

/** Fills what is left of the present memory, as if it had all been made into frames. */
function fill(input: ReadBuffer, byte: number): void {
  const room = input.room();
  room.fill(byte);
  input.filled(room.length);
  input.consumed(input.end);
}

/** Moves on to other memory. */
function turn(input: ReadBuffer): void {
  input.room();
}

test('memory is written again when all who held it have dropped it, and not before', () => {
  const input = new ReadBuffer();
  const first = input.memory;
  first.frame(5, 9);
  first.hold();
  first.hold();
  fill(input, 1);
  turn(input);
  const second = input.memory;
  expect(second === first).toBe(false);
  first.drop();
  fill(input, 2);
  turn(input);
  const third = input.memory;
  expect(third === first).toBe(false);
  expect(first.buffer.every((byte) => byte === 1)).toBe(true);
  first.drop();
  // The second was held by nobody else, and is free since the third took its place.
  fill(input, 3);
  turn(input);
  expect(input.memory === first).toBe(true);
  expect(input.memory.noted).toBe(0);
  fill(input, 4);
  turn(input);
  expect(input.memory === second || input.memory === third).toBe(true);
});

test('what follows the last frame moves along, and a large frame gets its room in one piece, as it comes', () => {
  const input = new ReadBuffer();
  input.append(Buffer.from('tail'));
  input.expect(300 * KB);
  expect(input.buffer.subarray(input.start, input.end).toString()).toBe('tail');
  // Who announces much and sends nothing gets no memory for it.
  expect(input.buffer.length).toBe(256 * KB);
  for (let left = 300 * KB - 4; left > 0;) {
    const size = Math.min(left, input.room().length);
    input.filled(size);
    left -= size;
  }
  expect(input.end - input.start).toBe(300 * KB);
  const large = input.memory;
  input.consumed(input.end);
  fill(input, 1);
  turn(input);
  // Larger than usual: not kept.
  expect(input.memory === large).toBe(false);
  fill(input, 1);
  turn(input);
  expect(input.memory === large).toBe(false);
});

test('what is only announced takes no memory, and comes whole when it does come', () => {
  const MB = KB * KB;
  const input = new ReadBuffer();
  input.append(Buffer.from('tail'));
  input.expect(1000 * MB);
  expect(input.buffer.length).toBeLessThan(17 * MB);
  let largest = 0;
  const written: [at: number, byte: number][] = [];
  while (input.end - input.start < 50 * MB) {
    const room = input.room().subarray(0, 3 * MB);
    expect(room.length).toBeGreaterThan(0);
    const here = input.end - input.start;
    room.fill(here % 251);
    written.push([here, here % 251], [here + room.length - 1, here % 251]);
    input.filled(room.length);
    input.expect(1000 * MB);
    largest = Math.max(largest, input.buffer.length / (input.end - input.start));
  }
  expect(largest).toBeLessThan(6);
  expect(input.buffer.length).toBeLessThan(110 * MB);
  expect(input.buffer.subarray(input.start, input.start + 4).toString()).toBe('tail');
  expect(written.map(([at]) => [at, input.buffer[input.start + at]])).toEqual(written);
});

test('frames are noted one behind the other, however many', () => {
  const { memory } = new ReadBuffer();
  for (let i = 0; i < 10; i++) memory.frame(i, i + 1);
  const from = memory.noted;
  const early = memory.frames(0);
  for (let i = 0; i < 5000; i++) memory.frame(i, i + 5);
  expect([...memory.frames(from)]).toEqual(Array.from({ length: 5000 }, (_, i) => [i, i + 5]).flat());
  expect([...early].slice(0, 4)).toEqual([0, 1, 1, 2]);
});
