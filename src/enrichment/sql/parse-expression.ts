/** Expressions: Pratt's way, levels as in enrichment.md section 3. */
import type { ComparisonOperator, Expr } from './ast.ts';
import { parseType } from './parse-type.ts';
import type { TokenCursor } from './token-cursor.ts';

/** Levels of binding, loosest first; 4 is that of comparisons, which are not associative. */
const LEVELS: ReadonlyMap<string, number> = new Map([
  ['OR', 1],
  ['AND', 2],
  ['=', 4],
  ['<>', 4],
  ['!=', 4],
  ['<', 4],
  ['<=', 4],
  ['>', 4],
  ['>=', 4],
  ['IS', 4],
  ['LIKE', 4],
  ['BETWEEN', 4],
  ['IN', 4],
  ['NOT', 4],
  ['||', 5],
  ['+', 6],
  ['-', 6],
  ['*', 7],
  ['/', 7],
  ['%', 7],
]);
const NOT_LEVEL = 3;
const COMPARISON_LEVEL = 4;
const UNARY_LEVEL = 8;

export function parseExpression(cursor: TokenCursor): Expr {
  return parseAbove(cursor, 0);
}

/** An expression of operators that bind tighter than `level`. */
function parseAbove(cursor: TokenCursor, level: number): Expr {
  return cursor.nested(() => {
    let left = prefix(cursor);
    let compared = false;
    for (;;) {
      const { token } = cursor;
      if (token.kind !== 'symbol' && token.kind !== 'word') return left;
      const binds = LEVELS.get(token.text);
      if (binds === undefined || binds <= level) return left;
      if (binds === COMPARISON_LEVEL) {
        if (compared)
          throw cursor.error('comparisons cannot be chained; write AND between them, or parentheses');
        compared = true;
      }
      cursor.deeper();
      left = infix(cursor, left, binds);
    }
  });
}

function prefix(cursor: TokenCursor): Expr {
  const { at } = cursor;
  if (cursor.acceptWords('NOT')) return { kind: 'not', operand: parseAbove(cursor, NOT_LEVEL - 1), at };
  if (cursor.acceptSymbol('-')) return { kind: 'negate', operand: parseAbove(cursor, UNARY_LEVEL - 1), at };
  if (cursor.acceptSymbol('+')) return { kind: 'plus', operand: parseAbove(cursor, UNARY_LEVEL - 1), at };
  return postfix(cursor, primary(cursor));
}

function infix(cursor: TokenCursor, left: Expr, level: number): Expr {
  const { at } = cursor;
  const { text } = cursor.advance();
  switch (text) {
    case 'OR':
    case 'AND':
      return { kind: text === 'OR' ? 'or' : 'and', left, right: parseAbove(cursor, level), at };
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
    case '||':
      return { kind: 'binary', op: text, left, right: parseAbove(cursor, level), at };
    case 'IS':
      return isTest(cursor, left, at);
    case 'NOT': {
      const word = cursor.expectOneOf(['LIKE', 'BETWEEN', 'IN']);
      return predicate(cursor, { left, word, negated: true, at });
    }
    case 'LIKE':
    case 'BETWEEN':
    case 'IN':
      return predicate(cursor, { left, word: text, negated: false, at });
    default:
      return { kind: 'comparison', op: comparisonOf(text), left, right: parseAbove(cursor, level), at };
  }
}

function comparisonOf(text: string): ComparisonOperator {
  switch (text) {
    case '=':
    case '<':
    case '<=':
    case '>':
    case '>=':
      return text;
    default:
      return '<>';
  }
}

function isTest(cursor: TokenCursor, operand: Expr, at: number): Expr {
  const negated = cursor.acceptWords('NOT');
  if (cursor.acceptWords('NULL')) return { kind: 'isNull', operand, negated, at };
  if (cursor.acceptWords('DISTINCT', 'FROM')) {
    return { kind: 'isDistinct', left: operand, right: parseAbove(cursor, COMPARISON_LEVEL), negated, at };
  }
  throw cursor.expected(negated ? ['NULL', 'DISTINCT FROM'] : ['NULL', 'NOT NULL', 'DISTINCT FROM']);
}

function predicate(
  cursor: TokenCursor,
  { left, word, negated, at }: { left: Expr; word: 'LIKE' | 'BETWEEN' | 'IN'; negated: boolean; at: number },
): Expr {
  switch (word) {
    case 'LIKE': {
      const pattern = parseAbove(cursor, COMPARISON_LEVEL);
      let escape: string | null = null;
      if (cursor.acceptWords('ESCAPE')) {
        const { at: where } = cursor;
        escape = cursor.string('one character');
        if (escape.length !== 1) throw cursor.error('ESCAPE takes exactly one character', where);
      }
      return { kind: 'like', operand: left, pattern, escape, negated, at };
    }
    case 'BETWEEN': {
      const low = parseAbove(cursor, COMPARISON_LEVEL);
      cursor.expectWords('AND');
      return { kind: 'between', operand: left, low, high: parseAbove(cursor, COMPARISON_LEVEL), negated, at };
    }
    case 'IN':
      cursor.expectSymbol('(');
      return { kind: 'in', operand: left, items: listUntil(cursor, ')', false), negated, at };
  }
}

/** `x[i]` and `s->field`, any number of them. */
function postfix(cursor: TokenCursor, operand: Expr): Expr {
  let result = operand;
  for (;;) {
    const { at } = cursor;
    if (cursor.acceptSymbol('[')) {
      cursor.deeper();
      const index = parseExpression(cursor);
      cursor.expectSymbol(']');
      result = { kind: 'index', operand: result, index, at };
    } else if (cursor.isSymbol('->') && !cursor.isSymbol('*', 1)) {
      cursor.deeper();
      cursor.advance();
      result = { kind: 'field', operand: result, name: cursor.name('the name of a field'), at };
    } else return result;
  }
}

function primary(cursor: TokenCursor): Expr {
  const { token, at } = cursor;
  switch (token.kind) {
    case 'integer':
    case 'decimal':
    case 'double':
      cursor.advance();
      return { kind: token.kind, text: token.text, at };
    case 'string':
      cursor.advance();
      return { kind: 'string', value: token.text, at };
    case 'symbol':
      if (cursor.acceptSymbol('(')) {
        const inner = parseExpression(cursor);
        cursor.expectSymbol(')');
        return inner;
      }
      break;
    case 'word':
      switch (token.text) {
        case 'NULL':
          cursor.advance();
          return { kind: 'null', at };
        case 'TRUE':
        case 'FALSE':
          cursor.advance();
          return { kind: 'boolean', value: token.text === 'TRUE', at };
        case 'CASE':
          return caseOf(cursor);
        case 'CAST':
          return cast(cursor);
        case 'ARRAY':
          if (cursor.isSymbol('[', 1)) return arrayOf(cursor);
          break;
        case 'MAP':
          if (cursor.isSymbol('(', 1)) return mapOf(cursor);
          break;
        case 'STRUCT':
          if (cursor.isSymbol('(', 1)) return structOf(cursor);
          break;
        case 'LEFT':
        case 'RIGHT':
          throw cursor.expected(['an expression']);
        default:
      }
      break;
    default:
  }
  if (!cursor.isName()) throw cursor.expected(['an expression']);
  if (cursor.isSymbol('(', 1)) return call(cursor);
  const name = cursor.advance().text;
  if (!cursor.acceptSymbol('.')) return { kind: 'name', source: null, name, at };
  return { kind: 'name', source: name, name: cursor.name('a column'), at };
}

function call(cursor: TokenCursor): Expr {
  const { at } = cursor;
  const name = cursor.advance().text;
  cursor.expectSymbol('(');
  if (cursor.isSymbol('*') && cursor.isSymbol(')', 1)) {
    cursor.advance();
    cursor.advance();
    return { kind: 'call', name, args: [], star: true, at };
  }
  return { kind: 'call', name, args: listUntil(cursor, ')', true), star: false, at };
}

function listUntil(cursor: TokenCursor, close: string, mayBeEmpty: boolean): readonly Expr[] {
  const items: Expr[] = [];
  if (mayBeEmpty && cursor.acceptSymbol(close)) return items;
  do items.push(mayBeEmpty ? argument(cursor) : parseExpression(cursor));
  while (cursor.acceptSymbol(','));
  cursor.expectSymbol(close);
  return items;
}

/** An expression or a lambda: `x => e`, `(x, y) => e`. */
function argument(cursor: TokenCursor): Expr {
  const { at, index } = cursor;
  const parameters: string[] = [];
  if (cursor.isName() && cursor.isSymbol('=>', 1)) {
    parameters.push(cursor.advance().text);
  } else if (cursor.acceptSymbol('(')) {
    while (cursor.isName()) {
      parameters.push(cursor.advance().text);
      if (!cursor.acceptSymbol(',')) break;
    }
    if (parameters.length === 0 || !cursor.acceptSymbol(')') || !cursor.isSymbol('=>')) {
      cursor.rewind(index);
      return parseExpression(cursor);
    }
  } else return parseExpression(cursor);
  cursor.expectSymbol('=>');
  return { kind: 'lambda', parameters, body: parseExpression(cursor), at };
}

function caseOf(cursor: TokenCursor): Expr {
  const { at } = cursor;
  cursor.expectWords('CASE');
  const operand = cursor.isWord('WHEN') ? null : parseExpression(cursor);
  const branches: { when: Expr; result: Expr }[] = [];
  while (cursor.acceptWords('WHEN')) {
    const when = parseExpression(cursor);
    cursor.expectWords('THEN');
    branches.push({ when, result: parseExpression(cursor) });
  }
  if (branches.length === 0) throw cursor.expected(['WHEN']);
  const otherwise = cursor.acceptWords('ELSE') ? parseExpression(cursor) : null;
  if (!cursor.acceptWords('END')) throw cursor.expected(['WHEN', 'ELSE', 'END']);
  return { kind: 'case', operand, branches, otherwise, at };
}

function cast(cursor: TokenCursor): Expr {
  const { at } = cursor;
  cursor.expectWords('CAST');
  cursor.expectSymbol('(');
  const operand = parseExpression(cursor);
  cursor.expectWords('AS');
  const type = parseType(cursor);
  cursor.expectSymbol(')');
  return { kind: 'cast', operand, type, at };
}

function arrayOf(cursor: TokenCursor): Expr {
  const { at } = cursor;
  cursor.advance();
  cursor.expectSymbol('[');
  const items: Expr[] = [];
  if (!cursor.acceptSymbol(']')) {
    do items.push(parseExpression(cursor));
    while (cursor.acceptSymbol(','));
    cursor.expectSymbol(']');
  }
  return { kind: 'array', items, at };
}

function mapOf(cursor: TokenCursor): Expr {
  const { at } = cursor;
  cursor.advance();
  cursor.expectSymbol('(');
  const entries: { key: Expr; value: Expr }[] = [];
  if (!cursor.acceptSymbol(')')) {
    do {
      const key = parseExpression(cursor);
      cursor.expectSymbol(':=');
      entries.push({ key, value: parseExpression(cursor) });
    } while (cursor.acceptSymbol(','));
    cursor.expectSymbol(')');
  }
  return { kind: 'map', entries, at };
}

function structOf(cursor: TokenCursor): Expr {
  const { at } = cursor;
  cursor.advance();
  cursor.expectSymbol('(');
  const fields: { name: string; value: Expr }[] = [];
  do {
    const { at: where } = cursor;
    const name = cursor.name('the name of a field');
    if (fields.some((field) => field.name === name))
      throw cursor.error(`the field ${name} stands there twice`, where);
    cursor.expectSymbol(':=');
    fields.push({ name, value: parseExpression(cursor) });
  } while (cursor.acceptSymbol(','));
  cursor.expectSymbol(')');
  return { kind: 'struct', fields, at };
}
