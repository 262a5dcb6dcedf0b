import { formatCount } from '../observability/quantities.ts';
import type { Screen } from './screen.ts';
import type { Tally } from './tally.ts';
import type { Target } from './target.ts';

export interface Summary {
  readonly tally: Tally;
  /** Of the tables before the snapshot. */
  readonly rows: number;
  readonly target: Target;
  /** The records stay where they are. */
  readonly given: boolean;
  /** How Headwater is called here. */
  readonly command: string;
  readonly screen: Screen;
}

/** What the shop wrote beside what came out, and where to go from here. */
export function summarise({ tally, rows, target, given, command, screen }: Summary): void {
  const { written, delivered, topics, latency } = tally;
  screen.heading('Summary');
  screen.line(`  ${''.padEnd(10)}${['rows', 'inserts', 'updates', 'deletes'].map(column).join('')}`);
  screen.line(`  ${'shop'.padEnd(10)}${[rows, written.c, written.u, written.d].map(column).join('')}`);
  screen.line(
    `  ${'delivered'.padEnd(10)}${[delivered.r, delivered.c, delivered.u, delivered.d].map(column).join('')}`,
  );
  const same =
    delivered.r === rows &&
    delivered.c === written.c &&
    delivered.u === written.u &&
    delivered.d === written.d &&
    tally.unhappy === written.unhappy &&
    tally.repeated === 0;
  screen.line(
    same
      ? `  ${screen.good('✓')} every row and every change exactly once, and so each unhappy platinum customer's rating (${tally.unhappy})`
      : `  ${screen.bad('✗')} the two differ${tally.repeated > 0 ? `, ${tally.repeated} came twice` : ''}; ${tally.unhappy} of ${written.unhappy} ratings of unhappy platinum customers came`,
  );
  if (latency !== null) {
    const where =
      target.kind === 'kafka' ? 'a read_committed consumer having it' : 'it being durable in the file';
    screen.line(
      `  from commit to ${where}: half of them within ${Math.ceil(latency.median)} ms, the slowest ${Math.ceil(latency.slowest)} ms`,
    );
  }
  for (const [topic, records] of [...topics].sort(([a], [b]) => (a < b ? -1 : 1)))
    screen.line(`  topic ${topic}: ${formatCount(records)} records`);
  screen.line(screen.dim('  (a delete is two records: the event, and a tombstone for compaction)'));
  screen.heading('Next');
  if (given) screen.line('  The topics stay in your Kafka; PostgreSQL and the rest are being removed.');
  screen.line('  docs/postgres.md prepares a database of yours; then, with a file like the one above,');
  screen.line(`  ${command} doctor FILE, and ${command} run FILE`);
  screen.line(`  ${command} demo --help: for ever, another Kafka, files`);
}

function column(value: number | string): string {
  return (typeof value === 'number' ? formatCount(value) : value).padStart(10);
}
