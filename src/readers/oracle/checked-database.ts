import type { Finding } from '../reader.ts';
import type { Database } from './database.ts';
import type { ConnectOracle, OracleSession } from './session/oracle-session.ts';
import type { OracleReaderOptions } from './settings.ts';

/** What each check before the start is given; it adds to the findings. */
export interface CheckedDatabase {
  readonly session: OracleSession;
  readonly connect: ConnectOracle;
  readonly options: OracleReaderOptions;
  readonly database: Database;
  readonly user: string;
  readonly findings: Finding[];
  readonly signal: AbortSignal;
}
