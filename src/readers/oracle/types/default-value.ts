import { ABSENT, type Value } from '../../../model/value.ts';
import type { Literal } from '../redo/literal.ts';
import type { ColumnDecoder } from './column-decoder.ts';
import { assertUnreadable } from './unreadable-value.ts';

const QUOTED = /^'((?:[^']|'')*)'$/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
/** `DATE '2024-01-31'`, `TIMESTAMP '2024-01-31 12:00:00.5'`. */
const ANSI = /^(DATE|TIMESTAMP)\s*'([^']*)'$/i;
const CALL = /^TO_(DATE|TIMESTAMP)\s*\(\s*'([^']*)'\s*,\s*'([^']*)'\s*\)$/i;

/**
 * The value that a DEFAULT clause stands for: of literals, and of dates in a form that does not depend on a session's
 * settings. ABSENT where the database has to compute it.
 */
export function defaultValue(expression: string, decoder: ColumnDecoder): Value {
  if (decoder.large || decoder.type.kind === 'bytes') return ABSENT;
  const quoted = QUOTED.exec(expression);
  const literal =
    quoted !== null || NUMBER.test(expression) ? unquoted(quoted, expression) : date(expression);
  if (literal === null) return ABSENT;
  try {
    return decoder.fromRedo(literal);
  } catch (error) {
    assertUnreadable(error);
    return ABSENT; // '01-JAN-24' for a DATE: the session's NLS settings tell
  }
}

function unquoted(quoted: RegExpExecArray | null, expression: string): string {
  return quoted === null ? expression : quoted[1]!.replaceAll("''", "'");
}

/** As SQL_REDO writes it; null for anything but a constant date. */
function date(expression: string): Literal {
  const ansi = ANSI.exec(expression);
  const call = ansi === null ? CALL.exec(expression) : null;
  const text = ansi === null ? (call === null ? null : inMask(call[2]!, call[3]!)) : ansi[2]!;
  const kind = (ansi ?? call)?.[1]!.toUpperCase();
  if (text === null) return null;
  return { kind: 'call', name: kind === 'DATE' ? 'TO_DATE' : 'TO_TIMESTAMP', argument: text };
}

/** A text in a mask of digits alone, such as DD.MM.YYYY HH24:MI, as `YYYY-MM-DD HH24:MI:SS`; null for other masks. */
function inMask(text: string, mask: string): string | null {
  const parts = new Map<string, string>();
  let at = 0;
  for (const [element] of mask.toUpperCase().matchAll(/YYYY|MM|DD|HH24|MI|SS|FF[1-9]?|[^A-Z0-9]|./g)) {
    if (/^[^A-Z0-9]$/.test(element)) {
      if (text[at++] !== element) return null;
      continue;
    }
    const size = element === 'YYYY' ? 4 : element.startsWith('FF') ? 9 : 2;
    const known = /^(?:YYYY|MM|DD|HH24|MI|SS|FF[1-9]?)$/.test(element);
    const digits = known ? new RegExp(`^\\d{1,${size}}`).exec(text.slice(at))?.[0] : undefined;
    if (digits === undefined) return null;
    parts.set(element.slice(0, 2), digits.padStart(element.startsWith('FF') ? 0 : size, '0'));
    at += digits.length;
  }
  const [year, month, day] = [parts.get('YY'), parts.get('MM'), parts.get('DD')];
  if (at !== text.length || year === undefined || month === undefined || day === undefined) return null;
  const time = ['HH', 'MI', 'SS'].map((part) => parts.get(part) ?? '00').join(':');
  return `${year}-${month}-${day} ${time}${parts.has('FF') ? `.${parts.get('FF')!}` : ''}`;
}
