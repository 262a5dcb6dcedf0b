import { nearest } from '../../../errors/nearest.ts';
import type { Expr } from '../ast.ts';
import type { Scope } from '../coerce.ts';
import type { Typed } from '../frame.ts';
import { notSupported, sqlError } from '../sql-error.ts';
import { AGGREGATE_NAMES } from './aggregates.ts';
import { COLLECTION_FUNCTIONS } from './collections.ts';
import type { FunctionDefinition } from './definition.ts';
import { GENERAL_FUNCTIONS } from './general.ts';
import { JSON_FUNCTIONS } from './json-path.ts';
import { NUMBER_FUNCTIONS } from './numbers.ts';
import { STRING_FUNCTIONS } from './strings.ts';
import { TIME_FUNCTIONS } from './times.ts';

export const FUNCTIONS: ReadonlyMap<string, FunctionDefinition> = new Map(
  [
    ...GENERAL_FUNCTIONS,
    ...STRING_FUNCTIONS,
    ...NUMBER_FUNCTIONS,
    ...TIME_FUNCTIONS,
    ...COLLECTION_FUNCTIONS,
    ...JSON_FUNCTIONS,
  ].map((definition) => [definition.name, definition]),
);

/** Functions that ksqlDB has and this version has not: they are no misspelt names. */
const LATER: ReadonlySet<string> = new Set(
  (
    'HISTOGRAM CORRELATION STDDEV_SAMP TRUNC EXP LN LOG POWER CBRT PI SIN COS TAN ASIN ACOS ATAN ' +
    'ATAN2 RANDOM UUID CHR ELT FIELD ENCODE MD5 REGEXP_EXTRACT_ALL REGEXP_SPLIT_TO_ARRAY SPLIT_TO_MAP SLICE ' +
    'ENTRIES AS_MAP MAP_UNION GENERATE_SERIES ARRAY_CONCAT ARRAY_DISTINCT ARRAY_EXCEPT ARRAY_INTERSECT ARRAY_MAX ' +
    'ARRAY_MIN ARRAY_REMOVE ARRAY_SORT ARRAY_UNION TRANSFORM FILTER REDUCE IS_JSON_STRING JSON_ARRAY_CONTAINS ' +
    'JSON_ARRAY_LENGTH JSON_CONCAT JSON_ITEMS JSON_KEYS JSON_RECORDS TO_JSON_STRING DATEADD DATESUB TIMEADD TIMESUB ' +
    'TIMESTAMPADD TIMESTAMPSUB FORMAT_TIME PARSE_TIME FROM_DAYS TO_BYTES FROM_BYTES MASK GEO_DISTANCE URL_EXTRACT_HOST'
  ).split(' '),
);

type CallExpr = Expr & { readonly kind: 'call' };

/** `compile` is the expression compiler, which needs this function itself. */
export function bindFunction(
  call: CallExpr,
  scope: Scope,
  compile: (expr: Expr, scope: Scope) => Typed,
): Typed {
  const { name, at } = call;
  const definition = FUNCTIONS.get(name);
  if (definition === undefined || call.star) {
    if (LATER.has(name)) throw notSupported(scope.source, at, `${name} is not in this version`);
    const meant = nearest(name, [...FUNCTIONS.keys(), ...AGGREGATE_NAMES, 'EXPLODE']);
    throw sqlError(
      scope.source,
      at,
      definition === undefined
        ? `there is no function ${name}${meant === null ? '' : `; did you mean ${meant}?`}`
        : `${name} cannot take *; write ${definition.usage}`,
    );
  }
  return definition.bind({ name, args: call.args.map((arg) => compile(arg, scope)), scope, at });
}
