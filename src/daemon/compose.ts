import { Positions } from '../emitter/positions.ts';
import { createEmitter } from '../emitter/record-emitter.ts';
import { PausedTables } from '../emitter/paused-tables.ts';
import type { QueryDesk } from '../enrichment/queries/query-desk.ts';
import type { TopicRefusals } from '../emitter/topic-refusals.ts';
import type { TurnTaking } from '../emitter/sink.ts';
import type { SourceInfo } from '../model/change.ts';
import type { BatchTraces } from '../observability/batch-traces.ts';
import type { Log } from '../observability/log.ts';
import type { AttemptParts } from '../pipeline/attempt-parts.ts';
import type { PipelineControl } from '../pipeline/control.ts';
import type { Settings } from '../settings/settings.ts';
import { emitterOptions } from './emitter-options.ts';
import { changeOver } from './change-over.ts';
import { openEncoding } from './encodings.ts';
import { enrichmentParts } from './enrichment.ts';
import { rowFilters } from './row-filters.ts';
import { openSink } from './sinks.ts';
import { deliveredBefore, deliveredKeys, withSource } from './sources/source.ts';
import type { Source } from './sources/source-parts.ts';
import { idleSettings, misfitsOf } from './table-fit.ts';
import { topicOf, topicOwners, topicsOf } from './topics.ts';

/** One attempt's parts, made by hand from one settings file. */
export function attemptParts(
  settings: Settings,
  run: RunOptions,
): Promise<AttemptParts<unknown, SourceInfo>> {
  return withSource<AttemptParts<unknown, SourceInfo>>(settings, run.log, (source) =>
    partsOf(settings, run, source),
  );
}

export interface RunOptions {
  readonly untilCaughtUp: boolean;
  readonly startedAt: number;
  readonly lost: string | null;
  readonly log: Log;
  readonly control: PipelineControl;
  /** Where clients ask the statements; left out: nobody can. */
  readonly desk?: QueryDesk | null;
  readonly traces?: BatchTraces | null;
  readonly turns?: TurnTaking;
  /** Kept from attempt to attempt. */
  readonly refusals?: TopicRefusals;
}

/** The same for a source that is there already. */
export function partsOf<P, S extends SourceInfo>(
  settings: Settings,
  run: RunOptions,
  { openReader, block, originAt }: Source<P, S>,
): AttemptParts<P, S> {
  const { emit, snapshot, source } = settings;
  return {
    name: settings.name,
    control: run.control,
    ...(run.turns === undefined ? {} : { turns: run.turns }),
    openReader,
    changeOver: (state) => changeOver(settings, state),
    deliveredBefore: (state, tables, signal) => deliveredBefore(settings, { state, tables }, signal),
    deliveredKeys: (found) => deliveredKeys(settings, found),
    originAt,
    openSink: (signal) => openSink(settings, run, signal),
    misfits: (found, signal) => misfitsOf(settings, { sourceBlock: block.schema, ...found }, signal),
    idleSettings: (tables) => idleSettings(settings, tables),
    openRecords: async ({ json, state, captured, misfits }, signal) => {
      const { encoding, refusals } = await openEncoding(settings, { json, state, signal, log: run.log });
      const filters = await rowFilters(settings);
      const { tables: paused, resumed } = await PausedTables.restore(state, { refusals, misfits });
      return {
        resumed,
        paused: paused.all(),
        createEmitter: (sink, { totals, onDeadLetter, onPaused }) =>
          createEmitter(
            { ...emitterOptions(settings, filters, run.log), totals, onDeadLetter },
            {
              encoding,
              block,
              sink,
              positions: emit.positionHeader ? new Positions(state) : undefined,
              pausing: {
                tables: paused,
                owners: topicOwners(settings, captured, state),
                state,
                onPaused,
                onIncompatible: emit.registry?.onIncompatible === 'new_topic' ? 'new_topic' : 'pause',
              },
            },
          ),
      };
    },
    topicOf: (id) => topicOf(settings, id),
    topicsOf: (tables) => topicsOf(settings, tables),
    snapshot: {
      mode: snapshot.mode,
      parallelism: snapshot.parallelism,
      chunkRows: snapshot.chunkRows,
      where: snapshot.where,
      walLimitBytes: snapshot.walLimitBytes,
      // A retry of the same process goes on with the snapshot that `always` began.
      beganBefore: run.startedAt,
    },
    enrichment: enrichmentParts(settings, block, {
      desk: run.desk ?? null,
      refusals: run.refusals,
      log: run.log,
    }),
    onGap: source.onGap,
    lost: run.lost,
    exactlyOnce: emit.delivery === 'exactly-once',
    maxTransactionRows: emit.maxTransactionRows,
    maxTransactionMs: emit.maxTransactionMs,
    heartbeatMs: emit.heartbeatMs,
    traces: run.traces ?? null,
    untilCaughtUp: run.untilCaughtUp,
  };
}
