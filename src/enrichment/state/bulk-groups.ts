/** Where the groups of aggregates are as the sink's durable state has them: in memory, or in a file beside it. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'lmdb';
import type { BulkState } from '../../emitter/sink.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { makeDirectory } from '../../state/make-directory.ts';

const AGGREGATE_GROUP_PREFIX = 'enrich-group/';

/** Opened, it holds nothing: every run is told all of it by its sink. */
export interface BulkGroups extends BulkState, AsyncDisposable {
  /** Whether groups are to be read from here, since they are too many to be kept as objects. */
  readonly onDisk: boolean;
  /** Of each table that has groups the beginning of their keys, and how many there are. */
  readonly tables: ReadonlyMap<string, number>;
}

/** What the keys of a table's groups begin with. `name`: as keys have it, without a slash. */
export function groupPrefix(name: string): string {
  return `${AGGREGATE_GROUP_PREFIX}${name}/`;
}

/** How many groups each table has. */
class TableCounts {
  readonly counts = new Map<string, number>();

  get size(): number {
    let size = 0;
    for (const count of this.counts.values()) size += count;
    return size;
  }

  clear(): void {
    this.counts.clear();
  }

  add(key: string, difference: 1 | -1): void {
    const table = key.slice(0, key.indexOf('/', AGGREGATE_GROUP_PREFIX.length) + 1);
    const count = (this.counts.get(table) ?? 0) + difference;
    if (count === 0) this.counts.delete(table);
    else this.counts.set(table, count);
  }
}

export class MemoryGroupTexts implements BulkGroups {
  readonly prefix = AGGREGATE_GROUP_PREFIX;
  readonly onDisk = false;
  readonly #texts = new Map<string, string>();
  readonly #count = new TableCounts();

  get size(): number {
    return this.#texts.size;
  }

  get tables(): ReadonlyMap<string, number> {
    return this.#count.counts;
  }

  clear(): void {
    this.#texts.clear();
    this.#count.clear();
  }

  get(key: string): string | undefined {
    return this.#texts.get(key);
  }

  set(key: string, value: string | null): void {
    if (value === null) {
      if (this.#texts.delete(key)) this.#count.add(key, -1);
      return;
    }
    if (!this.#texts.has(key)) this.#count.add(key, 1);
    this.#texts.set(key, value);
  }

  *entries(prefix: string): Generator<readonly [string, string]> {
    for (const entry of this.#texts) if (entry[0].startsWith(prefix)) yield entry;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

type Lmdb = typeof import('lmdb');

/** LMDB's keys end at 1,978 bytes: of longer ones so many are there, and a hash of the whole, which stands with the value. */
const LONGEST_KEY = 1_900;
const HASH_BYTES = 32;
/** Entries that wait in memory to be written together. */
const MOST_STAGED = 5_000;
/** Entries that are looked at in one go. */
const PAGE = 1_000;

/**
 * In an LMDB environment that is thrown away at every start and never flushed to the disk: what it holds is in the sink.
 * Keys are in the order of their bytes, so that those of one beginning lie together.
 */
export class DiskGroupTexts implements BulkGroups {
  readonly prefix = AGGREGATE_GROUP_PREFIX;
  readonly onDisk = true;
  readonly #open: Lmdb['open'];
  readonly #path: string;
  #texts: Database<string, Buffer> | null = null;
  /** Null: it is gone. */
  #staged = new Map<string, string | null>();
  readonly #count = new TableCounts();

  private constructor(open: Lmdb['open'], path: string) {
    this.#open = open;
    this.#path = path;
  }

  /** Touches nothing until it is cleared: another instance on this machine may be at work on it. */
  static async in(dir: string, name: string): Promise<DiskGroupTexts> {
    const { open } = await import('lmdb');
    return new DiskGroupTexts(open, join(dir, `${name}.groups.lmdb`));
  }

  get size(): number {
    return this.#count.size;
  }

  get tables(): ReadonlyMap<string, number> {
    return this.#count.counts;
  }

  clear(): void {
    this.#staged.clear();
    this.#count.clear();
    this.#trying(() => {
      if (this.#texts !== null) {
        this.#texts.clearSync();
        return;
      }
      rmSync(this.#path, { recursive: true, force: true });
      makeDirectory(this.#path);
      this.#texts = this.#open<string, Buffer>({
        path: this.#path,
        encoding: 'string',
        keyEncoding: 'binary',
        noSubdir: false,
        overlappingSync: false,
        noSync: true,
      });
    });
  }

  get(key: string): string | undefined {
    const staged = this.#staged.get(key);
    if (staged !== undefined) return staged ?? undefined;
    const name = nameOf(key);
    const text = this.#texts?.get(name);
    return text === undefined ? undefined : entryOf(name, text)[1];
  }

  set(key: string, value: string | null): void {
    const was = this.#has(key);
    if (was !== (value !== null)) this.#count.add(key, was ? -1 : 1);
    this.#staged.set(key, value);
    if (this.#staged.size >= MOST_STAGED) this.#write();
  }

  *entries(prefix: string): Generator<readonly [string, string]> {
    this.#write();
    const first = Buffer.from(prefix).subarray(0, LONGEST_KEY);
    let start = first;
    for (let more = true; more;) {
      // Nothing is held open while whoever asked looks at them.
      const page = [...(this.#texts?.getRange({ start, limit: PAGE }) ?? [])];
      more = page.length === PAGE;
      for (const { key: name, value } of page) {
        const end = Math.min(first.length, name.length);
        if (name.compare(first, 0, first.length, 0, end) !== 0) return;
        const entry = entryOf(name, value);
        if (entry[0].startsWith(prefix)) yield entry;
      }
      if (more) start = Buffer.concat([page.at(-1)!.key, Buffer.of(0)]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#texts?.close();
  }

  #has(key: string): boolean {
    const staged = this.#staged.get(key);
    return staged === undefined ? (this.#texts?.doesExist(nameOf(key)) ?? false) : staged !== null;
  }

  #write(): void {
    const texts = this.#texts;
    if (texts === null || this.#staged.size === 0) return;
    this.#trying(() =>
      texts.transactionSync(() => {
        for (const [key, value] of this.#staged) {
          const name = nameOf(key);
          if (value === null) texts.removeSync(name);
          else texts.putSync(name, isHashed(name) ? JSON.stringify([key, value]) : value);
        }
      }),
    );
    this.#staged.clear();
  }

  #trying(action: () => void): void {
    try {
      action();
    } catch (cause) {
      throw new HeadwaterError('delivery.disk', `The groups in ${this.#path} cannot be written.`, { cause });
    }
  }
}

function nameOf(key: string): Buffer {
  const name = Buffer.from(key);
  if (name.length <= LONGEST_KEY) return name;
  return Buffer.concat([name.subarray(0, LONGEST_KEY), createHash('sha256').update(name).digest()]);
}

function isHashed(name: Buffer): boolean {
  return name.length === LONGEST_KEY + HASH_BYTES;
}

function entryOf(name: Buffer, text: string): readonly [string, string] {
  return isHashed(name) ? (JSON.parse(text) as readonly [string, string]) : [name.toString(), text];
}
