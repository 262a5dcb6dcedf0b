import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { TableId } from '../../model/table.ts';
import type { SourceTable } from './captured-tables.ts';
import type { TextRows } from './wire/messages.ts';
import { PgError } from './wire/pg-error.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './wire/quoting.ts';

/**
 * Two publications, never FOR ALL TABLES:
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
  /** As `statements`, but for tables with these oids, which stay in it or out of it as they are. */
  statementsWithout(oids: ReadonlySet<number>): readonly string[];
  /** Tables that are planned and not in it. */
  readonly missing: readonly SourceTable[];
  /** Oids of the tables that come, leave, or are published in part. */
  readonly moving: readonly number[];
  /** Whether changes of the table with this oid are published, planned or not. */
  publishes(oid: number): boolean;
}

/**
 * Tables without a usable replica identity go into the second, which publishes no updates and deletes: with one in
 * the first, the application's own would fail.
 */
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
  const plain = serverVersion >= 150_000 ? 'r.prattrs IS NULL AND r.prqual IS NULL' : 'true';
  const schemas =
    serverVersion >= 150_000
      ? `(SELECT pg_catalog.json_agg(sn.nspname) FROM pg_catalog.pg_publication_namespace s
          JOIN pg_catalog.pg_namespace sn ON sn.oid = s.pnnspid WHERE s.pnpubid = p.oid)`
      : 'NULL';
  const [row] = await query(
    `SELECT p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot, ${generated}, ${schemas},
      pg_catalog.pg_has_role(p.pubowner, 'USAGE'), pg_catalog.pg_get_userbyid(p.pubowner),
      (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(c.oid::pg_catalog.int8, n.nspname, c.relname, ${plain}))
        FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_class c ON c.oid = r.prrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid)
    FROM pg_catalog.pg_publication p WHERE p.pubname = ${quoteLiteral(plan.name)}`,
  );
  const planned = plan.tables.map(({ oid }) => oid);
  if (row === undefined) {
    const statementsWithout = (oids: ReadonlySet<number>): readonly string[] => [
      createStatement({ ...plan, tables: plan.tables.filter(({ oid }) => !oids.has(oid)) }, serverVersion),
    ];
    return {
      plan,
      exists: false,
      right: false,
      owned: true,
      owner: null,
      statements: statementsWithout(new Set()),
      statementsWithout,
      missing: plan.tables,
      moving: planned,
      publishes: () => false,
    };
  }
  const [all, inserts, updates, deletes, truncates, viaRoot, gencols, bySchema, owned, owner, members] = row;
  const full = plan.publish !== 'insert, truncate';
  const rightOptions =
    inserts === 't' &&
    truncates === 't' &&
    updates === (full ? 't' : 'f') &&
    deletes === (full ? 't' : 'f') &&
    viaRoot === 't' &&
    gencols === 's';
  const present = new Map(membersOf(members).map((member) => [member.oid, member]));
  const wanted = new Set(planned);
  const missing = plan.tables.filter(({ oid }) => !present.has(oid));
  /** What publishes some columns or rows of a table has to leave before all of it can come. */
  const leaving = [...present.values()].filter(({ oid, plain: whole }) => !wanted.has(oid) || !whole);
  const coming = plan.tables.filter(({ oid }) => present.get(oid)?.plain !== true);
  const inSchemas = bySchema == null ? [] : (JSON.parse(bySchema) as string[]);
  const right =
    rightOptions && all === 'f' && inSchemas.length === 0 && leaving.length === 0 && coming.length === 0;
  const statementsWithout = (oids: ReadonlySet<number>): readonly string[] => {
    if (right) return [];
    // A publication for all tables cannot be narrowed, and is somebody's for a purpose; the rest is altered in place.
    if (all === 't')
      return [`DROP PUBLICATION ${quoteIdent(plan.name)};`, createStatement(plan, serverVersion)];
    const alter = (what: string): string => `ALTER PUBLICATION ${quoteIdent(plan.name)} ${what};`;
    const list = (tables: readonly { readonly oid: number; readonly id: TableId }[]): string =>
      tableList(tables.filter(({ oid }) => !oids.has(oid)).map(({ id }) => id));
    const [leave, come] = [list(leaving), list(coming)];
    return [
      // Narrow what is published before tables come in, so that nobody's UPDATE fails in between.
      ...(rightOptions ? [] : [alter(`SET (${publicationOptions(plan, serverVersion)})`)]),
      ...(inSchemas.length === 0
        ? []
        : [alter(`DROP TABLES IN SCHEMA ${inSchemas.map(quoteIdent).join(', ')}`)]),
      // Each by name: SET TABLE would lock all that are in it.
      ...(leave === '' ? [] : [alter(`DROP TABLE ${leave}`)]),
      ...(come === '' ? [] : [alter(`ADD TABLE ${come}`)]),
    ];
  };
  return {
    plan,
    exists: true,
    right,
    owned: owned === 't' && all !== 't',
    owner: owner ?? null,
    statements: statementsWithout(new Set()),
    statementsWithout,
    missing,
    moving: [...leaving, ...coming].map(({ oid }) => oid),
    publishes: (oid) => all === 't' || inSchemas.length > 0 || present.has(oid),
  };
}

interface Member {
  readonly oid: number;
  readonly id: TableId;
  /** All rows and columns of it. */
  readonly plain: boolean;
}

function membersOf(json: string | null | undefined): readonly Member[] {
  const members = json == null ? [] : (JSON.parse(json) as [number, string, string, boolean][]);
  return members.map(([oid, schema, table, plain]) => ({ oid, id: { schema, table }, plain }));
}

/**
 * Longer than a deadlock_timeout (one second unless somebody has set it), since only then does the server end an
 * autovacuum that is in the way. Meanwhile nobody's writes wait, but DDL of other tables that are moved may.
 */
const LOCK_TIMEOUT_MS = 3_000;
const LOCK_NOT_AVAILABLE = '55P03';
/** Times that a lock may not be had though nobody seems to hold one. */
const PATIENCE = 3;

interface Session {
  readonly query: (sql: string) => Promise<TextRows>;
  readonly command: (sql: string) => Promise<string>;
}

/**
 * Makes them right, both in one transaction. Resolves to the oids of tables that others hold locked: these stay as they
 * are, in a publication or outside. Throws when somebody else has to do it.
 */
export async function alignPublications(
  { query, command }: Session,
  states: readonly PublicationState[],
): Promise<ReadonlySet<number>> {
  const wrong = states.filter(({ right }) => !right);
  for (const { plan, owned, owner, statements } of wrong) {
    if (owned) continue;
    throw new HeadwaterError(
      'source.publication-foreign',
      `The publication ${plan.name} belongs to ${owner} and is not as the settings need it.`,
      { fix: `As ${owner}: ${statements.join(' ')}`, details: { publication: plan.name, owner } },
    );
  }
  const locked = new Set<number>();
  let patience = PATIENCE;
  for (;;) {
    // Tables leave one publication before they enter the other in the same transaction: no moment without.
    const statements = wrong.flatMap((state) => state.statementsWithout(locked));
    if (statements.length === 0) return locked;
    try {
      await command(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; ${statements.join(' ')} COMMIT;`);
      return locked;
    } catch (error) {
      await command('ROLLBACK').catch(() => undefined);
      if (!(error instanceof PgError)) throw error;
      if (error.sqlstate === '42501') {
        throw new HeadwaterError(
          'source.privilege-missing',
          `The role may not create or change the publication: ${error.message}.`,
          { fix: `As the tables’ owner or a superuser: ${statements.join(' ')}`, cause: error },
        );
      }
      if (error.sqlstate !== LOCK_NOT_AVAILABLE) throw error;
      const moving = wrong.flatMap((state) => state.moving).filter((oid) => !locked.has(oid));
      const found = await lockedTables(query, moving);
      for (const oid of found) locked.add(oid);
      if (found.size === 0 && --patience === 0) throw error;
    }
  }
}

/** Those of the tables with these oids that somebody holds, or waits for, such that they cannot enter or leave a publication. */
export async function lockedTables(
  query: (sql: string) => Promise<TextRows>,
  oids: readonly number[],
): Promise<ReadonlySet<number>> {
  if (oids.length === 0) return new Set();
  const rows = await query(`SELECT DISTINCT l.relation FROM pg_catalog.pg_locks l
    WHERE l.locktype = 'relation' AND l.relation IN (${oids.join(',')})
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
      AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
      AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`);
  return new Set(rows.map(([oid]) => Number(oid)));
}

function createStatement(plan: PublicationPlan, serverVersion: number): string {
  const tables = plan.tables.length === 0 ? '' : ` FOR TABLE ${tableList(plan.tables.map(({ id }) => id))}`;
  return `CREATE PUBLICATION ${quoteIdent(plan.name)}${tables} WITH (${publicationOptions(plan, serverVersion)});`;
}

function publicationOptions(plan: PublicationPlan, serverVersion: number): string {
  const options = [`publish = '${plan.publish}'`, 'publish_via_partition_root = true'];
  if (serverVersion >= 180_000) options.push('publish_generated_columns = stored');
  return options.join(', ');
}

/** ONLY, or children by inheritance would come along. */
function tableList(ids: readonly TableId[]): string {
  return ids.map((id) => `ONLY ${quoteTable(id)}`).join(', ');
}
