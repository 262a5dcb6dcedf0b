/** A client's SELECT, from its text to its rows. */
import type { RunningSelect } from '../../enrichment/queries/live-queries.ts';
import type { QueryDesk } from '../../enrichment/queries/query-desk.ts';
import type { SelectRequest } from '../../enrichment/queries/select-plan.ts';
import type { Parsed } from '../../enrichment/sql/parse-statement.ts';
import { parseScript } from '../../enrichment/sql/script.ts';
import type { Dialect } from '../../enrichment/sql/token-cursor.ts';
import { SqlApiError } from './api-error.ts';

/** Properties that mean something here; all others are left alone, since clients send what ksqlDB knows. */
const OFFSET_RESET = ['auto.offset.reset', 'ksql.streams.auto.offset.reset'];
const TABLE_SCANS = 'ksql.query.pull.table.scan.enabled';
/** What others can be set to; here it has one value (docs/decisions/0029). */
const BOOTSTRAP = 'table.bootstrap';

/** Throws SqlApiError 40000 for a value that means nothing. */
export function readOptions(
  properties: ReadonlyMap<string, string>,
): Pick<SelectRequest, 'fromBeginning' | 'scans'> & { readonly fromLatest: boolean } {
  const reset = OFFSET_RESET.flatMap((name) => properties.get(name) ?? [])
    .at(0)
    ?.toLowerCase();
  if (reset !== undefined && reset !== 'earliest' && reset !== 'latest')
    throw new SqlApiError(40000, `auto.offset.reset is earliest or latest, not ${JSON.stringify(reset)}.`);
  const scans = properties.get(TABLE_SCANS)?.toLowerCase();
  if (scans !== undefined && scans !== 'true' && scans !== 'false')
    throw new SqlApiError(40000, `${TABLE_SCANS} is true or false, not ${JSON.stringify(scans)}.`);
  const bootstrap = properties.get(BOOTSTRAP);
  if (bootstrap !== undefined && bootstrap.toUpperCase() !== 'WAIT')
    throw new SqlApiError(
      40000,
      `${BOOTSTRAP} is WAIT, not ${JSON.stringify(bootstrap)}: what an event is joined with would depend on how much of the table happened to be read by then. LEFT JOIN gives NULLs where a complete table has no row.`,
    );
  return {
    fromBeginning: reset === 'earliest',
    fromLatest: reset === 'latest',
    scans: scans === undefined ? null : scans === 'true',
  };
}

/** What those properties are where a request says nothing. */
export function defaultProperties(desk: QueryDesk): ReadonlyMap<string, string> {
  return new Map([
    ['auto.offset.reset', 'latest'],
    [TABLE_SCANS, String(dialectOf(desk) === 'friendly')],
  ]);
}

/** How requests are read: as the statements of the settings file are. */
export function dialectOf(desk: QueryDesk): Dialect {
  const strict = [...desk.running.values()].some(({ dialect }) => dialect === 'ksqldb');
  return strict ? 'ksqldb' : 'friendly';
}

export interface SelectText {
  readonly sql: string;
  readonly properties: ReadonlyMap<string, string>;
  readonly variables: ReadonlyMap<string, string>;
}

/** The one SELECT or PRINT of the text. Throws SqlApiError 40000, 40002 and what is wrong with the statement. */
export function parseSelectText({ sql, variables }: SelectText, desk: QueryDesk): Parsed {
  const [parsed, second] = parseScript(sql, dialectOf(desk), variables);
  if (parsed === undefined) throw new SqlApiError(40000, 'There is no statement in the request.');
  if (second !== undefined)
    throw new SqlApiError(40000, 'There are several statements in the request; send one at a time.');
  const { kind } = parsed.statement;
  if (kind !== 'select' && kind !== 'print')
    throw new SqlApiError(
      40002,
      'This endpoint takes a SELECT or PRINT; all other statements belong to /ksql.',
    );
  return parsed;
}

export async function runSelect(
  parsed: Parsed,
  { properties }: SelectText,
  { desk, signal }: { readonly desk: QueryDesk; readonly signal: AbortSignal },
): Promise<RunningSelect> {
  const { statement, source } = parsed;
  if (statement.kind !== 'select') throw new TypeError('Only a SELECT has rows.');
  const { select } = statement;
  const { queries } = desk.programOf(select.from.name, source, select.from.at);
  return queries.select({ select, parsed, ...readOptions(properties) }, signal);
}
