import {
  type Binds,
  OracleError,
  type OracleRow,
  type OracleSession,
  type ResultColumn,
  type RowCursor,
  type SessionUse,
} from '../../../src/readers/oracle/session/oracle-session.ts';
import type { FakeLog, FakeOracle, FakeTable } from './fake-oracle.ts';
import { POLL_HANDLERS } from './fake-polling.ts';
import { SNAPSHOT_HANDLERS } from './fake-snapshots.ts';
import { HANDLERS } from './fake-statements.ts';

export interface Mining {
  readonly files: readonly FakeLog[];
  readonly names: readonly string[];
  readonly from: bigint;
  readonly to: bigint;
  readonly started: boolean;
}

export type Handler = (
  this: FakeSession,
  match: RegExpExecArray,
  binds: Binds,
  sql: string,
) => readonly OracleRow[];

export class FakeSession implements OracleSession {
  readonly server: FakeOracle;
  readonly use: SessionUse;
  container: string;
  nls = false;
  zone = false;
  mining: Mining | null = null;
  open_ = true;
  cursor = false;
  broken = false;
  /** Order of bytes, whatever the instance has. */
  binary = false;
  /** SCN that a read-only transaction reads at; null: none; 'first': that of its first statement. */
  readOnly: bigint | 'first' | null = null;

  constructor(server: FakeOracle, use: SessionUse) {
    this.server = server;
    this.use = use;
    this.container = server.sessionContainer;
  }

  async execute(sql: string, binds: Binds = {}): Promise<void> {
    await Promise.resolve();
    this.run(sql, binds);
  }

  async query(sql: string, binds: Binds = {}): Promise<readonly OracleRow[]> {
    await Promise.resolve();
    return this.run(sql, binds);
  }

  async open(sql: string, binds: Binds = {}, rowsAtOnce = 2_000): Promise<RowCursor> {
    await Promise.resolve();
    const rows = this.run(sql, binds);
    this.cursor = true;
    this.server.openCursors++;
    this.server.cursors.push({ sql, rowsAtOnce });
    const kind = sql.includes('V$LOGMNR_CONTENTS') ? 'FETCH' : 'READ';
    return new FakeCursor(this, rows, { kind, rowsAtOnce });
  }

  async columns(sql: string): Promise<readonly ResultColumn[]> {
    await Promise.resolve();
    this.server.statements.push(`${this.use}: ${sql}`);
    const query = this.server.queries.get(/^SELECT \* FROM \((.*)\n\)$/s.exec(sql)?.[1] ?? '');
    return query?.columns ?? this.server.violate(`a query that is not known: ${sql}`);
  }

  interrupt(): void {}

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve();
    if (!this.open_) return;
    this.open_ = false;
    this.server.openSessions--;
    if (this.mining !== null) this.server.miningSessions--;
  }

  run(sql: string, binds: Binds): readonly OracleRow[] {
    const { server } = this;
    server.statements.push(`${this.use}: ${sql}`);
    if (!this.open_) server.violate('a statement on a closed session');
    if (this.broken) throw new OracleError('NJS-500: connection was closed ORA-03114: not connected');
    if (this.cursor) server.violate(`another statement while a cursor is open: ${sql}`);
    if (!sql.startsWith('ALTER SESSION ') && !(this.nls && this.zone))
      server.violate(`session settings are missing before: ${sql}`);
    if (this.readOnly === 'first') this.readOnly = server.currentScn;
    for (const [pattern, handler] of [...HANDLERS, ...SNAPSHOT_HANDLERS, ...POLL_HANDLERS]) {
      const match = pattern.exec(sql);
      if (match === null) continue;
      try {
        server.raise('SQL', sql);
        return handler.call(this, match, binds, sql);
      } catch (error) {
        if (error instanceof OracleError && error.has(3113, 3135, 28)) this.broken = true;
        throw error;
      }
    }
    return server.violate(`a statement that is not known: ${sql}`);
  }

  /** V$ views and LogMiner live in the root. */
  root(): void {
    if (this.container !== 'CDB$ROOT' && this.server.pdb !== null)
      throw new OracleError('ORA-65040: not allowed from within a pluggable database');
  }

  /** Tables live in the PDB where there is one. */
  catalogue(): readonly FakeTable[] {
    return this.server.pdb === null || this.container === this.server.pdb ? this.server.tables : [];
  }

  table(binds: Binds): FakeTable | undefined {
    const view = this.server.views.find(({ owner, name }) => owner === binds['o'] && name === binds['t']);
    const wanted = view?.of ?? `${String(binds['o'])}.${String(binds['t'])}`;
    const table = this.catalogue().find(({ owner, name }) => `${owner}.${name}` === wanted);
    return table === undefined || view === undefined ? table : { ...table, key: [], uniqueIndexes: [] };
  }
}

class FakeCursor implements RowCursor {
  readonly #session: FakeSession;
  readonly #rows: readonly OracleRow[];
  readonly #kind: string;
  readonly #rowsAtOnce: number;
  #at = 0;
  #closed = false;

  constructor(
    session: FakeSession,
    rows: readonly OracleRow[],
    { kind, rowsAtOnce }: { readonly kind: string; readonly rowsAtOnce: number },
  ) {
    this.#session = session;
    this.#rows = rows;
    this.#kind = kind;
    this.#rowsAtOnce = rowsAtOnce;
  }

  async next(max: number): Promise<readonly OracleRow[]> {
    await Promise.resolve();
    const { server } = this.#session;
    if (this.#closed) server.violate('a fetch from a closed cursor');
    if (max > this.#rowsAtOnce) server.violate(`${max} rows of a cursor that holds ${this.#rowsAtOnce}`);
    const fault = server.laterFault(this.#kind);
    if (fault !== undefined && this.#at >= fault.afterRows!) {
      fault.times--;
      fault.meanwhile?.();
      const error = new OracleError(fault.message);
      if (error.has(3113, 3135)) this.#session.broken = true;
      throw error;
    }
    const end = fault === undefined ? this.#at + max : Math.min(this.#at + max, fault.afterRows!);
    const rows = this.#rows.slice(this.#at, end);
    this.#at += rows.length;
    return rows;
  }

  async close(): Promise<void> {
    await Promise.resolve();
    if (this.#closed) return;
    this.#closed = true;
    this.#session.cursor = false;
    this.#session.server.openCursors--;
  }
}
