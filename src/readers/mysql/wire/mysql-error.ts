/** What the server answered instead of a result. */
export class MysqlError extends Error {
  override readonly name = 'MysqlError';
  /** The server's error number, e.g. 1045. */
  readonly errno: number;
  readonly sqlstate: string;

  constructor(fields: { readonly errno: number; readonly sqlstate: string; readonly message: string }) {
    super(fields.message);
    this.errno = fields.errno;
    this.sqlstate = fields.sqlstate;
  }
}

/** The network, TLS, or a server that speaks something else. */
export class MysqlConnectionError extends Error {
  override readonly name = 'MysqlConnectionError';
  readonly kind: 'unreachable' | 'timeout' | 'tls' | 'auth' | 'lost' | 'protocol';

  constructor(kind: MysqlConnectionError['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/** A packet that begins with 0xff, without its frame's header. */
export function parseErrorPacket(packet: Buffer): MysqlError {
  if (packet.length < 3) return new MysqlError({ errno: 0, sqlstate: 'HY000', message: 'no reason given' });
  const errno = packet.readUInt16LE(1);
  // '#' and five characters of SQLSTATE, except before the login is through.
  const marked = packet[3] === 0x23 && packet.length >= 9;
  return new MysqlError({
    errno,
    sqlstate: marked ? packet.latin1Slice(4, 9) : 'HY000',
    message: packet.utf8Slice(marked ? 9 : 3, packet.length),
  });
}
