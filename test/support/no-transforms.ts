import type { EmitterOptions } from '../../src/emitter/emitter.ts';

/** An emitter whose settings change nothing of the records. */
export const NO_TRANSFORMS = {
  routes: [],
  hashKey: null,
  unwrapped: { deletes: 'tombstone', fields: [], headers: [] },
  skipOperations: [],
  skipUnchanged: false,
  headers: new Map(),
  outbox: null,
  onUnusedRules: () => {},
} as const satisfies Partial<EmitterOptions>;
