import type { TransactionPlace } from './encoders/encoder.ts';

/** What messages are counted as; Debezium shows the address of an object of its own. */
const MESSAGES = 'logical_message';

/**
 * Counts for Debezium's transaction block: the how-manieth record of its transaction, and of its table in it.
 * After a restart inside a transaction the counts go on from the reader's ordinal; those of tables begin anew.
 */
export class TransactionOrder {
  total = 0;
  /** By `schema.table`. */
  readonly tables = new Map<string, number>();

  begin(): void {
    this.total = 0;
    this.tables.clear();
  }

  /** The next record's. `table` is null for a message; `seq` is the change's ordinal in its transaction. */
  next(id: string, table: string | null, seq: number): TransactionPlace {
    this.total = Math.max(this.total, seq) + 1;
    const name = table ?? MESSAGES;
    const ofTable = (this.tables.get(name) ?? 0) + 1;
    this.tables.set(name, ofTable);
    return { id, totalOrder: this.total, collectionOrder: ofTable };
  }
}

/** The block as JSON text. */
export function placeJson(place: TransactionPlace | null): string {
  if (place === null) return 'null';
  const { id, totalOrder, collectionOrder } = place;
  return `{"id":${JSON.stringify(id)},"total_order":${totalOrder},"data_collection_order":${collectionOrder}}`;
}
