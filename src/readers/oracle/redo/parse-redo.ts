/**
 * SQL_REDO of V$LOGMNR_CONTENTS, statements of operation codes 1, 2 and 3. The grammar is LogMiner's own, not
 * SQL's: keywords in lower case, identifiers always quoted, values literals or calls of a dozen functions.
 *
 * One forward pass, linear in the text. Anything can stand inside a string; nothing outside of one is user data.
 */
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import {
  APOSTROPHE,
  BAR,
  CLOSE,
  COMMA,
  DOT,
  EQUALS,
  isDigit,
  isOver,
  isWord,
  MINUS,
  OPEN,
  PLUS,
  QUOTE,
  SEMICOLON,
  skipBlanks,
  SLASH,
  SPACE,
  startsNumber,
} from './characters.ts';
import {
  type CallLiteral,
  type CallName,
  CALLS,
  type Literal,
  PRESENT,
  type RedoStatement,
  UNSUPPORTED,
} from './literal.ts';
import { type Place, readLoosely, SET, VALUES, WHERE } from './lone-apostrophes.ts';
import { NameMemory } from './name-memory.ts';

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

/** A string among a call's arguments: apostrophes in it are doubled in any release. */
const ARGUMENT = 3;

/** As they are written, with what follows. */
const CALL_OPENINGS = CALLS.map((name) => ({ name, text: `${name}(` }));
/** The mask of NLS_DATE_FORMAT that every session sets. */
const DATE_MASK = ", 'YYYY-MM-DD HH24:MI:SS')";

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
  /** Apart, since the columns that are set differ and those of the where clause hardly do. */
  readonly #heads = new NameMemory();
  readonly #predicates = new NameMemory();

  parse(text: string, relaxed: boolean): RedoStatement {
    this.#text = text;
    this.#at = 0;
    this.#relaxed = relaxed;
    this.#rowid = null;
    this.#heads.rewind();
    this.#predicates.rewind();
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
    const schema = this.#identifier(this.#heads);
    this.#expect(DOT);
    const table = this.#identifier(this.#heads);
    this.#blanks();
    this.#expect(OPEN);
    const names: string[] = [];
    do {
      this.#blanks();
      names.push(this.#column(this.#heads));
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
    const schema = this.#identifier(this.#heads);
    this.#expect(DOT);
    const table = this.#identifier(this.#heads);
    this.#alias();
    if (!this.#eat('set')) throw this.#malformed('set expected');
    const names: string[] = [];
    const values: Literal[] = [];
    do {
      this.#blanks();
      names.push(this.#column(this.#heads));
      if (!this.#equals()) throw this.#malformed('= expected');
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
    const schema = this.#identifier(this.#heads);
    this.#expect(DOT);
    const table = this.#identifier(this.#heads);
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
      } while (this.#goesOn());
    }
    this.#end();
  }

  /** Whether another predicate follows. */
  #goesOn(): boolean {
    if (this.#eat(' and ')) return true;
    this.#blanks();
    return this.#eat('and ') || this.#eat('or ');
  }

  #predicate(names: string[], values: Literal[]): void {
    if (this.#text.charCodeAt(this.#at) !== QUOTE && this.#eat('ROWID')) {
      this.#blanks();
      this.#expect(EQUALS);
      this.#blanks();
      this.#rowid = this.#string(WHERE);
      return;
    }
    names.push(this.#column(this.#predicates));
    if (this.#equals()) {
      values.push(this.#value(WHERE));
    } else if (this.#eat('IS NULL')) {
      values.push(null);
    } else if (this.#eat('IS NOT NULL')) {
      values.push(PRESENT);
    } else {
      throw this.#malformed('a comparison expected');
    }
  }

  /** Goes up to a value where there is an equals sign, else up to what is there instead. */
  #equals(): boolean {
    if (this.#eat(' = ')) return true;
    this.#blanks();
    if (!this.#eatChar(EQUALS)) return false;
    this.#blanks();
    return true;
  }

  /** `"NAME"` or `a."NAME"`. */
  #column(memory: NameMemory): string {
    if (this.#text.charCodeAt(this.#at) !== QUOTE) {
      if (!isWord(this.#text.charCodeAt(this.#at))) throw this.#malformed('a column expected');
      while (isWord(this.#text.charCodeAt(this.#at))) this.#at++;
      this.#expect(DOT);
    }
    return this.#identifier(memory);
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

  #identifier(memory: NameMemory): string {
    if (this.#text.charCodeAt(this.#at) !== QUOTE) throw this.#malformed('a quoted name expected');
    const name = memory.read(this.#text, this.#at + 1);
    if (name === undefined) throw this.#malformed('unterminated name');
    this.#at += name.length + 2;
    return name;
  }

  #value(place: Place): Literal {
    while (this.#text.charCodeAt(this.#at) === SLASH) this.#comment();
    const first = this.#atom(place);
    const code = this.#text.charCodeAt(this.#at);
    // Nearly always: no other part can follow.
    if (code === COMMA || code === CLOSE || code === SEMICOLON) return first;
    if (code === SPACE && this.#text.charCodeAt(this.#at + 1) === 97) return first; // ` and `
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
    if (startsNumber(code)) return this.#number();
    if (this.#eat('NULL')) return null;
    if (this.#eat('Unsupported Type')) return UNSUPPORTED;
    if (this.#eat('LM_EMPTY_STRING')) return '';
    return this.#call();
  }

  #call(): CallLiteral {
    const name = this.#callName();
    let argument: Literal = null;
    if (this.#text.charCodeAt(this.#at) === APOSTROPHE) {
      argument = this.#string(ARGUMENT);
      if (this.#eatChar(CLOSE) || this.#eat(DATE_MASK)) return { kind: 'call', name, argument };
      this.#blanks();
    } else {
      this.#blanks();
      if (this.#eatChar(CLOSE)) return { kind: 'call', name, argument };
      argument = this.#argument();
    }
    while (this.#eatChar(COMMA)) {
      this.#blanks();
      this.#argument();
    }
    this.#expect(CLOSE);
    return { kind: 'call', name, argument };
  }

  /** Up to and with the parenthesis. */
  #callName(): CallName {
    for (const opening of CALL_OPENINGS) if (this.#eat(opening.text)) return opening.name;
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
    return name;
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
    if (sign === PLUS || sign === MINUS) at++;
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
      if (exponentSign === PLUS || exponentSign === MINUS) exponent++;
      if (!isDigit(text.charCodeAt(exponent))) throw this.#malformed('a number without its exponent');
      while (isDigit(text.charCodeAt(exponent))) exponent++;
      at = exponent;
    }
    this.#at = at;
    return { kind: 'number', text: text.slice(start, at) };
  }

  #string(place: Place | typeof ARGUMENT): string {
    const text = this.#text;
    if (text.charCodeAt(this.#at) !== APOSTROPHE) throw this.#malformed('a string expected');
    if (this.#relaxed && place !== ARGUMENT) {
      const found = readLoosely(text, this.#at, place);
      if (found === null) throw this.#malformed('unterminated string');
      this.#at = found.end;
      return found.value;
    }
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

  #comment(): void {
    if (!this.#eat('/*')) throw this.#malformed('a value expected');
    const end = this.#text.indexOf('*/', this.#at);
    if (end < 0) throw this.#malformed('unterminated comment');
    this.#at = end + 2;
    this.#blanks();
  }

  #end(): void {
    if (!isOver(this.#text, this.#at)) throw this.#malformed('the statement goes on behind its end');
  }

  #blanks(): void {
    // In nearly all places there are none, or one.
    const code = this.#text.charCodeAt(this.#at);
    if (code > SPACE) return;
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
