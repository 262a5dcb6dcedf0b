/** The properties of WITH, as far as this version follows them. */
import type { Code } from '../../errors/catalogue.ts';
import { nearest } from '../../errors/nearest.ts';
import type { Property } from '../sql/ast.ts';
import { notSupported, type SourceText, sqlError } from '../sql/sql-error.ts';

const FORMATS = ['KAFKA', 'JSON', 'AVRO', 'DELIMITED', 'NONE'] as const;
const LATER_FORMATS: ReadonlySet<string> = new Set(['JSON_SR', 'PROTOBUF', 'PROTOBUF_NOSR']);

/** What section 4 of the dialect knows and this version does not follow. */
const LATER: ReadonlyMap<string, string> = new Map([
  ['RETENTION_MS', 'it is of the topics of results'],
  ['CLEANUP_POLICY', 'it is of the topics of results'],
  ['WINDOW_TYPE', 'windows are not in this version'],
  ['WINDOW_SIZE', 'windows are not in this version'],
  ['HISTORY', 'tables keep no old versions in this version'],
]);

export function isTopicName(topic: string): boolean {
  return /^[A-Za-z0-9._-]{1,249}$/.test(topic) && topic !== '.' && topic !== '..';
}

export function notATopic(topic: string): string {
  return `${JSON.stringify(topic)} cannot be the name of a topic (letters, digits, dots, hyphens, underscores); write WITH (KAFKA_TOPIC = '…')`;
}

export class Properties {
  readonly #source: SourceText;
  readonly #at: number;
  readonly #values = new Map<string, Property>();

  /** `known`: what is followed here. Throws for anything else. */
  constructor(source: SourceText, at: number, properties: readonly Property[], known: readonly string[]) {
    this.#source = source;
    this.#at = at;
    for (const property of properties) {
      const { key } = property;
      if (!known.includes(key)) throw this.#unknown(property, known);
      this.#values.set(key, property);
    }
  }

  text(key: string): string | null {
    const property = this.#values.get(key);
    if (property === undefined) return null;
    if (typeof property.value === 'string' && property.value !== '') return property.value;
    throw sqlError(this.#source, property.at, `${key} takes a text in single quotes`);
  }

  flag(key: string): boolean | null {
    const property = this.#values.get(key);
    if (property === undefined) return null;
    const { value } = property;
    if (typeof value === 'boolean') return value;
    if (typeof value === 'string' && /^(true|false)$/i.test(value)) return value.toLowerCase() === 'true';
    throw sqlError(this.#source, property.at, `${key} takes TRUE or FALSE`);
  }

  choice<C extends string>(key: string, choices: readonly C[]): C | null {
    const text = this.text(key)?.toUpperCase();
    if (text === undefined) return null;
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    throw sqlError(this.#source, this.at(key), `${key} is one of ${choices.join(', ')}`);
  }

  /** KEY_FORMAT, VALUE_FORMAT and FORMAT for both. */
  format(key: 'KEY_FORMAT' | 'VALUE_FORMAT'): (typeof FORMATS)[number] | null {
    const both = this.#values.has('FORMAT');
    if (both && this.#values.has(key))
      throw sqlError(this.#source, this.at(key), `FORMAT sets ${key} too; keep one of them`);
    const used = both ? 'FORMAT' : key;
    const text = this.text(used)?.toUpperCase();
    if (text === undefined) return null;
    if (LATER_FORMATS.has(text))
      throw notSupported(
        this.#source,
        this.at(used),
        `the format ${text} is not in this version; write AVRO or JSON`,
      );
    return this.choice(used, FORMATS);
  }

  /** A whole number of at least 1. */
  count(key: string): number | null {
    const property = this.#values.get(key);
    if (property === undefined) return null;
    const { value } = property;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
    throw sqlError(this.#source, property.at, `${key} takes a whole number of at least 1`);
  }

  topic(key: string): string | null {
    const topic = this.text(key);
    if (topic === null || isTopicName(topic)) return topic;
    throw this.error(key, notATopic(topic));
  }

  /** VALUE_DELIMITER: one character, or its name; null where it is not set. */
  delimiter(): string | null {
    const text = this.text('VALUE_DELIMITER');
    if (text === null) return null;
    if (text.toUpperCase() === 'SPACE') return ' ';
    if (text.toUpperCase() === 'TAB') return '\t';
    if (text.length === 1 && text !== '"') return text;
    throw this.error('VALUE_DELIMITER', 'VALUE_DELIMITER is one character, SPACE or TAB');
  }

  at(key: string): number {
    return this.#values.get(key)?.at ?? this.#at;
  }

  error(key: string, sentence: string, code?: Code): Error {
    return sqlError(this.#source, this.at(key), sentence, code);
  }

  #unknown({ key, at }: Property, known: readonly string[]): Error {
    const later = LATER.get(key);
    if (later !== undefined) return notSupported(this.#source, at, `${key} cannot be used: ${later}`);
    const meant = nearest(key, known);
    const hint = meant === null ? `; known here: ${known.join(', ')}` : `; did you mean ${meant}?`;
    return sqlError(this.#source, at, `there is no property ${key}${hint}`);
  }
}
