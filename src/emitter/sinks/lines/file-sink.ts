import { type FileHandle, open, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Log } from '../../../observability/log.ts';
import type { RestoreOptions, Sink, SinkRecord, SinkStats, TopicHandle } from '../../sink.ts';
import { type FileCheckpoint, fileCheckpointPath, syncDirectory } from './checkpoint-file.ts';
import { diskError } from './disk-error.ts';
import { type LockFile, takeLock } from './lock-file.ts';
import { PendingLines } from './pending-lines.ts';
import { StateFile } from './state-file.ts';
import { makeDirectory } from '../../../state/make-directory.ts';

export interface FileSinkOptions {
  /** The pipeline's name. */
  readonly name: string;
  /** Directory of the segments, the checkpoint and the lock; created where it is missing. */
  readonly dir: string;
  /** A new segment begins after the commit that reaches this size (default 128 MiB). */
  readonly rotateBytes?: number | undefined;
  /** A new segment begins after the first commit later than this since the segment began (default never). */
  readonly rotateMs?: number | undefined;
}

const DEFAULT_ROTATE_BYTES = 128 * 1024 * 1024;
const WRITE_BYTES = 1024 * 1024;
const MAX_PENDING_BYTES = 8 * 1024 * 1024;
const SEGMENT = /^records-(\d{8,})\.jsonl$/;

/**
 * Lines of JSON in `records-00000001.jsonl`, `records-00000002.jsonl` … and `checkpoint.json`, which says how
 * many bytes of the last one count. What stands behind that is cut off at the next start, so that a reader who
 * heeds the checkpoint sees each record once. Throws `state.locked`, `delivery.disk`.
 */
export async function openFileSink(options: FileSinkOptions, log: Log): Promise<Sink> {
  let made = false;
  try {
    made = makeDirectory(options.dir);
    const lock = await takeLock(join(options.dir, 'lock'), `Directory ${options.dir}`);
    return new FileSink(options, { lock, made }, log);
  } catch (error) {
    if (made) await rmdir(options.dir).catch(() => {});
    throw diskError(error, 'Directory', options.dir);
  }
}

class FileSink implements Sink {
  readonly json = 'text';
  readonly #options: FileSinkOptions;
  readonly #lines = new PendingLines({ writeBytes: WRITE_BYTES, maxPendingBytes: MAX_PENDING_BYTES });
  readonly #lock: LockFile;
  /** The directory was made for this sink, and nothing in it counts yet. */
  #unused: boolean;
  readonly #log: Log;
  #state: StateFile | null = null;
  #file: FileHandle | null = null;
  /** Of the file. */
  #fileSegment = 1;
  /** Of the lines appended last; the file may be one behind. */
  #segment = 1;
  #segmentBytes = 0;
  #segmentSince = performance.now();
  #tail: Promise<void> = Promise.resolve();

  constructor(
    options: FileSinkOptions,
    { lock, made }: { readonly lock: LockFile; readonly made: boolean },
    log: Log,
  ) {
    this.#options = options;
    this.#lock = lock;
    this.#unused = made;
    this.#log = log;
  }

  get failed(): Promise<never> {
    return this.#lines.failure.promise;
  }

  async restore({ bulk }: Pick<RestoreOptions, 'bulk'>): Promise<ReadonlyMap<string, string>> {
    const { dir, name } = this.#options;
    try {
      const { file, checkpoint } = await StateFile.open(fileCheckpointPath(dir), name, bulk);
      this.#state = file;
      await this.#cutBack(checkpoint);
      this.#segment = checkpoint?.segment ?? 1;
      this.#fileSegment = this.#segment;
      this.#segmentBytes = checkpoint?.length ?? 0;
      return file.entries();
    } catch (error) {
      throw diskError(error, 'Directory', dir);
    }
  }

  async #cutBack(checkpoint: FileCheckpoint | null): Promise<void> {
    const { dir } = this.#options;
    const durable = checkpoint?.segment ?? 0;
    for (const entry of await readdir(dir)) {
      const found = SEGMENT.exec(entry);
      if (found === null || Number(found[1]) <= durable) continue;
      await rm(join(dir, entry));
      this.#log.info({ file: entry }, 'removed a segment that was never committed');
    }
    if (checkpoint === null) return;
    const path = this.#path(durable);
    let file: FileHandle;
    try {
      file = await open(path, 'r+');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      if (checkpoint.length === 0) return;
      throw lostData(path, checkpoint.length, 0);
    }
    try {
      const { size } = await file.stat();
      if (size < checkpoint.length) throw lostData(path, checkpoint.length, size);
      if (size === checkpoint.length) return;
      await file.truncate(checkpoint.length);
      await file.sync();
      this.#log.info(
        { file: path, bytes: size - checkpoint.length },
        'cut off lines that were never committed',
      );
    } finally {
      await file.close();
    }
  }

  async topic(name: string): Promise<TopicHandle> {
    return this.#lines.topic(name);
  }

  append(topic: TopicHandle, record: SinkRecord): void {
    if (this.#lines.add(topic, record)) this.#write();
  }

  /** Hands the lines so far to the file; they are durable only with a commit. */
  #write(): void {
    const data = this.#lines.take();
    if (data === null) return;
    this.#segmentBytes += data.length;
    this.#enqueue(async () => {
      const file = await this.#open();
      await file.appendFile(data);
      this.#lines.written(data.length);
    }).catch(() => {});
  }

  ready(): Promise<void> | undefined {
    return this.#lines.ready();
  }

  commit(state: ReadonlyMap<string, string | null>): Promise<void> {
    const { error } = this.#lines.failure;
    if (error !== null) return Promise.reject(error);
    this.#write();
    const kept = this.#state;
    if (kept === null) return Promise.reject(new HeadwaterError('internal.bug', 'commit before restore'));
    const place = { segment: this.#segment, length: this.#segmentBytes };
    const done = this.#enqueue(async () => {
      const file = await this.#open();
      await file.datasync();
      await kept.write(place, state);
      this.#lines.committed();
      this.#unused = false;
    });
    this.#rotate();
    return done;
  }

  #rotate(): void {
    const { rotateBytes = DEFAULT_ROTATE_BYTES, rotateMs = Infinity } = this.#options;
    const now = performance.now();
    const full = this.#segmentBytes >= rotateBytes || now - this.#segmentSince >= rotateMs;
    if (this.#segmentBytes === 0 || !full) return;
    this.#segment++;
    this.#segmentBytes = 0;
    this.#segmentSince = now;
    void this.#enqueue(async () => {
      await this.#file?.close();
      this.#file = null;
      this.#fileSegment++;
    }).catch(() => {});
  }

  /** Made as late as it is written to, so that a start that is refused leaves none behind. */
  async #open(): Promise<FileHandle> {
    if (this.#file === null) {
      this.#file = await open(this.#path(this.#fileSegment), 'a');
      await syncDirectory(this.#options.dir);
    }
    return this.#file;
  }

  /** One thing after the other; the first failure ends it all. */
  #enqueue(action: () => Promise<void>): Promise<void> {
    const next = this.#tail.then(async () => {
      const before = this.#lines.failure.error;
      if (before !== null) throw before;
      try {
        await action();
      } catch (error) {
        const known = diskError(error, 'Directory', this.#options.dir);
        this.#lines.fail(known);
        throw known;
      }
    });
    this.#tail = next.catch(() => {});
    return next;
  }

  #path(segment: number): string {
    return join(this.#options.dir, `records-${String(segment).padStart(8, '0')}.jsonl`);
  }

  stats(): SinkStats {
    return this.#lines.stats();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail;
    this.#lines.close();
    await this.#file?.close().catch(() => {});
    await this.#state?.close().catch(() => {});
    const { dir } = this.#options;
    if (this.#unused) await rm(this.#path(this.#fileSegment), { force: true }).catch(() => {});
    await this.#lock[Symbol.asyncDispose]();
    if (this.#unused) await rmdir(dir).catch(() => {});
  }
}

function lostData(path: string, expected: number, found: number): HeadwaterError {
  return new HeadwaterError(
    'delivery.state-invalid',
    `${path} has ${found} bytes, but ${expected} were committed: records have been removed.`,
    {
      details: { path, expected, found },
      fix: 'Restore the file, or move the whole directory away to begin anew.',
    },
  );
}
