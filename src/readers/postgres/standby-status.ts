import type { CopyStream } from './wire/connection.ts';
import { EPOCH_2000_US } from './pgoutput/messages.ts';

/** At least this often, so that no confirmation waits long. */
const TICK_MS = 250;
const LONGEST_MS = 10_000;
/** Silence after which an answer is asked for, and after which the server is taken for gone. */
const ASK_MS = 10_000;
const GONE_MS = 60_000;

export interface StandbyStatusOptions {
  readonly stream: CopyStream;
  /** Highest position received so far. */
  received(): number;
  readonly confirmed: number;
  /** `wal_sender_timeout`; 0 is none. */
  readonly serverTimeoutMs: number;
  /** Called every tick. */
  readonly onTick: () => void;
  readonly onSilence: () => void;
}

/**
 * Standby status updates: what is confirmed is said soon, everything else early enough for the server's
 * patience, by a timer of its own, so that back-pressure never looks like death.
 */
export class StandbyStatus {
  readonly #options: StandbyStatusOptions;
  readonly #everyMs: number;
  readonly #timer: NodeJS.Timeout;
  #confirmed: number;
  #sent: number;
  #sentAt = 0;
  #askedAt = 0;

  constructor(options: StandbyStatusOptions) {
    this.#options = options;
    this.#confirmed = options.confirmed;
    this.#sent = options.confirmed;
    const { serverTimeoutMs } = options;
    this.#everyMs = Math.min(LONGEST_MS, serverTimeoutMs > 0 ? serverTimeoutMs / 4 : Infinity);
    this.#timer = setInterval(() => this.#tick(), Math.min(TICK_MS, this.#everyMs));
  }

  confirm(lsn: number): void {
    if (lsn > this.#confirmed) this.#confirmed = lsn;
  }

  /** Asks the server for a keepalive. */
  ask(): void {
    this.#askedAt = performance.now();
    this.send(true);
  }

  send(reply = false): void {
    const { stream } = this.#options;
    const message = Buffer.alloc(34);
    message[0] = 0x72;
    writeUint64(message, Math.max(this.#options.received(), this.#confirmed), 1);
    writeUint64(message, this.#confirmed, 9);
    writeUint64(message, this.#confirmed, 17);
    writeUint64(message, Math.max(0, Date.now() * 1000 - EPOCH_2000_US), 25);
    message[33] = reply ? 1 : 0;
    stream.send(message);
    this.#sent = this.#confirmed;
    this.#sentAt = performance.now();
  }

  /** Says the last word and stops. */
  stop(): void {
    clearInterval(this.#timer);
    if (this.#sent !== this.#confirmed) this.send();
  }

  #tick(): void {
    const now = performance.now();
    const { stream } = this.#options;
    if (this.#sent !== this.#confirmed || now - this.#sentAt >= this.#everyMs) this.send();
    if (!stream.paused) {
      const silent = now - Math.max(stream.lastReceivedAt, this.#resumedAt(now));
      if (silent >= GONE_MS) this.#options.onSilence();
      else if (silent >= ASK_MS && now - this.#askedAt >= ASK_MS) this.ask();
    }
    this.#options.onTick();
  }

  #lastTick = performance.now();
  #awakeSince = performance.now();

  /** A process that was suspended, or paused by back-pressure, gives the server its whole time again. */
  #resumedAt(now: number): number {
    if (now - this.#lastTick > 5_000) this.#awakeSince = now;
    this.#lastTick = now;
    return this.#awakeSince;
  }
}

function writeUint64(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
  buffer.writeUInt32BE(value % 0x1_0000_0000, at + 4);
}
