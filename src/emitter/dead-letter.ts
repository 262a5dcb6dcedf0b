/** Records for `<name>.dead-letter`: a change that could not be encoded, with its position and the cause. */
import type { HeadwaterError } from '../errors/headwater-error.ts';
import { ABSENT, type Row, UNCHANGED, type Value } from '../model/value.ts';
import type { KeyAndValue } from './side-records.ts';

export interface DeadLetter {
  readonly table: string;
  readonly topic: string;
  readonly op: string;
  /** JSON text of the source block: the position. */
  readonly source: string;
  readonly columns: readonly string[];
  readonly before: Row | null;
  readonly after: Row | null;
  readonly error: HeadwaterError;
  readonly timeMs: number;
}

/** Always bare JSON, whatever the format of the others: the schema may be what failed. */
export function deadLetters(name: string): (letter: DeadLetter) => KeyAndValue {
  return (letter) => ({
    key: JSON.stringify({ name, table: letter.table }),
    value: `{"table":${JSON.stringify(letter.table)},"topic":${JSON.stringify(letter.topic)},"op":${JSON.stringify(letter.op)},"source":${letter.source},"before":${image(letter.columns, letter.before)},"after":${image(letter.columns, letter.after)},"cause":${JSON.stringify({ code: letter.error.code, message: letter.error.message })},"ts_ms":${letter.timeMs}}`,
  });
}

function image(columns: readonly string[], row: Row | null): string {
  if (row === null) return 'null';
  return JSON.stringify(Object.fromEntries(columns.map((column, i) => [column, plain(row[i] ?? null)])));
}

/** Any value as JSON can hold it, whatever its column says. */
function plain(value: Value): unknown {
  if (value === UNCHANGED || value === ABSENT) return value.description;
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return (value as readonly Value[]).map(plain);
  return value;
}
