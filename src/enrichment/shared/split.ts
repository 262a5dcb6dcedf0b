/**
 * Which statements instances share: queries over Kafka topics alone, whose results no other query reads. They need
 * neither the database nor its log, so that each partition of their topics can be worked off by another instance.
 */
import {
  type Declared,
  type DeclaredEnrichment,
  readsTopic,
  sinkTopic,
  withStatements,
} from '../plan/declared.ts';
import type { CreateAs, InsertSelect } from '../sql/ast.ts';

export interface SplitEnrichment {
  /** Statements that run with the pipeline. */
  readonly own: DeclaredEnrichment;
  /** Null where there are none. */
  readonly shared: DeclaredEnrichment | null;
}

export function splitShared(declared: DeclaredEnrichment, pipeline: string): SplitEnrichment {
  const { statements } = declared;
  const topics = new Set(statements.flatMap((each) => (isTopic(each) ? nameOf(each) : [])));
  const queries = statements.flatMap((each) => queryOf(each) ?? []);
  const shared = new Set(queries);
  // Each round takes out those that depend on, or are read by, one that was taken out.
  for (let before = -1; before !== shared.size;) {
    before = shared.size;
    const made = (within: boolean): ReadonlySet<string> =>
      new Set(queries.flatMap((query) => (shared.has(query) === within ? query.target : [])));
    const [inside, outside] = [made(true), made(false)];
    const readOutside = new Set(queries.flatMap((query) => (shared.has(query) ? [] : query.reads)));
    for (const query of shared) {
      const known = query.reads.every((name) => topics.has(name) || (inside.has(name) && !outside.has(name)));
      if (!known || outside.has(query.target) || readOutside.has(query.target)) shared.delete(query);
    }
  }
  if (shared.size === 0) return { own: declared, shared: null };
  const those = new Set([...shared].map(({ declared: each }) => each));
  const sharedTopics = new Map(
    [...those].flatMap((each) => {
      const { statement } = each;
      return statement.kind === 'createAs'
        ? [[statement.name, sinkTopic(each, statement).topic] as const]
        : [];
    }),
  );
  return {
    own: withStatements(
      { ...declared, sharedTopics },
      statements.filter((each) => !those.has(each)),
      pipeline,
    ),
    shared: withStatements(
      declared,
      statements.filter((each) => those.has(each) || isTopic(each)),
      pipeline,
    ),
  };
}

interface SplitQuery {
  readonly declared: Declared;
  readonly target: string;
  readonly reads: readonly string[];
}

function queryOf(declared: Declared): SplitQuery | null {
  const { statement } = declared;
  if (statement.kind === 'createSource') return null;
  return { declared, target: statement.name, reads: readsOf(statement) };
}

function readsOf({ select: { from, joins } }: CreateAs | InsertSelect): readonly string[] {
  return [from.name, ...joins.map(({ source }) => source.name)];
}

function isTopic({ statement }: Declared): boolean {
  return statement.kind === 'createSource' && readsTopic(statement);
}

function nameOf({ statement }: Declared): readonly string[] {
  return [statement.name];
}
