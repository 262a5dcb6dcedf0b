import { unescapeLiteral } from '../wire/quoting.ts';

/**
 * `word`: an identifier or keyword as written; `quoted`: without its quotes, an identifier or, in double quotes, perhaps
 * a string; `string`: what it says; `mark`: one character.
 */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'mark';
  readonly text: string;
}

/** Long lists of values are of no interest. */
const MAX_TOKENS = 20_000;

/** A statement, and what its session had set that matters for reading it. */
export interface Sql {
  readonly sql: string;
  /** NO_BACKSLASH_ESCAPES. */
  readonly plainBackslashes?: boolean;
}

const REST = String.raw`|[\p{L}\p{N}_$@]+|[^]`;
const BLANKS = String.raw`\s+|--(?=[\s])[^\n]*|--$|#[^\n]*|\/\*M?!\d*|\*\/|\/\*[^]*?(?:\*\/|$)|`;
const BACKTICKS = '`((?:[^`]|``)*)`';
const ESCAPED = new RegExp(
  String.raw`${BLANKS}${BACKTICKS}|"((?:[^"\\]|\\[^]|"")*)"|'((?:[^'\\]|\\[^]|'')*)'${REST}`,
  'gu',
);
const PLAIN = new RegExp(`${BLANKS}${BACKTICKS}|"((?:[^"]|"")*)"|'((?:[^']|'')*)'${REST}`, 'gu');

/**
 * The tokens of a statement, without comments; what stands in executable comments (with `!`,
 * MariaDB's also with `M!`) is part of it, as the servers have it. Never fails: what is no token is a mark.
 */
export function tokens({ sql, plainBackslashes = false }: Sql): readonly Token[] {
  const out: Token[] = [];
  for (const match of sql.matchAll(plainBackslashes ? PLAIN : ESCAPED)) {
    const [text, backticks, quotes, string] = match;
    if (backticks !== undefined) out.push({ kind: 'quoted', text: backticks.replaceAll('``', '`') });
    else if (quotes !== undefined) out.push({ kind: 'quoted', text: quotes.replaceAll('""', '"') });
    else if (string !== undefined)
      out.push({
        kind: 'string',
        text: plainBackslashes ? string.replaceAll("''", "'") : unescapeLiteral(string),
      });
    else if (/^[\p{L}\p{N}_$@]/u.test(text)) out.push({ kind: 'word', text });
    else if (text.length === 1 && /\S/.test(text) && text !== '#') out.push({ kind: 'mark', text });
    if (out.length >= MAX_TOKENS) break;
  }
  return out;
}
