/** Keeps what a real server's V$LOGMNR_CONTENTS gave, as a script that the scripted server can play. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  ConnectOracle,
  OracleRow,
  OracleSession,
  RowCursor,
} from '../../../src/readers/oracle/session/oracle-session.ts';
import type { FakeRedo } from './fake-oracle.ts';
import type { Observed } from './harness.ts';
import type { Script } from './script.ts';

/** In the order of the select list of the reader's query. */
const COLUMNS = [
  'SCN',
  'THREAD#',
  'RS_ID',
  'SSN',
  'XID',
  'OPERATION_CODE',
  'TIMESTAMP',
  'ROLLBACK',
  'CSF',
  'STATUS',
  'INFO',
  'SEG_OWNER',
  'TABLE_NAME',
  'ROW_ID',
  'DATA_OBJ#',
  'DATA_OBJD#',
  'USERNAME',
  'SQL_REDO',
] as const;
const NUMBERS: ReadonlySet<string> = new Set([
  'THREAD#',
  'SSN',
  'OPERATION_CODE',
  'ROLLBACK',
  'CSF',
  'STATUS',
]);

export class Recording {
  readonly #rows = new Map<string, FakeRedo>();

  /** The same connections, whose rows of redo are kept. */
  wrap(connect: ConnectOracle): ConnectOracle {
    return async (use, signal, address) => this.#session(await connect(use, signal, address));
  }

  get rows(): readonly FakeRedo[] {
    return [...this.#rows.values()];
  }

  /** Writes a script beside the others; `HEADWATER_RECORD` names another directory. */
  save(
    about: Pick<Script, 'id' | 'title' | 'origin' | 'config' | 'tables'>,
    events: readonly Observed[],
    warnings: readonly string[],
  ): string {
    const rows = this.rows;
    const scns = rows.map(({ SCN }) => BigInt(SCN));
    const first = scns.reduce((a, b) => (a < b ? a : b), scns[0] ?? 1n);
    const last = scns.reduce((a, b) => (a > b ? a : b), first);
    const script = {
      ...about,
      startOffset: { scn: String(first - 1n), commit_scn: {} },
      redo: rows,
      steps: [{ poll: String(last + 1n) }],
      expected: { events, warnings },
    };
    const directory = process.env['HEADWATER_RECORD'] ?? join(import.meta.dirname, '../../fixtures/oracle');
    mkdirSync(directory, { recursive: true });
    const file = join(directory, `${about.id.toLowerCase()}.json`);
    writeFileSync(file, `${JSON.stringify(script, null, 1)}\n`);
    return file;
  }

  #session(session: OracleSession): OracleSession {
    return {
      execute: (sql, binds) => session.execute(sql, binds),
      query: (sql, binds) => session.query(sql, binds),
      columns: (sql) => session.columns(sql),
      open: async (sql, binds) => {
        const cursor = await session.open(sql, binds);
        return sql.includes('V$LOGMNR_CONTENTS') ? this.#cursor(cursor) : cursor;
      },
      interrupt: () => session.interrupt(),
      [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
    };
  }

  #cursor(cursor: RowCursor): RowCursor {
    return {
      next: async (max) => {
        const rows = await cursor.next(max);
        for (const row of rows) this.#keep(row);
        return rows;
      },
      close: () => cursor.close(),
    };
  }

  /** A range may be read twice; continued rows share all but their text. */
  #keep(row: OracleRow): void {
    const entries = COLUMNS.flatMap((name, i) => {
      const value = row[i];
      if (value === null || value === undefined) return [];
      return [[name, NUMBERS.has(name) ? Number(value) : String(value)] as const];
    });
    const record = Object.fromEntries(entries) as unknown as FakeRedo; // the columns of the view, as they came
    this.#rows.set(JSON.stringify(record), record);
  }
}
