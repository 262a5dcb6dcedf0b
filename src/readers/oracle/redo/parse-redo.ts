/**
 * SQL_REDO of V$LOGMNR_CONTENTS, statements of operation codes 1, 2 and 3. The grammar is LogMiner's own, not
 * SQL's: keywords in lower case, identifiers always quoted, values literals or calls of a dozen functions.
 *
 * One forward pass, linear in the text. Anything can stand inside a string; nothing outside of one is user data.
 */
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { CLOSE, COMMA, DOT, EQUALS, OPEN, QUOTE } from './characters.ts';
import { type Literal, PRESENT, type RedoStatement } from './literal.ts';
import { SET, VALUES, WHERE } from './lone-apostrophes.ts';
import { NameMemory } from './name-memory.ts';
import { assertMalformed, RedoCursor } from './redo-cursor.ts';
import { readString, readValue } from './redo-values.ts';

/** Throws `source.redo-unreadable`, and nothing else, on whatever is not such a statement from end to end. */
export function parseRedo(text: string): RedoStatement {
  try {
    return parser.parse(text, false);
  } catch (error) {
    assertMalformed(error);
    try {
      // Some releases write strings of extended columns without doubling their apostrophes.
      return parser.parse(text, true);
    } catch (again) {
      assertMalformed(again);
      throw new HeadwaterError(
        'source.redo-unreadable',
        `A statement of the redo log cannot be read: ${error.message} at character ${error.at}.`,
        { details: { at: error.at, length: text.length } },
      );
    }
  }
}

const EMPTY: readonly never[] = [];

class RedoParser {
  readonly #cursor = new RedoCursor();
  #rowid: string | null = null;
  /** Apart, since the columns that are set differ and those of the where clause hardly do. */
  readonly #heads = new NameMemory();
  readonly #predicates = new NameMemory();

  parse(text: string, relaxed: boolean): RedoStatement {
    const cursor = this.#cursor;
    cursor.text = text;
    cursor.at = 0;
    cursor.relaxed = relaxed;
    this.#rowid = null;
    this.#heads.rewind();
    this.#predicates.rewind();
    try {
      cursor.blanks();
      if (cursor.eat('insert into ')) return this.#insert();
      if (cursor.eat('update ')) return this.#update();
      if (cursor.eat('delete from ')) return this.#delete();
      throw cursor.malformed('not an insert, update or delete');
    } finally {
      cursor.text = ''; // a statement may be megabytes
    }
  }

  #insert(): RedoStatement {
    const cursor = this.#cursor;
    const schema = cursor.identifier(this.#heads);
    cursor.expect(DOT);
    const table = cursor.identifier(this.#heads);
    cursor.blanks();
    cursor.expect(OPEN);
    const names: string[] = [];
    do {
      cursor.blanks();
      names.push(cursor.column(this.#heads));
      cursor.blanks();
    } while (cursor.eatChar(COMMA));
    cursor.expect(CLOSE);
    cursor.blanks();
    if (!cursor.eat('values')) throw cursor.malformed('values expected');
    cursor.blanks();
    cursor.expect(OPEN);
    const values: Literal[] = [];
    do {
      cursor.blanks();
      values.push(readValue(cursor, VALUES));
      cursor.blanks();
    } while (cursor.eatChar(COMMA));
    cursor.expect(CLOSE);
    cursor.end();
    if (names.length !== values.length) throw cursor.malformed('another number of values than of columns');
    return {
      op: 'insert',
      schema,
      table,
      names,
      values,
      whereNames: EMPTY,
      whereValues: EMPTY,
      rowid: null,
      relaxed: cursor.relaxed,
    };
  }

  #update(): RedoStatement {
    const cursor = this.#cursor;
    const schema = cursor.identifier(this.#heads);
    cursor.expect(DOT);
    const table = cursor.identifier(this.#heads);
    cursor.alias();
    if (!cursor.eat('set')) throw cursor.malformed('set expected');
    const names: string[] = [];
    const values: Literal[] = [];
    do {
      cursor.blanks();
      names.push(cursor.column(this.#heads));
      if (!cursor.equals()) throw cursor.malformed('= expected');
      values.push(readValue(cursor, SET));
      cursor.blanks();
    } while (cursor.eatChar(COMMA));
    const whereNames: string[] = [];
    const whereValues: Literal[] = [];
    this.#where(whereNames, whereValues);
    return {
      op: 'update',
      schema,
      table,
      names,
      values,
      whereNames,
      whereValues,
      rowid: this.#rowid,
      relaxed: cursor.relaxed,
    };
  }

  #delete(): RedoStatement {
    const cursor = this.#cursor;
    const schema = cursor.identifier(this.#heads);
    cursor.expect(DOT);
    const table = cursor.identifier(this.#heads);
    cursor.alias();
    const whereNames: string[] = [];
    const whereValues: Literal[] = [];
    this.#where(whereNames, whereValues);
    return {
      op: 'delete',
      schema,
      table,
      names: EMPTY,
      values: EMPTY,
      whereNames,
      whereValues,
      rowid: this.#rowid,
      relaxed: cursor.relaxed,
    };
  }

  /** Up to the statement's end. */
  #where(names: string[], values: Literal[]): void {
    const cursor = this.#cursor;
    cursor.blanks();
    if (cursor.eat('where ')) {
      do {
        cursor.blanks();
        this.#predicate(names, values);
      } while (this.#goesOn());
    }
    cursor.end();
  }

  /** Whether another predicate follows. */
  #goesOn(): boolean {
    const cursor = this.#cursor;
    if (cursor.eat(' and ')) return true;
    cursor.blanks();
    return cursor.eat('and ') || cursor.eat('or ');
  }

  #predicate(names: string[], values: Literal[]): void {
    const cursor = this.#cursor;
    if (cursor.text.charCodeAt(cursor.at) !== QUOTE && cursor.eat('ROWID')) {
      cursor.blanks();
      cursor.expect(EQUALS);
      cursor.blanks();
      this.#rowid = readString(cursor, WHERE);
      return;
    }
    names.push(cursor.column(this.#predicates));
    if (cursor.equals()) {
      values.push(readValue(cursor, WHERE));
    } else if (cursor.eat('IS NULL')) {
      values.push(null);
    } else if (cursor.eat('IS NOT NULL')) {
      values.push(PRESENT);
    } else {
      throw cursor.malformed('a comparison expected');
    }
  }
}

/** Parsing never waits and never calls itself: one does for all. */
const parser = new RedoParser();
