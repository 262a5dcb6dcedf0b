/** What the connector's configuration says of its producer, in the place of what the worker says. */
import { keepSecret } from './kept-secret.ts';
import { needless, type PropertyRule, renamed, type SettingsDraft } from './settings-draft.ts';

const KAFKA = ['emit', 'kafka'] as const;

function securityProtocol(draft: SettingsDraft, property: string, value: string): void {
  const protocol = value.trim().toUpperCase();
  if (protocol.endsWith('SSL')) draft.set([...KAFKA, 'tls', 'mode'], 'verify-full');
  else if (!protocol.endsWith('PLAINTEXT')) draft.note(property, 'has a value that Headwater does not know');
}

/** `…LoginModule required username="a" password="b";` */
function jaasConfig(draft: SettingsDraft, property: string, value: string): void {
  const option = (name: string): string | null =>
    new RegExp(`\\b${name}\\s*=\\s*"((?:[^"\\\\]|\\\\.)*)"`).exec(value)?.[1]?.replaceAll(/\\(.)/g, '$1') ??
    null;
  const username = option('username');
  if (username === null) {
    draft.note(property, 'has no user name that this can see; write emit.kafka.sasl');
    return;
  }
  draft.set([...KAFKA, 'sasl', 'username'], username);
  const path = [...KAFKA, 'sasl', 'password'];
  keepSecret(draft, {
    property,
    value: option('password') ?? '',
    path,
    variable: 'HEADWATER_KAFKA_PASSWORD',
  });
}

export const PRODUCER_RULES: readonly PropertyRule[] = [
  renamed('producer.override.compression.type', [...KAFKA, 'producer', 'compression']),
  renamed('producer.override.sasl.mechanism', [...KAFKA, 'sasl', 'mechanism']),
  renamed('producer.override.bootstrap.servers', [...KAFKA, 'brokers'], (value) =>
    value.split(',').map((each) => each.trim()),
  ),
  {
    name: 'producer.override.security.protocol',
    apply: (draft, { property, value }) => securityProtocol(draft, property, value),
  },
  {
    name: 'producer.override.sasl.jaas.config',
    apply: (draft, { property, value }) => jaasConfig(draft, property, value),
  },
  needless(
    /^producer\.override\.ssl\..*$/,
    'is Java’s; export the certificates as PEM and name them in emit.kafka.tls',
  ),
  needless(
    /^producer\.override\..*$/,
    'has no equal: emit.kafka.producer has what can be set of batches, and none is lost or sent twice',
  ),
];
