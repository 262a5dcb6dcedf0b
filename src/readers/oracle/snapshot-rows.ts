import { readRow, type RowChange, type SourceInfo } from '../../model/change.ts';
import type { Value } from '../../model/value.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { tableName } from '../../model/table.ts';
import type { OracleRow } from './session/oracle-session.ts';
import type { OracleSource } from './source-info.ts';
import type { TableModel } from './table-model.ts';
import { assertUnreadable } from './types/unreadable-value.ts';

/** Rows that are read at a time: few where LOBs come with them, whole. */
export function rowsAtOnce({ decoders }: Pick<TableModel, 'decoders'>): number {
  return decoders.some(({ large }) => large) ? 20 : 250;
}

/** Rows as `chunkStatement` gives them, decoded. */
export class SnapshotRows<S extends SourceInfo> {
  readonly #model: Pick<TableModel, 'schema' | 'decoders'>;
  readonly #at: S;
  rows: RowChange<S>[] = [];
  bytes = 0;
  /** Cells of the last row behind its columns: what tells its place. */
  place: OracleRow = [];

  constructor(model: Pick<TableModel, 'schema' | 'decoders'>, at: S) {
    this.#model = model;
    this.#at = at;
  }

  push(row: OracleRow): void {
    const { schema, decoders } = this.#model;
    const after: Value[] = [];
    for (let i = 0; i < decoders.length; i++) {
      const value = row[i] ?? null;
      if (value !== null) this.bytes += value.length;
      try {
        after.push(value === null ? null : decoders[i]!.fromRow(value));
      } catch (error) {
        assertUnreadable(error);
        const { name, nativeType } = schema.columns[i]!;
        throw new HeadwaterError(
          'source.value-unreadable',
          `A row of ${tableName(schema.id)} holds a value in the column ${name} (${nativeType}) that is not ${error.message}.`,
          { details: { table: tableName(schema.id), column: name, type: nativeType }, cause: error },
        );
      }
    }
    this.place = row.slice(decoders.length);
    this.rows.push(readRow(schema, after, this.#at));
  }

  take(): { readonly rows: readonly RowChange<S>[]; readonly bytes: number } {
    const taken = { rows: this.rows, bytes: this.bytes };
    this.rows = [];
    this.bytes = 0;
    return taken;
  }
}

/** What all rows of one snapshot share as their origin. */
export function snapshotOrigin(scn: bigint, timeMs: number): OracleSource {
  return {
    connector: 'oracle',
    scn,
    timeMs,
    tx: null,
    rsId: null,
    ssn: null,
    thread: null,
    rowId: null,
    txSeq: null,
  };
}
