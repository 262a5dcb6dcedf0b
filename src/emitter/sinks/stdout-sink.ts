import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { asHeadwaterError, HeadwaterError } from '../../errors/headwater-error.ts';
import type { Log } from '../../observability/log.ts';
import type { Sink, SinkRecord, SinkStats, TopicHandle } from '../sink.ts';
import { stdoutCheckpointPath } from './checkpoint-file.ts';
import { jsonLine } from './json-lines.ts';
import { type LockFile, takeLock } from './lock-file.ts';
import { StateFile } from './state-file.ts';
import { makeDirectory } from '../../state/make-directory.ts';

export interface StdoutSinkOptions {
  /** The pipeline's name. */
  readonly name: string;
  /** Where `<name>.checkpoint.json` and `<name>.lock` are kept. */
  readonly stateDir: string;
  /** Default: the process's standard output. */
  readonly out?: Writable | undefined;
}

const WRITE_BYTES = 64 * 1024;
const MAX_PENDING_BYTES = 4 * 1024 * 1024;

/**
 * Lines of JSON on standard output. At least once: the checkpoint is written when the lines have been handed
 * to the operating system, and what a reader does with them is not known. Throws `state.locked`,
 * `delivery.disk`; `failed` rejects with `delivery.closed` when the reader goes away.
 */
export async function openStdoutSink(options: StdoutSinkOptions, _log: Log): Promise<Sink> {
  try {
    makeDirectory(options.stateDir);
    const lock = await takeLock(
      join(options.stateDir, `${options.name}.lock`),
      `The state of pipeline ${options.name}`,
    );
    return new StdoutSink(options, lock);
  } catch (error) {
    throw stateError(error, options.stateDir);
  }
}

interface StdoutTopic extends TopicHandle {
  readonly json: string;
}

class StdoutSink implements Sink {
  readonly failed: Promise<never>;
  readonly #out: Writable;
  readonly #options: StdoutSinkOptions;
  readonly #lock: LockFile;
  #state: StateFile | null = null;
  readonly #onError: (error: NodeJS.ErrnoException) => void;
  #lines: string[] = [];
  #linesLength = 0;
  #pendingBytes = 0;
  #written: Promise<void> = Promise.resolve();
  #tail: Promise<void> = Promise.resolve();
  #waiters: (() => void)[] = [];
  #fail: (error: unknown) => void = () => {};
  #error: HeadwaterError | null = null;
  #records = 0;
  #bytes = 0;
  #commits = 0;

  constructor(options: StdoutSinkOptions, lock: LockFile) {
    this.#options = options;
    this.#lock = lock;
    this.#out = options.out ?? process.stdout;
    this.failed = new Promise((_, reject) => {
      this.#fail = (error) => {
        this.#error ??= asHeadwaterError(error);
        reject(this.#error);
        this.#wake();
      };
    });
    this.failed.catch(() => {});
    this.#onError = (error) => this.#fail(outputError(error));
    this.#out.on('error', this.#onError);
  }

  async restore(): Promise<ReadonlyMap<string, string>> {
    const { name, stateDir } = this.#options;
    const { file } = await StateFile.open(stdoutCheckpointPath(stateDir, name), name);
    this.#state = file;
    return file.entries();
  }

  async topic(name: string): Promise<TopicHandle> {
    const topic: StdoutTopic = { name, json: JSON.stringify(name) };
    return topic;
  }

  append(topic: TopicHandle, record: SinkRecord): void {
    const line = jsonLine((topic as StdoutTopic).json, record);
    this.#lines.push(line);
    this.#linesLength += line.length;
    this.#records++;
    if (this.#linesLength >= WRITE_BYTES) this.#write();
  }

  #write(): void {
    if (this.#lines.length === 0) return;
    const data = Buffer.from(this.#lines.join(''));
    this.#lines = [];
    this.#linesLength = 0;
    this.#pendingBytes += data.length;
    this.#bytes += data.length;
    const written = new Promise<void>((resolve, reject) => {
      this.#out.write(data, (error) => {
        this.#pendingBytes -= data.length;
        if (this.#pendingBytes < MAX_PENDING_BYTES) this.#wake();
        if (error == null) return resolve();
        const known = outputError(error);
        this.#fail(known);
        reject(known);
      });
    });
    written.catch(() => {});
    // Writes complete in order, so the last one stands for all.
    this.#written = written;
  }

  ready(): Promise<void> | undefined {
    if (this.#pendingBytes < MAX_PENDING_BYTES || this.#error !== null) return undefined;
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  commit(state: ReadonlyMap<string, string | null>): Promise<void> {
    if (this.#error !== null) return Promise.reject(this.#error);
    this.#write();
    const kept = this.#state;
    if (kept === null) return Promise.reject(new HeadwaterError('internal.bug', 'commit before restore'));
    const written = this.#written;
    const done = this.#tail.then(async () => {
      try {
        await written;
        if (this.#error !== null) throw this.#error;
        await kept.write({ segment: 0, length: 0 }, state);
        this.#commits++;
      } catch (error) {
        const known = stateError(error, this.#options.stateDir);
        this.#fail(known);
        throw known;
      }
    });
    this.#tail = done.catch(() => {});
    return done;
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  stats(): SinkStats {
    return {
      records: this.#records,
      bytes: this.#bytes,
      commits: this.#commits,
      pendingBytes: this.#pendingBytes + this.#linesLength,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail;
    this.#error ??= new HeadwaterError('internal.bug', 'the sink is closed');
    this.#wake();
    // After an EPIPE, what is still buffered fails too, later.
    if (!(this.#error.code === 'delivery.closed')) this.#out.off('error', this.#onError);
    await this.#state?.close().catch(() => {});
    await this.#lock[Symbol.asyncDispose]();
  }
}

function outputError(error: NodeJS.ErrnoException): HeadwaterError {
  const gone =
    error.code === 'EPIPE' ||
    error.code === 'ERR_STREAM_DESTROYED' ||
    error.code === 'ERR_STREAM_WRITE_AFTER_END';
  return gone
    ? new HeadwaterError('delivery.closed', 'The program that reads standard output has closed it.', {
        cause: error,
      })
    : new HeadwaterError('delivery.disk', `Standard output cannot be written: ${error.message}.`, {
        cause: error,
      });
}

function stateError(error: unknown, dir: string): unknown {
  if (error instanceof HeadwaterError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  return new HeadwaterError('delivery.disk', `State directory ${dir} cannot be used: ${message}.`, {
    details: { dir, errno: code },
    cause: error,
  });
}
