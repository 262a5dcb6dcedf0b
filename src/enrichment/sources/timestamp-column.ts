/** TIMESTAMP and TIMESTAMP_FORMAT: the column that is ROWTIME. */
import type { SqlColumn } from './captured-source.ts';
import type { Properties } from './properties.ts';
import { MS_PER_DAY } from '../sql/civil-time.ts';
import type { SqlType } from '../sql/sql-type.ts';
import { compilePattern } from '../sql/time-pattern.ts';
import type { SqlValue } from '../sql/value.ts';

export interface TimestampColumn {
  readonly index: number;
  /** Of java.time; null for a number of milliseconds. */
  readonly pattern: string | null;
  /** Milliseconds since the epoch; null where the value is no time. */
  readonly read: (value: SqlValue) => number | null;
}

export function timestampColumn(
  properties: Properties,
  columns: readonly SqlColumn[],
): TimestampColumn | null {
  const name = properties.text('TIMESTAMP');
  const pattern = properties.text('TIMESTAMP_FORMAT');
  if (name === null) {
    if (pattern !== null)
      throw properties.error(
        'TIMESTAMP_FORMAT',
        'TIMESTAMP_FORMAT needs TIMESTAMP, the column it is the pattern of',
      );
    return null;
  }
  const index = columns.findIndex((column) => column.name === name || column.name === name.toUpperCase());
  const type = columns[index]?.type;
  if (type === undefined) throw properties.error('TIMESTAMP', `there is no column ${name}`);
  return { index, pattern, read: timestampReader(properties, type, pattern) };
}

function timestampReader(
  properties: Properties,
  type: SqlType,
  pattern: string | null,
): TimestampColumn['read'] {
  if (type.kind === 'BIGINT' || type.kind === 'TIMESTAMP') {
    if (pattern !== null)
      throw properties.error('TIMESTAMP_FORMAT', `a ${type.kind} is milliseconds and has no pattern`);
    return (value) => (typeof value === 'number' ? value : null);
  }
  if (type.kind !== 'STRING')
    throw properties.error('TIMESTAMP', 'TIMESTAMP names a BIGINT, a TIMESTAMP or a VARCHAR column');
  if (pattern === null)
    throw properties.error(
      'TIMESTAMP',
      "a VARCHAR needs its pattern: TIMESTAMP_FORMAT = 'yyyy-MM-dd HH:mm:ss'",
    );
  const compiled = compilePattern(pattern);
  if (compiled === null)
    throw properties.error('TIMESTAMP_FORMAT', 'this is no pattern of java.time.format.DateTimeFormatter');
  return (value) => {
    const parsed = typeof value === 'string' ? compiled.parse(value) : null;
    if (parsed === null || parsed.days === null) return null;
    const local = parsed.days * MS_PER_DAY + parsed.time;
    return local - (parsed.zone?.local(local) ?? 0);
  };
}
