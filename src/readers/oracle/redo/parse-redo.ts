/**
 * SQL_REDO of V$LOGMNR_CONTENTS, statements of operation codes 1, 2 and 3. The grammar is LogMiner's own, not
 * SQL's: keywords in lower case, identifiers always quoted, values literals or calls of a dozen functions.
 *
 * One forward pass, linear in the text. Anything can stand inside a string; nothing outside of one is user data.
 */
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import {
  type CallLiteral,
  CALLS,
  type Literal,
  PRESENT,
  type RedoStatement,
  UNSUPPORTED,
} from './literal.ts';

/** Throws `source.redo-unreadable`, and nothing else, on whatever is not such a statement from end to end. */
export function parseRedo(text: string): RedoStatement {
  try {
    return parser.parse(text, false);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    try {
      // Some releases write strings of extended columns without doubling their apostrophes.
      return parser.parse(text, true);
    } catch (again) {
      if (!(again instanceof Malformed)) throw again;
      throw new HeadwaterError(
        'source.redo-unreadable',
        `A statement of the redo log cannot be read: ${error.message} at character ${error.at}.`,
        { details: { at: error.at, length: text.length } },
      );
    }
  }
}

/** What a string literal stands in: it decides what may follow one. */
const VALUES = 0;
const SET = 1;
const WHERE = 2;
const ARGUMENT = 3;
type Place = typeof VALUES | typeof SET | typeof WHERE | typeof ARGUMENT;

const APOSTROPHE = 39;
const QUOTE = 34;
const SPACE = 32;
const COMMA = 44;
const SEMICOLON = 59;
const OPEN = 40;
const CLOSE = 41;
const BAR = 124;
const SLASH = 47;
const DOT = 46;
const EQUALS = 61;

const EMPTY: readonly never[] = [];

/** Stays inside this file. */
class Malformed extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

class RedoParser {
  #text = '';
  #at = 0;
  #relaxed = false;
  #rowid: string | null = null;

  parse(text: string, relaxed: boolean): RedoStatement {
    this.#text = text;
    this.#at = 0;
    this.#relaxed = relaxed;
    this.#rowid = null;
    try {
      this.#blanks();
      if (this.#eat('insert into ')) return this.#insert();
      if (this.#eat('update ')) return this.#update();
      if (this.#eat('delete from ')) return this.#delete();
      throw this.#malformed('not an insert, update or delete');
    } finally {
      this.#text = ''; // a statement may be megabytes
    }
  }

  #insert(): RedoStatement {
    const schema = this.#identifier();
    this.#expect(DOT);
    const table = this.#identifier();
    this.#blanks();
    this.#expect(OPEN);
    const names: string[] = [];
    do {
      this.#blanks();
      names.push(this.#column());
      this.#blanks();
    } while (this.#eatChar(COMMA));
    this.#expect(CLOSE);
    this.#blanks();
    if (!this.#eat('values')) throw this.#malformed('values expected');
    this.#blanks();
    this.#expect(OPEN);
    const values: Literal[] = [];
    do {
      this.#blanks();
      values.push(this.#value(VALUES));
      this.#blanks();
    } while (this.#eatChar(COMMA));
    this.#expect(CLOSE);
    this.#end();
    if (names.length !== values.length) throw this.#malformed('another number of values than of columns');
    return {
      op: 'insert',
      schema,
      table,
      names,
      values,
      whereNames: EMPTY,
      whereValues: EMPTY,
      rowid: null,
      relaxed: this.#relaxed,
    };
  }

  #update(): RedoStatement {
    const schema = this.#identifier();
    this.#expect(DOT);
    const table = this.#identifier();
    this.#alias();
    if (!this.#eat('set')) throw this.#malformed('set expected');
    const names: string[] = [];
    const values: Literal[] = [];
    do {
      this.#blanks();
      names.push(this.#column());
      this.#blanks();
      this.#expect(EQUALS);
      this.#blanks();
      values.push(this.#value(SET));
      this.#blanks();
    } while (this.#eatChar(COMMA));
    const whereNames: string[] = [];
    const whereValues: Literal[] = [];
    this.#where(whereNames, whereValues);
    return {
      op: 'update',
      schema,
      table,
      names,
      values,
      whereNames,
      whereValues,
      rowid: this.#rowid,
      relaxed: this.#relaxed,
    };
  }

  #delete(): RedoStatement {
    const schema = this.#identifier();
    this.#expect(DOT);
    const table = this.#identifier();
    this.#alias();
    const whereNames: string[] = [];
    const whereValues: Literal[] = [];
    this.#where(whereNames, whereValues);
    return {
      op: 'delete',
      schema,
      table,
      names: EMPTY,
      values: EMPTY,
      whereNames,
      whereValues,
      rowid: this.#rowid,
      relaxed: this.#relaxed,
    };
  }

  /** Up to the statement's end. */
  #where(names: string[], values: Literal[]): void {
    this.#blanks();
    if (this.#eat('where ')) {
      do {
        this.#blanks();
        this.#predicate(names, values);
        this.#blanks();
      } while (this.#eat('and ') || this.#eat('or '));
    }
    this.#end();
  }

  #predicate(names: string[], values: Literal[]): void {
    if (this.#eat('ROWID')) {
      this.#blanks();
      this.#expect(EQUALS);
      this.#blanks();
      this.#rowid = this.#string(WHERE);
      return;
    }
    names.push(this.#column());
    this.#blanks();
    if (this.#eatChar(EQUALS)) {
      this.#blanks();
      values.push(this.#value(WHERE));
    } else if (this.#eat('IS NULL')) {
      values.push(null);
    } else if (this.#eat('IS NOT NULL')) {
      values.push(PRESENT);
    } else {
      throw this.#malformed('a comparison expected');
    }
  }

  /** `"NAME"` or `a."NAME"`. */
  #column(): string {
    if (this.#text.charCodeAt(this.#at) !== QUOTE) {
      if (!isWord(this.#text.charCodeAt(this.#at))) throw this.#malformed('a column expected');
      while (isWord(this.#text.charCodeAt(this.#at))) this.#at++;
      this.#expect(DOT);
    }
    return this.#identifier();
  }

  /** Between table and `set` or `where`: blanks, and perhaps an alias. */
  #alias(): void {
    this.#blanks();
    const text = this.#text;
    const start = this.#at;
    let end = start;
    while (isWord(text.charCodeAt(end))) end++;
    if (end === start || text.startsWith('set ', start) || text.startsWith('where ', start)) return;
    if (text.charCodeAt(end) !== SPACE && text.charCodeAt(end) !== SEMICOLON && end !== text.length) return;
    this.#at = end;
    this.#blanks();
  }

  #identifier(): string {
    const text = this.#text;
    if (text.charCodeAt(this.#at) !== QUOTE) throw this.#malformed('a quoted name expected');
    const end = text.indexOf('"', this.#at + 1);
    if (end < 0) throw this.#malformed('unterminated name');
    const name = text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return name;
  }

  #value(place: Place): Literal {
    while (this.#text.charCodeAt(this.#at) === SLASH) this.#comment();
    const first = this.#atom(place);
    const end = this.#at;
    this.#blanks();
    if (this.#text.charCodeAt(this.#at) !== BAR) {
      this.#at = end;
      return first;
    }
    const parts: Literal[] = [first];
    for (;;) {
      if (!this.#eat('||')) throw this.#malformed('a value expected');
      this.#blanks();
      parts.push(this.#atom(place));
      const behind = this.#at;
      this.#blanks();
      if (this.#text.charCodeAt(this.#at) !== BAR) {
        this.#at = behind;
        return { kind: 'concat', parts };
      }
    }
  }

  #atom(place: Place): Literal {
    const code = this.#text.charCodeAt(this.#at);
    if (code === APOSTROPHE) return this.#string(place);
    if (isDigit(code) || code === 43 || code === 45 || code === DOT) return this.#number();
    if (this.#eat('NULL')) return null;
    if (this.#eat('Unsupported Type')) return UNSUPPORTED;
    if (this.#eat('LM_EMPTY_STRING')) return '';
    return this.#call();
  }

  #call(): CallLiteral {
    const start = this.#at;
    while (isWord(this.#text.charCodeAt(this.#at))) this.#at++;
    const word = this.#text.slice(start, this.#at).toUpperCase(); // XMLTYPE is also written XMLType
    const name = CALLS.find((call) => call === word);
    if (name === undefined) {
      this.#at = start;
      throw this.#malformed('a value expected');
    }
    this.#blanks();
    this.#expect(OPEN);
    this.#blanks();
    let argument: Literal = null;
    if (!this.#eatChar(CLOSE)) {
      argument = this.#argument();
      while (this.#eatChar(COMMA)) {
        this.#blanks();
        this.#argument();
      }
      this.#expect(CLOSE);
    }
    return { kind: 'call', name, argument };
  }

  /** Literals only: calls do not nest, so neither does this. */
  #argument(): Literal {
    const code = this.#text.charCodeAt(this.#at);
    let value: Literal;
    if (code === APOSTROPHE) value = this.#string(ARGUMENT);
    else if (this.#eat('NULL')) value = null;
    else value = this.#number();
    this.#blanks();
    return value;
  }

  #number(): { readonly kind: 'number'; readonly text: string } {
    const text = this.#text;
    const start = this.#at;
    let at = start;
    const sign = text.charCodeAt(at);
    if (sign === 43 || sign === 45) at++;
    const digits = at;
    while (isDigit(text.charCodeAt(at))) at++;
    let count = at - digits;
    if (text.charCodeAt(at) === DOT) {
      const fraction = ++at;
      while (isDigit(text.charCodeAt(at))) at++;
      count += at - fraction;
    }
    if (count === 0) throw this.#malformed('a value expected');
    if ((text.charCodeAt(at) | 32) === 101) {
      let exponent = at + 1;
      const exponentSign = text.charCodeAt(exponent);
      if (exponentSign === 43 || exponentSign === 45) exponent++;
      if (!isDigit(text.charCodeAt(exponent))) throw this.#malformed('a number without its exponent');
      while (isDigit(text.charCodeAt(exponent))) exponent++;
      at = exponent;
    }
    this.#at = at;
    return { kind: 'number', text: text.slice(start, at) };
  }

  #string(place: Place): string {
    const text = this.#text;
    if (text.charCodeAt(this.#at) !== APOSTROPHE) throw this.#malformed('a string expected');
    if (this.#relaxed && place !== ARGUMENT) return this.#relaxedString(place);
    const start = this.#at + 1;
    let end = text.indexOf("'", start);
    if (end < 0) throw this.#malformed('unterminated string');
    if (text.charCodeAt(end + 1) !== APOSTROPHE) {
      this.#at = end + 1;
      return text.slice(start, end);
    }
    do {
      end = text.indexOf("'", end + 2);
      if (end < 0) throw this.#malformed('unterminated string');
    } while (text.charCodeAt(end + 1) === APOSTROPHE);
    this.#at = end + 1;
    return text.slice(start, end).replaceAll("''", "'");
  }

  /** A string whose apostrophes may stand alone: it ends where what follows can only follow an end. */
  #relaxedString(place: Place): string {
    const text = this.#text;
    let from = this.#at + 1;
    let value = '';
    let end = text.indexOf("'", from);
    while (end >= 0) {
      const doubled = text.charCodeAt(end + 1) === APOSTROPHE;
      if (this.#endsAt(doubled ? end + 2 : end + 1, place)) {
        this.#at = doubled ? end + 2 : end + 1;
        return value + text.slice(from, doubled ? end + 1 : end);
      }
      value += text.slice(from, end + 1);
      from = doubled ? end + 2 : end + 1;
      end = text.indexOf("'", from);
    }
    throw this.#malformed('unterminated string');
  }

  /** Whether what stands at `at` can be what follows a string there. */
  #endsAt(at: number, place: Place): boolean {
    const text = this.#text;
    if (place !== VALUES && this.#isOver(at)) return true;
    switch (place) {
      case VALUES:
        if (text.charCodeAt(at) === CLOSE) return this.#isOver(at + 1);
        return text.charCodeAt(at) === COMMA && startsValue(text, skipBlanks(text, at + 1));
      case SET: {
        const next = skipBlanks(text, at);
        if (text.charCodeAt(next) === COMMA) return startsColumn(text, skipBlanks(text, next + 1));
        return text.startsWith('where ', next) && startsColumn(text, next + 6);
      }
      default: {
        const next = skipBlanks(text, at);
        if (next === at) return false;
        if (text.startsWith('and ', next)) return startsColumn(text, next + 4);
        return text.startsWith('or ', next) && startsColumn(text, next + 3);
      }
    }
  }

  #isOver(at: number): boolean {
    const next = skipBlanks(this.#text, at);
    const behind = this.#text.charCodeAt(next) === SEMICOLON ? skipBlanks(this.#text, next + 1) : next;
    return behind === this.#text.length;
  }

  #comment(): void {
    if (!this.#eat('/*')) throw this.#malformed('a value expected');
    const end = this.#text.indexOf('*/', this.#at);
    if (end < 0) throw this.#malformed('unterminated comment');
    this.#at = end + 2;
    this.#blanks();
  }

  #end(): void {
    if (!this.#isOver(this.#at)) throw this.#malformed('the statement goes on behind its end');
  }

  #blanks(): void {
    this.#at = skipBlanks(this.#text, this.#at);
  }

  #expect(code: number): void {
    if (this.#text.charCodeAt(this.#at) !== code) {
      throw this.#malformed(`${String.fromCharCode(code)} expected`);
    }
    this.#at++;
  }

  #eatChar(code: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== code) return false;
    this.#at++;
    return true;
  }

  #eat(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #malformed(message: string): Malformed {
    return new Malformed(message, this.#at);
  }
}

/** Parsing never waits and never calls itself: one does for all. */
const parser = new RedoParser();

function skipBlanks(text: string, at: number): number {
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== SPACE && code !== 10 && code !== 13 && code !== 9) return at;
    at++;
  }
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isWord(code: number): boolean {
  return (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95 || isDigit(code);
}

function startsValue(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code === APOSTROPHE || isDigit(code) || code === 43 || code === 45 || code === DOT) return true;
  if (code === SLASH) return text.charCodeAt(at + 1) === 42;
  if (text.startsWith('NULL', at) || text.startsWith('Unsupported Type', at)) return true;
  if (text.startsWith('LM_EMPTY_STRING', at)) return true;
  return CALLS.some((name) => text.startsWith(`${name}(`, at));
}

function startsColumn(text: string, at: number): boolean {
  let next = at;
  while (isWord(text.charCodeAt(next))) next++;
  if (next > at && text.startsWith('ROWID', at)) return true;
  if (next > at) {
    if (text.charCodeAt(next) !== DOT) return false;
    next++;
  }
  return text.charCodeAt(next) === QUOTE;
}
