/**
 * Where the text in double quotes that begins at `from` ends; what a backslash stands before is part of it. −1 where
 * nothing ends it. A regular expression would run out of its memory at texts of ten megabytes.
 */
export function endOfQuoted(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 92 /* \ */) at++;
    else if (code === 34 /* " */) return at;
  }
  return -1;
}
