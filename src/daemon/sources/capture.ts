import type { Code } from '../../errors/catalogue.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { SILENT } from '../../observability/log.ts';
import type { Reader } from '../../readers/reader.ts';
import type { Settings } from '../../settings/settings.ts';
import { openReader, withMode } from './source.ts';

/** How changes are found, and why so where there was a choice. */
export interface Capture {
  /** With the mode that was chosen. */
  readonly settings: Settings;
  readonly mode: 'log' | 'poll';
  readonly reason: string | null;
}

/** What keeps everyone from the log, and nobody from the tables. */
const OUT_OF_REACH: ReadonlySet<Code> = new Set<Code>([
  'source.wal-level',
  'source.no-replication-privilege',
  'source.privilege-missing',
  'source.publication-foreign',
  'source.read-only',
  'source.binlog-off',
  'source.binlog-format',
  'source.archive-mode',
  'source.supplemental-logging',
  'source.container',
]);

/**
 * `mode: auto` with a `poll` block: the log where it can be read, else polling, where that can be done. Throws where
 * the source does not answer. `open` makes the readers that are asked.
 */
export async function decideCapture(
  settings: Settings,
  signal: AbortSignal,
  open: typeof openReader = openReader,
): Promise<Capture> {
  const { mode, poll } = settings.source;
  if (mode !== 'auto') return { settings, mode, reason: null };
  const log = withMode(settings, 'log');
  if (!poll.configured) return { settings: log, mode: 'log', reason: null };
  const missing = await lookAt(await open(log, SILENT), signal);
  const obstacle = missing.reach ?? missing.match;
  if (obstacle === null) {
    return { settings: log, mode: 'log', reason: 'mode is auto, and the log can be read' };
  }
  const polled = withMode(settings, 'poll');
  const missingToo = await lookAt(await open(polled, SILENT), signal);
  // A name that is in no log may be a view's. One that is nowhere is no reason to leave the log.
  if (missingToo.reach !== null || (missing.reach === null && missingToo.match !== null)) {
    return { settings: log, mode: 'log', reason: null };
  }
  const reason = `mode is auto, and the log cannot be read: ${obstacle.message}`;
  return { settings: polled, mode: 'poll', reason };
}

interface Obstacle {
  readonly message: string;
}

/** What keeps the source from being read so: it is out of reach, or a name of the settings matches nothing there. */
async function lookAt(
  opened: Reader<unknown>,
  signal: AbortSignal,
): Promise<{ readonly reach: Obstacle | null; readonly match: Obstacle | null }> {
  await using reader = opened;
  const errors = (await reader.preflight(signal)).filter(({ level }) => level === 'error');
  const reach = errors.find(({ code }) => code !== undefined && OUT_OF_REACH.has(code)) ?? null;
  const match = errors.find(({ code }) => code === 'settings.no-table-matches') ?? null;
  const other = errors.find((error) => error !== match);
  if (reach !== null || other === undefined) return { reach, match };
  throw new HeadwaterError(other.code ?? 'internal.bug', other.message, { fix: other.fix });
}
