import type { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableId, tableName } from '../model/table.ts';
import type { CapturedTable } from '../readers/reader.ts';
import { Ledger } from './ledger.ts';
import type { TablePlan } from './snapshot-source.ts';

/** One table on its way through the snapshot. */
export class TableSnapshot {
  readonly id: TableId;
  readonly name: string;
  readonly where: string | null;
  /** Whether an operator asked for it: that is forgotten when it is done. */
  readonly requested: boolean;
  /** Null until the table has been planned for the first time. */
  ledger: Ledger | null;
  plan: TablePlan | null = null;
  failure: HeadwaterError | null = null;
  reading = false;
  #estimatedRows: number | null;

  constructor(
    table: CapturedTable,
    stored: { readonly where: string | null; readonly requested: boolean; readonly ledger: Ledger | null },
  ) {
    this.id = table.id;
    this.name = tableName(table.id);
    this.where = stored.where;
    this.requested = stored.requested;
    this.ledger = stored.ledger;
    this.#estimatedRows = table.estimatedRows;
  }

  get done(): boolean {
    return this.ledger?.completed ?? false;
  }

  /** Still to be read, and can be. */
  get pending(): boolean {
    return !this.done && this.failure === null;
  }

  get rows(): number {
    return this.ledger?.rows ?? 0;
  }

  /** Null where nobody knows; never below what has been read. */
  get estimatedRows(): number | null {
    const estimate = this.plan?.estimatedRows ?? this.#estimatedRows;
    if (this.done) return this.rows;
    return estimate === null || estimate < 0 ? null : Math.max(estimate, this.rows);
  }

  /** Takes the plan; what an earlier plan's ledger says stays valid only for the same way of reading. */
  adopt(plan: TablePlan, now: Date): void {
    this.plan = plan;
    if (this.ledger === null || this.ledger.by !== plan.by) {
      this.ledger = Ledger.begin(plan.by, plan.chunks, now);
    }
    this.ledger.schema = plan.schema.version;
  }

  /** Begins again from nothing. */
  reset(): void {
    this.plan = null;
    this.ledger = null;
  }
}
