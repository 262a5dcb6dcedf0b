/**
 * The columns of a table behind a statement, in their order: what the log's table maps do not say where
 * binlog_row_metadata is not FULL. What is not understood gives null, never a guess.
 */
import { type Sql, type Token, tokens } from './tokens.ts';

/** What CREATE TABLE (…) and ADD name beside columns; words only, since a quoted one is always a name. */
const NO_COLUMN: ReadonlySet<string> = new Set([
  'CONSTRAINT',
  'PRIMARY',
  'UNIQUE',
  'INDEX',
  'KEY',
  'FULLTEXT',
  'SPATIAL',
  'VECTOR',
  'FOREIGN',
  'CHECK',
  'PARTITION',
  'PERIOD',
  'SYSTEM',
]);

/** What a definition says of a column's values that the log's table maps may not. */
export interface Definition {
  /** In lower case. */
  readonly type: string;
  /** Labels of ENUM and SET. */
  readonly values: readonly string[] | null;
  readonly unsigned: boolean;
  /** Where it is named. */
  readonly charset: string | null;
}

/** A column behind a statement. */
export interface StatedColumn {
  readonly name: string;
  /** What it was called before; null for a new one. */
  readonly was: string | null;
  /** Null where it is as it was. */
  readonly definition: Definition | null;
}

/** Of CREATE TABLE with a list of columns; null for LIKE, SELECT and whatever else. */
export function createdColumns(sql: Sql): readonly StatedColumn[] | null {
  const list = tokens(sql);
  const open = list.findIndex(({ kind, text }) => kind === 'mark' && text === '(');
  if (open < 0) return null;
  const close = closing(list, open);
  // CREATE TABLE t (LIKE u), and columns from a SELECT behind the list.
  if (close < 0 || isWord(list[open + 1], 'LIKE')) return null;
  if (
    list
      .slice(close)
      .some((token) => isWord(token, 'SELECT') || isWord(token, 'TABLE') || isWord(token, 'VALUES'))
  ) {
    if (!list.slice(close).some((token) => isWord(token, 'PARTITION'))) return null;
  }
  const columns: StatedColumn[] = [];
  for (const clause of clauses(list.slice(open + 1, close))) {
    const [first] = clause;
    if (first === undefined) return null;
    if (first.kind === 'word' && NO_COLUMN.has(first.text.toUpperCase())) continue;
    if (first.kind !== 'word' && first.kind !== 'quoted') return null;
    columns.push({ name: first.text, was: null, definition: definitionOf(clause.slice(1)) });
  }
  return columns.length === 0 ? null : columns;
}

/** Of ALTER TABLE on a table that had these columns. */
export function alteredColumns(sql: Sql, before: readonly string[]): readonly StatedColumn[] | null {
  const list = tokens(sql);
  const start = list.findIndex((token) => isWord(token, 'TABLE'));
  if (start < 0) return null;
  const columns = new AlteredColumns(before);
  for (const [i, clause] of clauses(list.slice(start + 1)).entries()) {
    // The name of the table stands before the first one.
    if (!columns.apply(i === 0 ? behindName(clause) : clause)) return null;
  }
  return columns.list;
}

/** Without [IF EXISTS] [WAIT n | NOWAIT] `name` or `database`.`name`. */
function behindName(clause: readonly Token[]): readonly Token[] {
  let at = 0;
  if (isWord(clause[at], 'IF')) at += 2;
  at++;
  if (clause[at]?.text === '.') at += 2;
  if (isWord(clause[at], 'NOWAIT')) at++;
  else if (isWord(clause[at], 'WAIT')) at += 2;
  return clause.slice(at);
}

class AlteredColumns {
  readonly list: StatedColumn[];
  #clause: readonly Token[] = [];
  #at = 0;

  constructor(names: readonly string[]) {
    this.list = names.map((name) => ({ name, was: name, definition: null }));
  }

  /** False where the clause is not understood. */
  apply(clause: readonly Token[]): boolean {
    this.#clause = clause;
    this.#at = 0;
    if (this.#skip('ADD')) return this.#add();
    if (this.#skip('DROP')) return this.#drop();
    if (this.#skip('CHANGE')) return this.#change();
    if (this.#skip('MODIFY')) return this.#modify();
    if (this.#skip('RENAME')) return this.#rename();
    return true; // of no column, or not of its name and place
  }

  #add(): boolean {
    const explicit = this.#skip('COLUMN');
    if (this.#skip('IF')) this.#at += 2;
    const next = this.#clause[this.#at];
    if (!explicit && next?.kind === 'word' && NO_COLUMN.has(next.text.toUpperCase())) return true;
    if (next?.text === '(' && next.kind === 'mark') {
      const close = closing(this.#clause, this.#at);
      if (close < 0) return false;
      for (const definition of clauses(this.#clause.slice(this.#at + 1, close))) {
        const [first] = definition;
        if (first === undefined || (first.kind !== 'word' && first.kind !== 'quoted')) return false;
        if (first.kind === 'word' && NO_COLUMN.has(first.text.toUpperCase())) continue;
        this.list.push({ name: first.text, was: null, definition: definitionOf(definition.slice(1)) });
      }
      return true;
    }
    const name = this.#name();
    return (
      name !== null &&
      this.#insert({ name, was: null, definition: this.#definition() }, this.#place(this.list.length))
    );
  }

  #drop(): boolean {
    const explicit = this.#skip('COLUMN');
    if (this.#skip('IF')) this.#at++;
    const next = this.#clause[this.#at];
    if (!explicit && next?.kind === 'word' && NO_COLUMN.has(next.text.toUpperCase())) return true;
    const at = this.#find(this.#name());
    if (at < 0) return explicit;
    this.list.splice(at, 1);
    return true;
  }

  #change(): boolean {
    this.#skip('COLUMN');
    if (this.#skip('IF')) this.#at++;
    const at = this.#find(this.#name());
    const name = this.#name();
    return at >= 0 && name !== null && this.#move(at, name);
  }

  #modify(): boolean {
    this.#skip('COLUMN');
    if (this.#skip('IF')) this.#at++;
    const at = this.#find(this.#name());
    return at >= 0 && this.#move(at, this.list[at]!.name);
  }

  #rename(): boolean {
    if (!this.#skip('COLUMN')) return true;
    if (this.#skip('IF')) this.#at++;
    const at = this.#find(this.#name());
    const to = this.#skip('TO') ? this.#name() : null;
    if (at < 0 || to === null) return false;
    this.list[at] = { ...this.list[at]!, name: to };
    return true;
  }

  #move(at: number, name: string): boolean {
    const { was } = this.list[at]!;
    this.list.splice(at, 1);
    return this.#insert({ name, was, definition: this.#definition() }, this.#place(at));
  }

  #insert(column: StatedColumn, at: number): boolean {
    if (at < 0) return false;
    this.list.splice(at, 0, column);
    return true;
  }

  /** What stands behind the name. */
  #definition(): Definition {
    return definitionOf(this.#clause.slice(this.#at));
  }

  /** Where FIRST or AFTER at the clause's end puts the column; -1 behind one that is not there. */
  #place(otherwise: number): number {
    const last = this.#clause.at(-1);
    if (isWord(last, 'FIRST')) return 0;
    const before = this.#clause.at(-2);
    if (!isWord(before, 'AFTER') || last === undefined) return otherwise;
    const at = this.#find(last.text);
    return at < 0 ? -1 : at + 1;
  }

  /** By what it was called before the statement, else by its new name. Column names know no upper and lower case. */
  #find(name: string | null): number {
    if (name === null) return -1;
    const same = (other: string | null): boolean => other?.toLowerCase() === name.toLowerCase();
    const at = this.list.findIndex(({ was }) => same(was));
    return at >= 0 ? at : this.list.findIndex((column) => same(column.name));
  }

  #skip(word: string): boolean {
    if (!isWord(this.#clause[this.#at], word)) return false;
    this.#at++;
    return true;
  }

  #name(): string | null {
    const token = this.#clause[this.#at];
    if (token === undefined || (token.kind !== 'word' && token.kind !== 'quoted')) return null;
    this.#at++;
    return token.text;
  }
}

function definitionOf(list: readonly Token[]): Definition {
  const [first] = list;
  const type = first?.kind === 'word' ? first.text.toLowerCase() : '';
  const words = list.map(({ kind, text }) => (kind === 'word' ? text.toUpperCase() : ''));
  const set = words.findIndex(
    (word, i) => word === 'CHARSET' || (word === 'SET' && words[i - 1] === 'CHARACTER'),
  );
  const named = set < 0 ? undefined : list[list[set + 1]?.text === '=' ? set + 2 : set + 1];
  const collate = words.indexOf('COLLATE');
  const collation =
    collate < 0 ? undefined : list[list[collate + 1]?.text === '=' ? collate + 2 : collate + 1];
  return {
    type,
    values: type === 'enum' || type === 'set' ? labelsOf(list) : null,
    unsigned: words.includes('UNSIGNED') || words.includes('ZEROFILL') || type === 'serial',
    charset: named?.text.toLowerCase() ?? charsetOf(collation),
  };
}

/** Collations are named after the character set, but for those of MariaDB that leave it out. */
function charsetOf(collation: Token | undefined): string | null {
  const charset = collation?.text.toLowerCase().split('_')[0] ?? null;
  return charset === 'uca1400' ? null : charset;
}

/** Null where they are not plain strings. */
function labelsOf(list: readonly Token[]): readonly string[] | null {
  const close = closing(list, 1);
  if (close < 0) return null;
  const inside = list.slice(2, close).filter(({ kind, text }) => kind !== 'mark' || text !== ',');
  const plain = inside.filter(({ kind, text }) => kind !== 'word' || !text.startsWith('_'));
  return plain.every(({ kind }) => kind === 'string' || kind === 'quoted')
    ? plain.map(({ text }) => text)
    : null;
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text.toUpperCase() === word;
}

/** Parts between commas that are in no parentheses. */
function clauses(list: readonly Token[]): readonly (readonly Token[])[] {
  const out: Token[][] = [[]];
  let depth = 0;
  for (const token of list) {
    if (token.kind === 'mark' && token.text === '(') depth++;
    if (token.kind === 'mark' && token.text === ')') depth--;
    if (token.kind === 'mark' && token.text === ',' && depth === 0) out.push([]);
    else out.at(-1)!.push(token);
  }
  return out;
}

function closing(list: readonly Token[], open: number): number {
  let depth = 0;
  if (list[open]?.text !== '(') return -1;
  for (let i = open; i < list.length; i++) {
    const { kind, text } = list[i]!;
    if (kind !== 'mark') continue;
    if (text === '(') depth++;
    if (text === ')' && --depth === 0) return i;
  }
  return -1;
}
