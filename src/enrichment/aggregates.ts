/** The aggregate functions. Static types make the casts in here sound. */
import { argument, type Call, callError } from './sql/functions/definition.ts';
import { add, type Decimal } from './sql/decimal.ts';
import type { Evaluate, Problem, Typed } from './sql/frame.ts';
import { isOrdered } from './sql/logic.ts';
import { BIGINT, DOUBLE, INTEGER, isNumeric, type SqlType } from './sql/sql-type.ts';
import { bigintValue, compareValues, keyOf, type KeyValue, type SqlValue } from './sql/value.ts';

/** What one aggregate of one group remembers. */
export interface AggregateState {
  count: number;
  value: SqlValue;
  readonly items: SqlValue[];
  /** Keys of `items`, where they are a set; made when first needed. */
  seen: Set<KeyValue> | null;
}

export interface Aggregate {
  /** Of the result. */
  readonly type: SqlType;
  /** Of `value` and of the `items` of its states. */
  readonly valueType: SqlType;
  readonly itemType: SqlType;
  /** Null for COUNT(*). */
  readonly argument: Evaluate | null;
  add(state: AggregateState, value: SqlValue, note: (problem: Problem) => void): void;
  result(state: AggregateState): SqlValue;
}

export function newState(): AggregateState {
  return { count: 0, value: null, items: [], seen: null };
}

/** Collections of one group end here: their state is part of the checkpoint. */
const MAX_ITEMS = 10_000;

export const AGGREGATE_NAMES: ReadonlySet<string> = new Set([
  'COUNT',
  'COUNT_DISTINCT',
  'SUM',
  'AVG',
  'MIN',
  'MAX',
  'TOPK',
  'TOPKDISTINCT',
  'COLLECT_LIST',
  'COLLECT_SET',
  'LATEST_BY_OFFSET',
  'EARLIEST_BY_OFFSET',
]);

/** `star`: `COUNT(*)`. Throws for arguments that do not fit. */
export function bindAggregate(call: Call, star: boolean): Aggregate {
  const { name, args } = call;
  if (name === 'COUNT' && (star || args.length === 0)) return count(null);
  if (star) throw callError(call, `${name} cannot take *`);
  const [first, second] = args;
  const takesCount = name === 'TOPK' || name === 'TOPKDISTINCT';
  if (first === undefined || args.length !== (takesCount ? 2 : 1))
    throw callError(
      call,
      `${name} takes ${takesCount ? 'a value and how many of them' : 'one argument'} in this version`,
    );
  const { type } = first;
  if (type === null) throw callError(call, `${name} needs a value with a type`, 0);
  switch (name) {
    case 'COUNT':
      return count(first.run);
    case 'SUM':
      return sum(call, first, type);
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
      return {
        ...collected(type, first.run),
        add: (state, value, note) => push(state, value, note),
      };
    case 'TOPK':
    case 'TOPKDISTINCT':
      return top(ordered(call, type), first.run, {
        count: howMany(call, second),
        distinct: name === 'TOPKDISTINCT',
      });
    case 'LATEST_BY_OFFSET':
      return single(type, first.run, (state, value) => {
        if (value !== null) state.value = value;
      });
    default:
      return single(type, first.run, (state, value) => {
        if (state.value === null) state.value = value;
      });
  }
}

function ordered(call: Call, type: SqlType): SqlType {
  if (isOrdered(type)) return type;
  throw callError(call, `${call.name} needs values with an order`, 0);
}

function howMany(call: Call, value: Typed | undefined): number {
  const n = value?.literal;
  if (typeof n === 'number' && Number.isInteger(n) && n >= 1 && n <= MAX_ITEMS) return n;
  throw callError(call, `the second argument of ${call.name} is a number from 1 to ${MAX_ITEMS}`, 1);
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
    result: (state) => state.count,
  };
}

/** Of the argument's own type; what does not fit it is left out with a note. */
function sum(call: Call, { run }: Typed, type: SqlType): Aggregate {
  if (!isNumeric(type)) throw callError(call, 'SUM needs a number', 0);
  return single(type, run, (state, value, note) => {
    if (value === null) return;
    const total = state.value === null ? value : plus(type, state.value, value);
    if (total === null) note('overflow');
    else state.value = total;
  });
}

function plus(type: SqlType, a: SqlValue, b: SqlValue): SqlValue {
  switch (type.kind) {
    case 'DOUBLE':
      return (a as number) + (b as number);
    case 'DECIMAL': {
      const total = add(a as Decimal, b as Decimal);
      // The number of digits of a sum grows with the rows, whatever one row's type says.
      return total;
    }
    case 'INTEGER': {
      const total = (a as number) + (b as number);
      return total > 2 ** 31 - 1 || total < -(2 ** 31) ? null : total;
    }
    default:
      return bigintValue(BigInt(a as number | bigint) + BigInt(b as number | bigint));
  }
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
    result: (state) => (state.count === 0 ? null : Number(state.value) / state.count),
  };
}

function extreme(type: SqlType, argument: Evaluate, direction: 1 | -1): Aggregate {
  return single(type, argument, (state, value) => {
    if (value === null) return;
    if (state.value === null || compareValues(type, value, state.value) * direction > 0) state.value = value;
  });
}

function single(type: SqlType, argument: Evaluate, add: Aggregate['add']): Aggregate {
  return { type, valueType: type, itemType: type, argument, add, result: (state) => state.value };
}

function collected(type: SqlType, argument: Evaluate): Omit<Aggregate, 'add'> {
  return {
    type: { kind: 'ARRAY', element: type },
    valueType: type,
    itemType: type,
    argument,
    result: ({ items }) => [...items],
  };
}

function push(state: AggregateState, value: SqlValue, note: (problem: Problem) => void): void {
  if (state.items.length < MAX_ITEMS) state.items.push(value);
  else note('aggregate-limit');
}

function set(type: SqlType, argument: Evaluate): Aggregate {
  return {
    ...collected(type, argument),
    add: (state, value, note) => {
      if (value === null) return;
      state.seen ??= new Set(state.items.map((item) => keyOf(type, item)));
      const key = keyOf(type, value);
      if (state.seen.has(key)) return;
      if (state.items.length < MAX_ITEMS) state.seen.add(key);
      push(state, value, note);
    },
  };
}

/** Largest first. */
function top(
  type: SqlType,
  argument: Evaluate,
  { count, distinct }: { readonly count: number; readonly distinct: boolean },
): Aggregate {
  return {
    ...collected(type, argument),
    add: ({ items }, value) => {
      if (value === null) return;
      let at = items.length;
      while (at > 0 && compareValues(type, value, items[at - 1] ?? null) > 0) at--;
      if (at >= count || (distinct && items.some((item) => compareValues(type, item, value) === 0))) return;
      items.splice(at, 0, value);
      if (items.length > count) items.pop();
    },
  };
}
