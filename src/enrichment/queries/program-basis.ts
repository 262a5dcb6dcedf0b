/** What a running program was made of, for those who change it. */
import type { DeclaredEnrichment } from '../plan/declared.ts';
import type { RegistryAccess } from '../formats/registry-access.ts';
import type { MadeStatements } from '../plan/made-statements.ts';
import type { Program } from '../plan/program.ts';
import type { Source } from '../sources/catalog.ts';
import type { Parsed } from '../sql/parse-statement.ts';
import type { TopicAccess, TopicQueries } from '../run/topic-queries.ts';

export interface ProgramBasis {
  readonly declared: DeclaredEnrichment;
  readonly made: MadeStatements;
  /** Null where no statement names a topic. */
  readonly topics: TopicQueries | null;
  /** Null without Kafka. */
  readonly access: TopicAccess | null;
  /** Null without a schema registry. */
  readonly registry: RegistryAccess | null;
  /** Of the captured tables' own records. */
  readonly tableTopics: ReadonlySet<string>;
  /**
   * Resolves when the topics that a stream or table of clients' statements is of are there; those that may be made are.
   * Throws `delivery.…`.
   */
  openTopics(of: Source): Promise<void>;
  /**
   * What the program would be with these statements, the tables as they are now; nothing of it runs. `fresh`: as the
   * client wrote them, by number. Throws what is wrong with them.
   */
  trial(
    made: MadeStatements,
    fresh: ReadonlyMap<number, Parsed>,
    signal: AbortSignal,
  ): Promise<{ readonly declared: DeclaredEnrichment; readonly program: Program }>;
}
