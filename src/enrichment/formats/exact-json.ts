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

/** Throws SyntaxError. */
export function parseJson(text: string): unknown {
  return hasLongRun(text) ? (JSON.parse(text, keepDigits) as unknown) : (JSON.parse(text) as unknown);
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
