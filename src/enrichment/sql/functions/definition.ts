import { coerce, describeType, type Scope } from '../coerce.ts';
import type { Frame, Problem, Typed } from '../frame.ts';
import { sqlError } from '../sql-error.ts';
import {
  BIGINT,
  BOOLEAN,
  DATE,
  DOUBLE,
  INTEGER,
  type ScalarKind,
  type SqlType,
  STRING,
  TIME,
  TIMESTAMP,
} from '../sql-type.ts';
import type { SqlValue } from '../value.ts';

export interface FunctionDefinition {
  readonly name: string;
  /** How it is called, for errors. */
  readonly usage: string;
  bind(call: Call): Typed;
}

/** A call whose arguments have been compiled. */
export interface Call {
  readonly name: string;
  readonly args: readonly Typed[];
  readonly scope: Scope;
  readonly at: number;
}

/** Points to the call, or to one of its arguments. */
export function callError(call: Call, sentence: string, argument?: number): Error {
  const at = argument === undefined ? call.at : (call.args[argument]?.at ?? call.at);
  return sqlError(call.scope.source, at, sentence);
}

/** The argument as one of that type. */
export function argument(call: Call, index: number, type: SqlType): Typed {
  const value = call.args[index];
  if (value === undefined) throw callError(call, `${call.name} lacks an argument`);
  return coerce(call.scope, value, type, `argument ${index + 1} of ${call.name}`);
}

export function wrongArgument(call: Call, index: number, needed: string): Error {
  const type = describeType(call.args[index]?.type ?? null);
  return callError(call, `argument ${index + 1} of ${call.name} has to be ${needed}, not ${type}`, index);
}

const TYPES = { BOOLEAN, INTEGER, BIGINT, DOUBLE, STRING, DATE, TIME, TIMESTAMP } as const;
type Kind = keyof typeof TYPES & ScalarKind;

type JsOf<K extends Kind> = K extends 'STRING'
  ? string
  : K extends 'BOOLEAN'
    ? boolean
    : K extends 'BIGINT'
      ? number | bigint
      : number;
type JsOfAll<T extends readonly Kind[]> = { -readonly [I in keyof T]: JsOf<T[I]> };

export interface Signature {
  readonly count: number;
  bind(call: Call): Typed;
}

/** A signature of scalars: NULL for any NULL; undefined of `compute` is NULL with a note. */
export function signature<const T extends readonly Kind[]>(
  parameters: T,
  returns: SqlType,
  compute: (...args: JsOfAll<T>) => SqlValue | undefined,
  problem: Problem = 'index',
): Signature {
  return {
    count: parameters.length,
    bind: (call) => {
      const runs = parameters.map((kind, i) => argument(call, i, TYPES[kind]).run);
      // The arguments are of the declared types, which is what JsOfAll says.
      const untyped = compute as (...args: readonly SqlValue[]) => SqlValue | undefined;
      const [first, second] = runs;
      const done = (result: SqlValue | undefined, frame: Frame): SqlValue => {
        if (result !== undefined) return result;
        frame.note(problem);
        return null;
      };
      if (runs.length === 1 && first !== undefined) {
        return {
          type: returns,
          at: call.at,
          run: (frame) => {
            const a = first(frame);
            return a === null ? null : done(untyped(a), frame);
          },
        };
      }
      if (runs.length === 2 && first !== undefined && second !== undefined) {
        return {
          type: returns,
          at: call.at,
          run: (frame) => {
            const a = first(frame);
            const b = second(frame);
            return a === null || b === null ? null : done(untyped(a, b), frame);
          },
        };
      }
      return {
        type: returns,
        at: call.at,
        run: (frame) => {
          const values: SqlValue[] = [];
          for (const run of runs) {
            const value = run(frame);
            if (value === null) return null;
            values.push(value);
          }
          return done(untyped(...values), frame);
        },
      };
    },
  };
}

/** A function whose signatures differ in their number of arguments. */
export function scalarFunction(
  name: string,
  usage: string,
  signatures: readonly Signature[],
): FunctionDefinition {
  return {
    name,
    usage,
    bind: (call) => {
      const found = signatures.find(({ count }) => count === call.args.length);
      if (found === undefined) throw wrongCount(call, usage);
      return found.bind(call);
    },
  };
}

export function wrongCount(call: Call, usage: string): Error {
  return callError(
    call,
    `${call.name} cannot take ${call.args.length} argument${call.args.length === 1 ? '' : 's'}; write ${usage}`,
  );
}
