import { element, setText } from './elements.js';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 60;

/** A figure over the last minutes. */
export class Chart {
  #value = element('b');
  #top = element('span');
  #begin = element('span');
  #area = shape('path', 'area');
  #line = shape('path', 'line');
  #svg = document.createElementNS(SVG, 'svg');
  #format;
  #name;

  /**
   * @param {string} name
   * @param {(value: number) => string} format
   */
  constructor(name, format) {
    this.#format = format;
    this.#name = name;
    this.#svg.setAttribute('preserveAspectRatio', 'none');
    this.#svg.setAttribute('role', 'img');
    for (const y of [0.5, HEIGHT / 2, HEIGHT - 0.5]) {
      const rule = shape('path', 'grid');
      rule.setAttribute('d', `M0 ${y}H10000`);
      this.#svg.append(rule);
    }
    this.#svg.append(this.#area, this.#line);
    this.element = element(
      'figure',
      '',
      element('figcaption', '', element('span', '', `${name} `, this.#value), this.#top),
      this.#svg,
      element('div', 'axis', this.#begin, element('span', '', 'now')),
    );
  }

  /**
   * @param {readonly (number | null)[]} values Oldest first; null leaves a hole.
   * @param {number} sampleMs
   * @param {string} current
   */
  update(values, sampleMs, current) {
    const known = values.some((value) => value !== null);
    const top = Math.max(0, ...values.map((value) => value ?? 0));
    const width = Math.max(1, values.length - 1);
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    let line = '';
    let area = '';
    let begin = -1;
    for (const [x, value] of values.entries()) {
      if (value === null) {
        if (begin >= 0) area += `V${HEIGHT}H${begin}Z`;
        begin = -1;
        continue;
      }
      const y = (HEIGHT - 1 - (top === 0 ? 0 : (value / top) * (HEIGHT - 3))).toFixed(1);
      line += begin < 0 ? `M${x} ${y}` : `L${x} ${y}`;
      area += begin < 0 ? `M${x} ${HEIGHT}V${y}` : `L${x} ${y}`;
      if (begin < 0) begin = x;
    }
    if (begin >= 0) area += `V${HEIGHT}H${begin}Z`;
    this.#line.setAttribute('d', line);
    this.#area.setAttribute('d', area);
    const minutes = Math.round((values.length * sampleMs) / 60_000);
    this.#svg.setAttribute(
      'aria-label',
      `${this.#name} of the last ${minutes} minutes: now ${current}, at most ${this.#format(top)}`,
    );
    setText(this.#value, current);
    setText(this.#top, known ? `at most ${this.#format(top)}` : '');
    setText(this.#begin, `${minutes} min ago`);
  }
}

/**
 * @param {'path'} tag
 * @param {string} className
 */
function shape(tag, className) {
  const made = document.createElementNS(SVG, tag);
  made.setAttribute('class', className);
  return made;
}
