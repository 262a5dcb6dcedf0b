/** Counts for Debezium's transaction block: the how-manieth change of its transaction, and of its table in it. */
export class TransactionOrder {
  /** Changes of the transaction so far. */
  total = 0;
  /** The same per table, `schema.table`. */
  readonly tables = new Map<string, number>();

  begin(): void {
    this.total = 0;
    this.tables.clear();
  }

  /** JSON text of the block for the next change of `table`; null: a change of no table. `id` is JSON text. */
  next(id: string, table: string | null, seq: number): string {
    // The reader's ordinal also counts what a restart inside the transaction has skipped.
    this.total = seq + 1;
    let ofTable = this.total;
    if (table !== null) {
      ofTable = (this.tables.get(table) ?? 0) + 1;
      this.tables.set(table, ofTable);
    }
    return `{"id":${id},"total_order":${this.total},"data_collection_order":${ofTable}}`;
  }
}
