/** Asks a desk as the HTTP interface does. */
import type { RunningSelect } from '../../src/enrichment/queries/live-queries.ts';
import type { QueryDesk } from '../../src/enrichment/queries/query-desk.ts';
import { parseStatement } from '../../src/enrichment/sql/parse-statement.ts';

const NEVER = new AbortController().signal;

export async function ask(
  desk: QueryDesk,
  sql: string,
  more: { readonly fromBeginning?: boolean; readonly scans?: boolean; readonly signal?: AbortSignal } = {},
): Promise<RunningSelect> {
  const source = { text: sql, line: 1, column: 1 };
  const parsed = parseStatement(source, 'friendly');
  const { statement } = parsed;
  if (statement.kind !== 'select') throw new Error('a SELECT is asked for');
  const { from } = statement.select;
  const { queries } = desk.programOf(from.name, source, from.at);
  return queries.select(
    {
      select: statement.select,
      parsed,
      fromBeginning: more.fromBeginning ?? false,
      scans: more.scans ?? null,
    },
    more.signal ?? NEVER,
  );
}

/** All rows of a query that ends. */
export async function rowsOf(running: RunningSelect): Promise<readonly unknown[]> {
  const rows: unknown[] = [];
  for await (const some of running.rows())
    for (const { text, tombstone } of some)
      rows.push(tombstone ? { gone: JSON.parse(text) as unknown } : (JSON.parse(text) as unknown));
  return rows;
}

export async function pull(desk: QueryDesk, sql: string): Promise<readonly unknown[]> {
  return rowsOf(await ask(desk, sql));
}
