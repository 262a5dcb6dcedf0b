import type { Emitter } from '../emitter/emitter.ts';
import type { Sink } from '../emitter/sink.ts';
import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';
import { topicFaultOf } from '../emitter/topic-fault.ts';
import type { RunningEnrichment } from '../enrichment/run/running-enrichment.ts';
import type { SourceInfo } from '../model/change.ts';
import { type TableId, tableName } from '../model/table.ts';
import { failpoint } from '../observability/failpoint.ts';
import type { DeliveredBefore, DeliveredKeys } from '../readers/delivered-before.ts';
import type { CapturedTable, Opened, Reader } from '../readers/reader.ts';
import { createSnapshot, type Snapshot } from '../snapshot/snapshot.ts';
import type { SnapshotSource } from '../snapshot/snapshot-source.ts';
import { LOG_SOURCE_KEY, LOGGED_KEY, SOURCE_KEY } from '../state/checkpoint.ts';
import type { Attempt, TableErrorHandler } from './attempt-parts.ts';
import { Committer, type DurableCommit } from './committer.ts';
import { startPoint, type StartPoint } from './start-point.ts';
import { TableBoard } from './table-board.ts';
import { noteDeadLetter, type Owned } from './take-over.ts';
import { steadyNow } from '../observability/steady-clock.ts';

/** Progress without records is made durable this often. */
const IDLE_COMMIT_MS = 5_000;
/** At least once may have this many commits under way. */
const OVERLAPPING_COMMITS = 4;

/** A pipeline that is ready to read. */
export interface Run<P, S extends SourceInfo> {
  readonly reader: Reader<P, S>;
  readonly sink: Sink;
  /** Where the stream begins. */
  readonly from: P;
  readonly source: SnapshotSource<P, S>;
  readonly emitter: Emitter;
  readonly enrichment: RunningEnrichment<P, S> | null;
  readonly snapshot: Snapshot<P, S>;
  readonly captured: readonly TableId[];
  /** Null where there is nothing that could be told. */
  readonly before: DeliveredBefore | null;
  /** Null where they are not kept. */
  readonly keys: DeliveredKeys<P> | null;
  readonly board: TableBoard;
  readonly committer: Committer<P>;
}

/**
 * Opens the log and puts together what stands between it and the sink. What the start itself has to say
 * (position of a new or broken-off log, what is to be forgotten, the operator's edits) is the first thing that
 * the committer is given.
 */
export async function begin<P, S extends SourceInfo>(
  attempt: Attempt<P, S>,
  owned: Owned<P, S>,
): Promise<Run<P, S>> {
  const { parts, monitor, log, resources, ending } = attempt;
  const { reader, sink, restored, groups, checkpoint, tables, misfits } = owned;
  const { signal } = ending;
  const opened = await openLog(attempt, owned);
  const locked = new Map((opened.locked ?? []).map((id) => [tableName(id), lockedError(id)]));
  // Statements see all of a transaction, or nothing.
  for (const error of parts.enrichment === null ? [] : locked.values()) throw error;
  const captured = tables.map(({ id }) => id);
  const records = await parts.openRecords({ json: sink.json, state: restored, captured, misfits }, signal);
  const start = startPoint(opened, checkpoint, restored, {
    name: parts.name,
    resumed: records.resumed,
    onGap: parts.onGap,
    codec: reader.codec,
    log,
  });

  const onTableError: TableErrorHandler = (id, error) => {
    board.quarantine(id, error);
    log.error({ table: tableName(id), code: error.code, advice: error.advice }, error.message);
  };
  const emitter = records.createEmitter(sink, {
    totals: monitor.tableTotals,
    onPaused: onTableError,
    onDeadLetter: noteDeadLetter(attempt),
  });
  const source = reader.snapshotSource();
  parts.control.heldTables = new Set(
    [...records.paused].flatMap(([table, { code }]) => (code === 'request.table-paused' ? [table] : [])),
  );
  parts.control.tryCondition = (table, where, asked) => tryCondition(source, tables, { table, where }, asked);
  resources.defer(() => {
    parts.control.tryCondition = null;
  });
  const epoch = checkpoint.epoch + 1;
  const continuous = opened.continuity.kind === 'continuous';
  const enrichment =
    parts.enrichment === null || groups === null
      ? null
      : resources.use(
          await parts.enrichment.open(
            {
              sink,
              codec: reader.codec,
              source,
              captured,
              topicOf: (id) => parts.topicOf(id),
              partly: parts.snapshot.where,
              known: start.known,
              groups,
              epoch,
              continuous,
              interrupted: opened.interrupted ?? [],
              head: async () => (await reader.head(signal)).position,
              nudge: () => reader.nudge(),
              log,
              first: monitor.attempts === 1,
            },
            signal,
          ),
        );
  enrichment?.failed.catch(ending.fail);
  const snapshot = createSnapshot<P, S>({
    ...parts.snapshot,
    source,
    codec: reader.codec,
    tables: tables.filter(({ id }) => !locked.has(tableName(id))),
    left: new Set(locked.keys()),
    restored: start.known,
    freshStart: !continuous,
    first: parts.enrichment?.replicas(start.known) ?? new Set(),
    onFirstRead: async (names) => enrichment?.snapshotRead(names),
    retainedBytes: async () => (await reader.head(signal)).retainedBytes,
    onTableError,
    log,
  });
  const before = resources.use(await parts.deliveredBefore(start.known, captured, signal));
  for (const message of before?.untold ?? []) if (monitor.note(message)) log.warn({}, message);
  const keys = resources.use(
    await parts.deliveredKeys({ codec: reader.codec, state: start.known, tables: captured }),
  );
  const board = new TableBoard(tables, {
    topicOf: (id) => parts.topicOf(id),
    progress: () => snapshot.tableProgress(),
    emitted: () => emitter.tables(),
    deadLetters: monitor.deadLetters,
  });
  for (const { id } of tables) {
    const reason = locked.get(tableName(id)) ?? records.paused.get(tableName(id));
    if (reason !== undefined) onTableError(id, reason);
  }
  monitor.snapshotProgress = () => snapshot.progress();
  monitor.tableStatus = () => board.status();
  monitor.queryStatus = () => enrichment?.queries() ?? [];

  const committer = createCommitter(attempt, owned, { epoch, from: start.from, emitter, enrichment, keys });
  const told = await notify(attempt, emitter, start.notices);
  // The position of a new or broken-off log is durable before anything is read from it.
  committer.add(
    {
      changes: [],
      bytes: 0,
      resume: start.from,
      state: firstState(owned, start, { enrichment, before, keys }),
    },
    told,
  );
  return {
    reader,
    sink,
    from: start.from,
    source,
    emitter,
    enrichment,
    snapshot,
    captured,
    before,
    keys,
    board,
    committer,
  };
}

function lockedError(id: TableId): HeadwaterError {
  const table = tableName(id);
  return new HeadwaterError(
    'source.table-locked',
    `The table ${table} is locked by somebody else: its changes are not published, and it is not read, until the lock is gone.`,
    { details: { table } },
  );
}

/** The number that were written: where the topic of notifications cannot be had, the log alone has them. */
async function notify<P, S extends SourceInfo>(
  { log }: Attempt<P, S>,
  emitter: Emitter,
  notices: StartPoint<P>['notices'],
): Promise<number> {
  let told = 0;
  for (const notice of notices) {
    try {
      await emitter.notify(notice, Date.now());
      told++;
    } catch (thrown) {
      const fault = topicFaultOf(thrown);
      if (fault === null) throw thrown;
      log.warn({ ...notice.data, advice: fault.advice }, `consumers are not told of a gap: ${fault.message}`);
    }
  }
  return told;
}

/** A session of its own: those of the snapshot are busy, perhaps. */
async function tryCondition<P, S extends SourceInfo>(
  source: SnapshotSource<P, S>,
  tables: readonly CapturedTable[],
  { table, where }: { readonly table: string; readonly where: string },
  signal: AbortSignal,
): Promise<void> {
  const id = tables.find((each) => tableName(each.id) === table)?.id;
  if (id === undefined) return;
  await using windows = await source.openWindows({ parallelism: 1 }, signal);
  const chunks = [{ from: null, to: null }];
  await windows.plan(id, { chunkRows: Number.MAX_SAFE_INTEGER, where, chunks }, signal);
}

async function openLog<P, S extends SourceInfo>(
  { parts, ending }: Attempt<P, S>,
  { reader, sink, restored, changeOver, checkpoint }: Owned<P, S>,
): Promise<Opened<P>> {
  const { position, identity } = checkpoint;
  // Until the log's position is durable the other is what counts, and the source that it belongs to.
  const key = changeOver?.from === 'poll' ? LOG_SOURCE_KEY : SOURCE_KEY;
  const opened = await reader.open(
    {
      stored: position === null ? null : { position, identity },
      intent: position === null ? identity : null,
      lost: parts.lost,
      state: restored,
      recordIntent: async (intended) => {
        await sink.commit(new Map([[key, intended]]));
        failpoint('intent-recorded');
      },
    },
    ending.signal,
  );
  failpoint('slot-created');
  return opened;
}

function createCommitter<P, S extends SourceInfo>(
  { parts, monitor, ending }: Attempt<P, S>,
  { reader, sink, checkpoint, edits }: Owned<P, S>,
  {
    epoch,
    from,
    emitter,
    enrichment,
    keys,
  }: Pick<Run<P, S>, 'from' | 'emitter' | 'enrichment' | 'keys'> & {
    readonly epoch: number;
  },
): Committer<P> {
  const { codec } = reader;
  const { counters } = monitor;
  const commitsBefore = counters.commits;
  let countedBytes = 0;
  const traced = (commit: DurableCommit<P>, failure: HeadwaterError | null): void => {
    if (parts.traces === null || commit.rows === 0) return;
    const { position, commitTimeUs, rows, since, begunAt } = commit;
    const sourceCommitAt = commitTimeUs === null ? null : commitTimeUs / 1000;
    const span = { rows, since, begunAt, endedAt: steadyNow(), sourceCommitAt, failure };
    parts.traces.trace({ pipeline: parts.name, position: JSON.stringify(codec.encode(position)), ...span });
  };
  return new Committer<P>(
    {
      sink,
      codec,
      epoch,
      maxInFlight: parts.exactlyOnce ? 1 : OVERLAPPING_COMMITS,
      maxRows: parts.maxTransactionRows,
      maxMs: parts.maxTransactionMs,
      idleMs: IDLE_COMMIT_MS,
      now: steadyNow,
      onFailure: (error, commit) => {
        traced(commit, asHeadwaterError(error));
        ending.fail(error);
      },
      onSplit: () => emitter.split(),
      onCommit: () => enrichment?.committing(),
      onDurable: (commit) => {
        const { position, commitTimeUs, rows } = commit;
        traced(commit, null);
        reader.confirm(position);
        keys?.confirm(position);
        enrichment?.committed();
        // Part of the first commit.
        if (counters.commits === commitsBefore) parts.control.made(edits);
        counters.commits++;
        if (rows > 0 || codec.compare(position, from) !== 0) monitor.progress++;
        const sentBytes = sink.stats().bytes;
        counters.recordBytes += sentBytes - countedBytes;
        countedBytes = sentBytes;
        const encoded = codec.encode(position);
        monitor.confirmed = encoded;
        monitor.delivered(encoded, commitTimeUs);
      },
    },
    checkpoint.position,
    checkpoint.commitTimeUs,
  );
}

function firstState<P, S extends SourceInfo>(
  { edits }: Owned<P, S>,
  { state, known }: StartPoint<P>,
  { enrichment, before, keys }: Pick<Run<P, S>, 'enrichment' | 'before' | 'keys'>,
): Map<string, string | null> {
  const first = new Map([...edits, ...state, ...(enrichment?.state ?? [])]);
  // Were they kept again later, they would lack what has been delivered until then.
  if (keys === null && before === null && known.has(LOGGED_KEY)) first.set(LOGGED_KEY, null);
  return first;
}
