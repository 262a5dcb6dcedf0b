/** Names and topics that the statements of a program have taken. */
import { Catalog } from '../sources/catalog.ts';
import type { CreateAs, CreateSource } from '../sql/ast.ts';
import { notSupported, type SourceText, sqlError } from '../sql/sql-error.ts';

export class ProgramNames {
  readonly catalog: Catalog;
  /** Topics that queries write. */
  readonly written = new Set<string>();
  /** Topics that are read. */
  readonly inputs = new Set<string>();
  /** Streams of topics, tables over them, and results of queries over those. */
  readonly ofTopics = new Set<string>();
  readonly #sharedTopics: ReadonlyMap<string, string>;
  /** Of captured tables, and of the pipeline itself. */
  readonly #tableTopics: ReadonlySet<string>;

  /** `sharedTopics`: by the names of statements that instances share. */
  constructor(sharedTopics: ReadonlyMap<string, string>, tableTopics: ReadonlySet<string>) {
    this.catalog = new Catalog(sharedTopics);
    this.#sharedTopics = sharedTopics;
    this.#tableTopics = tableTopics;
  }

  /** Whether the name is free. With IF NOT EXISTS a taken one is left as it is. */
  isFree(source: SourceText, statement: CreateSource | CreateAs): boolean {
    const { name, at, ifNotExists, orReplace, type } = statement;
    if (orReplace)
      throw notSupported(
        source,
        at,
        'OR REPLACE is not in this version: change the statement in the settings file, or DROP and CREATE it',
      );
    if (this.#sharedTopics.has(name))
      throw sqlError(
        source,
        at,
        `${name} is made by a statement that instances share (enrich.shared); choose another name`,
      );
    const known = this.catalog.get(name);
    if (known === undefined) return true;
    if (ifNotExists && known.kind === type) return false;
    throw sqlError(source, at, `there is a ${known.kind.toLowerCase()} ${name} already`);
  }

  /** Whether a query can make that topic its own. */
  isFreeTopic(topic: string): boolean {
    return (
      !this.#tableTopics.has(topic) &&
      !this.written.has(topic) &&
      !this.inputs.has(topic) &&
      ![...this.#sharedTopics.values()].includes(topic)
    );
  }
}
