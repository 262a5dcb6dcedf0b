import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import { failed, ok, warning } from '../finding.ts';
import type { Finding } from '../reader.ts';
import { mapPgError } from './errors.ts';
import { type PgPolledTable, scanSelect } from './polling-sql.ts';
import { grantOf, listPolled, type PolledNames } from './polling-tables.ts';
import { connectPg, type TextRows } from './wire/connection.ts';
import { describeHosts, type PgConnectOptions } from './wire/connect-options.ts';
import { quoteIdent, quoteTable } from './wire/quoting.ts';

/** A smaller table is read as fast without an index. */
const LARGE_ROWS = 10_000;

interface Polled extends AsyncDisposable {
  describe(ids: readonly TableId[], signal: AbortSignal): Promise<readonly PgPolledTable[]>;
}

/** Everything that can be known before polling; changes nothing. Describes rather than throws. */
export async function pollPreflight(
  options: { readonly connect: PgConnectOptions; readonly timeZone: string | null },
  { names, tables }: { readonly names: PolledNames; readonly tables: Polled },
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
    if (!(mapped instanceof HeadwaterError)) throw mapped;
    findings.push(
      failed(findings.length === 0 ? 'connection' : 'tables', mapped.code, mapped.message, mapped.fix),
    );
  }
  return findings;
}

/** Whether an index serves what is asked again and again. */
async function checkPlan(
  query: (sql: string) => Promise<TextRows>,
  table: PgPolledTable,
  { timeZone, rows }: { readonly timeZone: string | null; readonly rows: number | null },
): Promise<readonly Finding[]> {
  const name = tableName(table.schema.id);
  const check = `polling ${name}`;
  const { mode } = table.options;
  const large = rows !== null && rows >= LARGE_ROWS;
  const findings: Finding[] = [];
  const local = table.timestamp.some((index) => table.schema.columns[index]!.type.kind !== 'timestamptz');
  if (local && timeZone === null) {
    findings.push(
      warning(
        check,
        `The timestamps of ${name} have no time zone: so long as none is named, the rows of half a day are looked at each time.`,
        'Set source.poll.time_zone to the zone that they are written in, such as Europe/Berlin or UTC.',
      ),
    );
  }
  if (mode === 'bulk') {
    findings.push(
      large
        ? warning(
            check,
            `${name} is read whole at each poll: about ${rows} rows.`,
            `Name a timestamp column as source.poll.tables.${name}.timestamp, or poll it less often.`,
          )
        : ok(check, `${name} is read whole at each poll.`),
    );
    return findings;
  }
  const now = Date.now() * 1000;
  const select = scanSelect(
    table,
    {
      kind: 'cursor',
      low: mode === 'incrementing' ? null : { kind: 'time', us: now, nowUs: now },
      after: null,
      versions: null,
      limit: 1_000,
    },
    { timeZone },
    null,
  );
  const [plan] = await query(`EXPLAIN (FORMAT JSON, COSTS OFF) ${select}`);
  const sequential =
    /"Node Type": "Seq Scan"/.test(plan?.[0] ?? '') || /"Node Type": "Sort"/.test(plan?.[0] ?? '');
  if (!sequential) findings.push(ok(check, `An index serves the polling of ${name} (${mode}).`));
  else if (large)
    findings.push(
      warning(
        check,
        `No index serves the polling of ${name}: each poll reads all of its rows, about ${rows}.`,
        indexFor(table),
      ),
    );
  else findings.push(ok(check, `${name} is polled by ${mode}; it is small enough to do without an index.`));
  return findings;
}

function indexFor({ schema, timestamp, order }: PgPolledTable): string {
  const columns = timestamp.map((index) => quoteIdent(schema.columns[index]!.name));
  const time = columns.length > 1 ? [`(COALESCE(${columns.join(', ')}))`] : columns;
  const rest = order.map((index) => quoteIdent(schema.columns[index]!.name));
  return `CREATE INDEX CONCURRENTLY ON ${quoteTable(schema.id)} (${[...time, ...rest].join(', ')});`;
}
