/** A database with many tables of one row, for tests of what must not grow with their number. */
import type { TestDatabase } from '../support/servers.ts';

/** Tables a statement, so that their locks fit the server's default. */
const AT_ONCE = 250;

export async function makeTables(database: TestDatabase, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, to - i) }, (_, k) => i + k);
    await database.query(
      numbers
        .map((n) => `CREATE TABLE t${n} (id int PRIMARY KEY, v text); INSERT INTO t${n} VALUES (1, 'a')`)
        .join(';'),
    );
  }
}

/** One row into each table, in few transactions. */
export async function insertEverywhere(database: TestDatabase, id: number, tables: number): Promise<void> {
  for (let i = 0; i < tables; i += AT_ONCE) {
    await database.query(`DO $$ BEGIN FOR n IN ${i}..${Math.min(i + AT_ONCE, tables) - 1} LOOP
      EXECUTE format('INSERT INTO t%s VALUES (${id})', n); END LOOP; END $$`);
  }
}

/** Transactions of the database so far: each query outside of a transaction is one. */
export async function transactions(database: TestDatabase): Promise<number> {
  await database.query('SELECT pg_stat_force_next_flush()');
  const [row] = await database.query<{ count: number }>(
    'SELECT (xact_commit + xact_rollback)::int AS count FROM pg_stat_database WHERE datname = current_database()',
  );
  return row!.count;
}

/** `table op:id` of each record, in the order of the text. */
export function contents(
  records: readonly { readonly topic: string; readonly op: string; readonly id: unknown }[],
): readonly string[] {
  return records
    .map(({ topic, op, id }) => `${topic.slice(topic.lastIndexOf('.') + 1)} ${op}:${String(id)}`)
    .toSorted();
}

export function wantedContents(tables: number, of: (table: number) => readonly string[]): readonly string[] {
  return Array.from({ length: tables }, (_, i) => of(i).map((each) => `t${i} ${each}`))
    .flat()
    .toSorted();
}
