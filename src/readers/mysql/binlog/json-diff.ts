import { endOfQuoted } from '../../quoted-text.ts';
import { ByteCursor, misplaced } from './byte-cursor.ts';
import { jsonText, quoteJson } from './json-binary.ts';

/** A parsed document; scalars stay the text they were, so that nothing is lost on the way. */
type Node =
  | { readonly kind: 'object'; readonly entries: Map<string, Node> }
  | { readonly kind: 'array'; readonly items: Node[] }
  | { readonly kind: 'scalar'; readonly text: string };

type Leg = string | number;

const REPLACE = 0;
const INSERT = 1;
const REMOVE = 2;

/**
 * Json_diff_vector (sql/json_diff.h): operation, path and, but for removals, the new value in binary JSON. `document` is
 * the text of the value before, as the server prints it, and so is the result.
 */
export function applyJsonDiff(document: string, diff: Buffer): string {
  let root = new Parser(document).parse();
  const cursor = new ByteCursor(diff, 0, diff.length);
  while (cursor.left > 0) {
    const operation = cursor.uint8();
    const path = parsePath(cursor.utf8(cursor.packed()));
    let value: Node | null = null;
    if (operation !== REMOVE) {
      const length = cursor.packed();
      const from = cursor.take(length);
      value = new Parser(jsonText(diff, from, from + length)).parse();
    }
    root = change(root, path, operation, value);
  }
  return print(root);
}

function change(root: Node, path: readonly Leg[], operation: number, value: Node | null): Node {
  const last = path.at(-1);
  if (last === undefined) {
    if (operation !== REPLACE || value === null) throw unfit();
    return value;
  }
  let parent = root;
  for (const leg of path.slice(0, -1)) parent = child(parent, leg) ?? raise();
  if (parent.kind === 'object' && typeof last === 'string') {
    if ((operation === INSERT) === parent.entries.has(last)) throw unfit();
    if (operation === REMOVE) parent.entries.delete(last);
    else parent.entries.set(last, value ?? raise());
  } else if (parent.kind === 'array' && typeof last === 'number') {
    const { items } = parent;
    if (operation === INSERT) items.splice(Math.min(last, items.length), 0, value ?? raise());
    else if (last >= items.length) throw unfit();
    else if (operation === REMOVE) items.splice(last, 1);
    else items[last] = value ?? raise();
  } else {
    throw unfit();
  }
  return root;
}

function child(node: Node, leg: Leg): Node | undefined {
  if (node.kind === 'object' && typeof leg === 'string') return node.entries.get(leg);
  if (node.kind === 'array' && typeof leg === 'number') return node.items[leg];
  return undefined;
}

function raise(): never {
  throw unfit();
}

function unfit(): Error {
  return misplaced('a difference of a JSON value that does not fit the value before it');
}

const LEG = /\.(?:"((?:[^"\\]|\\.)*)"|([^."[\s]+))|\[(\d{1,10})\]/uy;

/** `$.key."quoted key"[3]` */
function parsePath(text: string): readonly Leg[] {
  const legs: Leg[] = [];
  LEG.lastIndex = 1;
  while (LEG.lastIndex < text.length) {
    const match = LEG.exec(text);
    if (text[0] !== '$' || match === null) throw misplaced('a JSON path that cannot be read');
    const [, quoted, plain, index] = match;
    if (index !== undefined) legs.push(Number(index));
    else if (quoted !== undefined) legs.push(unquote(`"${quoted}"`));
    else legs.push(plain!);
  }
  return legs;
}

function unquote(token: string): string {
  const value: unknown = JSON.parse(token);
  if (typeof value !== 'string') throw misplaced('a JSON key that is none');
  return value;
}

/** The server sorts keys by their bytes' number, then by their bytes. */
function print(node: Node): string {
  switch (node.kind) {
    case 'scalar':
      return node.text;
    case 'array':
      return `[${node.items.map(print).join(', ')}]`;
    case 'object': {
      const entries = [...node.entries].map(([key, value]) => ({ key, bytes: Buffer.from(key), value }));
      entries.sort((a, b) => a.bytes.length - b.bytes.length || Buffer.compare(a.bytes, b.bytes));
      return `{${entries.map(({ key, value }) => `${quoteJson(key)}: ${print(value)}`).join(', ')}}`;
    }
  }
}

/** Of a text its opening quote alone. */
const TOKEN = /\s*(?:([{}[\],:"])|([^\s{}[\],:"]+))/y;

/** Of text that the server, or `jsonText`, has printed. */
class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): Node {
    return this.#value(this.#token());
  }

  #token(): string {
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (match === null) throw misplaced('a JSON value that cannot be read');
    this.#at = TOKEN.lastIndex;
    if (match[1] !== '"') return match[1] ?? match[2] ?? '';
    const start = this.#at - 1;
    const end = endOfQuoted(this.#text, start);
    if (end < 0) throw misplaced('a JSON value that cannot be read');
    this.#at = end + 1;
    return this.#text.slice(start, this.#at);
  }

  #value(token: string): Node {
    if (token === '{') {
      const entries = new Map<string, Node>();
      for (let next = this.#token(); next !== '}';) {
        const key = unquote(next);
        this.#token(); // the colon
        entries.set(key, this.#value(this.#token()));
        next = this.#token();
        if (next === ',') next = this.#token();
      }
      return { kind: 'object', entries };
    }
    if (token === '[') {
      const items: Node[] = [];
      for (let next = this.#token(); next !== ']';) {
        items.push(this.#value(next));
        next = this.#token();
        if (next === ',') next = this.#token();
      }
      return { kind: 'array', items };
    }
    return { kind: 'scalar', text: token };
  }
}
