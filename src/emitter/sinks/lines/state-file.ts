/**
 * The durable state of a sink that is not Kafka, made to cost what changed (docs/decisions/0023-state-in-two-files.md).
 * Few entries stand in the checkpoint itself. Where there are many, those of single tables (with a `/` in their key)
 * are lines `["key","value"]` of a journal beside it, and the checkpoint says how much of which journal counts. A
 * journal that is mostly out of date is followed by another one.
 */
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { BulkState } from '../../sink.ts';
import { StateEntries } from '../state-entries.ts';
import { type FileCheckpoint, readCheckpoint, syncDirectory, writeCheckpoint } from './checkpoint-file.ts';

/** Characters of keys and values that still stand in the checkpoint. */
const INLINE = 32 * 1024;
/** A journal may be twice as long as what it holds, and this much besides. */
const SLACK = 256 * 1024;
/** Characters that are written at once. */
const PIECE = 1024 * 1024;

/** One writer at a time: whoever opens it holds the lock of its directory. */
export class StateFile {
  readonly #path: string;
  readonly #name: string;
  readonly #entries: StateEntries;
  #size: number;
  #journal: { readonly file: string; readonly handle: FileHandle; length: number } | null = null;
  /** Of the journal that was last begun, by this process or by one before. */
  #number: number;
  /** Journals that no checkpoint needs any more. */
  #outdated: readonly string[];

  private constructor(
    path: string,
    name: string,
    found: {
      readonly entries: StateEntries;
      readonly number: number;
      readonly outdated: readonly string[];
    },
  ) {
    this.#path = path;
    this.#name = name;
    this.#entries = found.entries;
    this.#number = found.number;
    this.#outdated = found.outdated;
    this.#size = 0;
    for (const [key, value] of found.entries) this.#size += key.length + value.length;
  }

  /** Throws `delivery.state-invalid`, `delivery.disk`. */
  static async open(
    path: string,
    name: string,
    bulk: BulkState | null = null,
  ): Promise<{ readonly file: StateFile; readonly checkpoint: FileCheckpoint | null }> {
    const entries = new StateEntries(bulk);
    const checkpoint = await readCheckpoint(path, name, entries);
    const journals = (await readdir(dirname(path))).filter((entry) => numberOf(path, entry) !== null);
    const number = Math.max(0, ...journals.map((entry) => numberOf(path, entry)!));
    // The first write begins another journal, so what an interrupted one left behind the end does not matter.
    return { file: new StateFile(path, name, { entries, number, outdated: journals }), checkpoint };
  }

  entries(): ReadonlyMap<string, string> {
    return new Map(this.#entries.values);
  }

  /** Makes the changed entries and how far the records count durable together; null forgets an entry. */
  async write(
    { segment, length }: Pick<FileCheckpoint, 'segment' | 'length'>,
    changed: ReadonlyMap<string, string | null>,
  ): Promise<void> {
    for (const [key, value] of changed) this.#set(key, value);
    if (this.#size <= INLINE) await this.#leaveJournal();
    else await this.#append(changed);
    const journal = this.#journal;
    const place = { name: this.#name, segment, length };
    await writeCheckpoint(
      this.#path,
      journal === null
        ? { v: 1, ...place, state: Object.fromEntries(this.#entries) }
        : {
            v: 2,
            ...place,
            state: Object.fromEntries([...this.#entries.values].filter(([key]) => !isOfTable(key))),
            journal: { file: journal.file, length: journal.length },
          },
    );
    const outdated = this.#outdated;
    this.#outdated = [];
    for (const file of outdated) await rm(join(dirname(this.#path), file), { force: true });
  }

  #set(key: string, value: string | null): void {
    const before = this.#entries.get(key);
    if (before !== undefined) this.#size -= key.length + before.length;
    this.#entries.set(key, value);
    if (value !== null) this.#size += key.length + value.length;
  }

  async #append(changed: ReadonlyMap<string, string | null>): Promise<void> {
    const journal = this.#journal;
    const mostlyOutdated = journal !== null && journal.length > 2 * this.#size + SLACK;
    if (journal === null || mostlyOutdated) return this.#beginJournal();
    const text = linesOf(changed);
    if (text === '') return;
    const bytes = Buffer.from(text);
    await journal.handle.appendFile(bytes);
    await journal.handle.datasync();
    journal.length += bytes.length;
  }

  async #beginJournal(): Promise<void> {
    await this.#leaveJournal();
    const file = journalName(this.#path, ++this.#number);
    const handle = await open(join(dirname(this.#path), file), 'w');
    const journal = { file, handle, length: 0 };
    this.#journal = journal;
    let lines = '';
    const append = async (): Promise<void> => {
      const bytes = Buffer.from(lines);
      lines = '';
      await handle.appendFile(bytes);
      journal.length += bytes.length;
    };
    for (const [key, value] of this.#entries) {
      lines += lineOf(key, value);
      if (lines.length >= PIECE) await append();
    }
    await append();
    await handle.sync();
    await syncDirectory(dirname(this.#path));
  }

  async #leaveJournal(): Promise<void> {
    const journal = this.#journal;
    if (journal === null) return;
    this.#journal = null;
    this.#outdated = [...this.#outdated, journal.file];
    await journal.handle.close();
  }

  async close(): Promise<void> {
    await this.#journal?.handle.close();
    this.#journal = null;
  }
}

function isOfTable(key: string): boolean {
  return key.includes('/');
}

function linesOf(entries: ReadonlyMap<string, string | null>): string {
  let text = '';
  for (const [key, value] of entries) text += lineOf(key, value);
  return text;
}

/** Empty for one that stands in the checkpoint. */
function lineOf(key: string, value: string | null): string {
  return isOfTable(key) ? `${JSON.stringify([key, value])}\n` : '';
}

/** `checkpoint.state-7` beside `checkpoint.json`. */
function journalName(path: string, number: number): string {
  return `${basename(path, '.json')}.state-${number}`;
}

function numberOf(path: string, entry: string): number | null {
  const begin = `${basename(path, '.json')}.state-`;
  const digits = entry.startsWith(begin) ? entry.slice(begin.length) : '';
  return /^\d+$/.test(digits) ? Number(digits) : null;
}
