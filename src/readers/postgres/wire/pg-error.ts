/**
 * What the server or the network said, inside readers/postgres only: errors.ts turns both into HeadwaterError
 * before they leave the folder.
 */

/** An ErrorResponse. Decide by `sqlstate`, never by `message`: messages are translated. */
export class PgError extends Error {
  readonly sqlstate: string;
  readonly severity: string;
  readonly hint: string | null;
  /** Name of the constraint, table or schema the server reported, if any. */
  readonly table: string | null;

  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get('M') ?? 'unknown error');
    this.name = 'PgError';
    this.sqlstate = fields.get('C') ?? 'XX000';
    // V is the severity that is never translated.
    this.severity = fields.get('V') ?? fields.get('S') ?? 'ERROR';
    this.hint = fields.get('H') ?? null;
    this.table = fields.get('t') ?? null;
  }
}

/** The network or the other side, rather than an answer. */
export class PgConnectionError extends Error {
  readonly kind: 'unreachable' | 'timeout' | 'lost' | 'tls' | 'protocol' | 'read-only';

  constructor(kind: PgConnectionError['kind'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'PgConnectionError';
    this.kind = kind;
  }
}

/** Fields of an ErrorResponse or NoticeResponse body: byte type, zero-terminated text, zero byte at the end. */
export function parseErrorFields(body: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(body[at]!), body.utf8Slice(at + 1, end));
    at = end + 1;
  }
  return fields;
}
