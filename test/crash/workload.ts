import type { CrashSource, Session } from './source.ts';

/**
 * A writer whose every committed change can be told apart, and its own record of them: `rev` grows with every
 * insert and update over all tables, so a topic either holds each (table, key, op, rev) once or is wrong.
 */
export interface Op {
  readonly table: 'accounts' | 'items' | 'log';
  /** JSON of the key columns in key order; the row itself for the table without a key. */
  readonly key: string;
  readonly op: 'c' | 'u' | 'd';
  /** Of the row after an insert or update, of the deleted row otherwise. */
  readonly rev: number;
}

/** Deterministic for a seed: mulberry32. */
export function randomFrom(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export class Workload {
  /** Committed changes in commit order. */
  readonly committed: Op[] = [];
  readonly #accounts = new Map<number, number>();
  readonly #items = new Map<string, number>();
  readonly #random: () => number;
  readonly #source: CrashSource;
  #nextAccount = 1;
  #rev = 0;

  constructor(source: CrashSource, random: () => number) {
    this.#source = source;
    this.#random = random;
  }

  /** Makes the tables and fills each with one statement; `rev` of those rows counts from 1. */
  async preload(session: Session, rows: number): Promise<void> {
    const source = this.#source;
    for (const statement of source.setUp) await session.query(statement);
    const big = "CASE WHEN i % 50 = 0 THEN repeat('x', 4000) END";
    await session.query(source.fill('accounts', `i, i, concat('note ', i), ${big}`, rows));
    await session.query(source.fill('items', `i, concat('k', i % 100), ${rows} + i, i / 100.0`, rows));
    await session.query(source.fill('log', `${2 * rows} + i, 'started'`, 10));
    for (let i = 1; i <= rows; i++) this.#note('accounts', JSON.stringify([i]), 'c', i);
    for (let i = 1; i <= rows; i++) this.#note('items', JSON.stringify([`k${i % 100}`, i]), 'c', rows + i);
    for (let i = 1; i <= 10; i++) this.#note('log', String(2 * rows + i), 'c', 2 * rows + i);
    for (const op of this.committed) this.#apply(op);
    this.#nextAccount = rows + 1;
    this.#rev = this.committed.length;
  }

  /**
   * One transaction of one to forty changes. Its ops count only once COMMIT has answered; when the connection
   * breaks before, the caller asks `settle` on a new connection what became of it.
   */
  async transaction(session: Session): Promise<void> {
    const ops: Op[] = [];
    const accounts = new Map(this.#accounts);
    const items = new Map(this.#items);
    this.#pending = ops;
    await session.query('BEGIN');
    const size = 1 + Math.floor(this.#random() * this.#random() * 40);
    if (this.#random() < 0.02) await this.#bulk(session, ops, accounts);
    for (let i = 0; i < size; i++) await this.#change(session, ops, accounts, items);
    // Every transaction leaves a trace in `log`, by which an unknown outcome is recognised.
    const rev = ++this.#rev;
    await session.query('INSERT INTO log VALUES ($1, $2)', [rev, `tx of ${size}`]);
    ops.push({ table: 'log', key: String(rev), op: 'c', rev });
    await session.query('COMMIT');
    this.#accept(ops);
  }

  /** Thousands of rows in one statement: a transaction that is committed to Kafka in parts. */
  async #bulk(session: Session, ops: Op[], accounts: Map<number, number>): Promise<void> {
    const from = Math.floor(this.#random() * this.#nextAccount);
    await session.query(this.#source.bulkUpdate, [this.#rev, from]);
    const rows = await session.query(
      'SELECT id, rev FROM accounts WHERE id BETWEEN $1 AND $1 + 5000 ORDER BY id',
      [from],
    );
    this.#rev += rows.length;
    for (const { id, rev } of rows) {
      accounts.set(Number(id), Number(rev));
      ops.push({ table: 'accounts', key: JSON.stringify([Number(id)]), op: 'u', rev: Number(rev) });
    }
  }

  #pending: Op[] | null = null;

  /** After a broken connection: counts the transaction that was under way if it did commit. */
  async settle(session: Session): Promise<void> {
    const ops = this.#pending;
    const last = ops?.at(-1);
    if (ops === null || last === undefined || last.table !== 'log') {
      this.#pending = null;
      return;
    }
    const found = await session.query('SELECT 1 FROM log WHERE rev = $1', [last.rev]);
    if (found.length !== 0) this.#accept(ops);
    this.#pending = null;
  }

  #accept(ops: readonly Op[]): void {
    for (const op of ops) {
      this.committed.push(op);
      this.#apply(op);
    }
    this.#pending = null;
  }

  async #change(
    session: Session,
    ops: Op[],
    accounts: Map<number, number>,
    items: Map<string, number>,
  ): Promise<void> {
    const dice = this.#random();
    if (dice < 0.2) {
      const id = this.#nextAccount++;
      const rev = ++this.#rev;
      const big = this.#random() < 0.2 ? 'y'.repeat(3000) : null;
      await session.query('INSERT INTO accounts VALUES ($1, $2, $3, $4)', [id, rev, `ü"${rev}\n`, big]);
      accounts.set(id, rev);
      ops.push({ table: 'accounts', key: JSON.stringify([id]), op: 'c', rev });
    } else if (dice < 0.55) {
      const id = this.#pick(accounts);
      if (id === undefined) return;
      const rev = ++this.#rev;
      await session.query('UPDATE accounts SET rev = $2, note = $3 WHERE id = $1', [
        id,
        rev,
        `changed ${rev}`,
      ]);
      accounts.set(id, rev);
      ops.push({ table: 'accounts', key: JSON.stringify([id]), op: 'u', rev });
    } else if (dice < 0.62) {
      const id = this.#pick(accounts);
      if (id === undefined) return;
      const before = accounts.get(id)!;
      await session.query('DELETE FROM accounts WHERE id = $1', [id]);
      accounts.delete(id);
      ops.push({ table: 'accounts', key: JSON.stringify([id]), op: 'd', rev: before });
    } else if (dice < 0.68) {
      // A key change is a delete of the old key and a create of the new one.
      const id = this.#pick(accounts);
      if (id === undefined) return;
      const to = this.#nextAccount++;
      const rev = ++this.#rev;
      const before = accounts.get(id)!;
      await session.query('UPDATE accounts SET id = $2, rev = $3 WHERE id = $1', [id, to, rev]);
      accounts.delete(id);
      accounts.set(to, rev);
      ops.push({ table: 'accounts', key: JSON.stringify([id]), op: 'd', rev: before });
      ops.push({ table: 'accounts', key: JSON.stringify([to]), op: 'c', rev });
    } else if (dice < 0.9) {
      const key = this.#pick(items);
      if (key === undefined) return;
      const [b, a] = JSON.parse(key) as [string, number];
      const rev = ++this.#rev;
      await session.query('UPDATE items SET rev = $3, amount = amount + 1 WHERE b = $1 AND a = $2', [
        b,
        a,
        rev,
      ]);
      items.set(key, rev);
      ops.push({ table: 'items', key, op: 'u', rev });
    } else {
      const key = this.#pick(items);
      if (key === undefined) return;
      const [b, a] = JSON.parse(key) as [string, number];
      const before = items.get(key)!;
      await session.query('DELETE FROM items WHERE b = $1 AND a = $2', [b, a]);
      items.delete(key);
      ops.push({ table: 'items', key, op: 'd', rev: before });
    }
  }

  #pick<K>(from: Map<K, number>): K | undefined {
    const skip = Math.floor(this.#random() * Math.min(from.size, 500));
    let i = 0;
    for (const key of from.keys()) if (i++ === skip) return key;
    return undefined;
  }

  #note(table: Op['table'], key: string, op: Op['op'], rev: number): void {
    this.committed.push({ table, key, op, rev });
  }

  #apply(op: Op): void {
    if (op.table === 'accounts') {
      const id = (JSON.parse(op.key) as [number])[0];
      if (op.op === 'd') this.#accounts.delete(id);
      else this.#accounts.set(id, op.rev);
    } else if (op.table === 'items') {
      if (op.op === 'd') this.#items.delete(op.key);
      else this.#items.set(op.key, op.rev);
    }
  }
}
