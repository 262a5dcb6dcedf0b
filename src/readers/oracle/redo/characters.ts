/** Characters of SQL_REDO outside of strings: all of them ASCII. */

export const APOSTROPHE = 39;
export const QUOTE = 34;
export const SPACE = 32;
export const COMMA = 44;
export const SEMICOLON = 59;
export const OPEN = 40;
export const CLOSE = 41;
export const BAR = 124;
export const SLASH = 47;
export const STAR = 42;
export const DOT = 46;
export const EQUALS = 61;
export const PLUS = 43;
export const MINUS = 45;

/** The first place from `at` on that is no blank; the text's length where there is none. */
export function skipBlanks(text: string, at: number): number {
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== SPACE && code !== 10 && code !== 13 && code !== 9) return at;
    at++;
  }
}

export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

export function isWord(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95 || isDigit(code);
}

export function startsNumber(code: number): boolean {
  return isDigit(code) || code === PLUS || code === MINUS || code === DOT;
}

/** Whether a statement ends there: blanks, and perhaps a semicolon between them. */
export function isOver(text: string, at: number): boolean {
  const next = skipBlanks(text, at);
  const behind = text.charCodeAt(next) === SEMICOLON ? skipBlanks(text, next + 1) : next;
  return behind === text.length;
}
