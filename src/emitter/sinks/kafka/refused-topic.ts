import type { Code } from '../../../errors/catalogue.ts';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Cluster, MetadataResponse } from './cluster.ts';
import { faultToError, KAFKA, type KafkaFault } from './errors.ts';
import { contextFor } from './topics.ts';

/** Metadata may be behind: a topic that brokers do not know is gone when they have not known it for this long. */
export const GONE_MS = 5_000;

const REFUSALS: ReadonlySet<Code> = new Set<Code>(['delivery.topic-denied', 'delivery.refused']);

/**
 * What a broker answered to records for one topic. Unlike the same answer before the first of them, it does not end
 * the pipeline: the topic is looked at in the next attempt, and alone has to wait where it is as bad as that.
 */
export function refusedTopic(
  cluster: Cluster,
  fault: KafkaFault,
  { doing, topic }: { readonly doing: string; readonly topic: string },
): HeadwaterError {
  const context = contextFor(cluster, doing, topic);
  const gone = fault.code === KAFKA.UNKNOWN_TOPIC_OR_PARTITION;
  const error = faultToError(fault, context);
  if (topic === cluster.options.stateTopic || !(gone || REFUSALS.has(error.code))) return error;
  return new HeadwaterError(
    'delivery.topic-refused',
    gone ? `${doing}: the topic, or a partition of it, does not exist any more.` : error.message,
    { details: error.details, fix: error.fix, cause: error },
  );
}

/** Number of partitions; 0 where the topic does not exist, null where that cannot be told. */
export function partitionsIn(response: MetadataResponse, topic: string): number | null {
  const found = response.topics.find(({ name }) => name === topic);
  if (found?.errorCode === KAFKA.UNKNOWN_TOPIC_OR_PARTITION) return 0;
  return found === undefined || found.errorCode !== 0 ? null : found.partitions.length;
}
