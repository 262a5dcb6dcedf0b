const SMALLEST = 1.18e-38;

/**
 * Four-byte floats as the double whose shortest decimal text is also the float's: 5.6, not 5.599999904632568.
 * At most 9 significant digits tell all floats apart; 6 digits survive a float unharmed, so a shorter text that
 * gives the float again is the only one.
 */
export function shortestFloat(float: number): number {
  if (Number.isInteger(float) && float > -16_777_217 && float < 16_777_217) return float;
  if (float > -100 && float < 100) {
    const short = Math.round(float * 10_000) / 10_000;
    if (Math.fround(short) === float) return short;
  }
  // Numbers too small for all their bits have fewer digits, too.
  for (let digits = float > -SMALLEST && float < SMALLEST ? 1 : 6; digits < 9; digits++) {
    const short = Number(float.toPrecision(digits));
    if (Math.fround(short) === float) return short;
  }
  return Number(float.toPrecision(9));
}

/** A VECTOR: little-endian floats, in text protocol and binlog alike. */
export function vectorValue(buffer: Buffer, start: number, end: number): readonly number[] {
  const values: number[] = [];
  for (let at = start; at + 4 <= end; at += 4) values.push(shortestFloat(buffer.readFloatLE(at)));
  return values;
}
