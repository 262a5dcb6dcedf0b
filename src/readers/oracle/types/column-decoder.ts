/**
 * What a column's type means: its place in the model, and how its values are read, from the redo log's literals
 * and from a snapshot's rows. Both ways end in the same functions, so they give the same Value (INV-5).
 * docs/type-mapping/oracle.md lists all types; a test walks it.
 */
import type { ColumnType } from '../../../model/table.ts';
import { UNCHANGED, type Value } from '../../../model/value.ts';
import { type CallLiteral, type Literal, PRESENT, UNSUPPORTED } from '../redo/literal.ts';
import { type DecodeText, nationalText } from './character-sets.ts';
import type { DataType } from './column-metadata.ts';
import {
  internalDayTime,
  internalFloat,
  internalMoment,
  internalMonths,
  internalNumber,
} from './decode-internal.ts';
import { decimalText, floatValue, integerValue } from './decode-number.ts';
import {
  dayTimeOf,
  type Moment,
  monthsOf,
  parseMoment,
  timestampValue,
  zonedText,
} from './decode-temporal.ts';
import { UnreadableValue } from './unreadable-value.ts';

export interface ColumnDecoder {
  readonly type: ColumnType;
  /** A literal of SQL_REDO. Throws UnreadableValue. */
  readonly fromRedo: (literal: Literal) => Value;
  /** A value as `select` gives it. Throws UnreadableValue. */
  readonly fromRow: (value: string | Buffer) => Value;
  /** The expression that reads a column, given as an expression, into the form `fromRow` takes. */
  readonly select: (column: string) => string;
  /**
   * The log mentions the column only where its value changed, even with ALL COLUMN logging: LOBs, XML, JSON, and
   * strings longer than a redo record holds.
   */
  readonly large: boolean;
}

/** What decoders share: the database's character set, and what to do about dates in a foreign form. */
export interface DecoderContext {
  readonly text: DecodeText;
  /** A date was written without Headwater's NLS settings. */
  readonly onForeignDate: () => void;
}

/** Null for types that are left out of the model. */
export function columnDecoder(column: DataType, context: DecoderContext): ColumnDecoder | null {
  const { dataType, length, precision, scale } = column;
  switch (dataType) {
    case 'NUMBER':
      return numberDecoder(precision, scale);
    case 'FLOAT':
      return numberDecoder(null, null);
    case 'BINARY_FLOAT':
    case 'BINARY_DOUBLE':
      return floatDecoder(dataType === 'BINARY_FLOAT' ? 'float32' : 'float64');
    case 'CHAR':
    case 'VARCHAR2':
      return textDecoder('string', context.text, length !== null && length > 4000);
    case 'NCHAR':
    case 'NVARCHAR2':
      return textDecoder('string', nationalText, length !== null && length > 2000);
    case 'CLOB':
      return textDecoder('string', context.text, true);
    case 'NCLOB':
      return textDecoder('string', nationalText, true);
    case 'ROWID':
      return { ...textDecoder('string', context.text, false), select: (c) => `ROWIDTOCHAR(${c})` };
    case 'XMLTYPE':
      return {
        ...textDecoder('xml', context.text, true),
        select: (c) => `XMLSERIALIZE(CONTENT ${c} AS CLOB)`,
      };
    case 'JSON':
      return jsonDecoder();
    case 'RAW':
      return bytesDecoder(false);
    case 'BLOB':
      return bytesDecoder(true);
    case 'BOOLEAN':
      return booleanDecoder();
    case 'DATE':
      return momentDecoder('timestamp', 0, context, (c) => `TO_CHAR(${c},'YYYY-MM-DD"T"HH24:MI:SS')`);
    case 'TIMESTAMP':
      return momentDecoder(
        'timestamp',
        scale ?? 6,
        context,
        (c) => `TO_CHAR(${c},'YYYY-MM-DD"T"HH24:MI:SS.FF9')`,
      );
    case 'TIMESTAMP WITH LOCAL TIME ZONE':
      return momentDecoder(
        'timestamptz',
        scale ?? 6,
        context,
        (c) => `TO_CHAR(${c},'YYYY-MM-DD"T"HH24:MI:SS.FF9TZH:TZM')`,
      );
    case 'TIMESTAMP WITH TIME ZONE':
      return zonedDecoder(scale ?? 6, context);
    case 'INTERVAL YEAR TO MONTH':
      return intervalDecoder(
        'TO_YMINTERVAL',
        (text) => [monthsOf(text), 0, 0],
        (bytes) => [internalMonths(bytes), 0, 0],
      );
    case 'INTERVAL DAY TO SECOND':
      return intervalDecoder(
        'TO_DSINTERVAL',
        (text) => [0, ...dayTimeOf(text)],
        (bytes) => [0, ...internalDayTime(bytes)],
      );
    default:
      return null;
  }
}

/** Whether a literal stands for an empty LOB that a later write may fill. */
export function isEmptyLob(literal: Literal): boolean {
  return isCall(literal) && (literal.name === 'EMPTY_CLOB' || literal.name === 'EMPTY_BLOB');
}

function isCall(literal: Literal): literal is CallLiteral {
  return typeof literal === 'object' && literal !== null && literal.kind === 'call';
}

const asIs = (column: string): string => column;

/** The cases all types share; what is left is a string, a number, a call or a concatenation. */
function reading(read: (literal: Exclude<Literal, null | symbol>) => Value): (literal: Literal) => Value {
  return (literal) => {
    if (literal === null) return null;
    if (literal === UNSUPPORTED || literal === PRESENT) return UNCHANGED;
    return read(literal);
  };
}

function numberDecoder(precision: number | null, scale: number | null): ColumnDecoder {
  const type = numberType(precision, scale);
  const read: (text: string) => Value =
    type.kind === 'decimal' ? decimalReader(type.scale) : (text) => integerValue(text);
  return {
    type,
    fromRedo: reading((literal) => {
      if (typeof literal === 'string') return read(literal);
      if (literal.kind === 'number') return read(literal.text);
      return read(internalNumber(hexArgument(literal, 'a number')));
    }),
    fromRow: (value) => read(rowText(value)),
    select: asIs,
    large: false,
  };
}

function decimalReader(scale: number | null): (text: string) => string {
  return (text) => decimalText(text, scale);
}

/** As Debezium maps NUMBER; a negative scale is none, since no format can say it. */
function numberType(precision: number | null, scale: number | null): ColumnType {
  if (precision === null && scale === null) return { kind: 'decimal', precision: null, scale: null };
  const declared = precision ?? 38;
  if (scale !== null && scale > 0) return { kind: 'decimal', precision: Math.max(declared, scale), scale };
  const digits = declared - (scale ?? 0);
  if (digits < 3) return { kind: 'int8' };
  if (digits < 5) return { kind: 'int16' };
  if (digits < 10) return { kind: 'int32' };
  if (digits < 19) return { kind: 'int64' };
  return { kind: 'decimal', precision: digits, scale: 0 };
}

function floatDecoder(kind: 'float32' | 'float64'): ColumnDecoder {
  const fit = kind === 'float32' ? Math.fround : (n: number): number => n;
  return {
    type: { kind },
    fromRedo: reading((literal) => {
      if (typeof literal === 'string') return fit(floatValue(literal));
      if (literal.kind === 'number') return fit(floatValue(literal.text));
      return internalFloat(hexArgument(literal, 'a floating point number'));
    }),
    fromRow: (value) => fit(floatValue(rowText(value))),
    select: asIs,
    large: false,
  };
}

function textDecoder(kind: 'string' | 'xml', decode: DecodeText, large: boolean): ColumnDecoder {
  return {
    type: { kind },
    fromRedo: reading((literal) => redoText(literal, decode)),
    fromRow: rowText,
    select: asIs,
    large,
  };
}

/** Throws UnreadableValue for anything but text. */
function redoText(literal: Literal, decode: DecodeText): string {
  if (typeof literal === 'string') return literal;
  if (typeof literal === 'symbol' || literal === null) throw new UnreadableValue('text');
  if (literal.kind === 'number') return literal.text;
  if (literal.kind === 'concat') return literal.parts.map((part) => redoText(part, decode)).join('');
  switch (literal.name) {
    case 'UNISTR':
      return unistr(stringArgument(literal));
    case 'EMPTY_CLOB':
      return '';
    case 'HEXTORAW':
      return decode(hexArgument(literal, 'text'));
    case 'XMLTYPE':
      return stringArgument(literal);
    default:
      throw new UnreadableValue('text');
  }
}

/** `\XXXX` is a UTF-16 unit, `\\` a backslash. */
function unistr(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replaceAll(/\\(\\|[0-9A-Fa-f]{4}|)/g, (_, code: string) => {
    if (code === '\\') return '\\';
    if (code === '') throw new UnreadableValue('UNISTR text');
    return String.fromCharCode(Number.parseInt(code, 16));
  });
}

function bytesDecoder(large: boolean): ColumnDecoder {
  return {
    type: { kind: 'bytes' },
    fromRedo: reading((literal) => {
      if (isCall(literal) && literal.name === 'EMPTY_BLOB') return Buffer.alloc(0);
      if (typeof literal === 'string') return hexBytes(literal);
      return hexArgument(literal, 'bytes');
    }),
    fromRow: (value) => {
      if (typeof value === 'string') throw new UnreadableValue('bytes');
      return value;
    },
    select: asIs,
    large,
  };
}

/** What the redo log has of JSON is its binary form, if anything: that there is a value is all it tells. */
function jsonDecoder(): ColumnDecoder {
  return {
    type: { kind: 'json' },
    fromRedo: reading(() => UNCHANGED),
    fromRow: rowText,
    select: (c) => `JSON_SERIALIZE(${c} RETURNING CLOB)`,
    large: true,
  };
}

function booleanDecoder(): ColumnDecoder {
  const read = (text: string): boolean => {
    switch (text.toLowerCase()) {
      case 'true':
      case '1':
      case 'c102': // NUMBER 1
        return true;
      case 'false':
      case '0':
      case '80': // NUMBER 0
        return false;
      default:
        throw new UnreadableValue('true or false');
    }
  };
  return {
    type: { kind: 'boolean' },
    fromRedo: reading((literal) => {
      if (typeof literal === 'string') return read(literal);
      if (literal.kind === 'number') return read(literal.text);
      return read(Buffer.from(hexArgument(literal, 'true or false')).toString('hex'));
    }),
    fromRow: (value) => read(rowText(value)),
    select: (c) => `CASE WHEN ${c} THEN 'true' WHEN NOT ${c} THEN 'false' END`,
    large: false,
  };
}

function momentDecoder(
  kind: 'timestamp' | 'timestamptz',
  precision: number,
  context: DecoderContext,
  select: (column: string) => string,
): ColumnDecoder {
  return {
    type: { kind, precision },
    fromRedo: reading((literal) => timestampValue(redoMoment(literal, false, context), precision)),
    fromRow: (value) => timestampValue(parseMoment(rowText(value)), precision),
    select,
    large: false,
  };
}

/** With the zone the value was written with, which is why it is text. */
function zonedDecoder(precision: number, context: DecoderContext): ColumnDecoder {
  return {
    type: { kind: 'zonedtimestamp' },
    fromRedo: reading((literal) => zonedText(redoMoment(literal, true, context), precision)),
    fromRow: (value) => zonedText(parseMoment(rowText(value)), precision),
    select: (c) => `TO_CHAR(${c},'YYYY-MM-DD"T"HH24:MI:SS.FF9TZH:TZM')`,
    large: false,
  };
}

function redoMoment(
  literal: Exclude<Literal, null | symbol>,
  zoned: boolean,
  { onForeignDate }: DecoderContext,
): Moment {
  if (isCall(literal) && literal.name === 'HEXTORAW') {
    return internalMoment(hexArgument(literal, 'a date'), zoned);
  }
  if (!isCall(literal) || !literal.name.startsWith('TO_') || literal.name.endsWith('INTERVAL')) {
    throw new UnreadableValue('a date');
  }
  const moment = parseMoment(stringArgument(literal));
  if (moment.foreignForm) onForeignDate();
  return moment;
}

function intervalDecoder(
  name: 'TO_YMINTERVAL' | 'TO_DSINTERVAL',
  fromText: (text: string) => readonly number[],
  fromBytes: (bytes: Uint8Array) => readonly number[],
): ColumnDecoder {
  return {
    type: { kind: 'interval' },
    fromRedo: reading((literal) => {
      if (isCall(literal) && literal.name === name) return fromText(stringArgument(literal));
      return fromBytes(hexArgument(literal, 'an interval'));
    }),
    fromRow: (value) => fromText(rowText(value)),
    select: (c) => `TO_CHAR(${c})`,
    large: false,
  };
}

/** Bytes of HEXTORAW; `expected` says what was wanted where it is none. */
function hexArgument(literal: Literal, expected: string): Buffer {
  if (!isCall(literal) || literal.name !== 'HEXTORAW') throw new UnreadableValue(expected);
  if (literal.argument === null) return Buffer.alloc(0);
  return hexBytes(stringArgument(literal));
}

export function hexBytes(hex: string): Buffer {
  const bytes = Buffer.from(hex, 'hex'); // stops at the first digit that is none
  if (hex.length % 2 !== 0 || bytes.length * 2 !== hex.length) throw new UnreadableValue('hex digits');
  return bytes;
}

function stringArgument({ argument }: CallLiteral): string {
  if (typeof argument !== 'string') throw new UnreadableValue('a string argument');
  return argument;
}

function rowText(value: string | Buffer): string {
  if (typeof value !== 'string') throw new UnreadableValue('text');
  return value;
}
