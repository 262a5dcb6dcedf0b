import type { Notification } from '../emitter/side-records.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { PositionCodec } from '../model/position.ts';
import { tableName } from '../model/table.ts';
import type { Log } from '../observability/log.ts';
import type { Opened } from '../readers/reader.ts';
import { widenedRequests } from '../snapshot/request.ts';
import { PAUSED_PREFIX, SNAPSHOT_KEY, SOURCE_KEY, TABLE_PREFIX } from '../state/checkpoint.ts';
import type { Checkpoint } from '../state/durable-state.ts';

/** Where an attempt begins, and what has to be said and forgotten before. */
export interface StartPoint<P> {
  readonly from: P;
  /** The restored state as far as it still holds. */
  readonly known: ReadonlyMap<string, string>;
  /** Becomes durable with the position `from`. */
  readonly state: ReadonlyMap<string, string | null>;
  /** Gaps that are skipped, for the consumers. */
  readonly notices: readonly Notification[];
}

export interface StartOptions<P> {
  readonly name: string;
  /** `schema.table` of those whose changes were left out, and are to be read anew. */
  readonly resumed: readonly string[];
  readonly onGap: 'resnapshot' | 'fail' | 'skip_with_marker';
  readonly codec: PositionCodec<P>;
  readonly log: Log;
}

/**
 * Holds what the reader found against the checkpoint, and follows `source.on_gap` where the log, or the
 * publishing of a table, was interrupted.
 */
export function startPoint<P>(
  opened: Opened<P>,
  checkpoint: Checkpoint<P>,
  restored: ReadonlyMap<string, string>,
  { name, resumed, onGap, codec, log }: StartOptions<P>,
): StartPoint<P> {
  const { continuity, identity } = opened;
  // With `fail` the reader has refused to open.
  const again = onGap !== 'skip_with_marker';
  const forget = new Set<string>();
  const notices: Notification[] = [];
  if (continuity.kind === 'gap') {
    const { reason, start } = continuity;
    log.warn(
      { reason, onGap },
      again
        ? 'the log no longer reaches back to the checkpoint; all tables are read again'
        : 'the log no longer reaches back to the checkpoint; changes in between are missing from the topics',
    );
    if (again) {
      for (const key of restored.keys()) {
        if (key === SNAPSHOT_KEY || key.startsWith(TABLE_PREFIX)) forget.add(key);
      }
    } else {
      const was = checkpoint.position === null ? '' : JSON.stringify(codec.encode(checkpoint.position));
      const to = JSON.stringify(codec.encode(start));
      notices.push({
        aggregateType: 'Gap',
        type: 'SKIPPED',
        data: { pipeline: name, from: was, to, reason },
      });
    }
  }
  const interrupted = (opened.interrupted ?? []).map(tableName);
  if (interrupted.length > 0) {
    log.warn(
      { tables: interrupted, onGap },
      again
        ? 'changes of these tables were not published for a while; the tables are read again'
        : 'changes of these tables were not published for a while, and are missing from the topics',
    );
    if (again) {
      for (const table of interrupted) forget.add(TABLE_PREFIX + table);
    } else {
      const data = { pipeline: name, tables: interrupted.join(', '), reason: 'not published' };
      notices.push({ aggregateType: 'Gap', type: 'SKIPPED', data });
    }
  }
  for (const table of resumed) {
    log.warn({ table }, 'the table was paused and is tried again; it is read anew');
    forget.add(PAUSED_PREFIX + table).add(TABLE_PREFIX + table);
    // Rows deleted meanwhile are nobody's to tell: consumers have to compare.
    const data = { pipeline: name, tables: table, reason: 'paused' };
    notices.push({ aggregateType: 'Gap', type: 'SKIPPED', data });
  }
  // A request for some of the rows would be all that is read of the table.
  const all = continuity.kind === 'gap' && again;
  const widened = widenedRequests(restored, (table) => all || forget.has(TABLE_PREFIX + table));
  const from = continuity.kind === 'continuous' ? checkpoint.position : continuity.start;
  if (from === null) {
    throw new HeadwaterError(
      'internal.bug',
      'The reader found the log continuous without a stored position.',
    );
  }
  return {
    from,
    known: new Map([...[...restored].filter(([key]) => !forget.has(key)), ...widened]),
    state: new Map<string, string | null>([
      ...[...forget].map((key) => [key, null] as const),
      ...widened,
      [SOURCE_KEY, identity],
    ]),
    notices,
  };
}
