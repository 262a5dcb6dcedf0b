import picomatch from 'picomatch';
import { HeadwaterError } from '../errors/headwater-error.ts';
import { plainTableName, type TableId, tableName } from '../model/table.ts';

/** `source.tables`, compiled. */
export interface TablePatterns {
  /** Some pattern includes the table and none excludes it. */
  matches(id: TableId): boolean;
  /** Including patterns that match none of these tables. */
  unmatched(ids: readonly TableId[]): readonly string[];
}

/**
 * A pattern is a glob (`public.*`, `sales_??.orders`, `{a,b}.x`), a regular expression in slashes that must
 * match `schema.table` whole, or either behind `!`, which excludes. Only excluding patterns: everything else.
 * A table whose schema holds a dot is matched by both of its names, `a.b.c` and `"a.b".c`.
 */
export function compileTablePatterns(patterns: readonly string[]): TablePatterns {
  const including: { readonly pattern: string; readonly test: (name: string) => boolean }[] = [];
  const excluding: ((name: string) => boolean)[] = [];
  for (const pattern of patterns) {
    if (pattern.startsWith('!')) excluding.push(compile(pattern.slice(1)));
    else including.push({ pattern, test: compile(pattern) });
  }
  const everything = including.length === 0;
  return {
    matches(id) {
      const names = namesOf(id);
      const some = (test: (name: string) => boolean): boolean => names.some(test);
      return (everything || including.some(({ test }) => some(test))) && !excluding.some(some);
    },
    unmatched(ids) {
      const names = ids.flatMap(namesOf);
      return including.filter(({ test }) => !names.some((name) => test(name))).map(({ pattern }) => pattern);
    },
  };
}

function namesOf(id: TableId): readonly string[] {
  const name = tableName(id);
  const plain = plainTableName(id);
  return name === plain ? [name] : [name, plain];
}

/**
 * What becomes of patterns that match no table: thrown where nobody is to be told, or where nothing at all is
 * captured; told otherwise.
 */
export function answerUnmatched(
  unmatched: HeadwaterError | null,
  captured: number,
  tell: ((message: string) => void) | undefined,
): void {
  if (unmatched === null) return;
  if (tell === undefined || captured === 0) throw unmatched;
  tell(unmatched.message);
}

function compile(pattern: string): (name: string) => boolean {
  if (pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/')) {
    let expression: RegExp;
    try {
      expression = new RegExp(`^(?:${pattern.slice(1, -1)})$`, 'u');
    } catch (error) {
      throw new HeadwaterError(
        'settings.invalid',
        `The table pattern ${pattern} is not a regular expression.`,
        { cause: error },
      );
    }
    return (name) => expression.test(name);
  }
  // A name without wildcards means itself, whatever characters it has.
  if (!/[*?[\]{}()]/.test(pattern)) return (name) => name === pattern;
  // A double quote is one, and does not quote.
  const glob = picomatch(pattern.replaceAll('"', '\\"'), {
    dot: true,
    bash: true,
    nonegate: true,
    noextglob: true,
  });
  return (name) => name === pattern || glob(name);
}
