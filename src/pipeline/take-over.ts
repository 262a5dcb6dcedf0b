import type { Sink } from '../emitter/sink.ts';
import type { BulkGroups } from '../enrichment/state/bulk-groups.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { SourceInfo } from '../model/change.ts';
import { type TableId, tableName } from '../model/table.ts';
import { missingDeletes } from '../readers/delivered-before.ts';
import type { CapturedTable, Reader } from '../readers/reader.ts';
import type { SnapshotMode } from '../snapshot/snapshot.ts';
import { LOGGED_KEY, PAUSED_PREFIX } from '../state/checkpoint.ts';
import { epochOf, readCheckpoint, type Checkpoint } from '../state/durable-state.ts';
import type { Attempt, ChangeOver, Misfit, TableErrorHandler } from './attempt-parts.ts';
import { noteRetained } from './head-watch.ts';

/** The pipeline is this process's: nobody else delivers, and what was delivered is known. */
export interface Owned<P, S extends SourceInfo> {
  readonly reader: Reader<P, S>;
  readonly sink: Sink;
  /** The durable state as found, with the operator's edits. */
  readonly restored: ReadonlyMap<string, string>;
  /** What the state holds of the groups of statements; null where there are none. */
  readonly groups: BulkGroups | null;
  readonly changeOver: ChangeOver | null;
  /** Part of `restored` that is not durable yet: goes into the first commit. */
  readonly edits: ReadonlyMap<string, string | null>;
  readonly checkpoint: Checkpoint<P>;
  readonly tables: readonly CapturedTable[];
  /** Where the settings do not fit the tables; looked for where tables wait for that to be mended. */
  readonly misfits: readonly Misfit[];
}

/** Looks at the source, waits for the lease, and restores the state. Nothing is made at the source yet. */
export async function takeOver<P, S extends SourceInfo>(attempt: Attempt<P, S>): Promise<Owned<P, S>> {
  const { parts, monitor, log, resources, ending } = attempt;
  const { signal } = ending;
  const reader = resources.use(parts.openReader());
  await refuseOnErrors(reader, signal);
  // Here too: the log piles up while the sink is away and no attempt gets any further.
  noteRetained((await reader.head(signal)).retainedBytes, monitor, log);
  // Closed behind the sink, which goes on writing to it.
  const groups = parts.enrichment === null ? null : resources.use(await parts.enrichment.openGroups());
  const sink = resources.use(await parts.openSink(signal));
  sink.failed.catch(ending.fail);
  const stored = await sink.restore({
    signal,
    ...(groups === null ? {} : { bulk: groups }),
    onDeadLetter: noteDeadLetter(attempt),
    ...(parts.turns === undefined ? {} : { turns: parts.turns }),
    onWaiting: (holder) => {
      const news = monitor.state !== 'standby';
      monitor.standBy(holder);
      if (news) log.info({ holder }, 'another instance is running; waiting as a warm standby');
    },
  });
  monitor.enter('starting');
  const changeOver = parts.changeOver(stored);
  if (changeOver !== null) log.info({}, 'changes are found in another way than before');
  const edits = new Map([...(changeOver?.state ?? []), ...parts.control.edits]);
  const restored = edited(stored, edits);
  const checkpoint = { ...readCheckpoint(restored, reader.codec), epoch: epochOf(stored) };
  const fresh = checkpoint.position === null;
  // A table that was dropped is no reason to stop the others, which have been going on ever since.
  const unmatched: string[] = [];
  const tables = await reader.tables(signal, fresh ? undefined : (message) => unmatched.push(message));
  const captured = tables.map(({ id }) => id);
  for (const message of monitor.warn([...unmatched, ...parts.idleSettings(captured)])) log.warn({}, message);
  const missing =
    changeOver === null ? [] : missingAfter(changeOver, stored, { captured, mode: parts.snapshot.mode });
  for (const message of missing) {
    if (monitor.note(message)) log.warn({}, message);
  }
  if (monitor.attempts === 1) {
    for (const { id, limitation } of tables) {
      if (limitation !== null) log.warn({ table: tableName(id) }, limitation);
    }
  }
  const misfits = await misfitsNow(attempt, { reader, restored, fresh });
  // Nothing is made at the source for a pipeline that could not deliver.
  if (fresh) {
    const fatal = misfits.find(({ error }) => error.entry.fate !== 'quarantine');
    if (fatal !== undefined) throw fatal.error;
    await sink.check?.(parts.topicsOf(captured), signal);
  }
  return { reader, sink, restored, groups, changeOver, edits, checkpoint, tables, misfits };
}

/** What no snapshot makes up for, and nobody's knowledge of delivered rows (begin.ts). */
function missingAfter(
  { from }: ChangeOver,
  stored: ReadonlyMap<string, string>,
  { captured, mode }: { readonly captured: readonly TableId[]; readonly mode: SnapshotMode },
): readonly string[] {
  const names = captured.map(tableName);
  if (mode === 'no_data') {
    return [
      `Changes are found in another way than before, and with snapshot.mode: no_data nothing is read again: what was written in between to ${names.join(', ')} is missing.`,
    ];
  }
  // Either polling begins and nobody knows what the log had delivered, or it ends and had not come to tell of that.
  const known = stored.has(LOGGED_KEY);
  return known === (from === 'log') ? [] : [missingDeletes(names)];
}

/** They stop a first start, and tables may wait for them to be mended. */
async function misfitsNow<P, S extends SourceInfo>(
  { parts, ending }: Attempt<P, S>,
  { reader, restored, fresh }: Pick<Owned<P, S>, 'reader' | 'restored'> & { readonly fresh: boolean },
): Promise<readonly Misfit[]> {
  const waiting = [...restored.keys()].some((key) => key.startsWith(PAUSED_PREFIX));
  if (!fresh && !waiting) return [];
  const found = { tables: await reader.describe(ending.signal), state: restored };
  return await parts.misfits(found, ending.signal);
}

/** Counts the dead letters of each table, and tells of the first of each kind. */
export function noteDeadLetter<P, S extends SourceInfo>({ monitor, log }: Attempt<P, S>): TableErrorHandler {
  return (id, error) => {
    const table = tableName(id);
    if (!monitor.deadLetter(table, error)) return;
    log.error({ table, code: error.code, advice: error.advice }, error.message);
  };
}

async function refuseOnErrors<P, S extends SourceInfo>(
  reader: Reader<P, S>,
  signal: AbortSignal,
): Promise<void> {
  for (const finding of await reader.preflight(signal)) {
    // Whether that is one depends on the checkpoint, and `tables` is asked again when it is known.
    if (finding.code === 'settings.no-table-matches') continue;
    if (finding.level === 'error') {
      throw new HeadwaterError(finding.code ?? 'internal.bug', finding.message, { fix: finding.fix });
    }
  }
}

/** The state as the operator wants it to have been found. */
function edited(
  state: ReadonlyMap<string, string>,
  edits: ReadonlyMap<string, string | null>,
): ReadonlyMap<string, string> {
  if (edits.size === 0) return state;
  const result = new Map(state);
  for (const [key, value] of edits) {
    if (value === null) result.delete(key);
    else result.set(key, value);
  }
  return result;
}
