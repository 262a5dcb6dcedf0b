import type { SourceInfo } from '../model/change.ts';
import type { JsonValue } from '../model/position.ts';
import type { Log } from '../observability/log.ts';
import { MYSQL_POSITIONS } from '../readers/mysql/position.ts';
import { createMysqlReader } from '../readers/mysql/reader.ts';
import type { MysqlReaderOptions } from '../readers/mysql/settings.ts';
import { mysqlSourceBlock } from '../readers/mysql/source-block.ts';
import { UnknownErrors } from '../readers/oracle/mining/recovery.ts';
import { ORACLE_POSITIONS, type OraclePosition } from '../readers/oracle/position.ts';
import { createOracleReader } from '../readers/oracle/reader.ts';
import { connectByDriver } from '../readers/oracle/session/driver-session.ts';
import type { ConnectOracle } from '../readers/oracle/session/oracle-session.ts';
import { DEFAULT_LIMITS, type OracleReaderOptions } from '../readers/oracle/settings.ts';
import type { OracleSource } from '../readers/oracle/source-info.ts';
import { oracleSourceBlock } from '../readers/oracle/source-block.ts';
import { POSTGRES_POSITIONS } from '../readers/postgres/position.ts';
import { createPostgresReader } from '../readers/postgres/reader.ts';
import type { PostgresReaderOptions } from '../readers/postgres/settings.ts';
import { postgresSourceBlock } from '../readers/postgres/source-block.ts';
import type { Reader } from '../readers/reader.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import type { Settings, SourceSettings } from '../settings/settings.ts';

/** What the daemon needs of a kind of source. */
export interface Source<P, S extends SourceInfo> {
  readonly openReader: () => Reader<P, S>;
  readonly block: SourceBlock<S>;
}

/**
 * The one place that knows which source a settings file asks for, and the list to extend for another one. `use` is
 * given a source whose position and source block fit together, whatever they are.
 */
export function withSource<T>(
  settings: Settings,
  log: Log,
  use: <P, S extends SourceInfo>(source: Source<P, S>) => T,
): T {
  const { connector } = settings.source;
  switch (connector) {
    case 'postgresql':
      return use({
        openReader: () => createPostgresReader(postgresOptions(settings), log),
        block: postgresSourceBlock(settings.name, settings.source.database),
      });
    case 'mysql':
    case 'mariadb':
      return use({
        openReader: () => createMysqlReader(mysqlOptions(settings, connector), log),
        block: mysqlSourceBlock(settings.name, connector),
      });
    case 'oracle':
      return use(oracleSource(settings, connectOracle(settings), log));
  }
}

/** For what needs no source block. */
export function openReader(settings: Settings, log: Log): Reader<unknown> {
  return withSource<Reader<unknown>>(settings, log, (source) => source.openReader());
}

/** The position as its source would write it; throws `state.position-invalid` on anything else. */
export function normalisePosition(settings: Settings, position: JsonValue): JsonValue {
  switch (settings.source.connector) {
    case 'postgresql':
      return POSTGRES_POSITIONS.encode(POSTGRES_POSITIONS.decode(position));
    case 'mysql':
    case 'mariadb':
      return MYSQL_POSITIONS.encode(MYSQL_POSITIONS.decode(position));
    case 'oracle':
      return ORACLE_POSITIONS.encode(ORACLE_POSITIONS.decode(position));
  }
}

/** Log kept for us above which an alarm is due; null: no alarm, or a source that keeps none for us. */
export function retainedBudgetBytes({ source }: Settings): number | null {
  return source.connector === 'postgresql' ? source.postgres.walBudgetBytes : null;
}

function connectOptions({ hosts, user, password, tls, connectTimeoutMs }: SourceSettings): {
  readonly hosts: SourceSettings['hosts'];
  readonly user: string;
  readonly password: string | null;
  readonly tls: PostgresReaderOptions['connect']['tls'];
  readonly connectTimeoutMs: number;
} {
  return {
    hosts,
    user,
    password: password?.reveal() ?? null,
    tls: { mode: tls.mode, ca: tls.ca, cert: tls.cert, key: tls.key?.reveal() ?? null },
    connectTimeoutMs,
  };
}

function postgresOptions({ name, source, emit }: Settings): PostgresReaderOptions {
  const { postgres } = source;
  return {
    name,
    connect: { ...connectOptions(source), database: source.database },
    tables: source.tables,
    slot: postgres.slot,
    publication: postgres.publication,
    failover: postgres.failover,
    onGap: source.onGap,
    walBudgetBytes: postgres.walBudgetBytes,
    transactionMetadata: emit.transactionMetadata,
    messages: emit.messages,
  };
}

function mysqlOptions(
  { name, source, emit, snapshot }: Settings,
  connector: MysqlReaderOptions['connector'],
): MysqlReaderOptions {
  const { mysql } = source;
  return {
    name,
    connector,
    connect: { ...connectOptions(source), database: source.database === '' ? null : source.database },
    tables: source.tables,
    serverId: mysql.serverId,
    onGap: source.onGap,
    transactionMetadata: emit.transactionMetadata,
    includeQuery: mysql.includeQuery,
    types: { zeroDates: mysql.zeroDates, unsignedOverflow: mysql.unsignedOverflow },
    snapshotParallelism: snapshot.mode === 'no_data' ? 0 : snapshot.parallelism,
  };
}

/** `connect` makes the connections. */
export function oracleSource(
  settings: Settings,
  connect: ConnectOracle,
  log: Log,
): Source<OraclePosition, OracleSource> {
  const parts = { connect, unknownErrors: unknownErrorsOf(settings), log };
  return {
    openReader: () => createOracleReader(oracleOptions(settings), parts),
    block: oracleSourceBlock(settings.name, oracleDatabase(settings.source)),
  };
}

/** Counted over all attempts of a pipeline, which share its settings. */
const unknownErrors = new WeakMap<Settings, UnknownErrors>();

function unknownErrorsOf(settings: Settings): UnknownErrors {
  let errors = unknownErrors.get(settings);
  if (errors === undefined) unknownErrors.set(settings, (errors = new UnknownErrors()));
  return errors;
}

/** As Debezium's `source.db`: the PDB, else the service without its domain. */
function oracleDatabase({ database, oracle }: SourceSettings): string {
  return oracle.pdb ?? (database.split('.')[0] ?? '').toUpperCase();
}

function connectOracle({ source }: Settings): ConnectOracle {
  const { tls, ...connect } = connectOptions(source);
  return connectByDriver({
    ...connect,
    service: source.database,
    tls:
      tls.mode === 'disable'
        ? null
        : { matchName: tls.mode === 'verify-full', ca: tls.ca, cert: tls.cert, key: tls.key },
    queryTimeoutMs: source.oracle.queryTimeoutMs,
  });
}

function oracleOptions({ name, source, emit, stateDir }: Settings): OracleReaderOptions {
  const { oracle, hosts } = source;
  const { queryTimeoutMs: _, maxWindow, sessionMaxMs, bufferBytes, ...options } = oracle;
  return {
    ...options,
    name,
    place: `${source.database} on ${hosts.map(({ host, port }) => `${host}:${port}`).join(', ')}`,
    user: source.user,
    tables: source.tables,
    onGap: source.onGap,
    transactionMetadata: emit.transactionMetadata,
    spillDirectory: stateDir,
    limits: { ...DEFAULT_LIMITS, windowMost: BigInt(maxWindow), sessionMs: sessionMaxMs, bufferBytes },
  };
}
