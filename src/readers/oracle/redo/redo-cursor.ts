import { DOT, EQUALS, isOver, isWord, QUOTE, SEMICOLON, skipBlanks, SPACE } from './characters.ts';
import type { NameMemory } from './name-memory.ts';

/** Stays inside the parser. */
export class Malformed extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

/** Anything else that is thrown while a statement is read is a bug, and goes on. */
export function assertMalformed(error: unknown): asserts error is Malformed {
  if (!(error instanceof Malformed)) throw error;
}

/** A place in a statement of SQL_REDO, and the ways on from it: forward only. What is not there throws Malformed. */
export class RedoCursor {
  text = '';
  at = 0;
  /** Apostrophes are not doubled. */
  relaxed = false;

  /** Goes up to a value where there is an equals sign, else up to what is there instead. */
  equals(): boolean {
    if (this.eat(' = ')) return true;
    this.blanks();
    if (!this.eatChar(EQUALS)) return false;
    this.blanks();
    return true;
  }

  /** `"NAME"` or `a."NAME"`. */
  column(memory: NameMemory): string {
    if (this.text.charCodeAt(this.at) !== QUOTE) {
      if (!isWord(this.text.charCodeAt(this.at))) throw this.malformed('a column expected');
      while (isWord(this.text.charCodeAt(this.at))) this.at++;
      this.expect(DOT);
    }
    return this.identifier(memory);
  }

  /** Between table and `set` or `where`: blanks, and perhaps an alias. */
  alias(): void {
    this.blanks();
    const text = this.text;
    const start = this.at;
    let end = start;
    while (isWord(text.charCodeAt(end))) end++;
    if (end === start || text.startsWith('set ', start) || text.startsWith('where ', start)) return;
    if (text.charCodeAt(end) !== SPACE && text.charCodeAt(end) !== SEMICOLON && end !== text.length) return;
    this.at = end;
    this.blanks();
  }

  /** `"NAME"`, without its quotes. */
  identifier(memory: NameMemory): string {
    if (this.text.charCodeAt(this.at) !== QUOTE) throw this.malformed('a quoted name expected');
    const name = memory.read(this.text, this.at + 1);
    if (name === undefined) throw this.malformed('unterminated name');
    this.at += name.length + 2;
    return name;
  }

  /** Throws where more follows than blanks and a semicolon. */
  end(): void {
    if (!isOver(this.text, this.at)) throw this.malformed('the statement goes on behind its end');
  }

  blanks(): void {
    // In nearly all places there are none, or one.
    const code = this.text.charCodeAt(this.at);
    if (code > SPACE) return;
    this.at = skipBlanks(this.text, this.at);
  }

  /** Goes behind a character that has to be there. */
  expect(code: number): void {
    if (this.text.charCodeAt(this.at) !== code) {
      throw this.malformed(`${String.fromCharCode(code)} expected`);
    }
    this.at++;
  }

  /** Goes behind a character if it is there. */
  eatChar(code: number): boolean {
    if (this.text.charCodeAt(this.at) !== code) return false;
    this.at++;
    return true;
  }

  /** Goes behind a text if it is there. */
  eat(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  malformed(message: string): Malformed {
    return new Malformed(message, this.at);
  }
}
