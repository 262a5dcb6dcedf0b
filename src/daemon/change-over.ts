import type { JsonValue } from '../model/position.ts';
import type { ChangeOver } from '../pipeline/attempt-parts.ts';
import { polledRecord } from '../readers/polling/polled-before.ts';
import { isPollPosition } from '../readers/polling/position.ts';
import type { Settings } from '../settings/settings.ts';
import {
  HISTORY_PREFIX,
  LOG_SOURCE_KEY,
  LOGGED_KEY,
  POLLED_KEY,
  POLL_PREFIX,
  POSITION_KEY,
  SCHEMA_PREFIX,
  SNAPSHOT_KEY,
  SOURCE_KEY,
  TABLE_PREFIX,
} from '../state/checkpoint.ts';
import { parsePositionRecord } from '../state/durable-state.ts';

/** Whether the position belongs to the way that the settings name. */
function isOwnPosition({ source }: Settings, position: JsonValue): boolean {
  return isPollPosition(position) === (source.mode === 'poll');
}

/**
 * What of the durable state is to be forgotten where it was written by the other way of finding changes: the pipeline
 * begins like a new one, with a snapshot, whose rows repeat what was delivered and are marked `r`. So nothing that
 * happened in between is missing; and what polling remembers of rows is compared then, so that no delete is missing
 * either. The log's identity is kept beside, so that a slot of our own is known again.
 */
export function changeOver(settings: Settings, state: ReadonlyMap<string, string>): ChangeOver | null {
  const text = state.get(POSITION_KEY);
  if (text === undefined) return null;
  const { position } = parsePositionRecord(text);
  if (isOwnPosition(settings, position)) return null;
  const changes = new Map<string, string | null>([
    [POSITION_KEY, null],
    [SNAPSHOT_KEY, null],
  ]);
  if (settings.source.mode === 'poll') {
    changes
      .set(LOG_SOURCE_KEY, state.get(SOURCE_KEY) ?? null)
      .set(SOURCE_KEY, null)
      .set(POLLED_KEY, null);
  } else {
    changes.set(SOURCE_KEY, state.get(LOG_SOURCE_KEY) ?? null).set(LOG_SOURCE_KEY, null);
    changes.set(POLLED_KEY, polledRecord(position, state)).set(LOGGED_KEY, null);
  }
  // Shapes of tables are written alike by polling and PostgreSQL's log alone.
  const shapes = settings.source.connector === 'postgresql' ? [] : [SCHEMA_PREFIX, HISTORY_PREFIX];
  for (const key of state.keys()) {
    if ([TABLE_PREFIX, POLL_PREFIX, ...shapes].some((prefix) => key.startsWith(prefix)))
      changes.set(key, null);
  }
  return { state: changes, from: settings.source.mode === 'poll' ? 'log' : 'poll' };
}
