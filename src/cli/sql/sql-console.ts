/** Statements one after the other, and what they answer on an output. */
import { parseStatement } from '../../enrichment/sql/parse-statement.ts';
import { splitStatements, substitute } from '../../enrichment/sql/script.ts';
import type { SourceText } from '../../enrichment/sql/sql-error.ts';
import type { DaemonAddress } from '../daemon-client.ts';
import { cellText, columnWidths, entityText, itemsOf, line, objectText, tableText } from './result-text.ts';
import { askPrint, askQuery, askStatement, type QueryHead } from './sql-client.ts';

/** A pull query's rows are laid out together up to so many. */
const TABLE_ROWS = 10_000;
/** Of columns whose rows come one by one. */
const LEAST_WIDTH = 12;

export interface ConsoleOptions {
  readonly address: DaemonAddress;
  /** One JSON object a row. */
  readonly json: boolean;
  readonly write: (text: string) => void;
}

export class SqlConsole {
  readonly #options: ConsoleOptions;
  readonly #properties = new Map<string, string>();
  readonly #variables = new Map<string, string>();

  constructor(options: ConsoleOptions) {
    this.#options = options;
  }

  /** Throws at the first statement that fails. */
  async run(script: string, signal: AbortSignal): Promise<void> {
    for (const source of splitStatements(script, 'friendly')) {
      signal.throwIfAborted();
      await this.#one(source, signal);
    }
  }

  async #one(source: SourceText, signal: AbortSignal): Promise<void> {
    const word = /^[A-Za-z]*/.exec(source.text)?.[0].toUpperCase();
    const { address } = this.#options;
    const session = { properties: this.#properties, variables: this.#variables };
    const text = `${source.text.trimEnd()};`;
    switch (word) {
      case 'SET':
      case 'UNSET':
      case 'DEFINE':
      case 'UNDEFINE':
        this.#keep(source);
        return;
      case 'SELECT':
        await this.#query(text, signal);
        return;
      case 'PRINT':
        for await (const printed of askPrint(address, { text, session }, signal))
          this.#options.write(`${printed}\n`);
        return;
      default:
        for (const entity of await askStatement(address, { text, session }, signal))
          this.#options.write(this.#options.json ? `${JSON.stringify(entity)}\n` : entityText(entity));
    }
  }

  #keep(source: SourceText): void {
    const { statement } = parseStatement(substitute(source, this.#variables), 'friendly');
    if (statement.kind === 'set') this.#properties.set(statement.name, statement.value);
    else if (statement.kind === 'unset') this.#properties.delete(statement.name);
    else if (statement.kind === 'define') this.#variables.set(statement.name, statement.value);
    else if (statement.kind === 'undefine') this.#variables.delete(statement.name);
  }

  async #query(text: string, signal: AbortSignal): Promise<void> {
    const { address, json, write } = this.#options;
    const session = { properties: this.#properties, variables: this.#variables };
    const { head, rows } = await askQuery(address, { text, session }, signal);
    if (json) {
      for await (const row of rows) write(`${objectText(head.columnNames, row)}\n`);
      return;
    }
    if (/\bEMIT\s+CHANGES\b/i.test(text)) return this.#follow(head, rows);
    const found: (readonly string[])[] = [];
    let more = 0;
    for await (const row of rows) {
      if (found.length < TABLE_ROWS) found.push(itemsOf(row).map(cellText));
      else more++;
    }
    write(tableText(head.columnNames, found));
    write(
      more === 0
        ? `(${found.length} ${found.length === 1 ? 'row' : 'rows'})\n`
        : `(and ${more} more rows, which --json shows)\n`,
    );
  }

  /** Rows as they come, below a head that cannot know how wide they will be. */
  async #follow({ columnNames }: QueryHead, rows: AsyncIterable<string>): Promise<void> {
    const { write } = this.#options;
    const least = columnNames.map(() => ' '.repeat(LEAST_WIDTH));
    const widths = columnWidths(columnNames, [least]);
    write(`${line(columnNames, widths)}\n${widths.map((width) => '-'.repeat(width)).join('-+-')}\n`);
    for await (const row of rows) write(`${line(itemsOf(row).map(cellText), widths)}\n`);
  }
}
