/** The page at `/`: asks for `status` every two seconds while somebody looks, and shows it. */
import { arrange, byId, setText } from './elements.js';
import { isReady, PipelineCard } from './pipeline.js';
import { count, since } from './quantities.js';

/** @typedef {import('../../observability/status.ts').PipelineStatus} PipelineStatus */
/** @typedef {{ version: string, startedAt: string, pipelines: PipelineStatus[] }} Status */

const EVERY_MS = 2_000;
const TIMEOUT_MS = 10_000;
/** With fewer tables nobody has to search. */
const SEARCH_FROM = 10;

const main = byId('pipelines', HTMLElement);
const summary = byId('summary', HTMLElement);
const outage = byId('outage', HTMLElement);
const search = byId('search', HTMLLabelElement);
const input = search.querySelector('input');

/** @type {Map<string, PipelineCard>} */
const cards = new Map();
/** @type {Status | null} */
let last = null;
/** When it was told, by our clock, and how far the daemon's is ahead of ours. */
let toldAt = 0;
let ahead = 0;
/** @type {number | undefined} */
let timer;
let asking = false;

async function refresh() {
  clearTimeout(timer);
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch('status', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.status === 401) throw new Error('The daemon no longer takes the token: load the page anew.');
    if (!answer.ok) throw new Error(`The daemon answers ${answer.status}.`);
    last = await answer.json();
    toldAt = Date.now();
    const date = Date.parse(answer.headers.get('date') ?? '');
    // The header has whole seconds only; clocks that agree so far are taken to agree.
    ahead = Number.isNaN(date) || Math.abs(date - toldAt) < 2_000 ? 0 : date - toldAt;
    show();
    outage.hidden = true;
    document.body.classList.remove('stale');
  } catch (error) {
    const known =
      error instanceof Error && error.name === 'Error' ? error.message : 'The daemon does not answer.';
    const from = last === null ? '' : ` What is shown is from ${new Date(toldAt).toLocaleTimeString()}.`;
    setText(outage, `${known}${from}`);
    outage.hidden = false;
    document.body.classList.add('stale');
    document.title = '⚠ Headwater does not answer';
  } finally {
    asking = false;
    if (!document.hidden) timer = setTimeout(() => void refresh(), EVERY_MS);
  }
}

function show() {
  if (last === null) return;
  const { version, startedAt, pipelines } = last;
  const view = { now: Date.now() + ahead, wanted: input?.value.trim().toLowerCase() ?? '' };
  const ready = pipelines.filter(isReady).length;
  const troubled = pipelines.flatMap(({ tables }) =>
    tables.filter(({ state, lastDeadLetter }) => state === 'quarantined' || lastDeadLetter !== null),
  ).length;
  const trouble =
    troubled === 0 ? '' : ` · ${count(troubled)} ${troubled === 1 ? 'table needs' : 'tables need'} attention`;
  const all = pipelines.length;
  setText(
    summary,
    `${ready} of ${all} ${all === 1 ? 'pipeline' : 'pipelines'} ready${trouble} · up ${since(startedAt, view.now)}`,
  );
  setText(byId('version', HTMLElement), `version ${version}`);
  document.title = `${ready === all && troubled === 0 ? '' : '⚠ '}Headwater`;
  search.hidden = pipelines.reduce((sum, { tables }) => sum + tables.length, 0) < SEARCH_FROM;
  const names = new Set(pipelines.map(({ name }) => name));
  for (const name of cards.keys()) if (!names.has(name)) cards.delete(name);
  arrange(
    main,
    pipelines.map((pipeline) => {
      let card = cards.get(pipeline.name);
      if (card === undefined) {
        card = new PipelineCard(pipeline.name);
        cards.set(pipeline.name, card);
      }
      card.update(pipeline, view);
      return card.element;
    }),
  );
}

input?.addEventListener('input', show);
main.addEventListener('asked', () => {
  show();
  void refresh();
});
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) void refresh();
});
void refresh();
