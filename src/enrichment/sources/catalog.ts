/** The streams and tables that statements can name. */
import type { TopicWish } from '../../emitter/sink.ts';
import { nearest } from '../../errors/nearest.ts';
import type { CapturedSource, SqlColumn } from './captured-source.ts';
import type { Format } from '../formats/format.ts';
import type { TimestampColumn } from './timestamp-column.ts';
import type { TopicSource } from './topic-source.ts';
import type { ReadTable } from './table-source.ts';
import { notSupported, type SourceText, sqlError } from '../sql/sql-error.ts';

export interface StreamSource {
  readonly kind: 'STREAM';
  readonly name: string;
  readonly columns: readonly SqlColumn[];
  /** The captured table whose change events these are; null for the result of a query. */
  readonly captured: CapturedSource | null;
  /** The Kafka topic whose records these are. */
  readonly topic: TopicSource | null;
  readonly sink: Sinkable | null;
  /** Whether the topic holds the rows of a table: the last record of a key is what counts. */
  readonly kept: boolean;
  /** Indexes of its key columns, in the order in which the keys of its records hold them. */
  readonly keyOrder: readonly number[];
}

/** Where nothing says otherwise keys hold their columns as these come. */
export function keysInOrder(columns: readonly SqlColumn[]): readonly number[] {
  return columns.flatMap(({ key }, index) => (key ? [index] : []));
}

/** A stream that no query writes. */
export function inputStream({
  name,
  columns,
  captured = null,
  topic = null,
}: Pick<StreamSource, 'name' | 'columns'> & Partial<Pick<StreamSource, 'captured' | 'topic'>>): StreamSource {
  const keyOrder = keysInOrder(columns);
  return { kind: 'STREAM', name, columns, captured, topic, sink: null, kept: false, keyOrder };
}

export interface TableSource {
  readonly kind: 'TABLE';
  readonly name: string;
  /** Of a windowed table with WINDOWSTART and WINDOWEND at the end. */
  readonly columns: readonly SqlColumn[];
  /** Null for the result of a query, and the table of a topic. */
  readonly captured: CapturedSource | null;
  /** What the query writes to; null for a captured table and that of a topic. */
  readonly result: StreamSource | null;
  /** The Kafka topic that holds it. */
  readonly topic: TopicSource | null;
  /** Indexes of its key columns, in the order in which they make the key of its rows. */
  readonly keyOrder: readonly number[];
  /** Null for one with windows: the start of a window is part of its key. */
  readonly rows: ReadTable | null;
}

export type Source = StreamSource | TableSource;

/** What comes of rows and records that fail. */
export type OnError = 'LOG' | 'STOP' | 'DLQ';

/** Where the rows of a query's stream go, and how they are written. */
export interface Sinkable {
  readonly topic: string;
  readonly keyFormat: Format;
  readonly valueFormat: Format;
  /** Of DELIMITED. */
  readonly delimiter: string;
  /** Full names of the records in Avro's schemas. */
  readonly schemaNames: { readonly key: string; readonly value: string };
  readonly fieldCase: 'UPPER' | 'LOWER' | 'SOURCE';
  readonly wrapSingleValue: boolean;
  /** The column that gives the record's timestamp. */
  readonly timestamp: TimestampColumn | null;
  /** Of all queries that write it. */
  readonly onError: OnError;
  /** How the topic is made where it is missing. */
  readonly wish: TopicWish;
}

/** Whether the statement has the topic made so that it keeps the last record of each key: every record needs one. */
export function isCompacted({ wish }: Pick<Sinkable, 'wish'>): boolean {
  return wish.config['cleanup.policy']?.includes('compact') === true;
}

export class Catalog {
  readonly #sources = new Map<string, Source>();
  readonly #sharedTopics: ReadonlyMap<string, string>;

  /** `sharedTopics`: of results that are not here, since instances share them, by name. */
  constructor(sharedTopics: ReadonlyMap<string, string>) {
    this.#sharedTopics = sharedTopics;
  }

  get(name: string): Source | undefined {
    return this.#sources.get(name);
  }

  all(): Iterable<Source> {
    return this.#sources.values();
  }

  add(source: Source): void {
    this.#sources.set(source.name, source);
  }

  /** Throws where there is none, with the nearest name. */
  find(name: string, at: { readonly source: SourceText; readonly offset: number }): Source {
    const found = this.#sources.get(name);
    if (found !== undefined) return found;
    this.refuseShared(name, at);
    const meant = nearest(name, [...this.#sources.keys()]);
    throw sqlError(
      at.source,
      at.offset,
      `there is no stream or table ${name}${meant === null ? '; create it before it is used' : `; did you mean ${meant}?`}`,
    );
  }

  /** Throws where the name is that of a result which is not here, since instances share it. */
  refuseShared(name: string, at: { readonly source: SourceText; readonly offset: number }): void {
    const topic = this.#sharedTopics.get(name);
    if (topic !== undefined)
      throw notSupported(
        at.source,
        at.offset,
        `${name} is made by instances that share it (enrich.shared), so that none of them has it whole to be asked or read here: read its topic ${topic}, or declare that as a stream or table with KAFKA_TOPIC`,
      );
  }
}
