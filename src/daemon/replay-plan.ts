/**
 * What has to be read again so that changes in the dead-letter topic reach their own. A change that could not be
 * delivered is never written later as it was: by then its row may have changed, and the older state would come last.
 * Instead the rows are read as they are now, in windows merged with the stream, as any snapshot on demand; repeating
 * that does no harm.
 */
import { SILENT } from '../observability/log.ts';
import { type ColumnType, type TableSchema, tableName } from '../model/table.ts';
import type { JsonValue } from '../model/position.ts';
import { ABSENT, UNCHANGED } from '../model/value.ts';
import type { Settings, TableSettings } from '../settings/settings.ts';
import {
  type DeadLetterFilter,
  type DeadLetterRecord,
  type JsonRow,
  readDeadLetters,
} from './dead-letters.ts';
import { type SqlQuoting, sqlQuoting, withSource } from './sources/source.ts';
import type { Source } from './sources/source-parts.ts';
import { topicOf } from './topics.ts';
import type { SourceInfo } from '../model/change.ts';

/** A request's body has 64 KiB at most (http/routes.ts). */
const MOST_CONDITION = 48 * 1024;

/** What stands in a letter where the log holds no value. */
const LEFT_OUT: ReadonlySet<string | undefined> = new Set([ABSENT.description, UNCHANGED.description]);

export interface TableReplay {
  /** `schema.table` */
  readonly table: string;
  readonly letters: number;
  /** Distinct keys; 0 where the rows are not known one by one. */
  readonly rows: number;
  /** Condition for the rows; null: they cannot be told from the letters, and all of the table has to be read. */
  readonly where: string | null;
  /** Why it has to. */
  readonly whole: string | null;
  /** Rows that are gone come in no snapshot, so that their delete is not made good. */
  readonly deletes: number;
}

export interface ReplayPlan {
  readonly tables: readonly TableReplay[];
  /** Of tables that are no longer captured. */
  readonly foreign: number;
}

export async function planReplay(
  settings: Settings,
  filter: DeadLetterFilter,
  signal: AbortSignal,
): Promise<ReplayPlan> {
  const sql = await sqlQuoting(settings);
  return await withSource(settings, SILENT, (source) => planWith(source, { settings, sql, filter }, signal));
}

async function planWith<P, S extends SourceInfo>(
  { openReader }: Source<P, S>,
  asked: { readonly settings: Settings; readonly sql: SqlQuoting; readonly filter: DeadLetterFilter },
  signal: AbortSignal,
): Promise<ReplayPlan> {
  const { settings, sql, filter } = asked;
  const { table, code } = filter;
  await using reader = openReader();
  await reader.tables(signal, () => {});
  const schemas = await reader.describe(signal);
  const rows = new Map(
    schemas.map((schema) => {
      const name = tableName(schema.id);
      return [name, new LetteredRows(schema, settings.tables.get(name), sql)];
    }),
  );
  const byTopic = new Map(schemas.map(({ id }) => [topicOf(settings, id), tableName(id)]));
  let foreign = 0;
  // Notes of large records have no table, so that these are chosen here.
  for await (const letter of readDeadLetters(settings, { table: null, code }, signal)) {
    const name = letter.table ?? byTopic.get(letter.topic);
    if (table !== null && name !== table) continue;
    const found = name === undefined ? undefined : rows.get(name);
    if (found === undefined) foreign++;
    else found.add(letter);
  }
  return { tables: [...rows.values()].flatMap((each) => each.plan() ?? []), foreign };
}

/** The rows of one table that letters are about. */
export class LetteredRows {
  readonly #table: string;
  readonly #sql: SqlQuoting;
  /** Null where rows of this table cannot be named. */
  readonly #key: readonly { readonly name: string; readonly type: ColumnType }[] | null;
  readonly #conditions = new Set<string>();
  #length = 0;
  #letters = 0;
  #deletes = 0;
  #whole: string | null = null;

  constructor(schema: TableSchema, settings: TableSettings | undefined, sql: SqlQuoting) {
    this.#table = tableName(schema.id);
    this.#sql = sql;
    const key = schema.key.map((i) => schema.columns[i]!);
    const shown = key.every(({ name }) => isShown(settings, name));
    this.#key = key.length > 0 && shown ? key : null;
  }

  add({ op, before, after }: Pick<DeadLetterRecord, 'op' | 'before' | 'after'>): void {
    this.#letters++;
    if (op === 'd') this.#deletes++;
    // A key that changed names two rows, of which one may be there now.
    const images = [after, before].filter((image) => image !== null);
    const conditions = images.flatMap((image) => this.#condition(image) ?? []);
    const [condition] = conditions;
    if (condition === undefined) {
      this.#whole ??=
        this.#key === null
          ? 'its rows have no key that records show'
          : 'a letter does not hold the key of its row';
      return;
    }
    for (const each of conditions) {
      if (this.#whole !== null || this.#conditions.has(each)) continue;
      this.#conditions.add(each);
      this.#length += each.length + 4;
      if (this.#length > MOST_CONDITION) this.#whole = 'there are more rows than one condition can name';
    }
  }

  /** Null where there are no letters. */
  plan(): TableReplay | null {
    if (this.#letters === 0) return null;
    const whole = this.#whole;
    return {
      table: this.#table,
      letters: this.#letters,
      deletes: this.#deletes,
      rows: whole === null ? this.#conditions.size : 0,
      where: whole === null ? [...this.#conditions].join(' OR ') : null,
      whole,
    };
  }

  #condition(image: JsonRow): string | null {
    const { ident } = this.#sql;
    const parts = (this.#key ?? []).map(({ name, type }) => {
      const literal = this.#literal(type, image[name] ?? null);
      return literal === null ? null : `${ident(name)} = ${literal}`;
    });
    if (parts.length === 0 || parts.includes(null)) return null;
    return parts.length === 1 ? parts[0]! : `(${parts.join(' AND ')})`;
  }

  /** Only of types whose letter is their text in SQL too. */
  #literal({ kind }: ColumnType, value: JsonValue): string | null {
    switch (kind) {
      case 'int8':
      case 'int16':
      case 'int32':
      case 'int64':
      case 'uint64':
      case 'year':
      case 'decimal': {
        const text = typeof value === 'number' ? String(value) : value;
        return typeof text === 'string' && /^-?\d+(\.\d+)?$/.test(text) ? text : null;
      }
      case 'string':
      case 'uuid':
      case 'enum':
        return typeof value === 'string' && !LEFT_OUT.has(value) ? this.#sql.literal(value) : null;
      default:
        return null;
    }
  }
}

function isShown(settings: TableSettings | undefined, column: string): boolean {
  const columns = settings?.columns ?? null;
  if (columns === null) return true;
  const { include, exclude, mask, truncate, rename } = columns;
  return (
    (include === null || include.includes(column)) &&
    !exclude.includes(column) &&
    !mask.has(column) &&
    !truncate.has(column) &&
    !rename.has(column)
  );
}
