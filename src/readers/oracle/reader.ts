import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Batch } from '../../model/batch.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';
import type { CapturedTable, Finding, Head, Opened, OpenRequest, Reader, StoredLog } from '../reader.ts';
import { answerUnmatched, compileTablePatterns, type TablePatterns } from '../table-patterns.ts';
import { capturedTables, describeCaptured, describeTable, type SourceTable, TABLES } from './catalogue.ts';
import { CommitLog } from './commit-log.ts';
import { characterSet, currentScn, type Database, readDatabase } from './database.ts';
import { classify, mapOracleError, mapping } from './errors.ts';
import { LogCollector } from './logs/collect-logs.ts';
import { FlushWriter } from './mining/flush-writer.ts';
import type { UnknownErrors } from './mining/recovery.ts';
import { RedoStream } from './mining/redo-stream.ts';
import { judgeGap, openLog } from './open-log.ts';
import { ORACLE_POSITIONS, type OraclePosition, positionAt } from './position.ts';
import { preflight } from './preflight.ts';
import { quoteIdent } from './quoting.ts';
import type { FirstConnection } from './session/first-connection.ts';
import { SESSION_SETTINGS } from './session/session-settings.ts';
import {
  type ConnectOracle,
  OracleError,
  type OracleSession,
  type SessionUse,
} from './session/oracle-session.ts';
import type { OracleReaderOptions } from './settings.ts';
import { OracleSnapshotSource } from './snapshot-source.ts';
import type { OracleSource } from './source-info.ts';
import { type CapturedRef, shapeOf, TableHistory } from './table-history.ts';
import { type TableModel, tableModel } from './table-model.ts';
import { Reselect } from './transactions/reselect.ts';
import { TransactionBuffer } from './transactions/transaction-buffer.ts';
import { type DecodeText, textDecoder } from './types/character-sets.ts';
import { Warnings } from './warnings.ts';

/** What the attempts of one pipeline share. `connect` makes plain connections; the reader sets them up. */
export interface OracleReaderParts {
  readonly connect: ConnectOracle;
  readonly unknownErrors: UnknownErrors;
  readonly firstConnection: FirstConnection;
  readonly log: Log;
}

/** Oracle's redo log through LogMiner. Connects when first asked for something. */
export function createOracleReader(
  options: OracleReaderOptions,
  parts: OracleReaderParts,
): Reader<OraclePosition, OracleSource> {
  return new OracleReader(options, parts);
}

class OracleReader implements Reader<OraclePosition, OracleSource> {
  readonly codec = ORACLE_POSITIONS;
  #options: OracleReaderOptions;
  readonly #parts: OracleReaderParts;
  readonly #patterns: TablePatterns;
  readonly #warnings: Warnings;
  readonly #commitLog = new CommitLog();
  readonly #sessions = new Set<OracleSession>();
  readonly #uses = new Map<SessionUse, Promise<OracleSession>>();
  #disposed = false;
  #tables: readonly SourceTable[] = [];
  #history: TableHistory | null = null;
  #decode: DecodeText = textDecoder('AL32UTF8');
  #start: OraclePosition | null = null;
  #wake: AbortController = new AbortController();
  #flush: FlushWriter | null = null;

  constructor(options: OracleReaderOptions, parts: OracleReaderParts) {
    this.#options = options;
    this.#parts = parts;
    const { tables, flushTable, user } = options;
    // What is written to the flush table is nobody's change.
    const own = flushTable === null ? [] : [`!${user.toUpperCase()}.${flushTable}`];
    this.#patterns = compileTablePatterns([...tables, ...own]);
    this.#warnings = new Warnings(parts.log);
  }

  preflight(signal: AbortSignal): Promise<readonly Finding[]> {
    return preflight((use, abort) => this.#connect(use, abort), this.#options, this.#patterns, signal);
  }

  async tables(
    signal: AbortSignal,
    onUnmatched?: (message: string) => void,
  ): Promise<readonly CapturedTable[]> {
    return mapping('Listing the tables', async () => {
      const database = await this.#look(await this.#session('utility', signal));
      const { tables: found, unmatched } = await capturedTables(
        await this.#session('catalogue', signal),
        this.#patterns,
        this.#options.place,
      );
      answerUnmatched(unmatched, found.length, onUnmatched);
      this.#tables = found.filter(({ obstacle }) => obstacle === null);
      return this.#tables.map((table) => describeCaptured(table, database));
    });
  }

  async describe(): Promise<readonly TableSchema[]> {
    const context = { text: this.#decode, onForeignDate: () => undefined };
    return this.#tables.map(
      ({ id, version }) => tableModel(id, { ...version, version: 1, from: 0n }, context).schema,
    );
  }

  async examine(stored: StoredLog<OraclePosition>, signal: AbortSignal): Promise<string | null> {
    return mapping(`Looking at the redo log of ${this.#options.place}`, async () => {
      const session = await this.#session('utility', signal);
      const database = await this.#look(session);
      const collector = this.#collector(session, signal);
      return judgeGap({ options: this.#options, database, session, collector }, stored);
    });
  }

  async open(request: OpenRequest<OraclePosition>, signal: AbortSignal): Promise<Opened<OraclePosition>> {
    return mapping(`Opening the redo log of ${this.#options.place}`, async () => {
      const utility = await this.#session('utility', signal);
      const database = await this.#look(utility);
      this.#decode = textDecoder(await characterSet(utility));
      const collector = this.#collector(utility, signal);
      const opened = await openLog(
        { options: this.#options, database, session: utility, collector, log: this.#parts.log },
        request,
      );
      const { continuity } = opened;
      const anew = continuity.kind !== 'continuous';
      this.#start = anew ? continuity.start : null;
      // Read after the SCN was taken: a table altered in between is read again by the snapshot, at a later one.
      // What matches none has been told.
      await this.tables(signal, request.stored === null ? undefined : () => {});
      const context = { text: this.#decode, onForeignDate: () => this.#warnings.count('nls-lost') };
      const history = new TableHistory(context, anew ? new Map() : (request.state ?? new Map()));
      for (const { id, version } of this.#tables) history.adopt(id, version);
      this.#history = history;
      return opened;
    });
  }

  async head(signal: AbortSignal): Promise<Head<OraclePosition>> {
    return mapping('Asking for the log’s end', async () => {
      const utility = await this.#session('utility', signal);
      const edge = await this.#collector(utility, signal).edge();
      return { position: positionAt(edge ?? (await currentScn(utility))), retainedBytes: null };
    });
  }

  async checkTables(signal: AbortSignal): Promise<void> {
    await mapping('Looking for new tables', async () => {
      const session = await this.#session('catalogue', signal);
      const known = new Set(this.#history!.names);
      const created = (await session.query(TABLES))
        .filter(([, , iot, nested, temporary]) => iot === null && nested !== 'YES' && temporary !== 'Y')
        .map(([schema, table]): TableId => ({ schema: String(schema), table: String(table) }))
        .filter((id) => this.#patterns.matches(id) && !known.has(tableName(id)));
      if (created.length === 0) return;
      throw new HeadwaterError(
        'source.tables-changed',
        `Tables were created that source.tables names: ${created.map(tableName).join(', ')}.`,
      );
    });
  }

  async *read(from: OraclePosition, signal: AbortSignal): AsyncIterable<Batch<OraclePosition, OracleSource>> {
    const interrupt = (): void => {
      // What is under way may be silent for minutes.
      for (const session of this.#sessions) session.interrupt();
    };
    signal.addEventListener('abort', interrupt, { once: true });
    try {
      const stream = await this.#stream(from, signal);
      yield* stream.batches(signal);
    } catch (error) {
      // Interrupted, or woken.
      if (signal.aborted && (error instanceof OracleError || error === signal.reason)) return;
      throw this.#mapped(error);
    } finally {
      signal.removeEventListener('abort', interrupt);
    }
  }

  /** Oracle keeps its logs by its own rules; nothing is told to it. */
  confirm(): void {
    this.#parts.unknownErrors.progressed();
  }

  nudge(): void {
    this.#wake.abort();
  }

  snapshotSource(): SnapshotSource<OraclePosition, OracleSource> {
    const history = this.#history!;
    const refOf = ({ schema, table }: TableId): CapturedRef | null => history.find(schema, table);
    return new OracleSnapshotSource({
      start: this.#start,
      connect: (signal) => this.#connect('snapshot', signal),
      commitLog: this.#commitLog,
      modelAt: (id, scn) => {
        const ref = refOf(id);
        return ref === null ? null : history.modelAt(ref, scn);
      },
      estimatedRows: (id) =>
        this.#tables.find((table) => tableName(table.id) === tableName(id))?.estimatedRows ?? null,
      chunkBlocks: this.#options.limits.chunkBlocks,
      describe: (id) => this.#describeModel(id),
      logged: () =>
        mapping('Asking for the log’s end', async () => {
          const { signal } = new AbortController();
          return this.#collector(await this.#session('utility', signal), signal).logged();
        }),
      alteredRetryMs: this.#options.limits.alteredRetryMs,
      log: this.#parts.log,
      sleep: (ms, signal) => delay(ms, undefined, { signal }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#wake.abort();
    await this.#flush?.close();
    await Promise.all(Array.from(this.#sessions, (session) => session[Symbol.asyncDispose]()));
    this.#sessions.clear();
  }

  async #stream(from: OraclePosition, signal: AbortSignal): Promise<RedoStream> {
    const { flushTable, racNodes, limits, spillDirectory, name, lobs, lobReselect } = this.#options;
    const { log } = this.#parts;
    const utility = await this.#session('utility', signal);
    const catalogue = await this.#session('catalogue', signal);
    this.#flush =
      flushTable === null
        ? null
        : new FlushWriter({
            connect: (use, abort, address) => this.#connect(use, abort, address),
            table: flushTable,
            nodes: racNodes,
            warnings: this.#warnings,
            log,
          });
    const buffer = await TransactionBuffer.create({
      directory: join(spillDirectory, `${name}-transactions`),
      transactionBytes: limits.transactionBytes,
      bufferBytes: limits.bufferBytes,
      startPinMs: limits.startPinMs,
      rereads: lobs,
      warnings: this.#warnings,
    });
    return new RedoStream(
      {
        options: this.#options,
        connectMining: () => this.#connect('mining', signal),
        utility,
        collector: this.#collector(utility, signal),
        history: this.#history!,
        // As a failure of its own: it must not look like one of the window that is being read.
        describe: (id) => mapping('Reading the catalogue', () => describeTable(catalogue, id)),
        buffer,
        decode: this.#decode,
        reselect: lobReselect ? new Reselect((sql, binds) => catalogue.query(sql, binds)) : null,
        flush: this.#flush,
        commitLog: this.#commitLog,
        warnings: this.#warnings,
        log,
        sleep: (ms) => this.#sleep(ms, signal),
      },
      from,
    );
  }

  /** What the database is; it decides what the settings leave open. */
  async #look(session: OracleSession): Promise<Database> {
    const database = await readDatabase(session);
    if (database.standby) {
      const archiveOnly = this.#options.archiveOnly ?? true;
      this.#options = { ...this.#options, archiveOnly, flushTable: null };
    }
    return database;
  }

  /** Until the time is over or somebody nudges. Throws once the signal aborts. */
  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#wake.signal.aborted) {
      this.#wake = new AbortController();
      return;
    }
    const ended = AbortSignal.any([this.#wake.signal, signal]);
    await delay(ms, undefined, { signal: ended }).catch(() => undefined);
    signal.throwIfAborted();
  }

  #collector(utility: OracleSession, signal: AbortSignal): LogCollector {
    return new LogCollector(utility, this.#options, (ms) => this.#sleep(ms, signal));
  }

  async #describeModel(id: TableId): Promise<TableModel | null> {
    const { signal } = new AbortController();
    const described = await mapping('Reading the catalogue', async () =>
      describeTable(await this.#session('catalogue', signal), id),
    );
    if (described === null) return null;
    const history = this.#history!;
    const ref = history.find(id.schema, id.table);
    const current = ref === null ? null : history.current(ref);
    const last = current?.version;
    if (current !== null && last !== undefined && shapeOf(last) === shapeOf(described)) return current;
    // The stream has yet to come to the DDL; it will give the shape this number.
    const version = { ...described, version: (last?.version ?? 0) + 1, from: 0n };
    return tableModel(id, version, { text: this.#decode, onForeignDate: () => undefined });
  }

  /** The one session of that use; opened when first needed. */
  #session(use: SessionUse, signal: AbortSignal): Promise<OracleSession> {
    let session = this.#uses.get(use);
    if (session === undefined) {
      session = this.#connect(use, signal);
      this.#uses.set(use, session);
      session.catch(() => this.#uses.delete(use));
    }
    return session;
  }

  /** A connection as Headwater needs it. Closed with the reader, also where that happens meanwhile. */
  async #connect(use: SessionUse, signal: AbortSignal, address?: string): Promise<OracleSession> {
    const { connect, firstConnection } = this.#parts;
    let session: OracleSession;
    try {
      session = await connect(use, signal, address);
      firstConnection.succeeded();
    } catch (error) {
      throw (
        (error instanceof OracleError ? firstConnection.judge(error, this.#options.place) : null) ?? error
      );
    }
    try {
      for (const statement of SESSION_SETTINGS) await session.execute(statement);
      const { pdb } = this.#options;
      if (pdb !== null && use !== 'mining' && use !== 'utility') {
        await session.execute(`ALTER SESSION SET CONTAINER = ${quoteIdent(pdb)}`);
      }
      if (this.#disposed) throw new OracleError('NJS-003: the reader was closed');
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
    this.#sessions.add(session);
    return session;
  }

  #mapped(error: unknown): unknown {
    if (!(error instanceof OracleError)) return error;
    const what = `Reading the redo log of ${this.#options.place}`;
    return classify(error).class === 'unknown'
      ? this.#parts.unknownErrors.map(error, what)
      : mapOracleError(error, what);
  }
}
