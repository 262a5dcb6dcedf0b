/** What operators ask of pipelines while they run, checked and carried out. */
import { HeadwaterError } from '../errors/headwater-error.ts';
import { holdEdits, releaseEdits } from '../emitter/paused-tables.ts';
import { pauseEdits, resyncEdits, snapshotEdits, type StateEdits, stopEdits } from '../snapshot/request.ts';
import type { Daemon } from './daemon.ts';
import type { PipelineTask } from './pipeline-task.ts';

export type PipelineRequest = PauseRequest | SnapshotRequest;

/** Without tables (`schema.table`) the pipeline as a whole. */
interface PauseRequest {
  readonly action: 'pause' | 'resume';
  readonly tables: readonly string[];
}

/** Tables are `schema.table`; without any, `snapshot-stop` is about all that are still to be read. */
type SnapshotRequest =
  | { readonly action: 'snapshot'; readonly tables: readonly string[]; readonly where: string | null }
  | { readonly action: 'resync' | 'snapshot-stop'; readonly tables: readonly string[] }
  | { readonly action: 'snapshot-pause' | 'snapshot-resume' };

/** What was done, for the one who asked. */
export interface RequestResult {
  readonly pipeline: string;
  readonly action: PipelineRequest['action'];
  /** `schema.table`: those it is about; empty where it is about the pipeline as a whole. */
  readonly tables: readonly string[];
}

/**
 * Resolves when what was asked for is durable, or done. Throws `request.no-such-pipeline`, `request.no-such-table`,
 * `request.not-running`, `request.timed-out`.
 */
export async function carryOut(
  daemon: Daemon,
  name: string,
  request: PipelineRequest,
  timeoutMs: number,
): Promise<RequestResult> {
  const task = taskOf(daemon, name);
  const { action } = request;
  if (isPause(request) && request.tables.length === 0) {
    pauseOrResume(task, request);
    return { pipeline: name, action, tables: [] };
  }
  refuseUnless(task, ['snapshotting', 'streaming']);
  const { tables, edits } = editsOf(task, request);
  if (edits.size > 0) await inTime(applied(task, request, { tables, edits }, timeoutMs), timeoutMs, name);
  return { pipeline: name, action, tables };
}

/**
 * Resolves when the edit of the durable state is durable. Throws `request.no-such-pipeline`,
 * `request.not-running`, `request.timed-out`: it is made all the same, when the pipeline comes to it.
 */
export async function changeState(
  daemon: Daemon,
  name: string,
  edits: StateEdits,
  timeoutMs: number,
): Promise<void> {
  const task = taskOf(daemon, name);
  refuseUnless(task, ['starting', 'snapshotting', 'streaming', 'backing-off']);
  await inTime(task.control.edit(edits), timeoutMs, name);
}

/** A condition that the database refuses is the operator's slip, and no reason to give the table up. */
async function applied(
  task: PipelineTask,
  request: PipelineRequest,
  { tables, edits }: { readonly tables: readonly string[]; readonly edits: StateEdits },
  timeoutMs: number,
): Promise<void> {
  if (request.action === 'snapshot' && request.where !== null) {
    const signal = AbortSignal.timeout(timeoutMs);
    for (const table of tables) await task.control.tryCondition?.(table, request.where, signal);
  }
  await task.control.edit(edits);
}

function taskOf(daemon: Daemon, name: string): PipelineTask {
  const task = daemon.pipeline(name);
  if (task !== null) return task;
  const known = daemon.status().map((each) => each.name);
  throw new HeadwaterError(
    'request.no-such-pipeline',
    `The daemon runs ${known.join(', ')}, and not ${name}.`,
    { details: { pipeline: name } },
  );
}

function isPause(request: PipelineRequest): request is PauseRequest {
  return request.action === 'pause' || request.action === 'resume';
}

function pauseOrResume(task: PipelineTask, { action }: PauseRequest): void {
  if (action === 'resume') {
    task.control.resume();
    return;
  }
  refuseUnless(task, ['starting', 'snapshotting', 'streaming', 'backing-off', 'paused']);
  task.control.pause();
}

function editsOf(
  task: PipelineTask,
  request: PipelineRequest,
): { readonly tables: readonly string[]; readonly edits: StateEdits } {
  switch (request.action) {
    case 'pause': {
      const { heldTables } = task.control;
      const tables = capturedOf(task, request.tables).filter((table) => !heldTables.has(table));
      return { tables, edits: holdEdits(tables, new Date()) };
    }
    case 'resume': {
      const { heldTables } = task.control;
      const tables = capturedOf(task, request.tables).filter((table) => heldTables.has(table));
      return { tables, edits: releaseEdits(tables, new Date()) };
    }
    case 'snapshot': {
      const tables = capturedOf(task, request.tables);
      if (request.where !== null) refuseUnread(task, tables);
      return { tables, edits: snapshotEdits(tables, request.where, new Date()) };
    }
    case 'resync': {
      const tables = capturedOf(task, request.tables);
      return { tables, edits: resyncEdits(tables, new Date()) };
    }
    case 'snapshot-stop': {
      const unread = task
        .status()
        .tables.filter(({ snapshot }) => snapshot !== null && snapshot !== 'done')
        .map(({ table }) => table);
      const asked = request.tables.length === 0 ? unread : capturedOf(task, request.tables);
      // One that has been read already stays as it is; one that was given up is not asked for again.
      const tables = asked.filter((table) => unread.includes(table));
      return { tables, edits: stopEdits(tables, new Date()) };
    }
    case 'snapshot-pause':
    case 'snapshot-resume':
      return { tables: [], edits: pauseEdits(request.action === 'snapshot-pause') };
  }
}

function capturedOf(task: PipelineTask, tables: readonly string[]): readonly string[] {
  const captured = task.status().tables.map(({ table }) => table);
  const missing = tables.find((table) => !captured.includes(table));
  if (missing === undefined) return [...new Set(tables)];
  throw new HeadwaterError(
    'request.no-such-table',
    `The pipeline ${task.settings.name} does not capture ${missing}.`,
    { fix: `It captures ${captured.join(', ')}.`, details: { table: missing } },
  );
}

/** Their snapshot would end with the rows that are asked for, and the others would never be read. */
function refuseUnread(task: PipelineTask, tables: readonly string[]): void {
  const unread = task
    .status()
    .tables.find(
      ({ table, state }) => (state === 'waiting' || state === 'snapshotting') && tables.includes(table),
    );
  if (unread === undefined) return;
  throw new HeadwaterError(
    'request.not-running',
    `The table ${unread.table} is ${unread.state}: some of its rows can be asked for when all of it has been read.`,
    { details: { table: unread.table, state: unread.state } },
  );
}

function refuseUnless(task: PipelineTask, states: readonly string[]): void {
  const { state } = task.status();
  if (states.includes(state)) return;
  throw new HeadwaterError(
    'request.not-running',
    state === 'standby'
      ? `This instance of the pipeline ${task.settings.name} is the standby: ask the one that runs.`
      : `The pipeline ${task.settings.name} is ${state}.`,
    { details: { state } },
  );
}

async function inTime(done: Promise<void>, timeoutMs: number, name: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new HeadwaterError(
          'request.timed-out',
          `The pipeline ${name} has not come to it within ${Math.round(timeoutMs / 1000)} seconds.`,
        ),
      );
    }, timeoutMs);
  });
  try {
    await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
  }
}
