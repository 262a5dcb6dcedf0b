import type { TableId } from '../../../model/table.ts';
import { type Sql, type Token, tokens } from './tokens.ts';

/**
 * What a statement of the log does to tables, as far as it matters here: which of them have to be looked at again.
 * Nothing is taken from the statement about columns; the catalogue and the log's own metadata say what came of it.
 */
export type Statement =
  /** Tables were created, altered or dropped: all names that are touched. */
  | {
      readonly kind: 'tables';
      readonly verb: 'create' | 'alter' | 'drop';
      readonly ids: readonly TableId[];
      /** CREATE TABLE … LIKE this one. */
      readonly like?: TableId;
      /** CREATE TABLE IF NOT EXISTS, which is logged also where there is such a table. */
      readonly ifNotExists?: true;
    }
  /** From, to; in this order, as if each were a statement. Their columns may have changed too. */
  | { readonly kind: 'renames'; readonly pairs: readonly (readonly [TableId, TableId])[] }
  | { readonly kind: 'truncate'; readonly id: TableId }
  /** All tables of a database are gone. */
  | { readonly kind: 'drop-database'; readonly schema: string }
  /**
   * Rows were moved, removed or replaced without being logged: partitions and tablespaces. `made`, `gone`: a table that
   * was a partition, or is one now.
   */
  | {
      readonly kind: 'partitions';
      readonly ids: readonly TableId[];
      readonly made?: TableId;
      readonly gone?: TableId;
    }
  /** Temporary tables came and went. */
  | { readonly kind: 'temporary'; readonly verb: 'create' | 'drop'; readonly ids: readonly TableId[] }
  /** Rows were changed by a statement that is logged instead of them. */
  | { readonly kind: 'rows'; readonly ids: readonly TableId[] }
  /** Nothing of ours. */
  | { readonly kind: 'none' }
  /** Not understood: anything may have happened. */
  | { readonly kind: 'unknown' };

const NONE: Statement = { kind: 'none' };
const UNKNOWN: Statement = { kind: 'unknown' };
/** First words of statements that change no table that holds rows. */
const HARMLESS: ReadonlySet<string> = new Set([
  'GRANT',
  'REVOKE',
  'SET',
  'FLUSH',
  'ANALYZE',
  'OPTIMIZE',
  'REPAIR',
  'CHECK',
  'CHECKSUM',
  'INSTALL',
  'UNINSTALL',
  'CALL',
  'USE',
  'SHOW',
  'SELECT',
  'DO',
  'LOCK',
  'UNLOCK',
  'START',
  'STOP',
  'CHANGE',
  'RESET',
  'PURGE',
  'KILL',
  'BACKUP',
]);
/** What CREATE, ALTER and DROP may name beside tables. */
const OTHER_OBJECTS: ReadonlySet<string> = new Set([
  'VIEW',
  'PROCEDURE',
  'FUNCTION',
  'TRIGGER',
  'EVENT',
  'USER',
  'ROLE',
  'SERVER',
  'TABLESPACE',
  'LOGFILE',
  'UNDO',
  'INSTANCE',
  'RESOURCE',
  'SPATIAL',
  'SEQUENCE',
  'PACKAGE',
  'LIBRARY',
  'MASKING',
]);

/** `database` is the one the session had selected. */
export function recognise(sql: Sql, database: string): Statement {
  const reader = new Reader(tokens(sql), database);
  const first = reader.word();
  switch (first) {
    case 'CREATE':
      return create(reader);
    case 'ALTER':
      return alter(reader);
    case 'DROP':
      return drop(reader);
    case 'RENAME':
      return rename(reader);
    case 'TRUNCATE':
      reader.skip('TABLE');
      return withId(reader.id(), (id) => ({ kind: 'truncate', id }));
    case 'INSERT':
    case 'REPLACE':
    case 'UPDATE':
    case 'DELETE':
    case 'LOAD':
    case 'WITH':
      return { kind: 'rows', ids: reader.allIds() };
    case '':
      return NONE;
    default:
      return HARMLESS.has(first) ? NONE : UNKNOWN;
  }
}

function withId(id: TableId | null, make: (id: TableId) => Statement): Statement {
  return id === null ? UNKNOWN : make(id);
}

function create(reader: Reader): Statement {
  reader.skip('OR', 'REPLACE');
  if (reader.skip('TEMPORARY')) {
    reader.skip('TABLE');
    reader.skip('IF', 'NOT', 'EXISTS');
    return withId(reader.id(), (id) => ({ kind: 'temporary', verb: 'create', ids: [id] }));
  }
  // CREATE [ALGORITHM = …] [DEFINER = …] [SQL SECURITY …] VIEW | PROCEDURE | …
  if (reader.skip('TABLE')) {
    const ifNotExists = reader.skip('IF', 'NOT', 'EXISTS');
    return withId(reader.id(), (id) => {
      const like = reader.like();
      return {
        kind: 'tables',
        verb: 'create',
        ids: [id],
        ...(like === null ? {} : { like }),
        ...(ifNotExists ? { ifNotExists } : {}),
      };
    });
  }
  if (reader.skip('DATABASE') || reader.skip('SCHEMA')) return NONE;
  if (reader.seekIndex()) {
    return withId(reader.idAfter('ON'), (id) => ({ kind: 'tables', verb: 'alter', ids: [id] }));
  }
  return reader.has(OTHER_OBJECTS) ? NONE : UNKNOWN;
}

function alter(reader: Reader): Statement {
  while (reader.skip('ONLINE') || reader.skip('OFFLINE') || reader.skip('IGNORE'));
  if (!reader.skip('TABLE')) {
    const other = reader.skip('DATABASE') || reader.skip('SCHEMA') || reader.has(OTHER_OBJECTS);
    return other ? NONE : UNKNOWN;
  }
  reader.skip('IF', 'EXISTS');
  const id = reader.id();
  if (id === null) return UNKNOWN;
  const { renamed, moved } = reader.alterations();
  if (moved !== null) return { kind: 'partitions', ...moved, ids: [id, ...moved.ids] };
  if (renamed !== null) return { kind: 'renames', pairs: [[id, renamed]] };
  return { kind: 'tables', verb: 'alter', ids: [id] };
}

function drop(reader: Reader): Statement {
  if (reader.skip('TEMPORARY')) {
    if (!reader.skip('TABLE')) reader.skip('TABLES');
    reader.skip('IF', 'EXISTS');
    return { kind: 'temporary', verb: 'drop', ids: reader.idList() };
  }
  if (reader.skip('DATABASE') || reader.skip('SCHEMA')) {
    reader.skip('IF', 'EXISTS');
    const schema = reader.name();
    return schema === null ? UNKNOWN : { kind: 'drop-database', schema };
  }
  if (reader.skip('TABLE') || reader.skip('TABLES')) {
    reader.skip('IF', 'EXISTS');
    const ids = reader.idList();
    return ids.length === 0 ? UNKNOWN : { kind: 'tables', verb: 'drop', ids };
  }
  if (reader.seekIndex()) {
    return withId(reader.idAfter('ON'), (id) => ({ kind: 'tables', verb: 'alter', ids: [id] }));
  }
  return reader.has(OTHER_OBJECTS) || reader.skip('PREPARE') ? NONE : UNKNOWN;
}

function rename(reader: Reader): Statement {
  if (reader.skip('USER')) return NONE;
  if (!reader.skip('TABLE') && !reader.skip('TABLES')) return UNKNOWN;
  reader.skip('IF', 'EXISTS');
  const pairs: (readonly [TableId, TableId])[] = [];
  do {
    const from = reader.id();
    reader.skipWait();
    if (!reader.skip('TO')) return UNKNOWN;
    const to = reader.id();
    if (from === null || to === null) return UNKNOWN;
    pairs.push([from, to]);
  } while (reader.comma());
  return { kind: 'renames', pairs };
}

class Reader {
  readonly #tokens: readonly Token[];
  readonly #database: string;
  #at = 0;

  constructor(list: readonly Token[], database: string) {
    this.#tokens = list;
    this.#database = database;
  }

  /** The next word in capitals, passed; '' where there is none. */
  word(): string {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'word') return '';
    this.#at++;
    return token.text.toUpperCase();
  }

  /** Passes these words if they come next. */
  skip(...words: readonly string[]): boolean {
    if (!words.every((word, i) => this.#isWord(this.#at + i, word))) return false;
    this.#at += words.length;
    return true;
  }

  /** MariaDB: WAIT n | NOWAIT. */
  skipWait(): void {
    if (this.skip('NOWAIT')) return;
    if (this.skip('WAIT')) this.#at++;
  }

  comma(): boolean {
    if (this.#tokens[this.#at]?.text !== ',') return false;
    this.#at++;
    return true;
  }

  name(): string | null {
    const token = this.#tokens[this.#at];
    if (token === undefined || (token.kind !== 'word' && token.kind !== 'quoted')) return null;
    this.#at++;
    return token.text;
  }

  /** `table` or `database.table`. */
  id(): TableId | null {
    const first = this.name();
    if (first === null) return null;
    if (this.#tokens[this.#at]?.text !== '.' || this.#tokens[this.#at]?.kind !== 'mark') {
      return { schema: this.#database, table: first };
    }
    this.#at++;
    const table = this.name();
    return table === null ? null : { schema: first, table };
  }

  idList(): readonly TableId[] {
    const ids: TableId[] = [];
    do {
      const id = this.id();
      if (id === null) break;
      ids.push(id);
    } while (this.comma());
    return ids;
  }

  /** LIKE name, also in parentheses. */
  like(): TableId | null {
    if (this.#tokens[this.#at]?.kind === 'mark' && this.#tokens[this.#at]?.text === '(') this.#at++;
    return this.skip('LIKE') ? this.id() : null;
  }

  idAfter(word: string): TableId | null {
    while (this.#at < this.#tokens.length && !this.#isWord(this.#at, word)) this.#at++;
    this.#at++;
    return this.id();
  }

  /** [UNIQUE | FULLTEXT | SPATIAL | VECTOR] INDEX */
  seekIndex(): boolean {
    const start = this.#at;
    while (
      this.skip('UNIQUE') ||
      this.skip('FULLTEXT') ||
      this.skip('SPATIAL') ||
      this.skip('VECTOR') ||
      this.skip('ONLINE') ||
      this.skip('OFFLINE')
    );
    if (this.skip('INDEX') || this.skip('KEY')) return true;
    this.#at = start;
    return false;
  }

  /** Whether one of the words comes, before anything in parentheses. */
  has(words: ReadonlySet<string>): boolean {
    for (let i = this.#at; i < this.#tokens.length; i++) {
      const token = this.#tokens[i]!;
      if (token.text === '(' && token.kind === 'mark') return false;
      if (token.kind === 'word' && words.has(token.text.toUpperCase())) return true;
    }
    return false;
  }

  /** What ALTER TABLE says beside columns: the new name, and rows that go with their partitions or their tablespace. */
  alterations(): {
    readonly renamed: TableId | null;
    readonly moved: Omit<Extract<Statement, { readonly kind: 'partitions' }>, 'kind'> | null;
  } {
    let renamed: TableId | null = null;
    let moved: ReturnType<Reader['alterations']>['moved'] = null;
    let depth = 0;
    let begins = true;
    while (this.#at < this.#tokens.length) {
      const token = this.#tokens[this.#at]!;
      if (token.kind === 'mark') {
        if (token.text === '(') depth++;
        else if (token.text === ')') depth--;
        begins = token.text === ',' && depth === 0;
        this.#at++;
        continue;
      }
      const atStart = begins && depth === 0;
      begins = false;
      if (atStart && this.skip('RENAME')) {
        if (this.skip('COLUMN') || this.skip('INDEX') || this.skip('KEY')) continue;
        if (!this.skip('TO')) this.skip('AS');
        if (this.#tokens[this.#at]?.text === '=') this.#at++;
        renamed = this.id();
      } else if (atStart && (this.skip('DROP', 'PARTITION') || this.skip('TRUNCATE', 'PARTITION'))) {
        moved = { ids: [] };
      } else if (atStart && this.skip('EXCHANGE', 'PARTITION')) {
        this.name();
        const other = this.skip('WITH', 'TABLE') ? this.id() : null;
        moved = { ids: other === null ? [] : [other] };
      } else if (atStart && this.skip('CONVERT', 'PARTITION')) {
        this.name();
        const made = this.skip('TO', 'TABLE') ? this.id() : null;
        moved = made === null ? { ids: [] } : { ids: [made], made };
      } else if (atStart && this.skip('CONVERT', 'TABLE')) {
        const gone = this.id();
        moved = gone === null ? { ids: [] } : { ids: [], gone };
      } else if (atStart && (this.skip('DISCARD') || this.skip('IMPORT'))) {
        moved = { ids: [] };
      } else {
        this.#at++;
      }
    }
    return { renamed, moved };
  }

  /** Every name that could be a table's: for statements that are not looked at closely. */
  allIds(): readonly TableId[] {
    const ids: TableId[] = [];
    while (this.#at < this.#tokens.length) {
      const id = this.id();
      if (id === null) this.#at++;
      else ids.push(id);
    }
    return ids;
  }

  #isWord(at: number, word: string): boolean {
    const token = this.#tokens[at];
    return token?.kind === 'word' && token.text.toUpperCase() === word;
  }
}
