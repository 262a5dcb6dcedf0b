import { tableName } from '../../model/table.ts';
import { listTables } from './captured-tables.ts';
import { inspectPublication, lockedTables, planPublications } from './publication.ts';
import type { TablePatterns } from '../table-patterns.ts';
import type { TextRows } from './wire/messages.ts';
import { quoteLiteral } from './wire/quoting.ts';

export interface OutdatedPublications {
  /** One sentence. */
  readonly message: string;
  readonly advice: string | undefined;
  /** The next start can put it right by itself. */
  readonly mendable: boolean;
  /** A publication that is no longer there: servers from 18 on leave out what it would publish, without an error. */
  readonly dropped: string | null;
}

/**
 * Whether the publications are still as the settings want them: tables come, are dropped and made again, lose
 * their replica identity (and then the application's own updates fail), or are taken out by hand. Null where
 * nothing is to be done, or not while tables are locked. Changes nothing.
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
  const all = await listTables(query);
  const captured = all.filter(({ id }) => wanted.patterns.matches(id));
  const wrong = [];
  for (const plan of planPublications(wanted.names, captured)) {
    const state = await inspectPublication(query, plan, wanted.serverVersion);
    if (!state.right) wrong.push(state);
  }
  if (wrong.length === 0) return null;
  const locked = await lockedTables(
    query,
    wrong.flatMap((state) => state.moving),
  );
  // What is locked could not be moved, and would make one attempt after the other.
  if (wrong.every((state) => state.exists && state.statementsWithout(locked).length === 0)) return null;
  const missing = wrong
    .flatMap((state) => state.missing)
    .filter(({ oid }) => !locked.has(oid))
    .map(({ id }) => tableName(id));
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

/**
 * Whether a table in the publication has lost what the log tells its old rows by, as ALTER TABLE … DROP CONSTRAINT
 * does: every UPDATE and DELETE in it fails until it has left the publication. Looks at the catalogue alone, past all
 * locks.
 */
export async function publishesUnidentified(
  query: (sql: string) => Promise<TextRows>,
  publication: string,
): Promise<boolean> {
  const [row] = await query(`WITH RECURSIVE members AS (
      SELECT r.prrelid AS oid FROM pg_catalog.pg_publication_rel r
      WHERE r.prpubid = (SELECT oid FROM pg_catalog.pg_publication WHERE pubname = ${quoteLiteral(publication)})
      UNION
      SELECT i.inhrelid FROM members m JOIN pg_catalog.pg_class p ON p.oid = m.oid AND p.relkind = 'p'
        JOIN pg_catalog.pg_inherits i ON i.inhparent = m.oid)
    SELECT EXISTS (SELECT FROM members m JOIN pg_catalog.pg_class c ON c.oid = m.oid
      WHERE c.relkind = 'r' AND c.relreplident <> 'f' AND (c.relreplident = 'n' OR NOT EXISTS (
        SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid AND x.indislive
          AND CASE c.relreplident WHEN 'd' THEN x.indisprimary ELSE x.indisreplident END)))
      AND NOT pg_catalog.pg_is_in_recovery()`);
  return row?.[0] === 't';
}
