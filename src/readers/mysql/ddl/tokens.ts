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

/** Blanks, comments, words, and any one character. Literals are not among them: they may be many megabytes long. */
const PIECE = /\s+|--(?=[\s])[^\n]*|--$|#[^\n]*|\/\*M?!\d*|\*\/|\/\*[^]*?(?:\*\/|$)|[\p{L}\p{N}_$@]+|[^]/uy;
const APOSTROPHE = 39;
const QUOTE = 34;
const BACKTICK = 96;
const BACKSLASH = 92;

/**
 * The tokens of a statement, without comments; what stands in executable comments (with `!`,
 * MariaDB's also with `M!`) is part of it, as the servers have it. Never fails: what is no token is a mark.
 */
export function tokens({ sql, plainBackslashes = false }: Sql): readonly Token[] {
  const out: Token[] = [];
  const piece = new RegExp(PIECE);
  let at = 0;
  while (at < sql.length && out.length < MAX_TOKENS) {
    const code = sql.charCodeAt(at);
    if (code === APOSTROPHE || code === QUOTE || code === BACKTICK) {
      const end = endOfLiteral(sql, at, code !== BACKTICK && !plainBackslashes);
      if (end < 0) {
        // No server runs it: what follows is of no statement.
        out.push({ kind: 'mark', text: sql.charAt(at) });
        break;
      }
      out.push(literal(sql.slice(at + 1, end), code, plainBackslashes));
      at = end + 1;
      continue;
    }
    piece.lastIndex = at;
    const text = piece.exec(sql)?.[0] ?? '';
    at += text.length;
    if (/^[\p{L}\p{N}_$@]/u.test(text)) out.push({ kind: 'word', text });
    else if (text.length === 1 && /\S/.test(text) && text !== '#') out.push({ kind: 'mark', text });
  }
  return out;
}

/** Where the quote stands that ends what begins at `from`; −1 where nothing does. */
function endOfLiteral(sql: string, from: number, backslashes: boolean): number {
  const quote = sql.charCodeAt(from);
  for (let at = from + 1; at < sql.length; at++) {
    const code = sql.charCodeAt(at);
    if (code === BACKSLASH && backslashes) at++;
    else if (code === quote && sql.charCodeAt(++at) !== quote) return at - 1;
  }
  return -1;
}

/** `inside`: between the quotes. */
function literal(inside: string, quote: number, plainBackslashes: boolean): Token {
  if (quote === BACKTICK) return { kind: 'quoted', text: inside.replaceAll('``', '`') };
  if (quote === QUOTE) return { kind: 'quoted', text: inside.replaceAll('""', '"') };
  return { kind: 'string', text: plainBackslashes ? inside.replaceAll("''", "'") : unescapeLiteral(inside) };
}
