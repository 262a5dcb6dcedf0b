import type { OracleSession } from '../session/oracle-session.ts';
import type { OracleLimits } from '../settings.ts';
import { type DictionarySource, MiningSession } from './mining-session.ts';

/** The one LogMiner session that is in use, made when it is needed. */
export class MiningSessions implements AsyncDisposable {
  readonly #connect: () => Promise<OracleSession>;
  readonly #limits: OracleLimits;
  readonly #dictionary: DictionarySource;
  #session: OracleSession | null = null;
  #mining: MiningSession | null = null;
  #memoryAt = performance.now();

  constructor(connect: () => Promise<OracleSession>, limits: OracleLimits, dictionary: DictionarySource) {
    this.#connect = connect;
    this.#limits = limits;
    this.#dictionary = dictionary;
  }

  async get(): Promise<MiningSession> {
    this.#session ??= await this.#connect();
    this.#mining ??= new MiningSession(this.#session, this.#dictionary);
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
    const now = performance.now();
    if (mining.since > 0 && now - mining.since > this.#limits.sessionMs) await mining.end();
    if (now - this.#memoryAt < this.#limits.memoryCheckMs) return;
    this.#memoryAt = now;
    if ((await mining.memory()) <= this.#limits.sessionMemoryBytes) return;
    await this.reconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.reconnect();
  }
}
