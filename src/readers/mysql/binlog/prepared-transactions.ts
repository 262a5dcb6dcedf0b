import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Change, RowChange } from '../../../model/change.ts';
import type { Gtid } from '../gtid/gtid-set.ts';
import type { LogStart } from '../position.ts';
import type { MysqlSource, MysqlTx } from '../source-info.ts';

export interface PreparedTransaction {
  readonly gtid: Gtid | null;
  readonly changes: readonly RowChange<MysqlSource>[];
  /** Where it begins; of MariaDB's GTIDs those before it. */
  readonly start: LogStart;
}

/** So many bytes of rows may wait for their XA COMMIT. */
const MAX_BYTES = 64 * 1024 * 1024;

/** What XA PREPARE has put into the log and XA COMMIT or XA ROLLBACK has not decided yet, the oldest first. */
export class PreparedTransactions {
  readonly #byXid = new Map<string, PreparedTransaction & { readonly bytes: number }>();
  #bytes = 0;
  #openBytes = 0;

  get oldest(): PreparedTransaction | null {
    const [first] = this.#byXid.values();
    return first ?? null;
  }

  get gtids(): readonly Gtid[] {
    return Array.from(this.#byXid.values(), ({ gtid }) => gtid).filter((gtid) => gtid !== null);
  }

  get xids(): readonly string[] {
    return [...this.#byXid.keys()];
  }

  /** A row of the transaction that is being read. */
  hold(bytes: number): void {
    this.#openBytes += bytes;
    if (this.#bytes + this.#openBytes <= MAX_BYTES) return;
    throw new HeadwaterError(
      'source.xa-too-large',
      `XA transactions that are prepared and not decided hold more than ${MAX_BYTES / 1024 / 1024} MB of changes.`,
    );
  }

  /** The transaction that is being read is over: what it holds, and was not added, is gone. */
  release(): void {
    this.#openBytes = 0;
  }

  add(xid: string, transaction: PreparedTransaction): void {
    this.#byXid.set(xid, { ...transaction, bytes: this.#openBytes });
    this.#bytes += this.#openBytes;
    this.#openBytes = 0;
  }

  /** Null for one that was not prepared here. */
  take(xid: string): PreparedTransaction | null {
    const found = this.#byXid.get(xid);
    if (found === undefined) return null;
    this.#byXid.delete(xid);
    this.#bytes -= found.bytes;
    return found;
  }
}

/**
 * Changes that were only prepared, now that they are committed: as part of the transaction that commits them, since
 * nobody sees them before. Where they lie in the log stays what it is.
 */
export function committed(
  changes: readonly RowChange<MysqlSource>[],
  tx: MysqlTx,
  markers: boolean,
): readonly Change<MysqlSource>[] {
  const own = changes.map((change) => ({ ...change, tx, at: { ...change.at, tx } }));
  const at = own[0]?.at;
  if (!markers || at === undefined) return own;
  return [{ kind: 'begin', tx, at }, ...own, { kind: 'end', tx, at }];
}

/** As XA statements and XA PREPARE events write it alike. */
export function normalisedXid(xid: string): string {
  return xid.replaceAll(/\s/g, '').toLowerCase();
}
