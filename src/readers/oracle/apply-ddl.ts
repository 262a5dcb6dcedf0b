import type { SchemaChange } from '../../model/change.ts';
import type { TableId } from '../../model/table.ts';
import { applyChanges, keyAfter, parseDdl } from './ddl.ts';
import type { RedoRow } from './mining/redo-row.ts';
import type { OracleSource } from './source-info.ts';
import type { CapturedRef, Described, TableHistory } from './table-history.ts';
import { type OracleColumn, visibleColumns } from './types/column-metadata.ts';

/** The table as the catalogue has it now; null where there is none. */
export type DescribeTable = (id: TableId) => Promise<Described | null>;

export interface AppliedDdl {
  readonly changes: readonly SchemaChange<OracleSource>[];
  /** The table was emptied: an event of its own, at the place of the DDL's commit. */
  readonly truncates: boolean;
}

const NOTHING: AppliedDdl = { changes: [], truncates: false };

/**
 * A DDL statement of a captured table, applied to its history when it is read, since Oracle commits around it.
 * Where the text tells what happened to the columns it decides, for the catalogue may be ahead; else the
 * catalogue does.
 */
export async function applyDdl(
  row: RedoRow,
  ref: CapturedRef,
  { history, describe }: { readonly history: TableHistory; readonly describe: DescribeTable },
  timeMs: number,
): Promise<AppliedDdl> {
  const { scn, sql } = row;
  const effect = parseDdl(sql ?? '');
  const truncates = effect.kind === 'truncate';
  if (effect.kind === 'ignore') return NOTHING;
  // Read before: the shape is known, and what it said is delivered.
  if (history.knows(ref, scn)) return { changes: [], truncates };
  const at: OracleSource = {
    connector: 'oracle',
    scn,
    timeMs,
    tx: null,
    rsId: row.rsId,
    ssn: row.ssn,
    thread: row.thread,
    rowId: null,
    txSeq: null,
  };
  const previous = history.current(ref);
  const change = (
    id: TableId,
    table: SchemaChange['table'],
    before: SchemaChange['previous'],
  ): SchemaChange<OracleSource> => ({
    kind: 'schema',
    id,
    table,
    previous: before,
    ddl: sql,
    tx: null,
    at,
  });
  if (effect.kind === 'drop') return { changes: [change(ref.id, null, previous.schema)], truncates };
  if (effect.kind === 'rename') {
    const to: TableId = { schema: ref.id.schema, table: effect.to };
    const changes = [change(ref.id, null, previous.schema)];
    // Under a name that is not captured nobody follows it.
    const renamed = history.find(to.schema, to.table);
    if (renamed !== null) {
      history.rename(ref, renamed, scn);
      changes.push(change(to, history.current(renamed).schema, null));
    }
    return { changes, truncates };
  }
  const described = await describe(ref.id);
  const { columns } = previous.version;
  // Emptying a table gives it another segment and leaves its columns, which the catalogue may have others of by now.
  const changed = effect.kind === 'columns' ? effect.changes : [];
  const applied = effect.kind === 'columns' || truncates ? applyChanges(columns, changed) : null;
  const key = keyAfter(previous.version.key, changed);
  const shape = shapeAfter(previous.version, applied === null ? null : { columns: applied, key }, described);
  const evolved = shape === null ? null : history.evolve(ref, scn, shape);
  return { changes: evolved === null ? [] : [change(ref.id, evolved.table, evolved.previous)], truncates };
}

/** `applied`: the columns and the key as the text of the DDL makes them; null where it does not tell. */
function shapeAfter(
  last: Described,
  applied: Pick<Described, 'columns' | 'key'> | null,
  described: Described | null,
): Described | null {
  if (applied === null) {
    if (described === null) return null;
    return { ...described, approximate: !sameColumns(described.columns, last.columns) };
  }
  if (described !== null && sameColumns(described.columns, applied.columns)) {
    return { ...described, approximate: false };
  }
  const { objectId, dataObjectIds } = described ?? last;
  return { objectId, dataObjectIds, ...applied, approximate: false };
}

/** The hidden ones have names that only the database makes up. */
function sameColumns(a: readonly OracleColumn[], b: readonly OracleColumn[]): boolean {
  return JSON.stringify(visibleColumns(a)) === JSON.stringify(visibleColumns(b));
}
