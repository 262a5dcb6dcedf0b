import type { OracleSession } from '../session/oracle-session.ts';
import type { OracleLimits } from '../settings.ts';
import { type DictionarySource, MiningSession } from './mining-session.ts';

export interface MiningSessionsOptions {
  readonly connect: () => Promise<OracleSession>;
  readonly limits: OracleLimits;
  readonly dictionary: DictionarySource;
  /** A session that has grown old ends with its connection. */
  readonly reconnects: boolean;
}

/** The one LogMiner session that is in use, made when it is needed. */
export class MiningSessions implements AsyncDisposable {
  readonly #options: MiningSessionsOptions;
  #session: OracleSession | null = null;
  #mining: MiningSession | null = null;
  #memoryAt = performance.now();

  constructor(options: MiningSessionsOptions) {
    this.#options = options;
  }

  async get(): Promise<MiningSession> {
    const { connect, dictionary } = this.#options;
    this.#session ??= await connect();
    this.#mining ??= new MiningSession(this.#session, dictionary);
    return this.#mining;
  }

  /** After an error: the next window begins with a LogMiner session of its own. */
  async drop(): Promise<void> {
    await this.#mining?.end().catch(() => undefined); // a broken session has ended it
    this.#mining = null;
  }

  /** The files of a session that would not start; none where it cannot tell. */
  async files(): Promise<readonly string[]> {
    return (await this.#mining?.files().catch(() => [])) ?? [];
  }

  /** After an error that has to do with the server's memory: the connection's is given back too. */
  async reconnect(): Promise<void> {
    await this.drop();
    await this.#session?.[Symbol.asyncDispose]();
    this.#session = null;
  }

  /** LogMiner's memory at the server only grows: now and then its session ends, and if need be its connection. */
  async rotate(): Promise<void> {
    const mining = this.#mining;
    if (mining === null) return;
    const { limits, reconnects } = this.#options;
    const now = performance.now();
    if (mining.since > 0 && now - mining.since > limits.sessionMs) {
      if (reconnects) {
        await this.reconnect();
        return;
      }
      await mining.end();
    }
    if (now - this.#memoryAt < limits.memoryCheckMs) return;
    this.#memoryAt = now;
    if ((await mining.memory()) <= limits.sessionMemoryBytes) return;
    await this.reconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reconnect();
  }
}
