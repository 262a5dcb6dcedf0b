/**
 * Columns of topics that are declared without any: those of the latest schema in the registry at the time when the
 * statement is new. They are kept in the checkpoint, so that a later version of the schema changes no results, and a
 * registry that is away delays no start.
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type Declared, type DeclaredEnrichment, readsTopic } from './declared.ts';
import { columnsOf, UnlikeSql } from '../formats/avro-columns.ts';
import { AvroSchemaError } from '../formats/avro-type.ts';
import type { FormatColumn } from '../formats/format.ts';
import { type SchemaReader, wholeAvro } from '../formats/registry-access.ts';
import type { CreateSource } from '../sql/ast.ts';
import { printStatement } from '../sql/print-statement.ts';
import { sqlError } from '../sql/sql-error.ts';
import { statementHash } from '../sql/statement-hash.ts';
import { topicProperties } from '../sources/topic-source.ts';

type Part = 'key' | 'value';

type PartColumns = Readonly<Partial<Record<Part, readonly FormatColumn[]>>>;

/** By the hash of the statement; or why there are none. */
export type InferredColumns = ReadonlyMap<string, PartColumns | HeadwaterError>;

export const NOTHING_INFERRED: InferredColumns = new Map();

/** Throws where the registry has none that fit. */
export function inferredFor(
  inferred: InferredColumns,
  statement: CreateSource,
  part: Part,
): readonly FormatColumn[] {
  const found = inferred.get(statementHash(printStatement(statement)));
  if (found instanceof HeadwaterError) throw found;
  return found?.[part] ?? [];
}

export interface InferContext {
  /** Null without a registry. */
  readonly reader: SchemaReader | null;
  /** As kept in the checkpoint. */
  readonly kept: InferredColumns;
  readonly signal: AbortSignal;
}

/** Asks the registry for what is not kept. Throws what is wrong with the registry, not with the statements. */
export async function inferColumns(
  { statements }: DeclaredEnrichment,
  { reader, kept, signal }: InferContext,
): Promise<InferredColumns> {
  const inferred = new Map<string, PartColumns | HeadwaterError>();
  // Without a registry the format itself is refused.
  if (reader === null) return inferred;
  for (const declared of statements) {
    const { statement } = declared;
    if (statement.kind !== 'createSource' || !readsTopic(statement)) continue;
    const hash = statementHash(printStatement(statement));
    const known = kept.get(hash);
    if (known !== undefined && !(known instanceof HeadwaterError)) inferred.set(hash, known);
    else inferred.set(hash, await columnsOfParts(declared, { statement, reader, signal }));
  }
  return inferred;
}

async function columnsOfParts(declared: Declared, asked: Asked): Promise<PartColumns | HeadwaterError> {
  try {
    const columns: Partial<Record<Part, readonly FormatColumn[]>> = {};
    for (const part of partsWithout(declared, asked.statement))
      columns[part] = await columnsFor(declared, part, asked);
    return columns;
  } catch (error) {
    if (error instanceof HeadwaterError && error.details.line !== undefined) return error;
    throw error;
  }
}

/** Keys and values in formats with schemas of which no column is written down. */
function partsWithout(declared: Declared, statement: CreateSource): readonly Part[] {
  const properties = topicProperties(declared, statement);
  const written = (key: boolean): boolean =>
    statement.columns.some(({ role }) => (role === 'KEY' || role === 'PRIMARY KEY') === key);
  const parts: Part[] = [];
  if (properties.format('KEY_FORMAT') === 'AVRO' && !written(true)) parts.push('key');
  if (properties.format('VALUE_FORMAT') === 'AVRO' && !written(false)) parts.push('value');
  return parts;
}

interface Asked {
  readonly statement: CreateSource;
  readonly reader: SchemaReader;
  readonly signal: AbortSignal;
}

async function columnsFor(
  declared: Declared,
  part: Part,
  { statement, reader, signal }: Asked,
): Promise<readonly FormatColumn[]> {
  const topic = topicProperties(declared, statement).topic('KAFKA_TOPIC') ?? statement.name;
  const subject = `${topic}-${part}`;
  const { source } = declared.parsed;
  const refused = (why: string): HeadwaterError =>
    sqlError(source, statement.at, `${why}; write the columns behind the name, (NAME TYPE, …)`);
  const schema = await reader.latest(subject, signal);
  if (schema === null) throw refused(`the registry has no schema for ${subject}, and no columns are written`);
  try {
    return columnsOf(await wholeAvro(schema, reader, signal), part === 'key' ? 'ROWKEY' : 'ROWVAL');
  } catch (error) {
    if (error instanceof AvroSchemaError)
      throw refused(`the schema of ${subject} cannot be read: ${error.message}`);
    if (error instanceof UnlikeSql)
      throw refused(`the schema of ${subject} has what SQL has no type for: ${error.message}`);
    throw error;
  }
}

/** For the checkpoint. */
export function inferredText(inferred: InferredColumns): string {
  const found = [...inferred].filter(([, columns]) => !(columns instanceof HeadwaterError));
  return JSON.stringify(Object.fromEntries(found));
}

/** Of what `inferredText` made. */
export function parseInferred(text: string | undefined): InferredColumns {
  if (text === undefined) return NOTHING_INFERRED;
  return new Map(Object.entries(JSON.parse(text) as Record<string, PartColumns>));
}
