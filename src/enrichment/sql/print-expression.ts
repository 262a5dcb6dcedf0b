/** Expressions as SQL text that parses to the same tree, with no more parentheses than needed. */
import type { Expr } from './ast.ts';
import { typeText } from './sql-type.ts';
import { nameText, stringText } from './words.ts';

const LEVEL: Readonly<Record<string, number>> = {
  or: 1,
  and: 2,
  not: 3,
  comparison: 4,
  isNull: 4,
  isDistinct: 4,
  like: 4,
  between: 4,
  in: 4,
  negate: 8,
  plus: 8,
};
const BINARY: Readonly<Record<string, number>> = { '||': 5, '+': 6, '-': 6, '*': 7, '/': 7, '%': 7 };
const PRIMARY = 10;

function levelOf(expr: Expr): number {
  if (expr.kind === 'binary') return BINARY[expr.op] ?? PRIMARY;
  if (expr.kind === 'lambda') return 0;
  return LEVEL[expr.kind] ?? PRIMARY;
}

export function printExpression(expr: Expr): string {
  switch (expr.kind) {
    case 'null':
      return 'NULL';
    case 'boolean':
      return expr.value ? 'TRUE' : 'FALSE';
    case 'integer':
    case 'decimal':
    case 'double':
      return expr.text;
    case 'string':
      return stringText(expr.value);
    case 'name':
      return expr.source === null ? nameText(expr.name) : `${nameText(expr.source)}.${nameText(expr.name)}`;
    case 'not':
      return `NOT ${above(expr.operand, 2)}`;
    case 'negate':
      // Two hyphens would begin a comment.
      return expr.operand.kind === 'negate'
        ? `-(${printExpression(expr.operand)})`
        : `-${above(expr.operand, 7)}`;
    case 'plus':
      return `+${above(expr.operand, 7)}`;
    case 'or':
      return `${above(expr.left, 0)} OR ${above(expr.right, 1)}`;
    case 'and':
      return `${above(expr.left, 1)} AND ${above(expr.right, 2)}`;
    case 'binary': {
      const level = levelOf(expr);
      return `${above(expr.left, level - 1)} ${expr.op} ${above(expr.right, level)}`;
    }
    case 'comparison':
      return `${above(expr.left, 4)} ${expr.op} ${above(expr.right, 4)}`;
    case 'isNull':
      return `${above(expr.operand, 4)} IS ${expr.negated ? 'NOT ' : ''}NULL`;
    case 'isDistinct':
      return `${above(expr.left, 4)} IS ${expr.negated ? 'NOT ' : ''}DISTINCT FROM ${above(expr.right, 4)}`;
    case 'like': {
      const escape = expr.escape === null ? '' : ` ESCAPE ${stringText(expr.escape)}`;
      return `${above(expr.operand, 4)} ${not(expr)}LIKE ${above(expr.pattern, 4)}${escape}`;
    }
    case 'between':
      return `${above(expr.operand, 4)} ${not(expr)}BETWEEN ${above(expr.low, 4)} AND ${above(expr.high, 4)}`;
    case 'in':
      return `${above(expr.operand, 4)} ${not(expr)}IN (${expr.items.map(printExpression).join(', ')})`;
    case 'index':
      return `${above(expr.operand, 9)}[${printExpression(expr.index)}]`;
    case 'field':
      return `${above(expr.operand, 9)}->${nameText(expr.name)}`;
    case 'call':
      return `${nameText(expr.name)}(${expr.star ? '*' : expr.args.map(printExpression).join(', ')})`;
    case 'case': {
      const operand = expr.operand === null ? '' : ` ${printExpression(expr.operand)}`;
      const branches = expr.branches
        .map(({ when, result }) => ` WHEN ${printExpression(when)} THEN ${printExpression(result)}`)
        .join('');
      const otherwise = expr.otherwise === null ? '' : ` ELSE ${printExpression(expr.otherwise)}`;
      return `CASE${operand}${branches}${otherwise} END`;
    }
    case 'cast':
      return `CAST(${printExpression(expr.operand)} AS ${typeText(expr.type)})`;
    case 'array':
      return `ARRAY[${expr.items.map(printExpression).join(', ')}]`;
    case 'map':
      return `MAP(${expr.entries
        .map(({ key, value }) => `${printExpression(key)} := ${printExpression(value)}`)
        .join(', ')})`;
    case 'struct':
      return `STRUCT(${expr.fields
        .map(({ name, value }) => `${nameText(name)} := ${printExpression(value)}`)
        .join(', ')})`;
    case 'lambda': {
      const names = expr.parameters.map(nameText);
      return `${names.length === 1 ? names.join('') : `(${names.join(', ')})`} => ${printExpression(expr.body)}`;
    }
  }
}

function not({ negated }: { readonly negated: boolean }): string {
  return negated ? 'NOT ' : '';
}

/** The operand as it must be written where only what binds tighter than `level` may stand without parentheses. */
function above(expr: Expr, level: number): string {
  const text = printExpression(expr);
  return levelOf(expr) > level ? text : `(${text})`;
}
