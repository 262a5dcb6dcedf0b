import { arrange, element, setClass, setText } from './elements.js';
import { count, duration, since } from './quantities.js';

/** @typedef {import('../../observability/status.ts').TableStatus} TableStatus */

/**
 * What can be asked for one table, by its name.
 * @typedef {object} TableRequests
 * @property {(table: string) => void} read
 * @property {(table: string) => void} pause
 * @property {(table: string) => void} resume
 */

/** More rows than these are shown when they are asked for. */
const FIRST = 50;

/** Of a table that an operator holds (emitter/paused-tables.ts). */
const HELD = 'request.table-paused';

const MOODS = { quarantined: 'bad', waiting: 'wait', snapshotting: 'wait', streaming: '' };

/** The tables of one pipeline: those with something to say first. */
export class Tables {
  #heading = element('h3');
  #body = element('tbody');
  #more = element('button', 'more');
  /** @type {Map<string, TableRow>} */
  #rows = new Map();
  #all = false;
  #asked;

  /** @param {TableRequests} asked */
  constructor(asked) {
    this.#asked = asked;
    this.#more.type = 'button';
    this.#more.addEventListener('click', () => {
      this.#all = !this.#all;
      this.#redraw();
    });
    const head = ['Table', 'State', 'Schema', 'Snapshot rows', 'Records', 'Last record', ''].map((name, i) =>
      element('th', i >= 2 && i <= 5 ? 'n' : '', name),
    );
    this.element = element(
      'section',
      'tables',
      this.#heading,
      element('table', '', element('thead', '', element('tr', '', ...head)), this.#body),
      this.#more,
    );
  }

  #redraw = () => {};

  /**
   * @param {readonly TableStatus[]} tables
   * @param {{ now: number, wanted: string, enabled: boolean }} view `wanted`: part of the names, in lower case.
   */
  update(tables, view) {
    this.#redraw = () => this.update(tables, view);
    const { now, wanted, enabled } = view;
    const matching = tables.filter(({ table }) => table.toLowerCase().includes(wanted));
    const sorted = matching.toSorted((a, b) => urgency(b) - urgency(a));
    const shown = this.#all ? sorted : sorted.slice(0, FIRST);
    const names = new Set(tables.map(({ table }) => table));
    for (const name of this.#rows.keys()) if (!names.has(name)) this.#rows.delete(name);
    arrange(
      this.#body,
      shown.map((table) => {
        let row = this.#rows.get(table.table);
        if (row === undefined) {
          row = new TableRow(table.table, this.#asked);
          this.#rows.set(table.table, row);
        }
        row.update(table, now, enabled);
        return row.element;
      }),
    );
    const of = matching.length === tables.length ? '' : `${count(matching.length)} of `;
    setText(this.#heading, `${of}${count(tables.length)} ${tables.length === 1 ? 'table' : 'tables'}`);
    this.element.hidden = tables.length === 0;
    this.#more.hidden = matching.length <= FIRST;
    setText(this.#more, this.#all ? `Show the first ${FIRST}` : `Show all ${count(matching.length)}`);
  }
}

/** @param {TableStatus} table */
function urgency({ state, lastDeadLetter, limitation }) {
  if (state === 'quarantined') return 4;
  if (lastDeadLetter !== null) return 3;
  if (state !== 'streaming') return 2;
  return limitation === null ? 0 : 1;
}

class TableRow {
  #name;
  #topic = element('small');
  #notes = element('div');
  #state = element('td');
  #schema = cell('Schema');
  #rows = cell('Snapshot rows');
  #records = cell('Records');
  #last = cell('Last record');
  #read = element('button', '', 'Read again…');
  #pause = element('button', '', 'Pause…');
  #held = false;
  /** What the notes were made of. */
  #noted = '';

  /**
   * @param {string} name
   * @param {TableRequests} asked
   */
  constructor(name, asked) {
    this.#name = name;
    for (const each of [this.#read, this.#pause]) each.type = 'button';
    this.#read.addEventListener('click', () => asked.read(name));
    this.#read.setAttribute('aria-label', `Read ${name} again`);
    this.#pause.addEventListener('click', () => (this.#held ? asked.resume : asked.pause)(name));
    this.element = element(
      'tr',
      '',
      element('td', 'name', name, this.#topic, this.#notes),
      this.#state,
      this.#schema,
      this.#rows,
      this.#records,
      this.#last,
      element('td', '', element('div', 'actions', this.#read, this.#pause)),
    );
  }

  /**
   * @param {TableStatus} table
   * @param {number} now
   * @param {boolean} enabled
   */
  update(table, now, enabled) {
    setText(this.#topic, table.topic === table.table ? '' : table.topic);
    setText(this.#state, table.state);
    setClass(this.#state, `state ${MOODS[table.state]}`);
    setText(this.#schema, table.schemaVersion === null ? '–' : `v${table.schemaVersion}`);
    const estimate =
      table.state === 'snapshotting' && table.estimatedRows !== null
        ? ` of ~${count(table.estimatedRows)}`
        : '';
    setText(this.#rows, `${count(table.rowsSnapshotted)}${estimate}`);
    setText(this.#records, count(table.events));
    setText(this.#last, table.lastEventAt === null ? '–' : `${since(table.lastEventAt, now)} ago`);
    this.#held = table.code === HELD;
    setText(this.#pause, this.#held ? 'Resume…' : 'Pause…');
    this.#pause.setAttribute('aria-label', `${this.#held ? 'Resume' : 'Pause'} ${this.#name}`);
    // Resuming reads it again.
    this.#read.hidden = this.#held;
    for (const each of [this.#read, this.#pause]) each.disabled = !enabled;
    this.#note(table, now);
  }

  /**
   * @param {TableStatus} table
   * @param {number} now
   */
  #note({ code, reason, advice, limitation, deadLetters, lastDeadLetter }, now) {
    /** @type {Element[]} */
    const notes = [];
    if (reason !== null) notes.push(alert('bad', code ?? '', reason, advice));
    if (lastDeadLetter !== null) {
      const ago = duration(Math.floor((now - Date.parse(lastDeadLetter.at)) / 60_000) * 60_000);
      const text = `${count(deadLetters)} in the dead-letter topic, the last ${ago === '0 ms' ? 'just now' : `${ago} ago`}: ${lastDeadLetter.message}`;
      notes.push(alert('bad', lastDeadLetter.code, text, lastDeadLetter.advice));
    }
    if (limitation !== null) notes.push(alert('', '', limitation, null));
    const made = notes.map(({ textContent }) => textContent).join('\n');
    if (made === this.#noted) return;
    this.#noted = made;
    this.#notes.replaceChildren(...notes);
  }
}

/** @param {string} label */
function cell(label) {
  const made = element('td', 'n');
  made.dataset['label'] = label;
  return made;
}

/**
 * @param {'bad' | 'good' | 'past' | ''} mood
 * @param {string} code
 * @param {string} text
 * @param {string | null} advice
 */
export function alert(mood, code, text, advice) {
  const made = element('div', `alert ${mood}`, text);
  if (code !== '') made.append(' ', element('code', '', code));
  if (advice !== null && advice !== '') made.append(element('span', 'advice', advice));
  return made;
}
