/**
 * What the settings do to a table's columns: leave out, rename, mask, shorten. Names are those of the database;
 * the order is leave out, mask, shorten, rename, so a rule never meets a new name.
 */
import { createHmac, hash } from 'node:crypto';
import type { Column, TableSchema } from '../../model/table.ts';
import { ABSENT, UNCHANGED, type Value } from '../../model/value.ts';

/**
 * `hash` writes the SHA-256 of the value's text in hexadecimal, keyed (HMAC) where there is a key; `null` writes
 * NULL; a number writes that many asterisks, whatever the value's length.
 */
export type Mask = 'hash' | 'null' | number;

export interface ColumnRules {
  /** Null: all but the excluded. */
  readonly include: readonly string[] | null;
  readonly exclude: readonly string[];
  readonly mask: ReadonlyMap<string, Mask>;
  /** Characters, or bytes of a binary column, that are kept. */
  readonly truncate: ReadonlyMap<string, number>;
  readonly rename: ReadonlyMap<string, string>;
}

/** One column after its rules; `write` is null where the value goes through as it is. */
export interface RuledColumn {
  readonly column: Column;
  readonly write: ((value: Value) => Value) | null;
}

/** Whether the column appears in rows; a key column that is left out stays in the key. */
export function isIncluded(rules: ColumnRules, name: string): boolean {
  return (rules.include === null || rules.include.includes(name)) && !rules.exclude.includes(name);
}

/** `hashKey` is the secret of masks by hash. */
export function ruledColumn(column: Column, rules: ColumnRules, hashKey: string | null): RuledColumn {
  const mask = rules.mask.get(column.name);
  const limit = rules.truncate.get(column.name);
  const name = rules.rename.get(column.name) ?? column.name;
  if (mask === 'null') {
    return { column: { ...column, name, nullable: true, default: undefined }, write: () => null };
  }
  if (mask !== undefined) {
    return { column: textColumn(column, name), write: present(masking(mask, hashKey)) };
  }
  const renamed = name === column.name ? column : { ...column, name };
  return { column: renamed, write: limit === undefined ? null : present(shortening(limit)) };
}

/** Rules that name a column which the table does not have, as `rule: column`. */
export function unusedRules(rules: ColumnRules, { columns }: TableSchema): readonly string[] {
  const named: readonly (readonly [rule: string, columns: Iterable<string>])[] = [
    ['include', rules.include ?? []],
    ['exclude', rules.exclude],
    ['mask', rules.mask.keys()],
    ['truncate', rules.truncate.keys()],
    ['rename', rules.rename.keys()],
  ];
  return named.flatMap(([rule, names]) =>
    [...names]
      .filter((name) => !columns.some((column) => column.name === name))
      .map((name) => `${rule}: ${name}`),
  );
}

/** NULL stays NULL, and what is not there stays not there. */
function present(write: (value: Value) => Value): (value: Value) => Value {
  return (value) => (value === null || value === UNCHANGED || value === ABSENT ? value : write(value));
}

function masking(mask: 'hash' | number, hashKey: string | null): (value: Value) => Value {
  if (typeof mask === 'number') {
    const stars = '*'.repeat(mask);
    return () => stars;
  }
  return hashKey === null
    ? (value) => hash('sha256', hashed(value), 'hex')
    : (value) => createHmac('sha256', hashKey).update(hashed(value)).digest('hex');
}

function shortening(limit: number): (value: Value) => Value {
  return (value) => {
    if (typeof value === 'string') return value.length <= limit ? value : firstCharacters(value, limit);
    return value instanceof Uint8Array ? value.subarray(0, limit) : value;
  };
}

/** Characters as people count them: a surrogate pair is one, and never cut in two. */
function firstCharacters(text: string, limit: number): string {
  let end = 0;
  for (let kept = 0; kept < limit && end < text.length; kept++) {
    end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  }
  return text.slice(0, end);
}

function hashed(value: Value): string | Uint8Array {
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  return Array.isArray(value) ? JSON.stringify(value, exact) : String(value);
}

function exact(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

function textColumn({ nullable }: Column, name: string): Column {
  return {
    name,
    type: { kind: 'string' },
    nullable,
    default: undefined,
    nativeType: 'text',
    length: null,
    scale: null,
  };
}
