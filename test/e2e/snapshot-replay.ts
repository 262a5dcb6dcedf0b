/** Snapshots on demand while a table is written to at random: at each quiet point the topic replays to the table. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { freePort } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, workspace } from './headwater.ts';
import { readFiles } from './topic-records.ts';

const ROWS = 1_500;
const SENTINEL = 1_000_000;

export interface WrittenDatabase {
  readonly url: string;
  /** `schema.table`, which has `id` (its key) and `text`. */
  readonly table: string;
  readonly source: readonly string[];
  readonly query: (sql: string) => Promise<readonly Record<string, unknown>[]>;
}

type Round = 'all' | 'part' | 'resync' | 'held' | 'twice';

/** What happens in which order is up to the seed, which a failure names; how it meets the reads is up to chance. */
export async function replaysToTable(database: WrittenDatabase, seed: number): Promise<void> {
  const { table } = database;
  const query = (sql: string) => database.query(sql);
  const [rounds] = fc.sample(
    fc.shuffledSubarray<Round>(['all', 'part', 'resync', 'held', 'twice'], { minLength: 5 }),
    { numRuns: 1, seed },
  );
  const writes = fc.sample(
    fc.record({
      kind: fc.nat(9),
      id: fc.integer({ min: 1, max: ROWS * 2 }),
      other: fc.integer({ min: 1, max: ROWS * 2 }),
    }),
    { numRuns: 4_000, seed },
  );
  const values = Array.from({ length: ROWS }, (_, n) => `(${n + 1}, 'old')`);
  await query(`INSERT INTO ${table} VALUES ${values.join(', ')}`);
  await using files = await workspace();
  const out = files.path('out');
  const file = await files.write(
    'pipeline.yaml',
    pipelineFile({
      name: 'replay',
      url: database.url,
      tables: [table],
      path: out,
      http: `127.0.0.1:${await freePort()}`,
      source: database.source,
      more: ['snapshot: { chunk_rows: 100 }'],
    }),
  );
  await using daemon = new Headwater(['run', file]);
  await daemon.until(({ state, snapshot }) => state === 'streaming' && snapshot?.completedAt != null);
  let written = 0;
  let readBefore = ROWS;
  for (const [number, round] of rounds!.entries()) {
    let writing = true;
    const writer = (async () => {
      while (writing) await query(statement(table, writes[written % writes.length]!, written++));
    })();
    try {
      await ask(file, table, round);
      await daemon.until(({ state, snapshot }) => state === 'streaming' && snapshot?.completedAt != null);
    } finally {
      writing = false;
      await writer;
    }
    await query(`INSERT INTO ${table} VALUES (${SENTINEL + number}, 'end')`);
    const { rows, reads } = await replayed(out, SENTINEL + number);
    const wanted = new Map((await query(`SELECT id, text FROM ${table}`)).map(({ id, text }) => [id, text]));
    expect(rows, `seed ${seed}, ${round}`).toEqual(wanted);
    expect(reads - readBefore, `seed ${seed}, ${round}`).toBeGreaterThan(100);
    readBefore = reads;
  }
  expect(written).toBeGreaterThan(50);
  expect((await daemon.stop()).exit).toBe(0);
}

/** Inserts and updates of one kind of statement or another, deletes, and keys that change. */
function statement(
  table: string,
  { kind, id, other }: { readonly kind: number; readonly id: number; readonly other: number },
  n: number,
): string {
  if (kind < 2) return `DELETE FROM ${table} WHERE id = ${id}`;
  if (kind < 4)
    return `INSERT INTO ${table} SELECT ${id}, 'new ${n}' WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE id = ${id})`;
  if (kind < 5) return `UPDATE ${table} SET text = 'many ${n}' WHERE id BETWEEN ${id} AND ${id + 20}`;
  if (kind < 6) {
    // MySQL reads no table that it writes, but by a derived one.
    return `UPDATE ${table} SET id = ${other} WHERE id = ${id} AND NOT EXISTS (SELECT 1 FROM (SELECT id FROM ${table} WHERE id = ${other}) AS there)`;
  }
  return `UPDATE ${table} SET text = 'one ${n}' WHERE id = ${id}`;
}

async function ask(file: string, table: string, round: Round): Promise<void> {
  const run = async (...args: readonly string[]): Promise<void> => {
    const { exit, stderr } = await headwater(args);
    expect(exit, stderr).toBe(0);
  };
  switch (round) {
    case 'all':
      return run('snapshot', file, table);
    case 'part':
      return run('snapshot', file, table, '--where', `id > ${ROWS / 3} AND id < ${ROWS * 1.5}`);
    case 'resync':
      return run('resync', file, table);
    case 'held':
      await run('snapshot', file, '--pause');
      await run('resync', file, table);
      return run('snapshot', file, '--resume');
    case 'twice':
      await run('snapshot', file, table);
      return run('resync', file, table);
  }
}

/** The table as the topic tells it, up to the record that ends the round; and how many rows snapshots have read. */
async function replayed(
  out: string,
  end: number,
): Promise<{ readonly rows: ReadonlyMap<unknown, unknown>; readonly reads: number }> {
  for (;;) {
    const rows = new Map<unknown, unknown>();
    let reads = 0;
    for (const { key, value } of await readFiles(out)) {
      if (key?.['id'] === undefined) continue;
      if (value?.op === 'r') reads++;
      if (value?.after == null) rows.delete(key['id']);
      else rows.set(key['id'], value.after['text']);
    }
    if (rows.has(end)) return { rows, reads };
    await new Promise((settle) => setTimeout(settle, 50));
  }
}
