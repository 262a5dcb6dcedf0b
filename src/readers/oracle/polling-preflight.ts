import { type TableId, tableName } from '../../model/table.ts';
import { failed, failedBy, ok, warning } from '../finding.ts';
import { checkPollLoad } from '../poll-load.ts';
import type { Finding } from '../reader.ts';
import { classify, mapOracleError } from './errors.ts';
import type { PollFacts } from './polling.ts';
import { isLocal, type OraclePolledTable } from './polling-sql.ts';
import type { PolledObject } from './polling-tables.ts';
import { quoteIdent, quoteTable } from './quoting.ts';
import { OracleError, type OracleSession } from './session/oracle-session.ts';

/** First columns and expressions of the table's indexes that statements may use. */
const INDEXES = `SELECT IC.COLUMN_NAME, IE.COLUMN_EXPRESSION FROM ALL_INDEXES I JOIN ALL_IND_COLUMNS IC ON IC.INDEX_OWNER = I.OWNER AND IC.INDEX_NAME = I.INDEX_NAME AND IC.COLUMN_POSITION = 1 LEFT OUTER JOIN ALL_IND_EXPRESSIONS IE ON IE.INDEX_OWNER = I.OWNER AND IE.INDEX_NAME = I.INDEX_NAME AND IE.COLUMN_POSITION = 1 WHERE I.TABLE_OWNER = :o AND I.TABLE_NAME = :t AND I.VISIBILITY = 'VISIBLE' AND I.STATUS IN ('VALID','N/A')`;

interface Checked {
  readonly place: string;
  readonly user: string;
  readonly timeZone: string | null;
  readonly facts: () => Promise<PollFacts>;
  readonly list: () => Promise<readonly PolledObject[]>;
  readonly describe: (id: TableId) => Promise<OraclePolledTable | null>;
  readonly use: <T>(body: (session: OracleSession) => Promise<T>) => Promise<T>;
}

/** Everything that can be known before polling; changes nothing. Describes rather than throws. */
export async function pollPreflight(checked: Checked, signal: AbortSignal): Promise<readonly Finding[]> {
  const { place, user } = checked;
  const findings: Finding[] = [];
  try {
    const facts = await checked.facts();
    findings.push(ok('connection', `Connected to ${place} as ${user}.`), checkFacts(facts, user));
    const objects = await checked.list();
    findings.push(ok('tables', `${objects.length} ${objects.length === 1 ? 'table' : 'tables'} to poll.`));
    for (const object of objects) findings.push(...(await checkTable(object, checked)));
  } catch (error) {
    signal.throwIfAborted();
    const mapped = mapOracleError(error, `Checking ${place}`);
    findings.push(failedBy(mapped, findings.length === 0 ? 'connection' : 'tables'));
  }
  return findings;
}

function checkFacts({ standby, hidden }: PollFacts, user: string): Finding {
  if (standby) {
    return warning(
      'standby',
      'A standby does not tell which transactions of its primary run: rows that come later than source.poll.overlap after their timestamp are missed.',
      'Poll the primary, or set source.poll.overlap above the longest transaction and the lag.',
    );
  }
  if (hidden.length === 0) return ok('running transactions', 'The server tells which transactions run.');
  return warning(
    'running transactions',
    `Without ${hidden.join(' and ')} the server does not tell which transactions run: rows that commit later than source.poll.overlap after their timestamp are missed.`,
    `${hidden.map((view) => `GRANT SELECT ON SYS.${view.replace('V$', 'V_$')} TO ${quoteIdent(user)};`).join(' ')} Or set source.poll.overlap above the longest transaction.`,
  );
}

async function checkTable(
  { id, kind, estimatedRows }: PolledObject,
  { describe, use, timeZone, user }: Checked,
): Promise<readonly Finding[]> {
  const name = tableName(id);
  const table = await describe(id);
  if (table === null) return []; // dropped in this moment
  const readable = await use(async (session) => {
    try {
      await session.query(`SELECT 1 FROM ${table.from} T WHERE ROWNUM = 1`);
      return true;
    } catch (error) {
      if (!(error instanceof OracleError) || classify(error).code !== 'source.privilege-missing') throw error;
      return false;
    }
  });
  if (!readable) {
    return [
      failed(
        'tables',
        'source.privilege-missing',
        `${user} cannot read ${name}.`,
        `GRANT SELECT ON ${quoteTable(id)} TO ${quoteIdent(user)};`,
      ),
    ];
  }
  const zoneless =
    timeZone === null && table.timestamp.some((index) => isLocal(table.schema.columns[index]!.nativeType));
  const indexed = kind === 'table' && (await use((session) => hasIndex(session, table)));
  const findings = await checkPollLoad(table, {
    rows: estimatedRows,
    zoneless,
    sequential: () => Promise.resolve(!indexed),
    index: indexFor(table),
  });
  if (kind === 'table' || table.options.mode === 'bulk') return findings;
  // Of what lies behind a view or a query only a plan would tell, and making one writes.
  return [
    ...findings.slice(0, -1),
    ok(`polling ${name}`, `${name} is a ${kind}: whether an index serves its polling is not looked at.`),
  ];
}

/** Whether an index begins with what rows are put in order by. EXPLAIN PLAN would write to a table. */
async function hasIndex(session: OracleSession, table: OraclePolledTable): Promise<boolean> {
  const { schema } = table;
  const wanted = firstOf(table).map((index) => quoteIdent(schema.columns[index]!.name));
  const first = wanted.length === 1 ? wanted[0]! : `COALESCE(${wanted.join(',')})`;
  const rows = await session.query(INDEXES, { o: schema.id.schema, t: schema.id.table });
  return rows.some(
    ([column, expression]) => String(expression ?? `"${String(column)}"`).replaceAll(' ', '') === first,
  );
}

function firstOf({ timestamp, order }: OraclePolledTable): readonly number[] {
  return timestamp.length > 0 ? timestamp : order.slice(0, 1);
}

function indexFor(table: OraclePolledTable): string {
  const { schema, timestamp, order } = table;
  const nameOf = (index: number): string => quoteIdent(schema.columns[index]!.name);
  const times = timestamp.map(nameOf);
  const time = times.length > 1 ? [`COALESCE(${times.join(', ')})`] : times;
  const columns = [...time, ...order.filter((index) => !timestamp.includes(index)).map(nameOf)];
  return `CREATE INDEX ${quoteIdent(schema.id.schema)}.HEADWATER_POLL ON ${quoteTable(schema.id)} (${columns.join(', ')}) ONLINE;`;
}
