/** Records of a declared topic as rows of its columns. */
import type { TopicRecord } from '../../emitter/topic-reader.ts';
import { type PartReader, partReader, type ReadSchemas } from '../formats/format.ts';
import type { Problem } from '../sql/frame.ts';
import type { SqlValue } from '../sql/value.ts';
import type { TopicSource } from '../sources/topic-source.ts';

export interface RecordRow {
  /** By the topic's columns. */
  readonly row: readonly SqlValue[];
  readonly hasValue: boolean;
  /** ms since the epoch */
  readonly time: number;
}

export class RecordRows {
  readonly #source: TopicSource;
  readonly #key: PartReader;
  readonly #value: PartReader;
  readonly #keyIndexes: readonly number[];
  readonly #valueIndexes: readonly number[];
  /** A copy is no larger than it has to be, as one that grows would be. */
  readonly #emptyRow: readonly SqlValue[];

  constructor(source: TopicSource, schemas: ReadSchemas) {
    this.#source = source;
    const { columns, keyFormat, valueFormat, delimiter, wrapSingleValue } = source;
    const indexes = (key: boolean): readonly number[] =>
      columns.flatMap((column, index) => (column.key === key ? [index] : []));
    this.#emptyRow = columns.map(() => null);
    this.#keyIndexes = indexes(true);
    this.#valueIndexes = indexes(false);
    this.#key = partReader(
      columns.filter(({ key }) => key),
      { format: keyFormat, delimiter, bare: this.#keyIndexes.length === 1 },
      schemas,
    );
    this.#value = partReader(
      columns.filter(({ key }) => !key),
      { format: valueFormat, delimiter, bare: !wrapSingleValue },
      schemas,
    );
  }

  /** Where not null, wait for it before `read`: the record has a schema that has not been met yet. */
  prepare({ key, value }: TopicRecord): Promise<unknown> | null {
    const ofKey = key === null ? null : (this.#key.prepare?.(key) ?? null);
    const ofValue = value === null ? null : (this.#value.prepare?.(value) ?? null);
    return ofKey === null ? ofValue : ofValue === null ? ofKey : Promise.all([ofKey, ofValue]);
  }

  /** Or what is wrong with the record. */
  read(record: TopicRecord): RecordRow | Problem {
    const { timestamp } = this.#source;
    const row = this.#emptyRow.slice();
    const read =
      fill(row, this.#keyIndexes, { part: this.#key, bytes: record.key }) &&
      fill(row, this.#valueIndexes, { part: this.#value, bytes: record.value });
    if (!read) return 'record-unreadable';
    const own = timestamp === null || record.value === null ? null : (row[timestamp.index] ?? null);
    const time =
      timestamp === null || record.value === null
        ? record.timestamp
        : own === null
          ? null
          : timestamp.read(own);
    if (time === null || !(time >= 0)) return 'timestamp';
    return { row, hasValue: record.value !== null, time };
  }
}

/** Of one part of one record. */
const scratch: SqlValue[] = [];

function fill(
  row: SqlValue[],
  indexes: readonly number[],
  { part, bytes }: { readonly part: PartReader; readonly bytes: Uint8Array | null },
): boolean {
  if (bytes === null || indexes.length === 0) return true;
  scratch.length = 0;
  if (!part.read(bytes, scratch)) return false;
  for (let i = 0; i < indexes.length; i++) row[indexes[i]!] = scratch[i] ?? null;
  return true;
}
