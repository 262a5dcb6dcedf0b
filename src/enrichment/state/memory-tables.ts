import { HeadwaterError } from '../../errors/headwater-error.ts';
import { MemoryRows } from './memory-rows.ts';
import type { TableStore, TableStores } from './table-store.ts';

export interface MemoryTablesOptions {
  /** Bytes that rows may take altogether. */
  readonly limit: number;
  /** Call before the attempt ends for want of memory: the next one keeps its tables elsewhere. */
  readonly onExceeded: () => void;
}

/** All joined tables in memory; a run finds their rows in the image alone. */
export class MemoryTables implements TableStores {
  readonly durable = false;
  readonly #options: MemoryTablesOptions;
  readonly #tables = new Map<number, TableStore>();
  #bytes = 0;

  constructor(options: MemoryTablesOptions) {
    this.#options = options;
  }

  table(index: number): TableStore {
    let table = this.#tables.get(index);
    if (table === undefined) {
      table = new MemoryRows((bytes) => this.spend(bytes));
      this.#tables.set(index, table);
    }
    return table;
  }

  refilled(): TableStore {
    return new MemoryRows((bytes) => this.spend(bytes));
  }

  open(): null {
    return null;
  }

  restored(): void {}

  complete(): void {}

  follows(): boolean {
    return true;
  }

  committing(): void {}

  committed(): void {}

  spend(bytes: number): void {
    this.#bytes += bytes;
    const { limit, onExceeded } = this.#options;
    if (bytes <= 0 || this.#bytes <= limit) return;
    onExceeded();
    throw new HeadwaterError(
      'enrich.memory-limit',
      `The tables and groups of statements take more than ${Math.round(limit / 2 ** 20)} MiB of memory.`,
      { details: { limit } },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
