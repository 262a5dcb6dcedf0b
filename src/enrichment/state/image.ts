/**
 * The replicas on disk: what was put and deleted since the file was begun, one frame (frame-file.ts) for each batch
 * of the log that changed them. The checkpoint names the file and the number of frames that belong to it, in the
 * same transaction as the records: so a replica is restored at exactly the checkpoint, and what stands behind it in
 * the file is cut off. A file that is missing or damaged is no loss: the tables are read again.
 *
 * Where the rows are durable elsewhere (state/disk-tables.ts), the file has only what that may be behind, and a new
 * one goes on where the one before it ends.
 *
 * The first frame is the list of the replicas' shapes, or `{"shapes": […], "base": {"image", "frames"}}` where the
 * rows before the file's are those of that mark; every other one has one operation a line:
 *
 * | line | meaning |
 * | --- | --- |
 * | `[replica, key, row]` | put |
 * | `[replica, key]` | delete |
 * | `[replica]` | the table is empty from here on |
 * | `{"ready": replica, "asOf": position}` | the table is complete; `asOf`: as a later position showed it, or null |
 * | `{"caughtUp": replica}` | the log has passed that position |
 */
import { closeSync, ftruncateSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { JsonValue } from '../../model/position.ts';
import { tableName } from '../../model/table.ts';
import { frameOf, readFrames } from './frame-file.ts';
import type { Replica, ReplicaJournal } from './replica.ts';
import { decodeKey, encodeKey, type RowCodec, rowCodec } from './row-text.ts';
import { typeText } from '../sql/sql-type.ts';
import type { KeyValue } from '../sql/value.ts';
import type { FoundTables, ImageMark, StoredRow, TableState, TableStores } from './table-store.ts';
import { makeDirectory } from '../../state/make-directory.ts';

/** Lines of one frame are written out at this length, so that a long load does not pile up. */
const FRAME_CHARACTERS = 1024 * 1024;
/** A file is begun anew when it is this large and has grown to a multiple of what it began with. */
const COMPACT_BYTES = 64 * 1024 * 1024;
const COMPACT_FACTOR = 4;

/** What the checkpoint says of the image. */
export interface ImageReference {
  readonly v: 1;
  readonly image: string;
  readonly frames: number;
  /** Of the run that wrote it: in a checkpoint of another run it says nothing. */
  readonly epoch: number;
}

export function parseReference(text: string | undefined): ImageReference | null {
  if (text === undefined) return null;
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { image, frames, epoch } = parsed as Readonly<Record<string, unknown>>;
  // The name becomes part of a path.
  if (typeof image !== 'string' || !/^[0-9a-f-]{36}$/.test(image)) return null;
  return typeof frames === 'number' && typeof epoch === 'number' ? { v: 1, image, frames, epoch } : null;
}

/** The first frame of a file. */
interface Head {
  /** As `#shapes` has them. */
  readonly shapes: readonly string[];
  /** Null where the file has all rows. */
  readonly base: ImageMark | null;
}

function readHead(text: string): Head {
  const parsed: unknown = JSON.parse(text);
  const { shapes, base } = Array.isArray(parsed)
    ? { shapes: parsed as unknown[], base: null }
    : (parsed as { readonly shapes: readonly unknown[]; readonly base: ImageMark });
  return { shapes: shapes.map((shape) => JSON.stringify(shape)), base };
}

/** Frames of one file that are to be applied: those from one on, up to another. */
interface Stretch {
  readonly image: string;
  readonly from: number;
  readonly to: number;
}

export interface ReplicaImageOptions {
  readonly dir: string;
  readonly pipeline: string;
  /** Of this run. */
  readonly epoch: number;
  /** Where the replicas' rows are. */
  readonly stores: TableStores;
}

export class ReplicaImage implements ReplicaJournal {
  readonly #dir: string;
  readonly #prefix: string;
  readonly #epoch: number;
  #replicas: readonly Replica[] = [];
  #codecs: readonly RowCodec[] = [];
  #lines: string[] = [];
  #length = 0;
  #id = '';
  #file: number | null = null;
  #frames = 0;
  #bytes = 0;
  #begunWith = 0;
  #changed = false;
  /** Of replicas that are ready. */
  readonly #states = new Map<number, TableState>();
  readonly #stores: TableStores;
  /** What checkpoints have been told last. */
  #told: ImageMark = { image: '', frames: 0 };

  constructor({ dir, pipeline, epoch, stores }: ReplicaImageOptions) {
    this.#dir = dir;
    this.#epoch = epoch;
    this.#stores = stores;
    this.#prefix = `${pipeline}-`;
  }

  put(replica: number, key: KeyValue, row: StoredRow): void {
    this.#add(JSON.stringify([replica, encodeKey(key), this.#codecs[replica]?.encode(row) ?? []]));
  }

  delete(replica: number, key: KeyValue): void {
    this.#add(JSON.stringify([replica, encodeKey(key)]));
  }

  clear(replica: number): void {
    this.#add(JSON.stringify([replica]));
  }

  ready(replica: number, asOf: JsonValue | null): void {
    this.#states.set(replica, { asOf });
    this.#stores.complete(replica);
    this.#add(JSON.stringify({ ready: replica, asOf }));
  }

  caughtUp(replica: number): void {
    this.#states.set(replica, { asOf: null });
    this.#add(JSON.stringify({ caughtUp: replica }));
  }

  /**
   * Call once, before anything is put. Fills the replicas from the file that the checkpoint names; answers those
   * that are complete. `stale`: replicas whose file no longer tells the truth.
   */
  async restore(
    replicas: readonly Replica[],
    reference: ImageReference | null,
    stale: (replica: Replica) => boolean,
  ): Promise<ReadonlyMap<Replica, TableState>> {
    this.#replicas = replicas;
    this.#codecs = replicas.map(({ captured }) => rowCodec(captured.used.map(({ type }) => type)));
    const found = this.#stores.open(this.#shapes);
    const end = reference === null ? null : await this.#replay(reference, found);
    if (end === null) for (const replica of replicas) this.#forget(replica);
    for (const replica of replicas)
      if (stale(replica) || !this.#states.has(replica.index)) this.#forget(replica);
    const whole = end !== null && end.sameShapes && replicas.every(({ index }) => this.#states.has(index));
    if (whole && reference !== null) this.#goOn(reference, end.at);
    else {
      this.#id = reference?.image ?? '';
      this.#begin(end === null ? null : reference);
    }
    const here = { image: this.#id, frames: this.#frames };
    this.#stores.restored(end === null || reference === null ? here : markOf(reference), this.#states);
    return new Map(
      replicas.flatMap((replica) => {
        const state = this.#states.get(replica.index);
        return state === undefined ? [] : [[replica, state] as const];
      }),
    );
  }

  /** All that has been written so far, for a checkpoint. */
  tell(): ImageReference {
    this.#told = { image: this.#id, frames: this.#frames };
    return { v: 1, ...this.#told, epoch: this.#epoch };
  }

  /** A commit begins, with what has been told last. */
  committing(): void {
    this.#stores.committing(this.#told, this.#states);
  }

  /** The oldest commit under way is durable. */
  committed(): void {
    this.#stores.committed();
  }

  /** Writes what has changed; the next checkpoint is told of it. */
  write(): void {
    this.#writeLines();
  }

  /**
   * Writes what has changed; the reference for the checkpoint, or null where it stays the same. `between`: no
   * transaction is under way, so that the file may be begun anew.
   */
  flush(between: boolean): ImageReference | null {
    if (!this.#changed) return null;
    this.#writeLines();
    const large = this.#bytes > COMPACT_BYTES && this.#bytes > COMPACT_FACTOR * this.#begunWith;
    if (between && large && this.#stores.follows(this.#id))
      this.#begin({ image: this.#id, frames: this.#frames });
    this.#changed = false;
    return this.tell();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    await this.#stores[Symbol.asyncDispose]();
  }

  #close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #name(id: string): string {
    return `${this.#prefix}${id}.image`;
  }

  #add(line: string): void {
    this.#lines.push(line);
    this.#length += line.length;
    this.#changed = true;
    if (this.#length >= FRAME_CHARACTERS) this.#writeLines();
  }

  #writeLines(): void {
    if (this.#lines.length === 0) return;
    this.#writeFrame(this.#lines.join('\n'));
    this.#lines = [];
    this.#length = 0;
  }

  #writeFrame(text: string): void {
    const frame = frameOf(text);
    this.#onDisk('written', () => {
      if (this.#file === null) throw new Error('the file is closed');
      for (let at = 0; at < frame.length;) at += writeSync(this.#file, frame, at);
    });
    this.#frames++;
    this.#bytes += frame.length;
  }

  #onDisk(what: string, work: () => void): void {
    try {
      work();
    } catch (cause) {
      throw new HeadwaterError(
        'delivery.disk',
        `The image of joined tables in ${this.#dir} cannot be ${what}.`,
        {
          cause,
        },
      );
    }
  }

  get #shapes(): readonly string[] {
    return this.#replicas.map(({ captured }) =>
      JSON.stringify({
        table: tableName(captured.id),
        key: captured.keys.map(({ name, type }) => `${name} ${typeText(type)}`),
        columns: captured.used.map(({ name, type }) => `${name} ${typeText(type)}`),
      }),
    );
  }

  /**
   * A new file with all there is now, or with nothing where the rows as of `base` are durable. Nothing refers to it
   * before the next checkpoint.
   */
  #begin(base: ImageMark | null): void {
    this.#close();
    this.#removeBut(this.#id);
    this.#id = randomUUID();
    const path = join(this.#dir, this.#name(this.#id));
    this.#onDisk('created', () => {
      this.#file = openSync(path, 'ax', 0o600);
    });
    this.#frames = 0;
    this.#bytes = 0;
    this.#lines = [];
    this.#length = 0;
    const follows = this.#stores.durable ? base : null;
    const shapes = `[${this.#shapes.join(',')}]`;
    this.#writeFrame(
      follows === null ? shapes : `{"shapes":${shapes},"base":${JSON.stringify(markOf(follows))}}`,
    );
    for (const replica of this.#replicas) {
      const state = this.#states.get(replica.index);
      if (follows === null) for (const [key, row] of replica.entries()) this.put(replica.index, key, row);
      if (state !== undefined) this.#add(JSON.stringify({ ready: replica.index, asOf: state.asOf }));
    }
    this.#writeLines();
    this.#begunWith = this.#bytes;
  }

  /** The checkpoint may still name that one; those before it are of no use. */
  #removeBut(id: string): void {
    const own = /-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.image$/;
    this.#onDisk('tidied', () => {
      makeDirectory(this.#dir);
      for (const name of readdirSync(this.#dir)) {
        const others = name.startsWith(this.#prefix) && own.test(name.slice(this.#prefix.length - 1));
        if (others && name !== this.#name(id)) rmSync(join(this.#dir, name), { force: true });
      }
    });
  }

  #goOn({ image, frames }: ImageReference, end: number): void {
    this.#id = image;
    this.#frames = frames;
    this.#bytes = end;
    this.#begunWith = end;
    this.#onDisk('opened', () => {
      this.#file = openSync(join(this.#dir, this.#name(image)), 'r+');
      ftruncateSync(this.#file, end);
      closeSync(this.#file);
      this.#file = openSync(join(this.#dir, this.#name(image)), 'a');
    });
  }

  #forget(replica: Replica): void {
    replica.reset();
    this.#states.delete(replica.index);
  }

  /** Null where the files do not hold all that the checkpoint speaks of. */
  async #replay(
    reference: ImageReference,
    found: FoundTables | null,
  ): Promise<{ at: number; sameShapes: boolean } | null> {
    const head = await this.#head(reference.image);
    if (head === null) return null;
    const stretches = stretchesOf(head, markOf(reference), found?.mark ?? null);
    if (stretches === null) return null;
    if (stretches[0]?.from === 0) for (const replica of this.#replicas) this.#forget(replica);
    else for (const [index, state] of found?.states ?? []) this.#states.set(index, state);
    let at: number | null = null;
    for (const stretch of stretches) {
      at = await this.#replayFile(stretch);
      if (at === null) return null;
    }
    const sameShapes = JSON.stringify(head.shapes) === JSON.stringify(this.#shapes);
    return at === null ? null : { at, sameShapes };
  }

  async #head(image: string): Promise<Head | null> {
    const file = await open(join(this.#dir, this.#name(image)), 'r').catch(() => null);
    if (file === null) return null;
    try {
      for await (const { text } of readFrames(file)) return readHead(text);
      return null;
    } finally {
      await file.close();
    }
  }

  /** The offset behind the last of the frames; null where the file does not have them all. */
  async #replayFile({ image, from, to }: Stretch): Promise<number | null> {
    const file = await open(join(this.#dir, this.#name(image)), 'r').catch(() => null);
    if (file === null) return null;
    try {
      let frames = 0;
      let targets: readonly (Replica | null)[] = [];
      for await (const { text, end } of readFrames(file)) {
        if (frames === 0) targets = this.#targets(readHead(text).shapes);
        else if (frames >= from) for (const line of text.split('\n')) this.#apply(line, targets);
        if (++frames === to) return end;
      }
      return null;
    } finally {
      await file.close();
    }
  }

  /** For each replica of the file the one of the same shape, if there still is one. */
  #targets(stored: readonly string[]): readonly (Replica | null)[] {
    const names = this.#shapes;
    const taken = new Set<number>();
    return stored.map((shape) => {
      const found = names.findIndex((name, index) => name === shape && !taken.has(index));
      if (found < 0) return null;
      taken.add(found);
      return this.#replicas[found] ?? null;
    });
  }

  #apply(line: string, targets: readonly (Replica | null)[]): void {
    const parsed: unknown = JSON.parse(line);
    if (!Array.isArray(parsed)) {
      const { ready, asOf, caughtUp } = parsed as { ready?: number; asOf?: JsonValue; caughtUp?: number };
      const replica = targets[ready ?? caughtUp ?? -1];
      if (replica != null) this.#states.set(replica.index, { asOf: asOf ?? null });
      return;
    }
    const [index, key, row] = parsed as readonly unknown[];
    const replica = targets[Number(index)];
    if (replica == null) return;
    if (parsed.length === 1) replica.reset();
    else
      replica.restore(
        decodeKey(key),
        row === undefined ? null : (this.#codecs[replica.index]?.decode(row) ?? []),
      );
  }
}

function markOf({ image, frames }: ImageMark): ImageMark {
  return { image, frames };
}

/**
 * What is to be applied to rows that are as of `found` so that they are as of the reference; from the first frame on
 * where there are none. Null where that cannot be: there is no file that begins at or before them.
 */
function stretchesOf(head: Head, to: ImageMark, found: ImageMark | null): readonly Stretch[] | null {
  const { base } = head;
  if (found?.image === to.image)
    return found.frames <= to.frames ? [{ image: to.image, from: found.frames, to: to.frames }] : null;
  if (base === null) return [{ image: to.image, from: 0, to: to.frames }];
  if (found?.image !== base.image || found.frames > base.frames) return null;
  return [
    { image: base.image, from: found.frames, to: base.frames },
    { image: to.image, from: 1, to: to.frames },
  ];
}
