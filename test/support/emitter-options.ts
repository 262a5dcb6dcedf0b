import type { EmitterOptions } from '../../src/emitter/emitter.ts';

/** An emitter of whole envelopes, whose settings change nothing of the records. */
export const PLAIN_EMITTER = {
  name: 'shop',
  connector: 'postgresql',
  topic: '{name}.{schema}.{table}',
  envelope: 'full',
  tombstones: true,
  transactionMetadata: false,
  truncates: false,
  schemaChanges: true,
  messages: true,
  heartbeats: false,
  tables: new Map(),
  routes: [],
  hashKey: null,
  unwrapped: { deletes: 'tombstone', fields: [], headers: [] },
  skipOperations: [],
  skipUnchanged: false,
  headers: new Map(),
  outbox: null,
  onUnusedRules: () => {},
} as const satisfies Partial<EmitterOptions>;
