import { QUOTE } from './characters.ts';

/** Twice the columns a table can have, and some. */
const MOST_PLACES = 2_500;

/** Statements of one table name its columns in the same order again and again. */
export class NameMemory {
  readonly #names: string[] = [];
  #next = 0;

  /** Another statement begins. */
  rewind(): void {
    this.#next = 0;
  }

  /**
   * The name that ends before the quote at or behind `at`, where one does; undefined else. The same string object as
   * the last time at this place where it is the same name: maps find it without hashing it anew.
   */
  read(text: string, at: number): string | undefined {
    const place = this.#next++;
    const known = this.#names[place];
    if (known !== undefined && text.startsWith(known, at) && text.charCodeAt(at + known.length) === QUOTE) {
      return known;
    }
    const end = text.indexOf('"', at);
    if (end < 0) return undefined;
    const name = text.slice(at, end);
    // A copy, since a slice keeps the statement it is of in memory, which may be of megabytes.
    if (place < MOST_PLACES) this.#names[place] = Buffer.from(name).toString();
    return name;
  }
}
