import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type { CapturedTable } from '../reader.ts';
import type { TablePatterns } from '../table-patterns.ts';
import type { TextRows } from './wire/messages.ts';
import { quoteTable } from './wire/quoting.ts';

/** A table that can be captured, with what decides which publication it belongs to. */
export interface SourceTable {
  readonly oid: number;
  readonly id: TableId;
  readonly partitioned: boolean;
  readonly key: readonly string[] | null;
  readonly estimatedRows: number | null;
  /** An UPDATE or DELETE in a publication that publishes them would not fail. */
  readonly usableIdentity: boolean;
  /** `identity` where something logs no old row; `partitions` where they differ from their root. */
  readonly obstacle: 'none' | 'no-key' | 'nothing' | 'partition';
  /** Partitions (or the table itself) whose replica identity is unusable. */
  readonly culprits: readonly TableId[];
  readonly selectable: boolean;
  readonly schemaUsable: boolean;
  readonly owned: boolean;
  /** Root is FULL, and these partitions are not. */
  readonly partialPartitions: readonly TableId[];
  /** The log has all of a row as it was before a change, and not only its key: REPLICA IDENTITY FULL throughout. */
  readonly wholeOldRows: boolean;
}

/**
 * Ordinary and partitioned tables whose changes are logged, partitions only through their root. Leaves tell
 * whether updates can be published: the server checks the identity of the table it writes to. Looks at the catalogue
 * alone, past all locks: pg_partition_tree would wait for them.
 */
const TABLES = `
WITH RECURSIVE tables AS (
  SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, c.reltuples,
    pg_catalog.has_table_privilege(c.oid, 'SELECT') AS selectable,
    pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS usable,
    pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owned
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
), branches AS (
  SELECT t.oid AS root, t.oid, t.relkind FROM tables t
  UNION ALL
  SELECT b.root, c.oid, c.relkind FROM branches b JOIN pg_catalog.pg_inherits i ON i.inhparent = b.oid
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE b.relkind = 'p'
), leaves AS (
  SELECT root, oid AS leaf FROM branches WHERE relkind <> 'p'
), identities AS (
  SELECT l.root, ln.nspname, lc.relname, lc.relreplident, lc.reltuples,
    CASE lc.relreplident WHEN 'f' THEN true WHEN 'n' THEN false
      ELSE EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = l.leaf AND i.indislive
        AND CASE lc.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END) END AS usable
  FROM leaves l JOIN pg_catalog.pg_class lc ON lc.oid = l.leaf JOIN pg_catalog.pg_namespace ln ON ln.oid = lc.relnamespace
), roots AS (
  SELECT root, pg_catalog.sum(greatest(reltuples, 0))::pg_catalog.int8 AS estimate,
    pg_catalog.bool_or(reltuples >= 0) AS analysed,
    pg_catalog.json_agg(pg_catalog.json_build_array(nspname, relname)) FILTER (WHERE NOT usable) AS culprits,
    pg_catalog.json_agg(pg_catalog.json_build_array(nspname, relname)) FILTER (WHERE relreplident <> 'f') AS partial
  FROM identities GROUP BY root
)
SELECT t.oid, t.nspname, t.relname, t.relkind, t.relreplident, t.selectable, t.usable, t.owned,
  (SELECT pg_catalog.json_agg(a.attname ORDER BY k.ord) FROM pg_catalog.pg_index i,
    pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY k (attnum, ord),
    pg_catalog.pg_attribute a
    WHERE i.indrelid = t.oid AND k.ord <= i.indnkeyatts AND a.attrelid = t.oid AND a.attnum = k.attnum
      AND i.indexrelid = (SELECT x.indexrelid FROM pg_catalog.pg_index x WHERE x.indrelid = t.oid
        AND (x.indisprimary OR x.indisreplident) AND x.indislive ORDER BY x.indisprimary DESC LIMIT 1)),
  r.estimate, r.analysed, r.culprits,
  CASE WHEN t.relkind = 'p' AND t.relreplident = 'f' THEN r.partial END, r.partial IS NULL
FROM tables t LEFT JOIN roots r ON r.root = t.oid ORDER BY t.nspname, t.relname`;

/** All tables of the database that could be captured. */
export async function listTables(query: (sql: string) => Promise<TextRows>): Promise<readonly SourceTable[]> {
  return (await query(TABLES)).map((row): SourceTable => {
    const [
      oid,
      schema,
      table,
      kind,
      identity,
      selectable,
      usable,
      owned,
      key,
      rows,
      analysed,
      culprits,
      partial,
      whole,
    ] = row;
    const partitioned = kind === 'p';
    const bad = tableIds(culprits);
    return {
      oid: Number(oid),
      id: { schema: schema ?? '', table: table ?? '' },
      partitioned,
      key: key == null ? null : (JSON.parse(key) as string[]),
      estimatedRows: analysed === 't' && rows != null ? Number(rows) : null,
      usableIdentity: bad.length === 0,
      obstacle:
        bad.length === 0 ? 'none' : partitioned ? 'partition' : identity === 'n' ? 'nothing' : 'no-key',
      culprits: bad,
      selectable: selectable === 't',
      schemaUsable: usable === 't',
      owned: owned === 't',
      partialPartitions: tableIds(partial),
      wholeOldRows: whole === 't',
    };
  });
}

function tableIds(json: string | null | undefined): readonly TableId[] {
  if (json == null) return [];
  return (JSON.parse(json) as [string, string][]).map(([schema, table]) => ({ schema, table }));
}

/** Those the patterns match, and `settings.no-table-matches` where one pattern, or all, match none. */
export function capturedTables(
  all: readonly SourceTable[],
  patterns: TablePatterns,
  place: string,
): { readonly tables: readonly SourceTable[]; readonly unmatched: HeadwaterError | null } {
  const tables = all.filter(({ id }) => patterns.matches(id));
  const without = patterns.unmatched(all.map(({ id }) => id));
  if (without.length === 0 && tables.length > 0) return { tables, unmatched: null };
  const which = without.length > 0 ? `source.tables: ${without.join(', ')} matches` : 'source.tables matches';
  const visible = all
    .slice(0, 20)
    .map(({ id }) => tableName(id))
    .join(', ');
  const unmatched = new HeadwaterError('settings.no-table-matches', `${which} no table in ${place}.`, {
    fix: `Check schema and spelling. The role sees ${visible === '' ? 'no table' : visible}${all.length > 20 ? ' and more' : ''}.`,
    details: { visible },
  });
  return { tables, unmatched };
}

/** What cannot be captured of a table and the statement that changes it; null for a table without limits. */
export function limitationOf(table: SourceTable): { readonly message: string; readonly fix: string } | null {
  const name = tableName(table.id);
  if (!table.usableIdentity) {
    const fix = table.culprits
      .map((id) =>
        table.obstacle === 'no-key' || table.key === null
          ? `ALTER TABLE ${quoteTable(id)} REPLICA IDENTITY FULL;`
          : `ALTER TABLE ${quoteTable(id)} REPLICA IDENTITY DEFAULT;`,
      )
      .join(' ');
    const reason =
      table.obstacle === 'nothing'
        ? 'its replica identity is NOTHING'
        : table.obstacle === 'partition'
          ? `${table.culprits.length} of its partitions have no usable replica identity`
          : 'it has no primary key';
    return {
      message: `Updates and deletes of ${name} are not captured: ${reason}. Inserts and truncates are.`,
      fix,
    };
  }
  if (table.partialPartitions.length > 0) {
    return {
      message: `${name} has REPLICA IDENTITY FULL, but ${table.partialPartitions.length} of its partitions have not: their old rows come with the key only.`,
      fix: table.partialPartitions
        .map((id) => `ALTER TABLE ${quoteTable(id)} REPLICA IDENTITY FULL;`)
        .join(' '),
    };
  }
  return null;
}

/** For status and doctor: what is not captured of it, with the statement that changes that. */
export function describeCaptured(table: SourceTable): CapturedTable {
  const limitation = limitationOf(table);
  return {
    id: table.id,
    key: table.key,
    estimatedRows: table.estimatedRows,
    limitation: limitation === null ? null : `${limitation.message} ${limitation.fix}`,
  };
}
