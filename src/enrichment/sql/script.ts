import { tokenize } from './lexer.ts';
import { type Dialect } from './token-cursor.ts';
import { type Parsed, parseStatement } from './parse-statement.ts';
import { placeOf, type SourceText, sqlError } from './sql-error.ts';

/** A text of any number of statements, cut at `;` outside of quotes and comments. Blank ones are left out. */
export function splitStatements(script: string, dialect: Dialect): readonly SourceText[] {
  const whole: SourceText = { text: script, line: 1, column: 1 };
  const statements: SourceText[] = [];
  let start = 0;
  let at = 0;
  const cut = (end: number): SourceText | null => {
    const from = start + leading(script.slice(start, end));
    start = end + 1;
    return from >= end ? null : { text: script.slice(from, end), ...placeOf(whole, from) };
  };
  while (at < script.length) {
    const c = script.charAt(at);
    if (c === ';') {
      const statement = cut(at);
      if (statement !== null) statements.push(statement);
      at++;
    } else at = pieceEnd(script, at, c);
  }
  const last = cut(script.length);
  if (last !== null) {
    if (dialect === 'ksqldb') {
      // A quote or comment without an end has swallowed the ";": that is what is wrong then.
      tokenize(last);
      throw sqlError(whole, script.trimEnd().length, 'expected ";" at the end of the statement');
    }
    statements.push(last);
  }
  return statements;
}

/** Past the quoted text, comment or character that begins there. One without an end is the parser's to refuse. */
function pieceEnd(script: string, at: number, c: string): number {
  let close = '';
  if (c === "'" || c === '"' || c === '`') close = c;
  else if (script.startsWith('--', at)) close = '\n';
  else if (script.startsWith('/*', at)) close = '*/';
  if (close === '') return at + 1;
  const end = script.indexOf(close, at + (close === '*/' ? 2 : 1));
  return end < 0 ? script.length : end + close.length;
}

/** Length of blanks and comments at the beginning. */
function leading(text: string): number {
  return /^(?:\s|\uFEFF|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/)*/.exec(text)?.[0].length ?? 0;
}

/**
 * The statement with every `${name}` replaced by the variable's value. Inside quotes the value's quotes are
 * doubled; elsewhere it is placed as it is. Throws for a name that is not defined.
 */
export function substitute(source: SourceText, variables: ReadonlyMap<string, string>): SourceText {
  const { text } = source;
  if (!text.includes('${')) return source;
  let result = '';
  let at = 0;
  let quote: string | null = null;
  while (at < text.length) {
    const c = text.charAt(at);
    if (quote === null && (text.startsWith('--', at) || text.startsWith('/*', at))) {
      const end = pieceEnd(text, at, c);
      result += text.slice(at, end);
      at = end;
      continue;
    }
    if (text.startsWith('${', at)) {
      const end = text.indexOf('}', at);
      if (end < 0) throw sqlError(source, at, 'the reference that begins here has no end; write }');
      const name = text.slice(at + 2, end).trim();
      const value = variables.get(name.toUpperCase());
      if (value === undefined)
        throw sqlError(
          source,
          at,
          `the variable ${name} is not defined; write DEFINE ${name} = '…'; before it`,
        );
      result += quote === null ? value : value.replaceAll(quote, quote + quote);
      at = end + 1;
      continue;
    }
    if (quote === null && (c === "'" || c === '"' || c === '`')) quote = c;
    else if (c === quote) quote = null;
    result += c;
    at++;
  }
  return { ...source, text: result };
}

/** All statements of a script in order, with DEFINE and UNDEFINE followed and left out. */
export function parseScript(
  script: string,
  dialect: Dialect,
  given: ReadonlyMap<string, string> = new Map(),
): readonly Parsed[] {
  return parseSession(script, dialect, given).filter(
    ({ statement: { kind } }) => kind !== 'define' && kind !== 'undefine',
  );
}

/** All statements of a script in order, DEFINE and UNDEFINE among them; these are followed in those behind. */
export function parseSession(
  script: string,
  dialect: Dialect,
  given: ReadonlyMap<string, string>,
): readonly Parsed[] {
  const variables = new Map([...given].map(([name, value]) => [name.toUpperCase(), value]));
  const statements: Parsed[] = [];
  for (const source of splitStatements(script, dialect)) {
    const parsed = parseStatement(substitute(source, variables), dialect);
    const { statement } = parsed;
    if (statement.kind === 'define') variables.set(statement.name, statement.value);
    else if (statement.kind === 'undefine') variables.delete(statement.name);
    statements.push(parsed);
  }
  return statements;
}
