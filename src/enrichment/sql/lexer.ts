import { type SourceText, sqlError } from './sql-error.ts';

export type TokenKind = 'word' | 'quoted' | 'string' | 'integer' | 'decimal' | 'double' | 'symbol' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** Words in upper case; names and strings without their quotes; symbols and numbers as written. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const SPACE = /[\s\uFEFF]/;
const WORD_START = /[A-Za-z_]/;
const WORD = /[A-Za-z0-9_$@]/;
const DIGIT = /[0-9]/;
const SYMBOLS = ['->', '=>', ':=', '||', '<=', '>=', '<>', '!='] as const;
const SINGLE = '()[],.;=<>+-*/%{}:';

/** All tokens of one statement, `end` last. Throws where something is no token. Linear in the text. */
export function tokenize(source: SourceText): readonly Token[] {
  const { text } = source;
  const tokens: Token[] = [];
  let at = 0;
  while ((at = afterSpace(source, at)) < text.length) {
    const before = tokens.at(-1);
    const token = next(source, at, before?.kind === 'word' || before?.kind === 'quoted');
    tokens.push(token);
    at = token.end;
  }
  tokens.push({ kind: 'end', text: '', start: text.length, end: text.length });
  return tokens;
}

/** Past blanks and comments. */
function afterSpace(source: SourceText, from: number): number {
  const { text } = source;
  let at = from;
  for (;;) {
    if (SPACE.test(text.charAt(at))) at++;
    else if (text.startsWith('--', at)) {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end + 1;
    } else if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at + 2);
      if (end < 0) throw sqlError(source, at, 'the comment that begins here has no end; write */');
      at = end + 2;
    } else return at;
  }
}

/** After a name a dot leads to the next one, also where that begins with a digit. */
function next(source: SourceText, start: number, afterName: boolean): Token {
  const { text } = source;
  const c = text.charAt(start);
  if (c === "'") return quoted(source, start, 'string');
  if (c === '`' || c === '"') return quoted(source, start, 'quoted');
  if (WORD_START.test(c)) return word(text, start);
  if (DIGIT.test(c) || (c === '.' && !afterName && DIGIT.test(text.charAt(start + 1))))
    return number(text, start);
  const symbol = SYMBOLS.find((each) => text.startsWith(each, start));
  if (symbol !== undefined) return { kind: 'symbol', text: symbol, start, end: start + symbol.length };
  if (SINGLE.includes(c)) return { kind: 'symbol', text: c, start, end: start + 1 };
  const character = String.fromCodePoint(text.codePointAt(start) ?? 0);
  throw sqlError(
    source,
    start,
    `the character ${JSON.stringify(character)} has no meaning here; quote names that hold it with backquotes`,
  );
}

function quoted(source: SourceText, start: number, kind: 'string' | 'quoted'): Token {
  const { text } = source;
  const quote = text.charAt(start);
  let value = '';
  let from = start + 1;
  for (;;) {
    const end = text.indexOf(quote, from);
    if (end < 0) {
      const what = kind === 'string' ? 'the text' : 'the quoted name';
      throw sqlError(source, start, `${what} that begins here has no end; a ${quote} inside is doubled`);
    }
    value += text.slice(from, end);
    if (text.charAt(end + 1) !== quote) {
      if (kind === 'quoted' && value === '') throw sqlError(source, start, 'a name cannot be empty');
      return { kind, text: value, start, end: end + 1 };
    }
    value += quote;
    from = end + 2;
  }
}

function word(text: string, start: number): Token {
  let end = start + 1;
  while (WORD.test(text.charAt(end))) end++;
  return { kind: 'word', text: text.slice(start, end).toUpperCase(), start, end };
}

const NUMBER = /(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/y;

/** A number, or a name that begins with digits. */
function number(text: string, start: number): Token {
  NUMBER.lastIndex = start;
  const written = NUMBER.exec(text)?.[0] ?? '';
  let end = start + written.length;
  if (!written.includes('.') && WORD.test(text.charAt(end))) {
    while (WORD.test(text.charAt(end))) end++;
    return { kind: 'word', text: text.slice(start, end).toUpperCase(), start, end };
  }
  const kind = /[eE]/.test(written) ? 'double' : written.includes('.') ? 'decimal' : 'integer';
  return { kind, text: written, start, end };
}
