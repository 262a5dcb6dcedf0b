/** What a log is recognised by at the next start; stored beside the position (checkpoint key `source`). */
export interface LogIdentity {
  readonly system: string;
  readonly timeline: number;
  readonly database: string;
  readonly slot: string;
  /** Recorded before a slot was made; no position that belongs to it is durable yet. */
  readonly pending?: boolean;
  /**
   * Tables (`schema.table`) that were found unpublished: to be read again. Recorded before they are published
   * again, since afterwards nothing else tells.
   */
  readonly interrupted?: readonly string[];
}

/** Text for the checkpoint. */
export function encodeIdentity(
  { system, timeline, database, slot }: LogIdentity,
  mark: { readonly pending: true } | { readonly interrupted: readonly string[] } | null = null,
): string {
  return JSON.stringify({ connector: 'postgresql', system, timeline, database, slot, ...mark });
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
  const { connector, system, timeline, database, slot, pending, interrupted } = (json ?? {}) as Record<
    string,
    unknown
  >;
  if (connector !== 'postgresql') return null;
  if (typeof system !== 'string' || typeof database !== 'string' || typeof slot !== 'string') return null;
  if (typeof timeline !== 'number') return null;
  const names = Array.isArray(interrupted) ? interrupted.filter((name) => typeof name === 'string') : [];
  return { system, timeline, database, slot, pending: pending === true, interrupted: names };
}
