import { MAX_ZONED_MS, MS_PER_DAY, type Zone, zoneOf } from '../civil-time.ts';
import { BIGINT, DATE, INTEGER, STRING, TIMESTAMP } from '../sql-type.ts';
import { compilePattern, type TimePattern } from '../time-pattern.ts';
import {
  type Call,
  callError,
  type FunctionDefinition,
  scalarFunction,
  type Signature,
  signature,
} from './definition.ts';

const UTC_NAME = 'UTC';

export const TIME_FUNCTIONS: readonly FunctionDefinition[] = [
  {
    name: 'UNIX_TIMESTAMP',
    usage: 'UNIX_TIMESTAMP(timestamp)',
    bind: (call) =>
      withoutClock(
        call,
        signature(['TIMESTAMP'], BIGINT, (ms) => ms),
      ),
  },
  {
    name: 'UNIX_DATE',
    usage: 'UNIX_DATE(date)',
    bind: (call) =>
      withoutClock(
        call,
        signature(['DATE'], INTEGER, (days) => days),
      ),
  },
  scalarFunction('FROM_UNIXTIME', 'FROM_UNIXTIME(milliseconds)', [
    signature(['BIGINT'], TIMESTAMP, instant, 'time'),
  ]),
  scalarFunction(
    'STRINGTOTIMESTAMP',
    'STRINGTOTIMESTAMP(text, pattern [, zone])',
    checked(1, 2, [
      signature(
        ['STRING', 'STRING'],
        BIGINT,
        (text, pattern) => parseInstant(text, pattern, UTC_NAME),
        'time',
      ),
      signature(['STRING', 'STRING', 'STRING'], BIGINT, parseInstant, 'time'),
    ]),
  ),
  scalarFunction(
    'PARSE_TIMESTAMP',
    'PARSE_TIMESTAMP(text, pattern [, zone])',
    checked(1, 2, [
      signature(
        ['STRING', 'STRING'],
        TIMESTAMP,
        (text, pattern) => parseInstant(text, pattern, UTC_NAME),
        'time',
      ),
      signature(['STRING', 'STRING', 'STRING'], TIMESTAMP, parseInstant, 'time'),
    ]),
  ),
  scalarFunction(
    'TIMESTAMPTOSTRING',
    'TIMESTAMPTOSTRING(milliseconds, pattern [, zone])',
    checked(1, 2, [
      signature(['BIGINT', 'STRING'], STRING, (ms, pattern) => formatInstant(ms, pattern, UTC_NAME), 'time'),
      signature(['BIGINT', 'STRING', 'STRING'], STRING, formatInstant, 'time'),
    ]),
  ),
  scalarFunction(
    'FORMAT_TIMESTAMP',
    'FORMAT_TIMESTAMP(timestamp, pattern [, zone])',
    checked(1, 2, [
      signature(
        ['TIMESTAMP', 'STRING'],
        STRING,
        (ms, pattern) => formatInstant(ms, pattern, UTC_NAME),
        'time',
      ),
      signature(['TIMESTAMP', 'STRING', 'STRING'], STRING, formatInstant, 'time'),
    ]),
  ),
  scalarFunction(
    'STRINGTODATE',
    'STRINGTODATE(text, pattern)',
    checked(1, null, [signature(['STRING', 'STRING'], INTEGER, parseDays, 'time')]),
  ),
  scalarFunction(
    'PARSE_DATE',
    'PARSE_DATE(text, pattern)',
    checked(1, null, [signature(['STRING', 'STRING'], DATE, parseDays, 'time')]),
  ),
  scalarFunction(
    'DATETOSTRING',
    'DATETOSTRING(days, pattern)',
    checked(1, null, [signature(['INTEGER', 'STRING'], STRING, formatDays, 'time')]),
  ),
  scalarFunction(
    'FORMAT_DATE',
    'FORMAT_DATE(date, pattern)',
    checked(1, null, [signature(['DATE', 'STRING'], STRING, formatDays, 'time')]),
  ),
  scalarFunction('CONVERT_TZ', 'CONVERT_TZ(timestamp, from, to)', [
    signature(
      ['TIMESTAMP', 'STRING', 'STRING'],
      TIMESTAMP,
      (ms, from, to) => {
        const [source, target] = [zoneOf(from), zoneOf(to)];
        if (source === null || target === null || instant(ms) === undefined) return undefined;
        const utc = ms - source.local(ms);
        return utc + target.at(utc);
      },
      'time',
    ),
  ]),
];

/** The clock would give another result at each replay of the same log. */
function withoutClock(call: Call, one: Signature): ReturnType<Signature['bind']> {
  if (call.args.length === 1) return one.bind(call);
  throw callError(
    call,
    `${call.name} takes one argument; without one it would ask the clock, and the same log would not give the same result: write ROWTIME`,
  );
}

/** Patterns and zones that stand in the statement are checked with it. */
function checked(
  pattern: number,
  zone: number | null,
  signatures: readonly Signature[],
): readonly Signature[] {
  return signatures.map((each) => ({
    count: each.count,
    bind: (call: Call) => {
      const written = call.args[pattern]?.literal;
      if (typeof written === 'string' && patternOf(written) === null)
        throw callError(call, 'this is no pattern of java.time; literal text stands in quotes', pattern);
      const name = zone === null ? null : call.args[zone]?.literal;
      if (typeof name === 'string' && zoneOf(name) === null && zone !== null)
        throw callError(call, 'there is no such time zone; write UTC, +02:00 or Europe/Berlin', zone);
      return each.bind(call);
    },
  }));
}

const patterns = new Map<string, TimePattern | null>();
/** Patterns that come from data must not fill memory. */
const KEPT_PATTERNS = 200;

function patternOf(pattern: string): TimePattern | null {
  let compiled = patterns.get(pattern);
  if (compiled === undefined) {
    compiled = compilePattern(pattern);
    if (patterns.size < KEPT_PATTERNS) patterns.set(pattern, compiled);
  }
  return compiled;
}

function instant(ms: number | bigint): number | undefined {
  return ms >= -MAX_ZONED_MS && ms <= MAX_ZONED_MS ? Number(ms) : undefined;
}

function parseInstant(text: string, pattern: string, zoneName: string): number | undefined {
  const compiled = patternOf(pattern);
  const given: Zone | null = zoneOf(zoneName);
  if (compiled === null || given === null) return undefined;
  const parsed = compiled.parse(text);
  if (parsed === null) return undefined;
  const local = (parsed.days ?? 0) * MS_PER_DAY + parsed.time;
  if (Math.abs(local) > MAX_ZONED_MS) return undefined;
  return local - (parsed.zone ?? given).local(local);
}

function formatInstant(ms: number | bigint, pattern: string, zoneName: string): string | undefined {
  const compiled = patternOf(pattern);
  const zone = zoneOf(zoneName);
  const time = instant(ms);
  return compiled === null || zone === null || time === undefined
    ? undefined
    : compiled.format(time, zone, zoneName);
}

function parseDays(text: string, pattern: string): number | undefined {
  return patternOf(pattern)?.parse(text)?.days ?? undefined;
}

function formatDays(days: number, pattern: string): string | undefined {
  return formatInstant(days * MS_PER_DAY, pattern, UTC_NAME);
}
