/** What the statements of a settings file name, as far as it can be told without the database. */
import { asHeadwaterError, HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName, tableOfName } from '../../model/table.ts';
import type { MadeStatement } from './made-statements.ts';
import { deadLetterTopic } from '../run/dead-letters.ts';
import { isTopicName, notATopic, Properties } from '../sources/properties.ts';
import type { CreateAs, CreateSource, InsertSelect, Statement } from '../sql/ast.ts';
import { type Parsed, parseStatement } from '../sql/parse-statement.ts';
import { parseScript } from '../sql/script.ts';
import { notSupported, sqlError } from '../sql/sql-error.ts';
import type { Dialect } from '../sql/token-cursor.ts';

export interface EnrichmentText {
  /** What errors begin with: the file, or the setting that holds the text. */
  readonly name: string;
  readonly text: string;
}

export interface EnrichmentSettings {
  readonly texts: readonly EnrichmentText[];
  readonly dialect: Dialect;
}

export type Declaring = CreateSource | CreateAs | InsertSelect;

export interface Declared {
  readonly statement: Declaring;
  readonly parsed: Parsed;
  /** The text's name; null for one that a client is about to make, who knows its own text. */
  readonly origin: string | null;
  /** Null for one of the settings. */
  readonly made: MadeStatement | null;
}

export interface DeclaredEnrichment {
  readonly dialect: Dialect;
  readonly statements: readonly Declared[];
  /** Topics that queries write. */
  readonly topics: readonly string[];
  /** Captured tables that are named, as `schema.table`. */
  readonly tables: ReadonlySet<string>;
  /** Those that are kept as replicas. */
  readonly replicas: ReadonlySet<string>;
  /** Whether there are Kafka topics among the sources. */
  readonly readsTopics: boolean;
  /** Statements that clients have made in another version, and this one cannot read. */
  readonly unreadable: readonly { readonly made: MadeStatement; readonly error: HeadwaterError }[];
  /** What statements make that run elsewhere, since instances share them: the topic of each name. */
  readonly sharedTopics: ReadonlyMap<string, string>;
}

/** Throws HeadwaterError with name, line and column for what is wrong or not in this version. */
export function declareEnrichment(settings: EnrichmentSettings, pipeline: string): DeclaredEnrichment {
  const { dialect } = settings;
  const statements = settings.texts.flatMap(({ name, text }) =>
    located(name, () =>
      parseScript(text, dialect).map((parsed): Declared => ({
        statement: declaring(parsed),
        parsed,
        origin: name,
        made: null,
      })),
    ),
  );
  return declared(dialect, statements, pipeline);
}

/**
 * The statements of the settings, and those that clients have made. `fresh`: as the client wrote them, by their
 * numbers, for errors that point.
 */
export function withMade(
  settings: DeclaredEnrichment,
  { made, fresh }: { readonly made: readonly MadeStatement[]; readonly fresh: ReadonlyMap<number, Parsed> },
  pipeline: string,
): DeclaredEnrichment {
  const { dialect } = settings;
  const statements = [...settings.statements];
  const unreadable: DeclaredEnrichment['unreadable'][number][] = [];
  for (const each of made) {
    try {
      const own = fresh.get(each.number);
      const parsed = own ?? parseStatement({ text: each.sql, line: 1, column: 1 }, dialect);
      const origin = own === undefined ? `statement ${each.number}` : null;
      statements.push({ statement: declaring(parsed), parsed, origin, made: each });
    } catch (thrown) {
      unreadable.push({ made: each, error: asHeadwaterError(thrown) });
    }
  }
  const { sharedTopics } = settings;
  return { ...declared(dialect, statements, pipeline), unreadable, sharedTopics };
}

/** The same with only these of its statements. */
export function withStatements(
  { dialect, unreadable, sharedTopics }: DeclaredEnrichment,
  statements: readonly Declared[],
  pipeline: string,
): DeclaredEnrichment {
  return { ...declared(dialect, statements, pipeline), unreadable, sharedTopics };
}

function declared(dialect: Dialect, statements: readonly Declared[], pipeline: string): DeclaredEnrichment {
  const topics = new Set<string>();
  const tables = new Set<string>();
  const replicas = new Set<string>();
  let readsTopics = false;
  for (const each of statements) {
    const { statement, origin } = each;
    if (statement.kind === 'createAs') {
      const { properties, topic } = located(origin, () => sinkTopic(each, statement));
      topics.add(topic);
      if (properties.text('ON_ERROR')?.toUpperCase() === 'DLQ') topics.add(deadLetterTopic(topic));
    }
    if (statement.kind !== 'createSource') continue;
    if (readsTopic(statement)) {
      readsTopics = true;
      continue;
    }
    const id = located(origin, () => capturedTable(each, statement, pipeline));
    tables.add(tableName(id));
    if (statement.type === 'TABLE') replicas.add(tableName(id));
  }
  return {
    dialect,
    statements,
    topics: [...topics],
    tables,
    replicas,
    readsTopics,
    unreadable: [],
    sharedTopics: new Map(),
  };
}

/** Statements that read topics need a pipeline that writes some. */
export function needsKafka(pipeline: string): HeadwaterError {
  return new HeadwaterError(
    'enrich.not-supported',
    `The statements of the pipeline ${pipeline} read Kafka topics, and its settings name no Kafka.`,
    { fix: 'Set emit.kafka: topics are read where results are written.' },
  );
}

/** Errors inside begin with the text's name, where it has one. */
export function located<T>(name: string | null, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (name === null || !(error instanceof HeadwaterError) || error.details.line === undefined) throw error;
    const { code, details, message, cause, fix } = error;
    throw new HeadwaterError(code, `${name}, ${message}`, {
      details: { ...details, text: name },
      cause,
      fix,
    });
  }
}

const NOT_HERE: Readonly<Partial<Record<Statement['kind'], string>>> = {
  insertValues: 'INSERT … VALUES is not in this version',
  select: 'a SELECT of its own has no one to answer; write CREATE STREAM … AS SELECT',
  createType: 'CREATE TYPE is not in this version; write the type where it is used',
  alter: 'a captured table has the columns of the database; ALTER is not in this version',
};

/** The statement as one that runs for ever. Throws where it is none. */
export function declaring({ statement, source }: Parsed): Declaring {
  switch (statement.kind) {
    case 'createSource':
    case 'createAs':
    case 'insertSelect':
      return statement;
    case 'unsupported':
      throw notSupported(source, statement.at, `${statement.what} is not supported`);
    default:
      throw notSupported(
        source,
        statement.at,
        NOT_HERE[statement.kind] ??
          'this statement asks a running server; what runs for ever is CREATE STREAM, CREATE TABLE and INSERT INTO … SELECT',
      );
  }
}

const SOURCE_PROPERTIES = ['CDC_TABLE'] as const;
const SINK_PROPERTIES = [
  'KAFKA_TOPIC',
  'KEY_FORMAT',
  'VALUE_FORMAT',
  'FORMAT',
  'VALUE_DELIMITER',
  'TIMESTAMP',
  'TIMESTAMP_FORMAT',
  'PARTITIONS',
  'REPLICAS',
  'RETENTION_MS',
  'CLEANUP_POLICY',
  'KEY_SCHEMA_FULL_NAME',
  'VALUE_SCHEMA_FULL_NAME',
  'VALUE_AVRO_SCHEMA_FULL_NAME',
  'WRAP_SINGLE_VALUE',
  'FIELD_CASE',
  'ON_ERROR',
] as const;

function sinkProperties({ parsed }: Declared, statement: CreateAs): Properties {
  return new Properties(parsed.source, statement.at, statement.properties, SINK_PROPERTIES);
}

/** The topic of a query's result: its upper-case name unless said otherwise. */
export function sinkTopic(
  declared: Declared,
  statement: CreateAs,
): { readonly properties: Properties; readonly topic: string } {
  const properties = sinkProperties(declared, statement);
  const topic = properties.text('KAFKA_TOPIC') ?? statement.name;
  if (isTopicName(topic)) return { properties, topic };
  throw properties.error('KAFKA_TOPIC', notATopic(topic));
}

/** Whether the statement names a Kafka topic, not a captured table. */
export function readsTopic({ properties }: CreateSource): boolean {
  const names = (wanted: string): boolean => properties.some(({ key }) => key === wanted);
  return !names('CDC_TABLE') && ['KAFKA_TOPIC', 'VALUE_FORMAT', 'FORMAT'].some(names);
}

/** The table behind `CDC_TABLE = 'pipeline.schema.table'`. */
export function capturedTable({ parsed }: Declared, statement: CreateSource, pipeline: string): TableId {
  const { source } = parsed;
  const properties = new Properties(source, statement.at, statement.properties, SOURCE_PROPERTIES);
  const name = properties.text('CDC_TABLE');
  if (name === null)
    throw sqlError(
      source,
      statement.at,
      "expected WITH (CDC_TABLE = 'pipeline.schema.table') or WITH (KAFKA_TOPIC = '…', VALUE_FORMAT = 'JSON') at the end",
    );
  const prefix = `${pipeline}.`;
  const table = name.startsWith(prefix) ? tableOfName(name.slice(prefix.length)) : null;
  if (table === null)
    throw properties.error(
      'CDC_TABLE',
      `CDC_TABLE is pipeline.schema.table, and the pipeline here is ${pipeline}: write '${prefix}schema.table'`,
    );
  const [column] = statement.columns;
  if (column !== undefined)
    throw notSupported(
      source,
      column.at,
      'a captured table has the columns of the database; leave the list of columns out',
    );
  return table;
}
