import { execFile } from 'node:child_process';
import { readinessOf } from '../http/health.ts';
import type { Log } from '../observability/log.ts';
import type { PipelineStatus } from '../observability/status.ts';

/** A beat carries WATCHDOG=1 and whatever else is to be said. */
const BEAT_MS = 20_000;
const LOOK_MS = 1_000;
const SEND_TIMEOUT_MS = 10_000;

export interface ServiceManagerOptions {
  readonly status: () => readonly PipelineStatus[];
  readonly log: Log;
}

/**
 * Tells systemd how the process is, as a unit of `Type=notify` expects it (sd_notify(3)): READY=1 as soon as `/readyz`
 * says so, STATUS, WATCHDOG=1 as long as the event loop turns, and STOPPING=1. While it starts or stops it asks for
 * more time with every beat: a database that is away makes no start time out, an event loop that hangs does.
 */
export interface ServiceManager extends AsyncDisposable {
  stopping(): void;
}

/** Null where no service manager has asked to be told. */
export function reportToServiceManager(
  options: ServiceManagerOptions,
  env: NodeJS.ProcessEnv,
): ServiceManager | null {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watched } = env;
  if (socket === undefined || socket === '') return null;
  const isWatched = watchdog !== undefined && (watched === undefined || Number(watched) === process.pid);
  // A third: one message may be lost, and another late.
  const beatMs = isWatched ? Math.min(BEAT_MS, Number(watchdog) / 3_000) : BEAT_MS;
  return new Notices(options, { socket, path: env.PATH ?? '', beatMs, isWatched });
}

interface Manager {
  readonly socket: string;
  readonly path: string;
  readonly beatMs: number;
  readonly isWatched: boolean;
}

class Notices implements ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #manager: Manager;
  readonly #timer: NodeJS.Timeout;
  #announced = false;
  #stopping = false;
  /** What the manager shows at the moment. */
  #shown = '';
  #lastBeat = -Infinity;
  #sending: Promise<void> | null = null;
  #unheard = false;

  constructor(options: ServiceManagerOptions, manager: Manager) {
    this.#options = options;
    this.#manager = manager;
    this.#timer = setInterval(() => this.#look(), Math.min(LOOK_MS, manager.beatMs / 2)).unref();
  }

  stopping(): void {
    this.#stopping = true;
    this.#look();
  }

  /** Resolves when no message is on its way, and the manager knows that the process stops. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
    // A message that was on its way has kept it from being said.
    if (this.#stopping) this.#look();
    await this.#sending;
  }

  /** Says what is new. While a message is on its way nothing is said: the next look finds it still new. */
  #look(): void {
    if (this.#sending !== null) return;
    const { ready, reasons } = readinessOf(this.#options.status());
    const announces = ready && !this.#announced && !this.#stopping;
    const shown = this.#stopping ? 'stopping: what has been read is delivered first' : statusOf(reasons);
    const now = performance.now();
    const beats = now - this.#lastBeat >= this.#manager.beatMs;
    if (!announces && !beats && shown === this.#shown) return;
    const { beatMs, isWatched } = this.#manager;
    const lines = [`STATUS=${shown}`];
    if (announces) lines.push('READY=1');
    if (this.#stopping) lines.push('STOPPING=1');
    else if (isWatched) lines.push('WATCHDOG=1');
    if (this.#stopping || !(this.#announced || ready)) {
      lines.push(`EXTEND_TIMEOUT_USEC=${Math.round((3 * beatMs + SEND_TIMEOUT_MS) * 1_000)}`);
    }
    this.#sending = this.#send(lines).then((sent) => {
      this.#sending = null;
      if (!sent) return;
      this.#announced ||= announces;
      this.#shown = shown;
      this.#lastBeat = now;
    });
  }

  /**
   * The protocol is a datagram of the Unix family, of which Node has no sockets: systemd's own program sends it, a
   * few times a minute. It gets nothing of our environment, where secrets may be.
   */
  #send(lines: readonly string[]): Promise<boolean> {
    const { socket, path } = this.#manager;
    const options = { env: { NOTIFY_SOCKET: socket, PATH: path }, timeout: SEND_TIMEOUT_MS };
    return new Promise((resolve) => {
      execFile('systemd-notify', lines, options, (error) => {
        if (error !== null && !this.#unheard) {
          this.#options.log.warn(
            { reason: String(error.code ?? error.signal) },
            'systemd-notify cannot tell systemd how the service is: systemd will end it, unless its unit has Type=exec and no WatchdogSec',
          );
        }
        this.#unheard = error !== null;
        resolve(error === null);
      });
    });
  }
}

function statusOf(reasons: readonly string[]): string {
  return reasons.length === 0 ? 'ready' : reasons.join('; ').replaceAll(/\s+/g, ' ');
}
