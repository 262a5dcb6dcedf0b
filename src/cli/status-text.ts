import { isReady } from '../observability/metrics.ts';
import { deadLetterText } from '../observability/dead-letter-text.ts';
import { formatBytes, formatCount, formatDuration } from '../observability/quantities.ts';
import type { Holder, PipelineStatus, SnapshotProgress, TableStatus } from '../observability/status.ts';
import type { DaemonStatus } from './daemon-client.ts';

/** `headwater status` for people. */
export function statusText({ version, startedAt, pipelines }: DaemonStatus, now: number): string {
  const up = formatDuration(Math.max(0, now - Date.parse(startedAt)));
  return [
    `headwater ${version}, up ${up}`,
    ...pipelines.map((pipeline) => pipelineText(pipeline, now)),
    '',
  ].join('\n');
}

function pipelineText(pipeline: PipelineStatus, now: number): string {
  const { name, connector, state, lagMs, lastError, retryInMs, counters, snapshot } = pipeline;
  const lines = [
    '',
    `${isReady(pipeline) ? '●' : '○'} ${name} (${connector}${pipeline.capture?.mode === 'poll' ? ', polled' : ''}): ${state} since ${ago(pipeline.since, now)}`,
  ];
  if (pipeline.heldBy !== null) lines.push(`  run by ${holderText(pipeline.heldBy)}`);
  if (!pipeline.progressing) lines.push('  ! the source advances and nothing is delivered');
  if (lastError !== null) {
    const again = retryInMs === null ? '' : `, tries again in ${formatDuration(retryInMs)}`;
    lines.push(
      `  ! ${lastError.code}, ${ago(lastError.at, now)} ago${again}: ${lastError.message}`,
      `    → ${lastError.advice}`,
    );
  }
  for (const warning of pipeline.warnings) lines.push(`  ! ${warning}`);
  const lag = lagMs === null ? 'unknown' : pipeline.caughtUp ? 'none' : formatDuration(lagMs);
  const changes = counters.creates + counters.updates + counters.deletes + counters.truncates;
  lines.push(
    `  lag ${lag} · ${formatCount(pipeline.eventsPerSecond)} records/s · ${formatCount(changes)} changes, ${formatCount(counters.reads)} snapshot rows, ${formatBytes(counters.recordBytes)} delivered`,
  );
  if (pipeline.retainedBytes !== null) {
    const budget =
      pipeline.retainedBudgetBytes === null ? '' : ` of ${formatBytes(pipeline.retainedBudgetBytes)} allowed`;
    lines.push(`  the source keeps ${formatBytes(pipeline.retainedBytes)} of log${budget}`);
  }
  if (pipeline.headroomMs !== null) {
    lines.push(
      `  the source keeps what is not delivered for ${formatDuration(Math.max(0, pipeline.headroomMs))} more`,
    );
  }
  if (snapshot !== null) {
    const left = snapshot.remainingMs === null ? '' : `, about ${formatDuration(snapshot.remainingMs)} left`;
    lines.push(
      `  snapshot ${snapshotState(snapshot)}: ${snapshot.tablesDone} of ${snapshot.tablesTotal} tables, ${formatCount(snapshot.rows)} rows${snapshot.running ? `, ${formatCount(snapshot.rowsPerSecond)}/s${left}` : ''}`,
    );
  }
  const width = Math.max(0, ...pipeline.tables.map(({ table }) => table.length));
  for (const table of pipeline.tables) lines.push(...tableText(table, width, now));
  return lines.join('\n');
}

function holderText({ host, pid, http }: Holder): string {
  return `process ${pid} on ${host}${http === null ? '' : `, which answers at ${http}`}`;
}

function snapshotState({ running, paused, completedAt }: SnapshotProgress): string {
  if (running) return 'under way';
  if (completedAt !== null) return 'complete';
  return paused ? 'held' : 'incomplete';
}

function tableText(table: TableStatus, width: number, now: number): readonly string[] {
  const last = table.lastEventAt === null ? 'no record yet' : `last ${ago(table.lastEventAt, now)} ago`;
  const lines = [
    `  ${table.table.padEnd(width)}  ${table.state.padEnd(12)} ${formatCount(table.events).padStart(12)} records, ${last}`,
  ];
  const notes: readonly (readonly [string | null, string | null])[] = [
    [table.reason, table.advice],
    [deadLetterText(table, now), table.lastDeadLetter?.advice ?? null],
    [table.limitation, null],
  ];
  for (const [sentence, advice] of notes) {
    if (sentence !== null) lines.push(`    ! ${sentence}`);
    if (advice !== null) lines.push(`      → ${advice}`);
  }
  return lines;
}

function ago(time: string, now: number): string {
  return formatDuration(Math.max(0, now - Date.parse(time)));
}
