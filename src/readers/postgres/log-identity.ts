/** What a log is recognised by at the next start; stored beside the position (checkpoint key `source`). */
export interface LogIdentity {
  readonly system: string;
  readonly timeline: number;
  readonly database: string;
  readonly slot: string;
}

export function encodeIdentity({ system, timeline, database, slot }: LogIdentity): string {
  return JSON.stringify({ connector: 'postgresql', system, timeline, database, slot });
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
  const { connector, system, timeline, database, slot } = (json ?? {}) as Record<string, unknown>;
  if (connector !== 'postgresql') return null;
  if (typeof system !== 'string' || typeof database !== 'string' || typeof slot !== 'string') return null;
  return typeof timeline === 'number' ? { system, timeline, database, slot } : null;
}
