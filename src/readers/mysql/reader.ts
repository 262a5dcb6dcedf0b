import { randomUUID } from 'node:crypto';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Batch } from '../../model/batch.ts';
import type { TableId, TableSchema } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';
import type { CapturedTable, Finding, Head, Opened, OpenRequest, Reader, StoredLog } from '../reader.ts';
import { ReaderSessions } from '../reader-sessions.ts';
import { answerUnmatched, compileTablePatterns, type TablePatterns } from '../table-patterns.ts';
import { describeTables, listTables, type ListedTable, type MysqlTable, schemaOf } from './catalogue.ts';
import { FATAL_READING_BINLOG, mapMysqlError, mapping } from './errors.ts';
import { describeLogServer, logEnd } from './log-end.ts';
import { type AskedServer, findGap, logRetentionMs, refuseReset, serverIdTaken } from './log-gap.ts';
import { judgeGap, openLog } from './open-log.ts';
import { midElsewhere, MYSQL_POSITIONS, type MysqlPosition, startOfReading } from './position.ts';
import { preflight } from './preflight.ts';
import { SchemaHistory } from './schema-history.ts';
import type { MysqlReaderOptions } from './settings.ts';
import { takeSnapshot, type TakenSnapshot } from './snapshot-lock.ts';
import { createMysqlSnapshotSource } from './snapshot-source.ts';
import type { MysqlSource } from './source-info.ts';
import { untilVisible } from './until-visible.ts';
import { BinlogStream, HEARTBEAT_SECONDS } from './stream.ts';
import { Tables } from './tables.ts';
import { describeHosts } from './wire/connect-options.ts';
import { connectMysql, type MysqlConnection, type TextRows } from './wire/connection.ts';
import { connectRows } from './wire/row-session.ts';
import { dumpCommands, dumpStatements } from './wire/dump-commands.ts';
import { MysqlConnectionError, MysqlError } from './wire/mysql-error.ts';

/** The binary log of MySQL or MariaDB, read as a replica reads it. Connects when first asked for something. */
export function createMysqlReader(options: MysqlReaderOptions, log: Log): Reader<MysqlPosition, MysqlSource> {
  return new MysqlReader(options, log);
}

class MysqlReader implements Reader<MysqlPosition, MysqlSource> {
  readonly codec = MYSQL_POSITIONS;
  readonly #options: MysqlReaderOptions;
  readonly #log: Log;
  readonly #patterns: TablePatterns;
  readonly #sessions = new ReaderSessions<MysqlConnection, TextRows>(
    (signal) => connectMysql(this.#options.connect, signal),
    () => new MysqlConnectionError('lost', 'The reader was closed'),
  );
  #server: AskedServer | null = null;
  #listed: readonly ListedTable[] = [];
  /** As the catalogue had them when the log was opened. */
  #described: readonly MysqlTable[] = [];
  #history = new SchemaHistory(new Map());
  #continuous = true;
  #sameServer = true;
  #taken: TakenSnapshot | null = null;
  /** Where the stream begins. */
  #start: MysqlPosition | null = null;
  #stream: BinlogStream | null = null;

  constructor(options: MysqlReaderOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    this.#patterns = compileTablePatterns(options.tables);
  }

  preflight(signal: AbortSignal): Promise<readonly Finding[]> {
    return preflight(this.#options, this.#patterns, signal);
  }

  async tables(
    signal: AbortSignal,
    onUnmatched?: (message: string) => void,
  ): Promise<readonly CapturedTable[]> {
    return mapping('Listing the tables', async () => {
      const all = await listTables(await this.#sessions.queries(signal));
      this.#listed = all.filter(({ id }) => this.#patterns.matches(id));
      const unmatched = this.#patterns.unmatched(all.map(({ id }) => id));
      if (unmatched.length > 0) {
        const message = `In source.tables ${unmatched.join(', ')} matches no table that ${this.#options.connect.user} can see on ${this.#place()}.`;
        const error = new HeadwaterError('settings.no-table-matches', message);
        answerUnmatched(error, this.#listed.length, onUnmatched);
      }
      return this.#listed.map(({ id, key, estimatedRows }) => ({ id, key, estimatedRows, limitation: null }));
    });
  }

  async describe(signal: AbortSignal): Promise<readonly TableSchema[]> {
    return mapping('Describing the tables', async () => {
      const tables = await this.#describe(
        this.#listed.map(({ id }) => id),
        signal,
      );
      return tables.map((table) => schemaOf(table, this.#options.types));
    });
  }

  async examine(stored: StoredLog<MysqlPosition>, signal: AbortSignal): Promise<string | null> {
    return mapping(`Looking at the log of ${this.#place()}`, async () =>
      judgeGap({ options: this.#options, server: await this.#logServer(signal) }, stored),
    );
  }

  async open(request: OpenRequest<MysqlPosition>, signal: AbortSignal): Promise<Opened<MysqlPosition>> {
    if (this.#listed.length === 0) await this.tables(signal);
    this.#history = new SchemaHistory(request.state ?? new Map());
    return mapping(`Opening the log of ${this.#place()}`, async () => {
      const { opened, sameServer } = await openLog(
        {
          options: this.#options,
          server: await this.#logServer(signal),
          takeSnapshot: async () => {
            if (this.#options.snapshotParallelism === 0) return null;
            this.#taken = await takeSnapshot(
              {
                connect: (aborted) => connectRows(this.#options.connect, aborted),
                sessions: this.#options.snapshotParallelism,
                longLived: true,
                tables: this.#listed.map(({ id }) => id),
              },
              signal,
            );
            return this.#taken?.position ?? null;
          },
        },
        request,
      );
      const { continuity } = opened;
      this.#continuous = continuity.kind === 'continuous';
      this.#start = continuity.kind === 'continuous' ? (request.stored?.position ?? null) : continuity.start;
      this.#sameServer = sameServer;
      this.#described = await this.#describe(
        this.#listed.map(({ id }) => id),
        signal,
      );
      return opened;
    });
  }

  async head(signal: AbortSignal): Promise<Head<MysqlPosition>> {
    return mapping('Asking for the log’s end', async () => {
      const server = await this.#logServer(signal);
      const reached = this.#stream?.position ?? null;
      const position = await logEnd(server.query, server.info, server.gtids);
      if (reached !== null) await refuseReset(server, reached, position);
      return {
        position,
        retainedBytes: null,
        retentionMs: await logRetentionMs(server),
      };
    });
  }

  async *read(from: MysqlPosition, signal: AbortSignal): AsyncIterable<Batch<MysqlPosition, MysqlSource>> {
    let last = from;
    try {
      const stream = await this.#startStream(from, signal);
      for await (const batch of stream.batches(signal)) {
        if (batch.resume !== null) last = batch.resume;
        yield batch;
      }
    } catch (error) {
      throw await this.#explained(error, last, signal);
    }
  }

  /** The server keeps its log by age, not for us. */
  confirm(): void {}

  nudge(): void {
    this.#stream?.nudge();
  }

  snapshotSource(): SnapshotSource<MysqlPosition, MysqlSource> {
    const taken = this.#taken;
    this.#taken = null;
    const start = this.#start;
    if (start === null) throw new HeadwaterError('internal.bug', 'A snapshot begins with the log.');
    return createMysqlSnapshotSource({
      delivered: () => this.#stream?.position ?? start,
      connector: this.#options.connector,
      connect: (signal) => connectRows(this.#options.connect, signal),
      taken,
      types: this.#options.types,
      number: (schema, table) => this.#history.number(schema, table),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream?.stop();
    this.#stream = null;
    await this.#taken?.[Symbol.asyncDispose]();
    await this.#sessions[Symbol.asyncDispose]();
  }

  async #startStream(from: MysqlPosition, signal: AbortSignal): Promise<BinlogStream> {
    const options = this.#options;
    const server = await this.#logServer(signal);
    const start = this.#startPosition(from, server);
    if (await serverIdTaken(server, options.serverId)) {
      this.#log.warn(
        { serverId: options.serverId },
        'another replica or reader is registered at the server under this server id; the server will end its session or this one',
      );
    }
    const dump = {
      server: server.info,
      serverId: options.serverId,
      name: options.name,
      ...startOfReading(start),
      heartbeatSeconds: HEARTBEAT_SECONDS,
      uuid: randomUUID(),
    };
    const connection = await this.#sessions.keep(await connectMysql(options.connect, signal));
    for (const statement of dumpStatements(dump)) await connection.query(statement, signal);
    const isCaptured = (id: TableId): boolean => this.#patterns.matches(id);
    const stream = new BinlogStream(await connection.dump(dumpCommands(dump), signal), {
      connector: options.connector,
      from: start,
      transactionMarkers: options.transactionMetadata,
      includeQuery: options.includeQuery,
      checksum: server.checksum,
      isCaptured,
      history: this.#history,
      tables: new Tables({
        connector: options.connector,
        isCaptured,
        described: this.#described,
        history: this.#history,
        continuous: this.#continuous,
        types: options.types,
        describe: async (id) => (await this.#describe([id], signal))[0] ?? null,
        untilVisible: async (id) => untilVisible(await this.#sessions.queries(signal), server.info, id),
        lowerCase: server.lowerCase,
        log: this.#log,
      }),
    });
    this.#stream = stream;
    return stream;
  }

  /** Into which events a transaction was cut is the server's affair: another one counts its changes. */
  #startPosition(from: MysqlPosition, server: AskedServer): MysqlPosition {
    const { prepared } = from;
    const usable = server.gtids
      ? from
      : { ...from, gtids: null, prepared: prepared === null ? null : { ...prepared, gtids: null } };
    if (this.#sameServer || usable.mid === null) return usable;
    const mid = midElsewhere(usable.mid, (id) => this.#patterns.matches(id));
    if (mid === null) {
      this.#log.warn(
        { transaction: usable.mid.tx },
        'the server is another one than before, and may have the rows in another order; the transaction that was half delivered is delivered again from its beginning',
      );
    }
    return { ...usable, mid };
  }

  async #describe(ids: readonly TableId[], signal: AbortSignal): Promise<readonly MysqlTable[]> {
    const session = await this.#sessions.ordinary(signal);
    return describeTables(await this.#sessions.queries(signal), session.server, ids);
  }

  /** The server says with one number that a dump ended for any of many reasons: it is asked which. */
  async #explained(error: unknown, last: MysqlPosition, signal: AbortSignal): Promise<unknown> {
    const what = `Reading the log of ${this.#place()}`;
    if (!(error instanceof MysqlError) || error.errno !== FATAL_READING_BINLOG || signal.aborted) {
      return mapMysqlError(error, what);
    }
    try {
      const server = await this.#logServer(signal);
      const gap = await findGap(server, last, true);
      if (gap !== null)
        return new HeadwaterError('source.position-lost', `${what} failed: ${gap}.`, { cause: error });
      if (await serverIdTaken(server, this.#options.serverId)) {
        return new HeadwaterError(
          'source.server-id-clash',
          `${what} was ended by the server: another replica or reader has server id ${this.#options.serverId}.`,
          { cause: error },
        );
      }
    } catch (second) {
      return mapMysqlError(second, what);
    }
    return mapMysqlError(error, what);
  }

  async #logServer(signal: AbortSignal): Promise<AskedServer> {
    if (this.#server === null) {
      const { server: info } = await this.#sessions.ordinary(signal);
      const query = await this.#sessions.queries(signal);
      this.#server = { query, info, ...(await describeLogServer(query, info)) };
    }
    return this.#server;
  }

  #place(): string {
    return describeHosts(this.#options.connect);
  }
}
