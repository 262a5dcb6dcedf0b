import type { Code } from '../../errors/catalogue.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { SILENT } from '../../observability/log.ts';
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
 * the source does not answer.
 */
export async function decideCapture(settings: Settings, signal: AbortSignal): Promise<Capture> {
  const { mode, poll } = settings.source;
  if (mode !== 'auto') return { settings, mode, reason: null };
  const log = withMode(settings, 'log');
  if (!poll.configured) return { settings: log, mode: 'log', reason: null };
  const obstacle = await whyNot(log, signal);
  if (obstacle === null) {
    return { settings: log, mode: 'log', reason: 'mode is auto, and the log can be read' };
  }
  const polled = withMode(settings, 'poll');
  if ((await whyNot(polled, signal)) !== null) return { settings: log, mode: 'log', reason: null };
  const reason = `mode is auto, and the log cannot be read: ${obstacle.message}`;
  return { settings: polled, mode: 'poll', reason };
}

interface Obstacle {
  readonly message: string;
}

/** The first thing that keeps the source from being read so; null where there is none. */
async function whyNot(settings: Settings, signal: AbortSignal): Promise<Obstacle | null> {
  await using reader = await openReader(settings, SILENT);
  const errors = (await reader.preflight(signal)).filter(({ level }) => level === 'error');
  const obstacle = errors.find(({ code }) => code !== undefined && OUT_OF_REACH.has(code));
  if (obstacle !== undefined) return obstacle;
  const [other] = errors.filter(({ code }) => code !== 'settings.no-table-matches');
  if (other === undefined) return null;
  throw new HeadwaterError(other.code ?? 'internal.bug', other.message, { fix: other.fix });
}
