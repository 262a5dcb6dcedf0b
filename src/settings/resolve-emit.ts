import { resolve as resolvePath } from 'node:path';
import { durationInMs, sizeInBytes } from './leaves.ts';
import type { ResolveContext } from './resolve.ts';
import { resolveRegistry } from './resolve-registry.ts';
import { resolveTls } from './resolve-tls.ts';
import { resolveEmitTransforms } from './resolve-transforms.ts';
import type { FileShape } from './schema.ts';
import { Secret } from './secret.ts';
import type { EmitSettings, KafkaSettings, SaslSettings } from './settings.ts';
import { readToken } from './token-file.ts';

type EmitShape = FileShape['emit'];
type KafkaShape = NonNullable<EmitShape['kafka']>;
type SaslShape = NonNullable<KafkaShape['sasl']>;

export async function resolveEmit(shape: FileShape, context: ResolveContext): Promise<EmitSettings> {
  const { emit } = shape;
  const { document } = context;
  const sink = await resolveSink(shape, context);
  if (sink.kind === 'stdout' && emit.delivery === 'exactly-once' && document.has(['emit', 'delivery'])) {
    document.problem(
      'settings.invalid',
      ['emit', 'delivery'],
      'emit.delivery cannot be exactly-once with stdout, which keeps nothing; write at-least-once',
    );
  }
  checkTemplate(emit.topic, context);
  return {
    sink,
    format: emit.format,
    registry: await resolveRegistry(shape, context),
    topic: emit.topic,
    delivery: sink.kind === 'stdout' ? 'at-least-once' : emit.delivery,
    profile: emit.profile,
    ...resolveEmitTransforms(emit, document),
    envelope: emit.envelope,
    tombstones: emit.tombstones,
    transactionMetadata: emit.transaction_metadata,
    positionHeader: emit.position_header,
    schemaChanges: emit.schema_changes,
    messages: emit.messages,
    truncates: emit.truncates,
    heartbeatMs: emit.heartbeat === undefined ? null : durationInMs(emit.heartbeat),
    maxTransactionRows: emit.max_transaction.rows,
    maxTransactionMs: durationInMs(emit.max_transaction.time),
  };
}

async function resolveSink(shape: FileShape, context: ResolveContext): Promise<EmitSettings['sink']> {
  const { kafka, file, stdout } = shape.emit;
  const named = [kafka && 'kafka', file && 'file', stdout && 'stdout'].filter((name) => name !== undefined);
  if (named.length !== 1) {
    const found = named.length === 0 ? 'none of them is set' : `${named.join(' and ')} are set`;
    context.document.problem(
      'settings.invalid',
      ['emit'],
      `emit takes one of kafka, file and stdout; ${found}`,
      {
        atKey: true,
      },
    );
  }
  if (kafka !== undefined) return await resolveKafka(shape.name, kafka, context);
  if (file === undefined) return { kind: 'stdout' };
  return {
    kind: 'file',
    path: resolvePath(context.directory, file.path),
    rotateBytes: sizeInBytes(file.rotate.size),
    rotateMs: file.rotate.every === undefined ? null : durationInMs(file.rotate.every),
  };
}

async function resolveKafka(
  name: string,
  kafka: KafkaShape,
  context: ResolveContext,
): Promise<KafkaSettings> {
  const { producer, topics } = kafka;
  return {
    kind: 'kafka',
    brokers: kafka.brokers,
    tls: await resolveTls(kafka.tls, ['emit', 'kafka', 'tls'], context),
    sasl: kafka.sasl === undefined ? null : resolveSasl(kafka.sasl, context),
    producer: {
      compression: producer.compression,
      batchBytes: sizeInBytes(producer.batch_bytes),
      maxPendingBytes: sizeInBytes(producer.max_pending),
      deliveryTimeoutMs: durationInMs(producer.delivery_timeout),
      transactionTimeoutMs: durationInMs(producer.transaction_timeout),
    },
    topics: {
      create: topics.create,
      partitions: topics.partitions,
      replicationFactor: topics.replication_factor ?? null,
      config: Object.fromEntries(Object.entries(topics.config).map(([key, value]) => [key, String(value)])),
    },
    oversize: kafka.oversize,
    deadLetterTopic: kafka.dead_letter_topic ?? `${name}.dead-letter`,
    sessionTimeoutMs: durationInMs(kafka.session_timeout),
  };
}

function resolveSasl(sasl: SaslShape, context: ResolveContext): SaslSettings | null {
  const { document, directory } = context;
  const { mechanism } = sasl;
  const path = ['emit', 'kafka', 'sasl'] as const;
  const refuse = (sentence: string): null => {
    document.problem('settings.invalid', path, sentence);
    return null;
  };
  if (mechanism === 'OAUTHBEARER') {
    if (sasl.username !== undefined || sasl.password !== undefined) {
      return refuse('emit.kafka.sasl with OAUTHBEARER takes token or token_file, not username and password');
    }
    const { token, token_file: file } = sasl;
    if (token !== undefined && file === undefined) {
      const kept = new Secret(token);
      return { mechanism, token: () => Promise.resolve(kept.reveal()) };
    }
    if (token !== undefined || file === undefined) {
      return refuse('emit.kafka.sasl with OAUTHBEARER needs one of token and token_file');
    }
    return { mechanism, token: () => readToken(resolvePath(directory, file), 'emit.kafka.sasl.token_file') };
  }
  if (sasl.token !== undefined || sasl.token_file !== undefined) {
    return refuse(`emit.kafka.sasl with ${mechanism} takes username and password, not a token`);
  }
  if (sasl.username === undefined || sasl.password === undefined) {
    return refuse(`emit.kafka.sasl with ${mechanism} needs username and password`);
  }
  return { mechanism, username: sasl.username, password: new Secret(sasl.password) };
}

function checkTemplate(template: string, { document }: ResolveContext): void {
  const path = ['emit', 'topic'];
  for (const [, placeholder] of template.matchAll(/\{([^}]*)\}/g)) {
    if (!['name', 'schema', 'table'].includes(placeholder!)) {
      document.problem(
        'settings.invalid',
        path,
        'emit.topic has a placeholder other than {name}, {schema} and {table}',
      );
      return;
    }
  }
  if (!/^[A-Za-z0-9._-]*$/.test(template.replaceAll(/\{[^}]*\}/g, ''))) {
    document.problem(
      'settings.invalid',
      path,
      'emit.topic may hold letters, digits, dots, hyphens and underscores beside its placeholders',
    );
  }
}
