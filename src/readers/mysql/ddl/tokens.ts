/** `word`: an identifier or keyword as written; `quoted`: an identifier without its quotes; `mark`: one character. */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'mark';
  readonly text: string;
}

/** Long lists of values are of no interest. */
const MAX_TOKENS = 20_000;

/**
 * The tokens of a statement, without comments; what stands in executable comments (with `!`,
 * MariaDB's also with `M!`) is part of it, as the servers have it. Never fails: what is no token is a mark.
 */
export function tokens(sql: string): readonly Token[] {
  const out: Token[] = [];
  const pattern =
    /\s+|--(?=[\s])[^\n]*|--$|#[^\n]*|\/\*M?!\d*|\*\/|\/\*[^]*?(?:\*\/|$)|`((?:[^`]|``)*)`|"((?:[^"\\]|\\.|"")*)"|'(?:[^'\\]|\\.|'')*'|[\p{L}\p{N}_$@]+|[^]/gu;
  for (const match of sql.matchAll(pattern)) {
    const [text, backticks, quotes] = match;
    if (backticks !== undefined) out.push({ kind: 'quoted', text: backticks.replaceAll('``', '`') });
    else if (quotes !== undefined) out.push({ kind: 'quoted', text: quotes.replaceAll('""', '"') });
    else if (text.startsWith("'")) out.push({ kind: 'string', text: '' });
    else if (/^[\p{L}\p{N}_$@]/u.test(text)) out.push({ kind: 'word', text });
    else if (text.length === 1 && /\S/.test(text) && text !== '#') out.push({ kind: 'mark', text });
    if (out.length >= MAX_TOKENS) break;
  }
  return out;
}
