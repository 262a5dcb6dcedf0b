/** Words that are no names unless quoted; all others that mean something somewhere may be names elsewhere. */
export const RESERVED: ReadonlySet<string> = new Set(
  (
    'SELECT FROM WHERE GROUP PARTITION HAVING CREATE DROP INSERT INTO AS ON JOIN INNER LEFT RIGHT FULL OUTER ' +
    'WITHIN AND OR NOT IN LIKE BETWEEN IS NULL TRUE FALSE CASE WHEN THEN ELSE END CAST EMIT LIMIT VALUES WITH ' +
    'DESCRIBE DISTINCT ESCAPE'
  ).split(' '),
);

const PLAIN = /^(?:[A-Z_][A-Z0-9_$@]*|[0-9]+[A-Z_][A-Z0-9_$@]*)$/;
/** What reads as a number although it holds a letter. */
const EXPONENT = /^[0-9]+E[0-9]+$/;

/** Names that begin a value where `[` or `(` follows. */
const CONSTRUCTORS: ReadonlySet<string> = new Set(['ARRAY', 'MAP', 'STRUCT']);

/** The name as it has to be written to be read back. */
export function nameText(name: string): string {
  if (PLAIN.test(name) && !RESERVED.has(name) && !CONSTRUCTORS.has(name) && !EXPONENT.test(name)) return name;
  return '`' + name.replaceAll('`', '``') + '`';
}

export function stringText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
