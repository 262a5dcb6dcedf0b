import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import { SCHEMA_PREFIX } from '../../state/checkpoint.ts';
import { type TableModel, tableModel, type TableVersion } from './table-model.ts';
import type { DecoderContext } from './types/column-decoder.ts';
import { visibleColumns } from './types/column-metadata.ts';

export type Described = Omit<TableVersion, 'version' | 'from'>;

/** A captured table: one object for its life, with a number that stands for it on disk. */
export interface CapturedRef {
  readonly number: number;
  readonly id: TableId;
}

interface Known extends CapturedRef {
  /** Ascending by `from`. */
  versions: TableVersion[];
  readonly models: Map<TableVersion, TableModel>;
  /** By number: versions that differ in what users do not see share one, so that encoders stay. */
  readonly schemas: Map<number, TableSchema>;
}

/**
 * The shapes of the captured tables by SCN. They are part of the durable state (key `schema/…`), since what is
 * mined again after a restart has to be read with the shape of its time, and since redo whose objects the
 * dictionary has forgotten names tables by number.
 */
export class TableHistory {
  readonly #context: DecoderContext;
  readonly #restored: ReadonlyMap<string, string>;
  readonly #byName = new Map<string, Known>();
  readonly #byObject = new Map<string, Known>();
  readonly #list: Known[] = [];
  #changed = new Set<Known>();

  /** `restored` is the checkpoint's durable state. */
  constructor(context: DecoderContext, restored: ReadonlyMap<string, string>) {
    this.#context = context;
    this.#restored = restored;
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  /** Whether any table has LOBs, XML or long strings. */
  get hasLargeColumns(): boolean {
    return this.#list.some((known) => this.current(known).decoders.some(({ large }) => large));
  }

  /** A table that is captured, as the catalogue has it now: its first shape where none is stored. */
  adopt(id: TableId, described: Described): CapturedRef {
    const stored = decodeVersions(this.#restored.get(SCHEMA_PREFIX + tableName(id)));
    const known = this.#new(id, stored ?? [{ ...described, version: 1, from: 0n }]);
    if (stored === null) this.#changed.add(known);
    return known;
  }

  /** Null for tables that are not captured. */
  find(owner: string, table: string): CapturedRef | null {
    return this.#byName.get(`${owner}.${table}`) ?? null;
  }

  /** By OBJECT_ID or DATA_OBJECT_ID, of any time. */
  findObject(objectId: string | null, dataObjectId: string | null): CapturedRef | null {
    return this.#byObject.get(objectId ?? '') ?? this.#byObject.get(dataObjectId ?? '') ?? null;
  }

  ref(number: number): CapturedRef {
    return this.#list[number]!;
  }

  /** The table as it was at that SCN. */
  modelAt(ref: CapturedRef, scn: bigint): TableModel {
    const known = this.#list[ref.number]!;
    let version = known.versions[0]!;
    for (const later of known.versions) {
      if (later.from > scn) break;
      version = later;
    }
    return this.#model(known, version);
  }

  current(ref: CapturedRef): TableModel {
    const known = this.#list[ref.number]!;
    return this.#model(known, known.versions.at(-1)!);
  }

  /** Whether a change of shape at that SCN is in the history already: it is read for the second time. */
  knows(ref: CapturedRef, scn: bigint): boolean {
    return this.#list[ref.number]!.versions.at(-1)!.from >= scn;
  }

  /** A new shape from that SCN on; null where it is the same as before. */
  evolve(
    ref: CapturedRef,
    scn: bigint,
    described: Described,
  ): { readonly previous: TableSchema; readonly table: TableSchema } | null {
    const known = this.#list[ref.number]!;
    // Where a row shows that the history was wrong, later shapes may be known already.
    const before = known.versions.findLastIndex(({ from }) => from <= scn);
    const last = known.versions[Math.max(before, 0)]!;
    if (
      JSON.stringify({ ...last, version: 0, from: 0 }) ===
      JSON.stringify({ ...described, version: 0, from: 0 })
    ) {
      return null;
    }
    const previous = this.#model(known, last);
    const sameShape = shapeOf(last) === shapeOf(described);
    const next = Math.max(...known.versions.map(({ version }) => version)) + 1;
    const version = { ...described, version: sameShape ? last.version : next, from: scn };
    known.versions.splice(before + 1, 0, version);
    this.#index(known, version);
    this.#changed.add(known);
    // Moved or truncated: the same schema object, so that encoders stay.
    return sameShape ? null : { previous: previous.schema, table: this.#model(known, version).schema };
  }

  /** A table takes the name of one that is gone by now. */
  rename(ref: CapturedRef, to: CapturedRef, scn: bigint): void {
    this.evolve(to, scn, this.#list[ref.number]!.versions.at(-1)!);
  }

  /**
   * What became new since the last call, to be made durable with the next batch. Shapes that no row at or behind
   * `scn` can have are forgotten.
   */
  takeChanged(scn: bigint): ReadonlyMap<string, string | null> | undefined {
    if (this.#changed.size === 0) return undefined;
    const state = new Map<string, string | null>();
    for (const known of this.#changed) {
      const { versions } = known;
      known.versions = versions.filter(
        (_, i) => versions[i + 1] === undefined || versions[i + 1]!.from > scn,
      );
      for (const version of versions) if (!known.versions.includes(version)) known.models.delete(version);
      state.set(SCHEMA_PREFIX + tableName(known.id), encodeVersions(known.versions));
    }
    this.#changed = new Set();
    return state;
  }

  #new(id: TableId, versions: TableVersion[]): Known {
    const known: Known = { number: this.#list.length, id, versions, models: new Map(), schemas: new Map() };
    this.#list.push(known);
    this.#byName.set(tableName(id), known);
    for (const version of versions) this.#index(known, version);
    return known;
  }

  #index(known: Known, { objectId, dataObjectIds }: TableVersion): void {
    for (const id of [objectId, ...dataObjectIds]) if (id !== null) this.#byObject.set(id, known);
  }

  #model(known: Known, version: TableVersion): TableModel {
    let model = known.models.get(version);
    if (model === undefined) {
      model = tableModel(known.id, version, this.#context);
      const schema = known.schemas.get(version.version);
      if (schema === undefined) known.schemas.set(version.version, model.schema);
      else model = { ...model, schema };
      known.models.set(version, model);
    }
    return model;
  }
}

/** What users see of a table. */
export function shapeOf({ columns, key }: Pick<Described, 'columns' | 'key'>): string {
  return JSON.stringify([visibleColumns(columns), key]);
}

function encodeVersions(versions: readonly TableVersion[]): string {
  return JSON.stringify({
    v: 1,
    versions: versions.map((version) => ({ ...version, from: String(version.from) })),
  });
}

/** Null where there is nothing, or nothing this version has written. */
function decodeVersions(text: string | undefined): TableVersion[] | null {
  if (text === undefined) return null;
  const parsed = JSON.parse(text) as {
    v?: unknown;
    versions?: (Omit<TableVersion, 'from'> & { from: string })[];
  };
  if (parsed.v !== 1 || !Array.isArray(parsed.versions) || parsed.versions.length === 0) return null;
  return parsed.versions.map((version) => ({ ...version, from: BigInt(version.from) }));
}
