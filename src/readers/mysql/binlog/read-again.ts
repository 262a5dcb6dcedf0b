import { containsAll, type Gtid } from '../gtid/gtid-set.ts';
import { GrowingMariadbGtidSet, type MariadbGtid, MariadbGtidSet } from '../gtid/mariadb-gtid-set.ts';
import { MysqlGtidSet } from '../gtid/mysql-gtid-set.ts';
import { compareFiles, type LogStart, type MysqlPosition, type PreparedStart } from '../position.ts';

/**
 * What a restart reads again, because it lies behind the beginning of a transaction that was prepared before the
 * checkpoint and not decided: that one is held once more, and all that was delivered is passed over. MySQL's GTIDs have
 * holes, so there only what was prepared comes again; on MariaDB, and by file and offset, everything from there on.
 */
export class ReadAgain {
  readonly #checkpoint: MysqlPosition;
  readonly #start: PreparedStart;
  /** Of those that were prepared, the ones that have not come again. */
  readonly #expected: Set<string>;
  /** MariaDB: how far it has been read, and by domain where the checkpoint is that has not been reached. */
  readonly #read: GrowingMariadbGtidSet | null;
  readonly #ahead = new Map<number, MariadbGtid>();
  #fileReached = false;

  constructor(checkpoint: MysqlPosition, start: PreparedStart) {
    this.#checkpoint = checkpoint;
    this.#start = start;
    this.#expected = new Set(start.xids);
    const { gtids } = checkpoint;
    this.#read = start.gtids instanceof MariadbGtidSet ? new GrowingMariadbGtidSet(start.gtids) : null;
    if (this.#read === null || !(gtids instanceof MariadbGtidSet)) return;
    for (const gtid of gtids.domains.values()) {
      if (!containsAll(this.#read.freeze(), new MariadbGtidSet(new Map([[gtid.domain, gtid]]))))
        this.#ahead.set(gtid.domain, gtid);
    }
  }

  get isOver(): boolean {
    const { gtids } = this.#checkpoint;
    if (gtids === null) return this.#fileReached;
    return gtids instanceof MysqlGtidSet ? this.#expected.size === 0 : this.#ahead.size === 0;
  }

  /** Whether the transaction that begins there was delivered, or prepared, before. */
  covers(gtid: Gtid | null, { file, pos }: { readonly file: string; readonly pos: number }): boolean {
    const { gtids } = this.#checkpoint;
    if (gtids === null) return !this.#isBehind(file, pos);
    if (gtid === null) return false;
    if ('domain' in gtid) return this.#ahead.has(gtid.domain);
    return gtids instanceof MysqlGtidSet && gtids.has(gtid.source, gtid.number);
  }

  /** Whether it was not decided at the checkpoint. */
  isWanted(xid: string): boolean {
    return this.#start.xids.includes(xid);
  }

  found(xid: string): void {
    this.#expected.delete(xid);
  }

  /** A transaction has been read to its end. */
  add(gtid: Gtid): void {
    if (!('domain' in gtid)) return;
    this.#read?.add(gtid);
    const checkpoint = this.#ahead.get(gtid.domain);
    if (checkpoint?.server === gtid.server && checkpoint.sequence === gtid.sequence)
      this.#ahead.delete(gtid.domain);
  }

  /** Whether so much of the file is behind the checkpoint; with GTIDs that is not asked. */
  passes(file: string, pos: number): boolean {
    if (this.#checkpoint.gtids !== null) return true;
    this.#fileReached ||= this.#isBehind(file, pos);
    return this.#fileReached;
  }

  /** How far MariaDB's transactions have been read. */
  get read(): MariadbGtidSet | null {
    return this.#read?.freeze() ?? null;
  }

  /** Where another restart would begin. */
  get start(): LogStart {
    return this.#start;
  }

  /** MySQL: the transactions that come again, as long as not all of them have. */
  get holes(): MysqlGtidSet {
    const { gtids } = this.#checkpoint;
    const start = this.#start.gtids;
    return gtids instanceof MysqlGtidSet && start instanceof MysqlGtidSet
      ? gtids.minus(start)
      : MysqlGtidSet.EMPTY;
  }

  get expected(): readonly string[] {
    return [...this.#expected];
  }

  #isBehind(file: string, pos: number): boolean {
    const files = compareFiles(file, this.#checkpoint.file);
    return files === null || files > 0 || (files === 0 && pos >= this.#checkpoint.pos);
  }
}
