/**
 * What a DDL statement, as its user typed it, does to a table's columns. Not all of Oracle's grammar: what is not
 * understood leads to reading the catalogue, never to a guess.
 */
import { type OracleColumn, parseDataType } from './types/column-metadata.ts';

export type DdlEffect =
  | { readonly kind: 'truncate' | 'drop' | 'ignore' }
  /** A table renamed within its schema. */
  | { readonly kind: 'rename'; readonly to: string }
  /** Columns only. */
  | { readonly kind: 'columns'; readonly changes: readonly ColumnChange[] }
  /** Something else, or more than that. */
  | { readonly kind: 'reread' };

export type ColumnChange =
  | { readonly kind: 'add'; readonly column: OracleColumn }
  | {
      readonly kind: 'modify';
      readonly name: string;
      readonly to: Partial<OracleColumn>;
    }
  | { readonly kind: 'drop'; readonly name: string }
  /** Its bytes stay in the rows. */
  | { readonly kind: 'set-unused'; readonly name: string }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string };

const REREAD: DdlEffect = { kind: 'reread' };

export function parseDdl(sql: string): DdlEffect {
  const tokens = tokenize(sql);
  if (tokens === null) return REREAD;
  const words = new Tokens(tokens);
  if (words.take('TRUNCATE', 'TABLE')) return { kind: 'truncate' };
  if (words.take('DROP', 'TABLE')) return { kind: 'drop' };
  if (words.take('COMMENT')) return { kind: 'ignore' };
  if (words.take('RENAME')) {
    words.next();
    const to = words.take('TO') ? words.name() : null;
    return to === null ? REREAD : { kind: 'rename', to };
  }
  if (!words.take('ALTER', 'TABLE') || words.tableName() === null) return REREAD;
  if (words.take('RENAME', 'TO')) {
    const to = words.name();
    return to === null ? REREAD : { kind: 'rename', to };
  }
  const changes = alterations(words);
  if (changes === null) return REREAD;
  return changes.length === 0 ? { kind: 'ignore' } : { kind: 'columns', changes };
}

/** The columns after the changes; null where a change does not fit them. */
export function applyChanges(
  columns: readonly OracleColumn[],
  changes: readonly ColumnChange[],
): readonly OracleColumn[] | null {
  let result = [...columns];
  for (const change of changes) {
    const name = change.kind === 'add' ? change.column.name : change.name;
    const at = result.findIndex((column) => column.name === name);
    if (change.kind === 'add') {
      if (at >= 0) return null;
      result.push(...added(change.column, result.length));
      continue;
    }
    const column = result[at];
    // What is done to an invisible column the catalogue tells.
    if (column === undefined || column.hidden === true) return null;
    if (change.kind === 'drop') result = withoutUnused(withoutColumn(result, at));
    else if (change.kind === 'set-unused')
      result[at] = { ...column, name: `SYS_C${at}_UNUSED$`, nullable: true, hidden: true };
    else result[at] = { ...column, ...(change.kind === 'rename' ? { name: change.to } : change.to) };
  }
  return result;
}

/** The names of the key's columns after the changes; none where one of them is gone. */
export function keyAfter(key: readonly string[], changes: readonly ColumnChange[]): readonly string[] {
  let names = key;
  for (const change of changes) {
    if (change.kind === 'rename') names = names.map((name) => (name === change.name ? change.to : name));
    else if (change.kind !== 'add' && change.kind !== 'modify' && names.includes(change.name)) return [];
  }
  return names;
}

/** The bytes of XMLTYPE are in a column behind it. */
function added(column: OracleColumn, at: number): readonly OracleColumn[] {
  if (column.dataType !== 'XMLTYPE') return [column];
  const bytes = {
    ...column,
    name: `SYS_NC${at + 2}$`,
    dataType: 'BLOB',
    nullable: true,
    hidden: true,
  } as const;
  return [{ ...column, apart: true }, bytes];
}

function withoutColumn(columns: readonly OracleColumn[], at: number): OracleColumn[] {
  let end = at + 1;
  if (columns[at]!.apart === true) while (/^SYS_NC\d/.test(columns[end]?.name ?? '')) end++;
  return columns.filter((_, i) => i < at || i >= end);
}

/** Whoever drops a column drops those that were set unused before. */
function withoutUnused(columns: readonly OracleColumn[]): OracleColumn[] {
  return columns.filter(({ name, hidden }) => hidden !== true || !/^SYS_C\d+_/.test(name));
}

/** The clauses of ALTER TABLE as far as they concern columns; null for any that is not understood. */
function alterations(words: Tokens): readonly ColumnChange[] | null {
  const changes: ColumnChange[] = [];
  while (!words.done) {
    if (words.take('ADD', 'SUPPLEMENTAL') || words.take('DROP', 'SUPPLEMENTAL')) return changes;
    if (words.take('ADD') || words.take('MODIFY')) {
      const add = words.previous === 'ADD';
      const list = words.parenthesised() ?? [words.rest(CLAUSES)];
      for (const part of list) {
        const change = add ? addition(new Tokens(part)) : modification(new Tokens(part));
        if (change === null) return null;
        changes.push(change);
      }
    } else if (words.take('RENAME', 'COLUMN')) {
      const name = words.name();
      const to = words.take('TO') ? words.name() : null;
      if (name === null || to === null) return null;
      changes.push({ kind: 'rename', name, to });
    } else if (words.take('SET', 'UNUSED') || words.take('DROP')) {
      const kind = words.previous === 'UNUSED' ? 'set-unused' : 'drop';
      const single = words.take('COLUMN');
      const list = single ? [words.rest(1)] : words.parenthesised();
      if (list === null) return null;
      for (const part of list) {
        const name = new Tokens(part).name();
        if (name === null || part.length !== 1) return null;
        changes.push({ kind, name });
      }
      while (
        words.take('CASCADE') ||
        words.take('CONSTRAINTS') ||
        words.take('INVALIDATE') ||
        words.take('ONLINE')
      );
    } else {
      return null;
    }
  }
  return changes;
}

const CLAUSES: ReadonlySet<string> = new Set(['ADD', 'MODIFY', 'DROP', 'RENAME', 'SET']);

function addition(words: Tokens): ColumnChange | null {
  const name = words.name();
  if (name === null || NOT_COLUMNS.has(name)) return null;
  const type = words.dataType();
  if (type === null) return null;
  const attributes = columnAttributes(words);
  if (attributes === null) return null;
  return { kind: 'add', column: { name, ...type, nullable: true, default: null, ...attributes } };
}

function modification(words: Tokens): ColumnChange | null {
  const name = words.name();
  if (name === null || NOT_COLUMNS.has(name)) return null;
  const type = words.dataType();
  const attributes = columnAttributes(words);
  if (attributes === null || (type === null && Object.keys(attributes).length === 0)) return null;
  return { kind: 'modify', name, to: { ...type, ...attributes } };
}

/** What begins a clause in the place of a column. */
const NOT_COLUMNS: ReadonlySet<string> = new Set([
  'CONSTRAINT',
  'PRIMARY',
  'UNIQUE',
  'FOREIGN',
  'CHECK',
  'PARTITION',
  'SUBPARTITION',
  'LOB',
  'NESTED',
  'PERIOD',
  'REF',
  'SCOPE',
  'OVERFLOW',
  'COLUMN',
]);

/** DEFAULT, NULL and NOT NULL; null for anything else, such as an inline key or a virtual column. */
function columnAttributes(words: Tokens): { nullable?: boolean; default?: string | null } | null {
  const attributes: { nullable?: boolean; default?: string | null } = {};
  while (!words.done) {
    if (words.take('NOT', 'NULL')) attributes.nullable = false;
    else if (words.take('NULL')) attributes.nullable = true;
    else if (words.take('ENABLE') || words.take('VISIBLE')) continue;
    else if (words.take('DEFAULT')) {
      words.take('ON', 'NULL');
      const expression = words.rest(ATTRIBUTES);
      if (expression.length === 0) return null;
      attributes.default = expression.join(' ');
    } else return null;
  }
  return attributes;
}

/** What ends the expression of a DEFAULT. */
const ATTRIBUTES: ReadonlySet<string> = new Set([
  'NOT',
  'NULL',
  'ENABLE',
  'DISABLE',
  'VISIBLE',
  'INVISIBLE',
  'CONSTRAINT',
  'UNIQUE',
  'PRIMARY',
  'CHECK',
  'REFERENCES',
]);

class Tokens {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }

  get previous(): string | undefined {
    return this.#tokens[this.#at - 1]?.toUpperCase();
  }

  next(): string | undefined {
    return this.#tokens[this.#at++];
  }

  /** Goes past these words if they come next. */
  take(...words: readonly string[]): boolean {
    if (!words.every((word, i) => this.#tokens[this.#at + i]?.toUpperCase() === word)) return false;
    this.#at += words.length;
    return true;
  }

  /** A name as the catalogue has it. */
  name(): string | null {
    const token = this.next();
    if (token === undefined) return null;
    if (token.startsWith('"')) return token.slice(1, -1);
    return /^[\p{L}][\p{L}\p{N}_$#]*$/u.test(token) ? token.toUpperCase() : null;
  }

  /** `t` or `s.t`. */
  tableName(): string | null {
    const first = this.name();
    if (first === null || this.#tokens[this.#at] !== '.') return first;
    this.#at++;
    return this.name();
  }

  /** The data type that comes next, however many tokens it has; null where none does. */
  dataType(): ReturnType<typeof parseDataType> {
    for (let count = Math.min(12, this.#tokens.length - this.#at); count > 0; count--) {
      const type = parseDataType(this.#tokens.slice(this.#at, this.#at + count).join(' '));
      if (type === null) continue;
      this.#at += count;
      return type;
    }
    return null;
  }

  /** The parts of a list in parentheses, split at its commas; null where none comes next. */
  parenthesised(): string[][] | null {
    if (this.#tokens[this.#at] !== '(') return null;
    const parts: string[][] = [[]];
    let depth = 0;
    while (!this.done) {
      const token = this.next()!;
      if (token === '(' && depth++ === 0) continue;
      if (token === ')' && --depth === 0) return parts;
      if (token === ',' && depth === 1) parts.push([]);
      else parts.at(-1)!.push(token);
    }
    return null;
  }

  /** Up to one of these words outside of parentheses, or so many tokens. */
  rest(until: ReadonlySet<string> | number): string[] {
    const rest: string[] = [];
    for (let depth = 0; !this.done;) {
      const token = this.#tokens[this.#at]!;
      if (
        typeof until === 'number'
          ? rest.length === until
          : depth === 0 && rest.length > 0 && until.has(token.toUpperCase())
      )
        break;
      if (token === '(') depth++;
      if (token === ')') depth--;
      rest.push(token);
      this.#at++;
    }
    return rest;
  }
}

/** Words, names in quotes, strings, numbers and single signs, without comments; null for what does not end. */
function tokenize(sql: string): readonly string[] | null {
  const tokens: string[] = [];
  for (let at = 0; at < sql.length;) {
    const char = sql[at]!;
    if (/\s/.test(char) || char === '\0') {
      at++;
    } else if (sql.startsWith('--', at)) {
      const end = sql.indexOf('\n', at);
      at = end < 0 ? sql.length : end;
    } else if (sql.startsWith('/*', at)) {
      const end = sql.indexOf('*/', at);
      if (end < 0) return null;
      at = end + 2;
    } else if (char === '"' || char === "'") {
      let end = sql.indexOf(char, at + 1);
      while (char === "'" && end >= 0 && sql[end + 1] === "'") end = sql.indexOf(char, end + 2);
      if (end < 0) return null;
      tokens.push(sql.slice(at, end + 1));
      at = end + 1;
    } else {
      const word = WORD;
      word.lastIndex = at;
      const text = word.exec(sql)?.[0] ?? char;
      tokens.push(text);
      at += text.length;
    }
  }
  while (tokens.at(-1) === ';') tokens.pop();
  return tokens;
}

const WORD = /-?[\p{L}\p{N}_$#]+/uy;
