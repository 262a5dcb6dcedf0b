/**
 * Where Headwater is to differ from Debezium 3.2.0.Final in the profile `debezium`, and why. Each rule is as
 * narrow as it can be: what no rule covers is a defect of ours.
 */
import type { Json } from './exact-json.ts';
import { fieldOf, type GoldenRecord } from './recording.ts';

/** One place where Debezium's record and ours are not the same. */
export interface Difference {
  readonly topic: string;
  /** Place within the topic. */
  readonly index: number;
  readonly op: string | null;
  /** Into {key, value, headers}; empty: the whole record is missing on one side. */
  readonly path: readonly string[];
  readonly theirs: Json | undefined;
  readonly mine: Json | undefined;
  readonly their: GoldenRecord | null;
  readonly ours: GoldenRecord | null;
}

/** The reason why a difference is to be there, or null. */
export function expectedDifference(difference: Difference): string | null {
  const column = columnOf(difference.path);
  return RULES.find(({ applies }) => applies(difference, column))?.reason ?? null;
}

interface ColumnPlace {
  readonly name: string;
  readonly in: 'schema' | 'row';
  /** Path below the column. */
  readonly rest: readonly string[];
}

interface Rule {
  readonly reason: string;
  readonly applies: (difference: Difference, column: ColumnPlace | null) => boolean;
}

const DEFECT = 'Debezium defect';

const RULES: readonly Rule[] = [
  {
    reason: 'the time at which the row was written',
    applies: ({ their, ours, theirs, mine }, column) =>
      column?.in === 'row' && isTimeOf(their, theirs) && isTimeOf(ours, mine),
  },
  {
    reason: `${DEFECT} 3: a year before 100 is taken for one of this century`,
    applies: ({ theirs, mine }, column) => column?.in === 'row' && isAdjustedYear(theirs, mine),
  },
  {
    reason: `${DEFECT}: in the stream, BOOLEAN, REAL and INTEGER UNSIGNED have other types than in its own snapshot, which finds the server's names for them`,
    applies: ({ topic, op }, column) =>
      column !== null &&
      op !== 'r' &&
      /\.(BOOLEAN_TABLE|REAL_TABLE|DBZ1773|DBZ2085|dbz_integer_unsigned)$/.test(topic),
  },
  {
    reason: `${DEFECT}: a zero TIMESTAMP is null in a snapshot and the epoch in the stream; here null in both`,
    applies: ({ op, theirs, mine }, column) =>
      column?.in === 'row' &&
      op !== 'r' &&
      mine === null &&
      typeof theirs === 'string' &&
      /^1970-01-01T00:00:00(\.0+)?Z$/.test(theirs),
  },
  {
    reason: `${DEFECT}: in the stream, JSON is printed in its own way; here as the server prints it, which its snapshot has`,
    applies: ({ topic, op, theirs, mine }, column) =>
      column?.in === 'row' && op !== 'r' && topic.endsWith('.documents') && isSameJson(theirs, mine),
  },
  {
    reason: `${DEFECT} 7: a comma in an ENUM's value has a backslash in the stream`,
    applies: ({ theirs, mine }, column) =>
      column?.in === 'row' && typeof theirs === 'string' && theirs.replaceAll('\\,', ',') === mine,
  },
  {
    reason: `${DEFECT}: in the stream, text in koi8u and cp932 is read in another character set`,
    applies: ({ topic, op }, column) =>
      column?.in === 'row' &&
      op !== 'r' &&
      topic.endsWith('.charsets') &&
      ['k8u', 'c932'].includes(column.name),
  },
  {
    reason: `${DEFECT}: the YEAR 0000 is 2000 in a snapshot and 1900 in the stream`,
    applies: ({ topic, theirs, mine }, column) =>
      column?.in === 'row' &&
      /\.(dates|zeros)$/.test(topic) &&
      mine === 0 &&
      (theirs === 2000 || theirs === 1900),
  },
  {
    reason: `${DEFECT}: a snapshot leaves zeros at the end of a TIMESTAMP's fraction out, its own stream does not`,
    applies: ({ op, theirs, mine }, column) =>
      column?.in === 'row' &&
      op === 'r' &&
      typeof theirs === 'string' &&
      typeof mine === 'string' &&
      theirs === mine.replace(/\.0+Z$/, 'Z'),
  },
  {
    reason: `${DEFECT}: a snapshot has six digits of a FLOAT, its own stream has all`,
    applies: ({ topic, op, theirs, mine }, column) =>
      column?.in === 'row' &&
      op === 'r' &&
      topic.endsWith('.floats') &&
      typeof mine === 'number' &&
      Number(mine.toPrecision(6)) === theirs,
  },
  {
    reason: `${DEFECT}: the default of a BINARY and one with a doubled quote are taken as they are spelled`,
    applies: ({ topic }, column) =>
      topic.endsWith('.defaults') &&
      column?.in === 'schema' &&
      ['v', 'bi'].includes(column.name) &&
      column.rest.join('.') === 'default',
  },
  {
    reason:
      'the statement as the server logs it, where Debezium leaves out what the server added and spells DROP TABLE anew',
    applies: ({ path, theirs, mine }) =>
      path.join('.') === 'value.payload.ddl' &&
      typeof theirs === 'string' &&
      typeof mine === 'string' &&
      plainDdl(theirs) === plainDdl(mine),
  },
  {
    reason:
      'on MariaDB the description of a changed table has lengths as the server prints them, where Debezium has those of the statement',
    applies: ({ path, theirs, mine, ours }) =>
      isOf('mariadb', ours) &&
      /^value\.payload\.tableChanges\.\d+\.table\.columns\.\d+\.length$/.test(path.join('.')) &&
      theirs === null &&
      typeof mine === 'number',
  },
  {
    reason: `${DEFECT}: on MariaDB a TRUNCATE has a place in a transaction that never ends`,
    applies: ({ path, op, mine, ours }) =>
      isOf('mariadb', ours) && op === 't' && path.join('.') === 'value.payload.transaction' && mine === null,
  },
  {
    reason: `${DEFECT}: bytes of a UUID are shortened or taken for the wrong version`,
    applies: ({ topic, op }, column) =>
      column?.in === 'row' && op !== 'r' && topic.endsWith('.own') && column.name === 'u',
  },
  {
    reason: `${DEFECT}: in the stream, column names that are not ASCII are read byte by byte`,
    applies: ({ topic, op }, column) =>
      topic.endsWith('.Odd__name') && op !== 'r' && /^[^ -~]+$/.test(column?.name ?? ''),
  },
  {
    reason: `${DEFECT} 4: an infinite date overflows; here null, and the header __headwater.special says which`,
    applies: ({ theirs, mine, ours }, column) =>
      column?.in === 'row' &&
      typeof theirs === 'number' &&
      mine === null &&
      /infinity/.test(special(ours, column.name)),
  },
  {
    reason: `${DEFECT} 5: a column of a type it does not know is left out; here as optional text, or an array of what it holds`,
    applies: ({ theirs, mine }, column) =>
      column !== null &&
      column.rest.length === 0 &&
      theirs === undefined &&
      (column.in === 'row' || (isOptional(mine) && isTextOrArray(mine))),
  },
  {
    reason: `${DEFECT} 5: a name is null in the stream`,
    applies: ({ topic, theirs, mine, op }, column) =>
      topic.endsWith('.texts') &&
      column?.name === 'n' &&
      op !== 'r' &&
      theirs === null &&
      typeof mine === 'string',
  },
  {
    reason: `${DEFECT} 5: arrays of more dimensions are nulls or Java object names; here nested as declared`,
    applies: ({ topic }, column) =>
      topic.endsWith('.arrays_nd') && column !== null && ['i2d', 't2d', 'undeclared'].includes(column.name),
  },
  {
    reason: `${DEFECT} 5: elements of enum arrays are null, or their schema required although an element may be NULL`,
    applies: ({ topic }, column) =>
      topic.endsWith('.arrays') &&
      column?.name === 'e' &&
      (column.in === 'row' || column.rest.join('.') === 'items.optional'),
  },
  {
    reason: `${DEFECT}: an array of bit strings has the schema of one bit string and is null`,
    applies: ({ topic }, column) => topic.endsWith('.arrays') && column?.name === 'bi',
  },
  {
    reason: `${DEFECT} 6: rows of partitions are in the snapshot a second time, under the partition's name`,
    applies: ({ topic, path, mine, op }) =>
      path.length === 0 && op === 'r' && mine === undefined && /\.parted_(eu|us)$/.test(topic),
  },
  {
    reason: `${DEFECT}: a snapshot has varbit(1) null where its own stream has the value`,
    applies: ({ op, theirs, mine }, column) =>
      op === 'r' &&
      column?.in === 'row' &&
      theirs === null &&
      typeof mine === 'boolean' &&
      ['bv1', 'vb1'].includes(column.name),
  },
  {
    reason: `${DEFECT} 3 (the true date): a snapshot counts days before 1582 in the Julian calendar, its own stream does not`,
    applies: ({ op, theirs, mine }, column) =>
      op === 'r' && column?.in === 'row' && isBefore1582(theirs, mine),
  },
  {
    reason: `${DEFECT}: a timestamp past 2^63 microseconds overflows; here null, and the header says what it is`,
    applies: ({ mine, ours }, column) =>
      column?.in === 'row' && mine === null && /^"?\+294276/.test(special(ours, column.name)),
  },
  {
    reason: `${DEFECT}: an interval past 2^63 microseconds is cut off; here null, and the header says what it is`,
    applies: ({ theirs, mine, ours }, column) =>
      column?.in === 'row' &&
      theirs === 9_223_372_036_854_775_807n &&
      mine === null &&
      special(ours, column.name).startsWith('P178000000Y'),
  },
  {
    reason: `${DEFECT}: money goes through a double and loses its last digits`,
    applies: ({ topic, theirs, mine }, column) =>
      topic.endsWith('.numbers') &&
      column?.name === 'm' &&
      ((theirs === '/3////////9A' && mine === 'gAAAAAAAAAA=') ||
        (theirs === 'AIAAAAAAAADA' && mine === 'f/////////8=')),
  },
  {
    reason: `${DEFECT}: a negative scale is taken for 2046`,
    applies: ({ topic }, column) => topic.endsWith('.numbers') && column?.name === 'nneg',
  },
  {
    reason: `${DEFECT}: a default is cut off at a doubled quote; CURRENT_USER is taken for text`,
    applies: ({ topic }, column) =>
      topic.endsWith('.defaults') &&
      column?.in === 'schema' &&
      ['t', 'un'].includes(column.name) &&
      column.rest.join('.') === 'default',
  },
  {
    reason: `${DEFECT}: generated columns are in the snapshot and not in the stream; here in neither before PostgreSQL 18`,
    applies: ({ topic, op, mine }, column) =>
      topic.endsWith('.generated') && op === 'r' && column?.name === 'doubled' && mine === undefined,
  },
  {
    reason: `${DEFECT}: with REPLICA IDENTITY USING INDEX the log lacks the primary key, and deletes get the key 0; here the index is the key`,
    applies: ({ topic, path }) =>
      topic.endsWith('.ri_index') && (path[0] === 'key' || /^__debezium\.(new|old)key$/.test(path[1] ?? '')),
  },
  {
    reason: `${DEFECT}: where it has no placeholder for an unchanged value out of line it says NULL; here the nearest placeholder, and the header __headwater.unavailable`,
    applies: ({ theirs, ours }, column) =>
      column?.in === 'row' &&
      theirs === null &&
      namedIn(ours?.headers['__headwater.unavailable'], column.name),
  },
  {
    reason: `${DEFECT}: messages are counted under the address of a Java object`,
    applies: ({ theirs, mine }) =>
      mine === 'logical_message' &&
      typeof theirs === 'string' &&
      theirs.includes('LogicalDecodingMessageId@'),
  },
];

function columnOf(path: readonly string[]): ColumnPlace | null {
  const [part, half, ...below] = path;
  if (part !== 'value') return null;
  if (half === 'payload' && (below[0] === 'before' || below[0] === 'after') && below[1] !== undefined) {
    return { name: below[1], in: 'row', rest: below.slice(2) };
  }
  const [fields, image, inner, name, ...rest] = below;
  const inSchema = half === 'schema' && fields === 'fields' && (image === 'before' || image === 'after');
  return inSchema && inner === 'fields' && name !== undefined ? { name, in: 'schema', rest } : null;
}

/** What our header says of a value that the column's type cannot hold. */
function special(ours: GoldenRecord | null, column: string): string {
  const header = ours?.headers['__headwater.special'];
  const values = typeof header === 'string' ? (JSON.parse(header) as Json) : (header ?? null);
  const text = fieldOf(values, column);
  return typeof text === 'string' ? text : '';
}

/** Milliseconds since the epoch of a temporal value, by its magnitude: text, days, milliseconds or microseconds. */
function millisOf(json: Json | undefined): number | null {
  if (typeof json === 'string') return /^\d{4}-\d\d-\d\dT/.test(json) ? Date.parse(json) : null;
  if (typeof json !== 'number' && typeof json !== 'bigint') return null;
  const value = Number(json);
  const size = Math.abs(value);
  return size < 1e7 ? value * 86_400_000 : size < 1e15 ? value : value / 1000;
}

/** Within ten minutes before the record was made. */
function isTimeOf(record: GoldenRecord | null, json: Json | undefined): boolean {
  const made = Number(fieldOf(fieldOf(record?.value ?? null, 'payload'), 'ts_ms') ?? NaN);
  const value = millisOf(json);
  return value !== null && value <= made + 1000 && value > made - 600_000;
}

function isAdjustedYear(theirs: Json | undefined, mine: Json | undefined): boolean {
  const [a, b] = [millisOf(theirs), millisOf(mine)];
  if (a === null || b === null) return false;
  const [year, trueYear] = [new Date(a).getUTCFullYear(), new Date(b).getUTCFullYear()];
  return trueYear >= 0 && trueYear < 100 && year - trueYear === (trueYear < 70 ? 2000 : 1900);
}

function isOf(connector: string, record: GoldenRecord | null): boolean {
  const source = fieldOf(fieldOf(record?.value ?? null, 'payload'), 'source');
  return fieldOf(source, 'connector') === connector;
}

function plainDdl(statement: string): string {
  return statement
    .replace(/ START TRANSACTION$/, '')
    .replace(/ \/\* generated by server \*\/$/, '')
    .replace(/^(DROP TABLE )`\w+`\./, '$1');
}

/** Its own spelling of bytes, of spaces, of large numbers, of a fraction's zeros, and of a negative TIME, which it garbles. */
function isSameJson(theirs: Json | undefined, mine: Json | undefined): boolean {
  if (typeof theirs !== 'string' || typeof mine !== 'string') return false;
  const plain = (text: string): string =>
    JSON.stringify(JSON.parse(text.replaceAll(/base64:type\d+:/g, '')))
      .replaceAll(/\d+:0?-\d+:0?-\d+\.0*-?\d*|-\d\d:\d\d:\d\d\.\d+/g, '(negative time)')
      .replaceAll(/(:\d\d\.\d*?)0+(?=\\?")/g, '$1');
  try {
    return plain(theirs) === plain(mine);
  } catch {
    return false;
  }
}

function isOptional(schema: Json | undefined): boolean {
  return fieldOf(schema ?? null, 'optional') === true;
}

function isTextOrArray(schema: Json | undefined): boolean {
  const type = fieldOf(schema ?? null, 'type');
  return type === 'string' || type === 'array';
}

const START_OF_1582_US = -12_244_089_600_000_000n;

function isBefore1582(theirs: Json | undefined, mine: Json | undefined): boolean {
  if (typeof mine === 'bigint' && typeof theirs === 'bigint') {
    // Nearly forty days at most lie between the calendars.
    const apart = theirs - mine;
    return mine < START_OF_1582_US && (apart < 0n ? -apart : apart) < 40n * 86_400_000_000n;
  }
  return (
    typeof mine === 'string' &&
    /^-\d{4}-|^(0\d{3}|1[0-5]\d\d)-/.test(mine) &&
    typeof theirs === 'string' &&
    theirs.endsWith('Z')
  );
}

/** Whether a header lists the column. */
function namedIn(header: Json | undefined, column: string): boolean {
  const list = typeof header === 'string' ? (JSON.parse(header) as Json) : header;
  return Array.isArray(list) && list.includes(column);
}
