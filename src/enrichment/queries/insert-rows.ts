/** Rows that clients insert: into a stream or table over a topic, whose records they become. */
import type { SinkRecord } from '../../emitter/sink.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { nearest } from '../../errors/nearest.ts';
import type { Catalog, Source } from '../sources/catalog.ts';
import { isObject, type JsonReader, jsonReader } from '../formats/json-values.ts';
import { SelectScope } from '../plan/select-scope.ts';
import type { Statement } from '../sql/ast.ts';
import { coerce } from '../sql/coerce.ts';
import { compileExpression } from '../sql/compile.ts';
import type { Frame } from '../sql/frame.ts';
import type { Parsed } from '../sql/parse-statement.ts';
import { type SourceText, sqlError } from '../sql/sql-error.ts';
import { BIGINT } from '../sql/sql-type.ts';
import type { Dialect } from '../sql/token-cursor.ts';
import type { SqlValue } from '../sql/value.ts';
import { defaultSchemaNames } from '../plan/sink-format.ts';
import type { TopicQueries } from '../run/topic-queries.ts';
import type { TopicSource } from '../sources/topic-source.ts';

export type InsertedSource = Pick<Source, 'kind' | 'name' | 'columns' | 'keyOrder'> & {
  readonly topic: TopicSource;
};

interface InsertedRow {
  readonly row: readonly SqlValue[];
  /** Milliseconds since the epoch; null: now. */
  readonly timeMs: number | null;
}

const ROWTIME = 'ROWTIME';

/** Throws `enrich.statement-invalid` where rows of clients cannot go there. */
export function insertedSource(
  catalog: Catalog,
  name: string,
  at: { readonly source: SourceText; readonly offset: number },
): InsertedSource {
  const found = catalog.find(name, at);
  const { topic } = found;
  if (topic !== null && !topic.readOnly) return { ...found, topic };
  const what =
    topic !== null
      ? 'was made by CREATE SOURCE, and is only read'
      : found.captured !== null
        ? 'is captured from the database: write to that'
        : found.kind === 'TABLE'
          ? 'is a table, which its query writes'
          : 'is the result of a query; INSERT into the topic that it reads';
  throw sqlError(at.source, at.offset, `${name} ${what}`);
}

/** The row of `INSERT INTO … VALUES`. */
export function valuesRow(
  { name, columns, values, at }: Extract<Statement, { readonly kind: 'insertValues' }>,
  stream: InsertedSource,
  { source, dialect }: { readonly source: Parsed['source']; readonly dialect: Dialect },
): InsertedRow {
  const named = columns ?? stream.columns.map((column) => column.name);
  if (named.length !== values.length)
    throw sqlError(source, at, `there are ${named.length} columns and ${values.length} values`);
  const scope = new SelectScope(source, dialect, []);
  const row: SqlValue[] = stream.columns.map(() => null);
  let timeMs: number | null = null;
  const seen = new Set<string>();
  for (const [i, column] of named.entries()) {
    const index = stream.columns.findIndex((each) => each.name === column);
    const type = column === ROWTIME && index < 0 ? BIGINT : stream.columns[index]?.type;
    const value = values[i];
    if (type === undefined || value === undefined) throw noColumn(stream, column, { source, at });
    if (seen.has(column)) throw sqlError(source, at, `the column ${column} stands there twice`);
    seen.add(column);
    const compiled = coerce(scope, compileExpression(value, scope), type, `the value of ${column}`);
    const given = compiled.run({ ...EMPTY, note: () => failed(name, column) });
    if (index >= 0) row[index] = given;
    else timeMs = rowTime(given, () => sqlError(source, value.at, NO_TIME));
  }
  const missing = missingKey(stream, row);
  if (missing !== null) throw sqlError(source, at, missing);
  return { row, timeMs };
}

const NO_TIME = 'ROWTIME is milliseconds since 1970';

/** Null: now. */
function rowTime(given: unknown, refusal: () => Error): number | null {
  if (given === null) return null;
  if (typeof given === 'number' && Number.isSafeInteger(given) && given >= 0) return given;
  throw refusal();
}

/** Why the row of a table is none: a part of its key is missing. Null where there is nothing wrong. */
function missingKey({ kind, name, columns }: InsertedSource, row: readonly SqlValue[]): string | null {
  if (kind !== 'TABLE') return null;
  const missing = columns.find(({ key }, index) => key && row[index] === null);
  return missing === undefined
    ? null
    : `${name} is a table: each row needs all of its PRIMARY KEY, and ${missing.name} has no value`;
}

const EMPTY: Omit<Frame, 'note'> = { rows: [], time: 0, change: null };

function failed(name: string, column: string): never {
  throw new HeadwaterError(
    'enrich.statement-invalid',
    `The value of ${column} cannot be put into ${name}: it is no value of the column's type.`,
  );
}

function noColumn(
  stream: InsertedSource,
  column: string,
  { source, at }: { readonly source: SourceText; readonly at: number },
): HeadwaterError {
  const names = stream.columns.map((each) => each.name);
  const meant = nearest(column, names);
  const hint = meant === null ? `it has ${names.join(', ')}` : `did you mean ${meant}?`;
  return sqlError(source, at, `there is no column ${column} in ${stream.name}; ${hint}`);
}

/** Rows as JSON objects, for one stream. */
export class JsonRows {
  readonly #stream: InsertedSource;
  readonly #columns: ReadonlyMap<string, { readonly index: number; readonly read: JsonReader }>;

  constructor(stream: InsertedSource) {
    this.#stream = stream;
    this.#columns = new Map(
      stream.columns.map(({ name, type }, index) => [name, { index, read: jsonReader(type) }]),
    );
  }

  /** Names whatever their case, unless quoted. Throws `enrich.statement-invalid`. */
  read(json: unknown): InsertedRow {
    if (!isObject(json)) throw wrong('A row has to be a JSON object.');
    const row: SqlValue[] = this.#stream.columns.map(() => null);
    let timeMs: number | null = null;
    for (const [name, value] of Object.entries(json)) {
      const quoted = /^`(.+)`$/.exec(name)?.[1];
      const column = this.#columns.get(quoted ?? name.toUpperCase()) ?? this.#columns.get(name);
      if (column === undefined && name.toUpperCase() === ROWTIME)
        timeMs = rowTime(value, () => wrong(`${NO_TIME}.`));
      else if (column === undefined)
        throw wrong(`There is no column ${JSON.stringify(name)} in ${this.#stream.name}.`);
      else {
        const read = value === null ? null : column.read(value);
        if (read === undefined)
          throw wrong(`The value of ${JSON.stringify(name)} is none of the column's type.`);
        row[column.index] = read;
      }
    }
    const missing = missingKey(this.#stream, row);
    if (missing !== null) throw wrong(`${missing}.`);
    return { row, timeMs };
  }
}

function wrong(sentence: string): HeadwaterError {
  return new HeadwaterError('enrich.statement-invalid', sentence);
}

/** Makes the records of the stream's topic; schemas of theirs are registered. Throws `schema.…`, `registry.…`. */
export async function recordsOf(
  stream: InsertedSource,
  topics: TopicQueries,
): Promise<(row: InsertedRow) => SinkRecord> {
  const { name, topic } = stream;
  const { keyFormat, valueFormat, delimiter, wrapSingleValue } = topic;
  const writer = await topics.writer(stream, {
    topic: topic.topic,
    keyFormat,
    valueFormat,
    delimiter,
    schemaNames: defaultSchemaNames(name),
    fieldCase: 'UPPER',
    wrapSingleValue,
  });
  return ({ row, timeMs }) => {
    const record: SinkRecord = { key: null, value: null, headers: null, timestamp: 0 };
    writer.write(record, row, { keyed: row, timeMs: timeMs ?? Date.now(), window: null });
    // They wait for others: the writer's bytes are its own.
    if (record.key instanceof Uint8Array) record.key = Buffer.from(record.key);
    if (record.value instanceof Uint8Array) record.value = Buffer.from(record.value);
    return record;
  };
}
