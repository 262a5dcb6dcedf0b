import { type FileHandle, open, rm } from 'node:fs/promises';
import { HeadwaterError } from '../../../errors/headwater-error.ts';

const READ_BYTES = 256 * 1024;

/**
 * Records in a file, each its length (4 bytes, big-endian) and its UTF-8 text; appended, and read from the
 * beginning once. Scratch: nothing depends on it after a crash.
 */
export class SpillFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  #length = 0;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  static async create(path: string): Promise<SpillFile> {
    return onDisk(path, async () => new SpillFile(path, await open(path, 'w+', 0o600)));
  }

  async append(records: readonly string[]): Promise<void> {
    await onDisk(this.#path, async () => {
      let pieces: Buffer[] = [];
      let size = 0;
      for (const record of records) {
        const text = Buffer.from(record);
        const head = Buffer.allocUnsafe(4);
        head.writeUInt32BE(text.length);
        pieces.push(head, text);
        size += 4 + text.length;
        if (size < READ_BYTES) continue;
        await this.#write(pieces);
        pieces = [];
        size = 0;
      }
      await this.#write(pieces);
    });
  }

  async *records(): AsyncGenerator<string[]> {
    let rest = Buffer.alloc(0);
    for (let at = 0; at < this.#length;) {
      const wanted = Math.min(this.#length - at, Math.max(READ_BYTES, missing(rest)));
      const { bytesRead, buffer } = await onDisk(this.#path, () =>
        this.#handle.read(Buffer.allocUnsafe(wanted), 0, wanted, at),
      );
      if (bytesRead === 0)
        throw new HeadwaterError('internal.bug', `${this.#path} is shorter than was written.`);
      at += bytesRead;
      rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      const found: string[] = [];
      let begin = 0;
      while (rest.length - begin >= 4) {
        const end = begin + 4 + rest.readUInt32BE(begin);
        if (end > rest.length) break;
        found.push(rest.toString('utf8', begin + 4, end));
        begin = end;
      }
      rest = rest.subarray(begin);
      yield found;
    }
  }

  async remove(): Promise<void> {
    await this.#handle.close();
    await rm(this.#path, { force: true });
  }

  async #write(pieces: readonly Buffer[]): Promise<void> {
    const bytes = Buffer.concat(pieces);
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(bytes, at, bytes.length - at, this.#length);
      at += bytesWritten;
      this.#length += bytesWritten;
    }
  }
}

/** How many bytes of a begun record are still to come. */
function missing(rest: Buffer): number {
  return rest.length < 4 ? 0 : 4 + rest.readUInt32BE(0) - rest.length;
}

async function onDisk<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code; // nothing else fails here
    throw new HeadwaterError(
      'delivery.disk',
      `A transaction too large for memory cannot be kept in ${path} (${String(reason)}).`,
      { fix: 'Make room there, or set state.dir to a larger disk.', cause: error },
    );
  }
}
