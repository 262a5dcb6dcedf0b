import type { TableId } from '../../model/table.ts';
import type { Query } from './catalogue.ts';
import { MysqlError } from './wire/mysql-error.ts';

/** What SHOW GRANTS says of the user, roles that are active included. */
export interface Grants {
  /** As GRANT wants it: `'headwater'@'%'`. */
  readonly account: string;
  /** Whether one of the privileges is granted on everything. */
  has(...privileges: readonly string[]): boolean;
  /** Whether it is granted on the table, its database, or everything. */
  hasOn(table: TableId, privilege: string): boolean;
}

const GRANT = /^GRANT (.+?) ON (?:TABLE )?(.+?) TO /s;

export async function readGrants(query: Query): Promise<Grants> {
  const rows = await query('SHOW GRANTS');
  const [who] = await query('SELECT CURRENT_USER()');
  return parseGrants(
    rows.map(([text]) => text ?? ''),
    who?.[0] ?? '',
  );
}

function parseGrants(lines: readonly string[], currentUser: string): Grants {
  const granted = new Map<string, Set<string>>();
  for (const line of lines) {
    const [, privileges, object] = GRANT.exec(line) ?? [];
    if (privileges === undefined || object === undefined) continue; // of a role
    const key = object.replaceAll('`', '').replaceAll('\\', '');
    const known = granted.get(key) ?? new Set<string>();
    // A list of columns stands in parentheses.
    for (const privilege of privileges.replaceAll(/\([^)]*\)/g, '').split(',')) {
      known.add(privilege.trim().toUpperCase());
    }
    granted.set(key, known);
  }
  const hasAt = (key: string, privilege: string): boolean => {
    const known = granted.get(key);
    return known !== undefined && (known.has(privilege) || known.has('ALL PRIVILEGES') || known.has('ALL'));
  };
  const at = currentUser.lastIndexOf('@');
  const quoted = (name: string): string => `'${name.replaceAll("'", "''")}'`;
  return {
    account: `${quoted(currentUser.slice(0, at))}@${quoted(currentUser.slice(at + 1))}`,
    has: (...privileges) => privileges.some((privilege) => hasAt('*.*', privilege)),
    hasOn: ({ schema, table }, privilege) =>
      ['*.*', `${schema}.*`, `${schema}.${table}`].some((key) => hasAt(key, privilege)),
  };
}

/** Access denied: for a statement, to a database, to a table, to columns. */
const DENIED: ReadonlySet<number> = new Set([1227, 1044, 1142, 1143]);

/** Null where the user may not ask. */
export async function queryIfAllowed(query: Query, sql: string): Promise<Awaited<ReturnType<Query>> | null> {
  try {
    return await query(sql);
  } catch (error) {
    if (error instanceof MysqlError && DENIED.has(error.errno)) return null;
    throw error;
  }
}
