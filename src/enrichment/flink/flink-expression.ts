/** Expressions of statements as Flink SQL. Types decide: they are those of the compiled statement. */
import { AGGREGATE_NAMES, bindAggregate } from '../sql/functions/aggregates.ts';
import type { SelectScope } from '../plan/select-scope.ts';
import type { Expr } from '../sql/ast.ts';
import { type Scope, tryCoerce, withPseudoTimes } from '../sql/coerce.ts';
import { compileExpression } from '../sql/compile.ts';
import type { Typed } from '../sql/frame.ts';
import type { SourceText } from '../sql/sql-error.ts';
import { BIGINT, type SqlType } from '../sql/sql-type.ts';
import { flinkAggregate, flinkFunction } from './flink-functions.ts';
import {
  flinkLiteral,
  flinkName,
  flinkString,
  flinkType,
  floorDivided,
  millisOf,
  millisOfIso,
  NoEqual,
} from './flink-text.ts';

type NameExpr = Expr & { readonly kind: 'name' };
type CallExpr = Expr & { readonly kind: 'call' };

/** What names mean where the expression is put. */
export interface FlinkNames {
  readonly scope: SelectScope;
  /** Text of a column, by the place of its source in FROM and its own place there. */
  readonly column: (input: number, name: string) => string;
  /** Text of what an expression as a whole stands for; null for others. */
  readonly replaced: (expr: Expr) => string | null;
  /** The expression that HAVING calls by a name of the projection; null for other names. */
  readonly aliased: (name: NameExpr) => Expr | null;
  readonly differs: (sentence: string) => void;
}

/** As `scope`, with the types of aggregates. */
class AggregateScope implements Scope {
  readonly source: SourceText;
  readonly #inner: SelectScope;
  readonly #aliased: FlinkNames['aliased'];

  constructor({ scope, aliased }: FlinkNames) {
    this.source = scope.source;
    this.#inner = scope;
    this.#aliased = aliased;
  }

  column(name: NameExpr): Typed {
    const aliased = this.#aliased(name);
    if (aliased !== null) return compileExpression(aliased, this);
    if (name.name !== 'WINDOWSTART' && name.name !== 'WINDOWEND') return this.#inner.column(name);
    return { type: BIGINT, at: name.at, run: () => null };
  }

  call(call: CallExpr): Typed | null {
    const { name, args, star, at } = call;
    if (!AGGREGATE_NAMES.has(name)) return this.#inner.call(call);
    const compiled = args.map((each) => compileExpression(each, this.#inner));
    const { type } = bindAggregate({ name, args: compiled, scope: this.#inner, at }, star);
    return { type, at, run: () => null };
  }
}

export class FlinkExpressions {
  readonly #names: FlinkNames;
  readonly #types: AggregateScope;

  constructor(names: FlinkNames) {
    this.#names = names;
    this.#types = new AggregateScope(names);
  }

  /** Throws NoEqual. */
  text(expr: Expr): string {
    const replaced = this.#names.replaced(expr);
    if (replaced !== null) return replaced;
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
        return flinkString(expr.value);
      case 'name': {
        const aliased = this.#names.aliased(expr);
        return aliased === null ? this.#name(expr) : this.text(aliased);
      }
      case 'plus':
        return this.text(expr.operand);
      case 'negate':
        return `(-${this.text(expr.operand)})`;
      case 'not':
        return `(NOT ${this.text(expr.operand)})`;
      case 'and':
      case 'or':
        return `(${this.text(expr.left)} ${expr.kind.toUpperCase()} ${this.text(expr.right)})`;
      case 'binary':
        return this.#arithmetic(expr);
      case 'comparison':
        return this.#compared(expr.left, expr.op, expr.right);
      case 'isNull':
        return `(${this.text(expr.operand)} IS ${negation(expr)}NULL)`;
      case 'isDistinct':
        return this.#compared(expr.left, `IS ${negation(expr)}DISTINCT FROM`, expr.right);
      case 'like': {
        const escape = expr.escape === null ? '' : ` ESCAPE ${flinkString(expr.escape)}`;
        return `(${this.text(expr.operand)} ${negation(expr)}LIKE ${this.text(expr.pattern)}${escape})`;
      }
      case 'between': {
        const [value, low, high] = this.#comparable([expr.operand, expr.low, expr.high], 'times');
        return `(${value} ${negation(expr)}BETWEEN ${low} AND ${high})`;
      }
      case 'in': {
        const [value, ...items] = this.#comparable([expr.operand, ...expr.items]);
        return `(${value} ${negation(expr)}IN (${items.join(', ')}))`;
      }
      case 'index':
        return this.#index(expr);
      case 'field':
        return `${this.text(expr.operand)}.${flinkName(expr.name)}`;
      case 'call':
        return this.#call(expr);
      case 'case':
        return this.#case(expr);
      case 'cast':
        return castText(this.text(expr.operand), this.#typed(expr.operand).type, expr.type);
      case 'array':
        return `ARRAY[${this.#comparable(expr.items).join(', ')}]`;
      case 'map':
        return `MAP[${expr.entries.map(({ key, value }) => `${this.text(key)}, ${this.text(value)}`).join(', ')}]`;
      case 'struct':
        return `CAST(ROW(${expr.fields.map(({ value }) => this.text(value)).join(', ')}) AS ${flinkType(this.type(expr))})`;
      case 'lambda':
        throw new NoEqual('functions that take a lambda have no equal');
    }
  }

  /** As a column of that type. */
  column(expr: Expr, type: SqlType): string {
    const text = this.text(expr);
    return expr.kind === 'name' ? text : `CAST(${text} AS ${flinkType(type)})`;
  }

  type(expr: Expr): SqlType {
    const { type } = this.#typed(expr);
    if (type === null) throw new NoEqual('NULL alone has no type');
    return type;
  }

  #typed(expr: Expr): Typed {
    return compileExpression(expr, this.#types);
  }

  #name(expr: NameExpr): string {
    const { scope, column } = this.#names;
    const { source, name, at } = expr;
    const resolved = scope.resolve(expr) ?? scope.rowKey(expr);
    if (resolved !== null) {
      const found = scope.inputs[resolved.input]?.source.columns[resolved.column];
      return column(resolved.input, found?.name ?? name);
    }
    const input = source === null ? 0 : scope.inputOf(source, at);
    if (name === 'ROWTIME') return column(input, '__MS');
    if (name === '__OP') return column(input, '__OP');
    throw new NoEqual(`${name} is known only where the log is read`);
  }

  #arithmetic(expr: Expr & { readonly kind: 'binary' }): string {
    const { op } = expr;
    const [left, right] = [this.text(expr.left), this.text(expr.right)];
    const { type } = this.#typed(expr);
    if (type?.kind === 'STRING') return `(${left} || ${right})`;
    const result =
      op === '/'
        ? `(${left} / NULLIF(${right}, 0))`
        : op === '%'
          ? `MOD(${left}, NULLIF(${right}, 0))`
          : `(${left} ${op} ${right})`;
    return type?.kind === 'DECIMAL' ? `CAST(${result} AS ${flinkType(type)})` : result;
  }

  #compared(left: Expr, op: string, right: Expr): string {
    const [a, b] = this.#comparable([left, right], 'times');
    return `(${a} ${op} ${b})`;
  }

  /** A text that stands for a value of another type is written as that. */
  #comparable(exprs: readonly Expr[], texts: 'times' | 'values' = 'values'): readonly string[] {
    const typed = exprs.map((expr) => this.#typed(expr));
    const types = texts === 'times' ? withPseudoTimes(this.#types, exprs, typed) : typed;
    const other = types.find(({ type }) => type !== null && type.kind !== 'STRING')?.type ?? null;
    return exprs.map((expr, i) => {
      const value = types[i];
      const isText = expr.kind === 'string' || typeof value?.literal === 'string';
      if (other === null || value === undefined || !isText) return this.text(expr);
      const literal = tryCoerce(value, other)?.literal;
      return literal === undefined ? this.text(expr) : flinkLiteral(other, literal);
    });
  }

  #index({ operand, index }: Expr & { readonly kind: 'index' }): string {
    const [of, at] = [this.text(operand), this.text(index)];
    if (this.type(operand).kind === 'MAP') return `${of}[${at}]`;
    const size = `CARDINALITY(${of})`;
    // From 1; negative from the end; elsewhere there is nothing, which Flink takes for an error.
    const place = `CASE WHEN ${at} < 0 THEN ${size} + ${at} + 1 ELSE ${at} END`;
    return `(CASE WHEN ${at} <> 0 AND ABS(${at}) <= ${size} THEN ${of}[${place}] END)`;
  }

  #case({ operand, branches, otherwise }: Expr & { readonly kind: 'case' }): string {
    const whens = branches.map(({ when, result }) => {
      const condition = operand === null ? this.text(when) : this.#compared(operand, '=', when);
      return `WHEN ${condition} THEN ${this.text(result)}`;
    });
    const end = otherwise === null ? 'END' : `ELSE ${this.text(otherwise)} END`;
    return `(CASE ${whens.join(' ')} ${end})`;
  }

  #call(expr: CallExpr): string {
    const { name, args, star } = expr;
    switch (name) {
      case 'CDC_OP':
        return this.#names.column(0, '__OP');
      case 'CDC_BEFORE':
        return this.#names.column(0, `__BEFORE_${this.#argument(expr).name}`);
      case 'CDC_CHANGED': {
        const argument = this.#argument(expr);
        const [op, known] = [this.#names.column(0, '__OP'), this.#names.column(0, '__KNOWN')];
        const before = this.#names.column(0, `__BEFORE_${argument.name}`);
        return `(CASE WHEN ${op} <> 'u' THEN TRUE WHEN ${known} THEN ${this.text(argument)} IS DISTINCT FROM ${before} END)`;
      }
      case 'CDC_TX':
      case 'CDC_POS':
        throw new NoEqual(`${name} is known only where the log is read`);
    }
    const typed = args.map((each) => this.#typed(each));
    const call = {
      name,
      args: args.map((each) => this.text(each)),
      exprs: args,
      types: typed.map(({ type }) => type),
      differs: this.#names.differs,
    };
    return AGGREGATE_NAMES.has(name) ? flinkAggregate(call, star) : flinkFunction(call);
  }

  #argument({ args }: CallExpr): NameExpr {
    const [argument] = args;
    if (argument?.kind !== 'name') throw new TypeError('It takes the name of a column.');
    return argument;
  }
}

function negation({ negated }: { readonly negated: boolean }): string {
  return negated ? 'NOT ' : '';
}

/** What cannot be cast is NULL. */
function castText(text: string, from: SqlType | null, to: SqlType): string {
  if (from === null) return `CAST(NULL AS ${flinkType(to)})`;
  const route = `${from.kind}>${to.kind}`;
  switch (route) {
    case 'STRING>TIMESTAMP':
      return millisOfIso(text);
    case 'STRING>DATE':
      return `CAST(${floorDivided(`UNIX_TIMESTAMP(${text} || ' 00:00:00')`, 86_400)} AS INT)`;
    case 'DATE>TIMESTAMP':
      return `(CAST(${text} AS BIGINT) * 86400000)`;
    case 'TIMESTAMP>DATE':
      return `CAST(${floorDivided(text, 86_400_000)} AS INT)`;
    case 'TIMESTAMP>STRING':
      return `DATE_FORMAT(TO_TIMESTAMP_LTZ(${text}, 3), 'yyyy-MM-dd''T''HH:mm:ss.SSS')`;
    case 'DATE>STRING':
      return `DATE_FORMAT(TO_TIMESTAMP_LTZ(CAST(${text} AS BIGINT) * 86400000, 3), 'yyyy-MM-dd')`;
    case 'BOOLEAN>STRING':
      return `LOWER(CAST(${text} AS STRING))`;
    case 'STRING>TIME':
    case 'TIME>STRING':
    case 'TIMESTAMP>TIME':
    case 'DOUBLE>STRING':
      throw new NoEqual(`CAST of ${from.kind} AS ${to.kind} has no equal: Flink writes other digits`);
    default:
      return `TRY_CAST(${text} AS ${flinkType(to)})`;
  }
}

/** TIMESTAMP(3) of a text with a pattern, in milliseconds. */
export function millisOfPattern(text: string, pattern: string): string {
  return millisOf(`TO_TIMESTAMP(${text}, ${flinkString(pattern)})`);
}
