/** ROWIDs as Oracle prints them: object, file, block and row in base 64. */
export function rowIdOf(object: number, block: number, row: number): string {
  return base64(object, 6) + base64(1, 3) + base64(block, 6) + base64(row, 3);
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function base64(n: number, width: number): string {
  let text = '';
  for (let rest = n; text.length < width; rest = Math.floor(rest / 64)) text = DIGITS[rest % 64]! + text;
  return text;
}

/** ROWIDs in the order of the places they stand for. */
export function compareRowIds(a: string, b: string): number {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = DIGITS.indexOf(a[i] ?? 'A') - DIGITS.indexOf(b[i] ?? 'A');
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The number of the segment that a ROWID is of. */
export function objectOf(rowId: string): string {
  return String(Array.from(rowId.slice(0, 6)).reduce((n, digit) => n * 64 + DIGITS.indexOf(digit), 0));
}
