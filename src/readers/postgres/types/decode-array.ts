/**
 * Array output (PostgreSQL documentation, "Array Input and Output Syntax"): `{1,NULL,"a b"}`, nested braces for
 * more dimensions, and `[0:1]=` in front where a lower bound is not 1. Bounds are dropped: no format has them.
 */
import type { Value } from '../../../model/value.ts';
import { unreadableValue } from '../../unreadable-value.ts';

const OPEN = 123;
const CLOSE = 125;
const QUOTE = 34;
const BACKSLASH = 92;
/** PostgreSQL's own limit (MAXDIM). */
const MAX_DIMENSIONS = 6;

/** A decoder for arrays of what `element` decodes; `delimiter` is `pg_type.typdelim` (`,`, for box `;`). */
export function arrayDecoder(
  element: (text: string) => Value,
  delimiter: string,
): (text: string) => readonly Value[] {
  const separator = delimiter.charCodeAt(0);
  return (text) => {
    const reader = new ArrayText(text, separator, element);
    return reader.read();
  };
}

class ArrayText {
  readonly #text: string;
  readonly #separator: number;
  readonly #element: (text: string) => Value;
  #at = 0;

  constructor(text: string, separator: number, element: (text: string) => Value) {
    this.#text = text;
    this.#separator = separator;
    this.#element = element;
  }

  read(): readonly Value[] {
    if (this.#text.charCodeAt(0) === 91 /* [ */) {
      const equals = this.#text.indexOf('=');
      if (equals < 0) throw unreadableValue('array');
      this.#at = equals + 1;
    }
    const values = this.#array(1);
    if (this.#at !== this.#text.length) throw unreadableValue('array');
    return values;
  }

  #array(depth: number): readonly Value[] {
    const text = this.#text;
    if (text.charCodeAt(this.#at) !== OPEN || depth > MAX_DIMENSIONS) throw unreadableValue('array');
    this.#at++;
    const values: Value[] = [];
    if (text.charCodeAt(this.#at) === CLOSE) {
      this.#at++;
      return values;
    }
    for (;;) {
      const c = text.charCodeAt(this.#at);
      if (c === OPEN) values.push(this.#array(depth + 1));
      else if (c === QUOTE) values.push(this.#element(this.#quoted()));
      else values.push(this.#bare());
      const next = text.charCodeAt(this.#at++);
      if (next === CLOSE) return values;
      if (next !== this.#separator) throw unreadableValue('array');
    }
  }

  #bare(): Value {
    const text = this.#text;
    const from = this.#at;
    let i = from;
    for (; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c === this.#separator || c === CLOSE) break;
      if (c === QUOTE || c === OPEN || c === BACKSLASH) throw unreadableValue('array');
    }
    if (i === from) throw unreadableValue('array');
    this.#at = i;
    const word = text.slice(from, i);
    return word === 'NULL' ? null : this.#element(word);
  }

  #quoted(): string {
    const text = this.#text;
    let from = this.#at + 1;
    let value = '';
    for (let i = from; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c === QUOTE) {
        this.#at = i + 1;
        return value + text.slice(from, i);
      }
      if (c === BACKSLASH) {
        value += text.slice(from, i);
        from = ++i;
      }
    }
    throw unreadableValue('array');
  }
}
