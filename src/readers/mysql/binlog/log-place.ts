import type { Gtid, GtidSet } from '../gtid/gtid-set.ts';
import { GrowingMariadbGtidSet } from '../gtid/mariadb-gtid-set.ts';
import { GrowingMysqlGtidSet, MysqlGtidSet } from '../gtid/mysql-gtid-set.ts';
import type { MysqlPosition } from '../position.ts';

/** Where the stream stands in the file, and what has been passed: whole transactions. */
export class LogPlace {
  /** File and offset of the event that is being read. */
  file: string;
  pos: number;
  readonly #gtids: GrowingMysqlGtidSet | GrowingMariadbGtidSet | null;
  /** Behind the last event that was not part of a transaction, or ended one. */
  #doneFile: string;
  #donePos: number;

  constructor({ gtids, file, pos }: MysqlPosition) {
    this.file = this.#doneFile = file;
    this.pos = this.#donePos = pos;
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
    this.#doneFile = this.file;
    this.#donePos = end;
  }

  add(gtid: Gtid): void {
    if ('domain' in gtid) {
      if (this.#gtids instanceof GrowingMariadbGtidSet) this.#gtids.add(gtid);
    } else if (this.#gtids instanceof GrowingMysqlGtidSet) {
      this.#gtids.add(gtid.source, gtid.number);
    }
  }
}
