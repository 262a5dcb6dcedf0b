import { ok, warning } from './finding.ts';
import type { PolledTable, PollMode, PollScan } from './poll-dialect.ts';
import { tableName } from '../model/table.ts';
import type { Finding } from './reader.ts';

/** A smaller table is read as fast without an index. */
const LARGE_ROWS = 10_000;

export interface PollLoad {
  /** About; null where nobody knows. */
  readonly rows: number | null;
  /** Its timestamps have no time zone, and none is named for them. */
  readonly zoneless: boolean;
  /** Whether the plan of a scan, as each poll asks for it, reads or sorts the whole table. */
  readonly sequential: (scan: PollScan) => Promise<boolean>;
  /** The statement that makes the index which would serve. */
  readonly index: string;
}

/** Whether an index serves what is asked again and again. */
export async function checkPollLoad(
  { schema, options }: PolledTable,
  { rows, zoneless, sequential, index }: PollLoad,
): Promise<readonly Finding[]> {
  const name = tableName(schema.id);
  const check = `polling ${name}`;
  const { mode } = options;
  const large = rows !== null && rows >= LARGE_ROWS;
  const findings: Finding[] = [];
  if (zoneless) {
    findings.push(
      warning(
        check,
        `The timestamps of ${name} have no time zone: so long as none is named, the rows of half a day are looked at each time.`,
        'Set source.poll.time_zone to the zone that they are written in, such as Europe/Berlin or UTC.',
      ),
    );
  }
  if (mode === 'bulk') {
    const whole = `${name} is read whole at each poll`;
    const fix = `Name a timestamp column as source.poll.tables.${name}.timestamp, or poll it less often.`;
    findings.push(large ? warning(check, `${whole}: about ${rows} rows.`, fix) : ok(check, `${whole}.`));
  } else if (!(await sequential(scanOf(mode)))) {
    findings.push(ok(check, `An index serves the polling of ${name} (${mode}).`));
  } else if (large) {
    findings.push(
      warning(
        check,
        `No index serves the polling of ${name}: each poll reads all of its rows, about ${rows}.`,
        index,
      ),
    );
  } else {
    findings.push(ok(check, `${name} is polled by ${mode}; it is small enough to do without an index.`));
  }
  return findings;
}

/** From the present moment on. */
function scanOf(mode: PollMode): PollScan {
  const us = Date.now() * 1000;
  const low = mode === 'incrementing' ? null : ({ kind: 'time', us, nowUs: us } as const);
  return { kind: 'cursor', low, after: null, versions: null, limit: 1_000 };
}
