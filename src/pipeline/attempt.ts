import type { Emitter } from '../emitter/emitter.ts';
import type { Sink } from '../emitter/sink.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { RunningEnrichment } from '../enrichment/stage.ts';
import type { Batch } from '../model/batch.ts';
import type { SourceInfo } from '../model/change.ts';
import { tableName } from '../model/table.ts';
import { failpoint } from '../observability/failpoint.ts';
import type { Log } from '../observability/log.ts';
import type { Reader } from '../readers/reader.ts';
import { createSnapshot, type Snapshot } from '../snapshot/snapshot.ts';
import { SOURCE_KEY } from '../state/checkpoint.ts';
import { readCheckpoint } from '../state/durable-state.ts';
import type { AttemptParts, TableErrorHandler } from './attempt-parts.ts';
import { Committer } from './committer.ts';
import type { PipelineControl } from './control.ts';
import { noteRetained, watchHead } from './head-watch.ts';
import type { PipelineMonitor } from './monitor.ts';
import { startPoint } from './start-point.ts';
import { TableBoard } from './table-board.ts';

/** Progress without records is made durable this often. */
const IDLE_COMMIT_MS = 5_000;
/** At least once may have this many commits under way. */
const OVERLAPPING_COMMITS = 4;

/**
 * One attempt of a pipeline: take ownership, restore, snapshot, stream, until `stop` aborts (resolves with
 * 'stopped'), the work is done ('complete'), or something breaks (throws). It never retries; whatever it
 * opened is closed when it settles.
 */
export async function runAttempt<P, S extends SourceInfo>(
  parts: AttemptParts<P, S>,
  monitor: PipelineMonitor,
  stop: AbortSignal,
  log: Log,
): Promise<'stopped' | 'complete'> {
  // One controller ends everything below: the operator's stop, a failed commit, a lost lease, completion.
  const ending = new AbortController();
  const signal = ending.signal;
  const onStop = (): void => ending.abort();
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) ending.abort();
  let failure: { readonly error: unknown } | null = null;
  const fail = (error: unknown): void => {
    failure ??= { error };
    ending.abort();
  };
  try {
    await using resources = new AsyncDisposableStack();
    try {
      const reader = resources.use(parts.openReader());
      await refuseOnErrors(reader, signal);
      // Here too: the log piles up while the sink is away and no attempt gets any further.
      noteRetained((await reader.head(signal)).retainedBytes, monitor, log);
      const sink = resources.use(await parts.openSink(signal));
      sink.failed.catch(fail);
      const stored = await sink.restore({
        signal,
        onWaiting: () => {
          monitor.enter('standby');
          // Another instance looks after it.
          monitor.sawRetained(null);
          log.info({}, 'another instance is running; waiting as a warm standby');
        },
      });
      monitor.enter('starting');
      const { edits } = parts.control;
      const restored = edited(stored, edits);
      const checkpoint = readCheckpoint(restored, reader.codec);
      const epoch = checkpoint.epoch + 1;
      // A table that was dropped is no reason to stop the others, which have been going on ever since.
      const unmatched: string[] = [];
      const tables = await reader.tables(
        signal,
        checkpoint.position === null ? undefined : (message) => unmatched.push(message),
      );
      for (const message of monitor.warn(unmatched)) log.warn({}, message);
      if (monitor.attempts === 1) {
        for (const { id, limitation } of tables) {
          if (limitation !== null) log.warn({ table: tableName(id) }, limitation);
        }
      }
      // Nothing is made at the source for a pipeline that could not deliver.
      if (checkpoint.position === null)
        await sink.check?.(parts.topicsOf(tables.map(({ id }) => id)), signal);

      const opened = await reader.open(
        {
          stored:
            checkpoint.position === null
              ? null
              : { position: checkpoint.position, identity: checkpoint.identity },
          intent: checkpoint.position === null ? checkpoint.identity : null,
          lost: parts.lost,
          state: restored,
          recordIntent: async (identity) => {
            await sink.commit(new Map([[SOURCE_KEY, identity]]));
            failpoint('intent-recorded');
          },
        },
        signal,
      );
      failpoint('slot-created');
      const records = await parts.openRecords(restored, signal);
      const { from, known, state, notices } = startPoint(opened, checkpoint, restored, {
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
        onDeadLetter: (id, error) => {
          const table = tableName(id);
          if (!monitor.deadLetter(table, error)) return;
          log.error({ table, code: error.code, advice: error.advice }, error.message);
        },
      });
      const source = reader.snapshotSource();
      const enrichment =
        parts.enrichment === null
          ? null
          : resources.use(
              await parts.enrichment.open(
                {
                  sink,
                  codec: reader.codec,
                  source,
                  captured: tables.map(({ id }) => id),
                  topicOf: (id) => parts.topicOf(id),
                  partly: parts.snapshot.where,
                  known,
                  epoch,
                  continuous: opened.continuity.kind === 'continuous',
                  interrupted: opened.interrupted ?? [],
                  log,
                  first: monitor.attempts === 1,
                },
                signal,
              ),
            );
      const snapshot = createSnapshot<P, S>({
        ...parts.snapshot,
        source,
        codec: reader.codec,
        tables,
        restored: known,
        freshStart: opened.continuity.kind !== 'continuous',
        first: parts.enrichment?.replicas ?? new Set(),
        onFirstRead: async (names) => enrichment?.snapshotRead(names),
        retainedBytes: async () => (await reader.head(signal)).retainedBytes,
        onTableError,
        log,
      });
      const board = new TableBoard(tables, {
        topicOf: (id) => parts.topicOf(id),
        progress: () => snapshot.tableProgress(),
        emitted: () => emitter.tables(),
        deadLetters: monitor.deadLetters,
      });
      monitor.snapshotProgress = () => snapshot.progress();
      monitor.tableStatus = () => board.status();
      monitor.queryStatus = () => enrichment?.queries() ?? [];
      let countedBytes = 0;
      const commitsBefore = monitor.counters.commits;
      const committer = new Committer<P>(
        {
          sink,
          codec: reader.codec,
          epoch,
          maxInFlight: parts.exactlyOnce ? 1 : OVERLAPPING_COMMITS,
          maxRows: parts.maxTransactionRows,
          maxMs: parts.maxTransactionMs,
          idleMs: IDLE_COMMIT_MS,
          now: Date.now,
          onFailure: fail,
          onSplit: () => emitter.split(),
          onDurable: ({ position, commitTimeUs, rows }) => {
            reader.confirm(position);
            // Part of the first commit.
            if (monitor.counters.commits === commitsBefore) parts.control.made(edits);
            monitor.counters.commits++;
            if (rows > 0 || reader.codec.compare(position, from) !== 0) monitor.progress++;
            const sentBytes = sink.stats().bytes;
            monitor.counters.recordBytes += sentBytes - countedBytes;
            countedBytes = sentBytes;
            const encoded = reader.codec.encode(position);
            monitor.confirmed = encoded;
            monitor.delivered(encoded, commitTimeUs);
          },
        },
        checkpoint.position,
        checkpoint.commitTimeUs,
      );
      for (const notice of notices) await emitter.notify(notice, Date.now());
      // The position of a new or broken-off log is durable before anything is read from it.
      committer.add(
        {
          changes: [],
          bytes: 0,
          resume: from,
          state: new Map([...edits, ...state, ...(enrichment?.state ?? [])]),
        },
        notices.length,
      );

      const target = parts.untilCaughtUp ? (await reader.head(signal)).position : null;
      const heartbeat = heartbeats(emitter, parts.heartbeatMs);
      const run = {
        parts,
        heartbeat,
        reader,
        sink,
        emitter,
        enrichment,
        snapshot,
        committer,
        monitor,
        log,
        ending,
        signal,
      };
      const watch = resources.use(watchHead(run, fail));
      if (snapshot.pending) {
        monitor.enter('snapshotting');
        await deliver(run, snapshot.readView(signal));
      }
      if (!signal.aborted) await enrichment?.load(source, signal);
      let complete = parts.snapshot.mode === 'initial_only' && snapshot.done;
      if (!complete && !signal.aborted) {
        monitor.enter('streaming');
        if (target !== null) watch.until(target, () => (complete = true));
        const stream = reader.read(from, signal);
        await deliver(
          run,
          snapshot.merge(stream, () => reader.nudge(), signal),
          watch.passed,
        );
        // The stream may have ended between two head polls.
        if (parts.snapshot.mode === 'initial_only' && snapshot.done) complete = true;
      }
      if (failure === null) {
        if (stop.aborted) monitor.enter('stopping');
        await committer.drain();
        await makeEdits(committer, parts.control);
      }
      if (failure !== null) throw (failure as { error: unknown }).error;
      if (complete) refuseIncomplete(board.quarantined);
      return complete ? 'complete' : 'stopped';
    } catch (error) {
      // Noted before anything is closed: what closing breaks must not look like the cause.
      fail(error);
      throw error;
    }
  } catch (error) {
    // What broke first is the cause; what the abort then makes others throw is its echo.
    const cause = firstOf(failure === null ? error : (failure as { error: unknown }).error);
    if (stop.aborted && isAbort(cause)) return 'stopped';
    throw cause;
  } finally {
    stop.removeEventListener('abort', onStop);
    monitor.settle();
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

/** Requests that ended the attempt become durable with it, so that whichever instance goes on finds them. */
async function makeEdits<P>(committer: Committer<P>, control: PipelineControl): Promise<void> {
  const { edits } = control;
  if (edits.size > 0 && (await committer.amend(edits))) control.made(edits);
}

interface Run<P, S extends SourceInfo> {
  readonly sink: Sink;
  readonly emitter: Emitter;
  readonly enrichment: RunningEnrichment<P, S> | null;
  readonly snapshot: Snapshot<P, S>;
  readonly committer: Committer<P>;
  readonly monitor: PipelineMonitor;
  /** Appends a heartbeat record when one is due; the number of records appended. */
  readonly heartbeat: (now: number) => number;
  readonly signal: AbortSignal;
}

/** Encodes and appends each batch, lets the committer decide, and waits where the sink is full. */
async function deliver<P, S extends SourceInfo>(
  run: Run<P, S>,
  batches: AsyncIterable<Batch<P, S>>,
  passed?: (position: P) => void,
): Promise<void> {
  const { emitter, enrichment, committer, sink, monitor } = run;
  for await (const read of batches) {
    const preparing = emitter.prepare(read);
    if (preparing !== undefined) await preparing;
    const counts = emitter.emit(read);
    let batch = read;
    if (enrichment !== null) {
      const absorbed = await enrichment.absorb(read);
      ({ batch } = absorbed);
      counts.records += absorbed.records;
    }
    const heartbeats = run.heartbeat(Date.now());
    const state = emitter.takeState();
    if (state !== undefined) committer.note(state);
    committer.add(batch, counts.records + heartbeats);
    monitor.count(batch, counts);
    // The emitter has copied all it needs; statements keep rows.
    if (enrichment === null) batch.release?.();
    if (batch.resume !== null) passed?.(batch.resume);
    const full = sink.ready();
    if (full !== undefined) await full;
    if (run.signal.aborted) break;
  }
}

/** The reader reports progress at least every few seconds, so no timer of its own is needed. */
function heartbeats(emitter: Emitter, everyMs: number | null): (now: number) => number {
  let next = everyMs === null ? Infinity : Date.now() + everyMs;
  return (now) => {
    if (now < next) return 0;
    next = now + everyMs!;
    emitter.heartbeat(now);
    return 1;
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

/** A run that was to end with everything delivered has not done its work. */
function refuseIncomplete(givenUp: readonly string[]): void {
  if (givenUp.length === 0) return;
  throw new HeadwaterError(
    'delivery.incomplete',
    `All is delivered but what had to be given up of ${givenUp.join(', ')}; the log says why.`,
    { details: { tables: givenUp.join(', ') } },
  );
}

/** What closing threw afterwards is no more than an echo either. */
function firstOf(error: unknown): unknown {
  return error instanceof SuppressedError ? firstOf(error.suppressed) : error;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}
