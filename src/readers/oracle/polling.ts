import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import { valuesOf } from '../../model/raw-row.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';
import {
  keyOf,
  type PollBlock,
  type PollDialect,
  type PolledTable,
  type PollKeyPage,
  type PollKeys,
  type PollMark,
  type PollScan,
  PollTableChanged,
} from '../poll-dialect.ts';
import type { CapturedTable, Finding } from '../reader.ts';
import { mapping } from './errors.ts';
import { hiddenViews, takeMark } from './polling-mark.ts';
import type { Statement } from './polling-places.ts';
import { pollPreflight } from './polling-preflight.ts';
import { isChanged, pollSnapshots } from './polling-snapshots.ts';
import { greatestSelect, keysSelect, type OraclePolledTable, scanSelect } from './polling-sql.ts';
import {
  capturedOf,
  definitionMark,
  describePolled,
  listPolled,
  type OraclePolledNames,
  type PolledObject,
  polledTable,
} from './polling-tables.ts';
import { quoteIdent } from './quoting.ts';
import type { ConnectOracle, OracleSession, SessionUse } from './session/oracle-session.ts';
import { POLL_SETTINGS, SESSION_SETTINGS } from './session/session-settings.ts';
import { tableError } from './snapshot-plan.ts';
import { oraclePool, type OraclePool, useSession } from './snapshot-pool.ts';
import { rowsAtOnce, SnapshotRows } from './snapshot-rows.ts';
import type { Described } from './table-history.ts';

const AT = { connector: 'polling' } as const;

export interface OraclePollOptions {
  readonly connect: ConnectOracle;
  readonly names: OraclePolledNames;
  /** The pluggable database of the tables, where the URL names another container. */
  readonly pdb: string | null;
  /** The user of source.url. */
  readonly user: string;
  /** Of columns that hold local times; null: not known. */
  readonly timeZone: string | null;
  /** Gives a schema its version number. */
  readonly number: (schema: TableSchema) => TableSchema;
}

/** What stays as it is for as long as the reader lives. */
export interface PollFacts {
  readonly database: string;
  readonly container: string;
  readonly standby: boolean;
  /** Views without which nobody tells which transactions run. */
  readonly hidden: readonly string[];
}

interface Known {
  readonly polled: OraclePolledTable;
  readonly described: Described;
  /** See `definitionMark`. */
  readonly mark: string | null;
}

const FACTS = `SELECT SYS_CONTEXT('USERENV','DB_NAME'), SYS_CONTEXT('USERENV','CON_NAME'), SYS_CONTEXT('USERENV','DATABASE_ROLE') FROM DUAL`;

/** Tables of Oracle, polled: needs SELECT on them, and nothing else. */
export function createOraclePolling(options: OraclePollOptions): PollDialect {
  return new OraclePolling(options);
}

class OraclePolling implements PollDialect {
  readonly #options: OraclePollOptions;
  readonly #known = new Map<string, Known>();
  /** One connection: statements come one after the other. */
  readonly #pool: OraclePool;
  #facts: PollFacts | null = null;

  constructor(options: OraclePollOptions) {
    this.#options = options;
    this.#pool = oraclePool(1, (signal) => this.#connect('catalogue', signal));
  }

  async preflight(signal: AbortSignal): Promise<readonly Finding[]> {
    const { names, user, timeZone } = this.#options;
    // Versions are counted from what the checkpoint says, which is not known yet.
    await using own = new OraclePolling({ ...this.#options, number: (schema) => schema });
    return await pollPreflight(
      {
        place: names.place,
        user,
        timeZone,
        facts: () => own.#serverFacts(signal),
        list: () => own.#list(signal),
        describe: (id) => own.describe([id], signal).then(([table]) => table ?? null),
        use: (body) => own.#asking('Checking the tables', signal, body),
      },
      signal,
    );
  }

  async tables(
    signal: AbortSignal,
    onUnmatched?: (message: string) => void,
  ): Promise<readonly CapturedTable[]> {
    const objects = await this.#list(signal, onUnmatched);
    const { optionsOf } = this.#options.names;
    return this.#asking('Reading the catalogue', signal, async (session) => {
      const captured: CapturedTable[] = [];
      for (const object of objects) {
        const { key } = optionsOf(object.id);
        const described = key === null ? await this.#described(session, object.id) : null;
        captured.push(capturedOf(object, key ?? described?.key ?? []));
      }
      return captured;
    });
  }

  #list(signal: AbortSignal, onUnmatched?: (message: string) => void): Promise<readonly PolledObject[]> {
    return this.#asking('Listing the tables', signal, (session) =>
      listPolled(session, this.#options.names, onUnmatched),
    );
  }

  /** What is polled is known by its rows: a standby that takes over holds the same. */
  async identity(signal: AbortSignal): Promise<string> {
    const { database, container } = await this.#serverFacts(signal);
    return JSON.stringify({ connector: 'polling', database, container });
  }

  async mark(signal: AbortSignal): Promise<PollMark> {
    const { standby, hidden } = await this.#serverFacts(signal);
    return this.#asking('Asking for running transactions', signal, (session) =>
      takeMark(session, !standby && hidden.length === 0),
    );
  }

  describe(ids: readonly TableId[], signal: AbortSignal): Promise<readonly OraclePolledTable[]> {
    return this.#asking('Reading the catalogue', signal, async (session) => {
      const found: OraclePolledTable[] = [];
      for (const id of ids) {
        const polled = await this.#current(session, id);
        if (polled !== null) found.push(polled);
      }
      return found;
    });
  }

  /** The object of an earlier call where nothing has changed. */
  async #current(session: OracleSession, id: TableId): Promise<OraclePolledTable | null> {
    const { names, number } = this.#options;
    const name = tableName(id);
    const known = this.#known.get(name);
    // Before the columns: what is altered in between is found the next time.
    const mark = await this.#mark(session, id);
    if (known !== undefined && mark !== null && known.mark === mark) return known.polled;
    const described = await this.#described(session, id);
    if (described === null) {
      this.#known.delete(name);
      return null;
    }
    const same = known !== undefined && JSON.stringify(known.described) === JSON.stringify(described);
    const polled = same ? known.polled : polledTable(id, described, { options: names.optionsOf(id), number });
    this.#known.set(name, { polled, described, mark });
    return polled;
  }

  #described(session: OracleSession, id: TableId): Promise<Described | null> {
    return describePolled(session, id, this.#options.names.optionsOf(id));
  }

  async #mark(session: OracleSession, id: TableId): Promise<string | null> {
    // A query's result is asked for each time: nothing tells of the tables behind it.
    return this.#options.names.optionsOf(id).query === null ? definitionMark(session, id) : null;
  }

  /** Behind rows that were read: nothing keeps a table from being altered meanwhile. */
  async #assertUnchanged(session: OracleSession, polled: OraclePolledTable): Promise<void> {
    const { id } = polled.schema;
    const known = this.#known.get(tableName(id));
    if (known?.polled !== polled) throw new PollTableChanged();
    if (known.mark !== null && known.mark === (await this.#mark(session, id))) return;
    const described = await this.#described(session, id);
    if (JSON.stringify(described) !== JSON.stringify(known.described)) throw new PollTableChanged();
  }

  forget(): void {
    this.#known.clear();
  }

  async *read(table: PolledTable, scan: PollScan, signal: AbortSignal): AsyncGenerator<PollBlock> {
    const polled = this.#own(table);
    const { timeZone } = this.#options;
    try {
      if (polled.order.length === 0) {
        yield* this.#whole(polled, scanSelect(polled, scan, timeZone), signal);
        return;
      }
      for (let { after } = scan; ;) {
        const rows = await this.#page(polled, scanSelect(polled, { ...scan, after }, timeZone), signal);
        const { length } = rows.rows;
        if (length === 0) return;
        after = textsOf(rows);
        yield { ...rows.take(), after };
        if (length < scan.limit) return;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (isChanged(error)) throw new PollTableChanged();
      throw error instanceof PollTableChanged
        ? error
        : tableError(error, { id: table.schema.id, where: null });
    }
  }

  #page(
    polled: OraclePolledTable,
    { sql, binds }: Statement,
    signal: AbortSignal,
  ): Promise<SnapshotRows<typeof AT>> {
    return this.#use(signal, async (session) => {
      const rows = new SnapshotRows(polled.model, AT);
      for (const row of await session.query(sql, binds)) rows.push(row);
      await this.#assertUnchanged(session, polled);
      return rows;
    });
  }

  /** In one statement, where rows have no order. */
  async *#whole(
    polled: OraclePolledTable,
    { sql, binds }: Statement,
    signal: AbortSignal,
  ): AsyncGenerator<PollBlock> {
    const pooled = await this.#pool.acquire(signal);
    const listening = interrupting(pooled.session, signal);
    let finished = false;
    try {
      const rows = new SnapshotRows(polled.model, AT);
      const atOnce = rowsAtOnce(polled.model);
      const cursor = await pooled.session.open(sql, binds, atOnce);
      try {
        for (;;) {
          const fetched = await cursor.next(atOnce);
          if (fetched.length === 0) break;
          for (const row of fetched) rows.push(row);
          yield { ...rows.take(), after: null };
          signal.throwIfAborted();
        }
      } finally {
        await cursor.close();
      }
      await this.#assertUnchanged(pooled.session, polled);
      finished = true;
    } finally {
      listening.stop();
      if (!finished) await pooled.close();
      this.#pool.release(pooled);
    }
  }

  async keys(table: PolledTable, page: PollKeyPage, signal: AbortSignal): Promise<PollKeys> {
    const polled = this.#own(table);
    const key = keyOf(polled);
    const { schema, decoders } = polled.model;
    const rows = new SnapshotRows(
      {
        schema: { ...schema, columns: key.map((index) => schema.columns[index]!), key: [] },
        decoders: key.map((index) => decoders[index]!),
      },
      AT,
    );
    const { sql, binds } = keysSelect(polled, key, page);
    await this.#asking('Comparing keys', signal, async (session) => {
      for (const row of await session.query(sql, binds)) rows.push(row);
    });
    const after = rows.rows.length < page.limit ? null : textsOf(rows);
    return { keys: rows.rows.map((row) => valuesOf(row.after!)), after };
  }

  greatest(table: PolledTable, signal: AbortSignal): Promise<string | null> {
    return this.#asking('Reading the greatest value', signal, async (session) => {
      const [row] = await session.query(greatestSelect(this.#own(table)));
      return row![0] == null ? null : String(row![0]);
    });
  }

  snapshots(): SnapshotSource<unknown> {
    return pollSnapshots({
      connect: (signal) => this.#connect('snapshot', signal),
      describe: (session, id) => this.#current(session, id),
      assertUnchanged: (session, table) => this.#assertUnchanged(session, table),
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }

  #own(table: PolledTable): OraclePolledTable {
    const { id } = table.schema;
    const known = this.#known.get(tableName(id));
    if (known === undefined || known.polled !== table) throw new PollTableChanged();
    return known.polled;
  }

  async #serverFacts(signal: AbortSignal): Promise<PollFacts> {
    return (this.#facts ??= await this.#asking(
      'Asking for the server’s settings',
      signal,
      async (session) => {
        const [row] = await session.query(FACTS);
        const [database, container, role] = row!.map(String);
        return {
          database: database!,
          container: container!,
          standby: role!.endsWith('STANDBY'),
          hidden: await hiddenViews(session),
        };
      },
    ));
  }

  async #connect(use: SessionUse, signal: AbortSignal): Promise<OracleSession> {
    const session = await this.#options.connect(use, signal);
    try {
      for (const statement of [...SESSION_SETTINGS, ...POLL_SETTINGS]) await session.execute(statement);
      const { pdb } = this.#options;
      if (pdb !== null) await session.execute(`ALTER SESSION SET CONTAINER = ${quoteIdent(pdb)}`);
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Runs `body` with the connection; what it runs is broken off where `signal` aborts. */
  #use<T>(signal: AbortSignal, body: (session: OracleSession) => Promise<T>): Promise<T> {
    return useSession(this.#pool, signal, async (session) => {
      const listening = interrupting(session, signal);
      try {
        return await body(session);
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      } finally {
        listening.stop();
      }
    });
  }

  #asking<T>(what: string, signal: AbortSignal, body: (session: OracleSession) => Promise<T>): Promise<T> {
    return mapping(what, () => this.#use(signal, body));
  }
}

/** What is under way may be silent for long. */
function interrupting(session: OracleSession, signal: AbortSignal): { readonly stop: () => void } {
  const interrupt = (): void => session.interrupt();
  signal.addEventListener('abort', interrupt, { once: true });
  return { stop: () => signal.removeEventListener('abort', interrupt) };
}

/** Of NULL there is nothing: behind it comes no row. */
function textsOf({ place }: SnapshotRows<typeof AT>): readonly string[] {
  return place.map((cell) => String(cell ?? ''));
}
