/** SQL values as JSON text: what records hold. Static types make the casts in here sound. */
import type { Utf8Writer } from '../../emitter/encoders/utf8-writer.ts';
import { doubleText, valueText } from '../sql/cast.ts';
import type { Decimal } from '../sql/decimal.ts';
import type { SqlType } from '../sql/sql-type.ts';
import type { SqlValue } from '../sql/value.ts';

export type JsonWriter = (value: SqlValue) => string;

/** How dates and times look: as numbers of records, or as text (ISO 8601) where people read them. */
export type Times = 'numbers' | 'text';

/** How names inside of a value are spelt. */
export type Spelling = (name: string) => string;

/**
 * As ksqlDB writes them: whole numbers and DECIMAL with all their digits, DATE as days, TIME and TIMESTAMP as
 * milliseconds, BYTES in base64.
 */
export function jsonWriter(type: SqlType, spelling: Spelling, times: Times = 'numbers'): JsonWriter {
  const write = presentWriter(type, spelling, times);
  return (value) => (value === null ? 'null' : write(value));
}

/** Of a value that is not null: what `jsonWriter` would make of it. */
export function jsonBytes(type: SqlType, spelling: Spelling): (value: SqlValue, out: Utf8Writer) => void {
  switch (type.kind) {
    case 'STRING':
      return (value, out) => out.quoted(value as string);
    case 'INTEGER':
    case 'BIGINT':
    case 'DATE':
    case 'TIME':
    case 'TIMESTAMP':
      return (value, out) => {
        if (Number.isSafeInteger(value)) out.integer(value as number);
        else out.text(primitive(value));
      };
    default: {
      const write = presentWriter(type, spelling, 'numbers');
      return (value, out) => out.text(write(value));
    }
  }
}

function presentWriter(type: SqlType, spelling: Spelling, times: Times): JsonWriter {
  switch (type.kind) {
    case 'DATE':
    case 'TIME':
    case 'TIMESTAMP':
      return times === 'numbers' ? primitive : (value) => `"${valueText(type, value)}"`;
    case 'STRING':
      return (value) => JSON.stringify(value);
    case 'DOUBLE':
      return (value) =>
        Number.isFinite(value) ? doubleText(value as number) : `"${doubleText(value as number)}"`;
    case 'DECIMAL':
      return (value) => (value as Decimal).toString();
    case 'BYTES':
      return (value) => `"${Buffer.from(value as Uint8Array).toString('base64')}"`;
    case 'ARRAY': {
      const item = jsonWriter(type.element, spelling, times);
      return (value) => `[${(value as readonly SqlValue[]).map(item).join(',')}]`;
    }
    case 'MAP': {
      const item = jsonWriter(type.value, spelling, times);
      return (value) => {
        const entries = [...(value as ReadonlyMap<SqlValue, SqlValue>)];
        return `{${entries.map(([key, each]) => `${JSON.stringify(primitive(key))}:${item(each)}`).join(',')}}`;
      };
    }
    case 'STRUCT': {
      const leads = type.fields.map(
        ({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(spelling(name))}:`,
      );
      const writers = type.fields.map((field) => jsonWriter(field.type, spelling, times));
      return (value) => {
        let text = '';
        for (let i = 0; i < writers.length; i++) {
          text += (leads[i] ?? '') + (writers[i]?.((value as readonly SqlValue[])[i] ?? null) ?? 'null');
        }
        return `${text}}`;
      };
    }
    default:
      return (value) => primitive(value);
  }
}

function primitive(value: SqlValue): string {
  const plain = value as string | number | bigint | boolean;
  return String(plain);
}
