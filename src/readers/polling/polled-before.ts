import { isDeepStrictEqual } from 'node:util';
import type { Change } from '../../model/change.ts';
import type { JsonValue } from '../../model/position.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import type { Image } from '../../model/raw-row.ts';
import type { Row } from '../../model/value.ts';
import { LOGGED_KEY, type POLLED_KEY, SCHEMA_PREFIX } from '../../state/checkpoint.ts';
import { missingDeletes, type DeliveredBefore, type GoneRows } from '../delivered-before.ts';
import { keyOf, type PollDialect, type PolledTable } from '../poll-dialect.ts';
import { POLL_POSITIONS } from './position.ts';
import { KnownKeys, RowState } from './row-state.ts';
import { readableCells } from './readable-values.ts';
import { textOfValues, valuesOfText } from './row-text.ts';
import type { PollReaderOptions } from './settings.ts';

/** Keys that are compared at once. */
const PAGE_KEYS = 10_000;
/** Rows of one batch of deletes. */
const BATCH_ROWS = 1_000;

/**
 * What polling leaves to the log: `{"v": 1, "kept": "5f3a…:340", "shapes": {"public.t": {"version": 2, "columns":
 * ["id", "v"]}}}`.
 */
export interface PolledRecord {
  /** As PollPosition has it, and of the deletes that were told of since; null: nothing is known of rows. */
  readonly kept: string | null;
  /** Columns of the rows that are kept under this version. */
  readonly shapes: { readonly [table: string]: Shape | undefined };
}

interface Shape {
  readonly version: number;
  readonly columns: readonly string[];
}

/** Of the durable state that polling has written; goes under POLLED_KEY. */
export function polledRecord(position: JsonValue, state: ReadonlyMap<string, string>): string {
  const shapes: Record<string, Shape> = {};
  for (const [key, text] of state) {
    const shape = key.startsWith(SCHEMA_PREFIX) ? shapeOf(parsed(text)) : null;
    if (shape !== null) shapes[key.slice(SCHEMA_PREFIX.length)] = shape;
  }
  return encodePolledRecord({ kept: POLL_POSITIONS.decode(position).kept, shapes });
}

export function encodePolledRecord({ kept, shapes }: PolledRecord): string {
  return JSON.stringify({ v: 1, kept, shapes });
}

/** Names the state of the local file that belongs to the record; null: none does. */
export function keptOf(text: string): string | null {
  return decode(text).kept;
}

/** Of what cannot be read nothing is known. */
function decode(text: string): PolledRecord {
  const { kept, shapes } = fields(parsed(text));
  const known = Object.entries(fields(shapes)).map(([table, json]) => [table, shapeOf(json)] as const);
  return {
    kept: typeof kept === 'string' ? kept : null,
    shapes: Object.fromEntries(known.flatMap(([table, shape]) => (shape === null ? [] : [[table, shape]]))),
  };
}

function parsed(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return null;
  }
}

function shapeOf(json: JsonValue | undefined): Shape | null {
  const { version, columns } = fields(json);
  if (typeof version !== 'number' || !Array.isArray(columns)) return null;
  const names = (columns as readonly JsonValue[]).map((column) =>
    typeof column === 'string' ? column : fields(column)['name'],
  );
  const texts = names.filter((name) => typeof name === 'string');
  return texts.length === names.length ? { version, columns: texts } : null;
}

function fields(json: JsonValue | undefined): { readonly [key: string]: JsonValue | undefined } {
  const isObject = typeof json === 'object' && json !== null && !Array.isArray(json);
  return isObject ? (json as { readonly [key: string]: JsonValue }) : {};
}

export interface PolledBeforeOptions extends Pick<
  PollReaderOptions,
  'settingsOf' | 'statePath' | 'stateLimitBytes'
> {
  readonly dialect: PollDialect;
  /** What is captured. */
  readonly tables: readonly TableId[];
  /** Whose rows are known: polling's (POLLED_KEY), or those that the log has delivered (LOGGED_KEY). */
  readonly of: typeof POLLED_KEY | typeof LOGGED_KEY;
  /** File of the row state of polling that has taken over; null: the log has. */
  readonly polledNow: string | null;
  /** Text of that key. */
  readonly record: string;
}

/**
 * Holds the rows that are known against the tables' keys, and against what is told of until all has been seen up to where the
 * source stood behind that. A row that was told of is forgotten together with the checkpoint that holds it, so that a
 * restart goes on with it. What is in a table now counts for this process alone.
 */
export async function openPolledBefore(
  options: PolledBeforeOptions,
  signal: AbortSignal,
): Promise<DeliveredBefore> {
  const { dialect, tables, settingsOf, statePath: path, stateLimitBytes: limitBytes } = options;
  const record = decode(options.record);
  const remembered = tables.filter((id) => settingsOf(id).remember !== 'overlap');
  const state =
    record.kept === null || remembered.length === 0 ? null : new RowState({ path, limitBytes }, record.kept);
  try {
    const known = state === null || state.fresh ? [] : await dialect.describe(remembered, signal);
    const polled = known.filter((table) => hasKeysIn(state, table));
    const names = new Set(polled.map(({ schema }) => tableName(schema.id)));
    const whole = (id: TableId): boolean =>
      names.has(tableName(id)) && state?.isComplete(tableName(id)) === true;
    return new PolledBefore(options, { state, record, polled, untold: untoldOf(tables, options.of, whole) });
  } catch (error) {
    state?.close();
    await dialect[Symbol.asyncDispose]();
    throw error;
  }
}

/** Whether the keys that are known are those that can be asked for. */
function hasKeysIn(state: RowState | null, table: PolledTable): boolean {
  const { name, columns } = new KnownTable(table);
  return columns.length > 0 && isDeepStrictEqual(state?.columnsOf(name) ?? columns, columns);
}

function untoldOf(
  tables: readonly TableId[],
  of: PolledBeforeOptions['of'],
  whole: (id: TableId) => boolean,
): readonly string[] {
  const names = tables.filter((id) => !whole(id)).map(tableName);
  if (names.length === 0) return [];
  if (of === LOGGED_KEY) return [missingDeletes(names)];
  return [
    `Polling did not remember all rows of ${names.join(', ')}: of those that were deleted before the log began, the topics have no delete where no sweep has found it.`,
  ];
}

class PolledBefore implements DeliveredBefore {
  readonly untold: readonly string[];
  readonly finished: ReadonlyMap<string, null>;
  readonly #options: PolledBeforeOptions;
  readonly #state: RowState | null;
  readonly #tables: ReadonlyMap<string, KnownTable>;
  readonly #stamp: number;
  /** What polling, which has taken over, has read by itself: its sweeps tell of that. */
  readonly #polledNow: KnownKeys | null;
  #record: PolledRecord;

  constructor(
    options: PolledBeforeOptions,
    of: {
      readonly state: RowState | null;
      readonly record: PolledRecord;
      readonly polled: readonly PolledTable[];
      readonly untold: readonly string[];
    },
  ) {
    this.#options = options;
    this.finished = new Map([[options.of, null]]);
    this.#state = of.state;
    this.#record = of.record;
    this.untold = of.untold;
    this.#polledNow =
      options.polledNow === null || of.state === null ? null : new KnownKeys(options.polledNow);
    this.#stamp = of.state?.beginComparison() ?? 0;
    this.#tables = new Map(
      of.polled.map((table) => [tableName(table.schema.id), new KnownTable(table)] as const),
    );
  }

  get tables(): readonly TableId[] {
    return Array.from(this.#tables.values(), ({ polled }) => polled.schema.id);
  }

  async compare(id: TableId, signal: AbortSignal): Promise<void> {
    const table = this.#tables.get(tableName(id));
    const state = this.#state;
    if (table === undefined || state === null) return;
    for (let after: readonly string[] | null = null; ;) {
      const page = await this.#options.dialect.keys(table.polled, { after, limit: PAGE_KEYS }, signal);
      state.together(() => {
        for (const key of page.keys) state.touch(table.name, keyBytes(key), this.#stamp);
      });
      after = page.after;
      if (after === null || signal.aborted) return;
    }
  }

  saw(changes: readonly Change[]): ReadonlyMap<string, string> | null {
    const state = this.#state;
    const concerned = changes.flatMap((change) => {
      if (change.kind !== 'row' && change.kind !== 'truncate') return [];
      // A snapshot that is begun anew after a kill does not read again what has been deleted since, and nobody else tells of it.
      if (change.kind === 'row' && change.op === 'r') return [];
      const table = this.#tables.get(tableName(change.table.id));
      return table === undefined ? [] : [{ change, table }];
    });
    if (state === null || concerned.length === 0) return null;
    const { kept } = state;
    state.inNextBatch(() => {
      for (const { change, table } of concerned) {
        if (change.kind === 'truncate') {
          state.removeAll(table.name);
          continue;
        }
        for (const image of [change.before, change.after]) {
          const key = image === null ? null : table.keyOf(change.table, image);
          if (key !== null) state.remove(table.name, key);
        }
      }
    });
    return state.kept === kept ? null : this.#durable(state);
  }

  *gone(id: TableId): Generator<GoneRows> {
    const table = this.#tables.get(tableName(id));
    const state = this.#state;
    if (table === undefined || state === null) return;
    const shape = this.#record.shapes[table.name];
    const swept = this.#options.settingsOf(id).sweepMs === null ? null : this.#polledNow;
    for (;;) {
      const keys = state.unseen(table.name, this.#stamp, BATCH_ROWS);
      if (keys.length === 0) return;
      const whole: Row[] = [];
      const keyed: Row[] = [];
      state.inNextBatch(() => {
        for (const key of keys) {
          const known = state.get(table.name, key);
          state.remove(table.name, key);
          if (swept?.has(table.name, key) === true) continue;
          const isWhole = known?.row != null && known.version === shape?.version;
          if (isWhole) whole.push(valuesOfText(known.row));
          else keyed.push(valuesOfText(Buffer.from(key).toString()));
        }
      });
      yield {
        parts: [
          { columns: shape?.columns ?? [], rows: whole },
          { columns: table.columns, rows: keyed },
        ],
        state: this.#durable(state),
      };
    }
  }

  #durable({ kept }: RowState): ReadonlyMap<string, string> {
    this.#record = { ...this.#record, kept };
    return new Map([[this.#options.of, encodePolledRecord(this.#record)]]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#polledNow?.close();
    this.#state?.close();
    await this.#options.dialect[Symbol.asyncDispose]();
  }
}

/** A table with a key by which polling has recognised its rows. */
class KnownTable {
  readonly polled: PolledTable;
  readonly name: string;
  /** Names of the key's. */
  readonly columns: readonly string[];
  #schema: TableSchema | null = null;
  #indexes: readonly number[] = [];

  constructor(polled: PolledTable) {
    this.polled = polled;
    this.name = tableName(polled.schema.id);
    this.columns = keyOf(polled).map((index) => polled.schema.columns[index]!.name);
  }

  /** Of a row in the log's schema; null where it has not all of the key, or that cannot be read. */
  keyOf(schema: TableSchema, row: Image): Uint8Array | null {
    if (schema !== this.#schema) {
      this.#schema = schema;
      this.#indexes = this.columns.map((column) => schema.columns.findIndex(({ name }) => name === column));
    }
    if (this.#indexes.some((index) => index < 0)) return null;
    const key = readableCells(row, this.#indexes);
    return key === null ? null : keyBytes(key);
  }
}

function keyBytes(values: Row): Uint8Array {
  return Buffer.from(textOfValues(values));
}
