import { valueText } from '../cast.ts';
import { coerce } from '../coerce.ts';
import type { Typed } from '../frame.ts';
import { BOOLEAN, INTEGER, type SqlType, STRING } from '../sql-type.ts';
import { equalValues, type SqlValue } from '../value.ts';
import { argument, type Call, type FunctionDefinition, wrongArgument, wrongCount } from './definition.ts';

/** Static types make the casts in here sound. */
export const COLLECTION_FUNCTIONS: readonly FunctionDefinition[] = [
  collection('ARRAY_LENGTH', 'ARRAY_LENGTH(array)', 1, (call) => {
    const { run } = arrayArgument(call);
    return unary(call, INTEGER, run, (array) => (array as readonly SqlValue[]).length);
  }),
  collection('ARRAY_CONTAINS', 'ARRAY_CONTAINS(array, value)', 2, (call) => {
    const { element, run } = arrayArgument(call);
    const sought = argument(call, 1, element).run;
    return {
      type: BOOLEAN,
      at: call.at,
      run: (frame) => {
        const array = run(frame);
        if (array === null) return null;
        const value = sought(frame);
        return (array as readonly SqlValue[]).some((item) => equalValues(element, item, value));
      },
    };
  }),
  {
    name: 'ARRAY_JOIN',
    usage: 'ARRAY_JOIN(array [, separator])',
    bind: (call) => {
      if (call.args.length < 1 || call.args.length > 2)
        throw wrongCount(call, 'ARRAY_JOIN(array [, separator])');
      const { element, run } = arrayArgument(call);
      const separator = call.args.length === 2 ? argument(call, 1, STRING).run : () => ',';
      return {
        type: STRING,
        at: call.at,
        run: (frame) => {
          const array = run(frame);
          const between = separator(frame);
          if (array === null) return null;
          return (array as readonly SqlValue[])
            .map((item) => (item === null ? 'null' : valueText(element, item)))
            .join((between ?? '') as string);
        },
      };
    },
  },
  collection('MAP_KEYS', 'MAP_KEYS(map)', 1, (call) => {
    const { type, run } = mapArgument(call);
    return unary(call, { kind: 'ARRAY', element: type.key }, run, (map) => [
      ...(map as ReadonlyMap<SqlValue, SqlValue>).keys(),
    ]);
  }),
  collection('MAP_VALUES', 'MAP_VALUES(map)', 1, (call) => {
    const { type, run } = mapArgument(call);
    return unary(call, { kind: 'ARRAY', element: type.value }, run, (map) => [
      ...(map as ReadonlyMap<SqlValue, SqlValue>).values(),
    ]);
  }),
];

function collection(
  name: string,
  usage: string,
  count: number,
  bind: (call: Call) => Typed,
): FunctionDefinition {
  return {
    name,
    usage,
    bind: (call) => {
      if (call.args.length !== count) throw wrongCount(call, usage);
      return bind(call);
    },
  };
}

function unary(call: Call, type: SqlType, run: Typed['run'], compute: (value: SqlValue) => SqlValue): Typed {
  return {
    type,
    at: call.at,
    run: (frame) => {
      const value = run(frame);
      return value === null ? null : compute(value);
    },
  };
}

function arrayArgument(call: Call): { readonly element: SqlType; readonly run: Typed['run'] } {
  const value = call.args[0];
  if (value?.type?.kind !== 'ARRAY') throw wrongArgument(call, 0, 'an ARRAY');
  const { type } = value;
  return { element: type.element, run: coerce(call.scope, value, type, 'the array').run };
}

function mapArgument(call: Call): Typed & { readonly type: SqlType & { readonly kind: 'MAP' } } {
  const value = call.args[0];
  if (value?.type?.kind !== 'MAP') throw wrongArgument(call, 0, 'a MAP');
  return { ...value, type: value.type };
}
