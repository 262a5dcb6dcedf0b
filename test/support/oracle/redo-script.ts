/** Writes redo as a short script: one line a row, SCNs counted on. */
import type { FakeRedo } from './fake-oracle.ts';
import { rowIdOf } from './row-ids.ts';

export interface RowOptions {
  readonly at?: number;
  readonly thread?: number;
  readonly row?: number;
  readonly extra?: Partial<FakeRedo>;
}

export class RedoScript {
  readonly rows: FakeRedo[] = [];
  #scn: number;
  #record = 0;

  constructor(scn = 2010) {
    this.#scn = scn;
  }

  start(xid: string, options: RowOptions = {}): this {
    return this.#add(xid, 6, {}, options);
  }

  commit(xid: string, options: RowOptions = {}): this {
    return this.#add(xid, 7, {}, options);
  }

  rollback(xid: string, options: RowOptions = {}): this {
    return this.#add(xid, 36, {}, options);
  }

  insert(
    xid: string,
    table: string,
    values: Readonly<Record<string, string | null>>,
    options: RowOptions = {},
  ): this {
    const names = Object.keys(values);
    const sql = `insert into ${quoted(table)}(${names.map((n) => `"${n}"`).join(',')}) values (${names.map((n) => literal(values[n]!)).join(',')});`;
    return this.#change(xid, 1, table, sql, options);
  }

  update(
    xid: string,
    table: string,
    set: Readonly<Record<string, string | null>>,
    where: Readonly<Record<string, string | null>>,
    options: RowOptions = {},
  ): this {
    const assigned = Object.entries(set).map(([name, value]) => `"${name}" = ${literal(value)}`);
    return this.#change(
      xid,
      3,
      table,
      `update ${quoted(table)} set ${assigned.join(', ')}${whereOf(where)};`,
      options,
    );
  }

  delete(
    xid: string,
    table: string,
    where: Readonly<Record<string, string | null>>,
    options: RowOptions = {},
  ): this {
    return this.#change(xid, 2, table, `delete from ${quoted(table)}${whereOf(where)};`, options);
  }

  /** The row that undoes a change: `code` is its own. */
  undo(xid: string, code: 1 | 2 | 3, table: string, options: RowOptions = {}): this {
    const sql = code === 2 ? `delete from ${quoted(table)};` : `-- undo, not to be read`;
    return this.#change(xid, code, table, sql, { ...options, extra: { ROLLBACK: 1, ...options.extra } });
  }

  ddl(xid: string, table: string, sql: string, options: RowOptions = {}): this {
    return this.#change(xid, 5, table, sql, {
      ...options,
      extra: { ROW_ID: 'AAAAAAAAAAAAAAAAAA', ...options.extra },
    });
  }

  /** Any other row of a table. */
  other(xid: string, code: number, table: string, sql: string | null, options: RowOptions = {}): this {
    return this.#change(xid, code, table, sql, options);
  }

  /** A statement ends that has changed the row: names no table, but the number of its object. */
  end(xid: string, object: number, options: RowOptions = {}): this {
    const row = { ROW_ID: rowIdOf(73_000, 1, options.row ?? 0), 'DATA_OBJ#': String(object) };
    return this.#add(xid, 0, row, options);
  }

  /** A row that belongs to no table. */
  plain(xid: string, code: number, options: RowOptions = {}): this {
    return this.#add(xid, code, {}, options);
  }

  #change(xid: string, code: number, table: string, sql: string | null, options: RowOptions): this {
    const [owner = '', name = ''] = table.split('.');
    return this.#add(
      xid,
      code,
      { SEG_OWNER: owner, TABLE_NAME: name, ROW_ID: rowIdOf(73_000, 1, options.row ?? 0), SQL_REDO: sql },
      options,
    );
  }

  #add(xid: string, code: number, columns: Partial<FakeRedo>, { at, thread, extra }: RowOptions): this {
    this.#scn = at ?? this.#scn + 1;
    this.#record++;
    this.rows.push({
      SCN: String(this.#scn),
      XID: xid,
      OPERATION_CODE: code,
      'THREAD#': thread ?? 1,
      RS_ID: ` 0x${String(this.#record).padStart(6, '0')}.00000001.0010 `,
      SSN: 0,
      TIMESTAMP: `2024-05-01 10:00:${String(this.#record % 60).padStart(2, '0')}`,
      ...columns,
      ...extra,
    });
    return this;
  }

  get scn(): number {
    return this.#scn;
  }
}

/** `1` → an XID whose parts are all 1. */
export function xid(n: number): string {
  return n.toString(16).padStart(4, '0') + n.toString(16).padStart(4, '0') + n.toString(16).padStart(8, '0');
}

function quoted(table: string): string {
  return table
    .split('.')
    .map((part) => `"${part}"`)
    .join('.');
}

function whereOf(where: Readonly<Record<string, string | null>>): string {
  const predicates = Object.entries(where).map(([name, value]) =>
    value === null ? `"${name}" IS NULL` : `"${name}" = ${literal(value)}`,
  );
  return predicates.length === 0 ? '' : ` where ${predicates.join(' and ')}`;
}

/** A value that begins with `=` is SQL as it is. */
function literal(value: string | null): string {
  if (value === null) return 'NULL';
  return value.startsWith('=') ? value.slice(1) : `'${value.replaceAll("'", "''")}'`;
}
