import type { Gtid } from '../gtid/gtid-set.ts';
import type { MysqlTx } from '../source-info.ts';
import type { LogPlace } from './log-place.ts';

/** What the open transaction is called, as its first events say; one MysqlTx is shared by its changes. */
export class TransactionIdentity {
  gtid: Gtid | null = null;
  /** Connection that made it; null where the log does not say. */
  thread: number | null = null;
  serverId = 0;
  #text: string | null = null;
  #commitTimeUs: number | null = null;
  #tx: MysqlTx | null = null;

  begin(gtid: Gtid | null, text: string | null, commitTimeUs: number | null): void {
    this.gtid = gtid;
    this.thread = null;
    this.#text = text;
    this.#commitTimeUs = commitTimeUs;
    this.#tx = null;
  }

  end(): void {
    this.begin(null, null, null);
  }

  /** `timestamp` is the server's clock at the last event, in seconds: before MySQL 8 there is nothing finer. */
  tx(place: LogPlace, timestamp: number): MysqlTx {
    this.#tx ??= {
      id: this.#text ?? `file=${place.doneFile},pos=${place.donePos}`,
      gtid: this.#text,
      commitTimeUs: this.#commitTimeUs ?? timestamp * 1_000_000,
      serverId: this.serverId,
      thread: this.thread,
    };
    return this.#tx;
  }
}
