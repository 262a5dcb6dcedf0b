/**
 * Strings whose apostrophes are not doubled, as some releases write those of extended columns: one ends where what
 * follows can only follow an end.
 */
import {
  APOSTROPHE,
  CLOSE,
  COMMA,
  DOT,
  isOver,
  isWord,
  QUOTE,
  skipBlanks,
  SLASH,
  STAR,
  startsNumber,
} from './characters.ts';
import { CALLS } from './literal.ts';

/** What a string stands in: it decides what may follow one. */
export const VALUES = 0;
export const SET = 1;
export const WHERE = 2;
export type Place = typeof VALUES | typeof SET | typeof WHERE;

/** The string that opens at `at`, and where the text goes on behind it; null where it does not end. */
export function readLoosely(
  text: string,
  at: number,
  place: Place,
): { readonly value: string; readonly end: number } | null {
  let from = at + 1;
  let value = '';
  let end = text.indexOf("'", from);
  while (end >= 0) {
    const doubled = text.charCodeAt(end + 1) === APOSTROPHE;
    const behind = doubled ? end + 2 : end + 1;
    if (endsAt(text, behind, place)) {
      return { value: value + text.slice(from, doubled ? end + 1 : end), end: behind };
    }
    value += text.slice(from, end + 1);
    from = behind;
    end = text.indexOf("'", from);
  }
  return null;
}

/** Whether what stands at `at` can be what follows a string there. */
function endsAt(text: string, at: number, place: Place): boolean {
  if (place !== VALUES && isOver(text, at)) return true;
  switch (place) {
    case VALUES:
      if (text.charCodeAt(at) === CLOSE) return isOver(text, at + 1);
      return text.charCodeAt(at) === COMMA && startsValue(text, skipBlanks(text, at + 1));
    case SET: {
      const next = skipBlanks(text, at);
      if (text.charCodeAt(next) === COMMA) return startsColumn(text, skipBlanks(text, next + 1));
      return text.startsWith('where ', next) && startsColumn(text, next + 6);
    }
    case WHERE: {
      const next = skipBlanks(text, at);
      if (next === at) return false;
      if (text.startsWith('and ', next)) return startsColumn(text, next + 4);
      return text.startsWith('or ', next) && startsColumn(text, next + 3);
    }
  }
}

function startsValue(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code === APOSTROPHE || startsNumber(code)) return true;
  if (code === SLASH) return text.charCodeAt(at + 1) === STAR;
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
