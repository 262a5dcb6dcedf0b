/** SHOW FUNCTIONS and DESCRIBE FUNCTION. */
import { AGGREGATE_USAGE } from '../../enrichment/sql/functions/aggregates.ts';
import { FUNCTIONS } from '../../enrichment/sql/functions/registry.ts';
import { type SourceText, sqlError } from '../../enrichment/sql/sql-error.ts';
import { nearest } from '../../errors/nearest.ts';

interface Described {
  readonly type: 'SCALAR' | 'AGGREGATE' | 'TABLE';
  /** How it is called. */
  readonly usage: string;
}

const listed: readonly (readonly [string, Described])[] = [
  ...[...FUNCTIONS.values()].map(({ name, usage }) => [name, { type: 'SCALAR', usage }] as const),
  ...[...AGGREGATE_USAGE].map(([name, usage]) => [name, { type: 'AGGREGATE', usage }] as const),
  ['EXPLODE', { type: 'TABLE', usage: 'EXPLODE(array)' }],
];
const ALL: ReadonlyMap<string, Described> = new Map(listed.toSorted(([a], [b]) => (a < b ? -1 : 1)));

export function functionNames(): object {
  const functions = [...ALL].map(([name, { type }]) => ({ name, type, category: '' }));
  return { '@type': 'function_names', functions };
}

/** How it is called, as its description. Throws `enrich.statement-invalid`. */
export function describeFunction(written: string, source: SourceText, at: number): object {
  const name = written.toUpperCase();
  const found = ALL.get(name);
  if (found !== undefined) {
    const { type, usage } = found;
    return {
      '@type': 'describe_function',
      name,
      type,
      description: usage,
      author: '',
      version: '',
      path: '',
      functions: [],
    };
  }
  const meant = nearest(name, [...ALL.keys()]);
  throw sqlError(
    source,
    at,
    `there is no function ${name}${meant === null ? '; SHOW FUNCTIONS lists them' : `; did you mean ${meant}?`}`,
  );
}
