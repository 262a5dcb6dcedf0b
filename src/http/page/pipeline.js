import { ask, request } from './ask.js';
import { Chart } from './chart.js';
import { arrange, element, setClass, setText } from './elements.js';
import { bytes, count, duration, short, since } from './quantities.js';
import { alert, Tables } from './tables.js';

/** @typedef {import('../../observability/status.ts').PipelineStatus} PipelineStatus */
/** @typedef {import('../../observability/status.ts').SnapshotProgress} SnapshotProgress */
/** @typedef {import('../../observability/status.ts').QueryStatus} QueryStatus */

/** As `/readyz` means it (observability/metrics.ts). */
const WORKING = new Set(['streaming', 'snapshotting', 'standby']);

/**
 * How changes are found, what the pipeline does, and who does it where this process stands by.
 * @param {PipelineStatus} status
 */
function stateText({ connector, capture, state, heldBy }) {
  const polled = capture?.mode === 'poll' ? ', polled' : '';
  if (heldBy === null) return `${connector}${polled} · ${state}`;
  const where = heldBy.http === null ? '' : ` (${heldBy.http})`;
  return `${connector}${polled} · ${state}, run by process ${heldBy.pid} on ${heldBy.host}${where},`;
}

/** @param {PipelineStatus} status */
export function isReady({ state, progressing }) {
  return progressing && WORKING.has(state);
}

/** One pipeline of the page. */
export class PipelineCard {
  #name;
  #dot = element('span', 'dot');
  #state = element('small');
  #pause = button('Pause');
  #hold = button('Hold the snapshot');
  #stop = button('End the snapshot…');
  #answer = element('div');
  #alerts = element('div');
  #throughput = new Chart('Records a second', short);
  #lag = new Chart('Lag', duration);
  #facts = element('dl');
  #snapshot = element('div');
  #snapshotText = element('p');
  #bar = element('progress');
  #queries = element('section');
  #tables;
  #alerted = '';
  #queriesMade = '';
  #paused = false;
  #held = false;
  #busy = false;

  /** @param {string} name */
  constructor(name) {
    this.#name = name;
    this.#tables = new Tables({
      read: (table) => void this.#read(table),
      pause: (table) => void this.#pauseTable(table),
      resume: (table) => void this.#resumeTable(table),
    });
    this.#answer.setAttribute('role', 'status');
    this.#pause.addEventListener('click', () => void this.#pauseOrResume());
    this.#hold.addEventListener('click', () => {
      const action = this.#held ? 'snapshot-resume' : 'snapshot-pause';
      void this.#send(
        action,
        {},
        this.#held ? 'The snapshot goes on.' : 'The snapshot is held; streaming goes on.',
      );
    });
    this.#stop.addEventListener('click', () => void this.#end());
    this.#bar.setAttribute('aria-label', 'Snapshot');
    this.#snapshot.append(element('h3', '', 'Snapshot'), this.#snapshotText, this.#bar);
    this.element = element(
      'section',
      'pipeline',
      element(
        'div',
        'title',
        this.#dot,
        element('h2', '', name),
        this.#state,
        element('div', 'actions', this.#hold, this.#stop, this.#pause),
      ),
      this.#answer,
      this.#alerts,
      element('div', 'charts', this.#throughput.element, this.#lag.element),
      this.#facts,
      this.#snapshot,
      this.#queries,
      this.#tables.element,
    );
  }

  /**
   * @param {PipelineStatus} status
   * @param {{ now: number, wanted: string }} view
   */
  update(status, view) {
    const { now } = view;
    const { recent, lagMs, state } = status;
    setClass(
      this.#dot,
      `dot ${isReady(status) ? 'good' : state === 'failed' || !status.progressing ? 'bad' : ''}`,
    );
    setText(this.#state, `${stateText(status)} for ${since(status.since, now)}`);
    this.#throughput.update(recent.recordsPerSecond, recent.sampleMs, short(status.eventsPerSecond));
    const lag = lagMs === null ? 'unknown' : status.caughtUp ? 'none' : duration(lagMs);
    this.#lag.update(recent.lagMs, recent.sampleMs, lag);
    this.#showActions(status);
    this.#showAlerts(status, now);
    this.#showFacts(status, now);
    this.#showSnapshot(status.snapshot);
    this.#showQueries(status.queries);
    const enabled = !this.#busy && (state === 'streaming' || state === 'snapshotting');
    this.#tables.update(status.tables, { ...view, enabled });
  }

  /** @param {PipelineStatus} status */
  #showActions({ state, snapshot }) {
    const works = state === 'streaming' || state === 'snapshotting';
    this.#paused = state === 'paused';
    this.#held = snapshot?.paused === true;
    setText(this.#pause, this.#paused ? 'Resume' : 'Pause…');
    this.#pause.hidden = !works && !['paused', 'starting', 'backing-off'].includes(state);
    setText(this.#hold, this.#held ? 'Go on with the snapshot' : 'Hold the snapshot');
    this.#hold.hidden = !works || !(this.#held || snapshot?.running === true);
    this.#stop.hidden = this.#hold.hidden;
    for (const each of [this.#pause, this.#hold, this.#stop]) each.disabled = this.#busy;
  }

  /**
   * @param {PipelineStatus} status
   * @param {number} now
   */
  #showAlerts(status, now) {
    const { lastError, retryInMs, retainedBytes, retainedBudgetBytes } = status;
    /** @type {Element[]} */
    const alerts = [];
    if (!status.progressing) {
      alerts.push(alert('bad', '', 'The source advances and nothing is delivered.', null));
    }
    if (lastError !== null) {
      // One that is over is history.
      const over = isReady(status);
      const again = retryInMs === null ? '' : ` Tries again in ${duration(retryInMs)}.`;
      const text = `${over ? 'Earlier: ' : ''}${lastError.message} (${since(lastError.at, now)} ago)${again}`;
      alerts.push(alert(over ? 'past' : 'bad', lastError.code, text, lastError.advice));
    }
    if (retainedBytes !== null && retainedBudgetBytes !== null && retainedBytes > retainedBudgetBytes) {
      const text = `The source keeps ${bytes(retainedBytes)} of log for this pipeline, more than the budget of ${bytes(retainedBudgetBytes)}.`;
      alerts.push(alert('bad', '', text, 'Look at what keeps it from delivering, before the disk is full.'));
    }
    if (status.capture?.mode === 'poll' && status.capture.reason !== null) {
      alerts.push(alert('', '', `Polled, since the log cannot be read: ${status.capture.reason}`, null));
    }
    for (const warning of status.warnings) alerts.push(alert('', '', warning, null));
    const made = alerts.map(({ textContent }) => textContent).join('\n');
    if (made === this.#alerted) return;
    this.#alerted = made;
    this.#alerts.replaceChildren(...alerts);
  }

  /**
   * @param {PipelineStatus} status
   * @param {number} now
   */
  #showFacts(status, now) {
    const { counters, retainedBytes, retainedBudgetBytes, headroomMs } = status;
    const changes = counters.creates + counters.updates + counters.deletes + counters.truncates;
    const last = status.lastDeliveryAt === null ? '–' : `${since(status.lastDeliveryAt, now)} ago`;
    /** @type {[name: string, value: string, className?: string, valueClass?: string][]} */
    const facts = [
      ['Changes', count(changes)],
      ['Snapshot rows', count(counters.reads)],
      ['Transactions', count(counters.transactions)],
      ['Delivered', bytes(counters.recordBytes)],
      ['Last delivery', last],
      ['Disconnects', count(counters.disconnects)],
    ];
    if (retainedBytes !== null) {
      const over = retainedBudgetBytes !== null && retainedBytes > retainedBudgetBytes;
      const of = retainedBudgetBytes === null ? '' : ` of ${bytes(retainedBudgetBytes)}`;
      facts.push(['Log kept by the source', `${bytes(retainedBytes)}${of}`, '', over ? 'bad' : '']);
    }
    if (headroomMs !== null) {
      const text = headroomMs <= 0 ? 'none' : duration(headroomMs);
      facts.push(['Until the log is purged', text, '', headroomMs < 3_600_000 ? 'bad' : '']);
    }
    facts.push(['Position', status.position === null ? '–' : JSON.stringify(status.position), 'wide']);
    while (this.#facts.children.length < facts.length) {
      this.#facts.append(element('div', '', element('dt'), element('dd')));
    }
    while (this.#facts.children.length > facts.length) this.#facts.lastElementChild?.remove();
    for (const [index, [name, value, className = '', valueClass = '']] of facts.entries()) {
      const row = this.#facts.children[index];
      const [term, text] = row?.children ?? [];
      if (row === undefined || term === undefined || text === undefined) continue;
      setClass(row, className);
      setText(term, name);
      setText(text, value);
      setClass(text, valueClass);
    }
  }

  /** @param {SnapshotProgress | null} snapshot */
  #showSnapshot(snapshot) {
    this.#snapshot.hidden = snapshot === null;
    if (snapshot === null) return;
    const { running, paused, completedAt, rows, estimatedRows, tablesDone, tablesTotal, tablesFailed } =
      snapshot;
    const state = running ? 'Under way' : completedAt !== null ? 'Complete' : paused ? 'Held' : 'Incomplete';
    const parts = [`${state}: ${count(tablesDone)} of ${count(tablesTotal)} tables`, `${count(rows)} rows`];
    if (tablesFailed > 0) parts.push(`${count(tablesFailed)} given up`);
    if (running) parts.push(`${count(snapshot.rowsPerSecond)} a second`);
    if (running && snapshot.remainingMs !== null) parts.push(`about ${duration(snapshot.remainingMs)} left`);
    setText(this.#snapshotText, parts.join(' · '));
    this.#bar.hidden = !running && !paused;
    if (estimatedRows === null) {
      this.#bar.max = Math.max(1, tablesTotal);
      this.#bar.value = tablesDone;
    } else {
      this.#bar.max = Math.max(1, estimatedRows, rows);
      this.#bar.value = rows;
    }
  }

  /** @param {readonly QueryStatus[]} queries */
  #showQueries(queries) {
    this.#queries.hidden = queries.length === 0;
    // Whoever reads a statement keeps it open.
    const ids = queries.map(({ id }) => id).join('\n');
    if (ids !== this.#queriesMade) {
      this.#queriesMade = ids;
      const rows = queries.map(({ statement }) =>
        element('details', '', element('summary'), element('pre', '', statement)),
      );
      this.#queries.replaceChildren(element('h3', '', 'Enrichment'), ...rows);
    }
    for (const [index, { id, topic, records, problems, paused }] of queries.entries()) {
      const summary = this.#queries.querySelectorAll('summary')[index];
      if (summary === undefined) continue;
      const trouble =
        problems === 0 ? '' : ` · ${count(problems)} values could not be worked out: the log says which`;
      const work = `${id} → ${topic} · ${count(records)} records${trouble}`;
      setText(summary, paused === null ? work : `${id} is paused: ${paused}`);
      setClass(summary, problems === 0 && paused === null ? '' : 'trouble');
    }
  }

  async #pauseOrResume() {
    if (this.#paused) {
      await this.#send('resume', {}, 'It goes on.');
      return;
    }
    const answer = await ask({
      title: `Pause ${this.#name}?`,
      text: 'It stops reading and delivering until it is resumed or the process starts anew. The source goes on keeping its log for it.',
      yes: 'Pause',
    });
    if (answer !== null) await this.#send('pause', {}, 'It is paused.');
  }

  async #end() {
    const answer = await ask({
      title: `End the snapshot of ${this.#name}?`,
      text: 'Rows that have not been read are left out. Changes are delivered as ever.',
      yes: 'End it',
    });
    if (answer !== null) await this.#send('snapshot-stop', { tables: [] }, 'The rest is left unread.');
  }

  /** @param {string} table */
  async #read(table) {
    const answer = await ask({
      title: `Read ${table} again?`,
      text: 'Its rows are delivered once more as op r, in chunks merged with the stream, so that no row overtakes a change.',
      yes: 'Read it',
      where: true,
    });
    if (answer === null) return;
    const { where } = answer;
    const [action, content] =
      where === null ? ['resync', { tables: [table] }] : ['snapshot', { tables: [table], where }];
    await this.#send(action, content, `${table} is read again.`);
  }

  /** @param {string} table */
  async #pauseTable(table) {
    const answer = await ask({
      title: `Pause ${table}?`,
      text: 'What changes in it is left out until it is resumed, also over restarts; the other tables go on. The log cannot be kept for one table alone: it is read again then, and rows deleted meanwhile are not told.',
      yes: 'Pause it',
    });
    if (answer !== null) await this.#send('pause', { tables: [table] }, `${table} is paused.`);
  }

  /** @param {string} table */
  async #resumeTable(table) {
    const answer = await ask({
      title: `Resume ${table}?`,
      text: 'All its rows are read again and delivered as op r; what changes from now on follows. Rows that were deleted meanwhile are not told.',
      yes: 'Resume it',
    });
    if (answer !== null)
      await this.#send('resume', { tables: [table] }, `${table} is read again and goes on.`);
  }

  /**
   * @param {string} action
   * @param {object} content
   * @param {string} done
   */
  async #send(action, content, done) {
    this.#busy = true;
    for (const each of this.element.querySelectorAll('button')) each.disabled = true;
    this.#answer.replaceChildren(alert('', '', 'Waiting for the pipeline…', null));
    const refused = await request(this.#name, action, content);
    this.#busy = false;
    arrange(this.#answer, [
      refused === null ? alert('good', '', done, null) : alert('bad', '', refused, null),
    ]);
    this.element.dispatchEvent(new Event('asked', { bubbles: true }));
  }
}

/** @param {string} text */
function button(text) {
  const made = element('button', '', text);
  made.type = 'button';
  return made;
}
