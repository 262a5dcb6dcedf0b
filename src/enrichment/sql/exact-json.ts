/** JSON text → values that keep every digit of a number, at the price of JSON.parse where no number is long. */

/** A number that may have more digits than a double holds, as it was written. */
export class ExactNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A double gives back any number of up to 15 digits: only longer runs of digits are looked at one by one. */
const LONG = 16;

/** What is nested deeper would fill the stack of those who walk it. Java's Jackson, and so ksqlDB, ends here too. */
const MOST_NESTED = 1_000;

/** Throws SyntaxError. */
export function parseJson(text: string): unknown {
  refuseNested(text);
  return hasLongRun(text) ? (JSON.parse(text, keepDigits) as unknown) : (JSON.parse(text) as unknown);
}

/** Numbers are all as they were written. Throws SyntaxError. */
export function parseAsWritten(text: string): unknown {
  refuseNested(text);
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) =>
    typeof value === 'number' ? new ExactNumber(context?.source ?? String(value)) : value,
  ) as unknown;
}

function refuseNested(text: string): void {
  // Each level has an opening and a closing character: most texts need no look, and most others no exact one.
  if (text.length <= 2 * MOST_NESTED || openings(text) <= MOST_NESTED) return;
  if (depthOf(text) > MOST_NESTED) throw new SyntaxError('The JSON is nested too deeply.');
}

/** Brackets and braces that open, wherever they stand. */
function openings(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) if (isOpening(text.charCodeAt(i))) count++;
  return count;
}

/** `[` or `{`, which differ in one bit. */
function isOpening(code: number): boolean {
  return (code & ~0x20) === 0x5b;
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) i = endOfText(text, i);
    else if (isOpening(code)) deepest = Math.max(deepest, ++depth);
    else if ((code & ~0x20) === 0x5d) depth--;
  }
  return deepest;
}

const QUOTE = 34;
const BACKSLASH = 92;

/** Where the quote that ends it stands. */
function endOfText(text: string, from: number): number {
  let at = from + 1;
  for (; at < text.length && text.charCodeAt(at) !== QUOTE; at++) if (text.charCodeAt(at) === BACKSLASH) at++;
  return at;
}

/** Every run that long has a character at a multiple of its length: the others need no look. */
function hasLongRun(text: string): boolean {
  for (let i = LONG - 1; i < text.length; i += LONG) {
    if (!isOfNumber(text.charCodeAt(i))) continue;
    let from = i;
    while (isOfNumber(text.charCodeAt(from - 1))) from--;
    let to = i + 1;
    while (isOfNumber(text.charCodeAt(to))) to++;
    if (to - from >= LONG) return true;
  }
  return false;
}

/** A digit or a point. False for NaN, which is beyond the ends of a text. */
function isOfNumber(code: number): boolean {
  return (code >= 48 && code <= 57) || code === 46;
}

function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  return typeof value === 'number' && source !== undefined && source.length > 15
    ? new ExactNumber(source)
    : value;
}

/** Back to JSON text. */
export function jsonText(value: unknown): string {
  if (value instanceof ExactNumber) return value.text;
  if (Array.isArray(value)) return `[${(value as readonly unknown[]).map(jsonText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}:${jsonText(each)}`);
  return `{${fields.join(',')}}`;
}
