/** The aggregate functions. Static types make the casts in here sound. */
import { argument, type Call, callError, wrongCount } from './definition.ts';
import { evaluateAll } from '../coerce.ts';
import { add, Decimal, fits, subtract } from '../decimal.ts';
import type { Evaluate, Problem, Typed } from '../frame.ts';
import { isOrdered } from '../logic.ts';
import { BIGINT, decimal, DOUBLE, INTEGER, isNumeric, type SqlType } from '../sql-type.ts';
import { bigintValue, compareValues, equalValues, keyOf, type KeyValue, type SqlValue } from '../value.ts';

/** What one aggregate of one group remembers. */
export interface AggregateState {
  count: number;
  value: SqlValue;
  readonly items: SqlValue[];
  /** When each of `items` arrived, where that decides; else empty. */
  readonly ordinals: number[];
  /** Keys of `items`, where they are a set; made when first needed. */
  seen: Set<KeyValue> | null;
}

export interface Arrival {
  /** Its place among all events that the query has grouped. */
  readonly ordinal: number;
  readonly note: (problem: Problem) => void;
}

export interface Undo {
  /** Of one `add` of that value. */
  remove(state: AggregateState, value: SqlValue, arrival: Arrival): void;
  /** Whether taking back the one and adding the other would change nothing. */
  same(a: SqlValue, b: SqlValue): boolean;
}

export interface Aggregate {
  /** Of the result. */
  readonly type: SqlType;
  /** Of `value` and of the `items` of its states. */
  readonly valueType: SqlType;
  readonly itemType: SqlType;
  /** Null for COUNT(*). */
  readonly argument: Evaluate | null;
  add(state: AggregateState, value: SqlValue, arrival: Arrival): void;
  /** Null for those that cannot take a value back. */
  readonly undo: Undo | null;
  /** Takes what a later session of the same group has come to. */
  merge(state: AggregateState, later: AggregateState, arrival: Arrival): void;
  result(state: AggregateState): SqlValue;
}

export function newState(): AggregateState {
  return { count: 0, value: null, items: [], ordinals: [], seen: null };
}

/** Collections of one group end here: their state is part of the checkpoint. */
const MAX_ITEMS = 10_000;

/** How each is called. */
export const AGGREGATE_USAGE: ReadonlyMap<string, string> = new Map([
  ['COUNT', 'COUNT(*) or COUNT(value)'],
  ['COUNT_DISTINCT', 'COUNT_DISTINCT(value)'],
  ['SUM', 'SUM(number)'],
  ['AVG', 'AVG(number)'],
  ['MIN', 'MIN(value)'],
  ['MAX', 'MAX(value)'],
  ['TOPK', 'TOPK(value [, other, …], count)'],
  ['TOPKDISTINCT', 'TOPKDISTINCT(value, count)'],
  ['COLLECT_LIST', 'COLLECT_LIST(value)'],
  ['COLLECT_SET', 'COLLECT_SET(value)'],
  ['LATEST_BY_OFFSET', 'LATEST_BY_OFFSET(value [, count] [, ignoreNulls])'],
  ['EARLIEST_BY_OFFSET', 'EARLIEST_BY_OFFSET(value [, count] [, ignoreNulls])'],
]);

export const AGGREGATE_NAMES: ReadonlySet<string> = new Set(AGGREGATE_USAGE.keys());

/** `star`: `COUNT(*)`. `ofRows`: values are taken back too. Throws for arguments that do not fit. */
export function bindAggregate(call: Call, star: boolean, ofRows = false): Aggregate {
  const { name, args } = call;
  if (name === 'COUNT' && (star || args.length === 0)) return count(null);
  if (star) throw callError(call, `${name} cannot take *`);
  const [first] = args;
  const byOffset = name === 'LATEST_BY_OFFSET' || name === 'EARLIEST_BY_OFFSET';
  const most = name === 'TOPK' ? Infinity : byOffset ? 3 : name === 'TOPKDISTINCT' ? 2 : 1;
  const least = name === 'TOPK' || name === 'TOPKDISTINCT' ? 2 : 1;
  if (first === undefined || args.length < least || args.length > most)
    throw wrongCount(call, AGGREGATE_USAGE.get(name) ?? name);
  const { type } = first;
  if (type === null) throw callError(call, `${name} needs a value with a type`, 0);
  switch (name) {
    case 'COUNT':
      return count(first.run);
    case 'SUM':
      return sum(call, first, { type, ofRows });
    case 'AVG':
      return average(argument(call, 0, DOUBLE).run);
    case 'MIN':
    case 'MAX':
      return extreme(ordered(call, type), first.run, name === 'MAX' ? 1 : -1);
    case 'COUNT_DISTINCT':
      return { ...set(ordered(call, type), first.run), type: BIGINT, result: ({ items }) => items.length };
    case 'COLLECT_SET':
      return set(ordered(call, type), first.run);
    case 'COLLECT_LIST':
      return list(type, first.run);
    case 'TOPK':
      return args.length === 2
        ? top(ordered(call, type), first.run, { count: howMany(call, 1), distinct: false, by: null })
        : topWithOthers(call, ordered(call, type));
    case 'TOPKDISTINCT':
      return top(ordered(call, type), first.run, { count: howMany(call, 1), distinct: true, by: null });
    default:
      return byArrival(call, type, first.run);
  }
}

function ordered(call: Call, type: SqlType): SqlType {
  if (isOrdered(type)) return type;
  throw callError(call, `${call.name} needs values with an order`, 0);
}

function howMany(call: Call, index: number): number {
  const n = call.args[index]?.literal;
  if (typeof n === 'number' && Number.isInteger(n) && n >= 1 && n <= MAX_ITEMS) return n;
  throw callError(
    call,
    `argument ${index + 1} of ${call.name} is a number from 1 to ${MAX_ITEMS}, written as one`,
    index,
  );
}

function count(argument: Evaluate | null): Aggregate {
  return {
    type: BIGINT,
    valueType: BIGINT,
    itemType: BIGINT,
    argument,
    add: (state, value) => {
      if (argument === null || value !== null) state.count++;
    },
    undo: {
      remove: (state, value) => {
        if (argument === null || value !== null) state.count--;
      },
      same: (a, b) => (a === null) === (b === null),
    },
    merge: (state, later) => void (state.count += later.count),
    result: (state) => state.count,
  };
}

/** Digits of a sum of DECIMALs, which grow with the rows, whatever one row's type says; as Flink's. */
const SUM_DIGITS = 38;

function sumType(type: SqlType): SqlType {
  if (type.kind !== 'DECIMAL' || type.precision === null) return type;
  return decimal(Math.max(type.precision, SUM_DIGITS), type.scale);
}

/**
 * A sum that its type cannot hold is noted. Of events, what would make it so is left out; of rows, which may go again,
 * all are in it, and it is NULL for as long as it is too large. `count`: of the values in it.
 */
function sum(
  call: Call,
  { run }: Typed,
  { type, ofRows }: { readonly type: SqlType; readonly ofRows: boolean },
): Aggregate {
  if (!isNumeric(type)) throw callError(call, 'SUM needs a number', 0);
  const result = sumType(type);
  const into = (state: AggregateState, value: SqlValue, { note }: Arrival): boolean => {
    if (value === null) return false;
    const total = state.value === null ? value : plus(type, state.value, value);
    const holds = holdsSum(result, total);
    if (!holds) note('overflow');
    if (holds || ofRows) state.value = total;
    return holds || ofRows;
  };
  return {
    type: result,
    valueType: type,
    itemType: type,
    argument: run,
    add: (state, value, arrival) => {
      if (into(state, value, arrival)) state.count++;
    },
    undo: {
      remove: (state, value) => {
        if (value === null || state.value === null) return;
        state.count--;
        state.value = state.count === 0 ? null : plus(type, state.value, minus(value));
      },
      same: (a, b) => equalValues(type, a, b),
    },
    merge: (state, later, arrival) => {
      if (into(state, later.value, arrival)) state.count += later.count;
    },
    result: ({ value }) => (value === null || holdsSum(result, value) ? value : null),
  };
}

/** Exact, however large, but for doubles. */
function plus(type: SqlType, a: SqlValue, b: SqlValue): SqlValue {
  if (type.kind === 'DECIMAL') return add(a as Decimal, b as Decimal);
  if (typeof a === 'number' && typeof b === 'number') {
    const total = a + b;
    if (type.kind === 'DOUBLE' || Number.isSafeInteger(total)) return total;
  }
  const total = BigInt(a as number | bigint) + BigInt(b as number | bigint);
  return bigintValue(total) ?? total;
}

function holdsSum(type: SqlType, total: SqlValue): boolean {
  switch (type.kind) {
    case 'DOUBLE':
      return true;
    case 'DECIMAL':
      return type.precision === null || fits(total as Decimal, type.precision);
    case 'INTEGER':
      return Number(total) <= 2 ** 31 - 1 && Number(total) >= -(2 ** 31);
    default:
      return bigintValue(BigInt(total as number | bigint)) !== null;
  }
}

const ZERO = new Decimal(0n, 0);

/** To be added alone, so that it may be one more than its type holds. */
function minus(value: SqlValue): SqlValue {
  if (value instanceof Decimal) return subtract(ZERO, value);
  return typeof value === 'bigint' ? -value : -(value as number);
}

function average(argument: Evaluate): Aggregate {
  return {
    type: DOUBLE,
    valueType: DOUBLE,
    itemType: INTEGER,
    argument,
    add: (state, value) => {
      if (value === null) return;
      state.count++;
      state.value = Number(state.value ?? 0) + (value as number);
    },
    undo: {
      remove: (state, value) => {
        if (value === null) return;
        state.count--;
        // What rounding has left must not outlive the values.
        state.value = state.count === 0 ? 0 : Number(state.value ?? 0) - (value as number);
      },
      same: (a, b) => equalValues(DOUBLE, a, b),
    },
    merge: (state, later) => {
      state.count += later.count;
      state.value = Number(state.value ?? 0) + Number(later.value ?? 0);
    },
    result: (state) => (state.count === 0 ? null : Number(state.value) / state.count),
  };
}

function extreme(type: SqlType, argument: Evaluate, direction: 1 | -1): Aggregate {
  const add = (state: AggregateState, value: SqlValue): void => {
    if (value === null) return;
    if (state.value === null || compareValues(type, value, state.value) * direction > 0) state.value = value;
  };
  return {
    type,
    valueType: type,
    itemType: type,
    argument,
    add,
    undo: null,
    merge: (state, { value }) => add(state, value),
    result: (state) => state.value,
  };
}

/** The last values, or the first ones, by arrival. */
function byArrival(call: Call, type: SqlType, argument: Evaluate): Aggregate {
  const { name, args } = call;
  const last = args.at(-1)?.literal;
  const ignoreNulls = args.length > 1 && typeof last === 'boolean' ? last : true;
  const counted = typeof last === 'boolean' ? args.length === 3 : args.length > 1;
  if (args.length === 3 && typeof last !== 'boolean')
    throw callError(call, `argument 3 of ${name} is TRUE or FALSE: whether NULLs are left out`, 2);
  const most = counted ? howMany(call, 1) : 1;
  const latest = name === 'LATEST_BY_OFFSET';
  const insert = (state: AggregateState, value: SqlValue, ordinal: number): void => {
    const { items, ordinals } = state;
    if (!latest && items.length === most && ordinal > (ordinals.at(-1) ?? 0)) return;
    let at = items.length;
    while (at > 0 && (ordinals[at - 1] ?? 0) > ordinal) at--;
    items.splice(at, 0, value);
    ordinals.splice(at, 0, ordinal);
    if (items.length <= most) return;
    if (latest) {
      items.shift();
      ordinals.shift();
    } else {
      items.pop();
      ordinals.pop();
    }
  };
  return {
    type: counted ? { kind: 'ARRAY', element: type } : type,
    valueType: type,
    itemType: type,
    argument,
    add: (state, value, { ordinal }) => {
      if (value !== null || !ignoreNulls) insert(state, value, ordinal);
    },
    undo: null,
    merge: (state, { items, ordinals }) => {
      for (const [i, item] of items.entries()) insert(state, item, ordinals[i] ?? 0);
    },
    result: ({ items }) => (counted ? listOf(items) : (items[0] ?? null)),
  };
}

function collected(type: SqlType, argument: Evaluate, add: Aggregate['add']): Aggregate {
  return {
    type: { kind: 'ARRAY', element: type },
    valueType: type,
    itemType: type,
    argument,
    add,
    undo: null,
    merge: (state, { items }, arrival) => {
      for (const item of items) add(state, item, arrival);
    },
    result: ({ items }) => listOf(items),
  };
}

/** NULL as long as nothing has gone into it. */
function listOf(items: readonly SqlValue[]): SqlValue {
  return items.length === 0 ? null : [...items];
}

function push(state: AggregateState, value: SqlValue, { note }: Arrival): void {
  if (state.items.length < MAX_ITEMS) state.items.push(value);
  else note('aggregate-limit');
}

function list(type: SqlType, argument: Evaluate): Aggregate {
  return {
    ...collected(type, argument, push),
    undo: {
      remove: ({ items }, value) => {
        const at = items.findIndex((item) => equalValues(type, item, value));
        if (at >= 0) items.splice(at, 1);
      },
      same: (a, b) => equalValues(type, a, b),
    },
  };
}

function set(type: SqlType, argument: Evaluate): Aggregate {
  return collected(type, argument, (state, value, arrival) => {
    if (value === null) return;
    state.seen ??= new Set(state.items.map((item) => keyOf(type, item)));
    const key = keyOf(type, value);
    if (state.seen.has(key)) return;
    if (state.items.length < MAX_ITEMS) state.seen.add(key);
    push(state, value, arrival);
  });
}

interface Top {
  readonly count: number;
  readonly distinct: boolean;
  /** What an item is ordered by, and its type; null: the item itself. */
  readonly by: { readonly type: SqlType; readonly of: (item: SqlValue) => SqlValue } | null;
}

/** Largest first; of equal ones the earlier first. */
function top(type: SqlType, argument: Evaluate, { count, distinct, by }: Top): Aggregate {
  const orderOf = by === null ? (item: SqlValue) => item : by.of;
  const orderType = by === null ? type : by.type;
  return collected(type, argument, ({ items }, value) => {
    const order = orderOf(value);
    if (order === null) return;
    const compare = (item: SqlValue): number => compareValues(orderType, order, orderOf(item));
    let at = items.length;
    while (at > 0 && compare(items[at - 1] ?? null) > 0) at--;
    if (at >= count || (distinct && items.some((item) => compare(item) === 0))) return;
    items.splice(at, 0, value);
    if (items.length > count) items.pop();
  });
}

/** Rows as ksqlDB names their fields: `STRUCT<SORT_COL …, COL0 …, COL1 …>`. */
function topWithOthers(call: Call, type: SqlType): Aggregate {
  const { args, name } = call;
  const values = args.slice(0, -1);
  const fields = values.map((value, i) => {
    if (value.type === null) throw callError(call, `${name} needs values with a type`, i);
    return { name: i === 0 ? 'SORT_COL' : `COL${i - 1}`, type: value.type };
  });
  const runs = values.map(({ run }) => run);
  const of = (item: SqlValue): SqlValue =>
    item === null ? null : ((item as readonly SqlValue[])[0] ?? null);
  return top({ kind: 'STRUCT', fields }, (frame) => evaluateAll(runs, frame), {
    count: howMany(call, args.length - 1),
    distinct: false,
    by: { type, of },
  });
}
