import { type PooledSession, SessionPool } from '../session-pool.ts';
import { mapping } from './errors.ts';
import type { OracleSession } from './session/oracle-session.ts';

/** A session of a snapshot. One that failed is closed and not used again: its cursor may be open still. */
class PooledOracle implements PooledSession {
  readonly session: OracleSession;
  open = true;

  constructor(session: OracleSession) {
    this.session = session;
  }

  async close(): Promise<void> {
    this.open = false;
    await this.session[Symbol.asyncDispose]();
  }
}

/** For whoever releases it. One that cannot be opened is an error of its own, not of the table that is to be read. */
export function acquireSession(pool: OraclePool, signal: AbortSignal): Promise<PooledOracle> {
  return mapping('Opening a session of the snapshot', () => pool.acquire(signal));
}

export type OraclePool = SessionPool<PooledOracle>;

export function oraclePool(
  size: number,
  connect: (signal: AbortSignal) => Promise<OracleSession>,
): OraclePool {
  return new SessionPool(size, async (signal) => new PooledOracle(await connect(signal)));
}

/** Runs `body` with a session of its own; after a failure the session is not used again. */
export function useSession<T>(
  pool: OraclePool,
  signal: AbortSignal,
  body: (session: OracleSession) => Promise<T>,
): Promise<T> {
  return pool.use(signal, async (pooled) => {
    try {
      return await body(pooled.session);
    } catch (error) {
      await pooled.close();
      throw error;
    }
  });
}
