import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { makeDirectory } from '../../state/make-directory.ts';

/** What was last delivered of a row. */
export interface KnownRow {
  /** Of the whole row; empty where a snapshot may have delivered something else since. */
  readonly hash: Uint8Array;
  /** As textOfValues gives it, with the version of its table's schema; null where rows are not kept. */
  readonly row: string | null;
  readonly version: number;
}

interface StoredRow extends KnownRow {
  readonly stamp: number;
}

export interface RowStateOptions {
  readonly path: string;
  /** More than this is not kept: keys that come later are not remembered. */
  readonly limitBytes: number;
}

const SCHEMA = `
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (batch INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS kept (tbl TEXT NOT NULL, key BLOB NOT NULL, hash BLOB NOT NULL, row TEXT,
  version INTEGER NOT NULL, stamp INTEGER NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS undo (batch INTEGER NOT NULL, n INTEGER NOT NULL, tbl TEXT NOT NULL, key BLOB NOT NULL,
  hash BLOB, row TEXT, version INTEGER, stamp INTEGER, PRIMARY KEY (batch, n)) WITHOUT ROWID;`;

const HAS = 'SELECT 1 FROM kept WHERE tbl = ? AND key = ?';

/**
 * What has been delivered of the rows of polled tables, on local disk: decides whether a row that was read again is
 * emitted, and what its record says of before. It must never be ahead of the checkpoint, nor behind: each change is
 * written with what it replaces, under the number of its batch, and the position names the last such batch. At start
 * the file is undone to the checkpoint's; one that does not know it (lost, or another machine's) is begun anew, and
 * what it would have suppressed is emitted again (docs/decisions/0021-polling.md).
 */
export class RowState {
  /** Whether nothing could be taken over at start. */
  fresh = false;
  readonly #db: DatabaseSync;
  readonly #limitBytes: number;
  #run = '';
  #batch = 0;
  #pending = 0;
  #writes = 0;
  #inBatch = false;
  #full = false;
  readonly #get: StatementSync;
  readonly #has: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #touch: StatementSync;
  readonly #undo: StatementSync;
  readonly #forgetMeta: StatementSync;

  /** `kept`: of the checkpoint's position. Throws `delivery.disk`. */
  constructor({ path, limitBytes }: RowStateOptions, kept: string | null) {
    this.#limitBytes = limitBytes;
    try {
      makeDirectory(dirname(path));
      this.#db = new DatabaseSync(path);
      this.#db.exec(SCHEMA);
    } catch (cause) {
      throw new HeadwaterError('delivery.disk', `The file ${path} of polling cannot be opened.`, {
        details: { path },
        cause,
      });
    }
    this.#get = this.#db.prepare('SELECT hash, row, version, stamp FROM kept WHERE tbl = ? AND key = ?');
    this.#has = this.#db.prepare(HAS);
    this.#put = this.#db.prepare('INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?, ?)');
    this.#delete = this.#db.prepare('DELETE FROM kept WHERE tbl = ? AND key = ?');
    this.#touch = this.#db.prepare('UPDATE kept SET stamp = ? WHERE tbl = ? AND key = ?');
    this.#undo = this.#db.prepare('INSERT INTO undo VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#forgetMeta = this.#db.prepare('DELETE FROM meta WHERE name = ?');
    this.#restore(kept);
  }

  /** Whether rows that are not known yet are taken no more. */
  get full(): boolean {
    return this.#full;
  }

  /** Number of the last batch that changed anything. */
  get batch(): number {
    return this.#batch;
  }

  /** Names the state as it is now; for the position. */
  get kept(): string {
    return `${this.#run}:${this.#batch}`;
  }

  #restore(kept: string | null): void {
    const run = this.#meta('run');
    const [ofRun, batch] = (kept ?? '').split(':');
    const known =
      run !== null &&
      run === ofRun &&
      this.#db.prepare('SELECT 1 FROM marks WHERE batch = ?').get(Number(batch)) !== undefined;
    if (known) {
      this.#run = run;
      this.#batch = Number(batch);
      this.#rollBack();
      return;
    }
    this.fresh = true;
    this.#run = randomBytes(8).toString('hex');
    this.#db.exec('BEGIN; DELETE FROM kept; DELETE FROM undo; DELETE FROM marks; DELETE FROM meta');
    this.#setMeta('run', this.#run);
    this.#db.exec('INSERT INTO marks VALUES (0); COMMIT');
  }

  #rollBack(): void {
    this.#db.exec('BEGIN');
    const entries = this.#db
      .prepare(
        'SELECT tbl, key, hash, row, version, stamp FROM undo WHERE batch > ? ORDER BY batch DESC, n DESC',
      )
      .all(this.#batch);
    for (const { tbl, key, hash, row, version, stamp } of entries) {
      if (hash === null) this.#delete.run(tbl!, key!);
      else this.#put.run(tbl!, key!, hash!, row!, version!, stamp!);
    }
    this.#db.prepare('DELETE FROM undo WHERE batch > ?').run(this.#batch);
    this.#db.prepare('DELETE FROM marks WHERE batch > ?').run(this.#batch);
    this.#db.exec('COMMIT');
  }

  /** Whether all rows of the table that were ever delivered are known. */
  isComplete(table: string): boolean {
    return this.#meta(`complete/${table}`) !== null;
  }

  /** The table is about to be read from its beginning. */
  beginTable(table: string): void {
    this.#setMeta(`complete/${table}`, '1');
  }

  /** What follows belongs to this batch. */
  begin(batch: number): void {
    this.#db.exec('BEGIN');
    this.#inBatch = true;
    this.#writes = 0;
    this.#pending = batch;
  }

  /** Before the batch is handed over. */
  end(): void {
    if (this.#writes > 0) {
      this.#batch = this.#pending;
      this.#db.prepare('INSERT OR REPLACE INTO marks VALUES (?)').run(this.#batch);
    }
    this.#db.exec('COMMIT');
    this.#inBatch = false;
    this.#full = this.#bytes() > this.#limitBytes;
  }

  /** The same for the batch after the last that changed anything. */
  inNextBatch(work: () => void): void {
    this.begin(this.#batch + 1);
    try {
      work();
      this.end();
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /** Undoes what was done since `begin`. */
  abandon(): void {
    if (this.#inBatch) this.#db.exec('ROLLBACK');
    this.#inBatch = false;
  }

  get(table: string, key: Uint8Array): KnownRow | null {
    return this.#row(table, key);
  }

  has(table: string, key: Uint8Array): boolean {
    return this.#has.get(table, key) !== undefined;
  }

  put(table: string, key: Uint8Array, row: StoredRow): void {
    const was = this.#row(table, key);
    if (was === null && this.#full) {
      this.#leaveOut(table);
      return;
    }
    this.#journal(table, key, was);
    this.#put.run(table, key, row.hash, row.row, row.version, row.stamp);
  }

  remove(table: string, key: Uint8Array): void {
    const was = this.#row(table, key);
    if (was === null) return;
    this.#journal(table, key, was);
    this.#delete.run(table, key);
  }

  /** The row has been seen again as it is known. */
  touch(table: string, key: Uint8Array, stamp: number): void {
    this.#touch.run(stamp, table, key);
  }

  /** What the table's keys are made of; null: of what polling recognises its rows by. */
  columnsOf(table: string): readonly string[] | null {
    const text = this.#meta(`columns/${table}`);
    return text === null ? null : (JSON.parse(text) as readonly string[]);
  }

  /** Keys that are made of other columns are forgotten, and with them that all are known. In a batch. */
  useColumns(table: string, columns: readonly string[]): void {
    const text = JSON.stringify(columns);
    const was = this.#meta(`columns/${table}`);
    if (was === text) return;
    if (was !== null) this.forgetTable(table);
    this.#setMeta(`columns/${table}`, text);
  }

  /** Nothing of the table is known any more. In a batch. */
  forgetTable(table: string): void {
    this.removeAll(table);
    this.#leaveOut(table);
  }

  /** Tables that have been read from their beginning. */
  get completeTables(): readonly string[] {
    return this.#db
      .prepare("SELECT substr(name, 10) AS tbl FROM meta WHERE name GLOB 'complete/*'")
      .all()
      .map(({ tbl }) => String(tbl));
  }

  /** In a batch. */
  removeAll(table: string): void {
    const { changes } = this.#db
      .prepare(
        `INSERT INTO undo SELECT ?, ? + row_number() OVER (), tbl, key, hash, row, version, stamp
         FROM kept WHERE tbl = ?`,
      )
      .run(this.#pending, this.#writes - 1, table);
    this.#writes += Number(changes);
    this.#db.prepare('DELETE FROM kept WHERE tbl = ?').run(table);
  }

  /**
   * A snapshot has read the row and will deliver it, or something newer, now or after a restart. What is known already
   * may be newer, so it stays; but it does not suppress anything if it differs.
   */
  seed(table: string, key: Uint8Array, row: StoredRow): void {
    const was = this.#row(table, key);
    if (was === null) {
      if (this.#full) this.#leaveOut(table);
      else this.#put.run(table, key, row.hash, row.row, row.version, row.stamp);
    } else if (Buffer.compare(was.hash, row.hash) !== 0) {
      this.#put.run(table, key, new Uint8Array(), row.row, row.version, was.stamp);
    }
  }

  /** Rows of the table that have left the overlap, up to `limit` of them; how many. */
  forget(
    table: string,
    of: { readonly notSeenSince: number; readonly batch: number; readonly limit: number },
  ): number {
    const gone = this.unseen(table, of.notSeenSince, of.limit);
    if (gone.length === 0) return 0;
    this.begin(of.batch);
    for (const key of gone) this.remove(table, key);
    this.end();
    return gone.length;
  }

  /** Many calls of `seed` at once. */
  together(work: () => void): void {
    this.#db.exec('BEGIN');
    try {
      work();
      this.#db.exec('COMMIT');
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
    this.#full = this.#bytes() > this.#limitBytes;
  }

  /** A row of the table is not remembered: not all of them are known any more, also when there is room again. */
  #leaveOut(table: string): void {
    if (this.isComplete(table)) this.#forgetMeta.run(`complete/${table}`);
  }

  /** A stamp that no row has yet: for what is seen of all that is known. */
  beginComparison(): number {
    const latest = this.#db.prepare('SELECT max(stamp) AS stamp FROM kept').get();
    return Number(latest?.['stamp'] ?? 0) + 1;
  }

  /**
   * Polling goes on with stamps from here: what was seen by a process that was killed later on, or by a comparison that led to
   * nothing, is as old as this. Else a row that a killed process's snapshot had read, and that was deleted before the next
   * one's, would count as seen by that one.
   */
  goOnFrom(stamp: number): void {
    this.#db.prepare('UPDATE kept SET stamp = ? WHERE stamp > ?').run(stamp, stamp);
  }

  /** Up to `limit` keys of the table that were not seen since `stamp`. */
  unseen(table: string, stamp: number, limit: number): readonly Uint8Array[] {
    return this.#db
      .prepare('SELECT key FROM kept WHERE tbl = ? AND stamp < ? LIMIT ?')
      .all(table, stamp, limit)
      .flatMap(({ key }) => (key instanceof Uint8Array ? [key] : []));
  }

  /** The position with this batch is durable, or one after it. */
  confirm(batch: number): void {
    const [row] = this.#db.prepare('SELECT max(batch) AS batch FROM marks WHERE batch <= ?').all(batch);
    const durable = Number(row?.['batch'] ?? 0);
    this.#db.prepare('DELETE FROM undo WHERE batch <= ?').run(durable);
    this.#db.prepare('DELETE FROM marks WHERE batch < ?').run(durable);
  }

  close(): void {
    this.abandon();
    this.#db.close();
  }

  #row(table: string, key: Uint8Array): StoredRow | null {
    const found = this.#get.get(table, key);
    if (found === undefined) return null;
    const { hash, row, version, stamp } = found;
    if (!(hash instanceof Uint8Array)) return null;
    return {
      hash,
      row: typeof row === 'string' ? row : null,
      version: Number(version),
      stamp: Number(stamp),
    };
  }

  #journal(table: string, key: Uint8Array, was: StoredRow | null): void {
    const { hash = null, row = null, version = null, stamp = null } = was ?? {};
    this.#undo.run(this.#pending, this.#writes++, table, key, hash, row, version, stamp);
  }

  #bytes(): number {
    const pages = this.#db.prepare('PRAGMA page_count').get();
    const free = this.#db.prepare('PRAGMA freelist_count').get();
    const size = this.#db.prepare('PRAGMA page_size').get();
    return (Number(pages?.['page_count']) - Number(free?.['freelist_count'])) * Number(size?.['page_size']);
  }

  #meta(name: string): string | null {
    const value = this.#db.prepare('SELECT value FROM meta WHERE name = ?').get(name)?.['value'];
    return typeof value === 'string' ? value : null;
  }

  #setMeta(name: string, value: string): void {
    this.#db.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)').run(name, value);
  }
}

/** Looks at another's row state. */
export class KnownKeys {
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;

  constructor(path: string) {
    this.#db = new DatabaseSync(path, { readOnly: true });
    this.#find = this.#db.prepare(HAS);
  }

  has(table: string, key: Uint8Array): boolean {
    return this.#find.get(table, key) !== undefined;
  }

  close(): void {
    this.#db.close();
  }
}
