/** An identifier as SQL takes it, always quoted. Throws on NUL, which no identifier can hold. */
export function quoteIdent(name: string): string {
  refuseNul(name);
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string literal. Backslashes need the E form, whatever standard_conforming_strings says. */
export function quoteLiteral(text: string): string {
  refuseNul(text);
  const doubled = text.replaceAll("'", "''");
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}

/** `"schema"."table"`. */
export function quoteTable(id: { readonly schema: string; readonly table: string }): string {
  return `${quoteIdent(id.schema)}.${quoteIdent(id.table)}`;
}

function refuseNul(text: string): void {
  if (text.includes('\0')) throw new RangeError('NUL characters cannot be part of SQL text');
}
