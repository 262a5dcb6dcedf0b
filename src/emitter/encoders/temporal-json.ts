/** Dates and times → JSON text: Debezium's numbers, or ISO 8601 in `safe`. */
import type { ColumnType, ZeroDates } from '../../model/table.ts';
import type { Value } from '../../model/value.ts';
import { integerWriter } from '../../schema/integer-text.ts';
import {
  type Interval,
  isoDate,
  isoDuration,
  isoInterval,
  isoTime,
  isoTimestamp,
  isoTimestampNanos,
  timetzToUtc,
} from './iso-time.ts';
import type { TypeContext, WriteValue } from './write-value.ts';

type TemporalType = Extract<
  ColumnType,
  { kind: 'date' | 'time' | 'timetz' | 'duration' | 'timestamp' | 'timestamptz' | 'interval' }
>;

type TimestampType = Extract<ColumnType, { kind: 'timestamp' | 'timestamptz' }>;

/** pgjdbc's stand-ins for infinite timestamps, in microseconds, which Debezium passes on. */
const TIMESTAMP_INFINITY = 9_223_372_036_825_200_000n;
const TIMESTAMP_MINUS_INFINITY = -9_223_372_036_832_400_000n;

/** Values are numbers as model/value.ts has them; what a type cannot say goes to `context.special`. */
export function temporalWriter(type: TemporalType, context: TypeContext): WriteValue {
  return context.profile === 'safe' ? isoWriter(type, context) : debeziumWriter(type, context);
}

function debeziumWriter(type: TemporalType, context: TypeContext): WriteValue {
  const { other, special } = context;
  switch (type.kind) {
    case 'date': {
      const zero = zeroDateWriter(type.zero, context, '0');
      return (v) => {
        if (typeof v !== 'number') return zero(v);
        return Number.isFinite(v) ? String(v) : special(infinityText(v));
      };
    }
    case 'time':
      return type.precision !== null && type.precision <= 3
        ? (v) => (typeof v === 'number' ? String(Math.floor(v / 1000)) : other(v))
        : (v) => (typeof v === 'number' ? String(v) : other(v));
    case 'timetz':
      return (v) => (typeof v === 'string' ? `"${timetzToUtc(v)}"` : other(v));
    case 'duration':
      return (v) => (typeof v === 'number' ? String(v) : other(v));
    case 'timestamp':
      return timestampWriter(type, context);
    case 'timestamptz':
      return instantWriter(type, context);
    case 'interval':
      return (v) => {
        if (!Array.isArray(v)) return other(v);
        const interval = v as unknown as Interval;
        const [months, days, us] = interval;
        if (!Number.isFinite(months)) return special(infinityText(months));
        const duration = microDuration(months, days, us);
        return fitsInt64(duration) ? String(duration) : special(isoInterval(interval));
      };
  }
}

function timestampWriter({ precision, zero }: TimestampType, context: TypeContext): WriteValue {
  const { special } = context;
  const other = zeroDateWriter(zero, context, '0');
  if (precision !== null && precision > 6) {
    return (v) => {
      if (typeof v !== 'bigint') return other(v);
      return fitsInt64(v) ? String(v) : special(isoTimestampNanos(v, precision));
    };
  }
  const milliseconds = precision !== null && precision <= 3;
  const text = integerWriter();
  const unit = milliseconds ? 1000n : 1n;
  const infinity = String(TIMESTAMP_INFINITY / unit);
  const minusInfinity = String(TIMESTAMP_MINUS_INFINITY / unit);
  return (v) => {
    if (typeof v === 'number') {
      if (v === Infinity) return infinity;
      if (v === -Infinity) return minusInfinity;
      return text(milliseconds ? Math.floor(v / 1000) : v);
    }
    if (typeof v !== 'bigint') return other(v);
    const scaled = floorDiv(v, unit);
    // The last 30 years PostgreSQL knows are past 2^63 microseconds from 1970.
    return fitsInt64(scaled) ? String(scaled) : special(isoTimestamp(v, 6));
  };
}

/** As many digits of the second as the column declares. */
function instantWriter({ precision, zero }: TimestampType, context: TypeContext): WriteValue {
  const digits = precision ?? 6;
  const nanoseconds = digits > 6;
  const other = zeroDateWriter(zero, context, `"${isoTimestamp(0, Math.min(digits, 6))}"`);
  if (nanoseconds) return (v) => (typeof v === 'bigint' ? `"${isoTimestampNanos(v, digits)}"` : other(v));
  return (v) => (typeof v === 'number' || typeof v === 'bigint' ? instantJson(v, digits) : other(v));
}

function isoWriter(type: TemporalType, context: TypeContext): WriteValue {
  const { other } = context;
  switch (type.kind) {
    case 'date': {
      const zero = zeroDateWriter(type.zero, context, '"1970-01-01"');
      return (v) => {
        if (typeof v !== 'number') return zero(v);
        return Number.isFinite(v) ? `"${isoDate(v)}"` : `"${infinityText(v)}"`;
      };
    }
    case 'time':
      return (v) => (typeof v === 'number' ? `"${isoTime(v, type.precision ?? 6)}"` : other(v));
    case 'timetz':
      return (v) => (typeof v === 'string' ? `"${v.replace(/([+-]\d\d)$/, '$1:00')}"` : other(v));
    case 'duration':
      return (v) => (typeof v === 'number' ? `"${isoDuration(v, type.precision ?? 6)}"` : other(v));
    case 'timestamp':
    case 'timestamptz':
      return instantWriter(type, context);
    case 'interval':
      return (v) => {
        if (!Array.isArray(v)) return other(v);
        const interval = v as unknown as Interval;
        return Number.isFinite(interval[0]) ? `"${isoInterval(interval)}"` : `"${infinityText(interval[0])}"`;
      };
  }
}

/** What a date that no calendar has becomes, by the column's policy; everything else goes to `other`. */
function zeroDateWriter(policy: ZeroDates | undefined, context: TypeContext, epoch: string): WriteValue {
  const { other, special, optional, profile } = context;
  const write = zeroDate();
  return (v: Value) => (typeof v === 'string' ? write(v) : other(v));

  function zeroDate(): (text: string) => string {
    switch (policy) {
      case undefined:
        return other;
      case 'epoch':
        return () => epoch;
      case 'null':
        return optional ? () => 'null' : () => epoch;
      case 'string':
        return profile === 'safe' ? (text) => `"${text}"` : special;
    }
  }
}

function fitsInt64(n: bigint): boolean {
  return BigInt.asIntN(64, n) === n;
}

function infinityText(n: number): string {
  return n > 0 ? 'infinity' : '-infinity';
}

function instantJson(us: number | bigint, digits: number): string {
  if (us === Infinity) return '"infinity"';
  if (us === -Infinity) return '"-infinity"';
  return `"${isoTimestamp(us, digits)}"`;
}

function floorDiv(n: bigint, by: bigint): bigint {
  const quotient = n / by;
  return n < 0n && quotient * by !== n ? quotient - 1n : quotient;
}

/** A month is a twelfth of 365.25 days, as Debezium counts. */
const US_PER_MONTH = 2_629_800_000_000n;

function microDuration(months: number, days: number, us: number | bigint): bigint {
  return BigInt(months) * US_PER_MONTH + BigInt(days) * 86_400_000_000n + BigInt(us);
}
