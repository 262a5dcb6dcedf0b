import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';
import type { SourceInfo } from '../model/change.ts';
import type { JsonValue } from '../model/position.ts';
import { SILENT } from '../observability/log.ts';
import type { Settings } from '../settings/settings.ts';
import { POSITION_KEY, SNAPSHOT_KEY, SOURCE_KEY, TABLE_PREFIX } from '../state/checkpoint.ts';
import { parsePositionRecord } from '../state/durable-state.ts';
import { asWritten, normalisePosition, withSource } from './sources/source.ts';
import type { Source } from './sources/source-parts.ts';
import { ownState, readSinkState } from './sinks.ts';

export const POSITION_FIX =
  'Give JSON as `headwater offsets export` prints it: headwater offsets set FILE @offsets.json';

/** The durable state of a pipeline, readable. */
export interface Offsets {
  /** Null for a pipeline that has never run. */
  readonly position: JsonValue;
  readonly commitTime: string | null;
  readonly epoch: number;
  /** Which log the position belongs to. */
  readonly source: JsonValue;
  readonly snapshot: JsonValue;
  /** `schema.table` → ledger. */
  readonly tables: Readonly<Record<string, JsonValue>>;
}

/** Reads without taking ownership: also while a daemon runs. */
export async function readOffsets(settings: Settings, signal: AbortSignal): Promise<Offsets> {
  const state = await readSinkState(settings, signal);
  const json = (key: string): JsonValue => {
    const text = state.get(key);
    return text === undefined ? null : (JSON.parse(text) as JsonValue);
  };
  const text = state.get(POSITION_KEY);
  const record = text === undefined ? null : parsePositionRecord(text);
  const tables: Record<string, JsonValue> = {};
  for (const key of [...state.keys()].filter((name) => name.startsWith(TABLE_PREFIX)).sort()) {
    tables[key.slice(TABLE_PREFIX.length)] = json(key);
  }
  return {
    position: record?.position ?? null,
    commitTime: record?.commitTimeUs == null ? null : new Date(record.commitTimeUs / 1000).toISOString(),
    epoch: record?.epoch ?? 0,
    source: json(SOURCE_KEY),
    snapshot: json(SNAPSHOT_KEY),
    tables,
  };
}

/**
 * Sets the position at which the next start resumes. Takes ownership for it, so it is refused while a daemon
 * runs. Throws `settings.invalid` where the position is not one the source could have written, and
 * `source.position-lost` where the log cannot be read from there; `onUnchecked` is told why that is not known.
 */
export async function writeOffsets(
  settings: Settings,
  position: JsonValue,
  onUnchecked: (reason: HeadwaterError) => void,
  signal: AbortSignal,
): Promise<void> {
  const normal = await normalisePosition(settings, position).catch((error: unknown) => {
    const { code, message } = asHeadwaterError(error);
    throw code === 'state.position-invalid'
      ? new HeadwaterError('settings.invalid', message, { fix: POSITION_FIX, cause: error })
      : error;
  });
  await using owned = await ownState(settings, 'its position cannot be set', signal);
  const { sink, state } = owned;
  const lost = await withSource(asWritten(settings, normal), SILENT, (source) =>
    whyLost(source, { normal, state }, signal),
  ).catch((error: unknown) => {
    const reason = asHeadwaterError(error);
    signal.throwIfAborted();
    if (reason.code === 'source.position-lost') return reason.message;
    onUnchecked(reason);
    return null;
  });
  if (lost !== null) {
    throw new HeadwaterError(
      'source.position-lost',
      `The log cannot be read from ${JSON.stringify(normal)}: ${lost.replace(/\.$/, '')}.`,
      {
        fix: 'Give a position that the log still has; `headwater resync` delivers the rows of a table again.',
      },
    );
  }
  const known = state.get(POSITION_KEY);
  const epoch = known === undefined ? 1 : parsePositionRecord(known).epoch + 1;
  await sink.commit(
    new Map([[POSITION_KEY, JSON.stringify({ v: 1, epoch, position: normal, commitTimeUs: null })]]),
  );
}

async function whyLost<P, S extends SourceInfo>(
  { openReader, positions }: Source<P, S>,
  { normal, state }: { readonly normal: JsonValue; readonly state: ReadonlyMap<string, string> },
  signal: AbortSignal,
): Promise<string | null> {
  await using reader = openReader();
  await reader.tables(signal, () => {});
  const stored = { position: positions.decode(normal), identity: state.get(SOURCE_KEY) ?? null };
  return await reader.examine({ stored, intent: null, state }, signal);
}
