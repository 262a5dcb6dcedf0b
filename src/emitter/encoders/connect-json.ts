/**
 * The way from JSON text of a Connect value to its values: what binary formats take for everything that is rare
 * (special values, placeholders, records that are not rows), so that each type's rules stand in one place, its
 * JSON form.
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';

export type JsonTree =
  null | boolean | number | bigint | string | readonly JsonTree[] | { readonly [key: string]: JsonTree };

/** Integers past 2^53 are `bigint`. */
export function parseExact(text: string): JsonTree {
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const source = context?.source ?? '';
    return /^-?\d+$/.test(source) ? BigInt(source) : value;
  }) as JsonTree;
}

/** The NaN and the infinities of JSON text are strings. */
export function floatOf(value: JsonTree): number {
  return Number(value);
}

export function bytesOf(value: JsonTree): Uint8Array {
  return Buffer.from(value as string, 'base64');
}

/** A null where the schema has none: no value is ever made up for it. */
export function refuseNull(column: string, format: string): never {
  throw new HeadwaterError(
    'schema.value-unrepresentable',
    `The column ${column} holds a null that its ${format} schema has no place for.`,
    { details: { column } },
  );
}
