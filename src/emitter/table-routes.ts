import { HeadwaterError } from '../errors/headwater-error.ts';
import type { SnapshotMarker, SourceInfo } from '../model/change.ts';
import { type TableId, type TableSchema, tableName } from '../model/table.ts';
import type { BlockValue, SourceBlock } from '../schema/source-block.ts';
import type { Encoding, TableEncoder } from './encoders/encoder.ts';
import type { Sink, TopicHandle } from './sink.ts';
import { sanitizeTopic, topicFor } from './topic-names.ts';

export interface TableSettings {
  /** Instead of the template. */
  readonly topic?: string | undefined;
  /** Column names, in order, instead of the table's own key. */
  readonly key?: readonly string[] | undefined;
}

/** Where one version of one table goes, and how. */
export interface TableRoute<S extends SourceInfo> {
  readonly id: TableId;
  readonly name: string;
  readonly topic: TopicHandle;
  readonly encoder: TableEncoder;
  /** Indexes of the record key's columns. */
  readonly key: readonly number[];
  /** Whether that key comes from the settings. */
  readonly ownKey: boolean;
  /** Names of the table's columns. */
  readonly columns: readonly string[];
  readonly source: (at: S, snapshot: SnapshotMarker | null) => string;
  readonly sourceValues: (at: S, snapshot: SnapshotMarker | null) => readonly BlockValue[];
  /** Shared by all versions of the table. */
  readonly totals: TableTotals;
  /** Whether a failure of this version has been reported. */
  reported: boolean;
}

export interface TableTotals {
  readonly id: TableId;
  readonly topic: string;
  events: number;
  /** Milliseconds since the epoch; 0 before the first. */
  lastEventAt: number;
}

export interface RouteOptions {
  readonly name: string;
  readonly topic: string;
  readonly tables: ReadonlyMap<string, TableSettings>;
  readonly envelope: 'full' | 'unwrapped';
}

/** Compiles a table's encoder and finds its topic when the table's version is first met. */
export class TableRoutes<S extends SourceInfo> {
  readonly #options: RouteOptions;
  readonly #encoding: Encoding;
  readonly #block: SourceBlock<S>;
  readonly #sink: Sink;
  readonly #routes = new Map<TableSchema, TableRoute<S>>();
  readonly #latest = new Map<string, TableSchema>();
  readonly #totals = new Map<string, TableTotals>();
  readonly #handles = new Map<string, Promise<TopicHandle>>();
  #last: TableSchema | null = null;
  #lastRoute: TableRoute<S> | null = null;

  constructor(options: RouteOptions, encoding: Encoding, block: SourceBlock<S>, sink: Sink) {
    this.#options = options;
    this.#encoding = encoding;
    this.#block = block;
    this.#sink = sink;
  }

  /** Undefined where the table's route is there already. */
  prepare(table: TableSchema): Promise<void> | undefined {
    return this.#routes.has(table) ? undefined : this.#open(table);
  }

  /** The route of a prepared table. */
  of(table: TableSchema): TableRoute<S> {
    if (table === this.#last) return this.#lastRoute!;
    const route = this.#routes.get(table);
    if (route === undefined) {
      throw new HeadwaterError('internal.bug', `No route was prepared for ${tableName(table.id)}.`);
    }
    this.#last = table;
    this.#lastRoute = route;
    return route;
  }

  all(): Iterable<TableTotals> {
    return this.#totals.values();
  }

  async #open(table: TableSchema): Promise<void> {
    const name = tableName(table.id);
    const settings = this.#options.tables.get(name);
    const topic =
      settings?.topic === undefined
        ? topicFor(this.#options.topic, this.#options.name, table.id)
        : sanitizeTopic(settings.topic);
    let handle = this.#handles.get(topic);
    if (handle === undefined) this.#handles.set(topic, (handle = this.#sink.topic(topic, 'table')));
    const key = keyColumns(table, settings);
    const { envelope } = this.#options;
    const encoder = await this.#encoding.table({ table, key, topic, envelope, source: this.#block.schema });
    let totals = this.#totals.get(name);
    if (totals === undefined)
      this.#totals.set(name, (totals = { id: table.id, topic, events: 0, lastEventAt: 0 }));
    const route: TableRoute<S> = {
      id: table.id,
      name,
      topic: await handle,
      encoder,
      key,
      ownKey: settings?.key !== undefined,
      columns: table.columns.map((column) => column.name),
      source: this.#block.forTable(table.id),
      sourceValues: this.#block.valuesForTable(table.id),
      totals,
      reported: false,
    };
    this.#routes.set(table, route);
    this.#forgetOld(name, table);
  }

  /** Changes of the version before may still be in the same batch, so the one before that goes. */
  #forgetOld(name: string, table: TableSchema): void {
    const previous = this.#latest.get(name);
    this.#latest.set(name, table);
    for (const known of this.#routes.keys()) {
      if (
        tableName(known.id) === name &&
        known !== table &&
        known !== previous &&
        known.version < table.version - 1
      ) {
        this.#routes.delete(known);
      }
    }
  }
}

function keyColumns(table: TableSchema, settings: TableSettings | undefined): readonly number[] {
  if (settings?.key === undefined) return table.key;
  return settings.key.map((column) => {
    const index = table.columns.findIndex(({ name }) => name === column);
    if (index >= 0) return index;
    throw new HeadwaterError(
      'settings.key-column-missing',
      `The key of ${tableName(table.id)} in the settings names the column ${column}, which the table does not have.`,
      { details: { table: tableName(table.id), column } },
    );
  });
}
