/** JSON without rounding: integers past 2^53 become bigints. */
export type Json =
  null | boolean | number | bigint | string | readonly Json[] | { readonly [key: string]: Json };

export function parseExact(text: string): Json {
  // The third argument (the source text of a primitive) is newer than TypeScript's declaration.
  const parse = JSON.parse as (
    text: string,
    reviver: (k: string, v: unknown, c?: { source?: string }) => unknown,
  ) => unknown;
  return parse(text, (_, value, context) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const source = context?.source;
    return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
  }) as Json;
}

export function show(json: Json | undefined): string {
  if (json === undefined) return '(nothing)';
  return JSON.stringify(json, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)).slice(
    0,
    300,
  );
}

/** The JSON text of a value, integers past 2^53 included. */
export function exactText(json: unknown): string {
  if (typeof json === 'bigint') return String(json);
  if (Array.isArray(json)) return `[${json.map(exactText).join(',')}]`;
  if (typeof json !== 'object' || json === null) return JSON.stringify(json);
  return `{${Object.entries(json)
    .map(([name, value]) => `${JSON.stringify(name)}:${exactText(value)}`)
    .join(',')}}`;
}
