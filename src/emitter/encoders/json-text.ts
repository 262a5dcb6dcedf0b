/** JSON text of strings and numbers as Connect's converter writes them. */

// oxlint-disable-next-line no-control-regex -- JSON must escape exactly these
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;

/** A JSON string. Most values need no escaping, and finding that out is cheaper than JSON.stringify. */
export function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** NaN and the infinities are strings, as Jackson writes them; −0 keeps its sign. */
export function floatJson(n: number): string {
  if (n !== n) return '"NaN"';
  if (n === Infinity) return '"Infinity"';
  if (n === -Infinity) return '"-Infinity"';
  return n === 0 && Object.is(n, -0) ? '-0.0' : String(n);
}
