import { deadLetterText } from '../observability/dead-letter-text.ts';
import { isReady } from '../observability/metrics.ts';
import { formatBytes, formatCount, formatDuration } from '../observability/quantities.ts';
import type { PipelineStatus, SnapshotProgress, TableStatus } from '../observability/status.ts';

export interface StatusPage {
  readonly version: string;
  readonly startedAt: string;
  readonly pipelines: readonly PipelineStatus[];
  readonly now: number;
}

/** The page at `/`: one document, no script, made anew every two seconds. */
export function statusPage(page: StatusPage): string {
  const ready = page.pipelines.filter(isReady).length;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="2">
<title>${ready === page.pipelines.length ? '' : '⚠ '}Headwater</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Headwater</h1>
<p>${ready} of ${page.pipelines.length} pipelines ready · up ${formatDuration(page.now - Date.parse(page.startedAt))} · version ${escape(page.version)}</p>
</header>
${page.pipelines.map((pipeline) => pipelineSection(pipeline, page.now)).join('\n')}
<footer><a href="/status">status as JSON</a> · <a href="/metrics">metrics</a> · <a href="/healthz?verbose">health</a></footer>
</body>
</html>
`;
}

function pipelineSection(pipeline: PipelineStatus, now: number): string {
  const { counters, lastError, retryInMs } = pipeline;
  const changes = counters.creates + counters.updates + counters.deletes + counters.truncates;
  const mood = isReady(pipeline) ? 'good' : pipeline.state === 'failed' ? 'bad' : 'wait';
  const lag = pipeline.lagMs === null ? '–' : pipeline.lagMs === 0 ? 'none' : formatDuration(pipeline.lagMs);
  const facts = [
    fact('Lag', lag),
    fact('Throughput', `${formatCount(pipeline.eventsPerSecond)} /s`),
    fact('Changes', formatCount(changes)),
    fact('Snapshot rows', formatCount(counters.reads)),
    fact('Delivered', formatBytes(counters.recordBytes)),
    fact('Retained log', retained(pipeline)),
    fact('Last delivery', ago(pipeline.lastDeliveryAt, now)),
    fact('Position', text(pipeline.position)),
  ];
  const warnings = [
    ...pipeline.warnings,
    pipeline.progressing ? null : 'The source advances and nothing is delivered.',
    overBudget(pipeline) ? 'The source keeps more log than source.postgres.wal_budget allows.' : null,
    lastError === null
      ? null
      : `${lastError.code}: ${lastError.message} (${ago(lastError.at, now)}${retryInMs === null ? '' : `, tries again in ${formatDuration(retryInMs)}`})`,
  ].filter((warning) => warning !== null);
  return `<section>
<h2><span class="dot ${mood}"></span>${escape(pipeline.name)} <small>${escape(pipeline.connector)} · ${escape(pipeline.state)} since ${ago(pipeline.since, now, false)}</small></h2>
${warnings.map((warning) => `<p class="warning">${escape(warning)}</p>`).join('\n')}
<dl>${facts.join('')}</dl>
${pipeline.snapshot === null ? '' : snapshotBar(pipeline.snapshot)}
${pipeline.tables.length === 0 ? '' : tablesTable(pipeline.tables, now)}
</section>`;
}

function snapshotBar(snapshot: SnapshotProgress): string {
  const done = `${snapshot.tablesDone} of ${snapshot.tablesTotal} tables, ${formatCount(snapshot.rows)} rows`;
  if (!snapshot.running) {
    return snapshot.completedAt === null ? '' : `<p>Snapshot complete: ${done}.</p>`;
  }
  const total = Math.max(snapshot.estimatedRows ?? 0, snapshot.rows);
  const left = snapshot.remainingMs === null ? '' : `, about ${formatDuration(snapshot.remainingMs)} left`;
  return `<p>Snapshot: ${done}, ${formatCount(snapshot.rowsPerSecond)} rows/s${left}</p>
<progress max="${total || 1}" value="${snapshot.rows}"></progress>`;
}

function tablesTable(tables: readonly TableStatus[], now: number): string {
  const rows = tables.map(
    (table) => `<tr${table.state === 'quarantined' ? ' class="bad"' : ''}>
<td>${escape(table.table)}${note(table.reason)}${note(deadLetterText(table, now))}${note(table.limitation)}</td><td>${escape(table.topic)}</td><td>${escape(table.state)}</td>
<td class="n">${formatCount(table.rowsSnapshotted)}${table.estimatedRows === null || table.state !== 'snapshotting' ? '' : ` of ~${formatCount(table.estimatedRows)}`}</td>
<td class="n">${formatCount(table.events)}</td><td>${ago(table.lastEventAt, now)}</td></tr>`,
  );
  return `<div class="scroll"><table>
<thead><tr><th>Table</th><th>Topic</th><th>State</th><th class="n">Snapshot rows</th><th class="n">Records</th><th>Last record</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>`;
}

function note(sentence: string | null): string {
  return sentence === null ? '' : `<br><small>${escape(sentence)}</small>`;
}

function fact(name: string, value: string): string {
  return `<div><dt>${name}</dt><dd>${escape(value)}</dd></div>`;
}

function retained({ retainedBytes, retainedBudgetBytes }: PipelineStatus): string {
  if (retainedBytes === null) return '–';
  return retainedBudgetBytes === null
    ? formatBytes(retainedBytes)
    : `${formatBytes(retainedBytes)} of ${formatBytes(retainedBudgetBytes)}`;
}

function overBudget({ retainedBytes, retainedBudgetBytes }: PipelineStatus): boolean {
  return retainedBytes !== null && retainedBudgetBytes !== null && retainedBytes > retainedBudgetBytes;
}

function ago(time: string | null, now: number, suffix = true): string {
  if (time === null) return '–';
  return `${formatDuration(Math.max(0, now - Date.parse(time)))}${suffix ? ' ago' : ''}`;
}

function text(value: unknown): string {
  if (value === null || value === undefined) return '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(value: string): string {
  return value.replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign]!);
}

const STYLE = `
:root { --fg: #1c2127; --soft: #5f6b7a; --line: #d8dde3; --bg: #f6f7f9; --card: #fff; --good: #1a7f4b; --wait: #b26a00; --bad: #c3302b }
@media (prefers-color-scheme: dark) {
  :root { --fg: #e6e9ed; --soft: #98a3b0; --line: #333a43; --bg: #14171b; --card: #1c2026; --good: #3fbf7f; --wait: #e2a03f; --bad: #f0706a }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem; max-width: 70rem; font: 15px/1.45 system-ui, sans-serif; color: var(--fg); background: var(--bg) }
h1 { margin: 0; font-size: 1.4rem } h2 { margin: 0 0 .75rem; font-size: 1.1rem } small, dt, th, header p, footer { color: var(--soft); font-weight: normal }
header p { margin: .1rem 0 1rem }
section { margin: 0 0 1rem; padding: 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem }
.dot { display: inline-block; width: .7rem; height: .7rem; margin-right: .5rem; border-radius: 50%; background: var(--wait) } .dot.good { background: var(--good) } .dot.bad { background: var(--bad) }
.warning { margin: .5rem 0; padding: .4rem .6rem; border-left: 3px solid var(--bad); overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .75rem; margin: 0 0 .75rem }
dt { font-size: .8rem } dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
progress { width: 100%; accent-color: var(--good) }
.scroll { overflow-x: auto } table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .35rem .6rem .35rem 0; text-align: left; border-top: 1px solid var(--line); vertical-align: top; white-space: nowrap } td:first-child { white-space: normal } .n { text-align: right } tr.bad td { color: var(--bad) }
a { color: inherit }
`;
