import { HeadwaterError } from '../errors/headwater-error.ts';
import type { SnapshotMarker, SourceInfo } from '../model/change.ts';
import { type TableId, type TableSchema, tableName } from '../model/table.ts';
import type { RowFilter } from '../model/row-verdict.ts';
import type { Row } from '../model/value.ts';
import type { BlockValue, SourceBlock, WriteBlock } from '../schema/source-block.ts';
import type { Encoding, TableEncoder } from './encoders/encoder.ts';
import { POSITION_KEY, TOPIC_PREFIX } from '../state/checkpoint.ts';
import { misfitOf, type PausedTables, pausesTable } from './paused-tables.ts';
import type { Sink, TopicHandle } from './sink.ts';
import { type TableRules, tableRules, type TableSettings } from './table-rules.ts';
import { topicFaultOf } from './topic-fault.ts';
import { type TopicNaming, tableTopic } from './topic-names.ts';
import type { TopicOwners } from './topic-owners.ts';
import type { ColumnHeader } from './transforms/added-headers.ts';
import { unusedRules } from './transforms/column-rules.ts';
import type { TableShape } from './transforms/table-shape.ts';
import type { UnwrappedFields } from './transforms/unwrapped.ts';

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
  /** Names of the columns as records have them. */
  readonly columns: readonly string[];
  /** Indexes of the columns that rows show. */
  readonly fields: readonly number[];
  /** From the database's row to the one that is encoded; null where they are the same. */
  readonly project: ((row: Row) => Row) | null;
  /** Asked with images before they are projected; null: every row. */
  readonly filter: RowFilter | null;
  /** Null where columns give no headers. */
  readonly headers: readonly ColumnHeader[] | null;
  readonly source: (at: S, snapshot: SnapshotMarker | null) => string;
  readonly sourceValues: (at: S, snapshot: SnapshotMarker | null) => readonly BlockValue[];
  /** Shared by all versions of the table. */
  readonly totals: TableTotals;
  /** Changes of the table are left out. */
  readonly paused: boolean;
}

export interface TableTotals {
  readonly id: TableId;
  topic: string;
  /** Version of the schema that the last change was written with; null before the first. */
  version: number | null;
  events: number;
  /** Milliseconds since the epoch; 0 before the first. */
  lastEventAt: number;
}

export interface RouteOptions extends TopicNaming {
  readonly tables: ReadonlyMap<string, TableSettings>;
  /** By `schema.table`: counts that go on from those of an emitter before; added to. */
  readonly totals?: Map<string, TableTotals>;
  readonly envelope: 'full' | 'unwrapped';
  /** Of masks by hash. */
  readonly hashKey: string | null;
  /** Rules that name a column which the table does not have: masks, perhaps, that mask nothing. */
  readonly onUnusedRules: (table: TableId, rules: readonly string[]) => void;
}

/** What becomes of tables whose schemas are refused, and became of them before. */
export interface Pausing {
  readonly tables: PausedTables;
  readonly owners: TopicOwners;
  readonly onIncompatible: 'pause' | 'new_topic';
  /** The table's changes are left out from now on. */
  readonly onPaused: (table: TableId, error: HeadwaterError) => void;
  /** The durable state as restored. */
  readonly state: ReadonlyMap<string, string>;
}

/** Compiles a table's encoder and finds its topic when the table's version is first met. */
export class TableRoutes<S extends SourceInfo> {
  readonly #options: RouteOptions;
  readonly #unwrapped: UnwrappedFields | null;
  readonly #encoding: Encoding;
  readonly #block: SourceBlock<S>;
  readonly #sink: Sink;
  readonly #routes = new Map<TableSchema, TableRoute<S>>();
  /** Of tables that got a route since the last `forgetOld`. */
  readonly #opening = new Map<string, Promise<void>>();
  readonly #latest = new Map<string, TableSchema>();
  /** By table, all versions that have a route. */
  readonly #versions = new Map<string, TableSchema[]>();
  readonly #totals: Map<string, TableTotals>;
  readonly #handles = new Map<string, Promise<TopicHandle>>();
  readonly #pausing: Pausing | null;
  /** Tables that go on in another topic than the settings say. */
  readonly #moved: Map<string, string>;
  #changed: Map<string, string | null> | null = null;
  #last: TableSchema | null = null;
  #lastRoute: TableRoute<S> | null = null;

  constructor(
    options: RouteOptions,
    parts: {
      readonly encoding: Encoding;
      readonly block: SourceBlock<S>;
      readonly sink: Sink;
      readonly unwrapped: UnwrappedFields | null;
      readonly pausing: Pausing | null;
    },
  ) {
    this.#options = options;
    this.#totals = options.totals ?? new Map();
    this.#encoding = parts.encoding;
    this.#block = parts.block;
    this.#sink = parts.sink;
    this.#unwrapped = parts.unwrapped;
    this.#pausing = parts.pausing;
    this.#moved = new Map(parts.pausing?.owners.moved);
  }

  /** Undefined where the table's route is there already. Versions of one table are opened in order. */
  prepare(table: TableSchema): Promise<void> | undefined {
    if (this.#routes.has(table)) return undefined;
    const name = tableName(table.id);
    const before = this.#opening.get(name) ?? Promise.resolve();
    const opening = before.then(() => (this.#routes.has(table) ? undefined : this.#open(table)));
    this.#opening.set(name, opening);
    return opening;
  }

  /** Call between batches: a batch may hold changes of any number of versions of a table. */
  forgetOld(): void {
    if (this.#opening.size === 0) return;
    for (const name of this.#opening.keys()) {
      const latest = this.#latest.get(name);
      if (latest === undefined) continue;
      const kept: TableSchema[] = [];
      for (const known of this.#versions.get(name) ?? []) {
        // The one before may still come: a snapshot reads what the stream has left behind.
        if (known === latest || known.version >= latest.version - 1) kept.push(known);
        else this.#routes.delete(known);
      }
      this.#versions.set(name, kept);
    }
    this.#opening.clear();
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

  /** The counts of a table, whether or not it has a route; `topic` is what they say until it has one. */
  totalsOf(id: TableId, topic: string): TableTotals {
    const name = tableName(id);
    let totals = this.#totals.get(name);
    if (totals === undefined)
      this.#totals.set(name, (totals = { id, topic, version: null, events: 0, lastEventAt: 0 }));
    return totals;
  }

  all(): Iterable<TableTotals> {
    return this.#totals.values();
  }

  /** Whether the topic is there and may be written, as far as it can be known. */
  readonly mayWrite = async (topic: string): Promise<boolean> => {
    try {
      await this.#sink.check?.([topic], new AbortController().signal);
      return true;
    } catch {
      // Whatever it is, whoever writes to the other topics will meet it too, or it is about this one.
      return false;
    }
  };

  async #open(table: TableSchema): Promise<void> {
    const name = tableName(table.id);
    const settings = this.#options.tables.get(name);
    const { topic: usual } = tableTopic(this.#options, table.id, settings?.topic);
    const source = this.#block.forTable(table.id);
    // No rule can be held against columns without names, and no schema of theirs is anybody's.
    const nameless = table.nameless === true;
    const taken = this.#isTaken(table.id);
    const rules = nameless || taken ? null : this.#rules(table, settings);
    const shown = nameless && settings?.columns === undefined ? table.columns : [];
    const { encoder, topic } =
      rules === null
        ? { encoder: UNWRITABLE, topic: this.#moved.get(name) ?? usual }
        : await this.#encoder(rules.shape, table, usual, source);
    const handle = taken ? null : await this.#topic(topic, table.id);
    const totals = this.totalsOf(table.id, topic);
    totals.topic = topic;
    totals.version = table.version;
    const route: TableRoute<S> = {
      id: table.id,
      name,
      topic: handle ?? { name: topic },
      encoder: handle === null ? UNWRITABLE : encoder,
      key: rules?.shape.key ?? [],
      ownKey: settings?.key !== undefined,
      columns: (rules?.shape.table.columns ?? shown).map((column) => column.name),
      fields: rules?.shape.fields ?? shown.map((_, i) => i),
      project: rules?.shape.project ?? null,
      filter: rules?.filter ?? null,
      headers: rules?.headers ?? null,
      source,
      sourceValues: this.#block.valuesForTable(table.id),
      totals,
      paused: handle === null || (nameless ? this.#isPaused(name) : encoder === UNWRITABLE),
    };
    this.#routes.set(table, route);
    const versions = this.#versions.get(name);
    if (versions === undefined) this.#versions.set(name, [table]);
    else versions.push(table);
    if (!nameless) this.#latest.set(name, table);
  }

  #isPaused(name: string): boolean {
    return (this.#pausing?.tables.reason(name) ?? null) !== null;
  }

  /** Whether its topic is another table's: the table is paused. */
  #isTaken(id: TableId): boolean {
    const pausing = this.#pausing;
    const error = pausing?.owners.claim(id, this.#moved.get(tableName(id)) ?? null) ?? null;
    if (pausing === null || error === null) return false;
    this.#pause(id, error, pausing);
    return true;
  }

  /** Null where it cannot be had: the table is paused, unless nothing has been delivered of the pipeline yet. */
  async #topic(name: string, id: TableId): Promise<TopicHandle | null> {
    let handle = this.#handles.get(name);
    if (handle === undefined) this.#handles.set(name, (handle = this.#sink.topic(name, 'table')));
    try {
      return await handle;
    } catch (thrown) {
      this.#handles.delete(name);
      const error = topicFaultOf(thrown);
      const pausing = this.#pausing;
      if (error === null || pausing === null || !pausing.state.has(POSITION_KEY)) throw thrown;
      this.#pause(id, error, pausing);
      return null;
    }
  }

  /**
   * What the settings make of a version. Null where they do not fit it: the table is paused. Only at the very first
   * start of a pipeline that is thrown instead: no DDL has led to it, and nothing has been left out yet.
   */
  #rules(table: TableSchema, settings: TableSettings | undefined): TableRules | null {
    try {
      if (settings?.columns !== undefined) {
        const unused = unusedRules(settings.columns, table);
        if (unused.length > 0) this.#options.onUnusedRules(table.id, unused);
      }
      return tableRules(table, settings, {
        naming: this.#options,
        hashKey: this.#options.hashKey,
        profile: this.#encoding.profile,
        added: this.#unwrapped?.columns ?? [],
      });
    } catch (thrown) {
      const error = misfitOf(thrown);
      const pausing = this.#pausing;
      if (error === null || pausing === null) throw thrown;
      if (!pausing.state.has(POSITION_KEY) && !this.#latest.has(tableName(table.id))) throw thrown;
      this.#pause(table.id, error, pausing);
      return null;
    }
  }

  #pause(id: TableId, error: HeadwaterError, { tables, onPaused }: Pausing): void {
    tables.pause(tableName(id), error);
    onPaused(id, error);
  }

  /** The encoder of a version, and the topic its records go to. */
  async #encoder(
    shape: TableShape,
    { id }: TableSchema,
    usual: string,
    source: TableRoute<S>['source'],
  ): Promise<{ readonly encoder: TableEncoder; readonly topic: string }> {
    const name = tableName(id);
    const { envelope } = this.#options;
    const pausing = this.#pausing;
    const compile = (topic: string): TableEncoder | Promise<TableEncoder> =>
      this.#encoding.table({
        table: shape.table,
        key: shape.key,
        fields: shape.fields,
        topic,
        source: this.#block.schema,
        // Given nothing but what this source's own changes say of where they come from.
        writeSource: (this.#block.writerForTable?.(id) ?? textWriter(source)) as WriteBlock<SourceInfo>,
        envelope,
      });
    let topic = this.#moved.get(name) ?? usual;
    for (;;) {
      try {
        const encoder = await compile(topic);
        if (pausing === null || pausing.tables.reason(name) === null) return { encoder, topic };
        // What was left out has to be read first.
        pausing.tables.accept(name);
        return { encoder: UNWRITABLE, topic };
      } catch (thrown) {
        const error = pausesTable(thrown);
        if (error === null || pausing === null) throw thrown;
        if (error.code === 'schema.incompatible' && pausing.onIncompatible === 'new_topic') {
          do topic = nextTopic(usual, topic);
          while (pausing.owners.claim(id, topic) !== null);
          this.#move(name, topic);
          continue;
        }
        this.#pause(id, error, pausing);
        return { encoder: UNWRITABLE, topic };
      }
    }
  }

  /** The table goes on in another topic, also after a restart. */
  #move(name: string, topic: string): void {
    this.#moved.set(name, topic);
    this.#changed ??= new Map();
    this.#changed.set(TOPIC_PREFIX + name, JSON.stringify({ v: 1, topic }));
  }

  /** What became new since the last call, to be made durable with the records. */
  takeChanged(): ReadonlyMap<string, string | null> | undefined {
    const changed = this.#changed;
    this.#changed = null;
    return changed ?? undefined;
  }
}

function textWriter<S extends SourceInfo>(text: TableRoute<S>['source']): WriteBlock<S> {
  return (at, snapshot, out) => out.text(text(at, snapshot));
}

/** `shop.public.orders`, then `shop.public.orders.v2`, `.v3` and so on. */
function nextTopic(usual: string, current: string): string {
  const version = current === usual ? 1 : Number(current.slice(usual.length + 2));
  return `${usual}.v${version + 1}`;
}

/** Of a paused table: nothing is written with it. */
const UNWRITABLE: TableEncoder = {
  key: refuseToWrite,
  value: refuseToWrite,
  row: refuseToWrite,
  takeHeaders: () => null,
};

function refuseToWrite(): never {
  throw new HeadwaterError('internal.bug', 'A change of a paused table was to be written.');
}
