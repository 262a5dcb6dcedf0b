/** DELIMITED: values in the order of the columns, between delimiters; quoted where they hold one (RFC 4180). */

/** The fields of one line; null for one that is empty and not quoted. Null where a quote has no end. */
export function splitDelimited(text: string, delimiter: string): readonly (string | null)[] | null {
  const fields: (string | null)[] = [];
  let at = 0;
  for (;;) {
    if (text.charAt(at) === '"') {
      let field = '';
      for (at++; ; at++) {
        const end = text.indexOf('"', at);
        if (end < 0) return null;
        field += text.slice(at, end);
        at = end + 1;
        if (text.charAt(at) !== '"') break;
        field += '"';
      }
      fields.push(field);
      if (at < text.length && text.charAt(at) !== delimiter) return null;
    } else {
      const end = text.indexOf(delimiter, at);
      const field = text.slice(at, end < 0 ? text.length : end);
      fields.push(field === '' ? null : field);
      at = end < 0 ? text.length : end;
    }
    if (at >= text.length) return fields;
    at++;
  }
}

/** One line that `splitDelimited` gives back as it was: null is empty, and an empty text quoted. */
export function joinDelimited(fields: readonly (string | null)[], delimiter: string): string {
  return fields.map((field) => (field === null ? '' : quoted(field, delimiter))).join(delimiter);
}

function quoted(field: string, delimiter: string): string {
  if (field !== '' && !field.includes(delimiter) && !/["\r\n]/.test(field)) return field;
  return `"${field.replaceAll('"', '""')}"`;
}
