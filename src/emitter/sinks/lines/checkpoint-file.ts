import { createReadStream } from 'node:fs';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { StateEntries } from '../state-entries.ts';

/** The state of a pipeline whose records are not in Kafka, and how far they are durable. */
export interface FileCheckpoint {
  /** 2 where a part of the state is in a journal. */
  readonly v: 1 | 2;
  /** The pipeline's name. */
  readonly name: string;
  /** Number of the segment being written; 0 where there are none (stdout). */
  readonly segment: number;
  /** Durable bytes of that segment. */
  readonly length: number;
  /** As it is read: all of it, what is in the journal too. */
  readonly state: Readonly<Record<string, string>>;
  /** Entries of single tables, and how many bytes of the file beside this one hold them; see state-file.ts. */
  readonly journal?: { readonly file: string; readonly length: number };
}

/** A daemon may put another journal in the place of the one just heard of. */
const TRIES = 5;

/** Where the file sink keeps it. */
export function fileCheckpointPath(dir: string): string {
  return join(dir, 'checkpoint.json');
}

/** Where the stdout sink keeps it. */
export function stdoutCheckpointPath(stateDir: string, name: string): string {
  return join(stateDir, `${name}.checkpoint.json`);
}

/** Fills `entries` with the state, too. Null where there is none. Throws `delivery.state-invalid`. */
export async function readCheckpoint(
  path: string,
  name: string,
  entries = new StateEntries(null),
): Promise<FileCheckpoint | null> {
  for (let tries = 1; ; tries++) {
    entries.clear();
    const found = await readAlone(path, name);
    if (found === null) return null;
    const { journal } = found;
    const whole =
      journal === undefined ||
      (await readJournal(join(dirname(path), basename(journal.file)), journal.length, entries));
    if (whole) {
      for (const [key, value] of Object.entries(found.state)) entries.set(key, value);
      return { ...found, state: Object.fromEntries(entries.values) };
    }
    if (tries === TRIES) {
      throw new HeadwaterError(
        'delivery.state-invalid',
        `${journal.file}, which holds a part of the state of ${path}, is missing or cut short.`,
        { details: { path }, fix: 'Restore the file, or move the whole directory away to begin anew.' },
      );
    }
  }
}

/** Answers whether so much of it is there, and is lines of entries. */
async function readJournal(path: string, length: number, into: StateEntries): Promise<boolean> {
  const { size } = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return { size: -1 };
    throw unreadable(path, error);
  });
  if (size < length) return false;
  if (length === 0) return true;
  const input = createReadStream(path, { end: length - 1, highWaterMark: 1024 * 1024, encoding: 'utf8' });
  let rest = '';
  try {
    for await (const text of input as AsyncIterable<string>) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const entry = entryOf(line);
        if (entry === null) return false;
        into.set(entry[0], entry[1]);
      }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    if (error instanceof HeadwaterError) throw error;
    throw unreadable(path, error as Error);
  }
  return true;
}

/** Null where it is none. */
function entryOf(line: string): readonly [string, string | null] | null {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return null;
  }
  if (!Array.isArray(entry)) return null;
  const [key, value] = entry as readonly unknown[];
  return typeof key === 'string' && (value === null || typeof value === 'string') ? [key, value] : null;
}

function unreadable(path: string, cause: Error): HeadwaterError {
  return new HeadwaterError('delivery.disk', `${path} cannot be read: ${cause.message}.`, { cause });
}

async function readAlone(path: string, name: string): Promise<FileCheckpoint | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw unreadable(path, error as Error);
  }
  const found = parse(text);
  if (found === null)
    throw new HeadwaterError('delivery.state-invalid', `${path} is not a checkpoint of Headwater.`, {
      details: { path },
    });
  if (found.name !== name) {
    throw new HeadwaterError(
      'delivery.state-invalid',
      `${path} belongs to pipeline ${found.name}, not to ${name}.`,
      {
        details: { path, pipeline: found.name },
        fix: 'Give each pipeline a directory of its own.',
      },
    );
  }
  return found;
}

function parse(text: string): FileCheckpoint | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { v, name, segment, length, state, journal } = value as Partial<
    Record<keyof FileCheckpoint, unknown>
  >;
  const count = (each: unknown): boolean => Number.isSafeInteger(each) && (each as number) >= 0;
  if ((v !== 1 && v !== 2) || (v === 2) !== isJournal(journal)) return null;
  if (typeof name !== 'string' || !count(segment) || !count(length)) return null;
  if (
    typeof state !== 'object' ||
    state === null ||
    Object.values(state).some((each) => typeof each !== 'string')
  )
    return null;
  return value as FileCheckpoint;
}

function isJournal(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('file' in value) || !('length' in value)) return false;
  return typeof value.file === 'string' && Number.isSafeInteger(value.length) && Number(value.length) >= 0;
}

/** Durable, and either the old or the new one whenever the machine stops: temporary file, rename, directory. */
export async function writeCheckpoint(path: string, checkpoint: FileCheckpoint): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w');
  try {
    await file.writeFile(JSON.stringify(checkpoint));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** What has been created or renamed in a directory survives a power cut only after this. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
