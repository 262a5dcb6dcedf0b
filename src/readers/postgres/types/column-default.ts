/**
 * A column's default expression, as `pg_get_expr` prints it, → its value where it is a constant. Expressions
 * that the server computes (sequences, functions) are told apart, since Debezium puts a placeholder for them
 * into the schema.
 */
import type { Value } from '../../../model/value.ts';
import { rescaleDecimal } from './decode-scalar.ts';
import type { ColumnTypeInfo } from './type-registry.ts';

export type ColumnDefault =
  { readonly kind: 'constant'; readonly value: Value } | { readonly kind: 'computed' } | null;

/** A literal, perhaps in parentheses and with casts: `'abc'::character varying`, `(-5)`, `B'101'::"bit"`, `true`. */
const LITERAL =
  /^\(*(?:(E?B?)'((?:[^']|'')*)'|(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(true|false)|(NULL))\)*(?:::(?:"[^"]*"|[^()':"])+(?:\([0-9, ]+\)[^()':"]*)?\)*)*$/;

/** `schema.function(...)`, and the functions that SQL writes without parentheses. */
const CALL = /^\(?(?:[A-Za-z0-9_."]+\(.*\)|CURRENT_|LOCALTIME|SESSION_USER|USER)/s;

/** Types whose defaults Debezium 3.2 puts into the schema (PostgresDefaultValueConverter); enums are more. */
const SHOWN: ReadonlySet<string> = new Set([
  'bit',
  'varbit',
  'bool',
  'bpchar',
  'varchar',
  'text',
  'numeric',
  'float4',
  'float8',
  'int2',
  'int4',
  'int8',
  'json',
  'jsonb',
  'xml',
  'uuid',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
]);

/** Whether Debezium's schema has the defaults of columns of this type. */
export function showsDefault({ type, nativeType }: ColumnTypeInfo): boolean {
  return type.kind === 'enum' || SHOWN.has(nativeType);
}

/** From the expression as pg_get_expr prints it; null for none, and for what is neither a literal nor a call. */
export function readDefault(expression: string | null, info: ColumnTypeInfo): ColumnDefault {
  if (expression === null) return null;
  const match = LITERAL.exec(expression);
  if (match === null) return CALL.test(expression) ? { kind: 'computed' } : null;
  const [, prefix, quoted, number, bool] = match;
  if (quoted === undefined && number === undefined && bool === undefined) return null; // NULL
  const text =
    quoted !== undefined
      ? unquote(quoted, prefix ?? '')
      : bool !== undefined
        ? bool.slice(0, 1)
        : (number ?? '');
  try {
    return { kind: 'constant', value: info.decode(canonical(text, info)) };
  } catch {
    return null; // a literal of another type that the server casts on insert
  }
}

function unquote(quoted: string, prefix: string): string {
  const text = quoted.replaceAll("''", "'");
  return prefix.startsWith('E') ? text.replaceAll('\\\\', '\\') : text;
}

/** The literal's text in the column's own output form, where the two differ. */
function canonical(text: string, info: ColumnTypeInfo): string {
  if (info.type.kind === 'decimal' && info.type.scale !== null) return rescaleDecimal(text, info.type.scale);
  if (info.type.kind === 'boolean' && (text === 'true' || text === 'false')) return text.slice(0, 1);
  return text;
}
