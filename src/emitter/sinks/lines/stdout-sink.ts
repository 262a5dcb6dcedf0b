import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Log } from '../../../observability/log.ts';
import type { RestoreOptions, Sink, SinkRecord, SinkStats, TopicHandle } from '../../sink.ts';
import { stdoutCheckpointPath } from './checkpoint-file.ts';
import { diskError } from './disk-error.ts';
import { type LockFile, takeLock } from './lock-file.ts';
import { PendingLines } from './pending-lines.ts';
import { StateFile } from './state-file.ts';
import { makeDirectory } from '../../../state/make-directory.ts';

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
    throw diskError(error, 'State directory', options.stateDir);
  }
}

class StdoutSink implements Sink {
  readonly json = 'text';
  readonly #out: Writable;
  readonly #options: StdoutSinkOptions;
  readonly #lines = new PendingLines({ writeBytes: WRITE_BYTES, maxPendingBytes: MAX_PENDING_BYTES });
  readonly #lock: LockFile;
  #state: StateFile | null = null;
  readonly #onError: (error: NodeJS.ErrnoException) => void;
  #written: Promise<void> = Promise.resolve();
  #tail: Promise<void> = Promise.resolve();

  constructor(options: StdoutSinkOptions, lock: LockFile) {
    this.#options = options;
    this.#lock = lock;
    this.#out = options.out ?? process.stdout;
    this.#onError = (error) => this.#lines.fail(outputError(error));
    this.#out.on('error', this.#onError);
  }

  get failed(): Promise<never> {
    return this.#lines.failure.promise;
  }

  async restore({ bulk }: Pick<RestoreOptions, 'bulk'>): Promise<ReadonlyMap<string, string>> {
    const { name, stateDir } = this.#options;
    const { file } = await StateFile.open(stdoutCheckpointPath(stateDir, name), name, bulk);
    this.#state = file;
    return file.entries();
  }

  async topic(name: string): Promise<TopicHandle> {
    return this.#lines.topic(name);
  }

  append(topic: TopicHandle, record: SinkRecord): void {
    if (this.#lines.add(topic, record)) this.#write();
  }

  #write(): void {
    const data = this.#lines.take();
    if (data === null) return;
    const written = new Promise<void>((resolve, reject) => {
      this.#out.write(data, (error) => {
        this.#lines.written(data.length);
        if (error == null) return resolve();
        const known = outputError(error);
        this.#lines.fail(known);
        reject(known);
      });
    });
    written.catch(() => {});
    // Writes complete in order, so the last one stands for all.
    this.#written = written;
  }

  ready(): Promise<void> | undefined {
    return this.#lines.ready();
  }

  commit(state: ReadonlyMap<string, string | null>): Promise<void> {
    const { failure } = this.#lines;
    if (failure.error !== null) return Promise.reject(failure.error);
    this.#write();
    const kept = this.#state;
    if (kept === null) return Promise.reject(new HeadwaterError('internal.bug', 'commit before restore'));
    const written = this.#written;
    const done = this.#tail.then(async () => {
      try {
        await written;
        if (failure.error !== null) throw failure.error;
        await kept.write({ segment: 0, length: 0 }, state);
        this.#lines.committed();
      } catch (error) {
        const known = diskError(error, 'State directory', this.#options.stateDir);
        this.#lines.fail(known);
        throw known;
      }
    });
    this.#tail = done.catch(() => {});
    return done;
  }

  stats(): SinkStats {
    return this.#lines.stats();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail;
    this.#lines.close();
    // After an EPIPE, what is still buffered fails too, later.
    if (this.#lines.failure.error?.code !== 'delivery.closed') this.#out.off('error', this.#onError);
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
