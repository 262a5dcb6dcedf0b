/** Values in SQL_REDO. Anything can stand inside a string; nothing outside of one is user data. */
import {
  APOSTROPHE,
  BAR,
  CLOSE,
  COMMA,
  DOT,
  isDigit,
  isWord,
  MINUS,
  OPEN,
  PLUS,
  SEMICOLON,
  SLASH,
  SPACE,
  startsNumber,
} from './characters.ts';
import { type CallLiteral, type CallName, CALLS, type Literal, UNSUPPORTED } from './literal.ts';
import { type Place, readLoosely } from './lone-apostrophes.ts';
import type { RedoCursor } from './redo-cursor.ts';

/** A string among a call's arguments: apostrophes in it are doubled in any release. */
const ARGUMENT = 3;

/** As they are written, with what follows. */
const CALL_OPENINGS = CALLS.map((name) => ({ name, text: `${name}(` }));
/** The mask of NLS_DATE_FORMAT that every session sets. */
const DATE_MASK = ", 'YYYY-MM-DD HH24:MI:SS')";

/** A value as LogMiner prints it: a literal, a call, or several with `||` between them. */
export function readValue(cursor: RedoCursor, place: Place): Literal {
  while (cursor.text.charCodeAt(cursor.at) === SLASH) skipComment(cursor);
  const first = readAtom(cursor, place);
  const code = cursor.text.charCodeAt(cursor.at);
  // Nearly always: no other part can follow.
  if (code === COMMA || code === CLOSE || code === SEMICOLON) return first;
  if (code === SPACE && cursor.text.charCodeAt(cursor.at + 1) === 97) return first; // ` and `
  const end = cursor.at;
  cursor.blanks();
  if (cursor.text.charCodeAt(cursor.at) !== BAR) {
    cursor.at = end;
    return first;
  }
  const parts: Literal[] = [first];
  for (;;) {
    if (!cursor.eat('||')) throw cursor.malformed('a value expected');
    cursor.blanks();
    parts.push(readAtom(cursor, place));
    const behind = cursor.at;
    cursor.blanks();
    if (cursor.text.charCodeAt(cursor.at) !== BAR) {
      cursor.at = behind;
      return { kind: 'concat', parts };
    }
  }
}

function readAtom(cursor: RedoCursor, place: Place): Literal {
  const code = cursor.text.charCodeAt(cursor.at);
  if (code === APOSTROPHE) return readString(cursor, place);
  if (startsNumber(code)) return readNumber(cursor);
  if (cursor.eat('NULL')) return null;
  if (cursor.eat('Unsupported Type')) return UNSUPPORTED;
  if (cursor.eat('LM_EMPTY_STRING')) return '';
  return readCall(cursor);
}

function readCall(cursor: RedoCursor): CallLiteral {
  const name = readCallName(cursor);
  let argument: Literal = null;
  if (cursor.text.charCodeAt(cursor.at) === APOSTROPHE) {
    argument = readString(cursor, ARGUMENT);
    if (cursor.eatChar(CLOSE) || cursor.eat(DATE_MASK)) return { kind: 'call', name, argument };
    cursor.blanks();
  } else {
    cursor.blanks();
    if (cursor.eatChar(CLOSE)) return { kind: 'call', name, argument };
    argument = readArgument(cursor);
  }
  while (cursor.eatChar(COMMA)) {
    cursor.blanks();
    readArgument(cursor);
  }
  cursor.expect(CLOSE);
  return { kind: 'call', name, argument };
}

/** Up to and with the parenthesis. */
function readCallName(cursor: RedoCursor): CallName {
  for (const opening of CALL_OPENINGS) if (cursor.eat(opening.text)) return opening.name;
  const start = cursor.at;
  while (isWord(cursor.text.charCodeAt(cursor.at))) cursor.at++;
  const word = cursor.text.slice(start, cursor.at).toUpperCase(); // XMLTYPE is also written XMLType
  const name = CALLS.find((call) => call === word);
  if (name === undefined) {
    cursor.at = start;
    throw cursor.malformed('a value expected');
  }
  cursor.blanks();
  cursor.expect(OPEN);
  return name;
}

/** Literals only: calls do not nest, so neither does this. */
function readArgument(cursor: RedoCursor): Literal {
  const code = cursor.text.charCodeAt(cursor.at);
  let value: Literal;
  if (code === APOSTROPHE) value = readString(cursor, ARGUMENT);
  else if (cursor.eat('NULL')) value = null;
  else value = readNumber(cursor);
  cursor.blanks();
  return value;
}

function readNumber(cursor: RedoCursor): { readonly kind: 'number'; readonly text: string } {
  const text = cursor.text;
  const start = cursor.at;
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
  if (count === 0) throw cursor.malformed('a value expected');
  if ((text.charCodeAt(at) | 32) === 101) {
    let exponent = at + 1;
    const exponentSign = text.charCodeAt(exponent);
    if (exponentSign === PLUS || exponentSign === MINUS) exponent++;
    if (!isDigit(text.charCodeAt(exponent))) throw cursor.malformed('a number without its exponent');
    while (isDigit(text.charCodeAt(exponent))) exponent++;
    at = exponent;
  }
  cursor.at = at;
  return { kind: 'number', text: text.slice(start, at) };
}

/** A string, and what it stands for. */
export function readString(cursor: RedoCursor, place: Place | typeof ARGUMENT): string {
  const text = cursor.text;
  if (text.charCodeAt(cursor.at) !== APOSTROPHE) throw cursor.malformed('a string expected');
  if (cursor.relaxed && place !== ARGUMENT) {
    const found = readLoosely(text, cursor.at, place);
    if (found === null) throw cursor.malformed('unterminated string');
    cursor.at = found.end;
    return found.value;
  }
  const start = cursor.at + 1;
  let end = text.indexOf("'", start);
  if (end < 0) throw cursor.malformed('unterminated string');
  if (text.charCodeAt(end + 1) !== APOSTROPHE) {
    cursor.at = end + 1;
    return text.slice(start, end);
  }
  do {
    end = text.indexOf("'", end + 2);
    if (end < 0) throw cursor.malformed('unterminated string');
  } while (text.charCodeAt(end + 1) === APOSTROPHE);
  cursor.at = end + 1;
  return text.slice(start, end).replaceAll("''", "'");
}

function skipComment(cursor: RedoCursor): void {
  if (!cursor.eat('/*')) throw cursor.malformed('a value expected');
  const end = cursor.text.indexOf('*/', cursor.at);
  if (end < 0) throw cursor.malformed('unterminated comment');
  cursor.at = end + 2;
  cursor.blanks();
}
