import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { SourceTable } from './captured-tables.ts';
import type { TextRows } from './wire/messages.ts';
import { PgError } from './wire/pg-error.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './wire/quoting.ts';

/**
 * Two publications, never FOR ALL TABLES (rulings 4):
 *
 * - the main one publishes everything of tables whose old rows the log identifies;
 * - `…_insert_only` publishes inserts and truncates of all others, so that the application's own UPDATE and
 *   DELETE in them never fail because of us.
 *
 * Both exist from before the slot does, even when empty: servers up to 17 refuse to decode anything older than
 * a publication they are asked for.
 */
export interface PublicationPlan {
  readonly name: string;
  /** pg_publication's pubinsert, pubupdate, pubdelete, pubtruncate. */
  readonly publish: 'insert, update, delete, truncate' | 'insert, truncate';
  readonly tables: readonly SourceTable[];
}

export interface PublicationState {
  readonly plan: PublicationPlan;
  readonly exists: boolean;
  readonly right: boolean;
  /** Of the present role, or of a role it is a member of, and not FOR ALL TABLES: we may change it. */
  readonly owned: boolean;
  readonly owner: string | null;
  /** What makes it right; empty where it is. */
  readonly statements: readonly string[];
  /** Tables that are planned and not in it. */
  readonly missing: readonly SourceTable[];
  /** Whether changes of the table with this oid are published, planned or not. */
  publishes(oid: number): boolean;
}

export function planPublications(
  names: readonly [string, string],
  tables: readonly SourceTable[],
): readonly [PublicationPlan, PublicationPlan] {
  return [
    {
      name: names[0],
      publish: 'insert, update, delete, truncate',
      tables: tables.filter(({ usableIdentity }) => usableIdentity),
    },
    {
      name: names[1],
      publish: 'insert, truncate',
      tables: tables.filter(({ usableIdentity }) => !usableIdentity),
    },
  ];
}

/** Compares one publication with its plan; changes nothing. */
export async function inspectPublication(
  query: (sql: string) => Promise<TextRows>,
  plan: PublicationPlan,
  serverVersion: number,
): Promise<PublicationState> {
  const generated = serverVersion >= 180_000 ? 'p.pubgencols' : "'s'";
  const filters = serverVersion >= 150_000 ? 'r.prattrs IS NULL AND r.prqual IS NULL' : 'true';
  const schemas =
    serverVersion >= 150_000
      ? 'EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s WHERE s.pnpubid = p.oid)'
      : 'false';
  const [row] = await query(
    `SELECT p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot, ${generated}, ${schemas},
      pg_catalog.pg_has_role(p.pubowner, 'USAGE'), pg_catalog.pg_get_userbyid(p.pubowner),
      (SELECT pg_catalog.json_agg(r.prrelid::pg_catalog.int8) FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid),
      (SELECT pg_catalog.bool_and(${filters}) FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid)
    FROM pg_catalog.pg_publication p WHERE p.pubname = ${quoteLiteral(plan.name)}`,
  );
  if (row === undefined) {
    return {
      plan,
      exists: false,
      right: false,
      owned: true,
      owner: null,
      statements: [createStatement(plan, serverVersion)],
      missing: plan.tables,
      publishes: () => false,
    };
  }
  const [
    all,
    inserts,
    updates,
    deletes,
    truncates,
    viaRoot,
    gencols,
    bySchema,
    owned,
    owner,
    members,
    plain,
  ] = row;
  const full = plan.publish !== 'insert, truncate';
  const rightOptions =
    inserts === 't' &&
    truncates === 't' &&
    updates === (full ? 't' : 'f') &&
    deletes === (full ? 't' : 'f') &&
    viaRoot === 't' &&
    gencols === 's';
  const present = new Set(members == null ? [] : (JSON.parse(members) as number[]));
  const missing = plan.tables.filter(({ oid }) => !present.has(oid));
  /** Nothing has to leave it: `missing` is all the difference there is. */
  const onlyAdds =
    all === 'f' && bySchema === 'f' && plain !== 'f' && present.size === plan.tables.length - missing.length;
  const rightTables = onlyAdds && missing.length === 0;
  const statements: string[] = [];
  // A publication for all tables cannot be narrowed, and is somebody's for a purpose; the rest is altered in place.
  if (all === 't') {
    statements.push(`DROP PUBLICATION ${quoteIdent(plan.name)};`, createStatement(plan, serverVersion));
  } else {
    // Narrow what is published before tables come in, so that nobody's UPDATE fails in between.
    if (!rightOptions) {
      statements.push(
        `ALTER PUBLICATION ${quoteIdent(plan.name)} SET (${publicationOptions(plan, serverVersion)});`,
      );
    }
    // SET locks all tables of the publication, ADD those that it names.
    if (onlyAdds && missing.length > 0) statements.push(addStatement(plan.name, missing));
    else if (!rightTables) statements.push(tablesStatement(plan));
  }
  const right = rightOptions && rightTables;
  return {
    plan,
    exists: true,
    right,
    owned: owned === 't' && all !== 't',
    owner: owner ?? null,
    statements: right ? [] : statements,
    missing,
    publishes: (oid) => all === 't' || bySchema === 't' || present.has(oid),
  };
}

/** Makes them right, both in one transaction. Throws when somebody else has to. */
export async function alignPublications(
  command: (sql: string) => Promise<string>,
  states: readonly PublicationState[],
): Promise<void> {
  const wrong = states.filter(({ right }) => !right);
  if (wrong.length === 0) return;
  for (const { plan, owned, owner, statements } of wrong) {
    if (owned) continue;
    throw new HeadwaterError(
      'source.publication-foreign',
      `The publication ${plan.name} belongs to ${owner} and is not as the settings need it.`,
      { fix: `As ${owner}: ${statements.join(' ')}`, details: { publication: plan.name, owner } },
    );
  }
  // Tables leave one publication before they enter the other in the same transaction: no moment without.
  const statements = wrong.flatMap((state) => state.statements);
  try {
    await command(`BEGIN; ${statements.join(' ')} COMMIT;`);
  } catch (error) {
    await command('ROLLBACK').catch(() => undefined);
    if (error instanceof PgError && error.sqlstate === '42501') {
      throw new HeadwaterError(
        'source.privilege-missing',
        `The role may not create or change the publication: ${error.message}.`,
        { fix: `As the tables’ owner or a superuser: ${statements.join(' ')}`, cause: error },
      );
    }
    throw error;
  }
}

function addStatement(name: string, tables: readonly SourceTable[]): string {
  return `ALTER PUBLICATION ${quoteIdent(name)} ADD TABLE ${tableList(tables)};`;
}

function createStatement(plan: PublicationPlan, serverVersion: number): string {
  const tables = plan.tables.length === 0 ? '' : ` FOR TABLE ${tableList(plan.tables)}`;
  return `CREATE PUBLICATION ${quoteIdent(plan.name)}${tables} WITH (${publicationOptions(plan, serverVersion)});`;
}

function publicationOptions(plan: PublicationPlan, serverVersion: number): string {
  const options = [`publish = '${plan.publish}'`, 'publish_via_partition_root = true'];
  if (serverVersion >= 180_000) options.push('publish_generated_columns = stored');
  return options.join(', ');
}

function tablesStatement(plan: PublicationPlan): string {
  if (plan.tables.length > 0)
    return `ALTER PUBLICATION ${quoteIdent(plan.name)} SET TABLE ${tableList(plan.tables)};`;
  // There is no SET TABLE to nothing.
  return `DO $$ DECLARE t text; BEGIN FOR t IN SELECT pg_catalog.format('%I.%I', schemaname, tablename)
    FROM pg_catalog.pg_publication_tables WHERE pubname = ${quoteLiteral(plan.name)}
    LOOP EXECUTE 'ALTER PUBLICATION ' || pg_catalog.quote_ident(${quoteLiteral(plan.name)}) || ' DROP TABLE ' || t; END LOOP; END $$;`;
}

/** ONLY, or children by inheritance would come along. */
function tableList(tables: readonly SourceTable[]): string {
  return tables.map(({ id }) => `ONLY ${quoteTable(id)}`).join(', ');
}
