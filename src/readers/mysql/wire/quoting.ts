import type { TableId } from '../../../model/table.ts';

export function quoteIdent(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

export function quoteTable({ schema, table }: TableId): string {
  return `${quoteIdent(schema)}.${quoteIdent(table)}`;
}

/** For a session with backslash escapes, which is how Headwater's are set up. */
export function quoteLiteral(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['0', '\0'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['b', '\b'],
  ['Z', '\u001a'],
]);

/** What stands between the quotes of a literal, as the server prints it. */
export function unescapeLiteral(text: string): string {
  return text.replaceAll(/''|\\(.)/gs, (_, escaped: string | undefined) =>
    escaped === undefined ? "'" : (ESCAPES.get(escaped) ?? escaped),
  );
}
