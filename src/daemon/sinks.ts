import type { Sink } from '../emitter/sink.ts';
import {
  fileCheckpointPath,
  readCheckpoint,
  stdoutCheckpointPath,
} from '../emitter/sinks/lines/checkpoint-file.ts';
import type { KafkaSinkOptions, KafkaTls } from '../emitter/sinks/kafka/options.ts';
import type { TopicRefusals } from '../emitter/topic-refusals.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import { type Log, SILENT } from '../observability/log.ts';
import type { KafkaSettings, Settings, TlsSettings } from '../settings/settings.ts';

/** Each sink's code is loaded only where it is used: the Kafka client alone is half of a process's start. */
export async function openSink(
  settings: Settings,
  { log, refusals }: { readonly log: Log; readonly refusals?: TopicRefusals | undefined },
  signal: AbortSignal,
): Promise<Sink> {
  const { sink } = settings.emit;
  switch (sink.kind) {
    case 'kafka': {
      const { openKafkaSink } = await import('../emitter/sinks/kafka/kafka-sink.ts');
      return openKafkaSink({ ...kafkaOptions(settings, sink), refusals }, log, signal);
    }
    case 'file': {
      const { openFileSink } = await import('../emitter/sinks/lines/file-sink.ts');
      return openFileSink(
        {
          name: settings.name,
          dir: sink.path,
          rotateBytes: sink.rotateBytes ?? undefined,
          rotateMs: sink.rotateMs ?? undefined,
        },
        log,
      );
    }
    case 'stdout': {
      const { openStdoutSink } = await import('../emitter/sinks/lines/stdout-sink.ts');
      return openStdoutSink({ name: settings.name, stateDir: settings.stateDir }, log);
    }
  }
}

/** The durable state, and the sink to change it with. */
export interface OwnedState extends AsyncDisposable {
  readonly sink: Sink;
  readonly state: ReadonlyMap<string, string>;
}

/** Takes ownership. Throws `state.locked` while a daemon runs; `what` says what is not possible then. */
export async function ownState(settings: Settings, what: string, signal: AbortSignal): Promise<OwnedState> {
  const sink = await openSink(settings, { log: SILENT }, signal);
  try {
    const waiting = new AbortController();
    const state = await sink
      .restore({ onWaiting: () => waiting.abort(), signal: AbortSignal.any([signal, waiting.signal]) })
      .catch((error: unknown) => {
        if (!waiting.signal.aborted) throw error;
        throw new HeadwaterError(
          'state.locked',
          `A daemon runs the pipeline ${settings.name}; ${what} meanwhile.`,
          { fix: 'Stop it first.' },
        );
      });
    return { sink, state, [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose]() };
  } catch (error) {
    await sink[Symbol.asyncDispose]();
    throw error;
  }
}

/** The durable state as it stands, without taking ownership. */
export async function readSinkState(
  settings: Settings,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const { sink } = settings.emit;
  switch (sink.kind) {
    case 'kafka': {
      const { readState } = await import('../emitter/sinks/kafka/state-access.ts');
      return readState(kafkaOptions(settings, sink), signal);
    }
    case 'file':
      return fileState(fileCheckpointPath(sink.path), settings.name);
    case 'stdout':
      return fileState(stdoutCheckpointPath(settings.stateDir, settings.name), settings.name);
  }
}

async function fileState(path: string, name: string): Promise<ReadonlyMap<string, string>> {
  const checkpoint = await readCheckpoint(path, name);
  return new Map(Object.entries(checkpoint?.state ?? {}));
}

export function kafkaOptions(settings: Settings, kafka: KafkaSettings): KafkaSinkOptions {
  const { sasl } = kafka;
  return {
    name: settings.name,
    brokers: kafka.brokers,
    tls: kafkaTls(kafka.tls),
    sasl:
      sasl === null
        ? undefined
        : sasl.mechanism === 'OAUTHBEARER'
          ? { mechanism: sasl.mechanism, token: sasl.token }
          : { mechanism: sasl.mechanism, username: sasl.username, password: sasl.password.reveal() },
    producer: kafka.producer,
    topics: {
      create: kafka.topics.create,
      partitions: kafka.topics.partitions,
      replicationFactor: kafka.topics.replicationFactor ?? undefined,
      config: kafka.topics.config,
    },
    delivery: settings.emit.delivery,
    oversize: kafka.oversize,
    deadLetterTopic: kafka.deadLetterTopic,
    sessionTimeoutMs: kafka.sessionTimeoutMs,
  };
}

function kafkaTls(tls: TlsSettings): KafkaTls {
  return {
    mode: tls.mode === 'disable' ? 'off' : tls.mode,
    ca: tls.ca ?? undefined,
    cert: tls.cert ?? undefined,
    key: tls.key?.reveal(),
  };
}
