import type { Emitter } from '../emitter/emitter.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { Batch } from '../model/batch.ts';
import type { SourceInfo } from '../model/change.ts';
import type { Attempt } from './attempt-parts.ts';
import type { Run } from './begin.ts';
import type { Committer } from './committer.ts';
import type { PipelineControl } from './control.ts';
import { withDeletedBefore } from './deleted-before.ts';
import { watchHead } from './head-watch.ts';
import { preparedAhead } from './prepare-ahead.ts';

/** Batches of a snapshot whose topics and schemas are made ready together; some 64 KB each at most. */
const PREPARED_TOGETHER = 64;

/** Delivers the snapshot, then the stream, until the work is done, the attempt is to end, or a step throws. */
export async function deliver<P, S extends SourceInfo>(
  attempt: Attempt<P, S>,
  run: Run<P, S>,
): Promise<'stopped' | 'complete'> {
  const { parts, monitor, log, resources, ending } = attempt;
  const { reader, snapshot, enrichment, committer, board } = run;
  const { signal } = ending;
  const nudge = (): void => reader.nudge();
  const target = parts.untilCaughtUp ? (await reader.head(signal)).position : null;
  const pump = createPump(attempt, run);
  const watch = resources.use(watchHead({ reader, snapshot, monitor, ending, log }));
  const snapshotOnly = (): boolean => parts.snapshot.mode === 'initial_only' && snapshot.done;
  if (snapshot.pending) {
    monitor.enter('snapshotting');
    const view = snapshot.readView(signal);
    // What statements join with is to have taken the first tables before the next are read.
    await pump(enrichment === null ? preparedAhead(view, run.emitter, PREPARED_TOGETHER) : view);
  }
  if (enrichment !== null && !signal.aborted) {
    const loaded = await enrichment.load(run.source, signal);
    if (loaded.size > 0) await committer.amend(loaded);
  }
  let complete = snapshotOnly();
  if (!signal.aborted && (!complete || run.before !== null)) {
    if (!complete) monitor.enter('streaming');
    const awaitTarget = (): void => {
      if (target !== null) watch.until(target, () => (complete = true));
    };
    const stream = complete ? nothing() : snapshot.merge(reader.read(run.from, signal), nudge, signal);
    if (run.before === null) awaitTarget();
    await pump(
      run.before === null
        ? stream
        : withDeletedBefore(
            stream,
            {
              ...run,
              before: run.before,
              codec: reader.codec,
              originAt: (position) => parts.originAt(position),
              nudge,
              onTold: awaitTarget,
              log,
            },
            signal,
          ),
      watch.passed,
    );
    // The stream may have ended between two head polls.
    complete ||= snapshotOnly();
  }
  ending.throwIfFailed();
  if (ending.stopped) monitor.enter('stopping');
  if (complete) await enrichment?.finish();
  await committer.drain();
  await makeEdits(committer, parts.control);
  ending.throwIfFailed();
  if (complete) refuseIncomplete([...board.quarantined, ...(enrichment?.waiting ?? [])]);
  return complete ? 'complete' : 'stopped';
}

async function* nothing(): AsyncGenerator<never> {}

type Pump<P, S extends SourceInfo> = (
  batches: AsyncIterable<Batch<P, S>>,
  passed?: (position: P) => void,
) => Promise<void>;

/** Encodes and appends each batch, lets the committer decide, and waits where the sink is full. */
function createPump<P, S extends SourceInfo>(
  { parts, monitor, ending }: Attempt<P, S>,
  { emitter, enrichment, committer, sink, keys }: Run<P, S>,
): Pump<P, S> {
  const heartbeat = heartbeats(emitter, parts.heartbeatMs);
  return async (batches, passed) => {
    for await (const read of batches) {
      const preparing = emitter.prepare(read);
      if (preparing !== undefined) await preparing;
      committer.begin();
      const counts = emitter.emit(read);
      const known = keys?.note(read) ?? null;
      if (known !== null) committer.note(known);
      let batch = read;
      if (enrichment !== null) {
        const absorbed = await enrichment.absorb(read);
        ({ batch } = absorbed);
        counts.records += absorbed.records;
      }
      const beats = heartbeat(performance.now());
      const state = emitter.takeState();
      if (state !== undefined) committer.note(state);
      committer.add(batch, counts.records + beats);
      monitor.count(batch, counts);
      // The emitter has copied all it needs; statements keep rows.
      if (enrichment === null) batch.release?.();
      if (batch.resume !== null) passed?.(batch.resume);
      const full = sink.ready();
      if (full !== undefined) await full;
      if (ending.signal.aborted) break;
    }
  };
}

/** The reader reports progress at least every few seconds, so no timer of its own is needed. */
function heartbeats(emitter: Emitter, everyMs: number | null): (now: number) => number {
  let next = everyMs === null ? Infinity : performance.now() + everyMs;
  return (now) => {
    if (now < next) return 0;
    next = now + everyMs!;
    emitter.heartbeat(Date.now());
    return 1;
  };
}

/** Requests that ended the attempt become durable with it, so that whichever instance goes on finds them. */
async function makeEdits<P>(committer: Committer<P>, control: PipelineControl): Promise<void> {
  const { edits } = control;
  if (edits.size > 0 && (await committer.amend(edits))) control.made(edits);
}

/** A run that was to end with everything delivered has not done its work. */
function refuseIncomplete(givenUp: readonly string[]): void {
  if (givenUp.length === 0) return;
  throw new HeadwaterError(
    'delivery.incomplete',
    `All is delivered but what had to be given up of ${givenUp.join(', ')}; the log says why.`,
    { details: { givenUp: givenUp.join(', ') } },
  );
}
