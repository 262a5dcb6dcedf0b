import { type TableId, tableName } from '../../model/table.ts';
import { failed, failedBy, ok, warning } from '../finding.ts';
import { checkPollLoad } from '../poll-load.ts';
import type { Finding } from '../reader.ts';
import { mapPgError } from './errors.ts';
import { type PgPolledTable, scanSelect } from './polling-sql.ts';
import { grantOf, listPolled, type PgPolledNames } from './polling-tables.ts';
import { connectPg } from './wire/connection.ts';
import type { TextRows } from './wire/messages.ts';
import { describeHosts, type PgConnectOptions } from './wire/connect-options.ts';
import { quoteIdent, quoteTable } from './wire/quoting.ts';

interface Polled extends AsyncDisposable {
  describe(ids: readonly TableId[], signal: AbortSignal): Promise<readonly PgPolledTable[]>;
}

/** Everything that can be known before polling; changes nothing. Describes rather than throws. */
export async function pollPreflight(
  options: { readonly connect: PgConnectOptions; readonly timeZone: string | null },
  { names, tables }: { readonly names: PgPolledNames; readonly tables: Polled },
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const { connect } = options;
  const place = `${connect.database} on ${describeHosts(connect)}`;
  try {
    await using _ = tables;
    await using connection = await connectPg(connect, {}, signal);
    const query = (sql: string): Promise<TextRows> => connection.query(sql, signal);
    findings.push(ok('connection', `Connected to ${place} as ${connect.user}.`));
    const { serverVersion } = connection;
    const version = `PostgreSQL ${Math.floor(serverVersion / 10_000)}.${serverVersion % 10_000}`;
    if (serverVersion < 130_000) {
      findings.push(
        failed('version', 'source.version-unsupported', `${version} is too old: 15 to 18 are supported.`),
      );
      return findings;
    }
    findings.push(ok('version', `${version}.`));
    const [standby] = await query('SELECT pg_catalog.pg_is_in_recovery()');
    if (standby?.[0] === 't') {
      findings.push(
        warning(
          'standby',
          'A standby does not tell which transactions of its primary run: rows that come later than source.poll.overlap after their timestamp are missed.',
          'Poll the primary, or set source.poll.overlap above the longest transaction.',
        ),
      );
    }
    const relations = await listPolled(query, names);
    const unreadable = relations.filter(({ readable }) => !readable);
    if (unreadable.length > 0) {
      const which = unreadable.map(({ id }) => tableName(id));
      findings.push(
        failed(
          'tables',
          'source.privilege-missing',
          `The role ${connect.user} cannot read ${which.slice(0, 5).join(', ')}${which.length > 5 ? ` and ${which.length - 5} more` : ''}.`,
          unreadable.map((relation) => grantOf(relation, connect.user)).join(' '),
        ),
      );
      return findings;
    }
    findings.push(
      ok('tables', `${relations.length} ${relations.length === 1 ? 'table' : 'tables'} to poll.`),
    );
    const rows = new Map(relations.map(({ id, estimatedRows }) => [tableName(id), estimatedRows]));
    for (const table of await tables.describe(
      relations.map(({ id }) => id),
      signal,
    )) {
      const estimate = rows.get(tableName(table.schema.id)) ?? null;
      findings.push(...(await checkPlan(query, table, { timeZone: options.timeZone, rows: estimate })));
    }
  } catch (error) {
    signal.throwIfAborted();
    const mapped = mapPgError(error, `Checking ${place}`);
    findings.push(failedBy(mapped, findings.length === 0 ? 'connection' : 'tables'));
  }
  return findings;
}

async function checkPlan(
  query: (sql: string) => Promise<TextRows>,
  table: PgPolledTable,
  { timeZone, rows }: { readonly timeZone: string | null; readonly rows: number | null },
): Promise<readonly Finding[]> {
  const local = table.timestamp.some((index) => table.schema.columns[index]!.type.kind !== 'timestamptz');
  return checkPollLoad(table, {
    rows,
    zoneless: local && timeZone === null,
    sequential: async (scan) => {
      const select = scanSelect(table, scan, { timeZone }, null);
      const [plan] = await query(`EXPLAIN (FORMAT JSON, COSTS OFF) ${select}`);
      return /"Node Type": "(?:Seq Scan|Sort)"/.test(plan?.[0] ?? '');
    },
    index: indexFor(table),
  });
}

function indexFor({ schema, timestamp, order }: PgPolledTable): string {
  const columns = timestamp.map((index) => quoteIdent(schema.columns[index]!.name));
  const time = columns.length > 1 ? [`(COALESCE(${columns.join(', ')}))`] : columns;
  const rest = order.map((index) => quoteIdent(schema.columns[index]!.name));
  return `CREATE INDEX CONCURRENTLY ON ${quoteTable(schema.id)} (${[...time, ...rest].join(', ')});`;
}
