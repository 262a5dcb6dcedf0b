import { arrange, element, setClass, setText } from './elements.js';
import { count, duration, since } from './quantities.js';

/** @typedef {import('../../observability/status.ts').TableStatus} TableStatus */

/** More rows than these are shown when they are asked for. */
const FIRST = 50;

const MOODS = { quarantined: 'bad', waiting: 'wait', snapshotting: 'wait', streaming: '' };

/** The tables of one pipeline: those with something to say first. */
export class Tables {
  #heading = element('h3');
  #body = element('tbody');
  #more = element('button', 'more');
  /** @type {Map<string, TableRow>} */
  #rows = new Map();
  #all = false;
  #onRead;

  /** @param {(table: string) => void} onRead */
  constructor(onRead) {
    this.#onRead = onRead;
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
          row = new TableRow(table.table, this.#onRead);
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
  #topic = element('small');
  #notes = element('div');
  #state = element('td');
  #schema = cell('Schema');
  #read = cell('Snapshot rows');
  #records = cell('Records');
  #last = cell('Last record');
  #button = element('button', '', 'Read again…');
  /** What the notes were made of. */
  #noted = '';

  /**
   * @param {string} name
   * @param {(table: string) => void} onRead
   */
  constructor(name, onRead) {
    this.#button.type = 'button';
    this.#button.addEventListener('click', () => onRead(name));
    this.#button.setAttribute('aria-label', `Read ${name} again`);
    this.element = element(
      'tr',
      '',
      element('td', 'name', name, this.#topic, this.#notes),
      this.#state,
      this.#schema,
      this.#read,
      this.#records,
      this.#last,
      element('td', '', this.#button),
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
    setText(this.#read, `${count(table.rowsSnapshotted)}${estimate}`);
    setText(this.#records, count(table.events));
    setText(this.#last, table.lastEventAt === null ? '–' : `${since(table.lastEventAt, now)} ago`);
    this.#button.disabled = !enabled;
    this.#note(table, now);
  }

  /**
   * @param {TableStatus} table
   * @param {number} now
   */
  #note({ reason, advice, limitation, deadLetters, lastDeadLetter }, now) {
    /** @type {Element[]} */
    const notes = [];
    if (reason !== null) notes.push(alert('bad', '', reason, advice));
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
