import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { SourceInfo } from '../../model/change.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import { valuesOf } from '../../model/raw-row.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';
import { failedBy, ok, warning } from '../finding.ts';
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
import { checkPollLoad } from '../poll-load.ts';
import { assertOrdered, columnIndex } from '../polled-column.ts';
import { choosePolled, type PolledNames } from '../polled-names.ts';
import type { CapturedTable, Finding } from '../reader.ts';
import { SessionPool } from '../session-pool.ts';
import { type ListedTable, listTables, type MysqlTable, type Query, schemaOf } from './catalogue.ts';
import { mapMysqlError, mapping } from './errors.ts';
import { readGrants } from './grants.ts';
import { boundItem, boundText, isOrderable } from './key-bounds.ts';
import { takeMark } from './polling-mark.ts';
import { describePolled } from './polling-queries.ts';
import { isAsDescribed, pollSnapshots } from './polling-snapshots.ts';
import { greatestSelect, keysSelect, type MysqlPolledTable, placeOf, scanSelect } from './polling-sql.ts';
import { isChanged, tableError } from './snapshot-errors.ts';
import { Planner, queryOf } from './snapshot-plan.ts';
import { TextRowReader } from './snapshot-rows.ts';
import { RawTextRows } from './raw-text-rows.ts';
import type { MysqlTypeOptions } from './types/mysql-column.ts';
import { describeHosts, type MysqlConnectOptions } from './wire/connect-options.ts';
import { quoteIdent, quoteTable } from './wire/quoting.ts';
import { type CatalogueSession, connectRows, type RowSession } from './wire/row-session.ts';
import type { ServerInfo } from './wire/server-info.ts';

const BLOCK_ROWS = 1_000;

export interface MysqlPollOptions extends PolledNames {
  readonly connect: MysqlConnectOptions;
  readonly types: MysqlTypeOptions;
  /** Of columns that hold local times; null: not known, whatever the server's is: sessions have their own. */
  readonly timeZone: string | null;
  readonly number: (schema: TableSchema) => TableSchema;
}

interface ServerFacts {
  /** Whether running transactions are told of, and are this server's own. */
  readonly told: boolean;
  readonly process: boolean;
  readonly readOnly: boolean;
}

/** Tables of MySQL and MariaDB, polled. */
export function createMysqlPolling(options: MysqlPollOptions): PollDialect {
  return new MysqlPolling(options);
}

class MysqlPolling implements PollDialect {
  readonly #options: MysqlPollOptions;
  readonly #known = new Map<string, MysqlPolledTable>();
  /** One connection: statements come one after the other. */
  readonly #pool: SessionPool<RowSession>;
  #facts: ServerFacts | null = null;

  constructor(options: MysqlPollOptions) {
    this.#options = options;
    this.#pool = new SessionPool(1, (signal) => connectRows(options.connect, signal));
  }

  async preflight(signal: AbortSignal): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    const { connect } = this.#options;
    const place = describeHosts(connect);
    // Versions are counted from what the checkpoint says, which is not known yet.
    await using own = new MysqlPolling({ ...this.#options, number: (schema) => schema });
    try {
      const facts = await own.#serverFacts(signal);
      findings.push(ok('connection', `Connected to ${place} as ${connect.user}.`), ...checkFacts(facts));
      const listed = await own.#asking('Listing the tables', signal, (query) => own.#list(query));
      findings.push(ok('tables', `${listed.length} ${listed.length === 1 ? 'table' : 'tables'} to poll.`));
      const rows = new Map(listed.map(({ id, estimatedRows }) => [tableName(id), estimatedRows ?? 0]));
      const tables = await own.describe(
        listed.map(({ id }) => id),
        signal,
      );
      for (const table of tables) {
        const estimate = rows.get(tableName(table.schema.id)) ?? 0;
        findings.push(...(await own.#checkPlan(table, estimate, signal)));
      }
    } catch (error) {
      signal.throwIfAborted();
      const mapped = mapMysqlError(error, `Checking ${place}`);
      findings.push(failedBy(mapped, findings.length === 0 ? 'connection' : 'tables'));
    }
    return findings;
  }

  tables(signal: AbortSignal, onUnmatched?: (message: string) => void): Promise<readonly CapturedTable[]> {
    return this.#asking('Listing the tables', signal, async (query) =>
      (await this.#list(query, onUnmatched)).map(({ id, key, estimatedRows }) => ({
        id,
        key: this.#options.optionsOf(id).key ?? key,
        estimatedRows,
        limitation: null,
      })),
    );
  }

  async #list(query: Query, onUnmatched?: (message: string) => void): Promise<readonly ListedTable[]> {
    return choosePolled(
      {
        all: await listTables(query, { views: true }),
        isView: ({ engine }) => engine === '',
        ofQuery: (id) => ({ id, engine: '', estimatedRows: null, key: null }),
      },
      this.#options,
      {
        where: `on ${describeHosts(this.#options.connect)}`,
        advice: () => ({ fix: 'Check database and spelling, and that the user may SELECT from it.' }),
        onUnmatched,
      },
    );
  }

  /** What is polled is known by its rows: a replica that takes over holds the same. */
  identity(): Promise<string> {
    return Promise.resolve(JSON.stringify({ connector: 'polling' }));
  }

  async mark(signal: AbortSignal): Promise<PollMark> {
    const { told } = await this.#serverFacts(signal);
    return this.#asking('Asking for running transactions', signal, (query) => takeMark(query, told));
  }

  describe(ids: readonly TableId[], signal: AbortSignal): Promise<readonly MysqlPolledTable[]> {
    return this.#asking('Reading the catalogue', signal, async (_, session) => {
      const found = await describePolled(session, ids, this.#options.optionsOf, signal);
      const gone = new Set(ids.map(tableName));
      for (const table of found) {
        const name = tableName(table.id);
        gone.delete(name);
        const known = this.#known.get(name);
        if (known !== undefined && JSON.stringify(known.table) === JSON.stringify(table)) continue;
        this.#known.set(name, this.#polled(table));
      }
      for (const name of gone) this.#known.delete(name);
      return ids.flatMap((id) => this.#known.get(tableName(id)) ?? []);
    });
  }

  forget(): void {
    this.#known.clear();
  }

  #polled(table: MysqlTable): MysqlPolledTable {
    const { optionsOf, types, number } = this.#options;
    const options = optionsOf(table.id);
    const name = tableName(table.id);
    const timestamp = options.timestamp.map((column) => columnIndex(table, column));
    const kinds = new Set(timestamp.map((index) => table.columns[index]!.dataType));
    if (kinds.size > 1 || [...kinds].some((kind) => !['timestamp', 'datetime', 'date'].includes(kind))) {
      throw new HeadwaterError(
        'settings.column-missing',
        `The timestamp columns of ${name} have to be all TIMESTAMP, all DATETIME, or all DATE.`,
        { details: { table: name } },
      );
    }
    const order = options.incrementing === null ? table.key : [columnIndex(table, options.incrementing)];
    const ordered = order.every((index) => isOrderable(table.columns[index]!)) ? order : [];
    assertOrdered(table.id, options, ordered);
    return {
      schema: number(schemaOf(table, types)),
      options,
      versioned: false,
      timestamp,
      order: ordered,
      nullable: timestamp.length > 0 && timestamp.every((index) => table.columns[index]!.nullable),
      table,
      rows: new RawTextRows(table.id, table.columns),
    };
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
        const length = rows.count;
        if (length === 0) return;
        after = placeOf(polled, scan.kind, (indexes) => rows.lastCells(indexes));
        yield taken(rows, after);
        if (length < scan.limit) return;
      }
    } catch (error) {
      if (isChanged(error)) throw new PollTableChanged();
      throw error instanceof PollTableChanged ? error : tableError(error, polled.schema.id);
    }
  }

  async #page(
    polled: MysqlPolledTable,
    select: string,
    signal: AbortSignal,
  ): Promise<TextRowReader<SourceInfo>> {
    return this.#pool.use(signal, async (session) => {
      await session.query('START TRANSACTION READ ONLY', signal);
      try {
        const rows = this.#reader(polled);
        for await (const chunk of session.rows(select, signal)) rows.push(chunk);
        // The rows read hold the table's definition fast.
        if (!(await isAsDescribed(session, polled.table, this.#options.optionsOf, signal)))
          throw new PollTableChanged();
        return rows;
      } finally {
        if (session.open) await session.query('ROLLBACK', signal).catch(() => undefined);
      }
    });
  }

  /** In one statement, where rows have no order. */
  async *#whole(polled: MysqlPolledTable, select: string, signal: AbortSignal): AsyncGenerator<PollBlock> {
    const session = await this.#pool.acquire(signal);
    try {
      const rows = this.#reader(polled);
      for await (const chunk of session.rows(select, signal)) {
        rows.push(chunk);
        if (rows.count >= BLOCK_ROWS) yield taken(rows, null);
      }
      if (rows.count > 0) yield taken(rows, null);
    } finally {
      this.#pool.release(session);
    }
  }

  #reader({ schema, rows }: MysqlPolledTable): TextRowReader<SourceInfo> {
    return new TextRowReader({ schema, rows, at: { connector: 'polling' } });
  }

  async keys(table: PolledTable, page: PollKeyPage, signal: AbortSignal): Promise<PollKeys> {
    const polled = this.#own(table);
    const key = keyOf(polled);
    const columns = key.map((index) => polled.table.columns[index]!);
    const { schema } = polled;
    const rows = new TextRowReader({
      schema: { ...schema, columns: key.map((index) => schema.columns[index]!), key: [] },
      rows: new RawTextRows(polled.table.id, columns),
      at: { connector: 'polling' },
    });
    await mapping('Comparing keys', () =>
      this.#pool.use(signal, async (session) => {
        for await (const chunk of session.rows(keysSelect(polled, key, page), signal)) rows.push(chunk);
      }),
    );
    const more = rows.count >= page.limit;
    let further = columns.length;
    const after = more
      ? columns.map((column, i) =>
          boundText(column, rows.lastCells([boundItem(column) === null ? i : further++])[0]!),
        )
      : null;
    return { keys: rows.take(null).rows.map((row) => valuesOf(row.after!)), after };
  }

  greatest(table: PolledTable, signal: AbortSignal): Promise<string | null> {
    return this.#asking(
      'Reading the greatest value',
      signal,
      async (query) => (await query(greatestSelect(this.#own(table))))[0]?.[0] ?? null,
    );
  }

  snapshots(): SnapshotSource<unknown> {
    const { connect, types, number, optionsOf } = this.#options;
    const describe = async (
      session: CatalogueSession,
      id: TableId,
      signal: AbortSignal,
    ): Promise<MysqlTable | undefined> => (await describePolled(session, [id], optionsOf, signal))[0];
    return pollSnapshots({
      connect: (signal) => connectRows(connect, signal),
      planner: new Planner({ types, number, describe }),
      optionsOf,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }

  #own({ schema: { id } }: PolledTable): MysqlPolledTable {
    const known = this.#known.get(tableName(id));
    if (known === undefined) throw new PollTableChanged();
    return known;
  }

  async #serverFacts(signal: AbortSignal): Promise<ServerFacts> {
    return (this.#facts ??= await this.#asking('Asking for the server’s settings', signal, async (query) => {
      const [row] = await query('SELECT @@global.read_only');
      const readOnly = row?.[0];
      const process = (await readGrants(query)).has('PROCESS', 'SUPER');
      return {
        told: process && readOnly === '0',
        process,
        readOnly: readOnly !== '0',
      };
    }));
  }

  /** Whether an index serves what is asked again and again. */
  async #checkPlan(table: MysqlPolledTable, rows: number, signal: AbortSignal): Promise<readonly Finding[]> {
    const { timeZone } = this.#options;
    const server = await this.#pool.use(signal, (session) => Promise.resolve(session.server));
    const local = table.timestamp.some((index) => table.table.columns[index]!.dataType !== 'timestamp');
    return checkPollLoad(table, {
      rows,
      zoneless: local && timeZone === null,
      sequential: async (scan) => {
        const select = scanSelect(table, scan, timeZone);
        const plan = await this.#asking('Asking for the plan', signal, (query) =>
          query(`EXPLAIN FORMAT=JSON ${select}`),
        );
        const text = plan[0]?.[0] ?? '';
        return /"access_type":\s*"ALL"|"using_filesort":\s*true|"filesort"|Table scan/.test(text);
      },
      index: indexFor(table, server),
    });
  }

  #asking<T>(
    what: string,
    signal: AbortSignal,
    body: (query: Query, session: RowSession) => Promise<T>,
  ): Promise<T> {
    return mapping(what, () => this.#pool.use(signal, (session) => body(queryOf(session, signal), session)));
  }
}

function checkFacts({ process, readOnly }: ServerFacts): readonly Finding[] {
  if (readOnly) {
    return [
      warning(
        'replica',
        'The server is read_only: rows that a replica brings later than source.poll.overlap after their timestamp are missed.',
        'Poll the primary, or set source.poll.overlap above the longest lag.',
      ),
    ];
  }
  if (process) return [ok('running transactions', 'The server tells which transactions run.')];
  return [
    warning(
      'running transactions',
      'Without PROCESS the server does not tell which transactions run: rows that commit later than source.poll.overlap after their timestamp are missed.',
      'GRANT PROCESS ON *.* TO the user of source.url, or set source.poll.overlap above the longest transaction.',
    ),
  ];
}

/** Of several timestamp columns an index on what COALESCE makes of them serves, and no other. */
function indexFor({ schema, timestamp, order }: MysqlPolledTable, server: ServerInfo): string {
  const nameOf = (index: number): string => quoteIdent(schema.columns[index]!.name);
  const times = timestamp.map(nameOf);
  const coalesced = `(COALESCE(${times.join(', ')}))`;
  if (times.length > 1 && !indexesExpressions(server)) {
    const name = tableName(schema.id);
    return `Make a stored generated column of ${coalesced} with an index, and name it alone as source.poll.tables.${name}.timestamp.`;
  }
  const parts = [...(times.length > 1 ? [coalesced] : times), ...order.map(nameOf)];
  return `CREATE INDEX headwater_poll ON ${quoteTable(schema.id)} (${parts.join(', ')});`;
}

/** MySQL from 8.0.13 on. */
function indexesExpressions({ flavour, version }: ServerInfo): boolean {
  return flavour === 'mysql' && version >= 80_013;
}

function taken(of: TextRowReader<SourceInfo>, after: PollBlock['after']): PollBlock {
  const { rows, bytes } = of.take(null);
  return { rows, bytes, after };
}
