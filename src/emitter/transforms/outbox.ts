/**
 * The outbox pattern: rows inserted into one table are messages for other services. Each becomes a record whose
 * key, value and topic come from its columns, as Debezium's EventRouter makes them for converters that write
 * strings as they are: key and value are the columns' text or bytes, not JSON around them.
 */
import type { RowChange } from '../../model/change.ts';
import { type TableSchema, tableName } from '../../model/table.ts';
import { valuesOf } from '../../model/raw-row.ts';
import type { Row } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { SinkRecord } from '../sink.ts';
import { refuseTopicName } from '../topic-fault.ts';
import { sanitizeTopic } from '../topic-names.ts';
import { type ColumnHeader, columnHeaders, columnIndex, headersOf } from './added-headers.ts';
import { type ValueText, valueText } from './value-text.ts';

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

interface Cell {
  readonly column: number;
  readonly text: ValueText;
}

/** Where one version of the table has what messages are made of. */
interface Places {
  readonly table: TableSchema;
  readonly route: Cell;
  readonly id: Cell;
  readonly key: Cell;
  readonly payload: Cell;
  readonly timeMs: ((row: Row) => number | null) | null;
  readonly headers: readonly ColumnHeader[];
}

/** Makes messages of one table's inserts; compiled anew with each version of the table. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #profile: Profile;
  #places: Places | null = null;
  #last: TableSchema | null = null;
  #isLast = false;

  constructor(options: OutboxOptions, profile: Profile) {
    this.#options = options;
    this.#profile = profile;
  }

  takes(table: TableSchema): boolean {
    if (table !== this.#last) {
      this.#last = table;
      this.#isLast = tableName(table.id) === this.#options.table;
    }
    return this.#isLast;
  }

  /** Throws `settings.column-missing` where the table lacks a column that messages are made of. */
  fit(table: TableSchema): void {
    this.#of(table);
  }

  /** With `{route}` in it, whatever the message. */
  get topic(): string {
    return this.#options.topic;
  }

  /** A delete cleans up, and an update changes what has been sent already. */
  isMessage({ op, after }: RowChange): boolean {
    return after !== null && op !== 'u';
  }

  /**
   * The topic of the message, or null where the change is none. Throws `settings.column-missing`,
   * `delivery.topic-invalid`.
   */
  topicOf(change: RowChange): string | null {
    const { table, after } = change;
    if (after === null || !this.isMessage(change)) return null;
    const { route } = this.#of(table);
    const topic = sanitizeTopic(
      this.#options.topic.replaceAll('{route}', () => String(read(route, valuesOf(after)) ?? '')),
    );
    refuseTopicName(topic, `The column ${this.#options.routeBy} of a row of ${this.#options.table}`);
    return topic;
  }

  /** Fills the record. A change that `topicOf` finds none for has no message. */
  write(table: TableSchema, row: Row, record: SinkRecord): void {
    const { id, key, payload, timeMs, headers } = this.#of(table);
    record.key = read(key, row);
    record.value = read(payload, row);
    record.headers = [['id', read(id, row) ?? ''], ...headersOf(headers, row)];
    record.timestamp = timeMs?.(row) ?? record.timestamp;
  }

  #of(table: TableSchema): Places {
    if (this.#places?.table === table) return this.#places;
    const { routeBy, id, key, payload, timestamp, headers } = this.#options;
    const cell = (name: string): Cell => {
      const column = columnIndex(table, name, 'The outbox');
      return { column, text: valueText(table.columns[column]!, this.#profile) };
    };
    return (this.#places = {
      table,
      route: cell(routeBy),
      id: cell(id),
      key: cell(key),
      payload: cell(payload),
      timeMs: timestamp === null ? null : timeReader(table, columnIndex(table, timestamp, 'The outbox')),
      headers: columnHeaders(table, headers, this.#profile),
    });
  }
}

function read({ column, text }: Cell, row: Row): string | Uint8Array | null {
  return text(row[column]!);
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
