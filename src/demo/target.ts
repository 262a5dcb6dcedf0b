import { HeadwaterError } from '../errors/headwater-error.ts';
import { startContainer } from '../local-servers/containers.ts';
import { hasKafkaLibraries, KAFKA_VERSION } from '../local-servers/downloads.ts';
import { startKafka } from '../local-servers/kafka.ts';
import { ServerUnavailable } from '../local-servers/missing-server.ts';

/** Where the demo's records go, and why there, in one sentence. */
export type Target = KafkaTarget | FileTarget;

export interface KafkaTarget extends AsyncDisposable {
  readonly kind: 'kafka';
  /** host:port */
  readonly brokers: string;
  /** Somebody's Kafka, where other pipelines may live and what we write stays. */
  readonly given: boolean;
  readonly sentence: string;
}

export interface FileTarget extends AsyncDisposable {
  readonly kind: 'files';
  readonly sentence: string;
}

export interface TargetOptions {
  readonly sink: 'auto' | 'kafka' | 'files';
  /** host:port of a running Kafka. */
  readonly kafka: string | undefined;
  /** How long a Kafka may take to be there, fetching it included. */
  readonly waitSeconds: number;
  /** Where a Kafka of the demo's own keeps its files. */
  readonly dir: string;
  readonly say: (text: string) => void;
}

/** Throws `demo.no-kafka` where Kafka is demanded and cannot be had. */
export async function chooseTarget(options: TargetOptions, signal: AbortSignal): Promise<Target> {
  if (options.sink === 'files') return files('Files, as asked for with --sink files.');
  if (options.kafka !== undefined) {
    const sentence = `Kafka at ${options.kafka}, as asked for with --kafka.`;
    return { kind: 'kafka', brokers: options.kafka, given: true, sentence, [Symbol.asyncDispose]: nothing };
  }
  const late = AbortSignal.timeout(options.waitSeconds * 1_000);
  const limit = AbortSignal.any([signal, late]);
  let reason: string;
  try {
    return await ownKafka(options, limit);
  } catch (error) {
    signal.throwIfAborted();
    reason = late.aborted
      ? `Kafka was not there within ${options.waitSeconds} s (--kafka-wait); what has been fetched is kept for the next start`
      : reasonOf(error);
  }
  if (options.sink === 'kafka') throw new HeadwaterError('demo.no-kafka', `There is no Kafka: ${reason}.`);
  return files(`Files instead of Kafka: ${reason}.`);
}

/** With Java and Maven, else with a container engine. */
async function ownKafka({ dir, say }: TargetOptions, signal: AbortSignal): Promise<KafkaTarget> {
  const began = Date.now();
  const own = (brokers: string, how: string, end: () => PromiseLike<void>): KafkaTarget => ({
    kind: 'kafka',
    brokers,
    given: false,
    sentence: `Kafka ${KAFKA_VERSION} at ${brokers}, a real broker of the demo's own, ${how} in ${secondsSince(began)} s.`,
    [Symbol.asyncDispose]: end,
  });
  try {
    const fetched = await hasKafkaLibraries();
    if (!fetched) say('looking for Kafka; the first time Maven fetches it, about 43 MB');
    const server = await startKafka({ heapMb: 384, parentDir: dir }, signal);
    const how = fetched ? 'started with Java' : 'fetched with Maven and started with Java';
    return own(server.brokers, how, () => server[Symbol.asyncDispose]());
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ServerUnavailable)) throw error;
    const container = await startContainer('kafka', signal);
    if (container === null) {
      const without = withoutFullStop(firstLine(error.message));
      throw new ServerUnavailable('missing', `${without}, and no container engine answers`);
    }
    return own(container.address, 'in a container', () => container[Symbol.asyncDispose]());
  }
}

export function secondsSince(began: number): string {
  return ((Date.now() - began) / 1_000).toFixed(1);
}

function files(sentence: string): FileTarget {
  return { kind: 'files', sentence, [Symbol.asyncDispose]: nothing };
}

function nothing(): Promise<void> {
  return Promise.resolve();
}

/** What programs say in several lines is for a log; the demo says why in one. */
function reasonOf(error: unknown): string {
  return withoutFullStop(firstLine(error instanceof Error ? error.message : String(error)));
}

export function firstLine(text: string): string {
  return (text.trim().split('\n')[0] ?? '').slice(0, 200);
}

function withoutFullStop(text: string): string {
  return text.replace(/\.$/, '');
}
