/**
 * A position in MariaDB's GTIDs: per domain the last transaction, `domain-server-sequence`, of each server that is
 * given; the one with the highest sequence is where the domain stands. Text as `@@gtid_binlog_pos` prints it.
 */
export interface MariadbGtid {
  readonly domain: number;
  readonly server: number;
  /** Exact to 2^53. */
  readonly sequence: number;
}

const GTID = /^(\d{1,10})-(\d{1,10})-(\d{1,16})$/;

/** Immutable. */
export class MariadbGtidSet {
  static readonly EMPTY = new MariadbGtidSet(new Map());
  readonly #domains: ReadonlyMap<number, MariadbGtid>;

  constructor(domains: ReadonlyMap<number, MariadbGtid>) {
    this.#domains = domains;
  }

  get domains(): ReadonlyMap<number, MariadbGtid> {
    return this.#domains;
  }

  get isEmpty(): boolean {
    return this.#domains.size === 0;
  }

  /** Null where it is no list of GTIDs. The empty text is the position before everything. */
  static parse(text: string): MariadbGtidSet | null {
    const domains = new Map<number, MariadbGtid>();
    for (const part of text.split(',')) {
      const gtid = part.trim();
      if (gtid === '') continue;
      const parsed = parseMariadbGtid(gtid);
      if (parsed === null) return null;
      const known = domains.get(parsed.domain);
      if (known === undefined || known.sequence < parsed.sequence) domains.set(parsed.domain, parsed);
    }
    return new MariadbGtidSet(domains);
  }

  /** Whether the position lies at or behind the other in every domain of the other. */
  contains(other: MariadbGtidSet): boolean {
    for (const [domain, { sequence }] of other.#domains) {
      const ours = this.#domains.get(domain);
      if (ours === undefined || ours.sequence < sequence) return false;
    }
    return true;
  }

  has({ domain, sequence }: MariadbGtid): boolean {
    return (this.#domains.get(domain)?.sequence ?? -1) >= sequence;
  }

  toString(): string {
    return [...this.#domains.values()]
      .sort((a, b) => a.domain - b.domain)
      .map(formatMariadbGtid)
      .join(',');
  }
}

export class GrowingMariadbGtidSet {
  readonly #domains: Map<number, MariadbGtid>;
  #frozen: MariadbGtidSet | null;

  constructor(start: MariadbGtidSet) {
    this.#domains = new Map(start.domains);
    this.#frozen = start;
  }

  add(gtid: MariadbGtid): void {
    this.#domains.set(gtid.domain, gtid);
    this.#frozen = null;
  }

  freeze(): MariadbGtidSet {
    return (this.#frozen ??= new MariadbGtidSet(new Map(this.#domains)));
  }
}

function formatMariadbGtid({ domain, server, sequence }: MariadbGtid): string {
  return `${domain}-${server}-${sequence}`;
}

export function parseMariadbGtid(text: string): MariadbGtid | null {
  const match = GTID.exec(text);
  if (match === null) return null;
  const [domain, server, sequence] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (domain > 0xffff_ffff || server > 0xffff_ffff || !Number.isSafeInteger(sequence)) return null;
  return { domain, server, sequence };
}
