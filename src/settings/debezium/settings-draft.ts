import type { ConnectorFile } from './connector-file.ts';

/** A settings file under way: plain objects, lists and scalars. */
export interface Draft {
  [key: string]: DraftValue;
}
export type DraftValue = string | number | boolean | null | Draft | DraftValue[];

export interface Note {
  /** The property it is about; null for what is missing in the connector's configuration as a whole. */
  readonly property: string | null;
  /** A sentence that goes on from the property's name. */
  readonly message: string;
}

export interface Property {
  readonly property: string;
  readonly value: string;
  /** What the rule's pattern captured. */
  readonly groups: readonly string[];
}

/** What becomes of one property. */
export interface PropertyRule {
  /** A name, or a pattern for the whole name. */
  readonly name: string | RegExp;
  apply(draft: SettingsDraft, property: Property): void;
}

export function matchRule(
  rules: readonly PropertyRule[],
  property: string,
): { readonly rule: PropertyRule; readonly groups: readonly string[] } | null {
  for (const rule of rules) {
    if (typeof rule.name === 'string') {
      if (rule.name === property) return { rule, groups: [] };
      continue;
    }
    const match = rule.name.exec(property);
    if (match !== null) return { rule, groups: match.slice(1) };
  }
  return null;
}

/** Collects what the properties of a connector become. */
export class SettingsDraft {
  readonly connector: ConnectorFile;
  readonly settings: Draft = { name: '', source: { url: '', tables: [] }, emit: {} };
  readonly notes: Note[] = [];
  readonly #taken = new Set<string>();

  constructor(connector: ConnectorFile) {
    this.connector = connector;
  }

  /** The value of a property, which is done with by that. */
  take(property: string): string | null {
    const value = this.connector.properties.get(property);
    if (value === undefined) return null;
    this.#taken.add(property);
    return value;
  }

  isTaken(property: string): boolean {
    return this.#taken.has(property);
  }

  /** Names of the properties that begin so. */
  withPrefix(prefix: string): readonly string[] {
    return [...this.connector.properties.keys()].filter((name) => name.startsWith(prefix));
  }

  set(path: readonly string[], value: DraftValue): void {
    const last = path.at(-1);
    if (last !== undefined) this.#block(path.slice(0, -1))[last] = value;
  }

  add(path: readonly string[], value: DraftValue): void {
    const last = path.at(-1);
    if (last === undefined) return;
    const block = this.#block(path.slice(0, -1));
    const list = block[last];
    if (Array.isArray(list)) list.push(value);
    else block[last] = [value];
  }

  note(property: string | null, message: string): Note {
    const note = { property, message };
    this.notes.push(note);
    return note;
  }

  finish(): void {
    for (const [key, value] of Object.entries(this.settings)) {
      if (isBlock(value) && Object.keys(value).length === 0) delete this.settings[key];
    }
  }

  #block(path: readonly string[]): Draft {
    let block = this.settings;
    for (const step of path) {
      const below = block[step];
      if (isBlock(below)) block = below;
      else block = block[step] = {};
    }
    return block;
  }
}

function isBlock(value: DraftValue | undefined): value is Draft {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `a, b` as people write lists in properties; commas inside brackets belong to a regular expression. */
export function listOf(value: string): readonly string[] {
  const items: string[] = [];
  let depth = 0;
  let item = '';
  for (let i = 0; i < value.length; i++) {
    const char = value[i]!;
    if (char === '\\') {
      item += char + (value[++i] ?? '');
      continue;
    }
    if ('([{'.includes(char)) depth++;
    if (')]}'.includes(char)) depth--;
    if (char === ',' && depth <= 0) {
      items.push(item.trim());
      item = '';
    } else item += char;
  }
  items.push(item.trim());
  return items.filter((each) => each !== '');
}

/** `public\.orders` is a name; null where the expression is more than that. */
export function literalName(expression: string): string | null {
  const name = expression.replaceAll(/\\([.$_-])/g, '$1');
  return /^[A-Za-z0-9_.$-]+$/.test(name) && /^(?:[A-Za-z0-9_.$-]|\\[.$_-])+$/.test(expression) ? name : null;
}

/** A property that Headwater does without, and why. */
export function needless(name: string | RegExp, why: string): PropertyRule {
  return { name, apply: (draft, { property }) => draft.note(property, why) };
}

/** A property that is a key under another name. */
export function renamed(
  name: string | RegExp,
  path: readonly string[],
  convert: (value: string) => DraftValue = (value) => value,
): PropertyRule {
  return { name, apply: (draft, { value }) => draft.set(path, convert(value)) };
}

export const milliseconds = (value: string): string => `${value}ms`;
export const flag = (value: string): boolean => value.trim().toLowerCase() === 'true';
