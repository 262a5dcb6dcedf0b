/**
 * Columns of topics that are declared without any: those of the latest schema in the registry at the time when the
 * statement is new. They are kept in the checkpoint, so that a later version of the schema changes no results, and a
 * registry that is away delays no start.
 */
import type { Declared, DeclaredEnrichment } from './declared.ts';
import { located, readsTopic } from './declared.ts';
import { columnsOf, UnlikeSql } from './formats/avro-columns.ts';
import { AvroSchemaError } from './formats/avro-type.ts';
import type { FormatColumn } from './formats/format.ts';
import { type SchemaReader, wholeAvro } from './formats/registry-access.ts';
import type { CreateSource } from './sql/ast.ts';
import { printStatement } from './sql/print-statement.ts';
import { sqlError } from './sql/sql-error.ts';
import { statementHash } from './statement-hash.ts';
import { topicProperties } from './topic-source.ts';

type Part = 'key' | 'value';

/** By the hash of the statement. */
export type InferredColumns = ReadonlyMap<string, Readonly<Partial<Record<Part, readonly FormatColumn[]>>>>;

export const NOTHING_INFERRED: InferredColumns = new Map();

export function inferredFor(
  inferred: InferredColumns,
  statement: CreateSource,
  part: Part,
): readonly FormatColumn[] {
  return inferred.get(statementHash(printStatement(statement)))?.[part] ?? [];
}

export interface InferContext {
  /** Null without a registry. */
  readonly reader: SchemaReader | null;
  /** As kept in the checkpoint. */
  readonly kept: InferredColumns;
  readonly signal: AbortSignal;
}

/** Asks the registry for what is not kept. Throws HeadwaterError with the text's name, line and column. */
export async function inferColumns(
  { statements }: DeclaredEnrichment,
  { reader, kept, signal }: InferContext,
): Promise<InferredColumns> {
  const inferred = new Map<string, Partial<Record<Part, readonly FormatColumn[]>>>();
  for (const declared of statements) {
    const { statement } = declared;
    if (statement.kind !== 'createSource' || !readsTopic(statement)) continue;
    for (const part of located(declared.origin, () => partsWithout(declared, statement))) {
      const hash = statementHash(printStatement(statement));
      const known = kept.get(hash)?.[part];
      // Without a registry the format itself is refused.
      if (known === undefined && reader === null) continue;
      const columns = known ?? (await columnsFor(declared, { statement, part, reader: reader!, signal }));
      inferred.set(hash, { ...inferred.get(hash), [part]: columns });
    }
  }
  return inferred;
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
  readonly part: Part;
  readonly reader: SchemaReader;
  readonly signal: AbortSignal;
}

async function columnsFor(
  declared: Declared,
  { statement, part, reader, signal }: Asked,
): Promise<readonly FormatColumn[]> {
  const topic = topicProperties(declared, statement).topic('KAFKA_TOPIC') ?? statement.name;
  const subject = `${topic}-${part}`;
  const refuse = (why: string): never =>
    located(declared.origin, () => {
      throw sqlError(
        declared.parsed.source,
        statement.at,
        `${why}; write the columns behind the name, (NAME TYPE, …)`,
      );
    });
  const schema = await reader.latest(subject, signal);
  if (schema === null) return refuse(`the registry has no schema for ${subject}, and no columns are written`);
  try {
    return columnsOf(await wholeAvro(schema, reader, signal), part === 'key' ? 'ROWKEY' : 'ROWVAL');
  } catch (error) {
    if (error instanceof AvroSchemaError)
      return refuse(`the schema of ${subject} cannot be read: ${error.message}`);
    if (error instanceof UnlikeSql)
      return refuse(`the schema of ${subject} has what SQL has no type for: ${error.message}`);
    throw error;
  }
}

export function inferredText(inferred: InferredColumns): string {
  return JSON.stringify(Object.fromEntries(inferred));
}

/** Of what `inferredText` made. */
export function parseInferred(text: string | undefined): InferredColumns {
  if (text === undefined) return NOTHING_INFERRED;
  return new Map(Object.entries(JSON.parse(text) as Record<string, Record<Part, readonly FormatColumn[]>>));
}
