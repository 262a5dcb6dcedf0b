import { failed, failedBy, ok, warning } from '../finding.ts';
import type { CheckedDatabase } from './checked-database.ts';
import { noDestination } from './logs/collect-logs.ts';
import { VALID_DESTINATIONS } from './logs/log-files.ts';

const ONLINE_LOGS = 'SELECT TO_CHAR(BYTES) FROM V$LOG';
/** How often logs were switched within the last day. */
const SWITCHES = 'SELECT TO_CHAR(COUNT(*)) FROM V$LOG_HISTORY WHERE FIRST_TIME > SYSDATE - 1';
const SMALL_LOG = 100 * 1024 ** 2;
const MANY_SWITCHES = 6 * 24;

/** Whether the log is kept, and has what is needed of changes. */
export function checkLogging({ options, database, findings }: CheckedDatabase): void {
  if (!database.archiving) {
    findings.push(
      failed('archive mode', 'source.archive-mode', `${database.name} is not in ARCHIVELOG mode.`),
    );
  } else {
    findings.push(ok('archive mode', `${database.name} archives its redo logs.`));
  }
  if (!database.minimalLogging && !database.allColumnLogging) {
    findings.push(
      failed(
        'supplemental logging',
        'source.supplemental-logging',
        `${database.name} has no supplemental logging.`,
        "ALTER DATABASE ADD SUPPLEMENTAL LOG DATA; (on RDS: exec rdsadmin.rdsadmin_util.alter_supplemental_logging('ADD');)",
      ),
    );
  } else {
    findings.push(ok('supplemental logging', `${database.name} has supplemental logging.`));
  }
  const { standby } = database;
  if (standby && options.archiveOnly === false) {
    findings.push(
      failed(
        'role',
        'source.read-only',
        `${database.name} is a ${database.role.toLowerCase()} that is open read-only.`,
        'Remove source.oracle.archive_only: false, or name the primary in source.url.',
      ),
    );
  }
  if (standby && options.archiveOnly !== false) {
    findings.push(ok('role', `${database.name} is a standby: archived logs alone are read.`));
  }
  if (standby && options.flushTable !== null) {
    findings.push(
      warning(
        'role',
        'The flush table cannot be written to here; it is left alone.',
        'Remove source.oracle.flush_table.',
      ),
    );
  }
}

/** Where archived logs are, and whether online ones are large enough. */
export async function checkLogs({ session, options, findings }: CheckedDatabase): Promise<void> {
  if (findings.some(({ level }) => level === 'error')) return;
  const found = (await session.query(VALID_DESTINATIONS)).map(([name]) => String(name));
  const wrong = options.archiveDestinations.filter((name) => !found.includes(name));
  if (wrong.length > 0) {
    findings.push(
      failed(
        'archive destinations',
        'settings.invalid',
        `source.oracle.archive_destinations names ${wrong.join(', ')}, which ${wrong.length === 1 ? 'is' : 'are'} not local and valid.`,
        `Local and valid are: ${found.join(', ') || 'none'}.`,
      ),
    );
  } else if (found.length === 0) {
    findings.push(failedBy(noDestination(), 'archive destinations'));
  } else if (options.archiveDestinations.length === 0 && found.length > 1) {
    findings.push(
      warning(
        'archive destinations',
        `Logs are archived to several places (${found.join(', ')}).`,
        `Say in source.oracle.archive_destinations which to read, such as [${found[0]!}].`,
      ),
    );
  } else {
    findings.push(ok('archive destinations', `Archived logs are read from ${found.join(', ')}.`));
  }
  const sizes = (await session.query(ONLINE_LOGS)).map(([bytes]) => Number(bytes));
  const smallest = Math.min(...sizes);
  const [switches] = await session.query(SWITCHES);
  if (smallest < SMALL_LOG || Number(switches?.[0]) > MANY_SWITCHES) {
    findings.push(
      warning(
        'online logs',
        `The smallest online log has ${Math.round(smallest / 1024 ** 2)} MB, and logs were switched ${String(switches?.[0])} times within a day.`,
        'Larger online logs (500 MB or more) make mining cheaper.',
      ),
    );
  }
}
