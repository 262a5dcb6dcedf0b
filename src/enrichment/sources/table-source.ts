/** Tables as queries read them: the replica of a captured one, the rows of a query over tables, or its groups. */
import type { Replica } from '../state/replica.ts';
import type { AsOf } from '../sql/ast.ts';
import { parseDecimal } from '../sql/decimal.ts';
import type { SqlType } from '../sql/sql-type.ts';
import { keyOf, type KeyValue, type SqlValue } from '../sql/value.ts';
import type { StoredRow } from '../state/table-store.ts';

export type JoinAsOf = Exclude<AsOf, 'ROWTIME'>;

/** States of a transaction that must be known until its end: the one before it, or each one within it too. */
export type Remembered = 'before' | 'versions';

export interface ReadTable {
  /** The captured tables that it is made of. */
  readonly replicas: readonly Replica[];
  /** Whether events of a stream make it: then it is as of the commit only behind all of them. */
  readonly counted: boolean;
  /** Call before anything is read: what `lookUp` and `changedKeys` will be asked for. */
  remember(what: Remembered): void;
  /**
   * The row that an event with that place in the transaction sees: after the whole transaction, before it, or
   * after the changes in front of the event.
   */
  lookUp(key: KeyValue, asOf: JoinAsOf, seq: number): StoredRow | null;
  keys(): Iterable<KeyValue>;
  /** Keys that the transaction under way has touched, each once, in the order of the first touch. */
  changedKeys(): Iterable<KeyValue>;
}

/** A key of one column or more as one value; none of the values is null. */
export function tableKey(types: readonly SqlType[], values: readonly SqlValue[]): KeyValue {
  const [type] = types;
  return types.length === 1 && type !== undefined
    ? keyOf(type, values[0] ?? null)
    : compositeKey(types, values);
}

/** One text for several values; none of them is null. */
function compositeKey(types: readonly SqlType[], values: readonly SqlValue[]): string {
  return JSON.stringify(types.map((type, i) => String(keyOf(type, values[i] ?? null))));
}

/** The values that `tableKey` made the key of. */
export function keyValues(types: readonly SqlType[], key: KeyValue): readonly SqlValue[] {
  const [type] = types;
  if (types.length === 1 && type !== undefined) return [valueOfKey(type, key)];
  const texts = JSON.parse(String(key)) as readonly string[];
  return types.map((each, i) => valueOfKey(each, texts[i] ?? ''));
}

/** `key`: as keyOf made it, or the text of that. */
function valueOfKey(type: SqlType, key: KeyValue): SqlValue {
  switch (type.kind) {
    case 'DECIMAL':
      return parseDecimal(String(key));
    case 'BYTES':
      return Buffer.from(String(key), 'latin1');
    case 'STRING':
      return key;
    case 'BOOLEAN':
      return key === true || key === 'true';
    case 'BIGINT':
      return Number.isSafeInteger(Number(key)) ? Number(key) : BigInt(key);
    default:
      return Number(key);
  }
}
