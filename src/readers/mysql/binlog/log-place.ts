import type { Gtid, GtidSet } from '../gtid/gtid-set.ts';
import { GrowingMariadbGtidSet } from '../gtid/mariadb-gtid-set.ts';
import { GrowingMysqlGtidSet, MysqlGtidSet } from '../gtid/mysql-gtid-set.ts';
import type { LogStart, MysqlPosition, PreparedStart } from '../position.ts';
import type { PreparedTransactions } from './prepared-transactions.ts';
import { ReadAgain } from './read-again.ts';

/** Where the stream stands in the file, and what has been passed: whole transactions. */
export class LogPlace {
  /** File and offset of the event that is being read. */
  file: string;
  pos: number;
  readonly #gtids: GrowingMysqlGtidSet | GrowingMariadbGtidSet | null;
  /** Behind the last event that was not part of a transaction, or ended one. */
  #doneFile: string;
  #donePos: number;
  /** Null where nothing is read again, or no longer. */
  #again: ReadAgain | null;

  constructor(from: MysqlPosition) {
    const { gtids, file, pos, prepared } = from;
    this.file = prepared?.file ?? file;
    this.pos = prepared?.pos ?? pos;
    this.#doneFile = file;
    this.#donePos = pos;
    this.#again = prepared === null ? null : new ReadAgain(from, prepared);
    this.#gtids =
      gtids === null
        ? null
        : gtids instanceof MysqlGtidSet
          ? new GrowingMysqlGtidSet(gtids)
          : new GrowingMariadbGtidSet(gtids);
  }

  get gtids(): GtidSet | null {
    return this.#gtids?.freeze() ?? null;
  }

  get doneFile(): string {
    return this.#doneFile;
  }

  get donePos(): number {
    return this.#donePos;
  }

  /** The header has the low 32 bits of the event's end; files may be larger. */
  endOf(low: number): number {
    const ahead = low - (this.pos % 0x1_0000_0000);
    return this.pos + (ahead < 0 ? ahead + 0x1_0000_0000 : ahead);
  }

  rotate(file: string, pos: number): void {
    this.file = file;
    this.pos = pos;
  }

  /** The server has come so far, and has sent all that was to be sent; it may also say where we are already. */
  catchUp(low: number): void {
    const end = this.endOf(low);
    if (end - this.pos >= 0x8000_0000) return;
    this.pos = end;
    this.pass(end);
  }

  /** Everything up to here needs not to be read again. */
  pass(end: number): void {
    if (this.#again?.passes(this.file, end) === false) return;
    this.#doneFile = this.file;
    this.#donePos = end;
    this.#endAgain();
  }

  /** Whether the transaction that begins there was delivered before a restart, and is only read again. */
  covers(gtid: Gtid | null, start: number): boolean {
    return this.#again?.covers(gtid, { file: this.file, pos: start }) === true;
  }

  /** Of what was delivered, and of what was prepared and decided before a restart, nothing is held. */
  isWanted(xid: string): boolean {
    return this.#again?.isWanted(xid) === true;
  }

  /** Where the transaction begins that begins there, for another restart; not on MySQL, whose GTIDs have holes. */
  startOf(pos: number): LogStart {
    const gtids = this.#gtids instanceof GrowingMariadbGtidSet ? this.#gtids.freeze() : null;
    return { gtids: this.#again?.read ?? gtids, file: this.file, pos };
  }

  /** Where a restart begins, for what is prepared; null where nothing is. */
  preparedStart(prepared: PreparedTransactions): PreparedStart | null {
    const again = this.#again;
    const start = again?.start ?? prepared.oldest?.start ?? null;
    if (start === null) return null;
    const xids = [...new Set([...prepared.xids, ...(again?.expected ?? [])])];
    const { gtids } = this;
    if (!(gtids instanceof MysqlGtidSet)) return { ...start, xids };
    const holes = new GrowingMysqlGtidSet(MysqlGtidSet.EMPTY);
    for (const gtid of prepared.gtids) if ('number' in gtid) holes.add(gtid.source, gtid.number);
    const left = gtids.minus(holes.freeze());
    return { ...start, gtids: left.minus(again?.holes ?? MysqlGtidSet.EMPTY), xids };
  }

  /** It has been read to XA PREPARE. */
  prepare(xid: string, gtid: Gtid | null): void {
    this.#again?.found(xid);
    if (gtid !== null) this.add(gtid);
  }

  add(gtid: Gtid): void {
    const delivered = this.#again?.covers(gtid, this) === true;
    this.#again?.add(gtid);
    this.#endAgain();
    if (delivered) return;
    if ('domain' in gtid) {
      if (this.#gtids instanceof GrowingMariadbGtidSet) this.#gtids.add(gtid);
    } else if (this.#gtids instanceof GrowingMysqlGtidSet) {
      this.#gtids.add(gtid.source, gtid.number);
    }
  }
  #endAgain(): void {
    if (this.#again?.isOver === true) this.#again = null;
  }
}
