/**
 * The replicas on disk: what was put and deleted since the file was begun, one frame (frame-file.ts) for each batch
 * of the log that changed them. The checkpoint names the file and the number of frames that belong to it, in the
 * same transaction as the records: so a replica is restored at exactly the checkpoint, and what stands behind it in
 * the file is cut off. A file that is missing or damaged is no loss: the tables are read again.
 *
 * The first frame is the list of the replicas' shapes; every other one has one operation a line:
 *
 * | line | meaning |
 * | --- | --- |
 * | `[replica, key, row]` | put |
 * | `[replica, key]` | delete |
 * | `[replica]` | the table is empty from here on |
 * | `{"ready": replica, "asOf": position}` | the table is complete; `asOf`: as a later position showed it, or null |
 * | `{"caughtUp": replica}` | the log has passed that position |
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { JsonValue } from '../model/position.ts';
import { tableName } from '../model/table.ts';
import { frameOf, readFrames } from './frame-file.ts';
import type { Replica, ReplicaJournal } from './replica.ts';
import { decodeKey, encodeKey, type RowCodec, rowCodec } from './row-text.ts';
import { typeText } from './sql/sql-type.ts';
import type { KeyValue } from './sql/value.ts';
import type { StoredRow } from './store.ts';

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
  /** Of the run that wrote it: in a checkpoint of another run it says nothing (rulings 2). */
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

/** How far a replica got. */
export interface ReplicaState {
  /** With `ready`: the position the table was read at, where that is ahead of the log; else null. */
  readonly asOf: JsonValue | null;
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
  readonly #states = new Map<number, ReplicaState>();

  /** `epoch`: of this run. */
  constructor(dir: string, pipeline: string, epoch: number) {
    this.#dir = dir;
    this.#epoch = epoch;
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
  ): Promise<ReadonlyMap<Replica, ReplicaState>> {
    this.#replicas = replicas;
    this.#codecs = replicas.map(({ captured }) => rowCodec(captured.used.map(({ type }) => type)));
    const end = reference === null ? null : await this.#replay(reference);
    if (end === null) for (const replica of replicas) this.#forget(replica);
    for (const replica of replicas)
      if (stale(replica) || !this.#states.has(replica.index)) this.#forget(replica);
    const whole = end !== null && end.sameShapes && replicas.every(({ index }) => this.#states.has(index));
    if (whole && reference !== null) this.#goOn(reference, end.at);
    else {
      this.#id = reference?.image ?? '';
      this.#begin();
    }
    return new Map(
      replicas.flatMap((replica) => {
        const state = this.#states.get(replica.index);
        return state === undefined ? [] : [[replica, state] as const];
      }),
    );
  }

  /** All that has been written so far. */
  get reference(): ImageReference {
    return { v: 1, image: this.#id, frames: this.#frames, epoch: this.#epoch };
  }

  /**
   * Writes what has changed; the reference for the checkpoint, or null where it stays the same. `between`: no
   * transaction is under way, so that the file may be begun anew.
   */
  flush(between: boolean): ImageReference | null {
    if (!this.#changed) return null;
    this.#writeLines();
    if (between && this.#bytes > COMPACT_BYTES && this.#bytes > COMPACT_FACTOR * this.#begunWith)
      this.#begin();
    this.#changed = false;
    return this.reference;
  }

  close(): void {
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

  #shapes(): string {
    return JSON.stringify(
      this.#replicas.map(({ captured }) => ({
        table: tableName(captured.id),
        key: captured.keys.map(({ name, type }) => `${name} ${typeText(type)}`),
        columns: captured.used.map(({ name, type }) => `${name} ${typeText(type)}`),
      })),
    );
  }

  /** A new file with all there is now. Nothing refers to it before the next checkpoint. */
  #begin(): void {
    this.close();
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
    this.#writeFrame(this.#shapes());
    for (const replica of this.#replicas) {
      const state = this.#states.get(replica.index);
      for (const [key, row] of replica.entries()) this.put(replica.index, key, row);
      if (state !== undefined) this.#add(JSON.stringify({ ready: replica.index, asOf: state.asOf }));
    }
    this.#writeLines();
    this.#begunWith = this.#bytes;
  }

  /** The checkpoint may still name that one; those before it are of no use. */
  #removeBut(id: string): void {
    const own = /-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.image$/;
    this.#onDisk('tidied', () => {
      mkdirSync(this.#dir, { recursive: true });
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

  /** Null where the file does not hold all that the checkpoint speaks of. */
  async #replay(reference: ImageReference): Promise<{ at: number; sameShapes: boolean } | null> {
    const file = await open(join(this.#dir, this.#name(reference.image)), 'r').catch(() => null);
    if (file === null) return null;
    try {
      let frames = 0;
      let targets: readonly (Replica | null)[] = [];
      let sameShapes = false;
      for await (const { text, end } of readFrames(file)) {
        if (frames === 0) {
          targets = this.#targets(text);
          sameShapes = text === this.#shapes();
        } else for (const line of text.split('\n')) this.#apply(line, targets);
        if (++frames === reference.frames) return { at: end, sameShapes };
      }
      return null;
    } finally {
      await file.close();
    }
  }

  /** For each replica of the file the one of the same shape, if there still is one. */
  #targets(shapes: string): readonly (Replica | null)[] {
    const mine = JSON.parse(this.#shapes()) as readonly unknown[];
    const stored = JSON.parse(shapes) as readonly unknown[];
    const names = mine.map((shape) => JSON.stringify(shape));
    const taken = new Set<number>();
    return stored.map((shape) => {
      const text = JSON.stringify(shape);
      const found = names.findIndex((name, i) => name === text && !taken.has(i));
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
