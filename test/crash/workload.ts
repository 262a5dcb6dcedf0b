import type { Client } from 'pg';

/**
 * A writer whose every committed change can be told apart, and its own record of them: `rev` grows with every
 * insert and update over all tables, so a topic either holds each (table, key, op, rev) once or is wrong.
 */
export interface Op {
  readonly table: 'accounts' | 'lines' | 'log';
  /** JSON of the key columns in key order; the row itself for the table without a key. */
  readonly key: string;
  readonly op: 'c' | 'u' | 'd';
  /** Of the row after an insert or update, of the deleted row otherwise. */
  readonly rev: number;
}

export const SETUP = `
  CREATE SEQUENCE rev;
  CREATE TABLE accounts (id int PRIMARY KEY, rev bigint NOT NULL, note text, big text);
  ALTER TABLE accounts ALTER COLUMN big SET STORAGE EXTERNAL;
  CREATE TABLE lines (a int, b text COLLATE "C", rev bigint NOT NULL, amount numeric(10,2), PRIMARY KEY (b, a));
  ALTER TABLE lines REPLICA IDENTITY FULL;
  CREATE TABLE log (rev bigint NOT NULL, what text);
`;

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
  readonly #lines = new Map<string, number>();
  readonly #random: () => number;
  #nextAccount = 1;
  #rev = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Fills the tables with one statement each; `rev` of those rows counts from 1. */
  async preload(client: Client, rows: number): Promise<void> {
    await client.query(SETUP);
    await client.query(
      `INSERT INTO accounts SELECT i, nextval('rev'), 'note ' || i, CASE WHEN i % 50 = 0 THEN repeat('x', 4000) END
       FROM generate_series(1, $1::int) i`,
      [rows],
    );
    await client.query(
      `INSERT INTO lines SELECT i, 'k' || (i % 100), nextval('rev'), i / 100.0 FROM generate_series(1, $1::int) i`,
      [rows],
    );
    await client.query(`INSERT INTO log SELECT nextval('rev'), 'started' FROM generate_series(1, 10)`);
    const accounts = await client.query<{ id: number; rev: string }>(
      'SELECT id, rev FROM accounts ORDER BY rev',
    );
    for (const { id, rev } of accounts.rows) this.#note('accounts', JSON.stringify([id]), 'c', Number(rev));
    const lines = await client.query<{ a: number; b: string; rev: string }>(
      'SELECT a, b, rev FROM lines ORDER BY rev',
    );
    for (const { a, b, rev } of lines.rows) this.#note('lines', JSON.stringify([b, a]), 'c', Number(rev));
    const log = await client.query<{ rev: string }>('SELECT rev FROM log ORDER BY rev');
    for (const { rev } of log.rows) this.#note('log', rev, 'c', Number(rev));
    for (const op of this.committed) this.#apply(op);
    this.#nextAccount = rows + 1;
    this.#rev = this.committed.length;
  }

  /**
   * One transaction of one to forty changes. Its ops count only once COMMIT has answered; when the connection
   * breaks before, the caller asks `settle` on a new connection what became of it.
   */
  async transaction(client: Client): Promise<void> {
    const ops: Op[] = [];
    const accounts = new Map(this.#accounts);
    const lines = new Map(this.#lines);
    this.#pending = ops;
    await client.query('BEGIN');
    const size = 1 + Math.floor(this.#random() * this.#random() * 40);
    if (this.#random() < 0.02) await this.#bulk(client, ops, accounts);
    for (let i = 0; i < size; i++) await this.#change(client, ops, accounts, lines);
    // Every transaction leaves a trace in `log`, by which an unknown outcome is recognised.
    const rev = ++this.#rev;
    await client.query('INSERT INTO log VALUES ($1, $2)', [rev, `tx of ${size}`]);
    ops.push({ table: 'log', key: String(rev), op: 'c', rev });
    await client.query('COMMIT');
    this.#accept(ops);
  }

  /** Thousands of rows in one statement: a transaction that is committed to Kafka in parts. */
  async #bulk(client: Client, ops: Op[], accounts: Map<number, number>): Promise<void> {
    const from = Math.floor(this.#random() * this.#nextAccount);
    const { rows } = await client.query<{ id: number; rev: string }>(
      `UPDATE accounts a SET rev = $1::bigint + x.n
       FROM (SELECT id, row_number() OVER (ORDER BY id) n FROM accounts WHERE id BETWEEN $2 AND $2 + 5000) x
       WHERE a.id = x.id RETURNING a.id, a.rev`,
      [this.#rev, from],
    );
    this.#rev += rows.length;
    for (const { id, rev } of rows) {
      accounts.set(id, Number(rev));
      ops.push({ table: 'accounts', key: JSON.stringify([id]), op: 'u', rev: Number(rev) });
    }
  }

  #pending: Op[] | null = null;

  /** After a broken connection: counts the transaction that was under way if it did commit. */
  async settle(client: Client): Promise<void> {
    const ops = this.#pending;
    const last = ops?.at(-1);
    if (ops === null || last === undefined || last.table !== 'log') {
      this.#pending = null;
      return;
    }
    const found = await client.query('SELECT 1 FROM log WHERE rev = $1', [last.rev]);
    if (found.rowCount !== 0) this.#accept(ops);
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
    client: Client,
    ops: Op[],
    accounts: Map<number, number>,
    lines: Map<string, number>,
  ): Promise<void> {
    const dice = this.#random();
    if (dice < 0.2) {
      const id = this.#nextAccount++;
      const rev = ++this.#rev;
      const big = this.#random() < 0.2 ? 'y'.repeat(3000) : null;
      await client.query('INSERT INTO accounts VALUES ($1, $2, $3, $4)', [id, rev, `ü"${rev}\n`, big]);
      accounts.set(id, rev);
      ops.push({ table: 'accounts', key: JSON.stringify([id]), op: 'c', rev });
    } else if (dice < 0.55) {
      const id = this.#pick(accounts);
      if (id === undefined) return;
      const rev = ++this.#rev;
      await client.query('UPDATE accounts SET rev = $2, note = $3 WHERE id = $1', [
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
      await client.query('DELETE FROM accounts WHERE id = $1', [id]);
      accounts.delete(id);
      ops.push({ table: 'accounts', key: JSON.stringify([id]), op: 'd', rev: before });
    } else if (dice < 0.68) {
      // A key change is a delete of the old key and a create of the new one.
      const id = this.#pick(accounts);
      if (id === undefined) return;
      const to = this.#nextAccount++;
      const rev = ++this.#rev;
      const before = accounts.get(id)!;
      await client.query('UPDATE accounts SET id = $2, rev = $3 WHERE id = $1', [id, to, rev]);
      accounts.delete(id);
      accounts.set(to, rev);
      ops.push({ table: 'accounts', key: JSON.stringify([id]), op: 'd', rev: before });
      ops.push({ table: 'accounts', key: JSON.stringify([to]), op: 'c', rev });
    } else if (dice < 0.9) {
      const key = this.#pick(lines);
      if (key === undefined) return;
      const [b, a] = JSON.parse(key) as [string, number];
      const rev = ++this.#rev;
      await client.query('UPDATE lines SET rev = $3, amount = amount + 1 WHERE b = $1 AND a = $2', [
        b,
        a,
        rev,
      ]);
      lines.set(key, rev);
      ops.push({ table: 'lines', key, op: 'u', rev });
    } else {
      const key = this.#pick(lines);
      if (key === undefined) return;
      const [b, a] = JSON.parse(key) as [string, number];
      const before = lines.get(key)!;
      await client.query('DELETE FROM lines WHERE b = $1 AND a = $2', [b, a]);
      lines.delete(key);
      ops.push({ table: 'lines', key, op: 'd', rev: before });
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
    } else if (op.table === 'lines') {
      if (op.op === 'd') this.#lines.delete(op.key);
      else this.#lines.set(op.key, op.rev);
    }
  }
}
