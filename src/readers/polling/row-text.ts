import { hash } from 'node:crypto';
import { ABSENT, UNCHANGED, type Row, type Value } from '../../model/value.ts';

/** Values as JSON text that gives the same Values back: what JSON has no form for is an object with one key. */
export function textOfValues(values: readonly Value[]): string {
  // The same text, without a call for each of them.
  if (values.every(isPlain)) return JSON.stringify(values);
  return JSON.stringify(values, (_, value: unknown) => {
    if (typeof value === 'bigint') return { n: String(value) };
    if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) {
      return { f: Object.is(value, -0) ? '-0' : String(value) };
    }
    if (value === ABSENT || value === UNCHANGED) return { a: 0 };
    // What JSON.stringify makes of a Buffer by itself, before it asks here.
    if (typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer') {
      return 'data' in value && Array.isArray(value.data)
        ? { b: Buffer.from(value.data as number[]).toString('base64') }
        : value;
    }
    if (value instanceof Uint8Array) return { b: Buffer.from(value).toString('base64') };
    return value;
  });
}

function isPlain(value: Value): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0);
  return value === null || typeof value === 'string' || typeof value === 'boolean';
}

export function valuesOfText(text: string): Row {
  return (JSON.parse(text) as readonly unknown[]).map(valueOfJson);
}

function valueOfJson(json: unknown): Value {
  if (Array.isArray(json)) return json.map(valueOfJson);
  if (typeof json === 'string' || typeof json === 'number' || typeof json === 'boolean') return json;
  if (typeof json === 'object' && json !== null) {
    if ('n' in json) return BigInt(String(json.n));
    if ('f' in json) return Number(json.f);
    if ('b' in json) return Buffer.from(String(json.b), 'base64');
    if ('a' in json) return ABSENT;
  }
  return null;
}

/** 128 bits. */
export function hashOf(text: string): Uint8Array {
  return hash('md5', text, 'buffer');
}
