import type { Change, RowChange } from '../../model/change.ts';
import { type ColumnType, type TableSchema, tableName } from '../../model/table.ts';
import { type Image, RawRow, valueOf } from '../../model/raw-row.ts';
import { type Row, UNCHANGED, type Value } from '../../model/value.ts';
import type { PostgresSource } from './source-info.ts';
import type { Decode } from './pgoutput/relation-state.ts';
import type { TextRows } from './wire/messages.ts';
import { PgError } from './wire/pg-error.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './wire/quoting.ts';

export interface ToastReader {
  /** Replaces UNCHANGED in rows of `changes` where the table still tells; `open`: more of the last transaction follows. */
  fill(changes: readonly Change<PostgresSource>[], open: boolean): Promise<void>;
}

export interface ToastOptions {
  query(sql: string): Promise<TextRows>;
  /** Decoders of a schema's columns. */
  decodersOf(schema: TableSchema): readonly Decode[] | null;
}

type Missing = RowChange<PostgresSource> & { readonly after: Row };

/** Keys per statement. */
const KEYS = 500;
/** A table that is locked (ALTER TABLE, VACUUM FULL) must not hold up the others: the placeholder then stays. */
const LOCK_TIMEOUT_MS = 500;
/** So long it is not asked again: what is behind it in the log would wait every time. */
const LOCKED_MS = 10_000;
const LOCK_NOT_AVAILABLE = '55P03';

/**
 * Second rung of the ladder for unchanged TOAST values, where no old row was logged: the row is read again by
 * its key. What it says is the event's value only if the row was written by the event's transaction (`xmin`)
 * and nothing later in that transaction touched the key. Rows written in a subtransaction carry
 * its id and are not accepted: the log doesn't say whose child it is.
 */
export function createToastReader(options: ToastOptions): ToastReader {
  const lockedUntil = new Map<string, number>();
  return {
    async fill(changes, open) {
      const tables = new Map<TableSchema, Missing[]>();
      const last = lastByKey(changes);
      const openTx = open ? changes.findLast((change) => change.tx !== null)?.tx : undefined;
      for (const change of changes) {
        if (!lacksValues(change) || change.tx === null || change.tx === openTx) continue;
        if (last.get(keyOf(change)) !== change) continue;
        const list = tables.get(change.table);
        if (list === undefined) tables.set(change.table, [change]);
        else list.push(change);
      }
      for (const [schema, missing] of tables) {
        const decoders = options.decodersOf(schema);
        const name = tableName(schema.id);
        if (decoders === null || performance.now() < (lockedUntil.get(name) ?? 0)) continue;
        for (let at = 0; at < missing.length; at += KEYS) {
          const outcome = await readBack(options, schema, decoders, missing.slice(at, at + KEYS));
          if (outcome === 'done') continue;
          if (outcome === 'locked') lockedUntil.set(name, performance.now() + LOCKED_MS);
          break;
        }
      }
    },
  };
}

function lacksValues(change: Change<PostgresSource>): change is Missing {
  if (change.kind !== 'row' || change.table.key.length === 0) return false;
  const { after } = change;
  return (
    after !== null &&
    !(after instanceof RawRow) &&
    after.includes(UNCHANGED) &&
    change.table.key.every((i) => after[i] !== UNCHANGED)
  );
}

/** Per transaction, table and key, the last change; a changed key counts under both. */
function lastByKey(changes: readonly Change<PostgresSource>[]): ReadonlyMap<string, Change<PostgresSource>> {
  const last = new Map<string, Change<PostgresSource>>();
  for (const change of changes) {
    if (change.kind !== 'row' || change.table.key.length === 0) continue;
    if (change.before !== null) last.set(keyText(change, change.before), change);
    if (change.after !== null) last.set(keyText(change, change.after), change);
  }
  return last;
}

function keyOf(change: Missing): string {
  return keyText(change, change.after);
}

function keyText(change: RowChange<PostgresSource>, row: Image): string {
  return `${change.tx?.id ?? ''}\0${tableName(change.table.id)}\0${change.table.key.map((i) => printed(valueOf(row, i))).join('\0')}`;
}

function printed(value: Value): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value);
}

async function readBack(
  options: ToastOptions,
  schema: TableSchema,
  decoders: readonly Decode[],
  missing: readonly Missing[],
): Promise<'done' | 'locked' | 'unreadable'> {
  const wanted = schema.columns.flatMap((_, i) =>
    missing.some(({ after }) => after[i] === UNCHANGED) ? [i] : [],
  );
  const names = (indexes: readonly number[]): string =>
    indexes.map((i) => quoteIdent(schema.columns[i]!.name)).join(', ');
  const keys = missing.map(({ after }) => {
    const texts = schema.key.map((i) => literal(after[i]!, schema.columns[i]!.type.kind));
    return texts.includes(null) ? null : `(${texts.join(', ')})`;
  });
  const list = keys.filter((key) => key !== null);
  if (list.length === 0) return 'done';
  let rows: TextRows;
  try {
    // One message is one transaction.
    rows = await options.query(
      `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; SELECT xmin, ${names(schema.key)}, ${names(wanted)} FROM ${quoteTable(schema.id)} WHERE (${names(schema.key)}) IN (${list.join(', ')})`,
    );
  } catch (error) {
    if (error instanceof PgError && error.sqlstate === LOCK_NOT_AVAILABLE) return 'locked';
    if (isAboutTheTable(error)) return 'unreadable';
    throw error;
  }
  const found = new Map<string, readonly (string | null)[]>();
  for (const row of rows) {
    const key = schema.key.map((column, i) => printed(decode(decoders[column]!, row[1 + i]!))).join('\0');
    found.set(key, row);
  }
  for (const change of missing) {
    const row = found.get(schema.key.map((i) => printed(change.after[i]!)).join('\0'));
    if (row === undefined || Number(row[0]) !== change.at.tx.xid) continue;
    const after = change.after as Value[];
    wanted.forEach((column, i) => {
      if (after[column] === UNCHANGED) {
        after[column] = decode(decoders[column]!, row[1 + schema.key.length + i]!);
      }
    });
  }
  return 'done';
}

/** A value that cannot be read stays unknown. */
function decode(decoder: Decode, text: string | null): Value {
  if (text === null) return null;
  try {
    return decoder(text);
  } catch {
    return UNCHANGED;
  }
}

/** The key as the server takes it; null for kinds whose Value is not close to their text. */
function literal(value: Value, kind: ColumnType['kind']): string | null {
  if (!KEY_KINDS.has(kind)) return null;
  if (value instanceof Uint8Array) return quoteLiteral(`\\x${Buffer.from(value).toString('hex')}`);
  return typeof value === 'symbol' || typeof value === 'object' ? null : quoteLiteral(String(value));
}

const KEY_KINDS: ReadonlySet<ColumnType['kind']> = new Set([
  'boolean',
  'int16',
  'int32',
  'int64',
  'decimal',
  'string',
  'uuid',
  'enum',
  'ltree',
  'bytes',
]);

/** The table may have changed or gone since; that is no reason to stop, the placeholder stays. */
function isAboutTheTable(error: unknown): boolean {
  return error instanceof PgError && /^(22|42)/.test(error.sqlstate);
}
