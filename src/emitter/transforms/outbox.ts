/**
 * The outbox pattern: rows inserted into one table are messages for other services. Each becomes a record whose
 * key, value and topic come from its columns, as Debezium's EventRouter makes them for converters that write
 * strings as they are: key and value are the columns' text or bytes, not JSON around them.
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { RowChange, SourceInfo } from '../../model/change.ts';
import { type TableSchema, tableName } from '../../model/table.ts';
import { ABSENT, UNCHANGED, type Row, type Value } from '../../model/value.ts';
import type { Header } from '../encoders/encoder.ts';
import type { SinkRecord } from '../sink.ts';
import { sanitizeTopic } from '../topic-names.ts';

export interface OutboxOptions {
  /** `schema.table` */
  readonly table: string;
  /** With `{route}` for the value of the column `routeBy`. */
  readonly topic: string;
  readonly routeBy: string;
  /** Columns of the message's identity (header `id`), key and value. */
  readonly id: string;
  readonly key: string;
  readonly payload: string;
  /** Column that gives the record's timestamp; null: the time it is made. */
  readonly timestamp: string | null;
  /** Header name → column. */
  readonly headers: ReadonlyMap<string, string>;
}

interface Places {
  readonly table: TableSchema;
  readonly route: number;
  readonly id: number;
  readonly key: number;
  readonly payload: number;
  readonly timestamp: ((row: Row) => number | null) | null;
  readonly headers: readonly (readonly [name: string, column: number])[];
}

export class Outbox {
  readonly #options: OutboxOptions;
  #places: Places | null = null;
  #last: TableSchema | null = null;
  #isLast = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  takes(table: TableSchema): boolean {
    if (table !== this.#last) {
      this.#last = table;
      this.#isLast = tableName(table.id) === this.#options.table;
    }
    return this.#isLast;
  }

  /**
   * The topic of the message, or null where the change is none: a delete cleans up, and an update changes what has
   * been sent already. Throws `settings.outbox-column-missing`.
   */
  topic(change: RowChange<SourceInfo>): string | null {
    if (change.after === null || change.op === 'u') return null;
    const route = scalarText(change.after[this.#of(change.table).route]!);
    return sanitizeTopic(this.#options.topic.replaceAll('{route}', route === null ? '' : String(route)));
  }

  /** Fills all of the record but a timestamp that no column gives. */
  write(change: RowChange<SourceInfo>, row: Row, record: SinkRecord): void {
    const places = this.#of(change.table);
    record.key = scalarText(row[places.key]!);
    record.value = scalarText(row[places.payload]!);
    const headers: Header[] = [['id', scalarText(row[places.id]!) ?? '']];
    for (const [name, column] of places.headers) {
      const value = scalarText(row[column]!);
      if (value !== null) headers.push([name, value]);
    }
    record.headers = headers;
    const timestamp = places.timestamp?.(row) ?? null;
    if (timestamp !== null) record.timestamp = timestamp;
  }

  #of(table: TableSchema): Places {
    if (this.#places?.table === table) return this.#places;
    const { routeBy, id, key, payload, timestamp, headers } = this.#options;
    const timeColumn = timestamp === null ? null : place(table, timestamp);
    return (this.#places = {
      table,
      route: place(table, routeBy),
      id: place(table, id),
      key: place(table, key),
      payload: place(table, payload),
      timestamp: timeColumn === null ? null : timeReader(table, timeColumn),
      headers: [...headers].map(([name, column]) => [name, place(table, column)]),
    });
  }
}

function place(table: TableSchema, column: string): number {
  const index = table.columns.findIndex(({ name }) => name === column);
  if (index >= 0) return index;
  throw new HeadwaterError(
    'settings.outbox-column-missing',
    `The outbox ${tableName(table.id)} has no column ${column}.`,
    { details: { table: tableName(table.id), column } },
  );
}

/** Timestamps are microseconds; a plain number is taken for milliseconds. */
function timeReader(table: TableSchema, index: number): (row: Row) => number | null {
  const { kind } = table.columns[index]!.type;
  const divisor = kind === 'timestamp' || kind === 'timestamptz' ? 1000 : 1;
  return (row) => {
    const value = row[index];
    const time = typeof value === 'bigint' ? Number(value) : value;
    return typeof time === 'number' && Number.isFinite(time) ? Math.floor(time / divisor) : null;
  };
}

function scalarText(value: Value): string | Uint8Array | null {
  if (value === null || value === UNCHANGED || value === ABSENT) return null;
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  return Array.isArray(value) ? JSON.stringify(value) : String(value);
}
