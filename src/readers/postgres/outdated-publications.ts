import { tableName } from '../../model/table.ts';
import { listTables } from './captured-tables.ts';
import { inspectPublication, planPublications } from './publication.ts';
import type { TablePatterns } from '../table-patterns.ts';
import type { TextRows } from './wire/connection.ts';

export interface OutdatedPublications {
  /** One sentence. */
  readonly message: string;
  readonly advice: string | undefined;
  /** The next start can put it right by itself. */
  readonly mendable: boolean;
  /** A publication that is no longer there: servers from 18 on leave out what it would publish, without an error. */
  readonly dropped: string | null;
}

const LOCK_TIMEOUT_MS = 500;

/**
 * Whether the publications are still as the settings want them: tables come, are dropped and made again, lose
 * their replica identity (and then the application's own updates fail), or are taken out by hand. Null where
 * nothing is to be done. Changes nothing. Throws PgError 55P03 where a table is locked for long.
 */
export async function findOutdatedPublications(
  query: (sql: string) => Promise<TextRows>,
  wanted: {
    readonly names: readonly [string, string];
    readonly patterns: TablePatterns;
    readonly serverVersion: number;
  },
): Promise<OutdatedPublications | null> {
  const [recovery] = await query('SELECT pg_catalog.pg_is_in_recovery()');
  // A standby gets its publications from elsewhere.
  if (recovery?.[0] === 't') return null;
  // Looking into a partitioned table waits for its locks; others wait for this session meanwhile.
  const all = await listTables((sql) => query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; ${sql}`));
  const captured = all.filter(({ id }) => wanted.patterns.matches(id));
  const wrong = [];
  for (const plan of planPublications(wanted.names, captured)) {
    const state = await inspectPublication(query, plan, wanted.serverVersion);
    if (!state.right) wrong.push(state);
  }
  if (wrong.length === 0) return null;
  const missing = wrong.flatMap((state) => state.missing).map(({ id }) => tableName(id));
  const message =
    missing.length > 0
      ? `Of the tables that source.tables names these came, changed or were taken out of the publication: ${missing.join(', ')}.`
      : `The publication ${wrong.map(({ plan }) => plan.name).join(', ')} was changed.`;
  // Who owns publication and tables may alter them; a pattern without a table would stop the next start.
  const mendable =
    wrong.every(({ exists, owned, plan }) => exists && owned && plan.tables.every((table) => table.owned)) &&
    captured.every(({ selectable, schemaUsable }) => selectable && schemaUsable) &&
    wanted.patterns.unmatched(all.map(({ id }) => id)).length === 0;
  const dropped = wrong.find(({ exists }) => !exists)?.plan.name ?? null;
  const statements = wrong.flatMap((state) => state.statements).join(' ');
  return { message, advice: mendable ? undefined : `As their owner: ${statements}`, mendable, dropped };
}
