import type { Log } from '../../observability/log.ts';
import { UnknownErrors } from '../../readers/oracle/mining/recovery.ts';
import { ORACLE_POSITIONS, type OraclePosition } from '../../readers/oracle/position.ts';
import { createOracleReader, type OracleReaderParts } from '../../readers/oracle/reader.ts';
import { connectByDriver } from '../../readers/oracle/session/driver-session.ts';
import { FirstConnection } from '../../readers/oracle/session/first-connection.ts';
import type { ConnectOracle } from '../../readers/oracle/session/oracle-session.ts';
import { snapshotOrigin } from '../../readers/oracle/snapshot-rows.ts';
import { DEFAULT_LIMITS, type OracleReaderOptions } from '../../readers/oracle/settings.ts';
import type { OracleSource } from '../../readers/oracle/source-info.ts';
import { oracleSourceBlock } from '../../readers/oracle/source-block.ts';
import type { Settings, SourceSettings } from '../../settings/settings.ts';
import { connectOptions } from './connect-options.ts';
import type { Source } from './source-parts.ts';

/** `connect` makes the connections. */
export function oracleSource(
  settings: Settings,
  connect: ConnectOracle,
  log: Log,
): Source<OraclePosition, OracleSource> {
  const parts = { connect, ...sharedOf(settings), log };
  return {
    positions: ORACLE_POSITIONS,
    openReader: () => createOracleReader(oracleOptions(settings), parts),
    block: oracleSourceBlock(settings.name, oracleDatabase(settings.source)),
    originAt: ({ read }) => snapshotOrigin(read, Date.now()),
  };
}

type Shared = Pick<OracleReaderParts, 'unknownErrors' | 'firstConnection'>;

/** Kept over all attempts of a pipeline, which share its settings. */
const shared = new WeakMap<Settings, Shared>();

function sharedOf(settings: Settings): Shared {
  let parts = shared.get(settings);
  if (parts === undefined) {
    parts = { unknownErrors: new UnknownErrors(), firstConnection: new FirstConnection() };
    shared.set(settings, parts);
  }
  return parts;
}

/** As Debezium's `source.db`: the PDB, else the service without its domain. */
function oracleDatabase({ database, oracle }: SourceSettings): string {
  return oracle.pdb ?? (database.split('.')[0] ?? '').toUpperCase();
}

export function connectOracle({ source }: Settings): ConnectOracle {
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

/** For messages. */
export function oraclePlace({ database, hosts }: SourceSettings): string {
  return `${database} on ${hosts.map(({ host, port }) => `${host}:${port}`).join(', ')}`;
}

function oracleOptions({ name, source, emit, stateDir }: Settings): OracleReaderOptions {
  const { oracle } = source;
  const { queryTimeoutMs: _, maxWindow, sessionMaxMs, bufferBytes, ...options } = oracle;
  return {
    ...options,
    name,
    place: oraclePlace(source),
    user: source.user,
    tables: source.tables,
    onGap: source.onGap,
    transactionMetadata: emit.transactionMetadata,
    spillDirectory: stateDir,
    limits: { ...DEFAULT_LIMITS, windowMost: BigInt(maxWindow), sessionMs: sessionMaxMs, bufferBytes },
  };
}
