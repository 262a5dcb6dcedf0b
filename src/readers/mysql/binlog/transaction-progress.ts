import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { tableName, type TableSchema } from '../../../model/table.ts';
import { byTables, type MidTransaction } from '../position.ts';

/** More tables than that in one transaction are not listed in a position. */
const MAX_TABLES = 100;

/** Changes of one table in the open transaction. */
interface Tally {
  readonly schema: TableSchema;
  changes: number;
  /** So many of them were delivered by a server that had cut them into other events. */
  skip: number;
}

/**
 * How far the open transaction has been passed, and, after a restart inside of one, what of it was delivered before:
 * whole rows events, of all tables, and rows of the event behind them; where another server was read then, changes of
 * each table, since the order is the same on both.
 */
export class TransactionProgress {
  /** The checkpoint's place inside of a transaction, until it has been passed. */
  #skip: MidTransaction | null;
  #key = '';
  #events = 0;
  #rows = 0;
  #skipEvents = 0;
  #skipRows = 0;
  #skipChanges = 0;
  readonly #tallies = new Map<string, Tally>();
  #tally: Tally | null = null;
  /** Another server has the same changes in the same order. */
  #portable = true;
  /**
   * Where no key leads to the rows of an event, a replica of MySQL finds them in the table's order (HASH_SCAN of
   * Rows_log_event), and logs them in that. MariaDB's takes each row in its turn.
   */
  readonly #hashesRows: boolean;

  constructor(skip: MidTransaction | null, product: 'mysql' | 'mariadb') {
    this.#skip = skip;
    this.#hashesRows = product === 'mysql';
  }

  /** Where a restart would go on inside of the open transaction; null: at its beginning. */
  get mid(): MidTransaction | null {
    if (this.#events === 0 && this.#rows === 0) return null;
    const tallies = [...this.#tallies.values()];
    const listed = this.#portable && tallies.length <= MAX_TABLES;
    return {
      tx: this.#key,
      events: this.#events,
      rows: this.#rows,
      tables: listed ? tallies.map(({ schema, changes }) => ({ id: schema.id, changes })) : null,
    };
  }

  /** The checkpoint's, while that transaction has not come, or not all that is to be passed over. */
  get skip(): MidTransaction | null {
    return this.#skip;
  }

  /** Changes so far, those that are passed over too, by table. */
  counts(): ReadonlyMap<string, number> {
    return new Map(Array.from(this.#tallies, ([table, { changes }]) => [table, changes]));
  }

  /** Only what there was before counts; answers what there was since. A replica that has applied it logs only the rest. */
  takeBack(
    before: ReadonlyMap<string, number>,
  ): readonly { readonly schema: TableSchema; readonly changes: number }[] {
    this.#portable = false;
    return Array.from(this.#tallies, ([table, tally]) => {
      const kept = before.get(table) ?? 0;
      const changes = tally.changes - kept;
      tally.changes = kept;
      return { schema: tally.schema, changes };
    });
  }

  /** `anonymous`: without GTIDs the transaction of the checkpoint has to be the first that comes. */
  begin(key: string, anonymous: boolean): void {
    this.#key = key;
    this.#events = this.#rows = this.#skipEvents = this.#skipRows = this.#skipChanges = 0;
    if (this.#tallies.size > 0) this.#tallies.clear();
    this.#tally = null;
    this.#portable = true;
    const skip = this.#skip;
    if (skip === null) return;
    if (skip.tx === key) {
      this.#skipEvents = skip.events;
      this.#skipRows = skip.rows;
      if (byTables(skip)) for (const { changes } of skip.tables) this.#skipChanges += changes;
    } else if (anonymous) {
      throw new HeadwaterError(
        'source.position-lost',
        `The checkpoint lies inside the transaction at ${skip.tx}, but the log goes on with the one at ${key}.`,
      );
    }
  }

  end(): void {
    if (this.#skip === null || this.#skip.tx !== this.#key) return;
    if (this.#skipEvents > 0 || this.#skipRows > 0 || this.#skipChanges > 0) {
      throw new HeadwaterError(
        'source.position-lost',
        `The transaction ${this.#key} has fewer changes than the checkpoint has counted.`,
      );
    }
    this.#skip = null;
  }

  /** It will not end. */
  abandon(): void {
    if (this.#skip?.tx === this.#key) this.#skip = null;
  }

  /** The rows that follow are the table's. */
  enter(schema: TableSchema): void {
    if (this.#tally?.schema === schema) return;
    const name = tableName(schema.id);
    let tally = this.#tallies.get(name);
    if (tally === undefined) {
      const skip = this.#skip;
      const delivered =
        this.#skipChanges > 0 && skip !== null && byTables(skip)
          ? skip.tables.find(({ id }) => tableName(id) === name)
          : undefined;
      tally = { schema, changes: 0, skip: delivered?.changes ?? 0 };
      this.#tallies.set(name, tally);
      if (schema.key.length === 0 && this.#hashesRows) this.#portable = false;
    }
    this.#tally = tally;
  }

  /** What another server has of the transaction may be something else. */
  notPortable(): void {
    this.#portable = false;
  }

  /** Whether the rows event that begins was delivered whole. */
  skipsEvent(): boolean {
    if (this.#skipEvents === 0) return false;
    this.#skipEvents--;
    return true;
  }

  passEvent(): void {
    this.#events++;
    this.#rows = 0;
    const left = this.#skipEvents + this.#skipRows + this.#skipChanges;
    if (left === 0 && this.#skip?.tx === this.#key) this.#skip = null;
  }

  /** Ordinal of the next row within its event. */
  nextRow(): number {
    return this.#rows++;
  }

  /** One more change of the table, as one of an event that is passed over whole. */
  count(): void {
    this.#tally!.changes++;
  }

  /** Whether the row that was read last was delivered. `isChange`: it is one, not about history only. */
  skipsRow(isChange: boolean): boolean {
    if (isChange) this.count();
    if (this.#skipRows > 0) {
      if (--this.#skipRows === 0) this.#skip = null;
      return true;
    }
    if (this.#skipChanges === 0) return false;
    // What another table has before the place was passed over there too.
    const tally = this.#tally!;
    if (isChange && tally.skip > 0) {
      tally.skip--;
      if (--this.#skipChanges === 0) this.#skip = null;
    }
    return true;
  }
}
