/** Runs the reader against a scripted Oracle, as a pipeline would: batches, their positions and their state. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Batch } from '../../../src/model/batch.ts';
import { valuesOf } from '../../../src/model/raw-row.ts';
import { tableName } from '../../../src/model/table.ts';
import { ABSENT, UNCHANGED, type Row, type Value } from '../../../src/model/value.ts';
import type { Log } from '../../../src/observability/log.ts';
import { SILENT } from '../../../src/observability/log.ts';
import type { Opened, Reader } from '../../../src/readers/reader.ts';
import { UnknownErrors } from '../../../src/readers/oracle/mining/recovery.ts';
import { FirstConnection } from '../../../src/readers/oracle/session/first-connection.ts';
import type { ConnectOracle } from '../../../src/readers/oracle/session/oracle-session.ts';
import { ORACLE_POSITIONS, type OraclePosition, positionAt } from '../../../src/readers/oracle/position.ts';
import { createOracleReader } from '../../../src/readers/oracle/reader.ts';
import {
  DEFAULT_LIMITS,
  type OracleLimits,
  type OracleReaderOptions,
} from '../../../src/readers/oracle/settings.ts';
import type { OracleSource } from '../../../src/readers/oracle/source-info.ts';
import { parseDataType } from '../../../src/readers/oracle/types/column-metadata.ts';
import { type FakeColumn, FakeOracle, type FakeTable } from './fake-oracle.ts';

export interface Observed {
  readonly op: string;
  readonly table: string;
  readonly before: Record<string, string | null> | null;
  readonly after: Record<string, string | null> | null;
  readonly scn: string;
  readonly txId: string | null;
  readonly commit_scn: string | null;
  readonly seq: number | null;
  readonly thread: number | null;
}

type Tweaks = Partial<Omit<OracleReaderOptions, 'limits'>> & { readonly limits?: Partial<OracleLimits> };

/** Waits are as short as can be. */
const QUICK: Partial<OracleLimits> = {
  idleMs: 1,
  archivePollMs: 1,
  logRetryMs: 1,
  alteredRetryMs: 1,
  settleMs: 60_000,
  overlap: 0n,
};

export class Harness {
  readonly server: FakeOracle;
  readonly options: OracleReaderOptions;
  readonly events: Observed[] = [];
  readonly warnings: string[] = [];
  /** What is logged at that level otherwise. */
  readonly told: string[] = [];
  readonly directory: string;
  readonly unknownErrors = new UnknownErrors();
  firstConnection = new FirstConnection();
  /** After each batch: what a sink would have stored with it. */
  readonly stored: {
    readonly position: OraclePosition;
    readonly state: ReadonlyMap<string, string>;
    readonly events: number;
  }[] = [];
  readonly unmatched: string[] = [];
  state = new Map<string, string>();
  position: OraclePosition | null;
  identity: string | null = null;
  opened: Opened<OraclePosition> | null = null;
  reader: Reader<OraclePosition, OracleSource> | null = null;
  readonly #start: OraclePosition | null;
  readonly #connect: ConnectOracle;
  #stop = new AbortController();
  #batches: AsyncIterator<Batch<OraclePosition, OracleSource>> | null = null;

  /** `connect`: to another server than the scripted one. */
  constructor(
    server: FakeOracle,
    tweaks: Tweaks = {},
    start: OraclePosition | null = positionAt(2000n),
    connect: ConnectOracle = server.connect,
  ) {
    this.#connect = connect;
    this.server = server;
    this.position = start;
    this.#start = start;
    this.directory = mkdtempSync(join(tmpdir(), 'headwater-oracle-'));
    const { limits, ...rest } = tweaks;
    this.options = {
      name: 'test',
      place: 'the scripted server',
      user: 'C##CDC',
      tables: ['Q.*'],
      pdb: null,
      strategy: 'hybrid',
      archiveOnly: false,
      archiveDestinations: [],
      lobs: false,
      lobReselect: false,
      excludeUsers: [],
      onUnreadable: 'fail',
      absentColumns: 'unavailable',
      sessionReconnect: false,
      requireAllColumns: false,
      flushTable: null,
      racNodes: [],
      onGap: 'resnapshot',
      transactionMetadata: false,
      spillDirectory: this.directory,
      ...rest,
      limits: { ...DEFAULT_LIMITS, ...QUICK, ...limits },
    };
  }

  /** Opens a reader, from what is stored. */
  async open(): Promise<Reader<OraclePosition, OracleSource>> {
    const log: Log = {
      ...SILENT,
      warn: (fields, message) => {
        if ('kind' in fields) this.warnings.push(String(fields.kind));
        else this.told.push(message);
      },
    };
    const reader = createOracleReader(this.options, {
      connect: this.#connect,
      unknownErrors: this.unknownErrors,
      firstConnection: this.firstConnection,
      log,
    });
    this.reader = reader;
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    // As the pipeline does: what matches no table is told once there is a position.
    await reader.tables(
      signal,
      this.position === null ? undefined : (message) => this.unmatched.push(message),
    );
    this.opened = await reader.open(
      {
        stored: this.position === null ? null : { position: this.position, identity: this.identity },
        intent: null,
        state: this.state,
        recordIntent: () => Promise.resolve(),
      },
      signal,
    );
    this.identity = this.opened.identity;
    const { continuity } = this.opened;
    if (continuity.kind !== 'continuous') this.position = continuity.start;
    return reader;
  }

  /** Reads until all that is in the log up to `scn` has been read. */
  async poll(scn: bigint): Promise<void> {
    const { server } = this;
    if (scn > server.currentScn) server.currentScn = scn;
    if (this.reader === null) await this.open();
    this.#batches ??= this.reader!.read(this.position!, this.#stop.signal)[Symbol.asyncIterator]();
    while (this.position!.upTo < scn || this.position!.mid !== null) {
      const { value, done } = await this.#batches.next();
      if (done === true) throw new Error('the stream has ended');
      this.take(value);
    }
  }

  take(batch: Batch<OraclePosition, OracleSource>): void {
    const { events } = this;
    for (const change of batch.changes) {
      const { at } = change;
      const common = {
        scn: String(at.scn),
        txId: at.tx?.id ?? null,
        commit_scn: at.tx === null ? null : String(at.tx.commitScn),
        seq: at.txSeq,
        thread: at.thread,
      };
      if (change.kind === 'row') {
        const { table, op, before, after, unreadable } = change;
        events.push({
          op: unreadable === undefined ? op : `unreadable ${op}`,
          table: tableName(table.id),
          before: shown(valuesOf(before), table.columns),
          after: shown(valuesOf(after), table.columns),
          ...common,
        });
      } else if (change.kind === 'truncate') {
        events.push({ op: 't', table: tableName(change.table.id), before: null, after: null, ...common });
      } else if (change.kind === 'schema') {
        const columns = change.table?.columns.map(({ name, nativeType }) => [name, nativeType] as const);
        const after = columns === undefined ? null : Object.fromEntries(columns);
        events.push({ op: 'ddl', table: tableName(change.id), before: null, after, ...common });
      } else if (change.kind === 'begin' || change.kind === 'end') {
        events.push({ op: change.kind, table: '', before: null, after: null, ...common });
      }
    }
    if (batch.resume === null) throw new Error('a batch without a position');
    const { position } = this;
    if (position !== null) {
      const order = ORACLE_POSITIONS.compare(position, batch.resume);
      if (order === null || order > 0)
        server(`a position went back: ${text(position)} → ${text(batch.resume)}`);
      if (batch.resume.scn < position.scn)
        server(`mining would restart earlier: ${text(position)} → ${text(batch.resume)}`);
    }
    // What is stored is what its text says.
    this.position = ORACLE_POSITIONS.decode(ORACLE_POSITIONS.encode(batch.resume));
    for (const [key, value] of batch.state ?? []) {
      if (value === null) this.state.delete(key);
      else this.state.set(key, value);
    }
    this.stored.push({ position: this.position, state: new Map(this.state), events: events.length });
  }

  /**
   * A new reader, from what is stored last; or, after a crash in which all that came behind the first `acked`
   * events was lost, from what was stored with these.
   */
  async restart(acked?: number): Promise<void> {
    await this.stop();
    if (acked === undefined) return;
    const kept = this.stored.filter(({ events }) => events <= acked).at(-1);
    this.position = kept?.position ?? this.#start;
    this.state = new Map(kept?.state ?? []);
    this.events.length = kept?.events ?? 0;
    this.stored.length = kept === undefined ? 0 : this.stored.indexOf(kept) + 1;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#batches?.return?.(undefined);
    this.#batches = null;
    await this.reader?.[Symbol.asyncDispose]();
    this.reader = null;
  }

  /** Everything closed, and nothing against the rules. Answers what is not as it should be. */
  async close(): Promise<readonly string[]> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
    return this.server.problems();
  }
}

function server(problem: string): never {
  throw new Error(problem);
}

function text(position: OraclePosition): string {
  return JSON.stringify(ORACLE_POSITIONS.encode(position));
}

function shown(
  row: Row | null,
  columns: readonly { readonly name: string }[],
): Record<string, string | null> | null {
  if (row === null) return null;
  return Object.fromEntries(columns.map(({ name }, i) => [name, textOf(row[i] as Value)]));
}

export function textOf(value: Value): string | null {
  if (value === null) return null;
  if (value === UNCHANGED) return '<unchanged>';
  if (value === ABSENT) return '<absent>';
  if (value instanceof Uint8Array) return `hex ${Buffer.from(value).toString('hex')}`;
  return Array.isArray(value) ? JSON.stringify(value) : String(value);
}

/** A server with one thread, one log and the given tables. */
export function serverWith(tables: Readonly<Record<string, TableScript>>): FakeOracle {
  const server = new FakeOracle();
  server.startLog(1, 10, 1000n);
  server.currentScn = 2000n;
  Object.entries(tables).forEach(([name, script], i) =>
    server.tables.push(fakeTable(name, script, 73_000 + i)),
  );
  return server;
}

export interface TableScript {
  readonly columns: Readonly<Record<string, string>>;
  readonly pk: readonly string[];
  readonly allColumns?: boolean;
}

export function fakeTable(
  name: string,
  { columns, pk, allColumns = true }: TableScript,
  objectId: number,
): FakeTable {
  const [owner = '', table = ''] = name.split('.');
  return {
    owner,
    name: table,
    columns: Object.entries(columns).map(([column, type]) => fakeColumn(column, type, pk.includes(column))),
    key: pk,
    objectId: String(objectId),
    dataObjectId: String(objectId),
    allColumns,
    rows: [],
    extents: [],
    undoHorizon: 0n,
    lastDdl: 0n,
  };
}

export function fakeColumn(name: string, declared: string, required = false): FakeColumn {
  const type = parseDataType(declared);
  // Types that the model leaves out.
  if (type === null)
    return {
      name,
      type: declared,
      length: null,
      precision: null,
      scale: null,
      nullable: !required,
      expression: null,
    };
  const digits = type.scale === null || !type.dataType.startsWith('TIMESTAMP') ? '' : `(${type.scale})`;
  return {
    name,
    type: digits === '' ? type.dataType : type.dataType.replace('TIMESTAMP', `TIMESTAMP${digits}`),
    length: type.length,
    precision: type.precision,
    scale: type.scale,
    nullable: !required,
    expression: null,
  };
}
