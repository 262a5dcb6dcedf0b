/** The functions of statements in Flink's SQL. */
import type { Expr } from '../sql/ast.ts';
import type { SqlType } from '../sql/sql-type.ts';
import { floorDivided, millisOf, NoEqual } from './flink-text.ts';

export interface FlinkCall {
  readonly name: string;
  /** As Flink writes them. */
  readonly args: readonly string[];
  readonly exprs: readonly Expr[];
  readonly types: readonly (SqlType | null)[];
  /** Says where the result differs. */
  readonly differs: (sentence: string) => void;
}

type Writer = (call: FlinkCall) => string;

const named =
  (name: string): Writer =>
  ({ args }) =>
    `${name}(${args.join(', ')})`;

const arg = ({ args, name }: FlinkCall, index: number): string => {
  const found = args[index];
  if (found === undefined) throw new NoEqual(`${name} without its argument ${index + 1}`);
  return found;
};

/** Only with so many arguments as Flink's function takes. */
const exactly =
  (count: number, write: Writer): Writer =>
  (call) => {
    if (call.args.length === count) return write(call);
    throw new NoEqual(`${call.name} with ${call.args.length} arguments has no equal`);
  };

/** NULLs are left out, where Flink's own function makes all of it NULL. */
const pairwise =
  (name: string): Writer =>
  ({ args }) =>
    args.reduce((a, b) => `${name}(COALESCE(${a}, ${b}), COALESCE(${b}, ${a}))`);

const timestamp = (ms: string): string => `TO_TIMESTAMP_LTZ(${ms}, 3)`;

const formatted: Writer = (call) => `DATE_FORMAT(${timestamp(arg(call, 0))}, ${arg(call, 1)})`;

const parsed: Writer = (call) => {
  const pattern = call.exprs[1];
  if (pattern?.kind !== 'string')
    throw new NoEqual(`${call.name} with a pattern that is no literal has no equal`);
  // Inside of quotes letters stand for themselves.
  if (/[VzOXxZ]/.test(pattern.value.replaceAll(/'[^']*'/g, '')))
    throw new NoEqual(`${call.name} with a zone in its pattern has no equal: TO_TIMESTAMP knows no zones`);
  return millisOf(`TO_TIMESTAMP(${arg(call, 0)}, ${arg(call, 1)})`);
};

const rounded: Writer = (call) => {
  if (call.args.length === 1) return `FLOOR(${arg(call, 0)} + 0.5)`;
  call.differs('ROUND resolves ties of negative numbers away from zero, not towards positive infinity');
  return `ROUND(${call.args.join(', ')})`;
};

const WRITERS: ReadonlyMap<string, Writer> = new Map<string, Writer>([
  ['COALESCE', named('COALESCE')],
  ['IFNULL', named('COALESCE')],
  ['NULLIF', named('NULLIF')],
  ['GREATEST', pairwise('GREATEST')],
  ['LEAST', pairwise('LEAST')],
  ['AS_VALUE', (call) => arg(call, 0)],
  ['CONCAT', ({ args }) => `CONCAT(${args.map((each) => `COALESCE(${each}, '')`).join(', ')})`],
  ['CONCAT_WS', named('CONCAT_WS')],
  ['INITCAP', named('INITCAP')],
  ['INSTR', exactly(2, named('INSTR'))],
  ['LCASE', named('LOWER')],
  ['UCASE', named('UPPER')],
  ['LEN', named('CHAR_LENGTH')],
  ['LPAD', named('LPAD')],
  ['RPAD', named('RPAD')],
  ['TRIM', named('TRIM')],
  ['REPLACE', named('REPLACE')],
  ['SPLIT', named('SPLIT')],
  ['SUBSTRING', named('SUBSTRING')],
  ['REGEXP_EXTRACT', (call) => `REGEXP_EXTRACT(${arg(call, 1)}, ${arg(call, 0)}, ${call.args[2] ?? '0'})`],
  ['REGEXP_REPLACE', named('REGEXP_REPLACE')],
  [
    'EXTRACTJSONFIELD',
    (call) => `COALESCE(JSON_VALUE(${call.args.join(', ')}), JSON_QUERY(${call.args.join(', ')}))`,
  ],
  ['ABS', named('ABS')],
  ['CEIL', named('CEIL')],
  ['FLOOR', named('FLOOR')],
  ['ROUND', rounded],
  ['SIGN', named('SIGN')],
  ['SQRT', named('SQRT')],
  ['UNIX_TIMESTAMP', exactly(1, (call) => arg(call, 0))],
  ['UNIX_DATE', exactly(1, (call) => arg(call, 0))],
  ['FROM_UNIXTIME', exactly(1, (call) => arg(call, 0))],
  ['STRINGTOTIMESTAMP', exactly(2, parsed)],
  ['PARSE_TIMESTAMP', exactly(2, parsed)],
  ['TIMESTAMPTOSTRING', exactly(2, formatted)],
  ['FORMAT_TIMESTAMP', exactly(2, formatted)],
  ['STRINGTODATE', exactly(2, (call) => floorDivided(parsed(call), 86_400_000))],
  ['PARSE_DATE', exactly(2, (call) => floorDivided(parsed(call), 86_400_000))],
  ['DATETOSTRING', exactly(2, (call) => formatted(daysAsMs(call)))],
  ['FORMAT_DATE', exactly(2, (call) => formatted(daysAsMs(call)))],
  ['ARRAY_LENGTH', named('CARDINALITY')],
  ['ARRAY_CONTAINS', named('ARRAY_CONTAINS')],
  ['ARRAY_JOIN', named('ARRAY_JOIN')],
  ['MAP_KEYS', named('MAP_KEYS')],
  ['MAP_VALUES', named('MAP_VALUES')],
]);

function daysAsMs(call: FlinkCall): FlinkCall {
  const [days, ...rest] = call.args;
  return { ...call, args: [`CAST(${days} AS BIGINT) * 86400000`, ...rest] };
}

/** Throws NoEqual. */
export function flinkFunction(call: FlinkCall): string {
  const writer = WRITERS.get(call.name);
  if (writer === undefined) throw new NoEqual(`the function ${call.name} has no equal`);
  return writer(call);
}

/** Throws NoEqual. */
export function flinkAggregate({ name, args, types }: FlinkCall, star: boolean): string {
  const [first] = args;
  if (name === 'COUNT' && (star || first === undefined)) return 'COUNT(*)';
  if (args.length !== 1)
    throw new NoEqual(`${name} with ${args.length} arguments has no equal among Flink's aggregates`);
  switch (name) {
    case 'COUNT':
    case 'SUM':
    case 'MIN':
    case 'MAX':
      return `${name}(${first})`;
    case 'AVG':
      return types[0]?.kind === 'DOUBLE' ? `AVG(${first})` : `AVG(CAST(${first} AS DOUBLE))`;
    case 'COUNT_DISTINCT':
      return `COUNT(DISTINCT ${first})`;
    case 'COLLECT_LIST':
      return `ARRAY_AGG(${first})`;
    case 'COLLECT_SET':
      return `ARRAY_AGG(DISTINCT ${first}) FILTER (WHERE ${first} IS NOT NULL)`;
    case 'LATEST_BY_OFFSET':
      return `LAST_VALUE(${first})`;
    case 'EARLIEST_BY_OFFSET':
      return `FIRST_VALUE(${first})`;
    default:
      throw new NoEqual(`${name} has no equal among Flink's aggregates`);
  }
}
