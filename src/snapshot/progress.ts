import type { SnapshotProgress } from '../observability/status.ts';
import type { TableSnapshot } from './captured-table.ts';

/** How far one table is; for `/status` and the progress bars. */
export interface TableProgress {
  /** schema.table */
  readonly table: string;
  readonly rows: number;
  readonly estimatedRows: number | null;
  readonly state: 'waiting' | 'reading' | 'done' | 'failed';
}

/** The rate is that of the last seconds, so that the time left follows a source that slows down. */
const RATE_WINDOW_MS = 10_000;

/** Counts rows as they are delivered. */
export class ProgressMeter {
  readonly #now: () => number;
  readonly #samples: { at: number; rows: number }[] = [];
  #rows = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(rows: number): void {
    this.#rows += rows;
    const now = this.#now();
    const latest = this.#samples.at(-1);
    if (latest !== undefined && now - latest.at < 500) return;
    this.#samples.push({ at: now, rows: this.#rows });
    while (this.#samples.length > 2 && now - this.#samples[0]!.at > RATE_WINDOW_MS) this.#samples.shift();
  }

  get rowsPerSecond(): number {
    const oldest = this.#samples[0];
    if (oldest === undefined) return 0;
    const ms = this.#now() - oldest.at;
    // Rows of the oldest sample were counted when its time was taken.
    return ms < 1 ? 0 : Math.round(((this.#rows - oldest.rows) * 1000) / ms);
  }
}

/** The snapshot as a whole; estimates are null as long as one table has none. */
export function snapshotProgress(
  tables: readonly TableSnapshot[],
  meter: ProgressMeter,
  times: Pick<SnapshotProgress, 'startedAt' | 'completedAt' | 'running' | 'paused'>,
): SnapshotProgress {
  let rows = 0;
  let done = 0;
  let failed = 0;
  let estimated: number | null = 0;
  for (const table of tables) {
    rows += table.rows;
    if (table.failure !== null) failed++;
    else if (table.done) done++;
    const estimate = table.failure === null ? table.estimatedRows : table.rows;
    estimated = estimated === null || estimate === null ? null : estimated + estimate;
  }
  const rate = times.running ? meter.rowsPerSecond : 0;
  const left = estimated === null ? null : Math.max(0, estimated - rows);
  return {
    running: times.running,
    paused: times.paused,
    startedAt: times.startedAt,
    completedAt: times.completedAt,
    tablesTotal: tables.length,
    tablesDone: done,
    tablesFailed: failed,
    rows,
    estimatedRows: estimated,
    rowsPerSecond: rate,
    remainingMs: !times.running ? 0 : left === null || rate === 0 ? null : Math.round((left * 1000) / rate),
  };
}

export function tableProgress(tables: readonly TableSnapshot[]): readonly TableProgress[] {
  return tables.map((table) => ({
    table: table.name,
    rows: table.rows,
    estimatedRows: table.estimatedRows,
    state: table.failure !== null ? 'failed' : table.done ? 'done' : table.reading ? 'reading' : 'waiting',
  }));
}
