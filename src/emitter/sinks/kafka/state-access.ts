import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Log } from '../../../observability/log.ts';
import { Cluster } from './cluster.ts';
import { asFault, faultToError, KAFKA } from './errors.ts';
import { openKafkaSink } from './kafka-sink.ts';
import { type KafkaSinkOptions, resolveKafkaOptions } from './options.ts';
import { readStateLog } from './state-log.ts';
import { contextFor } from './topics.ts';

/** The durable state as it is, whoever runs the pipeline. Empty where there is none. Throws HeadwaterError. */
export async function readState(
  options: KafkaSinkOptions,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const cluster = new Cluster(resolveKafkaOptions(options));
  const topic = cluster.options.stateTopic;
  try {
    const response = await cluster.metadata([topic]);
    if (response.topics[0]?.errorCode === KAFKA.UNKNOWN_TOPIC_OR_PARTITION) return new Map();
    return (await readStateLog(cluster, signal)).values;
  } catch (error) {
    if (error instanceof HeadwaterError || signal.aborted) throw error;
    throw faultToError(
      asFault(error, 'the cluster'),
      contextFor(cluster, `Reading the state in topic ${topic}`, topic),
    );
  } finally {
    await cluster[Symbol.asyncDispose]();
  }
}

/**
 * Changes the durable state (null forgets a key) of a pipeline that is not running. Throws `state.locked` where
 * an instance holds the lease.
 */
export async function writeState(
  options: KafkaSinkOptions,
  changes: ReadonlyMap<string, string | null>,
  environment: { readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  await using sink = await openKafkaSink(options, environment.log);
  const refused = new AbortController();
  const locked = new HeadwaterError(
    'state.locked',
    `Pipeline ${options.name} is running: its position cannot be changed under it.`,
    {
      fix: 'Stop all instances of the pipeline, then try again.',
    },
  );
  await sink.restore({
    onWaiting: () => refused.abort(locked),
    signal: AbortSignal.any([refused.signal, environment.signal]),
  });
  await sink.commit(changes);
}
