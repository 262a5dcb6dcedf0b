import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { OracleError } from './oracle-session.ts';

/** So long a listener may be without the service, since a database may be starting behind it. */
const PATIENCE_MS = 10 * 60_000;

/**
 * Whether the server was ever reached: a service, SID or host that is not known then is away, and before that may as
 * well be misspelt. It outlives a reader.
 */
export class FirstConnection {
  readonly #patienceMs: number;
  #reached = false;
  #since: number | null = null;

  constructor(patienceMs = PATIENCE_MS) {
    this.#patienceMs = patienceMs;
  }

  succeeded(): void {
    this.#reached = true;
  }

  /** The error to throw instead; null where another attempt may help. */
  judge(error: OracleError, place: string): HeadwaterError | null {
    // 12514, 12505: the listener knows neither service nor SID; 530: nobody knows the host.
    if (this.#reached || !(error.has(12_514, 12_505) || error.njs.some((n) => [518, 519, 530].includes(n)))) {
      return null;
    }
    const now = performance.now();
    this.#since ??= now;
    if (now - this.#since < this.#patienceMs) return null;
    return new HeadwaterError(
      'settings.invalid',
      `The service or host of source.url is not known there, and has not been since the start: ${place} (${error.message}).`,
      {
        fix: 'Check host, port and service of source.url; `lsnrctl services` lists those of the server.',
        cause: error,
      },
    );
  }
}
