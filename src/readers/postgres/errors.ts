import type { Code } from '../../errors/catalogue.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { mappingBy } from '../mapping.ts';
import { PgConnectionError, PgError } from './wire/pg-error.ts';

/** Exact SQLSTATEs first, then classes (their first two characters). */
const CODES: ReadonlyMap<string, Code> = new Map<string, Code>([
  ['28000', 'source.auth-failed'],
  ['28P01', 'source.auth-failed'],
  ['3D000', 'source.database-missing'],
  ['42501', 'source.privilege-missing'],
  ['53300', 'source.too-many-connections'],
  ['53400', 'source.slots-exhausted'],
  ['55006', 'source.slot-in-use'],
  ['57P01', 'source.connection-lost'], // admin_shutdown
  ['57P02', 'source.connection-lost'], // crash_shutdown
  ['57P03', 'source.unreachable'], // cannot_connect_now: starting up
  ['57P05', 'source.connection-lost'], // idle_session_timeout
  ['40001', 'source.query-interrupted'],
  ['40P01', 'source.query-interrupted'],
  ['57014', 'source.query-interrupted'],
  ['55P03', 'source.query-interrupted'],
  ['25006', 'source.read-only'],
]);
const CLASSES: ReadonlyMap<string, Code> = new Map<string, Code>([
  ['08', 'source.connection-lost'],
  ['53', 'source.out-of-resources'],
  ['57', 'source.connection-lost'],
  ['58', 'source.out-of-resources'],
]);

/**
 * Anything thrown while talking to PostgreSQL, as a HeadwaterError. `what` says what was being done, as the
 * start of a sentence: 'Reading the catalogue'. The signal's own reason passes through.
 */
export function mapPgError(error: unknown, what: string): unknown {
  if (error instanceof PgError) {
    const code =
      CODES.get(error.sqlstate) ?? CLASSES.get(error.sqlstate.slice(0, 2)) ?? 'source.query-failed';
    return new HeadwaterError(code, `${what} failed: ${error.message} (SQLSTATE ${error.sqlstate}).`, {
      details: { sqlstate: error.sqlstate },
      cause: error,
    });
  }
  if (error instanceof PgConnectionError) {
    return new HeadwaterError(connectionCode(error), `${what} failed: ${error.message}.`, {
      details: { reason: error.kind },
      cause: error,
    });
  }
  return error;
}

function connectionCode(error: PgConnectionError): Code {
  switch (error.kind) {
    case 'unreachable':
    case 'timeout':
      return 'source.unreachable';
    case 'tls':
      return 'source.tls-failed';
    case 'read-only':
      return 'source.read-only';
    case 'lost':
    case 'protocol':
      return 'source.connection-lost';
  }
}

export const mapping = mappingBy(mapPgError);
