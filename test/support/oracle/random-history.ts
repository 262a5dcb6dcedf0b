/** Histories of a small database: what the application did, the redo it left, and what must be delivered of it. */
import fc from 'fast-check';
import type { FakeOracle, FakeRedo } from './fake-oracle.ts';
import { rowIdOf } from './row-ids.ts';
import { serverWith } from './harness.ts';
import { RedoScript, xid } from './redo-script.ts';

const TABLES = {
  'Q.ORD': { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)' }, pk: ['ID'] },
  'Q.ITEM': { columns: { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(40)' }, pk: ['ID'] },
} as const;
type TableName = keyof typeof TABLES;
const NAMES: readonly TableName[] = ['Q.ORD', 'Q.ITEM'];

export interface Step {
  /** Which of the sessions. */
  readonly session: number;
  readonly kind: 'put' | 'delete' | 'savepoint' | 'undo' | 'commit' | 'rollback' | 'switch';
  readonly table: number;
  readonly key: number;
  readonly text: string;
}

export const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    session: fc.integer({ min: 0, max: 3 }),
    kind: fc.constantFrom<Step['kind'][]>(
      'put',
      'put',
      'put',
      'put',
      'delete',
      'savepoint',
      'undo',
      'commit',
      'rollback',
      'switch',
    ),
    table: fc.integer({ min: 0, max: 1 }),
    key: fc.integer({ min: 1, max: 5 }),
    text: fc.string({ unit: fc.constantFrom('a', "'", ',', ' ', 'é', '"', '\n'), maxLength: 5 }),
  }),
  { maxLength: 60 },
);

export interface History {
  readonly server: FakeOracle;
  readonly end: bigint;
  /** `op table key name`, in the order of delivery. */
  readonly events: readonly string[];
  /** `table key` → name, of all that is committed. */
  readonly rows: ReadonlyMap<string, string>;
  /** The same as of an SCN. */
  rowsAt(scn: bigint): ReadonlyMap<string, string>;
}

interface Row {
  readonly name: string;
  readonly rowId: string;
}

interface Change {
  readonly table: TableName;
  readonly key: number;
  readonly before: Row | null;
  readonly after: Row | null;
}

interface Session {
  readonly xid: string;
  changes: Change[];
  savepoint: number;
}

/** Runs the steps from SCN 2010 on; each takes one. */
export function historyOf(list: readonly Step[]): History {
  const server = serverWith(TABLES);
  const script = new RedoScript();
  const committed = new Map<string, Row>();
  const past: { readonly scn: bigint; readonly rows: ReadonlyMap<string, string> }[] = [
    { scn: 0n, rows: new Map() },
  ];
  const open = new Map<number, Session>();
  const locks = new Map<string, number>();
  const events: string[] = [];
  let transactions = 0;
  let rowIds = 0;
  let switched = 2010;

  const current = (session: Session, place: string): Row | null => {
    const own = session.changes.findLast((change) => `${change.table} ${change.key}` === place);
    return own === undefined ? (committed.get(place) ?? null) : own.after;
  };
  const row = (rowId: string): { readonly extra: Partial<FakeRedo> } => ({ extra: { ROW_ID: rowId } });

  /** Newest first, as the server undoes. */
  const undo = (session: Session, downTo: number): void => {
    while (session.changes.length > downTo) {
      const { table, before, after } = session.changes.pop()!;
      const code = before === null ? 2 : after === null ? 1 : 3;
      script.undo(session.xid, code, table, row((before ?? after)!.rowId));
    }
  };

  const end = (id: number): void => {
    open.delete(id);
    for (const [place, holder] of locks) if (holder === id) locks.delete(place);
  };

  const apply = ({ session: id, kind, table: number, key, text }: Step): void => {
    if (kind === 'switch') {
      if (script.scn > switched) server.switchLog(1, BigInt(script.scn));
      switched = script.scn;
      return;
    }
    let session = open.get(id);
    if (session === undefined) {
      if (kind !== 'put' && kind !== 'delete') return;
      session = { xid: xid(++transactions), changes: [], savepoint: 0 };
      open.set(id, session);
      script.start(session.xid);
    }
    const table = NAMES[number]!;
    const place = `${table} ${key}`;
    switch (kind) {
      case 'put':
      case 'delete': {
        if ((locks.get(place) ?? id) !== id) return;
        const before = current(session, place);
        if (kind === 'delete' && before === null) return;
        locks.set(place, id);
        const after =
          kind === 'delete'
            ? null
            : { name: text, rowId: before?.rowId ?? rowIdOf(73_000 + number, 1, ++rowIds) };
        const where = { ID: String(key), NAME: before?.name ?? '' };
        const at = row((before ?? after)!.rowId);
        if (before === null) script.insert(session.xid, table, { ID: String(key), NAME: text }, at);
        else if (after === null) script.delete(session.xid, table, where, at);
        else script.update(session.xid, table, { NAME: text }, where, at);
        session.changes.push({ table, key, before, after });
        return;
      }
      case 'savepoint':
        session.savepoint = session.changes.length;
        return;
      case 'undo':
        undo(session, Math.min(session.savepoint, session.changes.length));
        return;
      case 'rollback':
        undo(session, 0);
        script.rollback(session.xid);
        end(id);
        return;
      case 'commit':
        script.commit(session.xid);
        for (const change of session.changes) deliver(change, BigInt(script.scn));
        past.push({ scn: BigInt(script.scn), rows: named(committed) });
        end(id);
    }
  };

  const deliver = ({ table, key, before, after }: Change, scn: bigint): void => {
    const op = before === null ? 'c' : after === null ? 'd' : 'u';
    events.push(`${op} ${table} ${key} ${(after ?? before)!.name}`);
    const target = server.tables[NAMES.indexOf(table)]!;
    const values = after === null ? null : { ID: String(key), NAME: after.name };
    target.rows.push({ scn, rowId: (after ?? before)!.rowId, values });
    if (after === null) committed.delete(`${table} ${key}`);
    else committed.set(`${table} ${key}`, after);
  };

  for (const step of list) apply(step);
  for (const id of [...open.keys()])
    apply({ session: id, kind: id % 2 === 0 ? 'commit' : 'rollback', table: 0, key: 1, text: '' });
  server.redo = script.rows;
  const last = BigInt(script.scn + 5);
  return {
    server,
    end: last,
    events,
    rows: named(committed),
    rowsAt: (scn) => past.findLast((each) => each.scn <= scn)!.rows,
  };
}

function named(rows: ReadonlyMap<string, Row>): ReadonlyMap<string, string> {
  return new Map([...rows].map(([place, { name }]) => [place, name]));
}
