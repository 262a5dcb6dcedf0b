import { unify } from '../coerce.ts';
import { type Evaluate, nothing, type Typed } from '../frame.ts';
import { isOrdered } from '../logic.ts';
import type { SqlType } from '../sql-type.ts';
import { compareValues, equalValues, type SqlValue } from '../value.ts';
import { type Call, callError, type FunctionDefinition, wrongCount } from './definition.ts';

export const GENERAL_FUNCTIONS: readonly FunctionDefinition[] = [
  general('COALESCE', 'COALESCE(value, value, …)', { min: 1, max: Infinity }, firstNotNull),
  general('IFNULL', 'IFNULL(value, otherwise)', { min: 2, max: 2 }, firstNotNull),
  general('NULLIF', 'NULLIF(value, value)', { min: 2, max: 2 }, (type, runs) => {
    const [left = nothing, right = nothing] = runs;
    return (frame) => {
      const a = left(frame);
      const b = right(frame);
      return a !== null && b !== null && equalValues(type, a, b) ? null : a;
    };
  }),
  general('GREATEST', 'GREATEST(value, value, …)', { min: 1, max: Infinity }, (type, runs) =>
    extreme(type, runs, 1),
  ),
  general('LEAST', 'LEAST(value, value, …)', { min: 1, max: Infinity }, (type, runs) =>
    extreme(type, runs, -1),
  ),
  {
    name: 'AS_VALUE',
    usage: 'AS_VALUE(key column)',
    bind: (call) => {
      const [value] = call.args;
      if (value === undefined || call.args.length !== 1) throw wrongCount(call, 'AS_VALUE(key column)');
      return { type: value.type, run: value.run, at: call.at };
    },
  },
];

function general(
  name: string,
  usage: string,
  count: { readonly min: number; readonly max: number },
  make: (type: SqlType, runs: readonly Evaluate[]) => Evaluate,
): FunctionDefinition {
  return {
    name,
    usage,
    bind: (call) => {
      if (call.args.length < count.min || call.args.length > count.max) throw wrongCount(call, usage);
      return bindCommon(call, make);
    },
  };
}

function bindCommon(call: Call, make: (type: SqlType, runs: readonly Evaluate[]) => Evaluate): Typed {
  const values = unify(call.scope, call.args, `the arguments of ${call.name}`);
  const type = values.find((value) => value.type !== null)?.type ?? null;
  if (type === null) return { type: null, run: nothing, at: call.at };
  if ((call.name === 'GREATEST' || call.name === 'LEAST') && !isOrdered(type))
    throw callError(call, `${call.name} needs values with an order`);
  return {
    type,
    at: call.at,
    run: make(
      type,
      values.map(({ run }) => run),
    ),
  };
}

function firstNotNull(_: SqlType, runs: readonly Evaluate[]): Evaluate {
  return (frame) => {
    for (const run of runs) {
      const value = run(frame);
      if (value !== null) return value;
    }
    return null;
  };
}

/** NULLs are left out. */
function extreme(type: SqlType, runs: readonly Evaluate[], direction: 1 | -1): Evaluate {
  return (frame) => {
    let best: SqlValue = null;
    for (const run of runs) {
      const value = run(frame);
      if (value !== null && (best === null || compareValues(type, value, best) * direction > 0)) best = value;
    }
    return best;
  };
}
