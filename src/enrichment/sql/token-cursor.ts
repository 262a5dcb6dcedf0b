import { nearest } from '../../errors/nearest.ts';
import { type Token, tokenize } from './lexer.ts';
import { type SourceText, sqlError } from './sql-error.ts';
import { RESERVED } from './words.ts';

export type Dialect = 'friendly' | 'ksqldb';

/** Deeper nesting of expressions or types is no statement anybody wrote, and would exhaust the stack. */
const MAX_DEPTH = 400;

/** Walks the tokens of one statement; everything it refuses says where, what was expected and what stands there. */
export class TokenCursor {
  readonly source: SourceText;
  readonly dialect: Dialect;
  readonly warnings: string[];
  readonly #tokens: readonly Token[];
  #index = 0;
  #depth = 0;

  constructor(source: SourceText, dialect: Dialect, warnings: string[]) {
    this.source = source;
    this.dialect = dialect;
    this.warnings = warnings;
    this.#tokens = tokenize(source);
  }

  get token(): Token {
    return this.peek(0);
  }

  get at(): number {
    return this.token.start;
  }

  peek(ahead: number): Token {
    const last = this.#tokens.length - 1;
    const token = this.#tokens[Math.min(this.#index + ahead, last)];
    if (token === undefined) throw new TypeError('A statement has at least its end.');
    return token;
  }

  advance(): Token {
    const { token } = this;
    if (token.kind !== 'end') this.#index++;
    return token;
  }

  /** To the token that starts there. */
  rewind(index: number): void {
    this.#index = index;
  }

  get index(): number {
    return this.#index;
  }

  isWord(...words: readonly string[]): boolean {
    return words.every((word, i) => {
      const token = this.peek(i);
      return token.kind === 'word' && token.text === word;
    });
  }

  isSymbol(symbol: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'symbol' && token.text === symbol;
  }

  /** Takes the words if all of them stand here. */
  acceptWords(...words: readonly string[]): boolean {
    if (!this.isWord(...words)) return false;
    this.#index += words.length;
    return true;
  }

  acceptSymbol(symbol: string): boolean {
    if (!this.isSymbol(symbol)) return false;
    this.#index++;
    return true;
  }

  expectWords(...words: readonly string[]): void {
    for (const word of words) if (!this.acceptWords(word)) throw this.expected([word]);
  }

  expectSymbol(symbol: string): void {
    if (!this.acceptSymbol(symbol)) throw this.expected([`"${symbol}"`]);
  }

  /** One of the words, taken. */
  expectOneOf<W extends string>(words: readonly W[]): W {
    const found = words.find((word) => this.isWord(word));
    if (found === undefined) throw this.expected(words);
    this.advance();
    return found;
  }

  isName(ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'quoted' || (token.kind === 'word' && !RESERVED.has(token.text));
  }

  /** A name, folded. */
  name(what: string): string {
    if (this.isName()) return this.advance().text;
    const { token } = this;
    if (token.kind === 'word')
      throw this.error(
        `expected ${what}, but ${token.text} has a meaning of its own; quote it with backquotes to use it as a name`,
      );
    throw this.expected([what]);
  }

  string(what: string): string {
    if (this.token.kind !== 'string') throw this.expected([`${what} in single quotes`]);
    return this.advance().text;
  }

  integer(what: string): number {
    const { token } = this;
    const value = token.kind === 'integer' ? Number(token.text) : NaN;
    if (!Number.isSafeInteger(value)) throw this.expected([what]);
    this.advance();
    return value;
  }

  /** What `parse` makes deeper is undone when it is done. */
  nested<T>(parse: () => T): T {
    const depth = this.#depth;
    this.deeper();
    const result = parse();
    this.#depth = depth;
    return result;
  }

  /** One level more of what later is walked by recursion; refuses what nobody wrote. */
  deeper(): void {
    if (++this.#depth > MAX_DEPTH) throw this.error(`this is more than ${MAX_DEPTH} levels deep`);
  }

  expected(options: readonly string[]): Error {
    const { token } = this;
    const list =
      options.length <= 1 ? (options[0] ?? '') : `${options.slice(0, -1).join(', ')} or ${options.at(-1)}`;
    const meant =
      token.kind === 'word' && !options.includes(token.text) ? nearest(token.text, options) : null;
    const hint = meant === null ? '' : `; did you mean ${meant}?`;
    return this.error(`expected ${list}, found ${this.#found()}${hint}`);
  }

  error(sentence: string, at = this.at): Error {
    return sqlError(this.source, at, sentence);
  }

  #found(): string {
    const { kind, start, end } = this.token;
    if (kind === 'end') return 'the end of the statement';
    const text = this.source.text.slice(start, end);
    return kind === 'string' || text.length > 40 ? (kind === 'string' ? 'a text' : 'a long token') : text;
  }
}
