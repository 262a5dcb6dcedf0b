/** Logs of transactions that can have happened, and attempts that read them and crash. */
import fc from 'fast-check';
import type { TableSchema } from '../../src/model/table.ts';
import type { Row, Value } from '../../src/model/value.ts';
import type { LogChange, LogTransaction } from './enrichment-rig.ts';

export type TablesState = Map<TableSchema, Map<Value, Row>>;

/** Keys are the first column. */
export function applyChange(state: TablesState, { table, op, before, after }: LogChange): void {
  const rows = state.get(table)!;
  if (op === 't') rows.clear();
  if (before != null) rows.delete(before[0]!);
  if (after != null) rows.set(after[0]!, after);
}

interface RawChange {
  readonly table: TableSchema;
  readonly op: 'put' | 'delete' | 'move' | 'truncate';
  readonly id: number;
  readonly to: number;
  readonly other: number | null;
  readonly text: string | null;
}

export interface LogOptions {
  /** One that stands there twice is changed twice as often. */
  readonly tables: readonly TableSchema[];
  readonly rowOf: (
    table: TableSchema,
    key: number,
    values: { readonly other: number | null; readonly text: string | null },
  ) => Row;
}

/** Inserts of what is not there, updates, moves to another key and deletes of what is, and truncates. */
export function transactionLogs({ tables, rowOf }: LogOptions): fc.Arbitrary<LogTransaction[]> {
  const id = fc.integer({ min: 0, max: 4 });
  const raw: fc.Arbitrary<RawChange> = fc.record({
    table: fc.constantFrom(...tables),
    op: fc.constantFrom('put', 'put', 'put', 'delete', 'move', 'truncate'),
    id,
    other: fc.option(id),
    to: id,
    text: fc.constantFrom('gold', 'silver', null, 'a"b\\', 'ß'),
  });
  return fc
    .array(fc.array(raw, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 12 })
    .map((transactions) => {
      const state: TablesState = new Map(tables.map((each) => [each, new Map()]));
      return transactions
        .map((transaction) => transaction.flatMap((change) => possible(change, state, rowOf)))
        .filter((transaction) => transaction.length > 0);
    })
    .filter((log) => log.length > 0);
}

function possible(
  { table, op, id, other, to, text }: RawChange,
  state: TablesState,
  rowOf: LogOptions['rowOf'],
): LogChange[] {
  const rows = state.get(table)!;
  const old = rows.get(id) ?? null;
  const make = (key: number): Row => rowOf(table, key, { other, text });
  let change: LogChange;
  if (op === 'truncate') change = { table, op: 't' };
  else if (old === null) change = { table, op: 'c', after: make(id) };
  else if (op === 'put') change = { table, op: 'u', after: make(id) };
  else if (op === 'delete') change = { table, op: 'd', before: old };
  else if (rows.has(to)) return [];
  else change = { table, op: 'u', before: old, after: make(to) };
  applyChange(state, change);
  return [change];
}

/** How far an attempt reads, whether it commits then or crashes first, and in how large batches. */
export const attemptPlans = fc.array(
  fc.record({
    step: fc.integer({ min: 1, max: 5 }),
    commits: fc.boolean(),
    crashes: fc.boolean(),
    size: fc.integer({ min: 1, max: 9 }),
  }),
  { maxLength: 12 },
);
