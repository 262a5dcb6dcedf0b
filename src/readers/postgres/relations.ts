import type { SchemaChange } from '../../model/change.ts';
import {
  type Column,
  type ColumnType,
  type TableId,
  tableName,
  type TableSchema,
} from '../../model/table.ts';
import { isTextual } from './types/textual-kinds.ts';
import type { PgTable } from './catalogue.ts';
import type { RelationColumn, RelationMessage } from './pgoutput/messages.ts';
import { type Decode, isWide, type RelationState } from './pgoutput/relation-state.ts';
import { TextTuple } from './pgoutput/text-tuple.ts';
import { formatLsn } from './position.ts';
import { type SchemaVersions, shapeOf } from '../schema-versions.ts';
import type { PostgresSource } from './source-info.ts';
import type { ColumnTypeInfo, TypeRegistry } from './types/type-registry.ts';

export interface RelationsOptions {
  readonly isCaptured: (id: TableId) => boolean;
  /** As the catalogue had them when the reader was opened. */
  readonly tables: readonly PgTable[];
  readonly registry: TypeRegistry;
  readonly versions: SchemaVersions;
  /** Reads the catalogue anew, once it shows what the transaction did; null where there is no such table. */
  describe(id: TableId, registry: TypeRegistry, xid: number | null): Promise<PgTable | null>;
  reloadRegistry(): Promise<TypeRegistry>;
}

export interface Resolved {
  readonly state: RelationState;
  /** Elements of the stream that belong before the relation's next row. */
  readonly changes: readonly SchemaChange<PostgresSource>[];
}

interface Known {
  readonly id: TableId;
  readonly schema: TableSchema;
  readonly pg: PgTable | null;
}

/**
 * The shape of each relation at the stream's own position. Names, order, types and identity come
 * from the Relation message and are exact; nullability, defaults and the real key come from the catalogue,
 * which may be ahead of the stream. Where the two disagree, columns are optional and without default until a
 * Relation message agrees with the catalogue again.
 */
export class Relations {
  readonly #options: RelationsOptions;
  readonly #known = new Map<number, Known>();
  /** Oids for which a Relation message has been resolved: the next one means that something changed. */
  readonly #seen = new Set<number>();
  #registry: TypeRegistry;
  readonly #decoders = new WeakMap<TableSchema, readonly Decode[]>();
  /** Labels met in the log that the enum has no longer: once is enough. */
  readonly #oldLabels = new Map<string, Set<string>>();

  constructor(options: RelationsOptions) {
    this.#options = options;
    this.#registry = options.registry;
    for (const pg of options.tables) {
      const schema = options.versions.number(pg.schema);
      this.#known.set(pg.oid, { id: schema.id, schema, pg });
    }
  }

  /** For values of rows that carry `schema`; null where it is none of the present ones. */
  decodersOf(schema: TableSchema): readonly Decode[] | null {
    return this.#decoders.get(schema) ?? null;
  }

  /** `stale`: a decoder met an enum label that is not in the type. */
  async resolve(message: RelationMessage, at: PostgresSource, stale: boolean): Promise<Resolved> {
    const id: TableId = { schema: message.schema, table: message.table };
    const known = this.#known.get(message.oid);
    if (!this.#options.isCaptured(id)) {
      this.#known.delete(message.oid);
      const changes = known === undefined ? [] : [schemaChange(known.id, null, known.schema, at)];
      return { state: passedOver(message, id), changes };
    }
    if (stale) this.#registry = await this.#options.reloadRegistry();
    const columns = await this.#types(message);
    const first = !this.#seen.has(message.oid) && known !== undefined;
    this.#seen.add(message.oid);
    let pg = first && !stale ? known.pg : await this.#options.describe(id, this.#registry, at.tx.xid);
    if (pg !== null && !agrees(pg, message, columns) && first && !stale) {
      pg = await this.#options.describe(id, this.#registry, at.tx.xid);
    }
    const exact = pg !== null && agrees(pg, message, columns);
    const shape = exact ? pg!.schema : shapeOfRelation(id, message, columns, known?.schema ?? pg?.schema);
    const schema = this.#options.versions.number(shape, formatLsn(at.lsn));
    const changes: SchemaChange<PostgresSource>[] = [];
    let current = schema;
    if (known !== undefined && tableName(known.id) !== tableName(id)) {
      // Renamed: one table ends, another begins.
      changes.push(schemaChange(known.id, null, known.schema, at), schemaChange(id, schema, null, at));
    } else if (known === undefined) {
      changes.push(schemaChange(id, schema, null, at));
    } else if (shapeOf(known.schema) !== shapeOf(schema)) {
      changes.push(schemaChange(id, schema, known.schema, at));
    } else {
      current = known.schema; // the same object: encoders are cached by it
    }
    this.#known.set(message.oid, { id, schema: current, pg: exact ? pg : null });
    return { state: this.#state(message, current, columns, exact ? pg : null), changes };
  }

  /** Type and decoder of each column; the registry is read again for types made after it was. */
  async #types(message: RelationMessage): Promise<readonly ColumnTypeInfo[]> {
    const look = (): (ColumnTypeInfo | null)[] =>
      message.columns.map(({ typeOid, typmod }) => this.#registry.column(typeOid, typmod));
    let infos = look();
    if (infos.includes(null)) {
      this.#registry = await this.#options.reloadRegistry();
      infos = look();
    }
    // A type that is gone by now: its values are passed on as the server wrote them.
    return infos.map((info) => info ?? UNKNOWN_TYPE);
  }

  #state(
    message: RelationMessage,
    schema: TableSchema,
    columns: readonly ColumnTypeInfo[],
    pg: PgTable | null,
  ): RelationState {
    const labels = { unknown: false };
    const decoders: Decode[] = columns.map(({ type, decode }, i) => {
      const usual = pg?.decoders[i] ?? decode;
      return type.kind === 'enum' ? this.#enumDecoder(type.values, schema, i, labels) : usual;
    });
    this.#decoders.set(schema, decoders);
    const identity = message.columns.map((column) => column.identity);
    const patchy = pg?.relkind === 'p' && message.replicaIdentity === 'f';
    const textual = !patchy && columns.every(({ type }) => isTextual(type));
    return {
      oid: message.oid,
      captured: true,
      schema,
      decoders,
      wide: columns.map(({ type }) => isWide(type)),
      text: textual ? { whole: new TextTuple(decoders, null), key: new TextTuple(decoders, identity) } : null,
      // A label that the enum has not got must be noticed here.
      checked: columns.flatMap(({ type }, i) => (type.kind === 'enum' ? [i] : [])),
      identity,
      patchy,
      labels,
      message,
    };
  }

  #enumDecoder(
    values: readonly string[],
    schema: TableSchema,
    column: number,
    labels: { unknown: boolean },
  ): Decode {
    const place = `${tableName(schema.id)}.${column}`;
    let old = this.#oldLabels.get(place);
    if (old === undefined) this.#oldLabels.set(place, (old = new Set()));
    const accepted = new Set([...values, ...old]);
    return (text) => {
      if (!accepted.has(text)) {
        labels.unknown = true;
        old.add(text); // if the new type doesn't have it either, it had it when the row was written
      }
      return text;
    };
  }
}

const UNKNOWN_TYPE: ColumnTypeInfo = {
  type: { kind: 'string' },
  nativeType: 'unknown',
  length: null,
  scale: null,
  decode: (text) => text,
};

function schemaChange(
  id: TableId,
  table: TableSchema | null,
  previous: TableSchema | null,
  at: PostgresSource,
): SchemaChange<PostgresSource> {
  return { kind: 'schema', id, table, previous, ddl: null, tx: at.tx.xid === null ? null : at.tx, at };
}

function passedOver(message: RelationMessage, id: TableId): RelationState {
  return {
    oid: message.oid,
    captured: false,
    schema: { id, version: 0, columns: [], key: [] },
    decoders: [],
    wide: [],
    text: null,
    checked: [],
    identity: [],
    patchy: false,
    labels: { unknown: false },
    message,
  };
}

/** Whether the catalogue's table is the one the message speaks of, column by column. */
function agrees(pg: PgTable, message: RelationMessage, infos: readonly ColumnTypeInfo[]): boolean {
  const { columns } = pg.schema;
  return (
    pg.oid === message.oid &&
    pg.schema.id.schema === message.schema &&
    pg.schema.id.table === message.table &&
    pg.replicaIdentity === message.replicaIdentity &&
    columns.length === message.columns.length &&
    columns.every((column, i) => {
      const info = infos[i]!;
      return column.name === message.columns[i]!.name && sameType(column, info);
    })
  );
}

function sameType(column: Column, info: ColumnTypeInfo): boolean {
  return (
    column.nativeType === info.nativeType &&
    column.length === info.length &&
    column.scale === info.scale &&
    JSON.stringify(innermost(column.type)) === JSON.stringify(innermost(info.type))
  );
}

/** How often an array is nested is the table's declaration; the message doesn't say. */
function innermost(type: ColumnType): ColumnType {
  return type.kind === 'array' ? innermost(type.element) : type;
}

/** What the message alone says, and what stays true of the last known shape. */
function shapeOfRelation(
  id: TableId,
  message: RelationMessage,
  infos: readonly ColumnTypeInfo[],
  last: TableSchema | undefined,
): TableSchema {
  const columns = message.columns.map(({ name }, i): Column => {
    const { type, nativeType, length, scale } = infos[i]!;
    const before = last?.columns.find((column) => column.name === name);
    return {
      name,
      type: before !== undefined && sameType(before, infos[i]!) ? before.type : type,
      nullable: true,
      default: undefined,
      nativeType,
      length,
      scale,
    };
  });
  return { id, version: 0, columns, key: keyOfRelation(message.columns, message.replicaIdentity, last) };
}

/** The last known key where it still is one; else the identity, in the order of the columns. */
function keyOfRelation(
  columns: readonly RelationColumn[],
  replicaIdentity: string,
  last: TableSchema | undefined,
): readonly number[] {
  const identity = columns.flatMap((column, i) => (column.identity ? [i] : []));
  const lastKey = (last?.key ?? []).map((i) =>
    columns.findIndex(({ name }) => name === last!.columns[i]!.name),
  );
  const lastHolds = lastKey.length > 0 && !lastKey.includes(-1);
  if (replicaIdentity === 'f') return lastHolds ? lastKey : [];
  const same = lastHolds && lastKey.length === identity.length && lastKey.every((i) => identity.includes(i));
  return same ? lastKey : identity;
}
