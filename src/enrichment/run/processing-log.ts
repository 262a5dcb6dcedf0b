import type { Log } from '../../observability/log.ts';
import type { QueryStatus } from '../../observability/status.ts';
import type { Problem } from '../sql/frame.ts';

const SENTENCES: Readonly<Record<Problem, string>> = {
  cast: 'a value could not be cast',
  'division-by-zero': 'a division by zero',
  overflow: 'a number did not fit its type',
  index: 'an array has no item at that position',
  json: 'a text was not the JSON, or the path not the one, that was expected',
  time: 'a text was no time of that pattern, or a number no time',
  pattern: 'a pattern was no regular expression',
  'aggregate-limit': 'a group has more values than are kept (10,000), and one was left out',
  late: 'an event came after the end of its window and its grace, and was left out',
  'record-unreadable': 'a record is not what its columns and format say, and was left out',
  'key-missing':
    'a record of a table, or of a compacted topic, had no key, or a key that is NULL, and was left out',
  timestamp: 'the column that TIMESTAMP names, or the record, held no time, and the record was left out',
  'value-not-in-log': 'the log does not hold a value that has not changed (REPLICA IDENTITY FULL mends it)',
  'value-not-representable': 'a value of the database has no equal in SQL (NaN, infinity)',
};

/**
 * Counts what failed for a row, by query and problem, and says so at the first and then ever more rarely:
 * a million bad rows are not a million lines.
 */
export class ProcessingLog {
  readonly #log: Log;
  readonly #byQuery = new Map<string, Map<Problem, number>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** How often what has failed for the query. */
  of(query: string): Pick<QueryStatus, 'problems' | 'problemsByKind'> {
    const counts = this.#byQuery.get(query) ?? new Map<Problem, number>();
    let problems = 0;
    for (const count of counts.values()) problems += count;
    return { problems, problemsByKind: Object.fromEntries(counts) };
  }

  note(query: string, problem: Problem): void {
    let counts = this.#byQuery.get(query);
    if (counts === undefined) this.#byQuery.set(query, (counts = new Map()));
    const count = (counts.get(problem) ?? 0) + 1;
    counts.set(problem, count);
    if (!/^10*$/.test(String(count))) return;
    this.#log.warn({ query, problem, count }, `enrichment: ${SENTENCES[problem]}`);
  }
}
