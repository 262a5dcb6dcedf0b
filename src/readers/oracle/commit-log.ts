const REMEMBERED = 65_536;

/** Commit SCNs of the transactions delivered last: whether a view of the database shows them follows from these. */
export class CommitLog {
  readonly #scns = new Map<string, bigint>();
  #last = 0n;

  add(xid: string, scn: bigint): void {
    this.#scns.delete(xid); // XIDs come again
    this.#scns.set(xid, scn);
    if (scn > this.#last) this.#last = scn;
    if (this.#scns.size <= REMEMBERED) return;
    for (const oldest of this.#scns.keys()) {
      this.#scns.delete(oldest);
      return;
    }
  }

  /** Undefined for one that was delivered long ago. */
  scnOf(xid: string): bigint | undefined {
    return this.#scns.get(xid);
  }

  get last(): bigint {
    return this.#last;
  }
}
