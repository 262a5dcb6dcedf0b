/**
 * The leaves of the settings schema. Each says in one phrase what it must be; errors are made of that phrase
 * alone (see problems.ts), so they read the same for every key and never hold a value.
 */
import * as z from 'zod';

const SIZE = /^(\d+(?:\.\d+)?) ?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;
const DURATION = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/;

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

export function text(must = 'text'): z.ZodString {
  const error = `must be ${must}`;
  return z.string({ error }).trim().min(1, { error });
}

export function matching(pattern: RegExp, must: string): z.ZodString {
  const error = `must be ${must}`;
  return z.string({ error }).regex(pattern, { error });
}

export function block<T extends z.core.$ZodLooseShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'invalid_type' ? 'must be a block of keys' : undefined),
  });
}

/** Names of one's own, each with a text. */
export function textBlock(must: string): z.ZodRecord<z.ZodString, z.ZodString> {
  return z.record(z.string(), text(), { error: `must be ${must}` });
}

/** Not trimmed: a space may belong to it. */
export function secret(must = 'text'): z.ZodString {
  const error = `must be ${must} that is not empty`;
  return z.string({ error }).min(1, { error });
}

export function flag(): z.ZodBoolean {
  return z.boolean({ error: 'must be true or false' });
}

export function whole(min: number, max: number): z.ZodInt {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/**
 * One of a few words. `hints` answers words people try: what it was called elsewhere, or that this version does
 * not have it.
 */
export function oneOf<const T extends readonly [string, ...string[]]>(
  values: T,
  hints: Readonly<Record<string, string>> = {},
): z.ZodEnum<{ [K in T[number]]: K }> {
  const list =
    values.length === 1 ? values[0] : `${values.slice(0, -1).join(', ')} or ${values[values.length - 1]}`;
  return z.enum(values, {
    error: ({ input }) => {
      const hint = typeof input === 'string' && Object.hasOwn(hints, input) ? `; ${hints[input]}` : '';
      return `must be ${list}${hint}`;
    },
  });
}

export function list(item: z.ZodString, must: string): z.ZodArray<z.ZodString> {
  const error = `must be ${must}`;
  return z.array(item, { error }).min(1, { error });
}

/** "20GB", "512MiB" or a number of bytes; see `sizeInBytes`. */
export function size(min = 0): z.ZodType<string | number, string | number> {
  const error =
    min === 0
      ? 'must be a size such as 512MB or 20GB'
      : `must be a size of at least ${min} bytes, such as 64MB`;
  return z
    .union([z.int({ error }).nonnegative({ error }), z.string({ error }).regex(SIZE, { error })], { error })
    .refine((value) => sizeInBytes(value) >= min, { error });
}

/** "250ms", "10s", "5m", "2h", "7d"; see `durationInMs`. */
export function duration(minMs = 0): z.ZodType<string, string> {
  const least = minMs === 0 ? '' : ` of at least ${minMs} ms`;
  const error = `must be a duration${least} with its unit, such as 500ms, 10s, 5m or 1h`;
  return z
    .string({ error })
    .regex(DURATION, { error })
    .refine((value) => durationInMs(value) >= minMs && durationInMs(value) <= 2 ** 31 - 1, { error });
}

export function sizeInBytes(value: string | number): number {
  if (typeof value === 'number') return value;
  const [, amount, unit] = SIZE.exec(value) ?? [];
  return amount === undefined || unit === undefined ? NaN : Math.round(Number(amount) * SIZE_UNITS[unit]!);
}

export function durationInMs(value: string): number {
  const [, amount, unit] = DURATION.exec(value) ?? [];
  return amount === undefined || unit === undefined
    ? NaN
    : Math.round(Number(amount) * DURATION_UNITS[unit]!);
}
