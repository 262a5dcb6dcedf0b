import type { Log } from '../../../observability/log.ts';
import { classify } from '../errors.ts';
import { quoteIdent } from '../quoting.ts';
import {
  assertOracleError,
  type ConnectOracle,
  OracleError,
  type OracleSession,
} from '../session/oracle-session.ts';
import type { Warnings } from '../warnings.ts';

/** No quota, no tablespace, read-only, no privilege. */
const NOT_WRITABLE = [1950, 1536, 1653, 16_000, 1031, 942];
const NODE_WAIT_MS = 3_000;

export interface FlushOptions {
  readonly connect: ConnectOracle;
  readonly table: string;
  /** Addresses of RAC instances; empty: the one of the settings. */
  readonly nodes: readonly string[];
  readonly warnings: Warnings;
  readonly log: Log;
}

/**
 * A committed change of one row makes an instance's log writer flush what it has kept in memory, which on an idle
 * instance may take a while otherwise. It is the only table Headwater ever writes to, and only where the
 * settings name the table.
 */
export class FlushWriter {
  readonly #options: FlushOptions;
  readonly #sessions = new Map<string, OracleSession>();
  /** Nodes that failed are left alone for a moment. */
  readonly #waitUntil = new Map<string, number>();
  #off = false;

  constructor(options: FlushOptions) {
    this.#options = options;
  }

  async flush(scn: bigint, signal: AbortSignal): Promise<void> {
    const { nodes, warnings, log } = this.#options;
    for (const node of nodes.length === 0 ? [''] : nodes) {
      if (this.#off || performance.now() < (this.#waitUntil.get(node) ?? 0)) continue;
      try {
        await this.#write(node, scn, signal);
      } catch (error) {
        assertOracleError(error);
        await this.#drop(node);
        if (error.has(...NOT_WRITABLE)) {
          this.#off = true;
          warnings.count('flush-off', { info: error.message });
          return;
        }
        if (nodes.length === 0 && classify(error).class === 'reconnect') throw error;
        this.#waitUntil.set(node, performance.now() + NODE_WAIT_MS);
        log.warn({ node, error: error.message }, 'an instance cannot be made to flush its redo');
      }
    }
  }

  async close(): Promise<void> {
    for (const node of [...this.#sessions.keys()]) await this.#drop(node);
  }

  async #write(node: string, scn: bigint, signal: AbortSignal): Promise<void> {
    const table = quoteIdent(this.#options.table);
    let session = this.#sessions.get(node);
    if (session === undefined) {
      session = await this.#options.connect('flush', signal, node === '' ? undefined : node);
      this.#sessions.set(node, session);
      await session.execute(createStatement(table)).catch((error: unknown) => {
        if (!(error instanceof OracleError && error.has(955))) throw error; // it is there
      });
      await session.execute(insertStatement(table));
      await session.execute(deleteStatement(table));
    }
    await session.execute(updateStatement(table, scn));
    await session.execute('COMMIT');
  }

  async #drop(node: string): Promise<void> {
    await this.#sessions.get(node)?.[Symbol.asyncDispose]();
    this.#sessions.delete(node);
  }
}

function createStatement(table: string): string {
  return `CREATE TABLE ${table} (LAST_SCN NUMBER(19,0))`;
}

function insertStatement(table: string): string {
  return `INSERT INTO ${table} SELECT 0 FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM ${table})`;
}

/** Two instances may both have found it empty. */
function deleteStatement(table: string): string {
  return `DELETE FROM ${table} WHERE ROWID <> (SELECT MIN(ROWID) FROM ${table})`;
}

function updateStatement(table: string, scn: bigint): string {
  return `UPDATE ${table} SET LAST_SCN = ${scn}`;
}
