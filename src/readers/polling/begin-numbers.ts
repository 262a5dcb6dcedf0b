import { setTimeout as sleep } from 'node:timers/promises';
import { tableName } from '../../model/table.ts';
import type { PollDialect, PolledTable, PollMark } from '../poll-dialect.ts';
import type { Horizon } from './horizon.ts';
import type { TablePoll } from './table-poll.ts';

/** How long open transactions are waited for before a snapshot begins, and how often they are asked for. */
const NUMBERS_WAIT_MS = 10_000;
const NUMBERS_PAUSE_MS = 100;

/**
 * Where rows do not tell who wrote them, a new table's numbers begin at what is greatest now, so that the snapshot's
 * rows do not come again: from here on, whoever may hold a smaller one has ended before the snapshot begins. Where
 * that does not come about soon, or cannot be told, or the snapshot has begun before (and may be complete by now), all
 * are read from the beginning.
 */
export async function beginNumbers(
  of: {
    readonly dialect: PollDialect;
    readonly polls: readonly TablePoll[];
    readonly tables: readonly PolledTable[];
    /** To which `mark` adds what it answers. */
    readonly horizon: Horizon;
    readonly mark: () => Promise<PollMark>;
  },
  signal: AbortSignal,
): Promise<void> {
  const { dialect, polls, tables, horizon, mark: take } = of;
  const begun = polls.flatMap((poll) => {
    const table = tables.find(({ schema }) => tableName(schema.id) === tableName(poll.id));
    const wanted = table !== undefined && !table.versioned && table.options.mode === 'incrementing';
    return wanted && poll.isNew && poll.cursor.value === null ? [{ poll, table }] : [];
  });
  if (begun.length === 0) return;
  const values: (string | null)[] = [];
  for (const { table } of begun) values.push(await dialect.greatest(table, signal));
  const number = horizon.number + 1;
  for (let waited = 0; waited < NUMBERS_WAIT_MS; waited += NUMBERS_PAUSE_MS) {
    const mark = await take();
    if (!mark.told) return;
    if ((horizon.settledBefore(mark.clockUs) ?? 0) >= number) {
      for (const [i, { poll }] of begun.entries()) poll.cursor = { ...poll.cursor, value: values[i] ?? null };
      return;
    }
    await sleep(NUMBERS_PAUSE_MS, undefined, { signal });
  }
}
