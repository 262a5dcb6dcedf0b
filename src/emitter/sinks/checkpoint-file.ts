import { open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HeadwaterError } from '../../errors/headwater-error.ts';

/** The state of a pipeline whose records are not in Kafka, and how far they are durable. */
export interface FileCheckpoint {
  readonly v: 1;
  /** The pipeline's name. */
  readonly name: string;
  /** Number of the segment being written; 0 where there are none (stdout). */
  readonly segment: number;
  /** Durable bytes of that segment. */
  readonly length: number;
  readonly state: Readonly<Record<string, string>>;
}

/** Where the file sink keeps it. */
export function fileCheckpointPath(dir: string): string {
  return join(dir, 'checkpoint.json');
}

/** Where the stdout sink keeps it. */
export function stdoutCheckpointPath(stateDir: string, name: string): string {
  return join(stateDir, `${name}.checkpoint.json`);
}

/** Null where there is none. Throws `delivery.state-invalid`. */
export async function readCheckpoint(path: string, name: string): Promise<FileCheckpoint | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new HeadwaterError('delivery.disk', `${path} cannot be read: ${(error as Error).message}.`, {
      cause: error,
    });
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
  const { v, name, segment, length, state } = value as Partial<Record<keyof FileCheckpoint, unknown>>;
  const count = (each: unknown): boolean => Number.isSafeInteger(each) && (each as number) >= 0;
  if (v !== 1 || typeof name !== 'string' || !count(segment) || !count(length)) return null;
  if (
    typeof state !== 'object' ||
    state === null ||
    Object.values(state).some((each) => typeof each !== 'string')
  )
    return null;
  return value as FileCheckpoint;
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
