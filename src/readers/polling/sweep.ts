import type { PolledTable, PollScan } from '../poll-dialect.ts';
import type { TableCursor } from './cursor.ts';
import { madeTogether, NOTHING, type PassContext, type PolledBlock } from './pass-context.ts';
import { PolledRows } from './polled-rows.ts';
import type { RowState } from './row-state.ts';
import type { PolledTableSettings } from './settings.ts';

/** Keys that are compared at once. */
const SWEEP_KEYS = 10_000;

export interface SweepOf {
  readonly table: PolledTable;
  readonly settings: PolledTableSettings;
  readonly rowState: RowState;
  readonly cursor: TableCursor;
  /** Rows with a time from here on are read by passes; null: all are. */
  readonly lowUs: number | null;
  /** So many rows more had changed without a pass seeing it; answers what is to become durable. */
  readonly onMissed: (count: number) => ReadonlyMap<string, string>;
}

/**
 * Compares the keys: what was delivered and is gone becomes deletes. What had changed without its time is found too:
 * where rows tell who wrote them, among those that were written since the last sweep; elsewhere where the rows
 * are remembered, by reading them in place of their keys. Nothing else of the table is delivered meanwhile, so that what is not
 * there has been deleted since it was delivered. Ends early where `signal` aborts.
 */
export async function* sweep(
  of: SweepOf,
  context: PassContext,
  signal: AbortSignal,
): AsyncGenerator<PolledBlock> {
  const { table, settings, rowState } = of;
  const rows = new PolledRows(table, settings.remember, rowState);
  const stamp = context.next().batch;
  const parts = { ...of, rows, stamp };
  if (rows.complete && table.versioned) yield* writtenSince(parts, context, signal);
  if (signal.aborted) return;
  const byRow = !table.versioned && rows.complete && settings.remember === 'rows' && isTimed(table);
  yield* byRow ? rowsThere(parts, context, signal) : keysThere(parts, context, signal);
  while (!signal.aborted) {
    const changes = madeTogether(context, (made) => rows.gone({ ...made, stamp }, context.batchRows));
    if (changes.length === 0) return;
    yield { ...NOTHING, changes };
  }
}

/** Whether its rows can be put in order, and tell when they were written. */
function isTimed({ timestamp, order }: PolledTable): boolean {
  return timestamp.length > 0 && order.length > 0;
}

interface SweepParts extends SweepOf {
  readonly rows: PolledRows;
  /** Later than all that is known: what is seen is marked with it. */
  readonly stamp: number;
}

/** Rows that are delivered by now, and are not as they were delivered. */
async function* writtenSince(
  { table, rows, stamp, cursor: { from, sweptFrom }, onMissed }: SweepParts,
  context: PassContext,
  signal: AbortSignal,
): AsyncGenerator<PolledBlock> {
  if (from === null || sweptFrom === null || sweptFrom >= from) return;
  const scan = { ...ALL, versions: { from: sweptFrom, to: from }, limit: context.batchRows };
  for await (const { rows: read, bytes, release } of context.dialect.read(table, scan, signal)) {
    const changes = madeTogether(context, (made) => rows.changes(read, { ...made, stamp }, true));
    yield { changes, bytes, state: stateOf(changes, onMissed), release };
    if (signal.aborted) return;
  }
}

/** Rows in the order of their key: all are there, and those are told of that no pass would read. */
async function* rowsThere(
  { table, rows, stamp, lowUs, onMissed }: SweepParts,
  context: PassContext,
  signal: AbortSignal,
): AsyncGenerator<PolledBlock> {
  const scan = { ...ALL, versions: null, limit: context.batchRows };
  for await (const { rows: read, bytes, release } of context.dialect.read(table, scan, signal)) {
    const changes = madeTogether(context, (made) => rows.passedBy(read, { ...made, stamp }, lowUs));
    yield { changes, bytes, state: stateOf(changes, onMissed), release };
    if (signal.aborted) return;
  }
}

async function* keysThere(
  { table, rows, stamp, rowState }: SweepParts,
  { dialect }: PassContext,
  signal: AbortSignal,
): AsyncGenerator<PolledBlock> {
  for (let after: readonly string[] | null = null; ;) {
    const page = await dialect.keys(table, { after, limit: SWEEP_KEYS }, signal);
    rowState.together(() => rows.seen(page.keys, stamp));
    yield NOTHING;
    after = page.after;
    if (after === null || signal.aborted) return;
  }
}

const ALL = { kind: 'all', low: null, after: null } satisfies Partial<PollScan>;

function stateOf(changes: PolledBlock['changes'], onMissed: SweepOf['onMissed']): PolledBlock['state'] {
  return changes.length === 0 ? undefined : onMissed(changes.length);
}
