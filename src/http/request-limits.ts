/** How much one address may ask for. Bounded in memory, however many addresses ask. */

/** The page, its tail and a few scrapers together need far less. */
const REQUESTS: Allowance = { burst: 300, perSecond: 100 };
/** A scraper with an old token stays below, so that it never shuts out its neighbours behind the same proxy. */
const WRONG_TOKENS: Allowance = { burst: 20, perSecond: 1 };
const MOST_ADDRESSES = 1_000;

interface Allowance {
  readonly burst: number;
  readonly perSecond: number;
}

/** Of requests, and of wrong tokens: guessing one then takes longer than the token lives. */
export class RequestLimits {
  readonly #requests: Buckets;
  readonly #wrongTokens: Buckets;

  /** `now` in milliseconds. */
  constructor(now: () => number) {
    this.#requests = new Buckets(REQUESTS, now);
    this.#wrongTokens = new Buckets(WRONG_TOKENS, now);
  }

  /** Counts a request; 0 where it may be answered, else whole seconds until the next may. */
  request(address: string): number {
    const network = networkOf(address);
    const locked = this.#wrongTokens.wait(network);
    return locked > 0 ? locked : this.#requests.take(network);
  }

  wrongToken(address: string): void {
    this.#wrongTokens.take(networkOf(address));
  }
}

/** Token buckets, one an address. */
class Buckets {
  readonly #allowance: Allowance;
  readonly #now: () => number;
  /** What was left at that time; in the order of their last use. */
  readonly #left = new Map<string, { tokens: number; at: number }>();

  constructor(allowance: Allowance, now: () => number) {
    this.#allowance = allowance;
    this.#now = now;
  }

  wait(address: string): number {
    const tokens = this.#tokens(address);
    return tokens >= 1 ? 0 : Math.ceil((1 - tokens) / this.#allowance.perSecond);
  }

  take(address: string): number {
    const wait = this.wait(address);
    if (wait > 0) return wait;
    const tokens = this.#tokens(address) - 1;
    this.#left.delete(address);
    const [oldest] = this.#left.keys();
    if (oldest !== undefined && this.#left.size >= MOST_ADDRESSES) this.#left.delete(oldest);
    this.#left.set(address, { tokens, at: this.#now() });
    return 0;
  }

  #tokens(address: string): number {
    const { burst, perSecond } = this.#allowance;
    const left = this.#left.get(address);
    if (left === undefined) return burst;
    return Math.min(burst, left.tokens + ((this.#now() - left.at) / 1_000) * perSecond);
  }
}

/** Whoever has one IPv6 address has the 2⁶⁴ of its network. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':');
  if (tail !== undefined) groups.push(...new Array<string>(8 - groups.length).fill('0'));
  return groups.slice(0, 4).join(':');
}
