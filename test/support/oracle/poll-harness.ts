/** Polls the scripted Oracle as a pipeline would: snapshot and stream merged, positions and state kept by batch. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Batch } from '../../../src/model/batch.ts';
import { tableName, type TableSchema } from '../../../src/model/table.ts';
import { valuesOf } from '../../../src/model/raw-row.ts';
import { ABSENT } from '../../../src/model/value.ts';
import { SILENT } from '../../../src/observability/log.ts';
import { steadyNow } from '../../../src/observability/steady-clock.ts';
import { createOraclePolling } from '../../../src/readers/oracle/polling.ts';
import { POLL_POSITIONS, type PollPosition } from '../../../src/readers/polling/position.ts';
import { openPolledBefore, polledRecord } from '../../../src/readers/polling/polled-before.ts';
import { createPollingReader, type MakeDialect } from '../../../src/readers/polling/reader.ts';
import type {
  PollClocks,
  PolledTableSettings,
  PollReaderOptions,
} from '../../../src/readers/polling/settings.ts';
import type { PollSource } from '../../../src/readers/polling/source-info.ts';
import type { DeliveredBefore } from '../../../src/readers/delivered-before.ts';
import type { Finding, Reader } from '../../../src/readers/reader.ts';
import { compileTablePatterns } from '../../../src/readers/table-patterns.ts';
import { createSnapshot } from '../../../src/snapshot/snapshot.ts';
import type { ConnectOracle } from '../../../src/readers/oracle/session/oracle-session.ts';
import { textOf } from './harness.ts';

export interface PolledEvent {
  readonly op: string;
  readonly table: string;
  readonly before: Readonly<Record<string, string | null>> | null;
  readonly after: Readonly<Record<string, string | null>> | null;
}

export interface PollTweaks {
  readonly patterns?: readonly string[];
  readonly tables?: Readonly<Record<string, Partial<PolledTableSettings>>>;
  readonly timeZone?: string;
  readonly overlapMs?: number;
  readonly batchRows?: number;
}

/** The scripted one, or a real one. */
export interface PolledServer {
  readonly connect: ConnectOracle;
  readonly pdb: string | null;
  readonly problems: () => readonly string[];
  /** Ours, where its own clock does not run by itself. */
  readonly clocks?: PollClocks;
}

/** Tables that are read whole. */
export const WHOLE: PolledTableSettings = {
  mode: 'bulk',
  timestamp: [],
  incrementing: null,
  query: null,
  key: null,
  everyMs: 1,
  sweepMs: null,
  remember: 'overlap',
};
const never = new AbortController().signal;

export class PollHarness {
  readonly events: PolledEvent[] = [];
  state = new Map<string, string>();
  position: PollPosition | null = null;
  identity: string | null = null;
  readonly #server: PolledServer;
  readonly #tweaks: PollTweaks;
  readonly #directory = mkdtempSync(join(tmpdir(), 'headwater-oracle-poll-'));

  constructor(server: PolledServer, tweaks: PollTweaks = {}) {
    this.#server = server;
    this.#tweaks = tweaks;
  }

  preflight(): Promise<readonly Finding[]> {
    return this.#using((reader) => reader.preflight(never));
  }

  describe(): Promise<readonly TableSchema[]> {
    return this.#using(async (reader) => {
      await reader.tables(never);
      return reader.describe(never);
    });
  }

  /** Begins, or goes on, and ends when it has caught up; or, where `batches` is given, after so many of them, as if killed. */
  run(batches = Infinity): Promise<void> {
    return this.#using(async (reader) => {
      const stop = new AbortController();
      const captured = await reader.tables(never);
      const { position, identity } = this;
      const opened = await reader.open(
        {
          stored: position === null ? null : { position, identity },
          intent: null,
          state: this.state,
          recordIntent: () => Promise.resolve(),
        },
        never,
      );
      this.identity = opened.identity;
      const fresh = opened.continuity.kind !== 'continuous';
      if (opened.continuity.kind !== 'continuous') this.position = opened.continuity.start;
      const snapshot = createSnapshot<PollPosition, PollSource>({
        source: reader.snapshotSource(),
        codec: POLL_POSITIONS,
        tables: captured,
        restored: new Map(this.state),
        mode: 'initial',
        parallelism: 2,
        chunkRows: 5,
        where: new Map(),
        walLimitBytes: null,
        retainedBytes: () => Promise.resolve(null),
        freshStart: fresh,
        onTableError: (_, error) => {
          throw error;
        },
        log: SILENT,
      });
      let left = batches;
      if (fresh) {
        for await (const batch of snapshot.readView(never)) {
          this.#take(batch, reader);
          if (--left <= 0) return;
        }
      }
      const target = (await reader.head(never)).position;
      const stream = reader.read(this.position!, stop.signal);
      for await (const batch of snapshot.merge(stream, () => reader.nudge(), stop.signal)) {
        this.#take(batch, reader);
        const order = POLL_POSITIONS.compare(this.position!, target);
        if (--left <= 0 || (snapshot.done && order !== null && order >= 0)) break;
      }
      stop.abort();
    });
  }

  /** What a consumer that takes the last record of each key holds, as text. */
  replayed(table: string, key: readonly string[]): readonly string[] {
    const rows = new Map<string, string>();
    for (const event of this.events) {
      if (event.table !== table) continue;
      const image = event.after ?? event.before;
      const name = JSON.stringify(key.map((column) => image?.[column] ?? null));
      if (event.after === null) rows.delete(name);
      else rows.set(name, JSON.stringify(event.after));
    }
    return [...rows.values()].sort();
  }

  /** Answers what is not as it should be. */
  close(): readonly string[] {
    rmSync(this.#directory, { recursive: true, force: true });
    return this.#server.problems();
  }

  async #using<T>(body: (reader: Reader<PollPosition, PollSource>) => Promise<T>): Promise<T> {
    await using reader = this.reader();
    return await body(reader);
  }

  /** What has been polled so far, for the log that takes over; `record` is what it has made durable of it. */
  before(record?: string): Promise<DeliveredBefore> {
    const { options, dialect } = this.#parts();
    const { settingsOf, statePath, stateLimitBytes } = options;
    const tables = [...new Set(this.events.map(({ table }) => table))].map((name) => {
      const [schema = '', table = ''] = name.split('.');
      return { schema, table };
    });
    return openPolledBefore(
      {
        settingsOf,
        statePath,
        stateLimitBytes,
        dialect: dialect((schema) => schema),
        tables,
        of: 'polled',
        polledNow: null,
        record: record ?? polledRecord(POLL_POSITIONS.encode(this.position!), this.state),
      },
      never,
    );
  }

  /** For who closes it. */
  reader(): Reader<PollPosition, PollSource> {
    const { options, dialect } = this.#parts();
    return createPollingReader(options, dialect, SILENT);
  }

  #parts(): { readonly options: PollReaderOptions; readonly dialect: MakeDialect } {
    const { patterns = ['Q.*'], tables = {}, timeZone = null, overlapMs = 0, batchRows = 3 } = this.#tweaks;
    const settings = new Map(Object.entries(tables).map(([name, table]) => [name, { ...WHOLE, ...table }]));
    const settingsOf: PollReaderOptions['settingsOf'] = (id) => settings.get(tableName(id)) ?? WHOLE;
    const names = {
      patterns: compileTablePatterns(patterns),
      named: new Set([...patterns, ...settings.keys()]),
      optionsOf: settingsOf,
      queries: [...settings]
        .filter(([, { query }]) => query !== null)
        .map(([name]) => {
          const [schema = '', table = ''] = name.split('.');
          return { schema, table };
        }),
      place: 'the scripted server',
    };
    const options: PollReaderOptions = {
      settingsOf,
      overlapMs,
      batchRows,
      statePath: join(this.#directory, 'rows.sqlite'),
      stateLimitBytes: 10_000_000,
      onGap: 'fail',
      logIsReadable: null,
      snapshots: true,
      clocks: this.#server.clocks ?? { wall: Date.now, steady: steadyNow },
    };
    const { connect, pdb } = this.#server;
    return {
      options,
      dialect: (number) => createOraclePolling({ connect, names, pdb, user: 'POLLER', timeZone, number }),
    };
  }

  #take(batch: Batch<PollPosition, PollSource>, reader: Reader<PollPosition, PollSource>): void {
    for (const change of batch.changes) {
      if (change.kind !== 'row') continue;
      const { columns, id } = change.table;
      const shown = (image: typeof change.after): Record<string, string | null> | null => {
        if (image === null) return null;
        const values = valuesOf(image);
        return Object.fromEntries(
          columns.flatMap(({ name }, i) => (values[i] === ABSENT ? [] : [[name, textOf(values[i]!)]])),
        );
      };
      const { op, before, after } = change;
      this.events.push({ op, table: tableName(id), before: shown(before), after: shown(after) });
    }
    if (batch.resume === null) return;
    this.position = POLL_POSITIONS.decode(POLL_POSITIONS.encode(batch.resume));
    for (const [key, value] of batch.state ?? []) {
      if (value === null) this.state.delete(key);
      else this.state.set(key, value);
    }
    reader.confirm(batch.resume);
  }
}
