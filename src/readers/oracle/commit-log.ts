/** So many at least. */
const REMEMBERED = 65_536;

/** Commit SCNs of the transactions delivered last: whether a view of the database shows them follows from these. */
export class CommitLog {
  /** Two lots, since a Map from which the oldest is taken each time goes over all that was taken before. */
  #now = new Map<string, bigint>();
  #before: ReadonlyMap<string, bigint> = new Map();
  #last = 0n;

  add(xid: string, scn: bigint): void {
    if (this.#now.size === REMEMBERED) {
      this.#before = this.#now;
      this.#now = new Map();
    }
    this.#now.set(xid, scn);
    if (scn > this.#last) this.#last = scn;
  }

  /** Undefined for one that was delivered long ago. */
  scnOf(xid: string): bigint | undefined {
    return this.#now.get(xid) ?? this.#before.get(xid); // XIDs come again
  }

  get last(): bigint {
    return this.#last;
  }
}
