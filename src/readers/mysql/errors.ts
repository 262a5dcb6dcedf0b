import type { Code } from '../../errors/catalogue.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { mappingBy } from '../mapping.ts';
import { MysqlConnectionError, MysqlError } from './wire/mysql-error.ts';

/** ER_MASTER_FATAL_ERROR_READING_BINLOG: a dump that cannot begin or go on, for one of many reasons. */
export const FATAL_READING_BINLOG = 1236;

/** By the server's error numbers, which MySQL and MariaDB share below 1900. */
const CODES: ReadonlyMap<number, Code> = new Map<number, Code>([
  [1021, 'source.out-of-resources'], // disk full
  [1037, 'source.out-of-resources'],
  [1038, 'source.out-of-resources'],
  [1041, 'source.out-of-resources'],
  [1040, 'source.too-many-connections'],
  [1203, 'source.too-many-connections'],
  [1226, 'source.too-many-connections'], // a limit of the user's
  [1045, 'source.auth-failed'],
  [1130, 'source.auth-failed'], // this host may not connect
  [1251, 'source.auth-failed'],
  [1698, 'source.auth-failed'],
  [1862, 'source.auth-failed'], // expired
  [3118, 'source.auth-failed'], // locked
  [3955, 'source.auth-failed'],
  [4151, 'source.auth-failed'],
  [1044, 'source.privilege-missing'],
  [1142, 'source.privilege-missing'],
  [1143, 'source.privilege-missing'],
  [1227, 'source.privilege-missing'],
  [1370, 'source.privilege-missing'],
  [1049, 'source.database-missing'],
  [1053, 'source.connection-lost'], // shutdown
  [1079, 'source.connection-lost'],
  [1129, 'source.unreachable'], // blocked after many broken connections
  [1158, 'source.connection-lost'],
  [1159, 'source.connection-lost'],
  [1160, 'source.connection-lost'],
  [1161, 'source.connection-lost'],
  [1184, 'source.connection-lost'],
  [1927, 'source.connection-lost'], // MariaDB: killed
  [4031, 'source.connection-lost'], // idle for too long
  [1205, 'source.query-interrupted'],
  [1213, 'source.query-interrupted'],
  [1317, 'source.query-interrupted'],
  [1969, 'source.query-interrupted'], // MariaDB: max_statement_time
  [3024, 'source.query-interrupted'],
  [3159, 'source.tls-failed'], // require_secure_transport
  [4052, 'source.server-id-clash'], // MariaDB
  [FATAL_READING_BINLOG, 'source.connection-lost'],
]);

/** What the advice of the catalogue, written for PostgreSQL, does not say. */
const FIXES: Partial<Record<Code, string>> = {
  'source.auth-failed':
    'Check user and password in source.url, and that the account exists for the host Headwater connects from.',
  'source.too-many-connections':
    'Raise max_connections or the user’s limits; Headwater needs two, and some for a snapshot.',
  'source.connection-lost':
    'Nothing is lost; Headwater reconnects. If it recurs look at the server’s error log.',
};

/**
 * Anything thrown while talking to MySQL, as a HeadwaterError. `what` says what was being done, as the start of a
 * sentence: 'Reading the catalogue'. The signal's own reason passes through.
 */
export function mapMysqlError(error: unknown, what: string): unknown {
  if (error instanceof MysqlError) {
    const code = CODES.get(error.errno) ?? 'source.query-failed';
    return new HeadwaterError(code, `${what} failed: ${error.message} (error ${error.errno}).`, {
      details: { errno: String(error.errno) },
      cause: error,
      ...fixOf(code),
    });
  }
  if (error instanceof MysqlConnectionError) {
    const code = connectionCode(error);
    return new HeadwaterError(code, `${what} failed: ${error.message}.`, {
      details: { reason: error.kind },
      cause: error,
      ...fixOf(code),
    });
  }
  return error;
}

function fixOf(code: Code): { readonly fix?: string } {
  const fix = FIXES[code];
  return fix === undefined ? {} : { fix };
}

function connectionCode(error: MysqlConnectionError): Code {
  switch (error.kind) {
    case 'unreachable':
    case 'timeout':
      return 'source.unreachable';
    case 'tls':
      return 'source.tls-failed';
    case 'auth':
      return 'source.auth-failed';
    case 'lost':
    case 'protocol':
      return 'source.connection-lost';
  }
}

export const mapping = mappingBy(mapMysqlError);
