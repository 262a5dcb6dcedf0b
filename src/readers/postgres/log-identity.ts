/** What a log is recognised by at the next start; stored beside the position (checkpoint key `source`). */
export interface LogIdentity {
  readonly system: string;
  readonly timeline: number;
  readonly database: string;
  readonly slot: string;
  /** Recorded before a slot was made; no position that belongs to it is durable yet. */
  readonly pending?: boolean;
}

export function encodeIdentity(
  { system, timeline, database, slot }: LogIdentity,
  { pending }: { readonly pending: boolean } = { pending: false },
): string {
  const identity = { connector: 'postgresql', system, timeline, database, slot };
  return JSON.stringify(pending ? { ...identity, pending } : identity);
}

/** Null for what is no identity of PostgreSQL's. */
export function decodeIdentity(text: string | null): LogIdentity | null {
  if (text === null) return null;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  const { connector, system, timeline, database, slot, pending } = (json ?? {}) as Record<string, unknown>;
  if (connector !== 'postgresql') return null;
  if (typeof system !== 'string' || typeof database !== 'string' || typeof slot !== 'string') return null;
  if (typeof timeline !== 'number') return null;
  return { system, timeline, database, slot, pending: pending === true };
}
