/**
 * Decimal text of integers past 32 bits, which JavaScript turns into text as doubles, slowly. LSNs and
 * microseconds of neighbouring rows share all but their last six digits, so those in front are kept.
 */

const THREE: readonly string[] = Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, '0'));

/** `String(n)` of safe integers; one for each place they come from, since it keeps what the last one began with. */
export function integerWriter(): (n: number) => string {
  let lastHigh = -1;
  let lastText = '';
  return (n) => {
    if (n < 1_000_000_000) return String(n);
    const high = Math.floor(n / 1_000_000);
    if (high !== lastHigh) {
      lastText = String(high);
      lastHigh = high;
    }
    return lastText + sixDigits(n - high * 1_000_000);
  };
}

/** An integer below 1,000,000 with zeros in front. */
export function sixDigits(n: number): string {
  const thousands = (n / 1000) | 0;
  return THREE[thousands]! + THREE[n - thousands * 1000]!;
}
