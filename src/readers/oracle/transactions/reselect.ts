import { type Column, tableName } from '../../../model/table.ts';
import { UNCHANGED, type Value } from '../../../model/value.ts';
import { mapping, pastIsGone } from '../errors.ts';
import { quoteIdent, quoteTable } from '../quoting.ts';
import { type Binds, OracleError, type OracleRow } from '../session/oracle-session.ts';
import { assertUnreadable } from '../types/unreadable-value.ts';
import type { RowEvent } from './row-event.ts';

/** Runs a query where the tables are. */
export type Query = (sql: string, binds: Binds) => Promise<readonly OracleRow[]>;

/** A change whose new row lacks something. */
type Incomplete = RowEvent & { readonly after: Value[] };

/**
 * Asks the table for large columns of a change that the log does not have. The row is read as of the commit; where its
 * undo is gone or the table was altered since, as it is now. What is not found stays unknown.
 */
export class Reselect {
  readonly #query: Query;

  constructor(query: Query) {
    this.#query = query;
  }

  /** Whether a change has such a column. */
  wants(event: RowEvent): event is Incomplete {
    const { model, after, unreadable } = event;
    return unreadable === null && model.decoders.some(({ large }, i) => large && after?.[i] === UNCHANGED);
  }

  async fill({ model, after }: Incomplete, commitScn: bigint): Promise<void> {
    const { schema, decoders } = model;
    const places = decoders.flatMap(({ large }, i) => (large && after[i] === UNCHANGED ? [i] : []));
    const binds: Record<string, string> = {};
    const conditions: string[] = [];
    for (const [i, place] of schema.key.entries()) {
      const condition = comparison(schema.columns[place]!, after[place]!, `k${i}`);
      if (condition === null) return;
      conditions.push(`T.${quoteIdent(schema.columns[place]!.name)} = ${condition.sql}`);
      binds[`k${i}`] = condition.text;
    }
    if (conditions.length === 0) return;
    const columns = places.map((i) => decoders[i]!.select(`T.${quoteIdent(schema.columns[i]!.name)}`));
    const select = (asOf: string): string =>
      `SELECT ${columns.join(', ')} FROM ${quoteTable(schema.id)}${asOf} T WHERE ${conditions.join(' AND ')}`;
    // As a failure of its own: it must not look like one of the window that is being read.
    const row = await mapping(`Reading a row of ${tableName(schema.id)} again`, () =>
      this.#read(select(` AS OF SCN ${commitScn}`), select(''), binds),
    );
    if (row === null) return;
    for (const [i, place] of places.entries()) {
      const value = row[i] ?? null;
      try {
        after[place] = value === null ? null : decoders[place]!.fromRow(value);
      } catch (error) {
        assertUnreadable(error);
      }
    }
  }

  /** Null where there is no such row, or the table has other columns by now. */
  async #read(then: string, now: string, binds: Binds): Promise<OracleRow | null> {
    try {
      const rows = await this.#query(then, binds).catch((error: unknown) => {
        if (!pastIsGone(error)) throw error;
        return this.#query(now, binds);
      });
      return rows[0] ?? null;
    } catch (error) {
      if (error instanceof OracleError && error.has(904, 942)) return null;
      throw error;
    }
  }
}

/** What a key's column is compared with; null for values that have no exact text, or are not known. */
function comparison(
  { type, nativeType }: Column,
  value: Value,
  bind: string,
): { readonly sql: string; readonly text: string } | null {
  if (value instanceof Uint8Array) {
    return { sql: `HEXTORAW(:${bind})`, text: Buffer.from(value).toString('hex') };
  }
  switch (type.kind) {
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'decimal':
      return typeof value === 'symbol' || value === null
        ? null
        : { sql: `TO_NUMBER(:${bind})`, text: String(value) };
    case 'string':
      if (typeof value !== 'string') return null;
      return { sql: nativeType === 'ROWID' ? `CHARTOROWID(:${bind})` : `:${bind}`, text: value };
    case 'timestamp': {
      if (typeof value !== 'number' && typeof value !== 'bigint') return null;
      return {
        sql: `TO_TIMESTAMP(:${bind},'YYYY-MM-DD"T"HH24:MI:SS.FF9')`,
        text: timestampText(BigInt(value), type.precision!),
      };
    }
    default:
      return null;
  }
}

/** From micro- or, with a precision past 6, nanoseconds. */
function timestampText(value: bigint, precision: number): string {
  const nanos = precision > 6 ? value : value * 1000n;
  const fraction = ((nanos % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = (nanos - fraction) / 1_000_000_000n;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(fraction).padStart(9, '0')}`;
}
