/** What names mean inside of one SELECT. */
import { nearest } from '../../errors/nearest.ts';
import { AGGREGATE_NAMES } from '../sql/functions/aggregates.ts';
import type { SqlColumn } from '../sources/captured-source.ts';
import { keysInOrder, type Source } from '../sources/catalog.ts';
import type { Expr } from '../sql/ast.ts';
import type { Scope } from '../sql/coerce.ts';
import type { Typed } from '../sql/frame.ts';
import { notSupported, type SourceText, sqlError } from '../sql/sql-error.ts';
import { BIGINT, BOOLEAN, STRING } from '../sql/sql-type.ts';
import type { Dialect } from '../sql/token-cursor.ts';
import { equalValues } from '../sql/value.ts';

export interface Input {
  readonly source: Source;
  /** The alias, else the source's name. */
  readonly alias: string;
}

export interface ResolvedColumn {
  readonly input: number;
  readonly column: number;
}

type NameExpr = Expr & { readonly kind: 'name' };
type CallExpr = Expr & { readonly kind: 'call' };

/** Columns that every source has without declaring them. */
const WINDOW_COLUMNS: ReadonlySet<string> = new Set(['WINDOWSTART', 'WINDOWEND']);
const KAFKA_COLUMNS: ReadonlySet<string> = new Set(['ROWPARTITION', 'ROWOFFSET']);
const CHANGE_COLUMNS: ReadonlySet<string> = new Set(['__OP', '__BEFORE', '__TX', '__POS']);
const CHANGE_FUNCTIONS: ReadonlySet<string> = new Set([
  'CDC_OP',
  'CDC_BEFORE',
  'CDC_CHANGED',
  'CDC_TX',
  'CDC_POS',
]);

export class SelectScope implements Scope {
  readonly source: SourceText;
  readonly #dialect: Dialect;
  readonly #warnings: string[];
  readonly #inputs: Input[] = [];
  /** Whether something asked what kind of change the event is: then deletes have values too. */
  usesChange = false;

  constructor(source: SourceText, dialect: Dialect, warnings: string[]) {
    this.source = source;
    this.#dialect = dialect;
    this.#warnings = warnings;
  }

  get inputs(): readonly Input[] {
    return this.#inputs;
  }

  add(input: Input, at: number): void {
    if (this.#inputs.some(({ alias }) => alias === input.alias))
      throw sqlError(this.source, at, `two sources are called ${input.alias}; give one another name with AS`);
    this.#inputs.push(input);
  }

  warn(sentence: string): void {
    if (!this.#warnings.includes(sentence)) this.#warnings.push(sentence);
  }

  get friendly(): boolean {
    return this.#dialect === 'friendly';
  }

  column(name: NameExpr): Typed {
    const resolved = this.resolve(name);
    if (resolved !== null) return this.columnAt(resolved, name.at);
    return this.#pseudo(name) ?? this.#rowKey(name) ?? this.#unknown(name);
  }

  columnAt({ input, column }: ResolvedColumn, at: number): Typed {
    const { source } = this.#input(input);
    const { type } = this.#columnOf(input, column);
    if (source.captured?.holds(column) === false) throw this.#notKept(input, column, at);
    const slot = source.captured === null ? column : source.captured.slot(column);
    return { type, at, run: (frame) => frame.rows[input]?.[slot] ?? null };
  }

  #notKept(input: number, column: number, at: number): Error {
    const { source } = this.#input(input);
    const kept = source.columns.filter((_, i) => source.captured?.holds(i)).map(({ name }) => name);
    return notSupported(
      this.source,
      at,
      `${this.#columnOf(input, column).name} of ${source.name} is not kept, since no statement uses it (kept: ${kept.join(', ')}); CREATE SOURCE TABLE keeps all columns`,
    );
  }

  /** The column that the name stands for; null where it is none. Throws where it could be several. */
  resolve({ source, name, at }: NameExpr): ResolvedColumn | null {
    if (source !== null) {
      const input = this.inputOf(source, at);
      const column = this.#input(input).source.columns.findIndex((each) => each.name === name);
      return column < 0 ? null : { input, column };
    }
    const found: ResolvedColumn[] = [];
    for (const [input, { source }] of this.#inputs.entries()) {
      const column = source.columns.findIndex((each) => each.name === name);
      if (column >= 0) found.push({ input, column });
    }
    const [first, second] = found;
    if (first !== undefined && second !== undefined) {
      const options = found.map(({ input }) => `${this.#input(input).alias}.${name}`).join(' or ');
      throw sqlError(this.source, at, `${name} could be ${options}; write which`);
    }
    return first ?? null;
  }

  /** The source with that alias; in the friendly dialect also one that it is the beginning of. */
  inputOf(alias: string, at: number): number {
    const exact = this.#inputs.findIndex((input) => input.alias === alias || input.source.name === alias);
    if (exact >= 0) return exact;
    const begins = this.#inputs.flatMap((input, i) => (input.source.name.startsWith(alias) ? [i] : []));
    const [only] = begins;
    if (this.friendly && only !== undefined && begins.length === 1) {
      this.warn(`${alias} is not declared and taken for ${this.#input(only).source.name}`);
      return only;
    }
    const known = this.#inputs.map((input) => input.alias);
    const meant = nearest(alias, known);
    throw sqlError(
      this.source,
      at,
      `there is no source ${alias} in FROM${meant === null ? `; there is ${known.join(', ')}` : `; did you mean ${meant}?`}`,
    );
  }

  call(call: CallExpr): Typed | null {
    if (call.name === 'EXPLODE')
      throw sqlError(this.source, call.at, 'EXPLODE stands alone in the projection: EXPLODE(array) AS NAME');
    if (AGGREGATE_NAMES.has(call.name))
      throw sqlError(
        this.source,
        call.at,
        `${call.name} belongs to the projection or HAVING of a query with GROUP BY`,
      );
    if (!CHANGE_FUNCTIONS.has(call.name)) return null;
    const { name, args, at } = call;
    const [arg] = args;
    if (name === 'CDC_OP' || name === 'CDC_TX' || name === 'CDC_POS') {
      if (args.length > 0) throw sqlError(this.source, at, `${name} takes no argument`);
      return this.#change(`__${name.slice(4)}`, at);
    }
    if (arg?.kind !== 'name' || args.length !== 1)
      throw sqlError(this.source, at, `${name} takes the name of one column of the change stream`);
    const resolved = this.resolve(arg);
    if (resolved?.input !== 0)
      throw sqlError(this.source, arg.at, `${name} takes a column of the change stream`);
    this.#needChanges(name, at);
    const { type } = this.#columnOf(0, resolved.column);
    const slot = this.#input(0).source.captured?.slot(resolved.column) ?? resolved.column;
    if (name === 'CDC_BEFORE') return { type, at, run: (frame) => frame.change?.before?.[slot] ?? null };
    return {
      type: BOOLEAN,
      at,
      run: (frame) => {
        const { change } = frame;
        if (change === null) return null;
        // Of an inserted or deleted row all columns are different.
        if (change.op !== 'u') return true;
        if (change.before === null) return null;
        return !equalValues(type, change.before[slot] ?? null, frame.rows[0]?.[slot] ?? null);
      },
    };
  }

  #change(name: string, at: number): Typed {
    this.#needChanges(name, at);
    switch (name) {
      case '__OP':
        return { type: STRING, at, run: (frame) => frame.change?.op ?? null };
      case '__TX':
        return { type: STRING, at, run: (frame) => frame.change?.tx ?? null };
      case '__POS':
        return { type: STRING, at, run: (frame) => frame.change?.position ?? null };
      default: {
        const { source } = this.#input(0);
        const slots = source.columns.map((_, i) => source.captured?.slot(i) ?? i);
        const fields = source.columns.map(({ name, type }) => ({ name, type }));
        return {
          type: { kind: 'STRUCT', fields },
          at,
          run: (frame) => {
            const before = frame.change?.before;
            return before == null ? null : slots.map((slot) => before[slot] ?? null);
          },
        };
      }
    }
  }

  #needChanges(name: string, at: number): void {
    const first = this.#input(0).source;
    if (first.kind !== 'STREAM' || first.captured === null)
      throw sqlError(
        this.source,
        at,
        `${name} is known only where FROM names the change stream of a captured table (WITH (CDC_TABLE = …))`,
      );
    this.usesChange = true;
  }

  #pseudo({ source, name, at }: NameExpr): Typed | null {
    if (name === 'ROWTIME') {
      const input = source === null ? 0 : this.inputOf(source, at);
      if (input !== 0 || this.#input(0).source.kind === 'TABLE')
        throw notSupported(this.source, at, 'ROWTIME of a table is not in this version');
      return { type: BIGINT, at, run: (frame) => frame.time };
    }
    if (CHANGE_COLUMNS.has(name)) {
      if (source !== null && this.inputOf(source, at) !== 0) return null;
      return this.#change(name, at);
    }
    if (KAFKA_COLUMNS.has(name))
      throw notSupported(
        this.source,
        at,
        `the place of a record in its topic (${name}) is not in this version`,
      );
    if (WINDOW_COLUMNS.has(name)) throw sqlError(this.source, at, `${name} is known only in windows`);
    return null;
  }

  #rowKey(name: NameExpr): Typed | null {
    const key = this.rowKey(name);
    return key === null ? null : this.columnAt(key, name.at);
  }

  /** The key column that ROWKEY means in the friendly dialect. */
  rowKey({ source, name, at }: NameExpr): ResolvedColumn | null {
    if (name !== 'ROWKEY' || !this.friendly) return null;
    const input = source === null ? 0 : this.inputOf(source, at);
    const { columns } = this.#input(input).source;
    const keys = keysInOrder(columns);
    const [only] = keys;
    if (only === undefined || keys.length !== 1) return null;
    this.warn(`ROWKEY is taken for the key column ${columns[only]?.name ?? ''}`);
    return { input, column: only };
  }

  #unknown({ source, name, at }: NameExpr): never {
    const inputs = source === null ? this.#inputs : [this.#input(this.inputOf(source, at))];
    const names = inputs.flatMap(({ source }) => source.columns.map((column) => column.name));
    const meant = nearest(name, names);
    const where = inputs.map(({ source }) => source.name).join(' or ');
    const hint =
      meant === null
        ? names.length <= 20
          ? `; it has ${names.join(', ')}`
          : ''
        : `; did you mean ${meant}?`;
    // Names in capitals need no quotes: this one had them, and may have been meant as a text.
    const quoted = source === null && name !== name.toUpperCase() ? ' (a text stands in single quotes)' : '';
    throw sqlError(this.source, at, `there is no column ${name} in ${where}${hint}${quoted}`);
  }

  #input(index: number): Input {
    const input = this.#inputs[index];
    if (input === undefined) throw new TypeError('A scope has the sources of its FROM clause.');
    return input;
  }

  #columnOf(input: number, column: number): SqlColumn {
    const found = this.#input(input).source.columns[column];
    if (found === undefined) throw new TypeError('A resolved column exists.');
    return found;
  }
}
