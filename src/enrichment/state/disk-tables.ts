/**
 * All joined tables of a pipeline in an LMDB environment of their own: a database of rows for each, and one of
 * what is known of them:
 *
 * | key | value |
 * | --- | --- |
 * | `tables` | `{"v":1,"mark":{"image","frames"},"shapes":[…],"complete":{"<index>":{"asOf"}}}`: rows are as of that mark of the image |
 *
 * Only what a durable commit holds goes there, in transactions that are flushed to the disk: so the rows are never
 * ahead of the checkpoint, and what they are behind stands in the image. Rows of a table that is not complete yet go
 * there at once; they are of no use to another run, which reads the table again.
 *
 * Tables that each run fills anew are in an environment beside it, which every start throws away and nothing ever flushes.
 */
import { existsSync, rmSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { DiskRows, type RowDatabase } from './disk-rows.ts';
import type {
  FoundTables,
  ImageMark,
  TableState,
  TableStates,
  TableStore,
  TableStores,
} from './table-store.ts';
import { makeDirectory } from '../../state/make-directory.ts';

/** Rows that may go to disk and wait in memory. */
const MOST_STAGED = 5_000;

interface Known {
  readonly v: 1;
  readonly mark: ImageMark;
  readonly shapes: readonly string[];
  readonly complete: Readonly<Record<string, TableState>>;
}

type Lmdb = typeof import('lmdb');
type Environment = ReturnType<Lmdb['open']>;

interface DiskTablesOptions {
  readonly dir: string;
  readonly mostStaged: number;
  readonly openRefilled: () => Environment;
}

function environmentPath(dir: string, pipeline: string): string {
  return join(dir, `${pipeline}.lmdb`);
}

function refilledPath(dir: string, pipeline: string): string {
  return join(dir, `${pipeline}.refilled.lmdb`);
}

/** Whether an earlier run has kept its tables there, or found that they do not fit into memory. */
export function hasDiskTables(dir: string, pipeline: string): boolean {
  return existsSync(environmentPath(dir, pipeline));
}

/** From the next attempt on. */
export function preferDiskTables(dir: string, pipeline: string): void {
  makeDirectory(environmentPath(dir, pipeline));
}

export async function openDiskTables(
  dir: string,
  pipeline: string,
  mostStaged = MOST_STAGED,
): Promise<DiskTables> {
  try {
    preferDiskTables(dir, pipeline);
    const { open } = await import('lmdb');
    const openAt = (path: string, noSync: boolean): Environment =>
      open({
        path,
        encoding: 'binary',
        keyEncoding: 'binary',
        noSubdir: false,
        maxDbs: 1_000,
        // Where it is flushed, each transaction is on the disk when it ends: there are few of them.
        overlappingSync: false,
        noSync,
      });
    rmSync(refilledPath(dir, pipeline), { recursive: true, force: true });
    return new DiskTables(openAt(environmentPath(dir, pipeline), false), {
      dir,
      mostStaged,
      openRefilled: () => {
        try {
          makeDirectory(refilledPath(dir, pipeline));
          return openAt(refilledPath(dir, pipeline), true);
        } catch (cause) {
          throw cannotBeOpened(dir, cause);
        }
      },
    });
  } catch (cause) {
    throw cannotBeOpened(dir, cause);
  }
}

function cannotBeOpened(dir: string, cause: unknown): HeadwaterError {
  return new HeadwaterError('delivery.disk', `The joined tables in ${dir} cannot be opened.`, { cause });
}

class DiskTables implements TableStores {
  readonly durable = true;
  readonly #environment: Environment;
  readonly #options: DiskTablesOptions;
  readonly #tables = new Map<number, DiskRows>();
  /** Which know of no commits: all of their rows may go to disk at once. */
  readonly #refilled = new Map<number, DiskRows>();
  /** Made when the first of them is. */
  #refilledEnvironment: Environment | null = null;
  readonly #known: RowDatabase;
  #shapes: readonly string[] = [];
  /** As of which the rows on disk, and what is staged over them, are. */
  #mark: ImageMark | null = null;
  #states: TableStates = new Map();
  /** Of commits under way, the oldest first. */
  #commits: { readonly mark: ImageMark; readonly states: TableStates }[] = [];

  constructor(environment: Environment, options: DiskTablesOptions) {
    this.#environment = environment;
    this.#options = options;
    this.#known = this.#database('known');
  }

  table(index: number): TableStore {
    return this.#rows(index);
  }

  refilled(index: number): TableStore {
    let rows = this.#refilled.get(index);
    if (rows === undefined) {
      const environment = (this.#refilledEnvironment ??= this.#options.openRefilled());
      rows = new DiskRows(() => this.#writeRefilledIfMany(environment));
      rows.open(databaseIn(environment, `refilled-${index}`));
      this.#refilled.set(index, rows);
    }
    return rows;
  }

  /** Little is in memory, and for a time. */
  spend(): void {}

  open(shapes: readonly string[]): FoundTables | null {
    const text = this.#known.get(Buffer.from('tables'))?.toString('utf8');
    const known = text === undefined ? null : (JSON.parse(text) as Known);
    this.#shapes = shapes;
    const names = databaseNames(shapes);
    for (const [index, name] of names.entries()) this.#rows(index).open(this.#database(name));
    if (known === null) return null;
    const before = databaseNames(known.shapes);
    for (const name of before) if (!names.includes(name)) this.#database(name).dropSync();
    const states = new Map<number, TableState>();
    for (const [index, state] of Object.entries(known.complete)) {
      const now = names.indexOf(before[Number(index)] ?? '');
      if (now >= 0) states.set(now, state);
    }
    return { mark: known.mark, states };
  }

  restored(mark: ImageMark, states: TableStates): void {
    this.#mark = mark;
    this.#states = new Map(states);
    this.#write();
    for (const index of states.keys()) this.complete(index);
  }

  complete(index: number): void {
    this.#rows(index).complete();
  }

  follows(image: string): boolean {
    return this.#mark?.image === image;
  }

  committing(mark: ImageMark, states: TableStates): void {
    this.#commits.push({ mark, states: new Map(states) });
    for (const table of this.#tables.values()) table.committing();
  }

  committed(): void {
    const commit = this.#commits.shift();
    if (commit === undefined) return;
    for (const table of this.#tables.values()) table.committed();
    const moved = this.#mark?.image !== commit.mark.image;
    this.#mark = commit.mark;
    this.#states = commit.states;
    if (moved) this.#write();
    else this.#writeIfMany();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#refilledEnvironment?.close();
    await this.#environment.close();
  }

  #rows(index: number): DiskRows {
    let rows = this.#tables.get(index);
    if (rows === undefined) this.#tables.set(index, (rows = new DiskRows(() => this.#writeIfMany())));
    return rows;
  }

  #database(name: string): RowDatabase {
    return databaseIn(this.#environment, name);
  }

  #writeIfMany(): void {
    if (this.#areMany(this.#tables)) this.#write();
  }

  #write(): void {
    this.#transaction(this.#environment, () => {
      for (const table of this.#tables.values()) table.write();
      if (this.#mark === null) return;
      const complete = Object.fromEntries(this.#states);
      const known: Known = { v: 1, mark: this.#mark, shapes: this.#shapes, complete };
      this.#known.putSync(Buffer.from('tables'), Buffer.from(JSON.stringify(known)));
    });
  }

  #writeRefilledIfMany(environment: Environment): void {
    if (!this.#areMany(this.#refilled)) return;
    this.#transaction(environment, () => {
      for (const table of this.#refilled.values()) table.write();
    });
  }

  #areMany(tables: ReadonlyMap<number, DiskRows>): boolean {
    let staged = 0;
    for (const table of tables.values()) staged += table.staged;
    return staged >= this.#options.mostStaged;
  }

  #transaction(environment: Environment, write: () => void): void {
    try {
      environment.transactionSync(write);
    } catch (cause) {
      throw new HeadwaterError(
        'delivery.disk',
        `The joined tables in ${this.#options.dir} cannot be written.`,
        {
          cause,
        },
      );
    }
  }
}

function databaseIn(environment: Environment, name: string): RowDatabase {
  return environment.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });
}

/** Two of the same shape are told from each other by their order. */
function databaseNames(shapes: readonly string[]): readonly string[] {
  return shapes.map((shape, index) => {
    const place = shapes.slice(0, index).filter((each) => each === shape).length;
    const hash = createHash('sha256').update(shape).digest('hex').slice(0, 32);
    return `rows-${hash}-${place}`;
  });
}
